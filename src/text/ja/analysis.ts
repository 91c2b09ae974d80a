import { formAccentPhrases } from './accent-phrases.js';
import { chainAccents } from './accent-types.js';
import { getDictionary } from './dictionary.js';
import { cutWords, MAX_LENGTH } from './lattice.js';
import { readNumerals } from './numerals.js';
import { pronounceUnknown } from './pronunciation.js';
import type { Word } from './words.js';

/**
 * The words of a text without marks, with their pronunciation, accent phrases and accents; letters and figures are full
 * width. `isSpelt` says of figures by their place that they are read one by one.
 * upstream: pyopenjtalk run_frontend (Open JTalk 1.11)
 */
export function analyseJapanese(text: string, isSpelt: (start: number) => boolean = () => false): Word[] {
  const dictionary = getDictionary();
  const words: Word[] = [];
  for (let at = 0; at < text.length; at += MAX_LENGTH) {
    for (const word of cutWords(dictionary, text.slice(at, at + MAX_LENGTH))) {
      word.start += at;
      word.end += at;
      words.push(word);
    }
  }
  const read = readNumerals(pronounceUnknown(words), isSpelt);
  formAccentPhrases(read);
  chainAccents(read);
  return read;
}
