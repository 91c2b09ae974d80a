import type { SourceText } from '../source-text.js';
import { approximateNumber, countedNumber } from './counters.js';
import { digitNames, sinoNumber } from './numbers.js';
import { UNIT_NAMES, UNIT_PATTERN } from './units.js';

/**
 * A Korean text as it is read: numbers by what they count, dates, times, money, units, telephone numbers and web
 * addresses spelt out, Latin letters by their Korean names. Everything else stays. Linear time; nothing is thrown.
 */
export function normalizeKorean(text: SourceText): SourceText {
  let spoken = text
    .normalize('NFC')
    .replace(/[！-～]/g, asciiOf)
    .replace(INVISIBLE, '')
    .replace(PICTOGRAPHS, '$1')
    .replace(/\r\n?/g, '\n');
  if (/[ㄱ-ㅣ]/.test(spoken.text)) spoken = spoken.replace(JAMO, sayJamo);
  if (/[A-Za-z0-9]/.test(spoken.text)) {
    spoken = spoken.replace(ADDRESS, spellAddress);
    if (/\d/.test(spoken.text)) for (const [pattern, read] of NUMBER_RULES) spoken = spoken.replace(pattern, read);
    spoken = spoken.replace(/[A-Za-z]/g, (letter) => LETTERS[letter.toLowerCase()] ?? letter);
  }
  return spoken.replace(/(?<=[가-힣])\s?%/g, '퍼센트').replace(/(?<=[가-힣]) ?& ?(?=[가-힣])/g, '앤드');
}

/** Full-width letters, digits and signs as ASCII; full-width punctuation keeps its own symbol mapping. */
function asciiOf(character: string): string {
  const ascii = String.fromCharCode(character.charCodeAt(0) - 0xfee0);
  return /[A-Za-z0-9%+&@]/.test(ascii) ? ascii : character;
}

/** Characters without a shape. */
const INVISIBLE = /[\u200b-\u200f\u2060\u202a-\u202e\u2066-\u2069\u00ad\ufeff]|\ufe0e|\ufe0f/g;

/** A run of pictographs, which is one pause. */
const PICTOGRAPHS = /(\p{Extended_Pictographic})(?:\p{Extended_Pictographic}|\p{Emoji_Modifier})*/gu;

