import type { SourceText } from '../source-text.js';
import { AMOUNT, readAmount, SCALE, scaleWord } from './quantities.js';

interface Currency {
  readonly one: string;
  readonly many: string;
  /** The hundredth part, where it is spoken ("three dollars and fifty cents"); else decimals are read ("9 point 5 yuan"). */
  readonly part?: readonly [one: string, many: string];
}

const CENTS = ['cent', 'cents'] as const;
const DOLLAR: Currency = { one: 'dollar', many: 'dollars', part: CENTS };
const EURO: Currency = { one: 'euro', many: 'euros', part: CENTS };
const POUND: Currency = { one: 'pound', many: 'pounds', part: ['penny', 'pence'] };
const YUAN: Currency = { one: 'yuan', many: 'yuan' };
const YEN: Currency = { one: 'yen', many: 'yen' };
const WON: Currency = { one: 'won', many: 'won' };
const dollarsOf = (country: string): Currency => ({
  one: `${country} dollar`,
  many: `${country} dollars`,
  part: CENTS,
});
const plain = (one: string, many = `${one}s`): Currency => ({ one, many });

/** By sign, the longest first; `¥` is read as yuan. */
const BY_SIGN: Record<string, Currency> = {
  US$: dollarsOf('U S'),
  HK$: dollarsOf('Hong Kong'),
  NT$: dollarsOf('New Taiwan'),
  NZ$: dollarsOf('New Zealand'),
  CA$: dollarsOf('Canadian'),
  AU$: dollarsOf('Australian'),
  A$: dollarsOf('Australian'),
  C$: dollarsOf('Canadian'),
  S$: dollarsOf('Singapore'),
  R$: { one: 'real', many: 'reais' },
  'CN¥': YUAN,
  'RMB¥': YUAN,
  'JP¥': YEN,
  $: DOLLAR,
  '£': POUND,
  '€': EURO,
  '¥': YUAN,
  '￥': YUAN,
  '₩': WON,
  '₹': plain('rupee'),
  '₽': plain('ruble'),
  '₺': plain('lira', 'lira'),
  '₫': plain('dong', 'dong'),
  '฿': plain('baht', 'baht'),
  '₱': plain('peso'),
  '₪': plain('shekel'),
  '₴': plain('hryvnia', 'hryvnia'),
  '₦': plain('naira', 'naira'),
  '₿': plain('bitcoin'),
};

const BY_CODE: Record<string, Currency> = {
  USD: dollarsOf('U S'),
  EUR: EURO,
  GBP: POUND,
  CNY: YUAN,
  RMB: YUAN,
  JPY: YEN,
  KRW: WON,
  HKD: dollarsOf('Hong Kong'),
  TWD: dollarsOf('New Taiwan'),
  SGD: dollarsOf('Singapore'),
  AUD: dollarsOf('Australian'),
  CAD: dollarsOf('Canadian'),
  NZD: dollarsOf('New Zealand'),
  CHF: plain('Swiss franc'),
  INR: plain('rupee'),
  RUB: plain('ruble'),
  BRL: { one: 'real', many: 'reais' },
  MXN: plain('Mexican peso'),
  THB: plain('baht', 'baht'),
  VND: plain('dong', 'dong'),
  IDR: plain('rupiah', 'rupiah'),
  MYR: plain('ringgit', 'ringgit'),
  PHP: plain('peso'),
  TRY: plain('lira', 'lira'),
  ZAR: plain('rand', 'rand'),
  SEK: plain('Swedish krona', 'Swedish kronor'),
  NOK: plain('Norwegian krone', 'Norwegian kroner'),
  DKK: plain('Danish krone', 'Danish kroner'),
  PLN: plain('zloty', 'zloty'),
  AED: plain('dirham'),
  SAR: plain('riyal'),
};

const SIGN = Object.keys(BY_SIGN)
  .sort((a, b) => b.length - a.length)
  .map((sign) => sign.replace('$', '\\$'))
  .join('|');
const CODE = Object.keys(BY_CODE).join('|');

