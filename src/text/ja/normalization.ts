import type { SourceText } from '../source-text.js';
import { tellHomographs } from './homographs.js';
import { UNIT_NAMES, UNIT_PATTERN } from './units.js';

/**
 * A Japanese text as it is read: dates, times, money, units, ranges, telephone numbers and web addresses spelt out.
 * Numbers stay figures, because how they sound depends on what they count (numerals.ts): decimals get a full-width point,
 * and figures that are read one by one are followed by `SPELT`. Everything else stays. Linear time; nothing is thrown.
 */
export function normalizeJapanese(text: SourceText): SourceText {
  let spoken = text
    .replace(INVISIBLE, '')
    .replace(/㈱|[(（]株[)）]/g, '株式会社')
    .replace(/㈲|[(（]有[)）]/g, '有限会社')
    .replace(/[\u2460-\u2473](?=[\u2460-\u2473])/g, '$&、')
    .replace(COMPATIBLE, (sign) => sign.normalize('NFKC'))
    .normalize('NFC')
    .replace(PICTOGRAPHS, '')
    .replace(/[○◯]{2,4}|(?<![\d一二三四五六七八九十])〇{2,4}(?![\d一二三四五六七八九])/g, 'まるまる')
    .replace(/\r\n?/g, '\n')
    .replace(/(?<=[ぁ-んァ-ヶー])[〜～~](?!\s?[\d])/g, 'ー')
    .replace(/％/g, 'パーセント')
    .replace(/(?<![\d一二三四五六七八九十〇])．|．(?![\d一二三四五六七八九〇])/g, '。');
  if (/[A-Za-z0-9]/.test(spoken.text)) {
    spoken = spoken.replace(ADDRESS, spellAddress);
    if (/\d/.test(spoken.text)) for (const [pattern, read] of NUMBER_RULES) spoken = spoken.replace(pattern, read);
  }
  return tellHomographs(spoken)
    .replace(/(?<=[\p{L}\d]) ?[&＆] ?(?=[\p{L}\d])/gu, 'アンド')
    .replace(/([!?…,.])[!?…,.]+/g, '$1'); // upstream: replace_consecutive_punctuation
}

/** Follows figures that are read one by one. Never in what a caller wrote, because it has no shape. */
export const SPELT = '\u2060';

/** Characters without a shape, or of no shape that everybody knows. */
const INVISIBLE = /[\ue000-\uf8ff\u200b-\u200f\u2060\u202a-\u202e\u2066-\u2069\u00ad\ufeff]|\ufe0e|\ufe0f/g;

/**
 * Half-width katakana, full-width letters, figures and signs, Roman and ringed numbers, fractions, and the words in one
 * square (㍍ ㈱ ㎏) as ordinary characters.
 */
const COMPATIBLE =
  /[\uff61-\uff9f]+|[Ａ-Ｚａ-ｚ０-９＋＠＆＃＄]|[\u00b2\u00b3\u00bc-\u00be\u2070-\u2079\u2080-\u2089\u2100-\u218b\u2460-\u249b\u3200-\u33ff\u339d-\u33a4]/gu;

/** Pictographs, flags and ornaments, which are not read. */
const PICTOGRAPHS =
  /(?![©®™〰〽㊗㊙])(?:\p{Extended_Pictographic}|\p{Regional_Indicator}|\p{Emoji_Modifier}|[♪♫♬☆★●◆◇■□▲△▼▽※]|\u20e3)/gu;

