import type { SourceText } from '../source-text.js';
import { cardinal, decimal, digitByDigit, fraction, ordinal, plainNumber } from './numbers.js';

/** A number as written in running text, unsigned: "12", "1,234.5", ".5". */
export const AMOUNT = '(?:\\d{1,3}(?:,\\d{3}){1,6}(?!\\d)|\\d{1,30})(?:\\.\\d{1,20})?|\\.\\d{1,20}';
/** Multipliers written after an amount of money. */
export const SCALE = 'thousand|million|billion|trillion|bn|mn|mln|[kKmMbBT]\\b';

const SCALE_WORDS: Record<string, string> = {
  k: 'thousand',
  m: 'million',
  mn: 'million',
  mln: 'million',
  b: 'billion',
  bn: 'billion',
  t: 'trillion',
};

/** "M" → "million". */
export function scaleWord(scale: string): string {
  return SCALE_WORDS[scale.toLowerCase()] ?? scale;
}

/** An {@link AMOUNT} in words. A number with thousands separators is a quantity, never a year. */
export function readAmount(amount: string): string {
  const [whole = '', part] = amount.split('.');
  const digits = whole.replaceAll(',', '');
  if (part !== undefined) return decimal(digits, part);
  if (whole.includes(',')) return cardinal(digits);
  if (/^0\d/.test(digits)) return digitByDigit(digits);
  return plainNumber(digits);
}

const PHONE = /(?<![\w.,/-])(?:\+\d{1,3}[- ]?)?(?:\(\d{2,4}\)[- ]?)?\d{1,4}(?:[- ]\d{3,4}){1,4}(?![\w/-]|\.\d|,\d)/g;
const PLUS_PHONE = /(?<![\w.,])\+(\d{8,15})(?!\d)/g;
const CODE =
  /\b((?:(?:ending|ends) in|last four(?: digits)?|code|pin|passcode|password|zip|postcode|extension|otp|(?:part|serial|model|order|account|tracking|reference|confirmation|booking|invoice|ticket|case|phone|card|tax|bank|policy|member|employee|customer|registration|passport|licen[cs]e) (?:number|no|id|code))(?:,|:| is| was| of|\s){1,4}#?\s?)(\d{3,20})(?:-(\d{2,8}))?(?!\d|,\d|-|\.\d)/gi;
/** Numbers of books and orders: 978-3-16-148410-0. */
const CHAIN = /(?<![\w.,/+-])\d{1,12}(?:-\d{1,12}){2,6}(?![\w/-]|[.,]\d)/g;
/** 21-19, 15-21, 15-13: where one of them falls, all are scores. */
const SCORES = /(?<![\w.,-])\d{1,3}-\d{1,3}(?:,? (?:and )?\d{1,3}-\d{1,3}){1,9}(?![\w-]|[.,]\d)/g;
const DIVIDED = /(\d) \/ (?=\d{1,9}(?:\.\d{1,9})?\s?=)/g;
const POWER = /(?<=[\dA-Za-z)])\^(\d{1,3})(?![\d.])/g;
const TIMES_IN_SUM = /(\d)\s?[x×*]\s?(?=\d{1,9}(?:\.\d{1,9})?\s?=)/g;
/** A model and its version: A320-200. */
const MODEL = /(?<=(?<![A-Za-z])[A-Z]{1,3})([1-9]\d[1-9]|[1-9][1-9]0)-(?=\d{2,4}(?!\d))/g;
/** Emergency and service numbers: "Dial 911." but "call 300 customers". */
const DIALLED =
  /\b(dial(?:led|ing)?|call(?:ed|ing)?)( )(\d{3,8})(?=[.,!?]|$| (?:now|for|to|if|in|and|or|immediately|at once|today)\b)/gi;
