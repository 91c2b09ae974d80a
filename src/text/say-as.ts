import type { Language } from './language.js';

/** What `say-as` may ask for; anything else is read as it stands. */
export const SAY_AS = [
  'characters',
  'spell-out',
  'verbatim',
  'digits',
  'number_digit',
  'telephone',
  'cardinal',
  'number',
  'ordinal',
  'fraction',
  'date',
  'time',
  'currency',
  'unit',
  'address',
  'name',
  'expletive',
] as const;

/**
 * A text in the form in which the front end of its language reads it as asked: `characters` one by one, `digits` digit by
 * digit, `ordinal`, `date` by its `format` (such as `mdy`) and so on. Never fails: what does not fit is left as it is.
 * https://www.w3.org/TR/ssml-sayas/ with the names that Azure and Google add.
 */
export async function sayAs(text: string, interpretAs: string, format: string, language: Language): Promise<string> {
  const plain = text.normalize('NFKC').trim();
  const words = await wordsOf(language);
  switch (interpretAs) {
    case 'characters':
    case 'spell-out':
    case 'verbatim':
      return spellOut(plain, words, language);
    case 'digits':
    case 'number_digit':
      return plain.replace(/\d+/g, (digits) => words.digits(digits));
    case 'telephone':
      return telephone(plain, words);
    case 'cardinal':
    case 'number':
      return plain.replace(/(-?)(\d[\d,]*)(?:\.(\d+))?/g, (_, sign: string, whole: string, part?: string) => {
        const digits = whole.replaceAll(',', '');
        return `${sign && words.minus}${part === undefined ? words.cardinal(digits) : words.decimal(digits, part)}`;
      });
    case 'ordinal':
      return plain.replace(/\d[\d,]*(?:st|nd|rd|th)?/gi, (number) => words.ordinal(number.replace(/\D/g, '')));
    case 'fraction':
      return plain
        .replace(/(?<!\d)(\d{1,30})\s{1,9}(?=\d{1,30}\s?\/)/g, (_, whole: string) => words.cardinal(whole) + words.and)
        .replace(/(?<!\d)(\d{1,30})\s?\/\s?(\d{1,30})/g, (_, above: string, below: string) =>
          words.fraction(above, below),
        );
    case 'date':
      return date(plain, format.toLowerCase(), words) ?? plain;
    case 'time':
      return clock(plain, words) ?? plain;
    case 'expletive':
      return words.bleep;
    default:
      // Currencies, units, addresses and names are what the normalisers read best as they are.
      return plain;
  }
}

interface Words {
  readonly digits: (digits: string) => string;
  readonly telephoneDigits: (digits: string) => string;
  readonly cardinal: (digits: string) => string;
  readonly decimal: (whole: string, part: string) => string;
  readonly ordinal: (digits: string) => string;
  readonly fraction: (above: string, below: string) => string;
  readonly date: (year: string | undefined, month: string | undefined, day: string | undefined) => string;
  readonly clock: (hour: string, minute: string, second: string | undefined) => string;
  readonly signs: Readonly<Record<string, string>>;
  readonly pause: string;
  readonly minus: string;
  readonly plus: string;
  readonly and: string;
  readonly bleep: string;
}