/** E-mail and web addresses; bounded so that a long run of letters costs no more than once over. */
const ADDRESS =
  /(?<![A-Za-z0-9._%+-])(?:https?:\/\/)?[A-Za-z0-9_%+-]{1,64}(?:\.[A-Za-z0-9_%+-]{1,64}){0,8}@[A-Za-z0-9-]{1,64}(?:\.[A-Za-z0-9-]{1,64}){1,8}|(?<![A-Za-z0-9._%+-])(?:https?:\/\/|www\.)[A-Za-z0-9./_?=&%#:-]{1,300}[A-Za-z0-9]|(?<![A-Za-z0-9._%+-])[A-Za-z0-9-]{1,64}(?:\.[A-Za-z0-9-]{1,64}){0,4}\.(?:com|net|org|jp|io|ai|dev|app)(?![A-Za-z0-9])(?:\/[A-Za-z0-9./_?=&%#:-]{0,200}[A-Za-z0-9])?/g;

function spellAddress(address: string): string {
  return address
    .replace(/^https?:\/\//, '')
    .replace(
      /[A-Za-z]+|\d+|[^A-Za-z\d]/g,
      (part) => ADDRESS_PARTS[part.toLowerCase()] ?? (/^\d/.test(part) ? part + SPELT : part),
    );
}

const ADDRESS_PARTS: Readonly<Record<string, string>> = {
  '@': 'アットマーク',
  '.': 'ドット',
  '/': 'スラッシュ',
  '-': 'ハイフン',
  _: 'アンダーバー',
  ':': 'コロン',
  '#': 'シャープ',
  '+': 'プラス',
  '?': 'クエスチョン',
  '=': 'イコール',
  '&': 'アンド',
  '%': 'パーセント',
  com: 'コム',
  net: 'ネット',
  info: 'インフォ',
  mail: 'メール',
  www: 'ダブリューダブリューダブリュー',
};

type Reader = (match: string, ...groups: string[]) => string;

const NUMBER = '\\d{1,3}(?:,\\d{3}){1,5}(?!\\d)|\\d{1,30}';
const plain = (number: string): string => number.replaceAll(',', '');
const decimal = (number: string): string => plain(number).replace('.', '．');
/** Figures one by one, in groups: 03の1234の5678. */
const spelt = (groups: string): string =>
  groups
    .split(/[^\d]+/)
    .filter((group) => group !== '')
    .map((group) => group + SPELT)
    .join('の');
const isDate = (month: string, day: string): boolean =>
  Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= 31;
/** Words after which a number is a name, not an amount. */
const NAMED = '番号|コード|ID|暗証|口座|品番|型番|会員|シリアル|ナンバー|No\\.?|no\\.?';
const DASH = '[-‐‑–—−－]';
const COUNTED =
  '[年月日時分秒円個人名本枚匹回歳才冊杯番度階軒足頭台週倍位点票泊社通件章条話巻丁割厘畳戸席品色桁口株円万億兆]|か月|ヶ月|カ月|ヵ月|か国|ヶ国|か所|ヶ所|キロ|メートル|グラム|センチ|ミリ|リットル|パーセント|ページ|ポイント|ドル|ユーロ|つ(?![ぁ-ん]{2})|%';

/** Kinds of numbers, most telling first. Each pattern is bounded, hence linear. */
const NUMBER_RULES: readonly (readonly [RegExp, Reader])[] = [
  // Dates: 2024-05-20, 2024/5/20, 2024.5.20
  [
    /(?<![\d.])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d])/g,
    (all, year = '', _sign, month = '', day = '') =>
      isDate(month, day) ? `${year}年${Number(month)}月${Number(day)}日` : all,
  ],
  [
    /(?<![\d.])((?:19|20)\d\d)\/(0?[1-9]|1[0-2])(?![\d/])/g,
    (_all, year = '', month = '') => `${year}年${Number(month)}月`,
  ],
  // Telephone, card and postal numbers.
  [
    new RegExp(`〒\\s?(\\d{3})${DASH}(\\d{4})(?!\\d)`, 'g'),
    (_all, first = '', second = '') => `郵便番号${spelt(`${first}-${second}`)}`,
  ],
  [
    new RegExp(
      `(?<![\\d-])\\+(\\d{1,3}${DASH}\\d{1,4}(?:${DASH}\\d{2,4}){1,3})(?![\\d-])|(?<![\\d-])\\(?(0\\d{1,4}(?:${DASH}|\\)\\s?)\\d{1,4}${DASH}\\d{3,4})(?![\\d-])|(?<![\\d-])(\\d{4}(?:${DASH}\\d{4}){2,3})(?![\\d-])`,
      'g',
    ),
    (_all, abroad, home, card) => (abroad ? `プラス${spelt(abroad)}` : spelt(home ?? card ?? '')),
  ],
  // numbers of customers: 0123-4567-89
  [/(?<![\d-])0\d{1,4}(?:-\d{1,4}){2,3}(?![\d-])/g, (all) => spelt(all)],
  [
    /(?<![\d-])\d{1,13}(?:-\d{1,13}){3,6}(?![\d-])/g,
    (all) => (/-0|\d{5}/.test(all) ? spelt(all) : all), // ISBN and the like, not an address
  ],
  [new RegExp(`(?<![\\d.,:])0\\d{2,14}(?![\\d.:${SPELT}])`, 'g'), (all) => all + SPELT],
  [
    new RegExp(`(?<=(?:${NAMED})[はがをの:：]{0,2}\\s?)(\\d{3,20})(?![\\d.,${SPELT}]|\\s?(?:${COUNTED}))`, 'g'),
    (all) => all + SPELT,
  ],
  [new RegExp(`(?<![\\d.,])\\d{9,30}(?![\\d.,${SPELT}]|\\s?(?:${COUNTED}))`, 'g'), (all) => all + SPELT],
  // Times: 14:30, 9:05:10; scores: 3:2
  [
    /(?<![\d:])([01]?\d|2[0-9]):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?([AaPp])\.?[Mm](?![A-Za-z]))?/g,
    (_all, hour = '', minute = '', second, half) => {
      const minutes = minute === '00' && second === undefined ? '' : `${Number(minute)}分`;
      const seconds = second === undefined ? '' : `${Number(second)}秒`;
      const part = half === undefined ? '' : /p/i.test(half) ? '午後' : '午前';
      return `${part}${Number(hour) === 0 ? '零' : Number(hour)}時${minutes}${seconds}`;
    },
  ],
  [/(?<![\d:])(\d{1,3})[:：](\d{1,3})(?![\d:])/g, (_all, ours, theirs) => `${ours}対${theirs}`],
  [
    new RegExp(`(?<![\\d-])(\\d{1,3})${DASH}(\\d{1,3})(?=で(?:勝|負|敗|引き?分|逆転|快勝|辛勝))`, 'g'),
    (_all, a, b) => `${a}対${b}`,
  ],
  [
    new RegExp(`(?<=(?:スコア|得点|結果|セット)[はがの]?)(\\d{1,3})${DASH}(\\d{1,3})(?![\\d-])`, 'g'),
    (_all, a, b) => `${a}対${b}`,
  ],
  // Versions and addresses: 1.2.3
  [/(?<![\d.])\d{1,4}(?:\.\d{1,4}){2,5}(?![\d.])/g, (all) => all.replaceAll('.', 'ドット')],
  // Money with the sign in front.
  [
    new RegExp(
      `(?:(?:US|HK|NT|AU|CA)?([$€£¥￥₩])|(USD|JPY|EUR))\\s?(${NUMBER})(\\.\\d{1,2})?([千百十]?[万億兆])?`,
      'g',
    ),
    (_all, sign, code, whole = '', fraction, place) =>
      `${decimal(plain(whole) + (fraction ?? ''))}${place ?? ''}${MONEY[sign ?? code ?? ''] ?? ''}`,
  ],
  // 10日(木), 135/85mmHg, 8F, .310, 72回/分, 100円/個
  [/(?<=日)\s?[(（]([月火水木金土日])(?:曜日?)?[)）]/g, (_all, day = '') => `${day}曜日`],
  [
    /(?<![\d./])(\d{2,3})\/(\d{2,3})(?=\s?mmHg)|(?<=血圧[はがも:：]?\s?)(\d{2,3})\/(\d{2,3})(?![\d./])/g,
    (_all, a, b, c, d) => `${a ?? c}の${b ?? d}`,
  ],
  [/(?<![\dA-Za-z.-])(\d{1,2})F(?![A-Za-z\d])/g, (_all, floor = '') => `${floor}階`],
  [
    /(?<=打率[はがも]?\s?)0?\.(\d)(\d)(\d)(?!\d)/g,
    (_all, ...places) =>
      [`${places[0]}割`, `${places[1]}ぶ`, `${places[2]}厘`].filter((part) => !part.startsWith('0')).join(''),
  ],
  [/(?<![\d.A-Za-z])\.(?=\d{1,4}(?![\d.]))/g, () => '0.'],
  [/(?<=[回個件枚滴拍本台円])\/(?=[分秒時日週月年](?![数間の分月日]))/g, () => '毎'],
  [/(?<=円)\/(?=[人個本枚台袋箱冊])/g, () => '、1'],
  // Fractions: 3/4; 5/20 is a date when no fraction would have such parts.
  [
    /(?<![\d/.])(\d{1,2})[/⁄](\d{1,3})(?![\d/.])/g,
    (_all, above = '', below = '') =>
      isDate(above, below) && (Number(below) > 12 || Number(above) > Number(below))
        ? `${Number(above)}月${Number(below)}日`
        : `${Number(below)}分の${Number(above)}`,
  ],
  [/(?<=\d)分の(?=\d)/g, () => 'ブンの'],
  // Ranges: 3〜5日, 20~25℃, 10-20人; 2-3 alone is part of an address.
  [new RegExp(`(?<=\\d(?:${UNIT_PATTERN}|${COUNTED})?)\\s?[〜～~∼]\\s?(?=\\d)`, 'g'), () => 'から'],
  [
    new RegExp(
      `(?<![\\d-])(${NUMBER})${DASH}(?=(?:${NUMBER})(?:\\.\\d{1,9})?\\s?(?:${COUNTED}|(?:${UNIT_PATTERN})(?![A-Za-z])))(?!\\d{1,3}番)`,
      'g',
    ),
    (_all, from = '') => `${from}から`,
  ],
  // 3から5日 is 3日から5日, because days, months and hours change with the number.
  [/(?<![\d.])(\d{1,4})から(?=\d{1,4}([年月日時])(?!間))/g, (_all, from, counter) => `${from}${counter}から`],
  [
    new RegExp(
      `(?<=(?:^|[^A-Za-z\\d])\\d{1,4})${DASH}(?=\\d{1,4}(?!\\d))|(?<=の\\d{1,4})${DASH}(?=\\d{1,4}(?!\\d))`,
      'g',
    ),
    () => 'の',
  ],
  // Below zero.
  [
    new RegExp(`(?<![\\dA-Za-z０-９ぁ-ヿ一-鿿)）])${DASH}(?=\\d)|(?<=[はがをもでに、])${DASH}(?=\\d)`, 'g'),
    () => 'マイナス',
  ],
  [/(?<=\d)\s?([+×÷=＝])\s?(?=\d)/g, (_all, sign = '') => ARITHMETIC[sign] ?? ''],
  [/[±](?=\d)/g, () => 'プラスマイナス'],
  [/\+(?=\d)/g, () => 'プラス'],
  [/#(?=\d)/g, () => 'ナンバー'],
  // Units in Latin letters: 5km, 250 mL, 60km/h
  [
    new RegExp(`(${NUMBER})(\\.\\d{1,10})?\\s?(${UNIT_PATTERN})(?![A-Za-z])`, 'g'),
    (_all, whole = '', fraction, unit = '') => `${decimal(plain(whole) + (fraction ?? ''))}${UNIT_NAMES[unit] ?? unit}`,
  ],
  [/(?<=\d)\s?%/g, () => 'パーセント'],
  // What is left: separators and decimal points.
  [/(?<![\d,])\d{1,3}(?:,\d{3}){1,8}(?!\d)/g, (all) => plain(all)],
  [/(?<=\d)\.(?=\d)/g, () => '．'],
];

const MONEY: Readonly<Record<string, string>> = {
  $: 'ドル',
  '€': 'ユーロ',
  '£': 'ポンド',
  '¥': '円',
  '￥': '円',
  '₩': 'ウォン',
  USD: 'ドル',
  JPY: '円',
  EUR: 'ユーロ',
};
const ARITHMETIC: Readonly<Record<string, string>> = {
  '+': 'たす',
  '×': 'かける',
  '÷': 'わる',
  '=': 'は',
  '＝': 'は',
};
