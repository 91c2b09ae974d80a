import { realFft } from '../../src/audio/fft.js';

/** Mel cepstra with first and second differences, row-major (frames, CEPSTRA_WIDTH), a frame every 10 ms. */
export interface Cepstra {
  readonly data: Float32Array;
  readonly frames: number;
}

export const SAMPLE_RATE_HZ = 16_000;
export const HOP_SAMPLES = 160;
export const CEPSTRA_WIDTH = 39;

const STATIC = 13;
const WINDOW_SAMPLES = 400;
const FFT_SIZE = 512;
const BANDS = 26;
const LOWEST_HZ = 80;
const HIGHEST_HZ = 7600;
const PRE_EMPHASIS = 0.97;
/** Active level of every recording before analysis, so that c0 means the same in all of them. */
export const ACTIVE_RMS = 0.085;
const ACTIVE_RANGE_DB = 25;
/** Below this power of a band (of speech at the level above) there is only the noise of the room. */
const FLOOR = 1e-4;

/** Cepstra of mono speech at 16 kHz, whatever its level. */
export function cepstra(samples: Float32Array): Cepstra {
  const levelled = setActiveLevel(samples);
  const frames = Math.max(1, Math.floor((levelled.length - WINDOW_SAMPLES) / HOP_SAMPLES) + 1);
  const data = new Float32Array(frames * CEPSTRA_WIDTH);
  const fft = realFft(FFT_SIZE);
  const frame = new Float64Array(FFT_SIZE);
  const re = new Float64Array(fft.bins);
  const im = new Float64Array(fft.bins);
  const logs = new Float64Array(BANDS);
  for (let f = 0; f < frames; f++) {
    for (let i = 0; i < WINDOW_SAMPLES; i++) {
      const at = f * HOP_SAMPLES + i;
      const sample = at < levelled.length ? levelled[at]! : 0;
      const before = at > 0 && at - 1 < levelled.length ? levelled[at - 1]! : 0;
      frame[i] = (sample - PRE_EMPHASIS * before) * WINDOW[i]!;
    }
    fft.forward(frame, re, im);
    for (let band = 0; band < BANDS; band++) {
      const { first, weights } = FILTERS[band]!;
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * (re[first + k]! ** 2 + im[first + k]! ** 2);
      logs[band] = Math.log(sum + FLOOR);
    }
    for (let c = 0; c < STATIC; c++) {
      let sum = 0;
      for (let band = 0; band < BANDS; band++) sum += DCT[c * BANDS + band]! * logs[band]!;
      data[f * CEPSTRA_WIDTH + c] = sum;
    }
  }
  addSlopes(data, frames, 0, STATIC);
  addSlopes(data, frames, STATIC, 2 * STATIC);
  return { data, frames };
}

/** The samples scaled so that the loud part has a fixed level; silence stays as it is. */
export function setActiveLevel(samples: Float32Array): Float32Array {
  const powers: number[] = [];
  for (let start = 0; start + HOP_SAMPLES <= samples.length; start += HOP_SAMPLES) {
    let sum = 0;
    for (let i = start; i < start + HOP_SAMPLES; i++) sum += samples[i]! ** 2;
    powers.push(sum / HOP_SAMPLES);
  }
  const loudest = powers.reduce((most, power) => Math.max(most, power), 0);
  const active = powers.filter((power) => power > loudest * 10 ** (-ACTIVE_RANGE_DB / 10));
  const rms = Math.sqrt(active.reduce((sum, power) => sum + power, 0) / Math.max(1, active.length));
  if (rms < 1e-6) return samples;
  return samples.map((sample) => (sample * ACTIVE_RMS) / rms);
}

/** Regression slopes over two frames on either side, of columns [from, from + 13) into those from `to` on. */
function addSlopes(data: Float32Array, frames: number, from: number, to: number): void {
  const at = (f: number, c: number) => data[Math.max(0, Math.min(frames - 1, f)) * CEPSTRA_WIDTH + from + c]!;
  for (let f = 0; f < frames; f++) {
    for (let c = 0; c < STATIC; c++) {
      const slope = (at(f + 1, c) - at(f - 1, c) + 2 * (at(f + 2, c) - at(f - 2, c))) / 10;
      data[f * CEPSTRA_WIDTH + to + c] = slope;
    }
  }
}

const WINDOW = Float64Array.from(
  { length: WINDOW_SAMPLES },
  (_, i) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / (WINDOW_SAMPLES - 1)),
);

const DCT = Float64Array.from(
  { length: STATIC * BANDS },
  (_, i) => Math.sqrt(2 / BANDS) * Math.cos((Math.PI * Math.floor(i / BANDS) * ((i % BANDS) + 0.5)) / BANDS),
);

const FILTERS = melFilters();

function melFilters(): { first: number; weights: Float64Array }[] {
  const mel = (hz: number) => 2595 * Math.log10(1 + hz / 700);
  const hz = (value: number) => 700 * (10 ** (value / 2595) - 1);
  const low = mel(LOWEST_HZ);
  const step = (mel(HIGHEST_HZ) - low) / (BANDS + 1);
  return Array.from({ length: BANDS }, (_, band) => {
    const [left, centre, right] = [0, 1, 2].map((k) => hz(low + step * (band + k))) as [number, number, number];
    const weights = Float64Array.from({ length: FFT_SIZE / 2 + 1 }, (_, bin) => {
      const at = (bin * SAMPLE_RATE_HZ) / FFT_SIZE;
      return Math.max(0, Math.min((at - left) / (centre - left), (right - at) / (right - centre)));
    });
    const first = weights.findIndex((weight) => weight > 0);
    const end = weights.findLastIndex((weight) => weight > 0) + 1;
    return { first, weights: weights.slice(first, end) };
  });
}
