/**
 * What the reference reads wrongly in a Japanese text and we read right on purpose, or null. A golden row of such a text
 * is no measure of parity. The patterns describe the reference's mistakes, not our rules.
 */
export function japaneseImprovement(text: string): string | null {
  for (const [item, pattern] of ITEMS) if (pattern.test(text)) return item;
  return null;
}

const ITEMS: readonly (readonly [string, RegExp])[] = [
  // Its splitter ends the sentence at every mark inside a number: 15.3 is 十五。三, 1,234 is 一、二百三十四.
  ['decimal point or separator', /\d[.,．，]\d/],
  ['telephone number, range, date or negative number', /\d[-‐−–—/〜～~:]\d|[-−]\d/],
  [
    'unit or sign',
    /[\d０-９]\s?[%℃°㎏㎝㎞]|\d\s?(?:k?m|kg|g|cm|mm|[kMGT]B|Hz|ml|mL|L|km\/h)(?![A-Za-z])|[$€£¥￥]\s?\d/,
  ],
  ['full-width zero', /０/],
  ['numeral 〇', /[〇○]/],
  ['half-width voicing mark', /[ﾞﾟ]/],
  ['fraction', /\d分の\d/],
  ['number that names', /(?:番号|コード|口座)[はがをの]?\s?\d{3,}/],
  ['long vowel written as a wave', /[ぁ-んァ-ヶ][〜～~]/],
  ['web or e-mail address', /@|https?:|www\.|\.(?:com|jp|net|org)/],
  ['pictograph or ornament', /\p{Extended_Pictographic}|[♪☆★●◆■※]/u],
  ['hot food read as a hardship', /辛い(?:料理|カレー|ラーメン|もの|スープ)/],
  ['trace of people read as their favour', /人気のない道/],
  ['signs of arithmetic and of companies', /[&＆㈱]|\(株\)|（株）|[+×÷=±]\s?\d/],
];