const EMERGENCY =
  /(?<![\w.,$€£¥#/-])(911|999|112)(?=[.,!?]?$|[.,!?]\s| (?:or|and|if|now|for|immediately|right away)\b)/g;
/** Identifiers of letters and digits: "A-10023". */
const LETTERED_CODE = /(?<=(?<![A-Za-z\d-])[A-Z]{1,4}-)\d{4,12}(?![\d,.-]*\d)/g;
/** What is written together with letters and is too long or too much in parts for a number: HK20241008, TS-2024-0032. */
const LETTERED_CHAIN = /(?<=(?<![A-Za-z\d])[A-Za-z]{1,8})([-_]?)(\d{1,12}(?:-\d{1,12}){0,4})(?![\w-]|[.,]\d)/g;
const CODE_DIGITS = /^\d{5}|-0|-\d{3,}-/;
/** Codes of places of five digits behind the two letters of a state. */
const ZIP = /(?<=\b[A-Z]{2} )\d{5}(?:-\d{4})?(?![\d,-]|\.\d)/g;
const MANY = /(?<=(?<![A-Za-z\d.])\d{1,4}(?:\.\d{1,2})?)(?:[MB](?= [a-z]{3})|K(?= [a-z]{2,20}s\b))/g;
const KEY = /(?<=\b(?:[Pp]ress|hit|the|or|and|by|then) )#(?!\w)/g;
const PERCENT_RANGE = /(?<=\d)\s?%\s?[-~–]\s?(?=\d)/g;
const HASH_CODE = /#\s?(\d{4,20})(?![\d,]|\.\d)/g;
const BARE_DIGITS = /(?<![\d.,])\d{11,}(?![\d,]|\.\d)/g;

const LIST_NUMBER = /(^|[.!?,:;]\s+|\n)(\d{1,3})[.)]\s+(?=[A-Za-z"'])/g;
const ORDINAL = /(?<![\d.])(\d{1,3}(?:,\d{3})+|\d{1,15})(st|nd|rd|th)\b/gi;
const FRACTION = /(?<![\d./])(\d{1,9}) ?\/ ?(\d{1,9})(?![\d/]|\.\d)/g;
const MIXED = /(?<![\d./,])(\d{1,9}) (\d{1,3}\/\d{1,3})(?![\d/])/g;
const PER_WEEK = /(?<![\d/])(\d{1,2})[x×](\d{1,2})(?![\dx×])/g;
const DIMENSIONS = /(\d)\s?[x×*]\s?(?=\d)/g;
const TIMES_MORE = /(?<![\w.])(\d{1,6}(?:\.\d{1,3})?)[x×](?![A-Za-z\d])/g;
const SUM = /(?<=[\dA-Za-z)²³])\s?\+\s?(?=[\d(])|(?<=\d)\s?\+\s?(?=[A-Za-z])/g;
const MINUS_BETWEEN = /(?<=\b[a-z][²³]?) - (?=\d|[a-z]\b)|(?<=\d) - (?=[a-z]\b)/g;
const MINUS_IN_SUM = /(\d)-(\d{1,9}(?:\.\d+)?)(?=\s?=)/g;
const SCORE_OR_RANGE = new RegExp(`(?<![\\w.,-])(${AMOUNT})\\s?(?:-|~|–)\\s?(${AMOUNT})(?![\\w-]|[.,]\\d)`, 'g');
const NEGATIVE = new RegExp(`(?<![\\w)-])-\\s?(?=(?:${AMOUNT}))`, 'g');
const RATIO = /(?<![\d:])(\d{1,9}):(\d{1,9})(?![\d:])/g;
const HASH = /#(?=\d)/g;
const STAR = /(?<![\d.])([1-9](?:\.\d)?)\*/g;
const SIGNED: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w)])\+(?=\d)/g, 'plus '],
  [/(?<![\w)])[~≈](?=\d)/g, 'about '],
  [/(?:≥|>=)\s?(?=\d)/g, ' at least '],
  [/(?:≤|<=)\s?(?=\d)/g, ' at most '],
  [/>\s?(?=\d)/g, ' more than '],
  [/<\s?(?=\d)/g, ' less than '],
];
const DECIMAL = /(\d{1,3}(?:,\d{3}){1,6}|\d{0,30})\.(\d{1,20})(?!\d)/g;
const GROUPED = /(?<![\d,])\d{1,3}(?:,\d{3}){1,6}(?![\d,]*\d)/g;
const DIGITS = /\d+/g;

