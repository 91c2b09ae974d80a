/**
 * Words and marks of a normalised English text (letters, `'`, `-`, `.`, `,`, `?`, `!` and spaces). A word of three or
 * more characters keeps its inner apostrophes and hyphens; anything else is a run of letters or a single mark.
 * upstream: nltk.tokenize.TweetTokenizer, as far as this alphabet reaches
 */
export function tokenize(text: string): string[] {
  return text.match(/[A-Za-z][A-Za-z'-]+[A-Za-z]|[A-Za-z]+|\S/g) ?? [];
}
