/**
 * What every language of the text front end has in common: the languages, the symbol-table generations, and the shape
 * of one language's answer. `frontend.ts` is the door; a language module lives in its own folder and is reached only
 * through it.
 */

/** `v1`: 322 symbols (zh, en, ja). `v2`: 732 symbols, used by v2, v2Pro, v2ProPlus, v3 and v4 models. */
export type SymbolVersion = 'v1' | 'v2';

/** A language that one stretch of text is read in. */
export type Language = 'zh' | 'en';

/**
 * How the caller says which languages to expect: `zh` and `auto` mix Chinese and English and give each number to the
 * language around it, `all_zh` is the same with every number read as Chinese, `en` reads everything as English
 * (upstream: `text_lang`).
 */
export type LanguageMode = 'auto' | 'zh' | 'en' | 'all_zh';

/** The phonemes of a text in one language. */
export interface LanguagePhonemes {
  /** The text as it is read: numbers spelt out, punctuation unified (upstream: `norm_text`). */
  readonly normalizedText: string;
  /** Names from the symbol table (upstream: `phones`). */
  readonly phonemes: readonly string[];
  /** Phonemes per character of `normalizedText`, which aligns BERT features; null where the language has none. */
  readonly word2ph: readonly number[] | null;
}

/** A stretch of one language inside a sentence, with its phonemes as symbol-table ids. */
export interface TextSegment extends LanguagePhonemes {
  readonly language: Language;
  readonly text: string;
  readonly phonemeIds: readonly number[];
}

/** One sentence ready for the acoustic models; segments follow one another in reading order. */
export interface PhonemeSentence {
  readonly text: string;
  readonly normalizedText: string;
  readonly phonemes: readonly string[];
  readonly phonemeIds: readonly number[];
  readonly segments: readonly TextSegment[];
}
