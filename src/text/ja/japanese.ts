import type { FixedReading, LanguagePhonemes, SpokenUnit, SymbolVersion } from '../language.js';
import { ASCII_MARKS } from '../marks.js';
import { SourceText } from '../source-text.js';
import { isSymbol } from '../symbols.js';
import { analyseJapanese } from './analysis.js';
import { normalizeJapanese as normalize, SPELT } from './normalization.js';
import { PLACED_CHARACTERS, type PlacedReadings, placeReadings } from './placed-readings.js';
import { prosodicPhonemes } from './prosody.js';
import { FILLER, type Word } from './words.js';

/** A Japanese text as it is read (normalization.ts), but for numbers, which the analyser reads with what they count. */
export function normalizeJapanese(text: string): string {
  return normalize(SourceText.of(text)).replaceAll(SPELT, '').text;
}

/**
 * The phonemes of a Japanese text with pitch marks (see `prosody.ts`). What the table has no symbol for is UNK, as the
 * models were trained: borders of accent phrases, brackets and other marks, and with v1 rises and falls too. `word2ph` is
 * null. Nothing is thrown. upstream: text/japanese.py g2p
 */
export function japanesePhonemes(
  text: string | SourceText,
  {
    symbols = 'v2',
    readings = [],
  }: { readonly symbols?: SymbolVersion; readonly readings?: readonly FixedReading[] } = {},
): LanguagePhonemes {
  const normalized = normalize(SourceText.of(text));
  const placed = placeReadings(normalized, readings);
  const source = placed.text;
  const phonemes: string[] = [];
  const units: SpokenUnit[] = [];
  const known = (phoneme: string): string => (isSymbol(phoneme, symbols) ? phoneme : 'UNK');
  for (const match of source.text.matchAll(PIECE)) {
    const [piece, mark] = match;
    if (mark === undefined) readPiece(source.slice(match.index, match.index + piece.length), placed, phonemes, units);
    else if (mark !== ' ') {
      const [start, end] = source.sourceRange(match.index, match.index + mark.length);
      phonemes.push(MARKS[mark] ?? mark);
      units.push({ text: mark, start, end, phonemeCount: 1, reading: '', rule: 'mark', startsWord: false });
    }
  }
  return { normalizedText: normalized.replaceAll(SPELT, '').text, phonemes: phonemes.map(known), word2ph: null, units };
}

/** What the analyser reads, or one mark. */
const ANALYSED = `A-Za-z0-9々〇\u3041-\u30ff\u4e00-\u9fff．${SPELT}${PLACED_CHARACTERS}`;
const PIECE = new RegExp(`[${ANALYSED}]+|([^${ANALYSED}])`, 'gu');

function readPiece(source: SourceText, placed: PlacedReadings, phonemes: string[], units: SpokenUnit[]): void {
  // Figures to be spelt are followed by a mark that the analyser does not see.
  const plain = source.replaceAll(SPELT, '');
  const spelt = new Set<number>();
  let marks = 0;
  for (const { index } of source.text.matchAll(SPELT_FIGURES)) {
    spelt.add(index - marks);
    marks++;
  }
  const words = analyseJapanese(fullWidth(plain.text), (at) => spelt.has(at), placed.words);
  const read = prosodicPhonemes(words);
  phonemes.push(...read.phonemes);
  words.forEach((word, i) => {
    const [start, end] = plain.sourceRange(word.start, word.end);
    const phonemeCount = read.counts[i] ?? 0;
    const startsWord = word.joins !== true;
    const written = plain.text.slice(word.start, word.end);
    const text = placed.words.get(written)?.text ?? written;
    const rule = placed.rules.get(written) ?? ruleOf(word);
    units.push({ text, start, end, phonemeCount, reading: readingOf(word), rule, startsWord });
  });
}

const SPELT_FIGURES = new RegExp(`(?<![0-9])[0-9]+${SPELT}`, 'g');

/** Letters and figures as the dictionary writes them. */
function fullWidth(text: string): string {
  return text.toLowerCase().replace(/[a-z0-9]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) + 0xfee0));
}

/** Katakana with the mora after which the pitch falls, of the words that begin a phrase: ハシ/2. */
function readingOf(word: Word): string {
  return word.joins === true ? word.pronunciation : `${word.pronunciation}/${word.accent}`;
}

function ruleOf(word: Word): string {
  if (word.pos === FILLER) return 'as written';
  return word.group1 === '数' || word.group2 === '助数詞' ? 'number and counter' : 'dictionary';
}

/** Marks that have another's symbol. upstream: text/japanese.py post_replace_ph */
const MARKS: Readonly<Record<string, string>> = {
  ...ASCII_MARKS,
  '\n': '.',
};
