import type { FixedReading } from '../language.js';
import { SourceText } from '../source-text.js';
import { toKatakana } from './kana.js';
import { countMorae, madeWord, type Word } from './words.js';

/** A text in which each word with a decided reading is one private-use character, which the analyser takes as a noun. */
export interface PlacedReadings {
  readonly text: SourceText;
  /** Word and rule by character. */
  readonly words: ReadonlyMap<string, Word>;
  readonly rules: ReadonlyMap<string, string>;
}

/** The characters that stand for words; a caller's own never get here (normalization.ts). */
export const PLACED_CHARACTERS = '\\ue000-\\uf8ff';
export const PLACED: RegExp = new RegExp(`[${PLACED_CHARACTERS}]`, 'g');
const FIRST = 0xe000;
const MOST = 0xf8ff - FIRST + 1;

/** Puts the readings of Japanese words into a text. Those of words that are no longer in it are left out. */
export function placeReadings(text: SourceText, readings: readonly FixedReading[]): PlacedReadings {
  const words = new Map<string, Word>();
  const rules = new Map<string, string>();
  const pieces: SourceText[] = [];
  let done = 0;
  for (const { start, end, language, reading, rule } of [...readings].sort((a, b) => a.start - b.start)) {
    const [from, to] = text.unitsFrom(start, end);
    const kana = reading.join('');
    if (language !== 'ja' || from === to || from < done || kana === '' || words.size === MOST) continue;
    const character = String.fromCharCode(FIRST + words.size);
    const written = text.slice(from, to);
    words.set(character, wordOf(written.text, kana));
    rules.set(character, rule);
    pieces.push(
      text.slice(done, from),
      written.replace(/^.*$/s, () => character),
    );
    done = to;
  }
  if (words.size === 0) return { text, words, rules };
  return { text: SourceText.join([...pieces, text.slice(done)]), words, rules };
}

/** `とうきょ↓う`: a fall after キョ; without a mark the pitch does not fall. Long vowels are heard as such. */
function wordOf(text: string, kana: string): Word {
  const [before = '', after] = toKatakana(kana).split('↓');
  const lengthened = (part: string, previous: string): string =>
    (previous + part)
      .replace(/(?<=[オコソトノホモヨロゴゾドボポョ])ウ|(?<=[エケセテネヘメレゲゼデベペェ])イ/g, 'ー')
      .slice(previous.length);
  const head = lengthened(before, '');
  const pronunciation = head + lengthened(after ?? '', before.slice(-1));
  return madeWord({
    text,
    start: 0,
    end: 0,
    pronunciation,
    accent: after === undefined ? 0 : countMorae(head),
    morae: countMorae(pronunciation),
    group1: '一般',
  });
}
