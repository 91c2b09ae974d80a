import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SourceText } from '../text/source-text.js';
import { phonemeStarts } from './phoneme-times.js';
import { spokenSpans } from './spoken-spans.js';

/** Attention of `looked.length` frames, each with a share at one phoneme and the rest anywhere. */
function lookingAt(looked: readonly number[], count: number, share = 0.5): Float32Array {
  const attention = new Float32Array(looked.length * count).fill((1 - share) / count);
  for (const [frame, phoneme] of looked.entries()) attention[frame * count + phoneme]! += share;
  return attention;
}

it('begins phonemes where the attention moves on to them', () => {
  expect([...phonemeStarts(lookingAt([0, 0, 1, 1, 1, 2, 3, 3], 4), [5, 6, 7, 8])]).toEqual([0, 2, 5, 6, 8]);
});

it('never goes back, though the attention confuses phonemes of one kind', () => {
  // "banana": the second n and the second a are looked at for the first ones.
  const looked = [0, 0, 1, 1, 4, 2, 1, 3, 2, 4, 4, 5, 5];
  expect([...phonemeStarts(lookingAt(looked, 6), [1, 2, 3, 2, 3, 2])]).toEqual([0, 2, 4, 6, 8, 11, 13]);
});

it('leaves out a phoneme that is not said', () => {
  expect([...phonemeStarts(lookingAt([0, 0, 0, 2, 2, 2], 3, 1), [1, 2, 3])]).toEqual([0, 3, 3, 6]);
});

it('spreads phonemes evenly where the attention says nothing, or there are fewer frames than phonemes', () => {
  expect([...phonemeStarts(new Float32Array(8 * 4).fill(0.25), [1, 2, 3, 4])]).toEqual([0, 2, 4, 6, 8]);
  expect([...phonemeStarts(lookingAt([0, 3], 4), [1, 2, 3, 4])]).toEqual([0, 1, 1, 2, 2]);
  expect([...phonemeStarts(new Float32Array(), [1, 2])]).toEqual([0, 0, 0]);
});

it('is in order for any attention, from the first frame to the last', () => {
  const weights = fc.array(fc.float({ min: 0, max: 1, noNaN: true }), { minLength: 60, maxLength: 60 });
  fc.assert(
    fc.property(weights, fc.constantFrom(1, 2, 3, 5, 12, 30), (values, count) => {
      const starts = phonemeStarts(
        Float32Array.from(values),
        new Array<number>(count).fill(0).map((_, i) => i % 3),
      );
      expect([starts[0], starts.at(-1), starts.length]).toEqual([0, 60 / count, count + 1]);
      for (let i = 1; i < starts.length; i++) expect(starts[i]).toBeGreaterThanOrEqual(starts[i - 1]!);
    }),
  );
});

it('gives stretches of text the samples of their phonemes, in the order of the text', () => {
  const unit = (start: number, end: number, phonemeCount: number, startsWord = true) => ({
    ...{ text: '', reading: 'x', rule: '' },
    ...{ start, end, phonemeCount, startsWord },
  });
  // A full stop that was put in, "It's", "$3" as three dollars, and a closing mark.
  const units = [unit(0, 0, 1), unit(0, 4, 2), unit(6, 7, 1), unit(5, 6, 2, false), unit(7, 8, 1)];
  const text = SourceText.of('It’s $3.', 10);
  expect(spokenSpans({ units }, text, [0, 100, 200, 300, 400, 500, 600, 700])).toEqual([
    { start: 10, end: 14, startSample: 0, endSample: 300, startsWord: true },
    { start: 15, end: 17, startSample: 300, endSample: 600, startsWord: true },
    { start: 17, end: 18, startSample: 600, endSample: 700, startsWord: true },
  ]);
});
