import { normalizeChinese } from '../../src/text/zh/normalization.js';
import { resolvePolyphones } from '../../src/text/zh/polyphones.js';
import { segmentWords } from '../../src/text/zh/segmentation.js';
import { isPhrase } from '../../src/text/zh/syllables.js';

/**
 * The item of the reference's *Improve* list (what it reads wrongly and we read right on purpose) that a Chinese text
 * touches, or null. A golden row of such a text is no measure of parity. The patterns describe the reference's mistakes,
 * not our rules.
 */
export function zhImprovement(text: string): string | null {
  const written = writtenImprovement(text);
  if (written !== null) return written;
  const spoken = normalizeChinese(text);
  for (const [item, pattern] of SPOKEN) if (pattern.test(spoken)) return item;
  return particle(spoken);
}

/** The same, of the items about numbers, units and signs only, which Cantonese shares. */
export function writtenImprovement(text: string): string | null {
  const narrow = text.replace(/[０-９]/g, (digit) => String.fromCharCode(digit.charCodeAt(0) - 0xfee0));
  for (const [item, pattern] of WRITTEN) if (pattern.test(narrow)) return item;
  return null;
}

/**
 * The characters of a Chinese text whose reading our context rules decided against or beside the tables (得 地 的 apart,
 * which are an *Improve* item), joined; null when there are none. The reference without its neural model does not look at
 * the context, so such a row says nothing about parity either.
 */
export function zhPolyphone(text: string): string | null {
  let found = '';
  for (const segment of segmentsOf(normalizeChinese(text))) {
    for (const index of resolvePolyphones(segment, segmentWords(segment)).keys()) {
      if (!/[得地的]/.test(segment[index]!)) found += segment[index];
    }
  }
  return found || null;
}

const READ_UNITS = '(?:kg|km|cm|ml|db|ds|m|s)(?:[23²³])?(?![A-Za-z/])';

/** On the text as written (digits narrowed). */
const WRITTEN: readonly (readonly [string, RegExp])[] = [
  ['2月, 2日 read 两', /(?<!\d)0?2月|月0?2[日号]/],
  ['第2 read 第两', /第0?2(?=[\u4e00-\u9fa5])/],
  ['negative decimal', /(?<![\d.])-\d+\.\d+(?![\d.]*%)/],
  ['minus sign U+2212', /−\d/],
  ['thousands separator', /\d,\d{3}(?!\d)/],
  ['fraction of seven digits taken for a telephone number', /\d\.\d{7,8}(?!\d)/],
  [
    'amount of seven or eight digits taken for a telephone number',
    /(?<![\d.])[1-9]\d{6,7}[多余]?(?:[人个条元块次份件名位天日月年米秒张斤层亿万吨户家]|千米|小时)/,
  ],
  [
    'unit lost or misread',
    new RegExp(
      `(?<![A-Za-z\\d.])\\d+(?:\\.\\d+)?\\s?(?!${READ_UNITS})(?:[A-Za-zμΩ]{1,4}(?:/[a-z]+)?[²³]?|°F)(?![A-Za-z])`,
    ),
  ],
  ['unit per unit', /[A-Za-z\u4e00-\u9fa5]\/[A-Za-z]+/],
  ['range with one unit', /\d[~～]-?\d+(?:\.\d+)?\s?(?:℃|°C|%|度|年)|[%℃C]\s?[~～-]\s?-?\d/],
  ['hyphen for "to"', /\d[-–—]\d+(?:\.\d+)?(?:[\u4e00-\u9fa5%]|(?<=20\d\d))/],
  ['telephone number with hyphens', /(?<!\d)(?:0\d{2,3}|[48]00|1\d{2})[-－]\d{3,8}/],
  ['ratio', /(?<![\d:])\d+[:：](?:\d(?!\d)|\d{3,}|[6-9]\d)|比分.{0,3}\d+:\d/],
  ['half past of the second time', /:30[-~]\d+:(?!00|30)/],
  ['24:00', /(?<!\d)24:00/],
  ['currency', /[￥¥$€£￡]\s?\d|\d\s?[$€£]/],
  [
    'round number without measure word',
    /(?<![\d.:/-])(?:[1-9]00|[1-9]\d?0{3,})(?![\d.%/:-]|[年多余几个元人米块条名位件天分秒度万亿千百克次毫])/,
  ],
  [
    'count before a measure word that upstream lacks',
    /(?<![\d.])(?:\d{3,}[多余]?|2)(?:公里|公斤|公顷|种|倍|次|款|升|克|英里|兆|瓦|伏)/,
  ],
  ['slash for "or"', /[A-Za-z]\/[A-Za-z]|[\u4e00-\u9fa5]\/[\u4e00-\u9fa5]/],
  ['〇 lost', /[〇○]/],
  ['full-width percent sign', /％/],
  ['full-width colon inside a time or ratio', /\d：\d/],
  [
    'date with one-digit month or day',
    /(?:19|20)\d\d([-/.])(?:\d\1\d{1,2}|\d{2}\1\d)(?!\d)|(?<!\d)(?:19|20)\d\d[-/](?:0\d|1[0-2])(?!\d|[-/])/,
  ],
  ['decade', /(?<!\d)\d0后/],
  ['asterisk for "times"', /\d\*\d/],
  ['part of a Latin word taken for a unit', /(?<![\dA-Za-z])(?=[A-Za-z]{2})[A-Za-z]*(?:m|s|db)/],
  ['chain of numbers', /\d-\d+-\d/],
  ['span of years', /(?<!\d)[1-4]\d年(?!代|\d)/],
  ['2 of a door', /[号楼栋院区]2(?:单元|[栋幢座])/],
  ['number behind a letter', /\d{4}Q[1-4]|(?<![A-Za-z])[A-Za-z]\d{1,3}(?=[\u4e00-\u9fa5])/],
  ['hyphen in a Latin word read as minus', /[A-Za-z]-[A-Za-z\d]|\d-[A-Za-z]/],
  ['hyphen between words read as minus', /[\u4e00-\u9fa5]-[\u4e00-\u9fa5]/],
];

