import { concatenate } from './concatenate.js';
import { realFft } from './fft.js';
import { createStreamResampler } from './resample-stream.js';
import { BAND_COUNT, CELL_BINS, CELL_FRAMES, PATTERN, PERIOD_CELLS } from './watermark.js';
import { FIRST_BIN } from './watermark-memory.js';

export interface WatermarkFinding {
  readonly found: boolean;
  /** How far the sound agrees with the pattern, in standard deviations of what sound without it does. */
  readonly score: number;
}

/** What the detector looks at: everything survives at the rate of a telephone. */
const RATE_HZ = 8000;
const FRAME = 256;
const HOP = 128;
/** Positions tried between two frames, 8 ms apart: half of that is little against a cell of 48 ms. */
const STEPS_A_HOP = 2;
const STEP = HOP / STEPS_A_HOP;
const CELL_STEPS = CELL_FRAMES * STEPS_A_HOP;
const PERIOD_STEPS = PERIOD_CELLS * CELL_STEPS;
/** Stretches that are judged by themselves too, so that a cut in the middle of a file does not hide the rest. */
const WINDOWS_CELLS = [52, 125];
/** Chance of one sound without the mark to exceed it: about one in 100,000 for all positions and windows of ten seconds. */
export const WATERMARK_THRESHOLD = 6;

/** Looks for our mark in a sound of any rate and level, wherever it begins. */
export function detectWatermark(samples: Float32Array, sampleRateHz: number): WatermarkFinding {
  const search = searchWatermark(samples, sampleRateHz);
  for (;;) {
    const step = search.next();
    if (step.done) return step.value;
  }
}

/** {@link detectWatermark} that gives way after each position it has tried. */
export function* searchWatermark(
  samples: Float32Array,
  sampleRateHz: number,
): Generator<undefined, WatermarkFinding, undefined> {
  const resampler = createStreamResampler(sampleRateHz, RATE_HZ);
  const sound = concatenate([resampler.push(samples), resampler.finish()]);
  yield;
  const energies = bandEnergies(sound);
  yield;
  const stepCount = energies.length / BAND_COUNT;
  const score = yield* bestScore(whiten(energies, stepCount), stepCount);
  return { found: score >= WATERMARK_THRESHOLD, score };
}

/** Log energies of each band at each step, (steps × bands), averaged over the length of a cell that begins there. */
function bandEnergies(sound: Float32Array): Float64Array {
  const fft = realFft(FRAME);
  const window = Float64Array.from({ length: FRAME }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / FRAME));
  const real = new Float64Array(fft.bins);
  const imaginary = new Float64Array(fft.bins);
  const frame = new Float64Array(FRAME);
  const frameCount = Math.max(0, Math.floor((sound.length - FRAME) / STEP) + 1);
  const logs = new Float64Array(frameCount * BAND_COUNT);
  for (let f = 0; f < frameCount; f++) {
    for (let i = 0; i < FRAME; i++) frame[i] = sound[f * STEP + i]! * window[i]!;
    fft.forward(frame, real, imaginary);
    for (let band = 0; band < BAND_COUNT; band++) {
      let energy = 1e-9;
      for (let bin = FIRST_BIN + band * CELL_BINS, end = bin + CELL_BINS; bin < end; bin++) {
        energy += real[bin]! ** 2 + imaginary[bin]! ** 2;
      }
      logs[f * BAND_COUNT + band] = Math.log(energy);
    }
  }
  // Moving mean over the frames of a cell.
  const span = CELL_STEPS - STEPS_A_HOP + 1;
  const stepCount = Math.max(0, frameCount - span + 1);
  const out = new Float64Array(stepCount * BAND_COUNT);
  for (let band = 0; band < BAND_COUNT; band++) {
    let sum = 0;
    for (let f = 0; f < frameCount; f++) {
      sum += logs[f * BAND_COUNT + band]!;
      if (f >= span) sum -= logs[(f - span) * BAND_COUNT + band]!;
      if (f >= span - 1) out[(f - span + 1) * BAND_COUNT + band] = sum / span;
    }
  }
  return out;
}

/** What is left of each cell when what its neighbours in time and frequency say of it is taken away; large values cut. */
function whiten(energies: Float64Array, stepCount: number): Float64Array {
  const out = new Float64Array(energies.length);
  const at = (step: number, band: number) => energies[step * BAND_COUNT + band]!;
  let squares = 0;
  for (let step = 0; step < stepCount; step++) {
    const before = Math.max(0, step - CELL_STEPS);
    const after = Math.min(stepCount - 1, step + CELL_STEPS);
    for (let band = 0; band < BAND_COUNT; band++) {
      const inTime = at(step, band) - (at(before, band) + at(after, band)) / 2;
      const low = Math.max(0, band - 1);
      const high = Math.min(BAND_COUNT - 1, band + 1);
      const neighbours =
        (at(step, low) + at(step, high)) / 2 -
        (at(before, low) + at(before, high) + at(after, low) + at(after, high)) / 4;
      const value = inTime - neighbours;
      out[step * BAND_COUNT + band] = value;
      squares += value * value;
    }
  }
  const limit = 1.5 * Math.sqrt(squares / Math.max(1, out.length)) || 1;
  for (let i = 0; i < out.length; i++) out[i] = Math.max(-limit, Math.min(limit, out[i]!));
  return out;
}

/** The best agreement over all positions of the pattern, for the whole and for each window. */
function* bestScore(cells: Float64Array, stepCount: number): Generator<undefined, number, undefined> {
  let best = 0;
  const maxCells = Math.ceil(stepCount / CELL_STEPS) + 1;
  // Sums up to each cell, so that any window costs two look-ups.
  const sums = new Float64Array(maxCells + 1);
  const squares = new Float64Array(maxCells + 1);
  for (let offset = 0; offset < PERIOD_STEPS; offset++) {
    yield;
    let cell = Math.ceil(-offset / CELL_STEPS);
    let count = 0;
    for (let step = offset + cell * CELL_STEPS; step < stepCount; step += CELL_STEPS, cell++) {
      const row = (((cell % PERIOD_CELLS) + PERIOD_CELLS) % PERIOD_CELLS) * BAND_COUNT;
      const from = step * BAND_COUNT;
      let sum = 0;
      let square = 0;
      for (let band = 0; band < BAND_COUNT; band++) {
        const value = cells[from + band]!;
        sum += value * PATTERN[row + band]!;
        square += value * value;
      }
      count++;
      sums[count] = sums[count - 1]! + sum;
      squares[count] = squares[count - 1]! + square;
    }
    best = Math.max(best, scoreOf(sums, squares, 0, count));
    for (const length of WINDOWS_CELLS) {
      for (let from = 0; from + length < count; from += length >> 2) {
        best = Math.max(best, scoreOf(sums, squares, from, from + length));
      }
    }
  }
  return best;
}

function scoreOf(sums: Float64Array, squares: Float64Array, from: number, to: number): number {
  const square = squares[to]! - squares[from]!;
  return square > 0 ? (sums[to]! - sums[from]!) / Math.sqrt(square) : 0;
}
