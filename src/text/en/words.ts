import { englishLexicon } from './lexicon.js';

export function pronounceWord(token: string): readonly string[] {
  const word = token.toLowerCase();
  const known = englishLexicon().word(word);
  if (known) return known;
  return [...word].flatMap((letter) => englishLexicon().word(letter) ?? []);
}
