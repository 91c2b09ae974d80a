import { AppError } from '../errors.js';
import { realFft } from './fft.js';

export interface FilterBankFeatures {
  /** Row-major (frames, bands). */
  readonly data: Float32Array;
  readonly frames: number;
  readonly bands: number;
}

const FRAME_SECONDS = 0.025;
const SHIFT_SECONDS = 0.01;
const PRE_EMPHASIS = 0.97;
const LOWEST_HZ = 20;
/** float32 epsilon: the floor below which Kaldi takes no logarithm. */
const FLOOR = 2 ** -23;

/**
 * Kaldi's log filter-bank energies with its defaults and no dither: frames of 25 ms every 10 ms that lie wholly inside
 * the wave, offset removed, pre-emphasis 0.97, Povey window, power spectrum, triangular bands from 20 Hz to half the
 * rate. The wave is in [-1, 1], not scaled to 16 bits.
 *
 * upstream: eres2net/kaldi.py fbank
 *
 * @throws AppError `AUDIO_TOO_SHORT` when there is not one whole frame.
 */
export function kaldiFilterBank(samples: Float32Array, sampleRateHz = 16_000, bands = 80): FilterBankFeatures {
  const frameSamples = Math.floor(sampleRateHz * FRAME_SECONDS);
  const shiftSamples = Math.floor(sampleRateHz * SHIFT_SECONDS);
  if (samples.length < frameSamples) {
    throw new AppError(
      'AUDIO_TOO_SHORT',
      `speaker features need ${frameSamples} samples at ${sampleRateHz} Hz, got ${samples.length}; use a longer recording`,
    );
  }
  const frames = 1 + Math.floor((samples.length - frameSamples) / shiftSamples);
  const fft = realFft(2 ** Math.ceil(Math.log2(frameSamples)));
  const window = poveyWindow(frameSamples);
  const filters = kaldiMelFilters(bands, fft.size, sampleRateHz);
  const frame = new Float64Array(fft.size);
  const re = new Float64Array(fft.bins);
  const im = new Float64Array(fft.bins);
  const data = new Float32Array(frames * bands);
  for (let f = 0; f < frames; f++) {
    const start = f * shiftSamples;
    let mean = 0;
    for (let i = 0; i < frameSamples; i++) mean += samples[start + i]!;
    mean /= frameSamples;
    let previous = samples[start]! - mean;
    for (let i = 0; i < frameSamples; i++) {
      const value = samples[start + i]! - mean;
      frame[i] = (value - PRE_EMPHASIS * previous) * window[i]!;
      previous = value;
    }
    fft.forward(frame, re, im);
    for (let band = 0; band < bands; band++) {
      const { firstBin, weights } = filters[band]!;
      let energy = 0;
      for (let k = 0; k < weights.length; k++) {
        const bin = firstBin + k;
        energy += weights[k]! * (re[bin]! * re[bin]! + im[bin]! * im[bin]!);
      }
      data[f * bands + band] = Math.log(Math.max(energy, FLOOR));
    }
  }
  return { data, frames, bands };
}

/** Triangles of equal width on the mel scale; unlike Slaney's, straight in mel rather than in Hz, and not normalised. */
function kaldiMelFilters(
  bands: number,
  fftSize: number,
  sampleRateHz: number,
): { firstBin: number; weights: Float32Array }[] {
  const low = mel(LOWEST_HZ);
  const step = (mel(sampleRateHz / 2) - low) / (bands + 1);
  return Array.from({ length: bands }, (_, band) => {
    const left = low + band * step;
    const weights = Float32Array.from({ length: fftSize / 2 }, (_, bin) => {
      const position = (mel((bin * sampleRateHz) / fftSize) - left) / step;
      return Math.max(0, Math.min(position, 2 - position));
    });
    const firstBin = Math.max(
      0,
      weights.findIndex((weight) => weight > 0),
    );
    const end = weights.findLastIndex((weight) => weight > 0) + 1;
    return { firstBin, weights: weights.subarray(firstBin, Math.max(firstBin, end)) };
  });
}

function mel(hz: number): number {
  return 1127 * Math.log(1 + hz / 700);
}

/** A symmetric Hann window to the power 0.85. */
function poveyWindow(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (length - 1))) ** 0.85);
}
