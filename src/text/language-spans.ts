import { AppError } from '../errors.js';
import type { Language, LanguageMode, SymbolVersion } from './language.js';
import { SourceText } from './source-text.js';

/** A stretch of a text that is read in one language. */
export interface LanguageSpan {
  readonly language: Language;
  readonly text: string;
}

/**
 * Splits a text by script into stretches of one language; nothing is lost, spans follow one another.
 *
 * Latin letters are English; Han characters and hangul are what the mode says (LanguageMode). Marks and spaces stay with
 * what precedes them. A number goes with its neighbours: in the `all_` modes always to their language; otherwise to the
 * language on both sides, else to the side no mark separates it from, else to the longer side ("iPhone 15的" is English,
 * "在12楼" Chinese). A unit right behind a number ("10km", "25°C") stays with it. `en` is a single span.
 *
 * Words in another script are never dropped silently: LANGUAGE_UNSUPPORTED names them. Single stray letters of
 * alphabets used as symbols (α, ω, ノ) are kept for the language to read or skip, and の between Han characters is read
 * as the 的 it stands for in Chinese trade names.
 * upstream: text/LangSegmenter/langsegmenter.py LangSegmenter.getTexts, whose guesses of Japanese for short Han runs
 * are not followed
 */
export function languageSpans(text: string, mode: LanguageMode): LanguageSpan[] {
  requireKnownScripts(text, mode);
  const plain = plainLetters(SourceText.of(text)).text;
  if (mode === 'en') return plain === '' ? [] : [{ language: 'en', text: plain }];
  return merge(placeNumbers(scriptRuns(plain), mode));
}

/** The languages a mode may read a word in, the most likely for its own words first. */
export function languagesOf(mode: LanguageMode): readonly Language[] {
  if (mode === 'en') return ['en'];
  const main = HAN_LANGUAGE[mode];
  return mode.startsWith('auto') ? [main, 'en', 'ko'] : [main, 'en'];
}

/** The language of Han characters, and of numbers on their own. */
const HAN_LANGUAGE: Readonly<Record<LanguageMode, Language>> = {
  auto: 'zh',
  zh: 'zh',
  all_zh: 'zh',
  auto_yue: 'yue',
  yue: 'yue',
  all_yue: 'yue',
  ko: 'ko',
  all_ko: 'ko',
  en: 'en',
};
const READABLE: Readonly<Record<LanguageMode, string>> = {
  auto: 'Chinese, English and Korean',
  auto_yue: 'Cantonese, English and Korean',
  zh: 'Chinese and English; "auto" reads Korean too',
  all_zh: 'Chinese and English; "auto" reads Korean too',
  yue: 'Cantonese and English; "auto_yue" reads Korean too',
  all_yue: 'Cantonese and English; "auto_yue" reads Korean too',
  ko: 'Korean and English',
  all_ko: 'Korean and English',
  en: 'English; use "auto" for several languages mixed',
};

type RunKind = 'han' | 'hangul' | 'latin' | 'number' | 'mark';
interface Run {
  kind: RunKind;
  text: string;
}

/** Full-width and mathematical letters and digits as plain ones, so that "ＡＢＣ１" and "𝐇𝐢" are read at all. */
export function plainLetters(text: SourceText): SourceText {
  return text
    .replace(/[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u{1d400}-\u{1d7ff}]/gu, (letter) => letter.normalize('NFKC'))
    .replace(/(?<=\p{Script=Han})の(?=\p{Script=Han})/gu, '的');
}

const otherWords = (known: string): RegExp => {
  const letter = `[^\\P{L}${known}\\p{Script=Common}\\p{Script=Inherited}]`;
  return new RegExp(`${letter}(?:${letter}|[\\p{M}ー])*`, 'gu');
};
/** Words of no script that a mode with, or without, Korean reads. */
const OTHER_WORD = otherWords('\\p{Script=Han}\\p{Script=Latin}');
const OTHER_WORD_BESIDE_KOREAN = otherWords('\\p{Script=Han}\\p{Script=Latin}\\p{Script=Hangul}');
/** Alphabets whose single letters stand in formulas and emoticons. */
const SYMBOL_LETTER = /^[\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Hiragana}\p{Script=Katakana}]\p{M}*$/u;

/** Throws LANGUAGE_UNSUPPORTED for a language that the symbol table of a model has no phonemes for. */
export function requireSpoken(language: Language, symbols: SymbolVersion): void {
  if (symbols === 'v2' || language === 'zh' || language === 'en') return;
  throw new AppError(
    'LANGUAGE_UNSUPPORTED',
    `a v1 model speaks Chinese and English, not ${language === 'ko' ? 'Korean' : 'Cantonese'}; ` +
      'use a voice of a v2, v2Pro, v2ProPlus, v3 or v4 model, or another language',
  );
}

/**
 * Throws LANGUAGE_UNSUPPORTED, naming the words that a mode cannot read, or the language that a model with these symbols
 * cannot speak.
 */
