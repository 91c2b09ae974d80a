/**
 * Words and marks of a normalised English text (letters, `'`, `-`, `.`, `,`, `?`, `!` and spaces), and where each begins.
 * A word of three or more characters keeps its inner apostrophes and hyphens; anything else is a run of letters or a
 * single mark. upstream: nltk.tokenize.TweetTokenizer, as far as this alphabet reaches
 */
export function tokenize(text: string): { readonly tokens: readonly string[]; readonly starts: readonly number[] } {
  const matches = [...text.matchAll(/[A-Za-z][A-Za-z'-]+[A-Za-z]|[A-Za-z]+|\S/g)];
  return { tokens: matches.map(([token]) => token), starts: matches.map(({ index }) => index) };
}
