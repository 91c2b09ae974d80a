import { ASCII_MARKS } from '../marks.js';
import { SourceText } from '../source-text.js';
import { spellExpressions } from '../zh/expressions.js';
import { readClauses } from '../zh/normalization.js';
import { decimal, digitByDigit } from '../zh/numbers.js';
import { simplified, toSimplified } from '../zh/traditional.js';

/**
 * A Cantonese text as the reference reads it: numbers, dates, units and signs spelt as in Chinese, in simplified
 * characters, punctuation reduced to `! ? … , . -`, everything outside U+4E00–U+9FA5 dropped. Repeated marks stay.
 * upstream: text/cantonese.py text_normalize
 */
export function normalizeCantonese(text: SourceText): SourceText {
  return spell(text).replace(/[^\u4e00-\u9fa5!?…,.-]+/g, '');
}

/**
 * A Cantonese text as it is said: amounts before Cantonese measure words, dollars, kilometres and kilograms in Cantonese
 * words, digits with 一 rather than 幺, and every Han character in the form in which it was written, so that 㗎 and 𨋢 are
 * read and 幾 is not taken for 几.
 */
export function spokenCantonese(text: SourceText): SourceText {
  const worded = CANTONESE_WORDING.reduce((told, [pattern, spoken]) => told.replace(pattern, spoken), text);
  let spoken = spell(SourceText.of(worded.text)).replace(/[^\p{Script=Han}!?…,.-]+/gu, '');
  if (!text.text.includes('幺')) spoken = spoken.replaceAll('幺', '一');
  return asWritten(spoken, worded.text).within(worded);
}

function spell(text: SourceText): SourceText {
  const clauses = readClauses(spellExpressions(simplified(text)));
  return SourceText.join(
    clauses.map((clause) =>
      clause.replace(/\.\.\./g, '…').replace(/[：；，。！？·、$～~]/g, (mark) => MARKS[mark] ?? mark),
    ),
  );
}

const MARKS: Readonly<Record<string, string>> = {
  ...ASCII_MARKS,
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
    /(?<![\d.,:/+-])([2-9]\d{3})[- ](\d{4})(?![\d.,:/-])/g,
    (_, first, second) => `${digitByDigit(first)}，${digitByDigit(second)}`,
  ],
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

/** Puts back the character as it was written wherever its simplified form stands for it alone. */
function asWritten(spoken: SourceText, written: string): SourceText {
  return spoken.replace(/\p{Script=Han}/gu, (character, at: number) => {
    const [start, end] = spoken.sourceRange(at, at + character.length);
    const original = end - start > 2 ? '' : written.slice(start, end);
    return toSimplified(original) === character ? original : character;
  });
}
