import { AppError } from '../errors.js';
import { realFft } from './fft.js';

/** A time-frequency picture, row-major (rows, frames): row r of frame f is `data[r * frames + f]`. */
export interface Spectrogram {
  readonly data: Float32Array;
  /** Frequency bins or mel bands. */
  readonly rows: number;
  readonly frames: number;
}

export interface SpectrogramOptions {
  /** Transform size (upstream: filter_length); any even size. */
  readonly fftSize: number;
  readonly hopSamples: number;
  /** Length of the periodic Hann window, centred in the frame when shorter than `fftSize`. */
  readonly windowSamples: number;
}

export interface MelOptions extends SpectrogramOptions {
  readonly sampleRateHz: number;
  readonly bands: number;
  readonly lowestHz?: number;
  /** Default: half the sampling rate. */
  readonly highestHz?: number;
}

/**
 * Magnitude spectrogram (fftSize / 2 + 1, frames) as the models' style encoders expect it: reflected by
 * (fftSize − hop) / 2 on both sides, not centred, sqrt(re² + im² + 1e-8).
 *
 * upstream: module/mel_processing.py spectrogram_torch
 *
 * @throws AppError `AUDIO_TOO_SHORT` when there are not enough samples to reflect and to fill one frame.
 */
export function magnitudeSpectrogram(samples: Float32Array, options: SpectrogramOptions): Spectrogram {
  const { fftSize, hopSamples, windowSamples } = options;
  const padding = Math.floor((fftSize - hopSamples) / 2);
  const frames = 1 + Math.floor((samples.length + 2 * padding - fftSize) / hopSamples);
  if (samples.length <= padding || frames < 1) {
    throw new AppError(
      'AUDIO_TOO_SHORT',
      `a spectrogram of ${fftSize}-sample frames needs more than ${Math.max(padding, fftSize - 2 * padding - 1)} samples, got ${samples.length}; use a longer recording`,
    );
  }
  const padded = reflect(samples, padding);
  const window = hannWindow(windowSamples);
  const windowStart = Math.floor((fftSize - windowSamples) / 2);
  const fft = realFft(fftSize);
  const frame = new Float64Array(fftSize);
  const re = new Float64Array(fft.bins);
  const im = new Float64Array(fft.bins);
  const data = new Float32Array(fft.bins * frames);
  for (let f = 0; f < frames; f++) {
    const start = f * hopSamples + windowStart;
    for (let i = 0; i < windowSamples; i++) frame[windowStart + i] = padded[start + i]! * window[i]!;
    fft.forward(frame, re, im);
    for (let k = 0; k < fft.bins; k++) data[k * frames + f] = Math.sqrt(re[k]! * re[k]! + im[k]! * im[k]! + 1e-8);
  }
  return { data, rows: fft.bins, frames };
}

/**
 * Log-mel spectrogram (bands, frames): the magnitudes through Slaney's mel filters, log(max(x, 1e-5)).
 *
 * upstream: module/mel_processing.py mel_spectrogram_torch (filters: librosa.filters.mel with its defaults)
 *
 * @throws AppError `AUDIO_TOO_SHORT`, as {@link magnitudeSpectrogram}.
 */
export function melSpectrogram(samples: Float32Array, options: MelOptions): Spectrogram {
  const { data: magnitudes, frames } = magnitudeSpectrogram(samples, options);
  const filters = slaneyMelFilters(options);
  const data = new Float32Array(options.bands * frames);
  const sums = new Float64Array(frames);
  for (const [band, filter] of filters.entries()) {
    sums.fill(0);
    for (let k = 0; k < filter.weights.length; k++) {
      const weight = filter.weights[k]!;
      const row = (filter.firstBin + k) * frames;
      for (let f = 0; f < frames; f++) sums[f] = sums[f]! + weight * magnitudes[row + f]!;
    }
    for (let f = 0; f < frames; f++) data[band * frames + f] = Math.log(Math.max(sums[f]!, 1e-5));
  }
  return { data, rows: options.bands, frames };
}

interface MelFilter {
  readonly firstBin: number;
  readonly weights: Float32Array;
}

/** Triangles between neighbouring mel points, each of area 2 / (its width in Hz). */
function slaneyMelFilters(options: MelOptions): MelFilter[] {
  const { fftSize, sampleRateHz, bands } = options;
  const low = hzToMel(options.lowestHz ?? 0);
  const high = hzToMel(options.highestHz ?? sampleRateHz / 2);
  const points = Array.from({ length: bands + 2 }, (_, i) => melToHz(low + ((high - low) * i) / (bands + 1)));
  const bins = Math.floor(fftSize / 2) + 1;
  return Array.from({ length: bands }, (_, band) => {
    const left = points[band]!;
    const center = points[band + 1]!;
    const right = points[band + 2]!;
    const area = 2 / (right - left);
    const weights = Float32Array.from({ length: bins }, (_, bin) => {
      const hz = (bin * sampleRateHz) / fftSize;
      return Math.max(0, Math.min((hz - left) / (center - left), (right - hz) / (right - center))) * area;
    });
    const firstBin = Math.max(
      0,
      weights.findIndex((weight) => weight > 0),
    );
    const end = weights.findLastIndex((weight) => weight > 0) + 1;
    return { firstBin, weights: weights.subarray(firstBin, Math.max(firstBin, end)) };
  });
}

// Slaney's scale: linear (200/3 Hz a mel) below 1 kHz, logarithmic above (6.4 times in 27 mels).
const LINEAR_HZ = 200 / 3;
const BREAK_HZ = 1000;
const LOG_STEP = Math.log(6.4) / 27;

function hzToMel(hz: number): number {
  return hz < BREAK_HZ ? hz / LINEAR_HZ : BREAK_HZ / LINEAR_HZ + Math.log(hz / BREAK_HZ) / LOG_STEP;
}

function melToHz(mel: number): number {
  const breakMel = BREAK_HZ / LINEAR_HZ;
  return mel < breakMel ? mel * LINEAR_HZ : BREAK_HZ * Math.exp(LOG_STEP * (mel - breakMel));
}

/** Periodic Hann window, rounded to float32 as PyTorch's is. */
export function hannWindow(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length));
}

function reflect(samples: Float32Array, padding: number): Float32Array {
  const out = new Float32Array(samples.length + 2 * padding);
  out.set(samples, padding);
  for (let i = 1; i <= padding; i++) {
    out[padding - i] = samples[i]!;
    out[padding + samples.length - 1 + i] = samples[samples.length - 1 - i]!;
  }
  return out;
}
