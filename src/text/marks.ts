/** Full-width marks and those of other scripts, as the symbol tables have them. upstream: rep_map of every language */
export const ASCII_MARKS: Readonly<Record<string, string>> = {
  '：': ',',
  '；': ',',
  '，': ',',
  '。': '.',
  '！': '!',
  '？': '?',
  '·': ',',
  '、': ',',
};
