import fc from 'fast-check';
import { expect, it } from 'vitest';
import { addEdits, edits, errorRate } from '../../scripts/eval-demo/edit-distance.js';
import { wordsOf } from '../../scripts/eval-demo/english-recogniser.js';

const count = (said: string, heard: string) => edits(said.split(' ').filter(Boolean), heard.split(' ').filter(Boolean));

it('counts what was changed, missed and added', () => {
  expect(count('a b c', 'a b c')).toEqual({ substitutions: 0, deletions: 0, insertions: 0, said: 3 });
  expect(count('a b c', 'a x c')).toMatchObject({ substitutions: 1, deletions: 0, insertions: 0 });
  expect(count('a b c', 'a c')).toMatchObject({ substitutions: 0, deletions: 1, insertions: 0 });
  expect(count('a c', 'a b c')).toMatchObject({ substitutions: 0, deletions: 0, insertions: 1 });
  expect(count('', 'a b')).toMatchObject({ insertions: 2, said: 0 });
  expect(count('a b', '')).toMatchObject({ deletions: 2 });
});

it('gives rates over all that was said, above one where much was added', () => {
  expect(errorRate(addEdits([count('a b', 'a b'), count('c d', 'x')]))).toBe(0.5);
  expect(errorRate(count('a', 'b c d'))).toBe(3);
  expect(errorRate(addEdits([]))).toBe(0);
});

it('never needs more edits than the longer sequence has places, and is symmetric', () => {
  const words = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 });
  fc.assert(
    fc.property(words, words, (a, b) => {
      const there = edits(a, b);
      const back = edits(b, a);
      const total = (found: typeof there) => found.substitutions + found.deletions + found.insertions;
      expect(total(there)).toBe(total(back));
      expect(total(there)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(total(there) === 0).toBe(a.join() === b.join());
      expect(a.length - there.deletions + there.insertions).toBe(b.length);
    }),
  );
});

it('compares words without case and marks', () => {
  expect(wordsOf("And there's no chivalry, no -- QUARTER.")).toEqual([
    'and',
    "there's",
    'no',
    'chivalry',
    'no',
    'quarter',
  ]);
});