/** On the text as it is read. */
const SPOKEN: readonly (readonly [string, RegExp])[] = [
  ['ordinal 一', /一[月号楼]|月一日|[十零]一[月日号点位个年世届层]|一等[奖功品座舱兵公]|一级|一年级|一线[城员工人]/],
  ['一千, 一万', /(?<![零一二三四五六七八九十百千万亿两点第])一[千万亿]/],
  ['一千, 一百 inside a number', /[万亿千百]一[千百万亿]/],
  ['final 额, 滴', /[\u4e00-\u9fa5]额|[\u4e00-\u9fa5]滴/],
  ['小猫儿', /小[猫狗猪马鸟虫花鱼]儿/],
  ['digits of a year', /[零一二三四五六七八九]一年|一[零二三四五六七八九]{3}年/],
  ['lexical 一', /[统唯单专逐]一[\u4e00-\u9fa5]|万一[\u4e00-\u9fa5]|(?:周|星期|礼拜)一[\u4e00-\u9fa5]/],
];

/** Adverbial 地, the verb 得, and words in 地 得 的 that the reference always ends in a neutral tone. */
function particle(spoken: string): string | null {
  for (const segment of segmentsOf(spoken)) {
    const words = segmentWords(segment);
    for (const [i, { word }] of words.entries()) {
      if (word === '地') return 'the particle 地';
      if (word === '得' && !/^[va]/.test(words[i - 1]?.tag ?? '')) return 'the verb 得';
      if (word.length > 1 && word.startsWith('得') && !isPhrase(word)) return 'the verb 得';
      // 看得出来, 跑得快: read de2 by the reference, whose tables lack these words
      if (/^[^不未无]{1,3}得(?![意胜志失分人])./.test(word)) return 'light 得 inside a word';
      if (word.length > 1 && /(?:地|[目标]的|(?<![觉记值显变使懂晓认舍懒省免来])得)$/.test(word))
        return 'word-final 得 地 的';
    }
  }
  return null;
}

function segmentsOf(spoken: string): string[] {
  return [...spoken.matchAll(/[^!?…,.-]*[!?…,.-]|[^!?…,.-]+$/g)].map(([segment]) => segment);
}
