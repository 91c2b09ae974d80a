const ONES =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = ',,twenty,thirty,forty,fifty,sixty,seventy,eighty,ninety'.split(',');
const SCALES = ['', 'thousand', 'million', 'billion', 'trillion', 'quadrillion'];
const IRREGULAR_ORDINALS: Record<string, string> = {
  one: 'first',
  two: 'second',
  three: 'third',
  five: 'fifth',
  eight: 'eighth',
  nine: 'ninth',
  twelve: 'twelfth',
};
/** Up to here a number is read as a quantity; a longer string of digits is read digit by digit. */
const MOST_DIGITS = 15;

/**
 * A whole number in words, American style: "one million, two hundred thirty-four thousand, five hundred". Strings of
 * more than 15 digits are read digit by digit. upstream: inflect number_to_words with andword=""
 */
export function cardinal(digits: string): string {
  const plain = digits.replace(/^0+(?=\d)/, '');
  if (plain.length > MOST_DIGITS) return digitByDigit(digits);
  const value = Number(plain);
  if (value === 0) return 'zero';
  const groups: string[] = [];
  for (let rest = value, scale = 0; rest > 0; rest = Math.floor(rest / 1000), scale++) {
    const group = rest % 1000;
    if (group > 0) groups.unshift(`${underThousand(group, '')}${scale > 0 ? ` ${SCALES[scale]}` : ''}`);
  }
  // "eight thousand eighty": no pause before a last group under a hundred.
  const last = value % 1000;
  if (groups.length > 1 && last > 0 && last < 100) groups.push(`${groups.splice(-2).join(' ')}`);
  return groups.join(', ');
}

/** A bare number as English speakers read it: 1984 "nineteen eighty-four", 1500 "fifteen hundred", 2005 "two thousand five". */
export function plainNumber(digits: string): string {
  const value = Number(digits);
  if (digits.length === 4 && value > 1000 && value < 3000) return yearLike(value);
  return cardinal(digits);
}

/** 21 → "twenty-first", 100 → "one hundredth", 101 → "one hundred and first". */
export function ordinal(digits: string): string {
  const value = Number(digits);
  if (digits.length > MOST_DIGITS) return `${digitByDigit(digits)}th`;
  const low = value % 1000;
  const high = value - low;
  const words =
    low === 0 ? cardinal(digits) : `${high > 0 ? `${cardinal(String(high))} ` : ''}${underThousand(low, 'and ')}`;
  return toOrdinal(high > 0 && low > 0 && low < 100 ? words.replace(/ (\S+)$/, ' and $1') : words);
}

/** "3.14" → "three point one four"; ".5" → "point five"; a leading sign is not expected. */
export function decimal(whole: string, fraction: string): string {
  const words = whole === '' ? 'point' : `${cardinal(whole)} point`;
  return `${words} ${digitByDigit(fraction)}`;
}

/** "820" → "eight two zero". */
export function digitByDigit(digits: string): string {
  return [...digits].map((digit) => ONES[Number(digit)] ?? '').join(' ');
}

/** A fraction: "one half", "three fourths", "seven twelfths". */
export function fraction(numerator: string, denominator: string): string {
  const top = cardinal(numerator);
  const below = Number(denominator);
  const many = Number(numerator) > 1;
  if (below === 0) return `${top} over zero`;
  if (below === 1) return `${top} to one`;
  if (below === 2) return `${top} ${many ? 'halves' : 'half'}`;
  const words = ordinal(denominator);
  return `${top} ${many ? `${words}s` : words}`;
}

/** "nineteen nineties" for 1990; "twenties" for 20; undefined when there is no such decade. */
export function decade(digits: string): string | undefined {
  const value = Number(digits);
  const tens = TENS[Math.floor((value % 100) / 10)];
  if (value % 10 !== 0) return undefined;
  if (digits.length === 2) return tens === '' || tens === undefined ? undefined : plural(tens);
  if (digits.length !== 4) return undefined;
  const century = Math.floor(value / 100);
  if (value % 1000 === 0) return `${underThousand(value / 1000, '')} thousands`;
  if (value % 100 === 0) return `${underThousand(century, '')} hundreds`;
  return value % 100 === 10
    ? `${underThousand(century, '')} tens`
    : `${underThousand(century, '')} ${plural(tens ?? '')}`;
}

function yearLike(value: number): string {
  const high = Math.floor(value / 100);
  const low = value % 100;
  if (value === 2000) return 'two thousand';
  if (value > 2000 && value < 2010) return `two thousand ${ONES[low]}`;
  if (low === 0) return `${underThousand(high, '')} hundred`;
  return `${underThousand(high, '')} ${low < 10 ? `oh ${ONES[low]}` : underThousand(low, '')}`;
}

function underThousand(value: number, and: string): string {
  const hundreds = Math.floor(value / 100);
  const rest = value % 100;
  const parts = hundreds > 0 ? [`${ONES[hundreds]} hundred`] : [];
  if (rest > 0) parts.push(`${hundreds > 0 ? and : ''}${underHundred(rest)}`);
  return parts.join(' ');
}

function underHundred(value: number): string {
  if (value < 20) return ONES[value] ?? '';
  const tens = TENS[Math.floor(value / 10)];
  return value % 10 === 0 ? (tens ?? '') : `${tens}-${ONES[value % 10]}`;
}

function toOrdinal(words: string): string {
  return words.replace(/[a-z]{1,40}$/, (last) => {
    const irregular = IRREGULAR_ORDINALS[last];
    if (irregular !== undefined) return irregular;
    return last.endsWith('y') ? `${last.slice(0, -1)}ieth` : `${last}th`;
  });
}

function plural(tens: string): string {
  return `${tens.slice(0, -1)}ies`;
}
