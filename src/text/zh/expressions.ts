import type { SourceText } from '../source-text.js';
import { cardinal, decimal, digitByDigit } from './numbers.js';
import { COUNTED } from './reading-rules.js';
import { CURRENCY_NAMES, CURRENCY_PATTERN, LONG_UNIT_PATTERN, UNIT_NAMES, UNIT_PATTERN } from './units.js';

/**
 * Spells in Chinese the written expressions that the reference reads wrongly or loses: dates with any separator, months,
 * ratios, ranges, telephone numbers with hyphens, currencies, thousands separators, Latin units, negative decimals, round
 * numbers, slashes, 〇. What it leaves is for the reference's own rules (reading-rules.ts).
 */
export function spellExpressions(text: SourceText): SourceText {
  const narrow = NOT_HAN.test(text.text) ? narrowBetweenDigits(text) : text;
  // Most sentences have neither figures nor letters, and patterns that are not tried need not be compiled.
  const rules = /[\dA-Za-z]/.test(narrow.text) ? RULES : SIGNS_ALONE.test(narrow.text) ? RULES_OF_SIGNS : [];
  return rules.reduce((spelt, rule) => apply(rule, spelt), narrow);
}

/** Something besides Han characters and the marks that end clauses. */
const NOT_HAN = /[^\u4e00-\u9fa5，。！？、；：,.!?\s]/;
/** What rules read where there is neither figure nor letter. */
const SIGNS_ALONE = /[/#*＊〇○~～—-]/;

type Groups = Readonly<Record<string, string | undefined>>;

interface Rule {
  readonly pattern: RegExp;
  /** The spelt form, or undefined to leave the match as it is. */
  readonly spell: (groups: Groups, context: Context) => string | undefined;
}

interface Context {
  readonly match: string;
  readonly before: string;
  readonly after: string;
}

/** How far a rule may look around itself for words that decide a reading. */
const CONTEXT_CHARACTERS = 8;

function apply(rule: Rule, source: SourceText): SourceText {
  const { text } = source;
  return source.replace(rule.pattern, (match: string, ...rest: unknown[]) => {
    // replace() passes offset and text after the captures, and then the groups where the pattern names any.
    const groups = typeof rest.at(-1) === 'object' ? (rest.pop() as Groups) : {};
    const offset = rest.at(-2) as number;
    const context = {
      match,
      before: text.slice(Math.max(0, offset - CONTEXT_CHARACTERS), offset),
      after: text.slice(offset + match.length, offset + match.length + CONTEXT_CHARACTERS),
    };
    return rule.spell(groups, context) ?? match;
  });
}

/** Full-width signs inside numbers, the several dashes and minus signs, squared unit characters. */
function narrowBetweenDigits(text: SourceText): SourceText {
  return text
    .replace(/[０-９]/g, (digit) => String.fromCharCode(digit.charCodeAt(0) - 0xfee0))
    .replace(/[\u2160-\u216b\u2170-\u217b]/g, (numeral) =>
      cardinal(String(((numeral.charCodeAt(0) - 0x2160) % 16) + 1)),
    )
    .replace(/[㎀-㏟℉]/g, (sign) => sign.normalize('NFKC').replace('⁄', '/'))
    .replace(/(?<!\d)(\d*)([¼-¾⅐-⅞])/g, (_, whole: string, fraction: string) => {
      const [numerator, denominator] = fraction.normalize('NFKC').split('⁄');
      return `${whole && `${whole}又`}${numerator}/${denominator}`;
    })
    .replace(/(?<=\d)°(?!\s?[CFcf])/g, '度')
    .replace(/％/g, '%')
    .replace(/(?<=\d)[：．／＋＝](?=\d)/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
    .replace(/−(?=\d)|(?<=\d)[－–—](?=\d)/g, '-')
    .replace(/(?<=[\d%℃CF度元年月日号时分])～(?=-?\d)/g, '~')
    .replace(/(?<=\d)\*(?=\d)/g, '×');
}

const FREE = '(?<![\\d.:])';
/** Each run of digits is taken whole, so that a failing match does not try its beginnings. */
const NUMBER = '(?:\\d{1,3}(?:,\\d{3}){1,5}(?!\\d)|\\d+(?!\\d))(?:\\.\\d+(?!\\d))?';
const END = '(?![A-Za-z\\d²³])';
/** What a range must not touch, or it is a sum, a code or a chain. */
const NOT_IN_SUM = '(?<![\\d.+\\-×÷=/:A-Za-z])';
const MULTIPLIER = '万亿|千亿|百亿|十亿|千万|百万|十万|亿|万|千|百';
const MONEY_WORD = '元|块|美元|美金|欧元|英镑|港元|港币|日元|韩元|人民币';

/** Measure words that upstream's list lacks, so that it spells 120次 digit by digit and says 二次 for 2次. */
const MORE_COUNTED =
  '次(?![方元]|列车|航班|特快)|点(?!\\d)|汤匙|茶匙|大勺|小勺|种|公里|公斤|公顷|倍|款|升|克|英里|海里|英尺|英寸|兆|立方|瓦|伏|赫兹|安培|字节|比特|卡路里|像素|帧|股|票|步(?!骤)';
const TWO_COUNTED =
  '次(?![方元]|列车|航班|特快|函数|曲线|元|世界)|汤匙|茶匙|大勺|小勺|种|公里|公斤|公顷|倍|款|升|克|英里|海里|英尺|英寸|兆|瓦|伏';
/** After a number these make it a quantity, so that a hyphen before it means "to". */
const QUANTITY = `${COUNTED}|${MORE_COUNTED}|个|滴|倍|号(?!码)|楼|级|年级|折|分|日|点|度|摄氏度|秒|成|集|期|章|章节|周年|公斤`;

/** 周一-周五, 三月-五月 */
const HAN_DATE_RANGE: Rule = {
  pattern:
    /(?<=[年月日号]|周[一二三四五六日末]|星期[一二三四五六日天])[-~～—](?=[一二三四五六七八九十零]{1,12}[年月日号]|\d{1,4}[年月日号]|周|星期)/g,
  spell: () => '到',
};

const DATES: Rule[] = [
  {
    pattern:
      /(?<!\d)(?<year>(?:19|20)\d{2})(?<separator>[-/.])(?<month>1[0-2]|0?[1-9])\k<separator>(?<day>3[01]|[12]\d|0?[1-9])(?![\d.-])/g,
    spell: ({ year, month, day }) => `${digitByDigit(year!)}年${cardinal(month!)}月${cardinal(day!)}日`,
  },
  {
    // 周三（4/8）
    pattern:
      /(?<=(?:周|星期|礼拜)[一二三四五六日天][（(,， ]{0,2})(?<month>1[0-2]|[1-9])\/(?<day>3[01]|[12]\d|0?[1-9])(?![\d/.%-])/g,
    spell: ({ month, day }) => `${cardinal(month!)}月${cardinal(day!)}日`,
  },
  {
    // a month with its zero is no numerator
    pattern: /(?<![\d/.-])0(?<month>[1-9])\/(?<day>3[01]|[12]\d|0?[1-9])(?![\d/.%-])/g,
    spell: ({ month, day }) => `${cardinal(month!)}月${cardinal(day!)}日`,
  },
  {
    pattern: /(?<![\d/.-])(?<year>(?:19|20)\d{2})(?<separator>[-/])(?<month>1[0-2]|0[1-9])(?![\d/.=-])/g,
    spell: ({ year, month }) => `${digitByDigit(year!)}年${cardinal(month!)}月`,
  },
  {
    pattern: /(?<![\d+\-×÷=./])(?<first>(?:19|20)\d{2})年?[-~](?<second>(?:19|20)\d{2})(?<unit>年?)(?![\d+\-×÷=./])/g,
    spell: ({ first, second, unit }) =>
      Number(first) < Number(second) ? `${digitByDigit(first!)}到${digitByDigit(second!)}${unit}` : undefined,
  },
  {
    pattern:
      /(?<![\d.])(?<first>1[0-2]|0?[1-9])(?:月?[-~](?<second>1[0-2]|0?[1-9]))?月(?:(?<day>3[01]|[12]\d|0?[1-9])(?:[日号]?[-~](?<lastDay>3[01]|[12]\d|0?[1-9]))?(?<unit>[日号]))?/g,
    spell: ({ first, second, day, lastDay, unit }, { before }) => {
      if (/年$/.test(before) && !second && !lastDay) return undefined; // upstream reads whole dates
      const months = `${cardinal(first!)}${second ? `到${cardinal(second)}` : ''}月`;
      return day ? `${months}${cardinal(day)}${lastDay ? `${unit}到${cardinal(lastDay)}` : ''}${unit}` : months;
    },
  },
  HAN_DATE_RANGE,
  {
    // 10年期, 工作了20年: two digits are a year where they begin with 0, a month follows, or the century is the last
    pattern: /(?<![\d.:~-])(?<number>[1-9]\d)年(?!代|\d|级)/g,
    spell: ({ number }, { before, after }) =>
      Number(number) < 50 || SPAN_BEFORE.test(before) || SPAN_AFTER.test(after) ? `${cardinal(number!)}年` : undefined,
  },
  {
    // those born in the nineties: 90后, 95后
    pattern: /(?<![\d:.点分])(?<decade>[0-9]0|[05-9]5)后(?![面天来续])/g,
    spell: ({ decade }) => `${digitByDigit(decade!)}后`,
  },
];

const SPAN_BEFORE = /(?:[近约超过长达历时了满整前每共逾足第]|超过|将近|至少|最多)$/;
const SPAN_AFTER = /^(?:[来内后前间期以之多])/;

/** 13点05分, 1米75, 3斤2两, 3‰ and 100+200=300 as they are said. */
const SPOKEN_PARTS: Rule[] = [
  // 3·15, 9·18: days that have become names
  {
    pattern: /(?<![\d.])(?<month>1[0-2]|[1-9])[·•](?<day>[123]?\d)(?![\d.])/g,
    spell: ({ month, day }) => digitByDigit(`${month}${day}`),
  },
  {
    pattern: /(?<!\d)(?<minutes>\d{1,2})['′](?<seconds>\d{2})["″”]/g,
    spell: ({ minutes, seconds }) => `${cardinal(minutes!)}分${cardinal(seconds!)}秒`,
  },
  // 1m82
  {
    pattern: /(?<![\d.A-Za-z])(?<metres>[12])m(?<digits>\d{2})(?![\d.A-Za-z])/g,
    spell: ({ metres, digits }) => `${cardinal(metres!)}米${digitByDigit(digits!)}`,
  },
  {
    pattern: /第(?<page>\d{1,4})\/(?<pages>\d{1,4})(?<what>[页集期季章])/g,
    spell: ({ page, pages, what }, { after }) =>
      `第${cardinal(page!)}${what}${/^[，,、]?共/.test(after) ? '' : `，共${cardinal(pages!)}${what}`}`,
  },
  { pattern: /(?<=[\d%℃]) ?[→➔➜] ?(?=\d)/g, spell: () => '到' },
  // +2.35% of an index is no sum
  { pattern: /(?<=[\u4e00-\u9fa5])\+(?=\d{1,9}(?:\.\d{1,9})?%)/g, spell: () => '正' },
  { pattern: /(?<number>(?<![\d.])\d+(?:\.\d+)?)‰/g, spell: ({ number }) => `千分之${decimal(number!)}` },
  {
    // upstream reads sums of one and two digits, and longer numbers digit by digit
    pattern: /(?<![\d.+\-×÷=A-Za-z])\d+(?:\.\d+)?(?:[+×÷=]\d+(?:\.\d+)?){1,9}(?![\d.+\-×÷=%A-Za-z:/])/g,
    spell: (_, { match }) =>
      /\d{3}/.test(match) && !/(?<![\d.])0\d|\d{9}/.test(match)
        ? match.replace(/\d+(?:\.\d+)?/g, (number) => decimal(number)).replace(/[+×÷=]/g, (sign) => SUM_SIGNS[sign]!)
        : undefined,
  },
  { pattern: /(?<=\d[点时])0(?<digit>\d)(?=分)/g, spell: ({ digit }) => `零${cardinal(digit!)}` },
  {
    pattern: /(?<=\d米)(?<digits>\d{2})(?![\d.]|[厘分毫千]?米|[A-Za-z*×xX])/g,
    spell: ({ digits }) => digitByDigit(digits!),
  },
  {
    // 9秒83: hundredths are said one by one
    pattern: /(?<=\d秒)(?<digits>\d{2,3})(?![\d.A-Za-z]|[秒分时个米次])/g,
    spell: ({ digits }) => digitByDigit(digits!),
  },
  { pattern: /(?<=\d斤)2两/g, spell: () => '二两' },
  {
    pattern: /(?<![\d.A-Za-z])(?<hours>\d{1,3})\s?h\s?(?<minutes>\d{1,2})\s?m(?:in)?(?![A-Za-z\d²³])/g,
    spell: ({ hours, minutes }) => `${two(cardinal(hours!))}小时${cardinal(minutes!)}分钟`,
  },
];

const SUM_SIGNS: Readonly<Record<string, string>> = { '+': '加', '×': '乘', '÷': '除以', '=': '等于' };

const CLOCK = '(?<![\\d:.])(?:[01]?\\d|2[0-4]):[0-5]\\d(?::[0-5]\\d)?';

const CLOCK_ONLY = /^(?:[01]?\d|2[0-4]):[0-5]\d$/;

const TIMES_AND_RATIOS: Rule[] = [
  {
    pattern: new RegExp(`(?<![A-Za-z])(?<half>[aApP])\\.?[mM]\\.?\\s?(?<clock>${CLOCK})`, 'g'),
    spell: ({ clock, half }) => `${/a/i.test(half!) ? '上午' : '下午'}${clock}`,
  },
  {
    pattern: new RegExp(`(?<clock>${CLOCK})\\s?(?<half>[aApP])\\.?[mM]\\b\\.?`, 'g'),
    spell: ({ clock, half }) => `${/a/i.test(half!) ? '上午' : '下午'}${clock}`,
  },
  {
    // upstream decides 半 of the second time by the minutes of the first
    pattern:
      /(?<![\d:.])(?<first>(?:[01]?\d|2[0-3]):30(?::[0-5]\d)?)[-~](?<second>(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?)(?![\d:])/g,
    spell: ({ first, second }) => (/^\d+:(?:00|30)/.test(second!) ? undefined : `${first}至${second}`),
  },
  { pattern: /(?<![\d:.])24:00(?::00)?(?![\d:])/g, spell: () => '二十四点' },
  {
    // 25:23、22:25: where one cannot be a time, none of them is
    pattern: /(?<![\d:.])\d{1,3}:\d{1,3}(?:[、,，]\s?\d{1,3}:\d{1,3}(?!\d)){1,9}(?![\d:])/g,
    spell: (_, { match, before }) =>
      /比分(?:[是为达约]|分别[是为])?$/.test(before) || match.split(/[、,，]\s?/).some((each) => !CLOCK_ONLY.test(each))
        ? match.replace(
            /(\d{1,3}):(\d{1,3})/g,
            (_all, ours: string, theirs: string) => `${cardinal(ours)}比${cardinal(theirs)}`,
          )
        : undefined,
  },
  {
    pattern: /(?<![\d:.])(?<ratio>\d+(?:\.\d+)?(?::\d+(?:\.\d+)?){1,4})(?![\d:])/g,
    spell: ({ ratio }, { before, after }) => {
      const parts = ratio!.split(':');
      const isTime = parts.length <= 3 && /^(?:[01]?\d|2[0-4])(?::[0-5]\d)+$/.test(ratio!);
      const saysRatio =
        /(?:比分|比例|比率|比值|配比|赔率|高比|宽比|占比|之比|[以])(?:[是为达约]|大约|最终)?$/.test(before) ||
        /^(?:的?(?:比分|比例|比率)|战胜|击败|获胜|取胜|领先|落后|大胜|险胜|完胜|逆转|稀释|兑换)/.test(after);
      return isTime && !saysRatio ? undefined : parts.map((part) => decimal(part)).join('比');
    },
  },
];

const SCORE = '(?<![\\d.+\\-×÷=/A-Za-z])\\d{1,3}-\\d{1,3}(?![\\d.+\\-×÷=/A-Za-z])';
const SCORED_BEFORE = /(?:比分(?:[是为达约]|分别[是为])?|[胜赢输平负扳追]|[战打踢踼扳追]成|领先|落后|击败|战胜|[以])$/;
const SCORED_AFTER =
  /^(?:的?比分|战胜|击败|获胜|取胜|领先|落后|大胜|险胜|完胜|逆转|力克|力擒|横扫|不敌|惜败|战平|打平|告负|小胜|绝杀|[胜赢输负平](?!均|数))/;

/** 3-1逆转, 比分为23-25、25-18 */
const SCORES: Rule[] = [
  {
    pattern: new RegExp(`${SCORE}(?:[、,，]\\s?${SCORE}){0,9}`, 'g'),
    spell: (_, { match, before, after }) =>
      SCORED_BEFORE.test(before) || SCORED_AFTER.test(after)
        ? match.replace(
            /(\d{1,3})-(\d{1,3})/g,
            (_all, ours: string, theirs: string) => `${cardinal(ours)}比${cardinal(theirs)}`,
          )
        : undefined,
  },
];

/** 血压135/85 */
const PRESSURES: Rule[] = [
  {
    pattern: /(?<![\d./])(?<upper>\d{2,3})\/(?<lower>\d{2,3})(?![\d./])(?=\s?(?<unit>mmHg|毫米汞柱))?/g,
    spell: ({ upper, lower, unit }, { before }) =>
      unit !== undefined || /(?:血压|血壓|BP)(?:[是为為约約:： ]{0,2}|高达|达到|值为?)$/.test(before)
        ? `${cardinal(upper!)}，${cardinal(lower!)}`
        : undefined,
  },
  { pattern: /(?<=[零一二三四五六七八九十百])\s?mmHg(?![A-Za-z])/g, spell: () => '毫米汞柱' },
];

/** 按0#, 按*键: the two keys of a telephone that are no digits. */
const KEYS: Rule[] = [
  { pattern: /#(?=号?键)号?/g, spell: () => '井号' },
  { pattern: /[*＊](?=号?键)号?/g, spell: () => '星号' },
  { pattern: /(?<=(?:[按拨]|输入)[\d*]{0,12})#/g, spell: () => '井号' },
  { pattern: /(?<=(?:[按拨]|输入)\d{0,12})\*/g, spell: () => '星号' },
];

const TELEPHONES: Rule[] = [
  {
    // area code, 400/800 lines, mobiles written in groups; further groups after blanks belong to the number
    pattern:
      /(?<![\d.-])(?:\+?86[- ]?)?(?:0\d{2,3}-\d{7,8}|0\d{2,3}[- ]\d{3,4}[- ]\d{4}|[48]00-\d{3}-\d{4}|[48]00-\d{4}-\d{3}|[48]00\d-\d{3}-\d{3}|[48]00 \d{3} \d{4}|1[3-9]\d-\d{4}-\d{4})(?![\d-])/g,
    spell: (_, { match }) =>
      match
        .replace(/^\+/, '')
        .split(/[- ]/)
        .map((part) => digitByDigit(part, { yao: true }))
        .join('，'),
  },
  {
    // (021)5566-7788
    pattern: /[（(](?<area>0\d{2,3})[)）]\s?(?<first>\d{3,4})[- ]?(?<second>\d{4})(?![\d-])/g,
    spell: ({ area, first, second }) => {
      const read = [area, first, second].map((part) => digitByDigit(part!, { yao: true }));
      return `${read[0]}，${read[1]}${read[2]}`;
    },
  },
  {
    // numbers of orders and books: 2026-0331-00127
    pattern: /(?<![\d.+×÷=/A-Za-z-])\d{1,12}(?:-\d{1,12}){2,6}(?![\d.+×÷=/-])/g,
    spell: (_, { match }) => {
      const parts = match.split('-');
      if (/-0/.test(match)) return parts.map((part) => digitByDigit(part, { yao: true })).join('，');
      // 4-4-2 is said in one breath; doors and lockers (3-2-5067) part by part
      if (parts.every((part) => part.length === 1)) return digitByDigit(parts.join(''));
      return parts
        .map((part) => (/^0|\d{3}/.test(part) ? digitByDigit(part, { yao: true }) : cardinal(part)))
        .join('，');
    },
  },
];

const MONEY: Rule[] = [
  {
    // $3.5M
    pattern: /(?<=[$€£¥￥])(?<number>\d{1,12}(?:\.\d{1,6})?)(?<scale>[KMBk])(?![A-Za-z\d])/g,
    spell: ({ number, scale }) => String(Math.round(Number(number) * SCALES[scale!]!)),
  },
  {
    pattern: new RegExp(
      `(?<![A-Za-z])(?<currency>${CURRENCY_PATTERN})\\s?(?<sign>-?)(?<first>${NUMBER})\\s?(?<firstUnit>${MULTIPLIER})?(?:[-~](?:${CURRENCY_PATTERN})?(?<second>${NUMBER})\\s?(?<secondUnit>${MULTIPLIER})?)?(?!\\.?\\d)(?=(?<said>${MONEY_WORD})?)`,
      'g',
    ),
    spell: ({ currency, sign, first, firstUnit, second, secondUnit, said }) => {
      const amount = second
        ? `${price(first!)}${firstUnit ?? ''}到${price(second)}${secondUnit ?? ''}`
        : `${two(price(first!))}${firstUnit ?? ''}`;
      return `${sign ? '负' : ''}${amount}${said ? '' : CURRENCY_NAMES.get(currency!)}`;
    },
  },
  {
    pattern: new RegExp(
      `${FREE}(?<number>${NUMBER})\\s?(?<multiplier>${MULTIPLIER})?\\s?(?<currency>${CURRENCY_PATTERN})(?![A-Za-z]|\\s?\\d)`,
      'g',
    ),
    spell: ({ number, multiplier, currency }) =>
      `${two(price(number!))}${multiplier ?? ''}${CURRENCY_NAMES.get(currency!)}`,
  },
];

const SCALES: Readonly<Record<string, number>> = { k: 1e3, K: 1e3, M: 1e6, B: 1e9 };

const COMPARISONS: Readonly<Record<string, string>> = {
  '≥': '大于等于',
  '≧': '大于等于',
  '≤': '小于等于',
  '≦': '小于等于',
  '>': '大于',
  '＞': '大于',
  '<': '小于',
  '＜': '小于',
  '≈': '约等于',
  '≠': '不等于',
  '√': '根号',
  '±': '正负',
};

const COMPARED: Rule = { pattern: /[≥≧≤≦><＞＜≈≠√±](?=\s?-?\d)/g, spell: (_, { match }) => COMPARISONS[match] };

const ORDINALS: Rule[] = [
  // 3号楼2单元, 2单元501
  { pattern: /(?<=[号楼栋幢座区院期苑园])2(?=单元|[栋幢座]|号楼)|(?<![\d.])2(?=单元\s?\d)/g, spell: () => '二' },
  // floors as lifts and maps have them
  { pattern: /(?<![\d.A-Za-z-])(?<floor>[1-9]\d{0,2})F(?![A-Za-z\d])/g, spell: ({ floor }) => `${cardinal(floor!)}楼` },
  { pattern: /第(?<number>0?2)(?![\d.:~-])/g, spell: () => '第二' },
];

const SEPARATED_THOUSANDS: Rule = {
  pattern: /(?<![\d.,])(?<number>\d{1,3}(?:,\d{3}){1,5}(?:\.\d+)?)(?!,?\d)(?=\s?(?<percent>%)?)/g,
  spell: ({ number, percent }, { after }) => {
    const plain = number!.replaceAll(',', '');
    return percent || new RegExp(`^\\s?${UNIT_PATTERN}${END}`).test(after) ? plain : price(plain);
  },
};

/** 5,000-8,000元 */
const RANGE_OF_THOUSANDS: Rule = {
  pattern:
    /(?<![\d.,+\-×÷=/A-Za-z])(?<first>\d{1,3}(?:,\d{3}){0,5})[-~](?<second>\d{1,3}(?:,\d{3}){1,5})(?![\d,.\-+×÷=/])/g,
  spell: ({ first, second }) => (ascends(first!, second!) ? `${two(price(first!))}到${price(second!)}` : undefined),
};

const TEMPERATURE = '°C|℃|°c|摄氏度|°F|度';

const UNITS: Rule[] = [
  {
    pattern: new RegExp(
      `${NOT_IN_SUM}(?<sign>-?)(?<first>${NUMBER})\\s?(?<unit1>${TEMPERATURE})?\\s?[-~](?<sign2>-?)(?<second>${NUMBER})\\s?(?<unit>${TEMPERATURE})`,
      'g',
    ),
    spell: ({ sign, first, unit1, sign2, second, unit }, { match }) => {
      if (match.includes('-') && !match.includes('~') && !sign && !sign2 && !ascends(first!, second!)) return undefined;
      const name = degrees(unit!);
      return `${below(sign)}${decimal(plain(first!))}${unit1 ? name : ''}到${below(sign2)}${decimal(plain(second!))}${name}`;
    },
  },
  {
    pattern: new RegExp(`(?<sign>(?<![\\d.A-Za-z)℃%])-)?${FREE}(?<number>${NUMBER})\\s?(?<unit>°C|℃|°c|°F)`, 'g'),
    spell: ({ sign, number, unit }) => `${below(sign)}${decimal(plain(number!))}${degrees(unit!)}`,
  },
  {
    pattern: new RegExp(
      `${NOT_IN_SUM}(?<first>${NUMBER})\\s?(?<unit1>${UNIT_PATTERN})?[-~](?<second>${NUMBER})\\s?(?<unit>${UNIT_PATTERN})${END}(?<per>/${UNIT_PATTERN}${END})?`,
      'g',
    ),
    spell: ({ first, unit1, second, unit, per }) =>
      unit1 && unit1 !== unit
        ? undefined
        : `${decimal(plain(first!))}${unit1 ? unitName(unit1) : ''}到${decimal(plain(second!))}${unitName(unit!)}${perName(per)}`,
  },
  {
    pattern: new RegExp(`(?<![\\d.:A-Za-z])(?<number>${NUMBER})\\s?(?<unit>w|W)(?![A-Za-z\\d])(?<more>\\+)?`, 'g'),
    spell: ({ number, unit, more }, { after }) => {
      const people = more || unit === 'w' || /^(?:粉|人|播放|阅读|点赞|元|块|用户|次|条|个|多)/.test(after);
      return `${two(decimal(plain(number!)))}${people ? `万${more ? '多' : ''}` : '瓦'}`;
    },
  },
  {
    // of lines and files; a price in millions has its currency before it
    pattern: new RegExp(`(?<![\\d.:A-Za-z])(?<number>${NUMBER})\\s?M${END}`, 'g'),
    spell: ({ number }) => `${two(decimal(plain(number!)))}兆`,
  },
  {
    pattern: new RegExp(
      `(?<![\\d.:A-Za-z])(?<number>${NUMBER})\\s?(?<unit>${UNIT_PATTERN})${END}(?<per>/${UNIT_PATTERN}${END})?`,
      'g',
    ),
    spell: ({ number, unit, per }) => `${two(decimal(plain(number!)))}${unitName(unit!)}${perName(per)}`,
  },
  {
    pattern: new RegExp(
      `(?<=[一二三四五六七八九十百千万亿两几半多每])\\s?(?<unit>${LONG_UNIT_PATTERN})${END}(?<per>/${UNIT_PATTERN}${END})?`,
      'g',
    ),
    spell: ({ unit, per }) => `${unitName(unit!)}${perName(per)}`,
  },
  {
    pattern: new RegExp(`(?<=[\\u4e00-\\u9fa5])(?<per>/${UNIT_PATTERN}${END})`, 'g'),
    spell: ({ per }) => perName(per),
  },
];

const RANGES: Rule[] = [
  {
    pattern: new RegExp(
      `${NOT_IN_SUM}(?<first>${NUMBER})(?<multiplier>${MULTIPLIER})[-~](?<second>${NUMBER})(?=${MULTIPLIER})`,
      'g',
    ),
    spell: ({ first, multiplier, second }) =>
      `${two(decimal(plain(first!)))}${multiplier}到${two(decimal(plain(second!)))}`,
  },
  {
    pattern: new RegExp(
      `${NOT_IN_SUM}(?<sign>-?)(?<first>${NUMBER})(?<percent>%)?[-~](?<sign2>-?)(?<second>${NUMBER})%`,
      'g',
    ),
    spell: ({ sign, first, percent, sign2, second }, { match }) => {
      if (!percent && !match.includes('~') && !ascends(first!, second!)) return undefined;
      return `${sign ? '负' : ''}百分之${decimal(plain(first!))}到${sign2 ? '负' : ''}百分之${decimal(plain(second!))}`;
    },
  },
  {
    pattern: new RegExp(
      `${NOT_IN_SUM}(?<sign>-?)(?<first>${NUMBER})(?<multiplier>${MULTIPLIER})?-(?<second>${NUMBER})(?=${QUANTITY})`,
      'g',
    ),
    spell: ({ sign, first, multiplier, second }) =>
      multiplier || ascends(first!, second!)
        ? `${sign ? '负' : ''}${two(decimal(plain(first!)))}${multiplier ?? ''}到${two(decimal(plain(second!)))}`
        : undefined,
  },
];

const PLAIN_NUMBERS: Rule[] = [
  // codes: SO-20240520-001, C919首飞
  { pattern: /(?<=[A-Za-z]-?\d{2,12})-(?=\d)/g, spell: () => '，' },
  {
    pattern: /(?<=[A-Z])-?(?<number>\d{3,})(?![\d.%])/g,
    spell: ({ number }) => digitByDigit(number!, { yao: true }),
  },
  { pattern: /(?<=\d)\^(?<power>\d+)/g, spell: ({ power }) => `的${cardinal(power!)}次方` },
  {
    pattern: /(?<![\d.A-Za-z)%℃-])-(?<number>\d+\.\d+)(?![\d.%])/g,
    spell: ({ number }, { after }) => (/^[~+×÷=/-]/.test(after) ? undefined : `负${decimal(number!)}`),
  },
  {
    // upstream takes the fraction of 3.1415926 for a telephone number
    pattern: /(?<![\d.])(?<number>\d+\.\d{7,})(?![\d.%])/g,
    spell: ({ number }) => decimal(number!),
  },
  {
    // … and an amount of seven or eight digits
    pattern: new RegExp(`(?<![\\d.A-Za-z-])(?<number>[1-9]\\d{6,7})(?=[多余]?(?:${COUNTED}))`, 'g'),
    spell: ({ number }) => cardinal(number!),
  },
  {
    pattern: new RegExp(`(?<![\\d.A-Za-z/:-])(?<number>[1-9]\\d{2,})(?=[多余]?(?:${MORE_COUNTED}))`, 'g'),
    spell: ({ number }) => cardinal(number!),
  },
  { pattern: new RegExp(`(?<![\\d.A-Za-z/:-])2(?=(?:${TWO_COUNTED}))`, 'g'), spell: () => '两' },
  {
    pattern: /(?<![\d.A-Za-z/:+×÷=~-])(?<number>[1-9]\d?0{3,}|[1-9]00)(?![\d.A-Za-z/:+×÷=~%-])/g,
    spell: ({ number }, { before, after }) => {
      const isCode =
        number === '2000' ||
        /^[年室房]/.test(after) ||
        /(?:编[码号]|号码?|代码|密码|[证件]码|尾号|电话|热线|拨打|致电|型号|频道|邮编|[长按]|暗号)(?:[是为:：,，]|输入)?$/.test(
          before,
        ) ||
        (/^[48]00$/.test(number!) && /^(?:电话|热线|客服)/.test(after));
      return isCode ? undefined : cardinal(number!);
    },
  },
];

const PER_UNIT =
  /^(?:[一二三四五六七八九十百千万]{1,6}(?:千米|公里|米|千克|克|毫升|升|人|天|小时)|[天日周月季年时分秒人次斤克吨升米平件个台套张瓶盒箱袋支只条份位户亩股度辆间晚夜门节页本杯]|小时|公斤|千克|毫升|毫克|立方|公里|千米|课时)/;
const AMOUNT_END = /[元块角分钱币刀镑克升米里吨次滴个件人台瓦卡焦步条一二三四五六七八九十百千万亿零两\d]$/;

const SLASHES: Rule[] = [
  { pattern: /(?<=[A-Za-z])\s?\/\s?(?=[A-Za-z])/g, spell: () => ' ' },
  { pattern: /和\/或/g, spell: () => '和或' },
  {
    pattern: /(?<=[\u4e00-\u9fa5])\s?\/\s?(?=[\u4e00-\u9fa5])/g,
    spell: (_, { before, after }) => (PER_UNIT.test(after) && AMOUNT_END.test(before) ? undefined : '、'),
  },
];

const HYPHENS: Rule[] = [
  { pattern: /(?<=[A-Za-z]{2})-(?=[A-Za-z\d])|(?<=\d)-(?=[A-Za-z]{2})/g, spell: () => ' ' },
  { pattern: /(?<=[\u4e00-\u9fa5])-(?=[\u4e00-\u9fa5])/g, spell: () => '、' },
];

const ZEROS: Rule[] = [
  { pattern: /〇/g, spell: () => '零' },
  { pattern: /(?<=[一二三四五六七八九十百千零])○+/g, spell: (_, { match }) => '零'.repeat(match.length) },
];

const RULES_OF_SIGNS: readonly Rule[] = [HAN_DATE_RANGE, ...KEYS, ...SLASHES, ...HYPHENS, ...ZEROS];

const RULES: readonly Rule[] = [
  ...SPOKEN_PARTS,
  ...DATES,
  ...TIMES_AND_RATIOS,
  ...SCORES,
  ...PRESSURES,
  ...KEYS,
  ...TELEPHONES,
  ...MONEY,
  COMPARED,
  ...ORDINALS,
  RANGE_OF_THOUSANDS,
  SEPARATED_THOUSANDS,
  ...UNITS,
  ...RANGES,
  ...PLAIN_NUMBERS,
  ...SLASHES,
  ...HYPHENS,
  ...ZEROS,
];

function plain(number: string): string {
  return number.replaceAll(',', '');
}

/** An amount: as a decimal, but without a fraction of zeros only. */
function price(number: string): string {
  return decimal(plain(number).replace(/\.0+$/, ''));
}

/** Before a measure word a lone 二 is 两. */
function two(read: string): string {
  return read === '二' ? '两' : read;
}

function ascends(first: string, second: string): boolean {
  return Number(plain(first)) < Number(plain(second));
}

function below(sign: string | undefined): string {
  return sign ? '零下' : '';
}

function degrees(unit: string): string {
  return unit === '°F' ? '华氏度' : '度';
}

function unitName(unit: string): string {
  return UNIT_NAMES.get(unit)!; // the patterns match no other unit
}

function perName(per: string | undefined): string {
  return per ? `每${UNIT_NAMES.get(per.slice(1))}` : '';
}
