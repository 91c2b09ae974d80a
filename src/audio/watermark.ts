import { realFft } from './fft.js';

/**
 * An inaudible mark inside the sound: within the band of a telephone, each small cell of time and frequency is made a
 * little louder or softer by a fixed pattern. What it changes follows the speech itself, so that speech masks it, and it
 * lasts through whatever keeps speech intelligible: codecs, other rates, other levels, cuts.
 *
 * The pattern is public and holds no message: it says "made by Timbre". Who made it, and when, is in the metadata.
 */

/** 32 ms of analysis, 16 ms apart: cells have to be longer than a codec's own blur and shorter than a syllable. */
const FRAME_SECONDS = 0.032;
/** Frames of one cell. */
export const CELL_FRAMES = 3;
/** Bins of 31.25 Hz of one cell. */
export const CELL_BINS = 2;
/** 312 Hz to 3.3 kHz. */
export const FIRST_BIN = 10;
export const BAND_COUNT = 48;
/** Cells after which the pattern repeats: 3.07 s. */
export const PERIOD_CELLS = 64;
/** How much louder or softer a cell becomes. */
const STRENGTH_DB = 1;

/** +1 or -1 by time and band. */
export const PATTERN: Int8Array = makePattern();

/** Marks a stream; what it holds back is one frame, 32 ms. */
export interface Watermarker {
  push(samples: Float32Array): Float32Array;
  /** What was held back: all output together is as long as the input. */
  finish(): Float32Array;
}

/** @param strengthDb for measurements; absent: what measured inaudible. */
export function createWatermarker(sampleRateHz: number, strengthDb = STRENGTH_DB): Watermarker {
  const size = 2 * Math.round((sampleRateHz * FRAME_SECONDS) / 2);
  const hop = size / 2;
  const fft = realFft(size);
  // The root of a Hann window twice is a Hann window, whose halves add up to one.
  const window = Float64Array.from({ length: size }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / size));
  const gains = [10 ** (-strengthDb / 20), 10 ** (strengthDb / 20)] as const;
  const real = new Float64Array(fft.bins);
  const imaginary = new Float64Array(fft.bins);
  const frame = new Float64Array(size);
  // The first frame begins half a frame before the sound.
  let input = new Float32Array(hop);
  const tail = new Float64Array(hop);
  let frameIndex = 0;
  let skip = hop;
  let received = 0;
  let produced = 0;

  const process = (): Float32Array => {
    const frames = Math.max(0, Math.floor((input.length - size) / hop) + 1);
    const out = new Float32Array(frames * hop);
    for (let f = 0; f < frames; f++) {
      for (let i = 0; i < size; i++) frame[i] = input[f * hop + i]! * window[i]!;
      fft.forward(frame, real, imaginary);
      const row = (Math.floor(frameIndex / CELL_FRAMES) % PERIOD_CELLS) * BAND_COUNT;
      for (let band = 0; band < BAND_COUNT; band++) {
        const gain = gains[PATTERN[row + band]! > 0 ? 1 : 0];
        for (let bin = FIRST_BIN + band * CELL_BINS, end = bin + CELL_BINS; bin < end; bin++) {
          real[bin] = real[bin]! * gain;
          imaginary[bin] = imaginary[bin]! * gain;
        }
      }
      fft.inverse(real, imaginary, frame);
      for (let i = 0; i < hop; i++) out[f * hop + i] = tail[i]! + frame[i]! * window[i]!;
      for (let i = 0; i < hop; i++) tail[i] = frame[hop + i]! * window[hop + i]!;
      frameIndex++;
    }
    input = input.slice(frames * hop);
    const skipped = Math.min(skip, out.length);
    skip -= skipped;
    return out.subarray(skipped);
  };

  const append = (samples: Float32Array) => {
    const joined = new Float32Array(input.length + samples.length);
    joined.set(input);
    joined.set(samples, input.length);
    input = joined;
  };

  return {
    push(samples) {
      received += samples.length;
      append(samples);
      const out = process();
      produced += out.length;
      return out;
    },
    finish() {
      append(new Float32Array(2 * size));
      return process().subarray(0, received - produced);
    },
  };
}

/** The bits of a small counter-based generator (splitmix32), so that every build has the same pattern. */
function makePattern(): Int8Array {
  let state = 0x54494d42;
  return Int8Array.from({ length: PERIOD_CELLS * BAND_COUNT }, () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) & 1 ? 1 : -1;
  });
}
