import type { SourceText } from '../source-text.js';
import { cardinal, decimal, digitByDigit } from './numbers.js';

/**
 * Spells the numbers, dates, times, units and signs of one clause in Chinese characters, in upstream's order and with its
 * readings. upstream: text/zh_normalization/text_normlization.py TextNormalizer.normalize_sentence
 */
export function spellNumbers(clause: SourceText): SourceText {
  if (!/[\dA-Za-z⁰¹²³⁴-⁹ˣʸⁿ]/.test(clause.text)) return clause;
  let text = clause;
  for (const [pattern, read] of RULES) text = text.replace(pattern, read);
  return text;
}

type Rule = readonly [RegExp, (match: string, ...groups: (string | undefined)[]) => string];

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹ˣʸⁿ';
const SUPERSCRIPT_VALUES = '0123456789xyn';
/** Every number starts here: a pattern that may not start inside a run of digits cannot rescan the run. */
const NUMBER = '(?<!\\d)\\d+(?!\\d)(?:\\.\\d+(?!\\d))?';
const OPERAND = `(?:-?${NUMBER}[${SUPERSCRIPTS}]*|\\.\\d+[${SUPERSCRIPTS}]*|[A-Za-z][${SUPERSCRIPTS}]*)`;
const OPERATORS: Readonly<Record<string, string>> = { '+': '加', '-': '减', '×': '乘', '÷': '除', '=': '等于' };
const ARITHMETIC: Rule = [
  new RegExp(`(${OPERAND})([+\\-×÷=])(?=-?\\.?\\d|[A-Za-z])`, 'g'),
  (_, left, operator) => `${left}${OPERATORS[operator!]}`,
];

/** Units upstream replaces wherever they stand as a whole Latin word. */
const MEASURES: Readonly<Record<string, string>> = {
  cm2: '平方厘米',
  'cm²': '平方厘米',
  cm3: '立方厘米',
  'cm³': '立方厘米',
  cm: '厘米',
  db: '分贝',
  ds: '毫秒',
  kg: '千克',
  km: '千米',
  m2: '平方米',
  'm²': '平方米',
  m3: '立方米',
  'm³': '立方米',
  ml: '毫升',
  m: '米',
  mm: '毫米',
  s: '秒',
};

/** Measure words before which a number is read as a count (upstream: COM_QUANTIFIERS, reduced to what decides). */
export const COUNTED =
  '[处台架枚趟幅平方堵间床株批例列篇栋注亩封艘把目套段人所朵匹张座回场尾条个首阙阵网炮顶丘棵只支袭辆挑担颗壳窠曲墙群腔砣客贯扎捆刀令打手罗坡山岭江溪钟队单双对出口头脚板跳枝件贴针线管名位身堂课本页家户层丝毫厘分钱两斤铢石钧锱忽寸尺丈里寻常铺程米撮勺合升斗盘碗碟叠桶笼盆盒杯斛锅簋篮罐瓶壶卮盏箩箱煲啖袋钵年月日季刻时周天秒旬纪岁世更夜春夏秋冬代伏辈丸泡粒幢堆根道面片块元亿万千百吨角项]|千克|微克|公分|千米|小时|美元|十吨';

