import type { FixedReading, LanguagePhonemes, SpokenUnit, SymbolVersion } from '../language.js';
import { SourceText } from '../source-text.js';
import { homographPhones, isHomograph } from './homographs.js';
import { englishLexicon } from './lexicon.js';
import { spellEnglish } from './normalization.js';
import { tokenize } from './tokens.js';
import { type Pronunciation, pronounce } from './words.js';

/**
 * The phonemes of an English text: spells out numbers and signs, cuts into words, looks each one up, chooses among
 * pronunciations by part of speech, and sounds out what the lexicon lacks. Fewer than four phonemes get a comma in
 * front, as the models were trained. Nothing is thrown. upstream: text/english.py g2p, text/cleaner.py clean_text
 */
export function englishPhonemes(
  text: string | SourceText,
  options: { readonly symbols: SymbolVersion; readonly readings?: readonly FixedReading[] },
): LanguagePhonemes {
  // English phonemes are the same in both symbol tables.
  const normalizedText = spellEnglish(SourceText.of(text));
  const { tokens, starts } = tokenize(normalizedText.text);
  const readings = (options.readings ?? []).filter(({ language }) => language === 'en');
  const units = tokens.map((token, i): Unit => {
    const at = starts[i]!;
    const [start, end] = normalizedText.sourceRange(at, at + token.length);
    const fixed = readings.find((reading) => start < reading.end && end > reading.start);
    if (fixed) {
      // A word that normalisation took apart is said once.
      const before = i > 0 ? normalizedText.sourceRange(starts[i - 1]!, starts[i - 1]! + tokens[i - 1]!.length) : null;
      const isFirst = before === null || before[1] <= fixed.start;
      return unitOf(token, start, end, { phones: isFirst ? fixed.reading : [], rule: fixed.rule });
    }
    return unitOf(token, start, end, tokenPhones(token, tokens, i));
  });
  const count = units.reduce((sum, { phones }) => sum + phones.length, 0);
  if (count < MIN_PHONEMES) {
    const at = units[0]?.unit.start ?? 0;
    units.unshift(unitOf(',', at, at, { phones: [','], rule: 'short text' }));
  }
  return {
    normalizedText: normalizedText.text,
    phonemes: units.flatMap(({ phones }) => phones),
    word2ph: null,
    units: units.map(({ unit }) => unit),
  };
}

const MIN_PHONEMES = 4;

interface Unit {
  readonly unit: SpokenUnit;
  readonly phones: readonly string[];
}

function unitOf(text: string, start: number, end: number, { phones, rule }: Pronunciation): Unit {
  const reading = rule === 'mark' || rule === 'short text' ? '' : phones.join(' ');
  return { phones, unit: { text, start, end, phonemeCount: phones.length, reading, rule, startsWord: true } };
}

function tokenPhones(token: string, tokens: readonly string[], index: number): Pronunciation {
  if (!/[A-Za-z]/.test(token)) return { phones: [token === "'" ? '-' : token], rule: 'mark' };
  // A capital A is the letter's name, also at the start of a sentence: the models were trained so.
  if (token === 'A') return { phones: ['EY1'], rule: 'letter' };
  const word = token.toLowerCase();
  if (word.length === 1) return { phones: englishLexicon().word(word) ?? [], rule: 'letter' };
  if (isHomograph(word)) return { phones: homographPhones(word, tokens, index), rule: 'part of speech' };
  return pronounce(token);
}
