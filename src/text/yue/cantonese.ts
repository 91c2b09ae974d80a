import type { FixedReading, LanguagePhonemes, SpokenUnit } from '../language.js';
import { SourceText } from '../source-text.js';
import { readJyutping } from './jyutping.js';
import { loneReading, OWN_WORDS } from './lone-characters.js';
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
export function cantonesePhonemes(
  text: string | SourceText,
  {
    asSpoken = false,
    readings = [],
  }: { readonly asSpoken?: boolean; readonly readings?: readonly FixedReading[] } = {},
): LanguagePhonemes {
  const written = SourceText.of(text);
  const normalizedText = asSpoken ? spokenCantonese(written) : normalizeCantonese(written);
  const fixed = fixedSyllables(normalizedText, readings);
  const phonemes: string[] = [];
  const word2ph: number[] = [];
  const units: SpokenUnit[] = [];
  let at = 0;
  for (const { character, syllables, startsWord } of readJyutping(
    normalizedText.text,
    asSpoken ? loneReading : undefined,
    asSpoken ? OWN_WORDS : undefined,
  )) {
    const own = fixed.get(at);
    const said = own ? [own.syllable] : syllables;
    const read = MARKS.has(character) ? [character] : said.flatMap(jyutpingPhonemes);
    phonemes.push(...read);
    word2ph.push(read.length);
    const [start, end] = normalizedText.sourceRange(at, at + character.length);
    at += character.length;
    const rule = own?.rule ?? (MARKS.has(character) ? 'mark' : said.length === 0 ? 'unknown' : 'dictionary');
    units.push({ text: character, start, end, phonemeCount: read.length, reading: said.join(' '), rule, startsWord });
  }
  return { normalizedText: normalizedText.text, phonemes, word2ph, units };
}

/** Decided syllables by the character they stand for; one that has not a character for each syllable is passed over. */
function fixedSyllables(
  text: SourceText,
  readings: readonly FixedReading[],
): ReadonlyMap<number, { readonly syllable: string; readonly rule: string }> {
  const fixed = new Map<number, { readonly syllable: string; readonly rule: string }>();
  for (const { start, end, language, reading, rule } of readings) {
    if (language !== 'yue') continue;
    const [from, to] = text.unitsFrom(start, end);
    const characters = [...text.text.slice(from, to)];
    if (characters.length !== reading.length) continue;
    let at = from;
    characters.forEach((character, i) => {
      fixed.set(at, { syllable: reading[i]!, rule });
      at += character.length;
    });
  }
  return fixed;
}

const MARKS: ReadonlySet<string> = new Set(['!', '?', '…', ',', '.', '-']);
