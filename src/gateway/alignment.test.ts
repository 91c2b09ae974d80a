import fc from 'fast-check';
import { expect, it } from 'vitest';
import { alignText, type TimedSpan } from './alignment.js';

const span = (start: number, end: number, startSeconds: number, endSeconds: number, startsWord = true): TimedSpan => ({
  start,
  end,
  startSeconds,
  endSeconds,
  startsWord,
});

it('spreads a text of which nothing is known evenly, marks and spaces taking no time', () => {
  expect(alignText('ab, c', { startSeconds: 1, endSeconds: 4 })).toEqual({
    characters: ['a', 'b', ',', ' ', 'c'],
    startSeconds: [1, 2, 3, 3, 3],
    endSeconds: [2, 3, 3, 3, 4],
    words: [],
  });
});

it('gives a span its time, and the pause between two to what is written between them, else to the one before', () => {
  const spans = [span(0, 2, 0, 1), span(2, 3, 1, 1.5, false), span(4, 5, 2, 3), span(5, 6, 3.5, 4)];
  expect(alignText('ab, cd', { startSeconds: 0, endSeconds: 4 }, spans)).toEqual({
    characters: ['a', 'b', ',', ' ', 'c', 'd'],
    startSeconds: [0, 0.5, 1, 1.5, 2, 3.5],
    endSeconds: [0.5, 1, 1.5, 2, 3.5, 4],
    words: [
      { start: 0, end: 2, startSeconds: 0, endSeconds: 1 },
      { start: 4, end: 5, startSeconds: 2, endSeconds: 3 },
      { start: 5, end: 6, startSeconds: 3.5, endSeconds: 4 },
    ],
  });
});

it('joins the syllables of a word', () => {
  const { words } = alignText('今天', { startSeconds: 0, endSeconds: 2 }, [span(0, 1, 0, 1), span(1, 2, 1, 2, false)]);
  expect(words).toEqual([{ start: 0, end: 2, startSeconds: 0, endSeconds: 2 }]);
});

it('gives tags no time: a pause that only they make belongs to the span before, one before all text to nobody', () => {
  const text = '<speak><break/>a<b>b</b>.<break/>c</speak>';
  const spans = [span(15, 16, 1, 2), span(19, 20, 2, 3, false), span(24, 25, 3, 4), span(33, 34, 5, 6)];
  const markup = Uint8Array.from(
    text.replace(/<.*?>/g, (tag) => '1'.repeat(tag.length)),
    (unit) => Number(unit === '1'),
  );
  const { characters, startSeconds, endSeconds, words } = alignText(text, { startSeconds: 0, endSeconds: 7 }, spans, {
    markup,
  });
  expect(characters.join('')).toBe(text);
  const times = characters.map((character, i) => [character, startSeconds[i], endSeconds[i]] as const);
  expect(times.filter((_, i) => markup[i] === 0)).toEqual([
    ['a', 1, 2],
    ['b', 2, 3],
    ['.', 3, 5],
    ['c', 5, 7],
  ]);
  expect(times.filter(([, start, end], i) => markup[i] === 1 && start !== end)).toEqual([]);
  expect(startSeconds).toEqual(startSeconds.toSorted((one, other) => one - other));
  expect(words).toEqual([
    { start: 15, end: 20, startSeconds: 1, endSeconds: 3 },
    { start: 33, end: 34, startSeconds: 5, endSeconds: 6 },
  ]);
});

it('covers the text and the time without gap or step back, whatever the spans', () => {
  const places = fc.array(fc.tuple(fc.nat(30), fc.nat(30), fc.nat(50), fc.nat(50), fc.boolean()), { maxLength: 8 });
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), places, (text, drawn) => {
      const spans = drawn
        .map(([a, b, c, d, e]) => span(Math.min(a, b), Math.max(a, b), Math.min(c, d) / 10, Math.max(c, d) / 10, e))
        .sort((one, other) => one.start - other.start);
      const { characters, startSeconds, endSeconds, words } = alignText(
        text,
        { startSeconds: 1, endSeconds: 4 },
        spans,
      );
      expect(characters).toEqual([...text]);
      if (text === '') return;
      expect([startSeconds[0], endSeconds.at(-1)]).toEqual([1, 4]);
      for (const [i, end] of endSeconds.entries()) {
        expect(end).toBeGreaterThanOrEqual(startSeconds[i] ?? 0);
        if (i > 0) expect(startSeconds[i]).toBe(endSeconds[i - 1]);
      }
      for (const [i, word] of words.entries()) {
        expect(word.endSeconds).toBeGreaterThanOrEqual(word.startSeconds);
        if (i > 0) expect(word.start).toBeGreaterThanOrEqual(words[i - 1]?.end ?? 0);
        if (i > 0) expect(word.startSeconds).toBeGreaterThanOrEqual(words[i - 1]?.endSeconds ?? 0);
      }
    }),
  );
});
