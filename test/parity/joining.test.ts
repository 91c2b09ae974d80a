import { describe, expect, it } from 'vitest';
import { largestDifference, noise, sine } from '../fixtures/signals.js';
import { crossfade, joinOverlapping } from './crossfade.js';
import { finishSentence } from './postprocess.js';

describe('crossfade', () => {
  it('finds the shift at which two renderings agree, and joins them without a seam', () => {
    const whole = sine(220, 32_000, 6000);
    const first = whole.slice(0, 3000);
    // The same sound, but 57 samples early: the crossfade has to skip them.
    const second = whole.slice(3000 - 400 - 57);
    const joined = joinOverlapping([first, second], 400);
    expect(joined).toHaveLength(6000);
    expect(largestDifference(joined, whole, 0, 6000)).toBeLessThan(1e-6);
  });

  it('manages fragments shorter than the overlap and than the search', () => {
    expect(crossfade(noise(100), noise(40), 320)).toHaveLength(100);
    expect(crossfade(noise(100), noise(110), 320).length).toBeGreaterThanOrEqual(100);
    expect(crossfade(new Float32Array(0), noise(5))).toHaveLength(5);
    expect(crossfade(noise(5), new Float32Array(0))).toHaveLength(5);
    expect(joinOverlapping([], 10)).toHaveLength(0);
    expect(joinOverlapping([noise(3), noise(3), noise(3)], 10)).toHaveLength(3);
  });
});

describe('finishSentence', () => {
  it('lowers only what is above full scale, and adds the silence', () => {
    const quiet = Float32Array.of(0.5, -0.25);
    expect(finishSentence(quiet, 0)).toBe(quiet);
    expect(Array.from(finishSentence(Float32Array.of(2, -1), 2))).toEqual([1, -0.5, 0, 0]);
  });
});
