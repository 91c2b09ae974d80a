import { spellExpressions } from '../zh/expressions.js';
import { readClauses } from '../zh/normalization.js';
import { decimal } from '../zh/numbers.js';
import { toSimplified } from '../zh/traditional.js';

/**
 * A Cantonese text as the reference reads it: numbers, dates, units and signs spelt as in Chinese, in simplified
 * characters, punctuation reduced to `! ? … , . -`, everything outside U+4E00–U+9FA5 dropped. Repeated marks stay.
 * upstream: text/cantonese.py text_normalize
 */
export function normalizeCantonese(text: string): string {
  return spell(text).replace(/[^\u4e00-\u9fa5!?…,.-]+/g, '');
}

/**
 * A Cantonese text as it is said: amounts before Cantonese measure words, dollars, kilometres and kilograms in Cantonese
 * words, digits with 一 rather than 幺, and every Han character in the form in which it was written, so that 㗎 and 𨋢 are
 * read and 幾 is not taken for 几.
 */
export function spokenCantonese(text: string): string {
  const worded = CANTONESE_WORDING.reduce((told, [pattern, spoken]) => told.replace(pattern, spoken), text);
  let spelt = spell(worded).replace(/[^\p{Script=Han}!?…,.-]+/gu, '');
  if (!text.includes('幺')) spelt = spelt.replaceAll('幺', '一');
  return asWritten(spelt, worded);
}

function spell(text: string): string {
  return readClauses(spellExpressions(toSimplified(text)))
    .map((clause) => clause.replace(/\.\.\./g, '…').replace(/[：；，。！？·、$～~]/g, (mark) => MARKS[mark] ?? mark))
    .join('');
}

const MARKS: Readonly<Record<string, string>> = {
  '：': ',',
  '；': ',',
  '，': ',',
  '。': '.',
  '！': '!',
  '？': '?',
  '·': ',',
  '、': ',',
  $: '.',
  '～': '-',
  '~': '-',
};

type Wording = readonly [RegExp, (match: string, ...groups: string[]) => string];

/** Each run of digits is taken whole, so that a failing match does not try its beginnings. */
const NUMBER = '((?:\\d{1,3}(?:,\\d{3})+|\\d+)(?!\\d)(?:\\.\\d+(?!\\d))?)';
const AMOUNT = `(?<![\\d.,:/-])${NUMBER}`;
/** Measure words and money that Cantonese has and Mandarin has not. */
const MEASURES = '蚊|個半|毫子|毫|仙|呎|吋|磅|両|兩|嚿|樖|碌|餐|鑊|轉|煲|啖|粒|籮|紮|隻|鋪|揸|眼|劑|文錢';

const HONG_KONG_DOLLAR = '(?<![A-Za-z])(HKD|HK\\$|\\$)\\s?';
const SCALE = '([十百千萬万億亿]*)';

const CANTONESE_WORDING: readonly Wording[] = [
  [
    new RegExp(`${HONG_KONG_DOLLAR}${NUMBER}${SCALE}\\s?[-–~～至到]\\s?(?:HKD|HK\\$|\\$)?\\s?${NUMBER}${SCALE}`, 'g'),
    (_, sign, first, firstScale, second, secondScale) =>
      `${sign === '$' ? '' : '港幣'}${spelt(first)}${firstScale}至${spelt(second)}${secondScale}元`,
  ],
  [
    new RegExp(`${HONG_KONG_DOLLAR}${NUMBER}\\s?${SCALE}`, 'g'),
    (_, sign, amount, scale) => `${sign === '$' ? '' : '港幣'}${spelt(amount)}${scale}元`,
  ],
  [new RegExp(`${AMOUNT}\\s?(?:km|KM)(?![A-Za-z/²³\\d])`, 'g'), (_, amount) => `${amount}公里`],
  [new RegExp(`${AMOUNT}\\s?(?:kg|KG|Kg)(?![A-Za-z/²³\\d])`, 'g'), (_, amount) => `${amount}公斤`],
  [
    new RegExp(`${AMOUNT}[-–~～至到]${NUMBER}(?=(?:${MEASURES}))`, 'g'),
    (_, first, second) => `${spelt(first)}至${spelt(second)}`,
  ],
  [
    new RegExp(`${AMOUNT}(?=[多幾]?(?:${MEASURES}))`, 'g'),
    (_, amount) => {
      const read = spelt(amount);
      return read === '二' ? '兩' : read;
    },
  ],
];

/** An amount in characters, without a fraction of zeros only. */
function spelt(amount: string): string {
  return decimal(amount.replaceAll(',', '').replace(/\.0+$/, ''));
}

/** How far apart the spelt and the written text may run before the two are given up to differ. */
const REACH = 24;

/**
 * Puts back the characters of `written` whose simplified form stands in `spelt`. The two are walked side by side; where
 * they part (numbers spelt out, signs dropped) the nearest place where two characters agree again is looked for.
 */
function asWritten(spelt: string, written: string): string {
  const from = [...written].filter((character) => /\p{Script=Han}/u.test(character));
  const simple = [...toSimplified(from.join(''))];
  const to = [...spelt];
  let result = '';
  let at = 0;
  for (let i = 0; i < to.length; i++) {
    if (/[!?…,.-]/.test(to[i]!)) {
      result += to[i];
      continue;
    }
    if (to[i] !== simple[at]) at = agreeing(to, i, simple, at) ?? at;
    result += to[i] === simple[at] ? from[at++] : to[i];
  }
  return result;
}

/** Where `simple` goes on as `to` does at `i`, at most REACH characters after `at`; undefined for a character of a number. */
function agreeing(to: readonly string[], i: number, simple: readonly string[], at: number): number | undefined {
  const next = to.slice(i + 1, i + 4).find((character) => !/[!?…,.-]/.test(character));
  for (let j = at; j < Math.min(simple.length, at + REACH); j++) {
    if (simple[j] === to[i] && (next === undefined || simple[j + 1] === next)) return j;
  }
  return undefined;
}
