import { concatenate } from '../../src/audio/concatenate.js';
import { hannWindow } from '../../src/audio/spectrogram.js';

/** How far into the next fragment upstream looks for the best match. */
export const SEARCH_SAMPLES = 320;

/**
 * Joins two renderings of the same stretch of sound: finds where `next` matches `tail` best (within the first
 * `searchSamples`), drops what is before, and fades from `tail` into it. Gives what follows the samples before `tail`.
 *
 * The overlap is the length of `tail`, or all of `next` where that is shorter: it then fades in at the end of `tail`.
 *
 * upstream: TTS_infer_pack/TTS.py sola_algorithm
 */
export function crossfade(tail: Float32Array, next: Float32Array, searchSamples = SEARCH_SAMPLES): Float32Array {
  const overlap = Math.min(tail.length, next.length);
  if (overlap === 0) return concatenate([tail, next]);
  const fading = tail.subarray(tail.length - overlap);
  const offset = bestOffset(fading, next, searchSamples);
  const out = concatenate([tail.subarray(0, tail.length - overlap), next.subarray(offset)]);
  const start = tail.length - overlap;
  const window = hannWindow(2 * overlap);
  for (let i = 0; i < overlap; i++) {
    out[start + i] = window[i]! * out[start + i]! + window[overlap + i]! * fading[i]!;
  }
  return out;
}

/**
 * Joins consecutive fragments whose ends overlap by `overlapSamples` (see {@link crossfade}).
 */
export function joinOverlapping(
  fragments: readonly Float32Array[],
  overlapSamples: number,
  searchSamples = SEARCH_SAMPLES,
): Float32Array {
  const pieces: Float32Array[] = [];
  let current: Float32Array | null = null;
  for (const fragment of fragments) {
    if (current === null) {
      current = fragment;
      continue;
    }
    const split = Math.max(0, current.length - overlapSamples);
    pieces.push(current.subarray(0, split));
    current = crossfade(current.subarray(split), fragment, searchSamples);
  }
  if (current) pieces.push(current);
  return concatenate(pieces);
}

/** The shift of `next` with the largest correlation with `tail`, divided by the energy of the part compared. */
function bestOffset(tail: Float32Array, next: Float32Array, searchSamples: number): number {
  const positions = Math.min(searchSamples, next.length - tail.length) + 1;
  let energy = 0;
  for (let i = 0; i < tail.length; i++) energy += next[i]! * next[i]!;
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let offset = 0; offset < positions; offset++) {
    let correlation = 0;
    for (let i = 0; i < tail.length; i++) correlation += tail[i]! * next[offset + i]!;
    const score = correlation / Math.sqrt(Math.max(energy, 0) + 1e-8);
    if (score > bestScore) {
      best = offset;
      bestScore = score;
    }
    const leaving = next[offset]!;
    const entering = next[offset + tail.length] ?? 0;
    energy += entering * entering - leaving * leaving;
  }
  return best;
}
