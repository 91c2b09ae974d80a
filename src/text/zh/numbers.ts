/** Arabic numerals in Chinese characters, as upstream reads them (zh_normalization/num.py). */

const DIGITS = '零一二三四五六七八九';
const UNITS: readonly (readonly [number, string])[] = [
  [8, '亿'],
  [4, '万'],
  [3, '千'],
  [2, '百'],
  [1, '十'],
];
/** Beyond 亿亿 nobody counts; longer integers are read digit by digit. */
const LONGEST_CARDINAL = 16;

/** `1024` -> 一千零二十四; leading zeros are ignored; integers over 16 digits are read digit by digit. */
export function cardinal(digits: string): string {
  const trimmed = digits.replace(/^0+/, '');
  if (digits === '') return '';
  if (trimmed === '') return '零';
  if (trimmed.length > LONGEST_CARDINAL) return digitByDigit(trimmed);
  const read = cardinalParts(trimmed);
  return read.startsWith('一十') ? read.slice(1) : read;
}

/** `1024` -> 一零二四, or 幺零二四 with `yao` (telephone numbers, codes). */
export function digitByDigit(digits: string, { yao = false } = {}): string {
  let read = '';
  for (const digit of digits) read += DIGITS[Number(digit)] ?? '';
  return yao ? read.replaceAll('一', '幺') : read;
}

/** `3.20` -> 三点二零, `.5` -> 零点五, `12` -> 十二; no sign. Of trailing zeros after the point one is read. */
export function decimal(number: string): string {
  const [integer = '', fraction = ''] = number.split('.');
  const read = cardinal(integer);
  let end = fraction.length;
  while (fraction[end - 1] === '0') end--;
  const kept = fraction.slice(0, end) + (end < fraction.length ? '0' : '');
  return kept === '' ? read : `${read || '零'}点${digitByDigit(kept)}`;
}

function cardinalParts(digits: string): string {
  const trimmed = digits.replace(/^0+/, '');
  if (trimmed === '') return '';
  if (trimmed.length === 1) return (trimmed.length < digits.length ? '零' : '') + DIGITS[Number(trimmed)];
  const [power, unit] = UNITS.find(([size]) => size < trimmed.length)!; // 1 < length always finds one
  return cardinalParts(digits.slice(0, -power)) + unit + cardinalParts(digits.slice(-power));
}
