/**
 * What every language of the text front end has in common: the languages, the symbol-table generations, and the shape
 * of one language's answer. `frontend.ts` is the door; a language module lives in its own folder and is reached only
 * through it.
 */

/** `v1`: 322 symbols (zh, en, ja). `v2`: 732 symbols, used by v2, v2Pro, v2ProPlus, v3 and v4 models. */
export type SymbolVersion = 'v1' | 'v2';

/** A language that one stretch of text is read in. */
export type Language = 'zh' | 'en' | 'ko' | 'yue' | 'ja';

export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = {
  zh: 'Chinese',
  en: 'English',
  ko: 'Korean',
  yue: 'Cantonese',
  ja: 'Japanese',
};

/**
 * How the caller says which languages to expect (upstream: `text_lang`). `zh`, `yue`, `ja` and `ko` mix that
 * language with English and give each number to the language around it; `all_zh`, `all_yue`, `all_ja` and `all_ko` are
 * the same with every number read in that language. `auto` reads kana as Japanese, hangul as Korean, Latin letters as
 * English, and Han characters as Chinese or, where kana or the characters themselves say so, as Japanese; `auto_yue`
 * reads Cantonese where `auto` reads Chinese. `en` reads everything as English.
 */
export type LanguageMode = (typeof LANGUAGE_MODES)[number];

export const LANGUAGE_MODES = [
  'auto',
  'auto_yue',
  'zh',
  'en',
  'ja',
  'ko',
  'yue',
  'all_zh',
  'all_ja',
  'all_ko',
  'all_yue',
] as const;

/** The smallest stretch of a text whose phonemes are known apart: a Chinese character, a Korean syllable, a word. */
export interface SpokenUnit {
  /** As it stands in `normalizedText`. */
  readonly text: string;
  /** The characters of the caller's text it stands for, as UTF-16 offsets; empty for what the front end put in. */
  readonly start: number;
  readonly end: number;
  /** How many phonemes it has; those of all units, one after another, are the text's. */
  readonly phonemeCount: number;
  /** In the language's usual notation: pinyin, Jyutping, ARPAbet, hangul, katakana with the accent. Empty for what is not spoken. */
  readonly reading: string;
  /** What decided the reading, in a few words for people. */
  readonly rule: string;
  /** Whether a word begins here. */
  readonly startsWord: boolean;
}

/** A reading that someone has decided: a lexicon, the text itself, SSML. It overrides the front end's own. */
export interface FixedReading {
  /** UTF-16 offsets in the caller's text. */
  readonly start: number;
  readonly end: number;
  readonly language: Language;
  /** Chinese and Cantonese: a syllable for each character; English: ARPAbet phones; Japanese: kana with ↓. */
  readonly reading: readonly string[];
  /** Who decided, for `SpokenUnit.rule`. */
  readonly rule: string;
}

/** The phonemes of a text in one language. */
export interface LanguagePhonemes {
  /** The text as it is read: numbers spelt out, punctuation unified (upstream: `norm_text`). */
  readonly normalizedText: string;
  /** Names from the symbol table (upstream: `phones`). */
  readonly phonemes: readonly string[];
  /** Phonemes per character of `normalizedText`, which aligns BERT features; null where the language has none. */
  readonly word2ph: readonly number[] | null;
  /** Which stretch of the caller's text has which phonemes, and why. */
  readonly units: readonly SpokenUnit[];
}

/** A stretch of one language inside a sentence, with its phonemes as symbol-table ids. */
export interface TextSegment extends LanguagePhonemes {
  readonly language: Language;
  readonly text: string;
  /** Where the segment stands in the caller's text. */
  readonly start: number;
  readonly end: number;
  readonly phonemeIds: readonly number[];
}

/** One sentence ready for the acoustic models; segments follow one another in reading order. */
export interface PhonemeSentence {
  readonly text: string;
  readonly normalizedText: string;
  readonly phonemes: readonly string[];
  readonly phonemeIds: readonly number[];
  readonly units: readonly SpokenUnit[];
  readonly segments: readonly TextSegment[];
}
