import { AppError } from '../errors.js';
import { hanLanguages, hasChinese } from './han-language.js';
import { LANGUAGE_NAMES, type Language, type LanguageMode, type SymbolVersion } from './language.js';
import { SourceText } from './source-text.js';

/** A stretch of a text that is read in one language. */
export interface LanguageSpan {
  readonly language: Language;
  readonly text: string;
}

/**
 * Splits a text by script into stretches of one language; nothing is lost, spans follow one another.
 *
 * Latin letters are English; Han characters and hangul are what the mode says (LanguageMode). Where it reads both
 * Chinese and Japanese, kana are Japanese, and Han characters what surrounds them (han-language.ts). Marks and spaces stay with
 * what precedes them. A number goes with its neighbours: in the `all_` modes always to their language; otherwise to the
 * language on both sides, else to the side no mark separates it from, else to the longer side ("iPhone 15的" is English,
 * "在12楼" Chinese). A unit right behind a number ("10km", "25°C") stays with it. `en` is a single span.
 *
 * Words in another script are never dropped silently: LANGUAGE_UNSUPPORTED names them. Single stray letters of
 * alphabets used as symbols (α, ω, ノ) are kept for the language to read or skip, and の between Chinese characters is
 * read as the 的 it stands for in trade names.
 * upstream: text/LangSegmenter/langsegmenter.py LangSegmenter.getTexts, whose guesses of Japanese for short Han runs
 * are not followed
 */
export function languageSpans(text: string, mode: LanguageMode): LanguageSpan[] {
  requireKnownScripts(text, mode);
  const plain = plainLetters(SourceText.of(text), mode).text;
  if (mode === 'en') return plain === '' ? [] : [{ language: 'en', text: plain }];
  return merge(placeNumbers(scriptRuns(plain, mode), mode));
}

/** The languages a mode may read a word in, the most likely for its own words first. */
export function languagesOf(mode: LanguageMode): readonly Language[] {
  if (mode === 'en') return ['en'];
  const main = HAN_LANGUAGE[mode];
  return mode.startsWith('auto') ? [main, 'en', 'ja', 'ko'] : [main, 'en'];
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
  ja: 'ja',
  all_ja: 'ja',
  en: 'en',
};
const READABLE: Readonly<Record<LanguageMode, string>> = {
  auto: 'Chinese, English, Japanese and Korean',
  auto_yue: 'Cantonese, English, Japanese and Korean',
  zh: 'Chinese and English; "auto" reads Japanese and Korean too',
  all_zh: 'Chinese and English; "auto" reads Japanese and Korean too',
  yue: 'Cantonese and English; "auto_yue" reads Japanese and Korean too',
  all_yue: 'Cantonese and English; "auto_yue" reads Japanese and Korean too',
  ja: 'Japanese and English; "auto" reads Chinese and Korean too',
  all_ja: 'Japanese and English; "auto" reads Chinese and Korean too',
  ko: 'Korean and English',
  all_ko: 'Korean and English',
  en: 'English; use "auto" for several languages mixed',
};

type RunKind = 'han' | 'kana' | 'hangul' | 'latin' | 'number' | 'mark';
interface Run {
  readonly kind: RunKind;
  /** Of a number or a mark the one it has on its own. */
  language: Language;
  text: string;
}

/** Full-width and mathematical letters and digits as plain ones, so that "ＡＢＣ１" and "𝐇𝐢" are read at all. */
export function plainLetters(text: SourceText, mode: LanguageMode): SourceText {
  const plain = text.replace(/[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u{1d400}-\u{1d7ff}]/gu, (letter) =>
    letter.normalize('NFKC'),
  );
  return readsJapanese(mode) && !isChineseTradeName(plain.text)
    ? plain
    : plain.replace(/(?<=\p{Script=Han})の(?=\p{Script=Han})/gu, '的');
}

/** ｗｗｗ behind Japanese words is how people laugh in writing, no word. */
export function withoutLaughter(text: SourceText, mode: LanguageMode): SourceText {
  if (!readsJapanese(mode) || !/w/.test(text.text)) return text;
  if (mode.startsWith('auto') && !/[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(text.text)) return text;
  return text.replace(LAUGHTER, '');
}

const LAUGHTER =
  /(?<=[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー！？!?。、] ?)w{1,30}(?=$|[\s、。！？!?\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}])/gu;

const readsJapanese = (mode: LanguageMode): boolean => mode.startsWith('auto') || mode.endsWith('ja');

/** の between characters that Japanese does not have, and no other kana: 优の品. */
function isChineseTradeName(text: string): boolean {
  const kana = text.match(/[\p{Script=Hiragana}\p{Script=Katakana}]/gu);
  return (kana?.every((character) => character === 'の') ?? false) && hasChinese(text);
}

