import type { Language, LanguageMode } from './language.js';
import { SourceText } from './source-text.js';
import { decimal } from './zh/numbers.js';

/**
 * Spells formulas in single letters (y=2x+1, E=mc², x²) in the language of the text around them, letter by letter, before
 * the text is split by language: split first, their signs would go with the letters and be said in English, and "2x"
 * would be "two times".
 */
export function spellFormulas(text: SourceText, mode: LanguageMode): SourceText {
  if (!/[=＝<>≤≥≠≈²³]/.test(text.text)) return text;
  const pieces: SourceText[] = [];
  let at = 0;
  for (const match of text.text.matchAll(FORMULA)) {
    if (!isFormula(match[0])) continue;
    const end = match.index + match[0].length;
    const language = languageAround(text.text, mode, match.index, end);
    pieces.push(text.slice(at, match.index), spellFormula(text.slice(match.index, end), language));
    at = end;
  }
  return at === 0 ? text : SourceText.join([...pieces, text.slice(at)].filter((piece) => piece.length > 0));
}

const RELATION = '=＝<>≤≥≠≈';
/** A letter behind a number is a variable only where no unit is written so: 2x, but 5m, 220V and 10s. */
const TERM = '(?:\\d{1,6}(?:\\.\\d{1,4})?[a-cijknp-ru-z]{0,2}|[A-Za-z]{1,2})(?:\\([a-z]\\))?[²³]?';
const FORMULA = new RegExp(
  `(?<![A-Za-z\\d_?&/.,:@#$%'’²³-])-?${TERM}(?: ?[${RELATION}+＋×÷*/−-] ?-?${TERM}){0,20}(?![A-Za-z\\d_@&?%²³℃°(]|[./:,-][A-Za-z\\d]|\\s?[${RELATION}+×÷*/])`,
  'g',
);
const TOKEN = /\d+(?:\.\d+)?|[A-Za-z]+|[^A-Za-z\d]/g;

/** One with a relation, or a power of a letter; "A+B" may be anything, and m² is a unit. */
function isFormula(written: string): boolean {
  if (!/[A-Za-z]/.test(written)) return false;
  if (/^[cdkm]?m[²³]$/.test(written)) return false;
  return new RegExp(`[${RELATION}]`).test(written) || /[A-Za-z)][²³]/.test(written);
}

function spellFormula(formula: SourceText, language: Language): SourceText {
  const words = WORDS[language];
  const written = formula.text;
  const isHan = language === 'zh' || language === 'yue';
  const gap = language === 'en' || language === 'ko' ? ' ' : '';
  return formula.replace(TOKEN, (token: string, ...rest: unknown[]) => {
    const offset = rest.find((part): part is number => typeof part === 'number') ?? 0;
    if (/[ ()]/.test(token)) return token === '(' ? ' ' : '';
    if (/\d/.test(token)) return isHan ? decimal(token) : token;
    if (/[A-Za-z]/.test(token)) return `${gap}${[...token.toUpperCase()].join(' ')}${gap}`;
    const sign = SAME_SIGN[token] ?? token;
    if (sign === '-' && (offset === 0 || new RegExp(`[${RELATION}] ?$`).test(written.slice(0, offset)))) {
      return `${gap}${words.negative}${gap}`;
    }
    const name = words.signs['=<>≤≥≠≈+-×÷²³'.indexOf(sign)];
    return name === undefined ? token : `${gap}${name}${gap}`;
  });
}

const SAME_SIGN: Readonly<Record<string, string>> = { '＝': '=', '＋': '+', '−': '-', '*': '×', '/': '÷' };

/** In the order of `=<>≤≥≠≈+-×÷²³`. */
const WORDS: Readonly<Record<Language, { readonly signs: readonly string[]; readonly negative: string }>> = {
  zh: {
    signs: '等于 小于 大于 小于等于 大于等于 不等于 约等于 加 减 乘 除以 平方 立方'.split(' '),
    negative: '负',
  },
  yue: {
    signs: '等於 細過 大過 細過或者等於 大過或者等於 唔等於 約等於 加 減 乘 除以 平方 立方'.split(' '),
    negative: '負',
  },
  en: {
    signs:
      'equals|is less than|is greater than|is at most|is at least|does not equal|is about|plus|minus|times|over|squared|cubed'.split(
        '|',
      ),
    negative: 'negative',
  },
  ja: {
    signs:
      'イコール 小なり 大なり 以下 以上 ノットイコール ニアリーイコール プラス マイナス かける わる の二乗 の三乗'.split(
        ' ',
      ),
    negative: 'マイナス',
  },
  ko: {
    signs: '이퀄|미만|초과|이하|이상|같지 않음|약|더하기|빼기|곱하기|나누기|제곱|세제곱'.split('|'),
    negative: '마이너스',
  },
};

/** The language that a formula is said in: the mode's, or with several that of the nearest word. */
function languageAround(text: string, mode: LanguageMode, start: number, end: number): Language {
  if (!mode.startsWith('auto')) return mode.replace('all_', '') as Language; // what is left of such a mode is its language
  const before = text.slice(Math.max(0, start - NEAR), start);
  const after = text.slice(end, end + NEAR);
  const last = [...before.matchAll(WORD)].at(-1);
  const first = WORD_ONCE.exec(after);
  const lastDistance = last === undefined ? NEAR : before.length - last.index - last[0].length;
  const nearest = last !== undefined && lastDistance <= (first?.index ?? NEAR) ? last[0] : first?.[0];
  if (nearest === undefined || /\p{Script=Latin}/u.test(nearest)) return 'en';
  if (/\p{Script=Hangul}/u.test(nearest)) return 'ko';
  if (/[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(text)) return 'ja';
  return mode === 'auto_yue' ? 'yue' : 'zh';
}

const NEAR = 40;
const WORD_ONCE = /\p{Script=Latin}{2,40}|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const WORD = new RegExp(WORD_ONCE, 'gu');