const SIGN_RANGE = new RegExp(
  `(${SIGN})\\s?(${AMOUNT})\\s?(?:-|~|to)\\s?(?:${SIGN})?(${AMOUNT})(?:\\s?(${SCALE}))?(?![\\w%]|[.,]\\d)`,
  'g',
);
const SIGN_FIRST = new RegExp(
  `(?<neg>(?<![\\w)])-)?(?<![A-Za-z])(?<sign>${SIGN})\\s?(?<neg2>-)?(?<amount>${AMOUNT})(?:\\s?(?<scale>${SCALE})(?![A-Za-z]))?`,
  'g',
);
const SIGN_LAST = new RegExp(`(?<![\\w.,])(-)?(${AMOUNT})(?:\\s?(${SCALE}))?\\s?(${SIGN})(?![\\w])`, 'g');
const CODE_FIRST = new RegExp(`\\b(${CODE})\\s?[$£€¥]?\\s?(${AMOUNT})(?:\\s?(${SCALE})(?![A-Za-z]))?`, 'g');
const CODE_LAST = new RegExp(`(?<![\\w.,])[$£€¥]?(${AMOUNT})(?:\\s?(${SCALE}))?\\s?(${CODE})\\b`, 'g');
const CENT_SIGN = new RegExp(`(?<![\\w.,])(${AMOUNT})\\s?¢`, 'g');

/**
 * Reads amounts of money: "$3.50" is "three dollars and fifty cents", "US$20" "twenty U S dollars", "€1.5 billion"
 * "one point five billion euros", "CNY 9.90" "nine point nine zero yuan".
 */
export function expandMoney(text: SourceText): SourceText {
  if (!/\d/.test(text.text)) return text;
  return text
    .replace(CODE_FIRST, (_, code: string, amount: string, scale?: string) => read(BY_CODE[code], amount, scale))
    .replace(CODE_LAST, (_, amount: string, scale: string | undefined, code: string) =>
      read(BY_CODE[code], amount, scale),
    )
    .replace(SIGN_RANGE, (_, sign: string, low: string, high: string, scale?: string) => {
      return `${scale ? readAmount(low) : read(BY_SIGN[sign], low, undefined, true)} to ${read(BY_SIGN[sign], high, scale)}`;
    })
    .replace(SIGN_FIRST, (...match) => {
      const { neg, sign = '', neg2, amount = '', scale } = match.at(-1) as Record<string, string | undefined>;
      return `${(neg ?? neg2) ? 'negative ' : ''}${read(BY_SIGN[sign], amount, scale)}`;
    })
    .replace(SIGN_LAST, (_, neg: string | undefined, amount: string, scale: string | undefined, sign: string) => {
      return `${neg ? 'negative ' : ''}${read(BY_SIGN[sign], amount, scale)}`;
    })
    .replace(CENT_SIGN, (_, amount: string) => `${readAmount(amount)} ${amount === '1' ? 'cent' : 'cents'}`);
}

function read(currency: Currency | undefined, amount: string, scale?: string, bare = false): string {
  if (currency === undefined) return readAmount(amount);
  if (scale !== undefined) return `${readAmount(amount)} ${scaleWord(scale)} ${currency.many}`;
  const [whole = '', fraction] = amount.replaceAll(',', '').split('.');
  if (currency.part === undefined || (fraction !== undefined && fraction.length > 2)) {
    const words = readAmount(amount);
    return bare ? words : `${words} ${amount === '1' ? currency.one : currency.many}`;
  }
  const units = Number(whole);
  const parts = fraction === undefined ? 0 : Number(fraction.padEnd(2, '0'));
  const unitWords = `${readAmount(grouped(whole))} ${units === 1 ? currency.one : currency.many}`;
  const partWords = `${readAmount(String(parts))} ${parts === 1 ? currency.part[0] : currency.part[1]}`;
  if (units > 0 && parts > 0) return `${unitWords} and ${partWords}`;
  if (parts > 0) return partWords;
  return bare && units > 0 ? readAmount(grouped(whole)) : unitWords;
}

/** An amount of money is never read like a year: "$1234" as "one thousand, two hundred thirty-four". */
function grouped(whole: string): string {
  return whole === '' ? '0' : whole.replace(/\B(?=(?:\d{3}){1,20}$)/g, ',');
}