/** A letter of none of the scripts, and whole words of such letters. */
const otherLetters = (known: string): { readonly letter: RegExp; readonly words: RegExp } => {
  const letter = `[^\\P{L}${known}\\p{Script=Common}\\p{Script=Inherited}]`;
  return { letter: new RegExp(letter, 'u'), words: new RegExp(`${letter}(?:${letter}|[\\p{M}ー])*`, 'gu') };
};
/** Words of no script that a mode reads: with Korean, with Japanese, with both, with neither. */
const HANGUL = '\\p{Script=Hangul}';
const KANA = '\\p{Script=Hiragana}\\p{Script=Katakana}';
const OTHER_LETTERS = Object.fromEntries(
  ['', HANGUL, KANA, HANGUL + KANA].map((scripts) => [
    scripts,
    otherLetters(`\\p{Script=Han}\\p{Script=Latin}${scripts}`),
  ]),
);
/** Alphabets whose single letters stand in formulas and emoticons. */
const SYMBOL_LETTER = /^[\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Hiragana}\p{Script=Katakana}]\p{M}*$/u;

/** Throws LANGUAGE_UNSUPPORTED for a language that the symbol table of a model has no phonemes for. */
export function requireSpoken(language: Language, symbols: SymbolVersion): void {
  if (symbols === 'v2' || language === 'zh' || language === 'en' || language === 'ja') return;
  throw new AppError(
    'LANGUAGE_UNSUPPORTED',
    `a v1 model speaks Chinese, English and Japanese, not ${LANGUAGE_NAMES[language]}; ` +
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
  const korean = mode.startsWith('auto') || mode.endsWith('ko');
  const others = OTHER_LETTERS[(korean ? HANGUL : '') + (readsJapanese(mode) ? KANA : '')]!;
  // Usual texts have none, and long ones are looked through before their first sentence is spoken.
  if (mode !== 'en' && !others.letter.test(written)) return;
  const text = plainLetters(SourceText.of(written), mode).text;
  const unread = new Set<string>();
  for (const [word] of text.matchAll(others.words)) {
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

/** A single capital is no unit where it names a line, a seat or a building: 1A号线, 3A座. */
const NAMED = '(?![号號座室樓楼栋棟區区級级型款口班組组股类類轮輪館동호])';
const UNITS =
  'mmHg|[mμµu]mol/L|[mμµu]mol|mg/dL|I?U/L|IU|dL|pct|pp|bpm|%p|w(?=\\+|粉|人)|M(?![\\p{L}\\p{N}/])|km/h|km/L|km²|km|[μµm]?g/m³|[μµ]g|mg/L|g/L|kg|kPa|kHz|kWh|kW|kB|KB|KG|cm²|cm|mm|ml|mL|mg|mAh|mA|ms|min|mph|mol|m/s|m²|m³|m|MB|MHz|Mbps|MPa|MW|g|GB|GHz|Gbps|TB|Hz|dB|db|s|h|[VWAL]' +
  NAMED +
  '|°C|°F|℃|℉|bps|fps|rpm|nm|μm|Ω|kcal|kJ|cal|ft|lb|oz|(?<=(?<![\\p{N}.])[\\p{N}]{1,2})F' +
  NAMED;
/** In this order: a number with its sign and unit, Han, kana, hangul, Latin (letters with marks between them), any other character. */
const RUN = new RegExp(
  `(?<number>(?:(?<!\\p{Script=Latin})(?:HK|US|NT|AU|CA|[ACS])\\$|(?<!\\p{Script=Latin})(?:RMB|CNY|USD|EUR|GBP|HKD|JPY)\\s?(?=\\p{N})|[$€£¥￥₩#]|(?<![\\p{L}\\p{N}])[+\\-−±~～])?(?:[12]m[\\p{N}]{2}(?![\\p{Script=Latin}\\p{N}])|[\\p{N}]{1,3}h\\s?[\\p{N}]{1,2}\\s?m(?:in)?(?![\\p{Script=Latin}\\p{N}])|[\\p{N}]+(?:[.,:/：][\\p{N}]+)*)(?:\\s?(?:${UNITS})(?![\\p{Script=Latin}\\p{N}])|(?<=[$€£¥￥]\\p{N}{1,12}(?:\\.\\p{N}{1,6})?)[KMBk](?![\\p{Script=Latin}\\p{N}]))?)` +
    '|(?<han>[\\p{Script=Han}]+)' +
    '|(?<kana>[\\p{Script=Hiragana}\\p{Script=Katakana}ー゛゜ｰﾞﾟ]+)' +
    '|(?<hangul>[\\p{Script=Hangul}]+)' +
    '|(?<latin>\\p{Script=Latin}[\\p{Script=Latin}\\p{M}]*)' +
    '|(?<mark>[^])',
  'gu',
);

/** Runs of one script each, with marks joined to the run before them, or to the first run when they open the text. */
function scriptRuns(text: string, mode: LanguageMode): Run[] {
  const runs: Run[] = [];
  const han: { run: Run; start: number; end: number }[] = [];
  let opening = '';
  for (const match of text.matchAll(RUN)) {
    const kind = kindOf(match, text, mode);
    const last = runs.at(-1);
    if (kind === 'mark') {
      if (last === undefined) opening += match[0];
      else last.text += match[0];
      continue;
    }
    if (last !== undefined && last.kind === kind) last.text += match[0];
    else runs.push({ kind, language: languageOf(kind, mode), text: match[0] });
    if (kind === 'han' || kind === 'kana') {
      han.push({ run: runs.at(-1)!, start: match.index, end: match.index + match[0].length });
    }
  }
  if (mode.startsWith('auto') && han.length > 0) {
    const languages = hanLanguages(text, han);
    han.forEach(({ run }, i) => {
      if (languages[i] === 'japanese') run.language = 'ja';
    });
  }
  const first = runs[0];
  if (first !== undefined) first.text = opening + first.text;
  else if (opening !== '') runs.push({ kind: 'mark', language: HAN_LANGUAGE[mode], text: opening });
  return runs;
}

/** Kana are marks to a mode without Japanese, and so is one of its own, which is part of an emoticon. */
function kindOf(match: RegExpExecArray, text: string, mode: LanguageMode): RunKind {
  const kind = (Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined)?.[0] ?? 'mark') as RunKind;
  if (kind !== 'kana') return kind;
  if (mode.endsWith('ja')) return 'kana';
  if (!readsJapanese(mode)) return 'mark';
  const neighbours = text.charAt(match.index - 1) + text.charAt(match.index + match[0].length);
  return match[0].length > 1 || /[\p{L}\p{N}]/u.test(neighbours) ? 'kana' : 'mark';
}

function languageOf(kind: RunKind, mode: LanguageMode): Language {
  if (kind === 'latin') return 'en';
  if (kind === 'hangul') return 'ko';
  return kind === 'kana' ? 'ja' : HAN_LANGUAGE[mode];
}

const MARK_BEFORE = /[,.!?，。！？、；;]$/u;
const HAS_UNIT = new RegExp(`[\\p{N}]\\s?(?:${UNITS})[^\\p{L}\\p{N}]*$`, 'u');

/** Gives each number the language of the neighbour it belongs to. */
function placeNumbers(runs: readonly Run[], mode: LanguageMode): LanguageSpan[] {
  const spans: LanguageSpan[] = [];
  runs.forEach((run, i) => {
    let language = run.language;
    if (run.kind === 'number' && !mode.startsWith('all_')) {
      const before = spans.at(-1);
      const after = runs[i + 1];
      // an account behind its name: QQ：10086
      const labelled =
        before !== undefined && /：\s?$/.test(before.text.slice(-2)) && runs.some(({ kind }) => kind === 'han');
      const code = labelled
        ? run.language
        : codeLanguage(run, { text: runs[i - 1]?.text ?? '', before: spans.at(-2), after });
      if (code !== undefined) language = code;
      else if (before === undefined) language = after?.language ?? language;
      else if (after === undefined || before.language === after.language) language = before.language;
      else if (/\p{Script=Latin}[-.]$/u.test(before.text))
        language = before.language; // COVID-19, GPT-4, beta.2
      else if (MARK_BEFORE.test(before.text)) language = after.language;
      else if (/[.。]$/.test(run.text) || (HAS_UNIT.test(run.text) && /[,;，；、！!？?]\s*$/.test(run.text))) {
        language = before.language;
      } else language = length(before.text) >= length(after.text) ? before.language : after.language;
    }
    const last = spans.at(-1);
    if (last?.language === language) spans[spans.length - 1] = { language, text: last.text + run.text };
    else spans.push({ language, text: run.text });
  });
  return spans;
}

/**
 * The language of a number that is written together with Latin letters, where people say it in their own language and not
 * the letters': decimals (BMI21.8, USB3.0); with Han characters also what follows one letter (B12, Q3) and numbers of
 * four digits and more (plates, orders, standards: 沪A12345, ISO9001), and a year before a quarter (2024Q3).
 */
function codeLanguage(
  number: Run,
  {
    text,
    before,
    after,
  }: { readonly text: string; readonly before: LanguageSpan | undefined; readonly after: Run | undefined },
): Language | undefined {
  if (/^20\p{N}\p{N}$/u.test(number.text) && /^[QH]$/.test(after?.text ?? '')) return number.language;
  // 3LDK
  if (number.language === 'ja' && /^S?L?D?K$/.test(after?.text ?? '')) return 'ja';
  const letters = /(?<![\p{L}\p{N}])(\p{Script=Latin}{1,8})[·•]?$/u.exec(text)?.[1];
  if (letters === undefined) return undefined;
  const beside =
    after?.kind === 'han' || after?.kind === 'kana' || after?.kind === 'hangul' ? after.language : undefined;
  const language =
    beside ??
    (before?.text !== undefined && before.language !== 'en' && text.length <= letters.length + 1
      ? before.language
      : undefined);
  if (language === undefined) return undefined;
  if (letters.length > 1 && /^\p{N}+\.\p{N}+/u.test(number.text)) return language;
  // an order or account, said with its letters
  if (language !== 'zh' && language !== 'yue') return /^\p{N}{5,}/u.test(number.text) ? 'en' : undefined;
  if (/^\p{N}{4,}/u.test(number.text)) return language;
  const continues = after?.kind === 'latin'; // H2O, A17 Pro
  if (letters.length > 1 || continues) return undefined;
  return /\p{L}/u.test(number.text) ? 'en' : language; // K8s is no eight seconds
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
