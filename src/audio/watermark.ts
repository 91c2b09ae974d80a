import { WatermarkKernel } from './watermark-kernel.js';
import { BINS } from './watermark-memory.js';

/**
 * An inaudible mark inside the sound: within the band of a telephone, each small cell of time and frequency is made a
 * little louder or softer by a fixed pattern. What it changes follows the speech itself, so that speech masks it, and it
 * lasts through whatever keeps speech intelligible: codecs, other rates, other levels, cuts.
 *
 * The pattern is public and holds no message: it says "made by Timbre". Who made it, and when, is in the metadata.
 */

/** Frames of one cell, 32 ms of analysis 16 ms apart: longer than a codec's own blur and shorter than a syllable. */
export const CELL_FRAMES = 3;
/** Bins of 31.25 Hz of one cell. */
export const CELL_BINS = 2;
/** 312 Hz to 3.3 kHz. */
export const BAND_COUNT = BINS / CELL_BINS;
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

/**
 * Frames are marked by {@link WatermarkKernel}, each by itself, so that a stream sounds the same however it is cut.
 *
 * @param strengthDb for measurements; absent: what measured inaudible.
 * @throws Error for a rate that {@link isMarkedRate} has not: models of such a rate are refused when they are imported.
 */
export function createWatermarker(sampleRateHz: number, strengthDb = STRENGTH_DB): Watermarker {
  const kernel = kernelFor(sampleRateHz, strengthDb);
  const { hop } = kernel;
  const size = 2 * hop;
  // The first frame begins half a frame before the sound.
  let input = new Float32Array(hop);
  const tail = new Float32Array(hop);
  let frameIndex = 0;
  let skip = hop;
  let received = 0;
  let produced = 0;

  const process = (): Float32Array => {
    const frames = Math.max(0, Math.floor((input.length - size) / hop) + 1);
    const out = new Float32Array(frames * hop);
    kernel.mark(input, tail, frameIndex, out);
    frameIndex += frames;
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

const kernels = new Map<string, WatermarkKernel>();

/** Kernels hold no state between calls; there are as many as rates of models. */
function kernelFor(sampleRateHz: number, strengthDb: number): WatermarkKernel {
  const key = `${sampleRateHz} ${strengthDb}`;
  let kernel = kernels.get(key);
  if (kernel === undefined) {
    const gains = [10 ** (-strengthDb / 20), 10 ** (strengthDb / 20)] as const;
    const cells = Float64Array.from(PATTERN, (sign) => gains[sign > 0 ? 1 : 0]);
    kernel = new WatermarkKernel(sampleRateHz, { cells, bands: BAND_COUNT, cellFrames: CELL_FRAMES });
    kernels.set(key, kernel);
  }
  return kernel;
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