async function wordsOf(language: Language): Promise<Words> {
  if (language === 'en') {
    const en = await import('./en/numbers.js');
    return {
      digits: en.digitByDigit,
      telephoneDigits: en.digitByDigit,
      cardinal: en.cardinal,
      decimal: en.decimal,
      ordinal: en.ordinal,
      fraction: en.fraction,
      date: (year, month, day) => {
        const name = month === undefined ? '' : (MONTHS[Number(month) - 1] ?? '');
        const parts = [name, day === undefined ? '' : en.ordinal(String(Number(day)))]
          .filter((part) => part !== '')
          .join(' ');
        const spoken = year === undefined ? '' : en.plainNumber(year);
        return parts !== '' && spoken !== '' ? `${parts}, ${spoken}` : parts + spoken;
      },
      clock: (hour, minute, second) => `${hour}:${minute}${second === undefined ? '' : `:${second}`}`,
      signs: {
        '.': 'dot',
        '-': 'dash',
        '@': 'at',
        '/': 'slash',
        _: 'underscore',
        '+': 'plus',
        '#': 'hash',
        '&': 'and',
        '*': 'star',
      },
      pause: ', ',
      minus: 'negative ',
      plus: 'plus ',
      and: ' and ',
      bleep: 'beep',
    };
  }
  if (language === 'ko') {
    const { digitNames, sinoNumber } = await import('./ko/numbers.js');
    const { countedNumber } = await import('./ko/counters.js');
    return {
      digits: (digits) => digitNames(digits),
      telephoneDigits: (digits) => digitNames(digits, '공'),
      cardinal: sinoNumber,
      decimal: (whole, part) => `${sinoNumber(whole)}점${digitNames(part)}`,
      ordinal: (digits) => (digits === '1' ? '첫 번째' : `${countedNumber(digits, '번')} 번째`),
      fraction: (above, below) => `${sinoNumber(below)}분의 ${sinoNumber(above)}`,
      date: (year, month, day) => joined([year, '년'], [month, '월'], [day, '일'], ' '),
      clock: (hour, minute, second) => joined([hour, '시'], [minute, '분'], [second, '초'], ' '),
      signs: {
        '.': '점',
        '-': '하이픈',
        '@': '골뱅이',
        '/': '슬래시',
        _: '밑줄',
        '+': '플러스',
        '#': '샵',
        '&': '앤드',
        '*': '별',
      },
      pause: ', ',
      minus: '마이너스 ',
      plus: '플러스 ',
      and: '와 ',
      bleep: '삐',
    };
  }
  const zh = await import('./zh/numbers.js');
  if (language === 'ja') {
    return {
      // Figures in characters, which the Japanese front end reads by what stands around them.
      digits: (digits) => [...digits].map((digit) => zh.digitByDigit(digit)).join('、'),
      telephoneDigits: (digits) => zh.digitByDigit(digits),
      cardinal: zh.cardinal,
      decimal: (whole, part) => `${whole}.${part}`,
      ordinal: (digits) => `${digits}番目`,
      fraction: (above, below) => `${below}分の${above}`,
      date: (year, month, day) => joined([year, '年'], [month, '月'], [day, '日'], ''),
      clock: (hour, minute, second) =>
        joined([hour, '時'], [minute === '00' ? undefined : minute, '分'], [second, '秒'], ''),
      signs: {
        '.': 'ドット',
        '-': 'ハイフン',
        '@': 'アットマーク',
        '/': 'スラッシュ',
        _: 'アンダーバー',
        '+': 'プラス',
        '#': 'シャープ',
        '&': 'アンド',
        '*': '米印',
      },
      pause: '、',
      minus: 'マイナス',
      plus: 'プラス',
      and: 'と',
      bleep: 'ピー',
    };
  }
  return {
    digits: (digits) => zh.digitByDigit(digits),
    telephoneDigits: (digits) => zh.digitByDigit(digits, { yao: language === 'zh' }),
    cardinal: zh.cardinal,
    decimal: (whole, part) => zh.decimal(`${whole}.${part}`),
    ordinal: (digits) => `第${zh.cardinal(digits)}`,
    fraction: (above, below) => `${zh.cardinal(below)}分之${zh.cardinal(above)}`,
    date: (year, month, day) => joined([year, '年'], [month, '月'], [day, '日'], ''),
    clock: (hour, minute, second) =>
      joined([hour, '点'], [minute === '00' ? undefined : minute, '分'], [second, '秒'], ''),
    signs: {
      '.': '点',
      '-': '杠',
      '@': '艾特',
      '/': '斜杠',
      _: '下划线',
      '+': '加',
      '#': '井号',
      '&': '和',
      '*': '星号',
    },
    pause: '，',
    minus: '负',
    plus: '加',
    and: '又',
    bleep: '哔',
  };
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ');

function joined(...parts: readonly (readonly [string | undefined, string] | string)[]): string {
  const between = parts.at(-1) as string;
  return (parts.slice(0, -1) as (readonly [string | undefined, string])[])
    .filter(([number]) => number !== undefined)
    .map(([number, unit]) => `${(number as string).length === 4 ? number : Number(number)}${unit}`)
    .join(between);
}

function spellOut(text: string, words: Words, language: Language): string {
  const spelt = [...text.replace(/\s+/g, ' ')].map((character) => {
    if (/\d/.test(character)) return words.digits(character);
    if (/[a-z]/i.test(character))
      return language === 'en' || language === 'zh' || language === 'yue' ? character.toUpperCase() : character;
    if (character === ' ') return words.pause.trim();
    return words.signs[character] ?? character;
  });
  return spelt.join(' ');
}

function telephone(text: string, words: Words): string {
  const plus = text.trimStart().startsWith('+') ? words.plus : '';
  const groups = text.match(/\d+/g) ?? [];
  return groups.length === 0 ? text : plus + groups.map(words.telephoneDigits).join(words.pause);
}

function date(text: string, format: string, words: Words): string | undefined {
  const numbers = text.match(/\d+/g) ?? [];
  const order = /^[ymd]{1,3}$/.test(format) && new Set(format).size === format.length ? format : guessOrder(numbers);
  if (numbers.length !== order.length) return undefined;
  const part = (letter: string): string | undefined => numbers[order.indexOf(letter)];
  const month = part('m');
  const day = part('d');
  if (month !== undefined && (Number(month) < 1 || Number(month) > 12)) return undefined;
  if (day !== undefined && (Number(day) < 1 || Number(day) > 31)) return undefined;
  const year = part('y');
  const full = year !== undefined && year.length <= 2 ? String((Number(year) < 70 ? 2000 : 1900) + Number(year)) : year;
  return words.date(full, month, day);
}

function guessOrder(numbers: readonly string[]): string {
  if (numbers.length === 3) return (numbers[0] ?? '').length === 4 ? 'ymd' : Number(numbers[0]) > 12 ? 'dmy' : 'mdy';
  if (numbers.length === 2) return (numbers[0] ?? '').length === 4 ? 'ym' : 'md';
  return 'y';
}

function clock(text: string, words: Words): string | undefined {
  const found = /^(\d{1,2})[:：.](\d{2})(?:[:：.](\d{2}))?\s*([ap]\.?m\.?)?$/i.exec(text);
  if (found === null) return undefined;
  const [, hour = '', minute = '', second, half = ''] = found;
  if (Number(hour) > 24 || Number(minute) > 59) return undefined;
  return words.clock(hour, minute, second) + (half === '' ? '' : ` ${half}`);
}