export function requireKnownScripts(written: string, mode: LanguageMode, symbols: SymbolVersion = 'v2'): void {
  requireSpoken(HAN_LANGUAGE[mode], symbols);
  if (symbols === 'v1' && mode.startsWith('auto') && /\p{Script=Hangul}/u.test(written)) requireSpoken('ko', symbols);
  const text = plainLetters(SourceText.of(written)).text;
  const unread = new Set<string>();
  const korean = mode.startsWith('auto') || mode.endsWith('ko');
  for (const [word] of text.matchAll(korean ? OTHER_WORD_BESIDE_KOREAN : OTHER_WORD)) {
    if (!SYMBOL_LETTER.test(word)) unread.add(word);
  }
  if (mode === 'en') {
    for (const [word] of text.matchAll(/\p{Script=Han}+/gu)) unread.add(word);
  }
  if (unread.size === 0) return;
  const shown = [...unread].slice(0, 3).map((word) => `"${[...word].slice(0, 12).join('')}"`);
  const more = unread.size > shown.length ? ` and ${unread.size - shown.length} more` : '';
  throw new AppError(
    'LANGUAGE_UNSUPPORTED',
    `the text holds ${shown.join(', ')}${more}, which cannot be read with language "${mode}"; it reads ${READABLE[mode]}. ` +
      'Remove these words or write them in a supported language',
  );
}

const UNITS =
  'km/h|km²|km|kg|kPa|kHz|kWh|kW|kB|KB|KG|cm²|cm|mm|ml|mL|mg|mAh|mA|ms|min|mph|mol|m/s|m²|m³|m|MB|MHz|Mbps|MPa|MW|g|GB|GHz|Gbps|TB|Hz|dB|db|s|h|V|W|A|L|°C|°F|℃|℉|bps|fps|rpm|nm|μm|Ω|kcal|cal|ft|lb|oz';
/** In this order: a number with its sign and unit, Han, hangul, Latin (letters with marks between them), any other character. */
const RUN = new RegExp(
  `(?<number>(?:(?<!\\p{Script=Latin})(?:HK|US|NT|AU|CA|[ACS])\\$|[$€£¥￥₩#]|(?<![\\p{L}\\p{N}])[+\\-−±~～])?[\\p{N}]+(?:[.,:/：][\\p{N}]+)*(?:\\s?(?:${UNITS})(?![\\p{Script=Latin}\\p{N}]))?)` +
    '|(?<han>[\\p{Script=Han}]+)' +
    '|(?<hangul>[\\p{Script=Hangul}]+)' +
    '|(?<latin>\\p{Script=Latin}[\\p{Script=Latin}\\p{M}]*)' +
    '|(?<mark>[^])',
  'gu',
);

/** Runs of one script each, with marks joined to the run before them, or to the first run when they open the text. */
function scriptRuns(text: string): Run[] {
  const runs: Run[] = [];
  let opening = '';
  for (const match of text.matchAll(RUN)) {
    const kind = (Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined)?.[0] ??
      'mark') as RunKind;
    const last = runs.at(-1);
    if (kind === 'mark') {
      if (last === undefined) opening += match[0];
      else last.text += match[0];
    } else if (last?.kind === kind) last.text += match[0];
    else runs.push({ kind, text: match[0] });
  }
  const first = runs[0];
  if (first !== undefined) first.text = opening + first.text;
  else if (opening !== '') runs.push({ kind: 'mark', text: opening });
  return runs;
}

const MARK_BEFORE = /[,.!?，。！？]$/u;
const HAS_UNIT = new RegExp(`[\\p{N}]\\s?(?:${UNITS})[^\\p{L}\\p{N}]*$`, 'u');

/** Gives each number the language of the neighbour it belongs to. */
function placeNumbers(runs: readonly Run[], mode: LanguageMode): LanguageSpan[] {
  const spans: LanguageSpan[] = [];
  const languageOf = (kind: RunKind | undefined): Language =>
    kind === 'latin' ? 'en' : kind === 'hangul' ? 'ko' : HAN_LANGUAGE[mode];
  runs.forEach((run, i) => {
    let language = languageOf(run.kind);
    if (run.kind === 'number' && !mode.startsWith('all_')) {
      const before = spans.at(-1);
      const after = runs[i + 1];
      if (before === undefined) language = languageOf(after?.kind);
      else if (after === undefined || before.language === languageOf(after.kind)) language = before.language;
      else if (/\p{Script=Latin}-$/u.test(before.text))
        language = before.language; // COVID-19, GPT-4
      else if (MARK_BEFORE.test(before.text)) language = languageOf(after.kind);
      else if (/[.。]$/.test(run.text) || (HAS_UNIT.test(run.text) && /[,;，；、！!？?]\s*$/.test(run.text))) {
        language = before.language;
      } else language = length(before.text) >= length(after.text) ? before.language : languageOf(after.kind);
    }
    const last = spans.at(-1);
    if (last?.language === language) spans[spans.length - 1] = { language, text: last.text + run.text };
    else spans.push({ language, text: run.text });
  });
  return spans;
}

function merge(spans: readonly LanguageSpan[]): LanguageSpan[] {
  const merged: LanguageSpan[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last?.language === span.language) merged[merged.length - 1] = { ...last, text: last.text + span.text };
    else merged.push(span);
  }
  return merged;
}

function length(text: string): number {
  return [...text].length;
}
