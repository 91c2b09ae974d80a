import type { LanguagePhonemes, SymbolVersion } from '../language.js';
import { homographPhones, isHomograph } from './homographs.js';
import { englishLexicon } from './lexicon.js';
import { normalizeEnglish } from './normalization.js';
import { tokenize } from './tokens.js';
import { pronounceWord } from './words.js';

/**
 * The phonemes of an English text: spells out numbers and signs, cuts into words, looks each one up, chooses among
 * pronunciations by part of speech, and sounds out what the lexicon lacks. Fewer than four phonemes get a comma in
 * front, as the models were trained. Nothing is thrown. upstream: text/english.py g2p, text/cleaner.py clean_text
 */
export function englishPhonemes(text: string, options: { readonly symbols: SymbolVersion }): LanguagePhonemes {
  void options; // English phonemes are the same in both symbol tables.
  const normalizedText = normalizeEnglish(text);
  const tokens = tokenize(normalizedText);
  const phonemes = tokens.flatMap((token, i) => tokenPhones(token, tokens, i));
  return {
    normalizedText,
    phonemes: phonemes.length < MIN_PHONEMES ? [',', ...phonemes] : phonemes,
    word2ph: null,
  };
}

const MIN_PHONEMES = 4;

function tokenPhones(token: string, tokens: readonly string[], index: number): readonly string[] {
  if (!/[A-Za-z]/.test(token)) return [token === "'" ? '-' : token];
  // A capital A is the letter's name, also at the start of a sentence: the models were trained so.
  if (token === 'A') return ['EY1'];
  const word = token.toLowerCase();
  if (word.length === 1) return englishLexicon().word(word) ?? [];
  if (isHomograph(word)) return homographPhones(word, tokens, index);
  return pronounceWord(token);
}
