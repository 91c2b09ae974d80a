import { AppError } from '../errors.js';
import { spellFormulas } from './formulas.js';
import type {
  FixedReading,
  Language,
  LanguageMode,
  LanguagePhonemes,
  PhonemeSentence,
  SymbolVersion,
  TextSegment,
} from './language.js';
import { languageSpans, plainLetters, requireSpoken, withoutLaughter } from './language-spans.js';
import type { PolyphonePredictor } from './polyphones.js';
import { requireReadable } from './sentences.js';
import { SourceText } from './source-text.js';
import { phonemeIds } from './symbols.js';

export { readText, type SpeechItem, type SpokenText } from './read-text.js';
export { type SplitMethod, splitSentences } from './sentences.js';

export interface PhonemeOptions {
  readonly symbols: SymbolVersion;
  /** Readings that were decided outside, by place in the caller's text. */
  readonly readings?: readonly FixedReading[];
  /** Decides polyphones of Chinese in the place of our own model; absent or null: that does. */
  readonly polyphones?: PolyphonePredictor | null;
}

/**
 * Reads one sentence: splits it by language, spells it out and looks up its phonemes, with the alignment that BERT
 * features need. A result under 6 phonemes is made again with a full stop in front, as the models were served.
 * Languages are loaded when they first occur. The caller bounds the length of the text.
 *
 * Throws TEXT_EMPTY, TEXT_UNREADABLE (nothing to speak in it) and LANGUAGE_UNSUPPORTED (words in a script that the
 * language mode, or in a language that the symbol table, cannot read); no other text makes it fail.
 * upstream: TTS_infer_pack/TextPreprocessor.py get_phones_and_bert, without the features themselves
 */
export async function textToPhonemes(
  text: string | SourceText,
  { language, ...options }: { readonly language: LanguageMode } & PhonemeOptions,
): Promise<PhonemeSentence> {
  const written = SourceText.of(text);
  requireReadable(written.text);
  const single = written.replace(/\p{Surrogate}/gu, ' ').replace(/ {2,}/g, ' ');
  const sentence = await readSpans(single, language, options);
  if (sentence.phonemes.every((phoneme) => MARKS.has(phoneme))) {
    throw new AppError('TEXT_UNREADABLE', `nothing in the text can be spoken with language "${language}"`);
  }
  if (sentence.phonemes.length >= MIN_PHONEMES) return sentence;
  return readSpans(single.between(fullStopBefore(single.text), ''), language, options);
}

/**
 * The phonemes of a text in one language, without any splitting. Throws LANGUAGE_UNSUPPORTED for a language that the
 * symbol table has no phonemes for. upstream: text/cleaner.py clean_text
 */
export async function languagePhonemes(
  text: string | SourceText,
  { language, symbols, readings = [], polyphones = null }: { readonly language: Language } & PhonemeOptions,
): Promise<LanguagePhonemes> {
  requireSpoken(language, symbols);
  switch (language) {
    case 'zh': {
      const { chinesePhonemes, predictedPhonemes } = await import('./zh/chinese.js');
      if (polyphones !== null) return predictedPhonemes(text, { symbols, readings }, polyphones);
      return chinesePhonemes(text, { symbols, readings });
    }
    case 'en': {
      const { englishPhonemes } = await import('./en/english.js');
      return englishPhonemes(text, { symbols, readings });
    }
    case 'yue': {
      const { cantonesePhonemes } = await import('./yue/cantonese.js');
      return cantonesePhonemes(text, { readings });
    }
    case 'ja': {
      const { japanesePhonemes } = await import('./ja/japanese.js');
      return japanesePhonemes(text, { symbols, readings });
    }
    case 'ko': {
      const { koreanPhonemes } = await import('./ko/korean.js');
      return koreanPhonemes(text);
    }
  }
}

/** A full stop that does not make a decimal of a number (.3) or an address of a word (.net). */
function fullStopBefore(text: string): string {
  if (/^\s*\p{N}/u.test(text)) return '。';
  return /^[^\p{L}\p{N}]*\p{Script=Latin}/u.test(text) ? '. ' : '.';
}

const MIN_PHONEMES = 6;
const MARKS: ReadonlySet<string> = new Set('! ? … , . - SP SP2 SP3 UNK _ 空 停'.split(' '));

async function readSpans(text: SourceText, mode: LanguageMode, options: PhonemeOptions): Promise<PhonemeSentence> {
  const segments: TextSegment[] = [];
  const plain = spellFormulas(withoutLaughter(plainLetters(text, mode), mode), mode);
  for (const { language, start: from, end: to } of decidedSpans(plain, mode, options.readings ?? [])) {
    const source = plain.slice(from, to);
    const read = await spanPhonemes(source, language, options);
    const [start, end] = source.sourceRange(0, source.length);
    const ids = phonemeIds(read.phonemes, options.symbols);
    segments.push({ ...read, language, text: source.text, start, end, phonemeIds: ids });
  }
  return {
    text: text.text,
    normalizedText: segments.map((segment) => segment.normalizedText).join(''),
    phonemes: segments.flatMap((segment) => segment.phonemes),
    phonemeIds: segments.flatMap((segment) => segment.phonemeIds),
    units: segments.flatMap((segment) => segment.units),
    segments,
  };
}

interface Stretch {
  readonly language: Language;
  readonly start: number;
  readonly end: number;
}

/** The spans of a text, in which a word with a decided reading is in the language of that reading. */
function decidedSpans(text: SourceText, mode: LanguageMode, readings: readonly FixedReading[]): Stretch[] {
  let spans: Stretch[] = [];
  let at = 0;
  for (const span of languageSpans(text.text, mode)) {
    spans.push({ language: span.language, start: at, end: at + span.text.length });
    at += span.text.length;
  }
  for (const { start, end, language } of readings) {
    const [from, to] = text.unitsFrom(start, end);
    if (from === to || spans.every((span) => span.language === language || span.end <= from || span.start >= to))
      continue;
    const before = spans
      .filter((span) => span.start < from)
      .map((span) => ({ ...span, end: Math.min(span.end, from) }));
    const after = spans.filter((span) => span.end > to).map((span) => ({ ...span, start: Math.max(span.start, to) }));
    spans = [...before, { language, start: from, end: to }, ...after];
  }
  const merged: Stretch[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last?.language === span.language) merged[merged.length - 1] = { ...last, end: span.end };
    else merged.push(span);
  }
  return merged;
}

/** As languagePhonemes, but Cantonese as it is said rather than as the reference reads it (yue/cantonese.ts). */
async function spanPhonemes(text: SourceText, language: Language, options: PhonemeOptions): Promise<LanguagePhonemes> {
  if (language !== 'yue') return languagePhonemes(text, { language, ...options });
  requireSpoken(language, options.symbols);
  const { cantonesePhonemes } = await import('./yue/cantonese.js');
  return cantonesePhonemes(text, { asSpoken: true, readings: options.readings ?? [] });
}