/**
 * Reads every number that is left: phone numbers and codes digit by digit, ordinals, list numbers, fractions, ratios,
 * ranges, sums, signs, decimals and whole numbers; and parts letters from digits in "B12" or "Web3".
 */
export function expandNumbers(text: SourceText): SourceText {
  if (!/\p{Nd}/u.test(text.text)) {
    return /[#+-]/.test(text.text)
      ? text.replace(KEY, 'pound').replace(SUM, ' plus ').replace(MINUS_BETWEEN, ' minus ')
      : text;
  }
  let current = text
    .replace(/[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f]/g, (digit) => String(foreignDigit(digit)))
    .replace(MANY, (scale) => ` ${scaleWord(scale)}`)
    .replace(KEY, 'pound')
    .replace(PLUS_PHONE, (_, digits: string) => `plus ${digitByDigit(digits)}`)
    .replace(PHONE, (number) => (isPhone(number) ? readPhone(number) : number))
    .replace(CODE, (_, words: string, digits: string, more?: string) => {
      return `${words}${digitByDigit(digits)}${more === undefined ? '' : `, ${digitByDigit(more)}`}`;
    })
    .replace(CHAIN, (chain) => {
      return /(?:^|-)0|\d{4}/.test(chain) ? chain.split('-').map(digitByDigit).join(', ') : chain;
    })
    .replace(SCORES, (scores) => {
      const falls = [...scores.matchAll(/(\d{1,3})-(\d{1,3})/g)].some(
        ([, ours, theirs]) => Number(ours) > Number(theirs),
      );
      return falls ? scores.replace(/(\d{1,3})-(\d{1,3})/g, '$1 $2') : scores;
    })
    .replace(DIVIDED, '$1 divided by ')
    .replace(POWER, (_, power: string) => POWERS[power] ?? ` to the power of ${power}`)
    .replace(TIMES_IN_SUM, '$1 times ')
    .replace(MODEL, (_, digits: string) => ` ${modelNumber(digits)} `)
    .replace(DIALLED, (_, verb: string, space: string, digits: string) => `${verb}${space}${digitByDigit(digits)}`)
    .replace(EMERGENCY, (_, digits: string) => digitByDigit(digits))
    .replace(LETTERED_CODE, (digits) => digitByDigit(digits))
    .replace(LETTERED_CHAIN, (whole, join: string, digits: string) => {
      if (join === '_') return ` underscore ${digits.split('-').map(digitByDigit).join(', ')}`;
      if (!CODE_DIGITS.test(digits)) return whole;
      return ` ${digits.split('-').map(digitByDigit).join(', ')}`;
    })
    .replace(ZIP, (zip) => zip.split('-').map(digitByDigit).join(', '))
    .replace(PERCENT_RANGE, ' percent to ')
    .replace(HASH_CODE, (_, digits: string) => ` number ${digitByDigit(digits)}`)
    .replace(BARE_DIGITS, (digits) => digitByDigit(digits))
    .replace(LIST_NUMBER, (_, before: string, digits: string) => `${before}${ordinal(digits)}, `)
    .replace(ORDINAL, (_, digits: string) => ordinal(digits.replaceAll(',', '')))
    .replace(MIXED, '$1 and $2')
    .replace(FRACTION, (_, top: string, below: string) => {
      if (top !== below || Number(top) < 10) return fraction(top, below);
      return top === '10' ? 'ten out of ten' : `${cardinal(top)} ${cardinal(below)}`;
    })
    .replace(PER_WEEK, (_, a: string, b: string) => `${cardinal(a)} by ${cardinal(b)}`)
    .replace(DIMENSIONS, (whole, digit: string) =>
      /[x*]/.test(whole) && !/\s/.test(whole) ? `${digit} by ` : `${digit} times `,
    )
    .replace(TIMES_MORE, '$1 times')
    .replace(SUM, ' plus ')
    .replace(MINUS_BETWEEN, ' minus ')
    .replace(MINUS_IN_SUM, '$1 minus $2')
    .replace(RATIO, '$1 to $2')
    .replace(SCORE_OR_RANGE, (whole, low: string, high: string) => {
      // A falling pair with spaces is a subtraction ("10 - 4"), without them a score ("3-1").
      const falling = / - /.test(whole) ? ' minus ' : ' ';
      return `${readAmount(low)}${numericValue(low) < numericValue(high) ? ' to ' : falling}${readAmount(high)}`;
    })
    .replace(NEGATIVE, 'negative ')
    .replace(HASH, ' number ')
    .replace(STAR, '$1 star ');
  for (const [pattern, words] of SIGNED) current = current.replace(pattern, words);
  return current
    .replace(DECIMAL, (whole, digits: string, part: string, at: number, all: string) => {
      const opens = digits !== '' || !/[A-Za-z\d]/.test(all[at - 1] ?? '');
      return opens ? around(decimal(digits.replaceAll(',', ''), part), whole, at, all) : whole;
    })
    .replace(GROUPED, (digits, at: number, all: string) =>
      around(cardinal(digits.replaceAll(',', '')), digits, at, all),
    )
    .replace(DIGITS, (digits, at: number, all: string) => around(readAmount(digits), digits, at, all));
}

const POWERS: Readonly<Record<string, string>> = { '2': ' squared', '3': ' cubed' };

/** Keeps letters apart from the words of a number that touched them: "B12" → "B twelve". */
function around(words: string, digits: string, at: number, text: string): string {
  const before = /\p{L}/u.test(text[at - 1] ?? '') ? ' ' : '';
  const after = /\p{L}/u.test(text[at + digits.length] ?? '') ? ' ' : '';
  return `${before}${words}${after}`;
}

/** "320" of an A320: "three twenty"; "205" "two oh five". */
function modelNumber(digits: string): string {
  const rest = digits.slice(1);
  return `${cardinal(digits.charAt(0))} ${rest.startsWith('0') ? `oh ${cardinal(rest.charAt(1))}` : cardinal(rest)}`;
}

function isPhone(number: string): boolean {
  const digits = number.replace(/\D/g, '').length;
  const groups = number.trim().split(/[- ]+/).length;
  if (digits < 7 || digits > 15) return false;
  if (/^\+|\(/.test(number)) return true;
  if (number.includes('-')) return groups >= 3 || /^\d{3}-\d{4}$|^\d{3,4}-\d{7,8}$/.test(number);
  // 6123 4567, but not two years
  if (/^\d{4} \d{4}$/.test(number)) return !/\b(?:19|20)\d\d/.test(number);
  return groups >= 3 && digits >= 10 && /\d{4}$/.test(number);
}

function readPhone(number: string): string {
  return number
    .replace(/^\+/, 'plus ')
    .split(/[- ()]+/)
    .filter((group) => group !== '')
    .map((group) => (/^\d+$/.test(group) ? digitByDigit(group) : group))
    .join(', ')
    .replace('plus, ', 'plus ');
}

function numericValue(amount: string): number {
  return Number(amount.replaceAll(',', ''));
}

/** Arabic-Indic and Devanagari digits start at a code that ends in 0 or 6. */
function foreignDigit(digit: string): number {
  const code = digit.codePointAt(0) ?? 0;
  if (code >= 0x966) return code - 0x966;
  return code >= 0x6f0 ? code - 0x6f0 : code - 0x660;
}
