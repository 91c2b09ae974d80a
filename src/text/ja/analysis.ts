import { formAccentPhrases } from './accent-phrases.js';
import { chainAccents } from './accent-types.js';
import { getDictionary } from './dictionary.js';
import { cutWords, MAX_LENGTH, NOUN } from './lattice.js';
import { readNumerals } from './numerals.js';
import { PLACED } from './placed-readings.js';
import { pronounceUnknown } from './pronunciation.js';
import type { Word } from './words.js';

/**
 * The words of a text without marks, with their pronunciation, accent phrases and accents; letters and figures are full
 * width. `isSpelt` says of figures by their place that they are read one by one; `placed` are words whose reading was
 * decided outside, each standing in the text as a character of its own.
 * upstream: pyopenjtalk run_frontend (Open JTalk 1.11)
 */
export function analyseJapanese(
  text: string,
  isSpelt: (start: number) => boolean = () => false,
  placed: ReadonlyMap<string, Word> = new Map(),
): Word[] {
  const dictionary = getDictionary();
  const words: Word[] = [];
  const cut = (from: number, to: number): void => {
    for (let at = from; at < to; at += MAX_LENGTH) {
      const end = Math.min(to, at + MAX_LENGTH);
      const before = at === from && at > 0 ? NOUN : undefined;
      const after = end === to && end < text.length ? NOUN : undefined;
      for (const word of cutWords(dictionary, text.slice(at, end), before, after)) {
        word.start += at;
        word.end += at;
        words.push(word);
      }
    }
  };
  let from = 0;
  for (const { index, 0: character } of text.matchAll(PLACED)) {
    cut(from, index);
    const word = placed.get(character);
    if (word !== undefined) words.push({ ...word, start: index, end: index + 1 });
    from = index + 1;
  }
  cut(from, text.length);
  const read = readNumerals(pronounceUnknown(words), isSpelt);
  formAccentPhrases(read);
  chainAccents(read);
  return read;
}
