import { ASCII_MARKS } from '../marks.js';
import { SourceText } from '../source-text.js';
import { spellExpressions } from './expressions.js';
import { spellNumbers } from './reading-rules.js';
import { simplified } from './traditional.js';

/** What a Chinese text is read as, and the symbol its commas become where it asks for long pauses. */
export interface NormalizedChinese {
  readonly normalizedText: SourceText;
  readonly pauseSymbol: 'SP2' | 'SP3' | null;
}

/**
 * A Chinese text as it is read: numbers, dates, units and signs spelt in simplified characters, punctuation reduced to
 * `! ? … , . -`, everything else dropped (Latin letters too: the language splitter has taken them out before).
 * upstream: text/chinese2.py text_normalize, with the readings of expressions.ts
 */
export function normalizeChinese(text: string): string {
  return normalizeWithPauses(SourceText.of(text)).normalizedText.text;
}

/**
 * As normalizeChinese; `￥` (not before a number) and `^` stand for long pauses: with either in the text the mark becomes a
 * comma and every comma that pause. upstream: text/cleaner.py clean_special
 */
export function normalizeWithPauses(text: SourceText): NormalizedChinese {
  const spelt = spellExpressions(simplified(text));
  const mark = spelt.text.includes('￥') ? '￥' : spelt.text.includes('^') ? '^' : null;
  const normalized = SourceText.join(readClauses(mark ? spelt.replaceAll(mark, ',') : spelt).map(unifyPunctuation));
  return {
    // Repeated marks would make the voice repeat its reference.
    normalizedText: normalized.replace(/([!?…,.-])[!?…,.-]+/g, '$1'),
    pauseSymbol: mark === '￥' ? 'SP2' : mark === '^' ? 'SP3' : null,
  };
}

/**
 * The clauses of a simplified text with its numbers, dates and signs in characters; punctuation is as written. What
 * spellExpressions (expressions.ts) reads better goes through it before. Cantonese is normalised in the same way.
 */
export function readClauses(text: SourceText): SourceText[] {
  return splitClauses(text).map((clause) => spellSigns(spellNumbers(toHalfWidth(clause))));
}

const SIGNS: Readonly<Record<string, string>> = {
  '/': '每',
  '①': '一',
  '②': '二',
  '③': '三',
  '④': '四',
  '⑤': '五',
  '⑥': '六',
  '⑦': '七',
  '⑧': '八',
  '⑨': '九',
  '⑩': '十',
  α: '阿尔法',
  β: '贝塔',
  γ: '伽玛',
  Γ: '伽玛',
  δ: '德尔塔',
  Δ: '德尔塔',
  ε: '艾普西龙',
  ζ: '捷塔',
  η: '依塔',
  θ: '西塔',
  Θ: '西塔',
  ι: '艾欧塔',
  κ: '喀帕',
  λ: '拉姆达',
  Λ: '拉姆达',
  μ: '缪',
  ν: '拗',
  ξ: '克西',
  Ξ: '克西',
  ο: '欧米克伦',
  π: '派',
  Π: '派',
  ρ: '肉',
  ς: '西格玛',
  Σ: '西格玛',
  σ: '西格玛',
  τ: '套',
  υ: '宇普西龙',
  φ: '服艾',
  Φ: '服艾',
  χ: '器',
  ψ: '普赛',
  Ψ: '普赛',
  ω: '欧米伽',
  Ω: '欧米伽',
  '+': '加',
  '-': '减',
  '×': '乘',
  '÷': '除',
  '=': '等',
};

const MARKS: Readonly<Record<string, string>> = {
  ...ASCII_MARKS,
  '...': '…',
  $: '.',
  '/': ',',
  '~': '…',
  '～': '…',
  嗯: '恩',
  呣: '母',
};

function splitClauses(text: SourceText): SourceText[] {
  return text
    .replace(/[ —《》【】<>{}()（）#&@“”^_|\\]/g, '')
    .replace(/[：、，；。？！,;?!][”’]?/g, '$&\n')
    .lines()
    .map((clause) => clause.trim());
}

function toHalfWidth(text: SourceText): SourceText {
  return text.replace(/[０-９Ａ-Ｚａ-ｚ]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xfee0));
}

function spellSigns(text: SourceText): SourceText {
  return text.replace(/[/①-⑩\u0370-\u03ff+\-×÷=]/g, (sign) => SIGNS[sign] ?? sign);
}

function unifyPunctuation(text: SourceText): SourceText {
  return text
    .replace(/\.\.\.|[：；，。！？·、$/~～嗯呣]/g, (mark) => MARKS[mark] ?? mark)
    .replace(/[^\u4e00-\u9fa5!?…,.-]+/g, '');
}