const RULES: readonly Rule[] = [
  [
    /(\d{4}|\d{2})年(?:(0?[1-9]|1[0-2])月)?(?:(0?[1-9]|[12][0-9]|30|31)([日号]))?/g,
    (_, year, month, day, unit) =>
      `${digitByDigit(year!)}年${month ? `${cardinal(month)}月` : ''}${day ? `${cardinal(day)}${unit}` : ''}`,
  ],
  [
    /(\d{4})([- /.])(0[1-9]|1[012])\2(0[1-9]|[12][0-9]|3[01])/g,
    (_, year, _separator, month, day) => `${digitByDigit(year!)}年${cardinal(month!)}月${cardinal(day!)}日`,
  ],
  [
    /([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?[~-]([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?/g,
    (_, hour, minute, second, hour2, minute2, second2) =>
      `${time(hour!, minute!, second)}至${time(hour2!, minute2!, second2, minute === '30' ? '半' : '三十分')}`,
  ],
  [/([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?/g, (_, hour, minute, second) => time(hour!, minute!, second)],
  [/(-?)(?<!\d)(\d+(?:\.\d+)?)(?:°C|℃|度|摄氏度)/g, (_, sign, number) => `${sign ? '零下' : ''}${decimal(number!)}度`],
  [/(?<![A-Za-z])(?:[ck]?m[23²³]|[ck]?m|mm|ml|db|ds|kg|s)(?![A-Za-z])/g, (unit) => MEASURES[unit] ?? unit],
  ARITHMETIC,
  ARITHMETIC,
  [
    new RegExp(`[${SUPERSCRIPTS}]+`, 'g'),
    (power) => `的${[...power].map((mark) => SUPERSCRIPT_VALUES[SUPERSCRIPTS.indexOf(mark)]).join('')}次方`,
  ],
  [
    /(-?)(?<!\d)(\d+)\/(\d+)/g,
    (_, sign, numerator, denominator) => `${minus(sign)}${cardinal(denominator!)}分之${cardinal(numerator!)}`,
  ],
  [new RegExp(`(-?)(${NUMBER})%`, 'g'), (_, sign, number) => `${minus(sign)}百分之${decimal(number!)}`],
  [
    /(?<!\d)(?:\+?86 ?)?1(?:[38]\d|5[0-35-9]|7[678]|9[89])\d{8}(?!\d)/g,
    (number) => digitByDigit(number.replace(/\D/g, ''), { yao: true }),
  ],
  [/(?<!\d)(?:0(?:10|2[1-3]|[3-9]\d{2})-?)?[1-9]\d{6,7}(?!\d)/g, (number) => telephone(number)],
  [/400-?\d{3}-?\d{4}/g, (number) => telephone(number)],
  [
    /(?<![\d+\-×÷=])(-?)(\d+(?:\.\d+)?)[-~](-?)((?<!\d)\d+(?:\.\d+)?)(?![\d+\-×÷=])/g,
    (_, sign, first, sign2, second) => `${minus(sign)}${decimal(first!)}到${minus(sign2)}${decimal(second!)}`,
  ],
  [/-(\d+)/g, (_, number) => `负${cardinal(number!)}`],
  [
    /(?<!\d)\d+(?:\.\d+){2,}/g,
    (version) => [...version].map((character) => (character === '.' ? '点' : cardinal(character))).join(''),
  ],
  [/(-?)((?<!\d)\d+\.\d+)|\.\d+/g, (match, sign, number) => (number ? minus(sign) + decimal(number) : decimal(match))],
  [
    new RegExp(`((?<!\\d)\\d+)([多余几+])?(?=${COUNTED})`, 'g'),
    (_, number, more) => {
      const read = cardinal(number!);
      return `${read === '二' ? '两' : read}${more === '+' ? '多' : (more ?? '')}`;
    },
  ],
  [/\d{3,}/g, (digits) => digitByDigit(digits, { yao: true })],
  [/(-?)((?<!\d)\d+)/g, (_, sign, number) => minus(sign) + cardinal(number!)],
];

function minus(sign: string | undefined): string {
  return sign ? '负' : '';
}

function telephone(number: string): string {
  return number
    .split('-')
    .map((part) => digitByDigit(part, { yao: true }))
    .join('，');
}

function time(hour: string, minute: string, second: string | undefined, half = '半'): string {
  let read = `${cardinal(hour)}点`;
  const toTheSecond = second !== undefined && second !== '00';
  if (minute === '30' && !toTheSecond) read += half;
  else if (minute !== '00') read += `${clockNumber(minute)}分`;
  if (toTheSecond) read += `${clockNumber(second)}秒`;
  return read;
}

/** Minutes and seconds keep a leading zero: 05 -> 零五. */
function clockNumber(digits: string): string {
  return (digits.startsWith('0') ? '零' : '') + cardinal(digits.replace(/^0/, ''));
}