/** E-mail and web addresses; bounded so that a long run of letters costs no more than once over. */
const ADDRESS =
  /(?<![A-Za-z0-9._%+-])(?:https?:\/\/)?[A-Za-z0-9_%+-]{1,64}(?:\.[A-Za-z0-9_%+-]{1,64}){0,8}@[A-Za-z0-9-]{1,64}(?:\.[A-Za-z0-9-]{1,64}){1,8}|(?<![A-Za-z0-9._%+-])(?:https?:\/\/|www\.)[A-Za-z0-9./_?=&%#:-]{1,300}[A-Za-z0-9]|(?<![A-Za-z0-9._%+-])[A-Za-z0-9-]{1,64}(?:\.[A-Za-z0-9-]{1,64}){0,4}\.(?:com|net|org|kr|io|ai|dev|app)(?![A-Za-z0-9])(?:\/[A-Za-z0-9./_?=&%#:-]{0,200}[A-Za-z0-9])?/g;

function spellAddress(address: string): string {
  const body = address.replace(/^https?:\/\//, '');
  return body.replace(/[^A-Za-z]/g, (sign) => ADDRESS_SIGNS[sign] ?? (/\d/.test(sign) ? digitNames(sign) : ' '));
}

const ADDRESS_SIGNS: Readonly<Record<string, string>> = {
  '@': ' 골뱅이 ',
  '.': ' 점 ',
  '/': ' 슬래시 ',
  '-': ' 하이픈 ',
  _: ' 밑줄 ',
  ':': ' 콜론 ',
  '#': ' 샵 ',
  '+': ' 플러스 ',
};

/** Letter names. upstream: text/korean.py _latin_to_hangul */
const LETTERS: Readonly<Record<string, string>> = Object.fromEntries(
  'a에이 b비 c시 d디 e이 f에프 g지 h에이치 i아이 j제이 k케이 l엘 m엠 n엔 o오 p피 q큐 r아르 s에스 t티 u유 v브이 w더블유 x엑스 y와이 z제트'
    .split(' ')
    .map((entry) => [entry.charAt(0), entry.slice(1)]),
);

type Reader = (match: string, ...groups: string[]) => string;

const NUMBER = '\\d{1,3}(?:,\\d{3}){1,5}(?!\\d)|\\d{1,30}';

const RESULT =
  '이기|이겼|이긴|졌|지고|진 |승리|패|역전|완승|신승|대승|무승부|비겼|비긴|꺾|눌렀|앞서|앞선|뒤지|뒤졌|제압|격파';

/** Letters of messages, not of words: laughter, tears, and what is written short. */
const JAMO = /(?<![가-힣ㄱ-ㅣ])[ㄱ-ㅎ]{2}(?![ㄱ-ㅣ])|([ㅋㅎㅠㅜ])\1*/g;
const SHORT: Readonly<Record<string, string>> = {
  ㅇㅋ: '오케이',
  ㅇㅇ: '응',
  ㄴㄴ: '노노',
  ㄱㄱ: '고고',
  ㄱㅅ: '감사',
  ㅊㅋ: '축하',
  ㅅㄱ: '수고',
  ㅂㅂ: '바이바이',
  ㄷㄷ: '덜덜',
  ㄹㅇ: '리얼',
};
const LAUGHTER: Readonly<Record<string, string>> = { ㅋ: '크', ㅎ: '하', ㅠ: '흑', ㅜ: '흑' };

function sayJamo(written: string): string {
  const sound = LAUGHTER[written.charAt(0)];
  if (SHORT[written] !== undefined) return SHORT[written];
  return sound === undefined || /[^ㅋㅎㅠㅜ]/.test(written) ? written : sound.repeat(Math.min(3, written.length));
}

/** Kinds of numbers, most telling first. Each pattern is bounded, hence linear. */
const NUMBER_RULES: readonly (readonly [RegExp, Reader])[] = [
  [/6·25/g, () => '유기오'],
  [/3·1절/g, () => '사밀쩔'],
  [/5·18/g, () => '오일팔'],
  [/4·19/g, () => '사일구'],
  [/8·15/g, () => '팔일오'],
  // Dates: 2024-05-20, 2024.5.20., 2024/5/20
  [
    /(?<!\d)(\d{4})\s?([-./])\s?(\d{1,2})\s?\2\s?(\d{1,2})(?!\d)(?:\.(?=[\s가-힣]))?/g,
    (all, year = '', _sign, month = '', day = '') => {
      if (!(Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= 31)) return all;
      return `${sinoNumber(year)}년 ${countedNumber(String(Number(month)), '월')}월 ${sinoNumber(day)}일`;
    },
  ],
  // Telephone, card and registration numbers.
  [
    /(?<![\d-])\+?(?:0\d{1,3}|1[5-9]\d\d|\d{2,3})-\d{3,4}(?:-\d{4})?(?![\d-])|(?<![\d-])\d{2,6}(?:-\d{2,7}){2,4}(?![\d-])|(?<!\d)\d{6}-\d{7}(?!\d)/g,
    (all) => digitNames(all.replace('+', '플러스 '), '공'),
  ],
  [/(?<![\d.,])0\d{2,12}(?![\d])/g, (all) => digitNames(all, '공')],
  // Times: 14:30, 9:05:10
  [
    /(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])/g,
    (_all, hour = '', minute = '', second) => {
      const parts = [`${countedNumber(String(Number(hour)), '시')}시`];
      if (minute !== '00' || second !== undefined) parts.push(`${sinoNumber(minute)}분`);
      if (second !== undefined) parts.push(`${sinoNumber(second)}초`);
      return parts.join(' ');
    },
  ],
  [
    /(?<![\d:])(\d{1,3}):(\d{1,3})(?![\d:])/g,
    (_all, left = '', right = '') => `${sinoNumber(left)} 대 ${sinoNumber(right)}`,
  ],
  // 135/85mmHg, 2024-1008, 4.1~4.9%, and the keys of a menu: 1번, … 0번을 눌러
  [
    /(?<![\d./])(\d{2,3})\/(\d{2,3})\s?mmHg|(?<=혈압[은이]?\s?)(\d{2,3})\/(\d{2,3})(?![\d./])/g,
    (_all, a, b, c = '', d = '') =>
      a === undefined
        ? `${sinoNumber(c)}에 ${sinoNumber(d)}`
        : `${sinoNumber(a)}에 ${sinoNumber(b ?? '')}${UNIT_NAMES['mmHg']}`,
  ],
  [
    /(?<![\d.-])(\d{3,6})-(\d{3,6})(?![\d-])/g,
    (all, first, second) => (Number(first) > Number(second) ? digitNames(all, '공') : all),
  ],
  [
    /(?<![\d.,])(\d{1,6})(\.\d{1,4})?\s?[~∼～]\s?(?=\d{1,6}(\.\d)?)/g,
    (all, whole = '', fraction, next) => (fraction || next ? `${amount(whole, fraction, '')}에서 ` : all),
  ],
  [/(?<!\d)(\d{1,2})번(?=,[^.!?]{0,60}(?:0번|\d번을|눌러|누르))/g, (_all, key = '') => `${sinoNumber(key)}번`],
  // 3-1로 이겼다, 3대 2로 역전승
  [
    new RegExp(`(?<![\\d-])(\\d{1,3})\\s?(?:-|대)\\s?(\\d{1,3})(?=(?:으?로|의)?\\s?(?:${RESULT}))`, 'g'),
    (_all, ours = '', theirs = '') => `${sinoNumber(ours)} 대 ${sinoNumber(theirs)}`,
  ],
  // Scores: 3대2, 점수는 21-19
  [
    /(?<!\d)(\d{1,3})대(\d{1,3})(?![\d개명대])|(?<=(?:점수|스코어|세트)[는은가이]?\s?)(\d{1,3})-(\d{1,3})(?![\d-])/g,
    (_all, a, b, c = '', d = '') => `${sinoNumber(a ?? c)} 대 ${sinoNumber(b ?? d)}`,
  ],
  // Versions and addresses: 1.2.3
  [/(?<![\d.])\d{1,4}(?:\.\d{1,4}){2,4}(?![\d.])/g, (all) => all.split('.').map(sinoNumber).join('점')],
  // Money with the sign in front.
  [
    new RegExp(`([₩￦$€£¥])\\s?(${NUMBER})(\\.\\d{1,2})?((?:천|백)?[만억조])?`, 'g'),
    (_all, sign = '', whole = '', fraction = '', group = '') =>
      `${amount(whole, fraction, group)}${group}${MONEY[sign] ?? ''}`,
  ],
  // Fractions: 3/4; 12/25 is a date when no fraction would have such parts.
  [
    /(?<![\d/.])(\d{1,2})\/(\d{1,3})(?![\d/.])/g,
    (_all, above = '', below = '') =>
      Number(above) <= 12 && Number(below) > 12 && Number(below) <= 31
        ? `${countedNumber(String(Number(above)), '월')}월 ${sinoNumber(below)}일`
        : `${sinoNumber(below)}분의 ${sinoNumber(above)}`,
  ],
  // Numbers that name: 주문 번호는 20240512, and eight digits and more on their own.
  [
    /((?:번호|코드|계좌|아이디)[은는이가을를]?:?\s?)(\d{3,20})(?![\d.,]|\s?[번원개명])/g,
    (_all, name = '', digits = '') => name + digitNames(digits, '공'),
  ],
  [/(?<![\d.,])\d{8,30}(?![\d.,]|\s?[가-힣%])/g, (all) => digitNames(all, '공')],
  // Neighbours: 2~3일
  [
    /(?<![\d.~-])(\d)\s?[~∼～–-]\s?(\d)(?=([가-힣]{1,5}))/g,
    (all, low = '', high = '', after = '') => approximateNumber(low, high, after) ?? all,
  ],
  // Ranges: 3~5개, 10-20명
  [
    new RegExp(`(?<![\\d.-])(${NUMBER})\\s?[~∼～–-]\\s?(?=(?:${NUMBER})\\s?([가-힣]{1,5}|${UNIT_PATTERN}|%)?)`, 'g'),
    (_all, left = '', after) => {
      const name = after === undefined ? '' : after;
      const counted = countedNumber(plain(left), name);
      const native = counted !== sinoNumber(plain(left));
      return `${counted}${native ? (NATIVE_COUNTER.exec(name)?.[0] ?? '') : ''}에서 `;
    },
  ],
  // Below zero: temperatures are 영하.
  [
    new RegExp(`(?<![\\dA-Za-z가-힣)])[-−](?=(?:${NUMBER})(?:\\.\\d{1,10})?\\s?(도|℃|°C)?)`, 'g'),
    (_all, degree) => (degree === undefined ? '마이너스 ' : '영하 '),
  ],
  // Units in Latin letters: 5km, 250 mL
  [
    new RegExp(`(${NUMBER})(\\.\\d{1,10})?\\s?(${UNIT_PATTERN})(?![A-Za-z])`, 'g'),
    (_all, whole = '', fraction = '', unit = '') => `${amount(whole, fraction, '')}${UNIT_NAMES[unit] ?? unit}`,
  ],
  // Signs of arithmetic between numbers.
  [/([2459])\s?=\s?(?=\d)/g, (_all, digit = '') => `${digit}는 `],
  [/(?<=\d)\s?([+×÷=])\s?(?=\d)/g, (_all, sign = '') => ` ${ARITHMETIC[sign] ?? ''} `],
  // Everything else: the number by what follows it.
  [
    new RegExp(`(${NUMBER})(\\.\\d{1,20})?(?=(\\s?[가-힣]{0,12}(?:\\s[가-힣]{1,4})?))`, 'g'),
    (_all, whole = '', fraction = '', after = '') => amount(whole, fraction, after),
  ],
  [/\d/g, (digit) => digitNames(digit)],
];

/** A number with an optional fraction, before what it counts. */
function amount(whole: string, fraction: string | undefined, after: string): string {
  const digits = plain(whole);
  if (fraction !== undefined && fraction !== '') return `${sinoNumber(digits)}점${digitNames(fraction.slice(1))}`;
  return countedNumber(digits, after.replace(/^\s/, ''));
}

function plain(number: string): string {
  return number.replaceAll(',', '');
}

const NATIVE_COUNTER = /^(?:개|명|시간|시|번|살|마리|권|잔|병|장|대|달|가지|사람)/;
const MONEY: Readonly<Record<string, string>> = {
  '₩': '원',
  '￦': '원',
  $: '달러',
  '€': '유로',
  '£': '파운드',
  '¥': '엔',
};
const ARITHMETIC: Readonly<Record<string, string>> = { '+': '더하기', '×': '곱하기', '÷': '나누기', '=': '은' };
