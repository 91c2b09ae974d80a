import type { LanguagePhonemes } from '../language.js';
import { readJyutping } from './jyutping.js';
import { loneReading } from './lone-characters.js';
import { normalizeCantonese, spokenCantonese } from './normalization.js';
import { jyutpingPhonemes } from './phonemes.js';

/**
 * The phonemes (v2) of a Cantonese text in traditional or simplified characters: normalise, read by the longest known
 * words, two phonemes a syllable. `word2ph` counts the phonemes of each character (code point) of `normalizedText`: a
 * mark has one, a character that no dictionary reads none. Text without anything readable gives no phonemes; nothing
 * is thrown.
 *
 * By default it does what the reference does, which reads everything in simplified characters and so loses what only
 * the traditional ones tell (隻 and 只, 幾 and 几), and drops characters as common as 㗎. `asSpoken` reads what is
 * written (normalization.ts, lone-characters.ts). upstream: text/cleaner.py clean_text(text, 'yue', 'v2'), text/cantonese.py
 */
export function cantonesePhonemes(text: string, { asSpoken = false } = {}): LanguagePhonemes {
  const normalizedText = asSpoken ? spokenCantonese(text) : normalizeCantonese(text);
  const phonemes: string[] = [];
  const word2ph: number[] = [];
  for (const { character, syllables } of readJyutping(normalizedText, asSpoken ? loneReading : undefined)) {
    const read = MARKS.has(character) ? [character] : syllables.flatMap(jyutpingPhonemes);
    phonemes.push(...read);
    word2ph.push(read.length);
  }
  return { normalizedText, phonemes, word2ph };
}

const MARKS: ReadonlySet<string> = new Set(['!', '?', '…', ',', '.', '-']);
