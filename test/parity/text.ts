import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chunk30 } from '../../src/text/chunks.js';
import { normalizeEnglish } from '../../src/text/en/normalization.js';
import { languagePhonemes, textToPhonemes } from '../../src/text/frontend.js';
import { hasChinese } from '../../src/text/han-language.js';
import { LANGUAGE_MODES, type LanguageMode, type SymbolVersion } from '../../src/text/language.js';
import { languageSpans, requireKnownScripts } from '../../src/text/language-spans.js';
import { collapsePunctuation, cutText, mergeShort, preSegment, splitBigText } from '../../src/text/sentences.js';
import { phonemeIds, symbolTable } from '../../src/text/symbols.js';
import { cantonesePhonemes } from '../../src/text/yue/cantonese.js';
import { normalizeChinese } from '../../src/text/zh/chinese.js';
import { type EnglishRow, englishHomographs, englishImprovement, hasUnknownWord } from './improvements-en.js';
import { japaneseImprovement } from './improvements-ja.js';
import { koreanImprovement } from './improvements-ko.js';
import { writtenImprovement, zhImprovement, zhPolyphone } from './improvements-zh.js';

/** One sentence whose answer differs from the reference. */
export interface TextDifference {
  readonly id: string;
  readonly text: string;
  readonly expected: string;
  readonly actual: string;
  /** Why it may differ ("polyphone", "homograph", an Improve item); null where the two must agree. */
  readonly reason: string | null;
}

/** One file of the reference, compared. Phone accuracy is 1 - edit distance / reference length. */
export interface TextSection {
  readonly name: string;
  readonly rows: number;
  readonly exact: number;
  readonly phoneAccuracy: number | null;
  /** Rows for which no reason to differ exists. */
  readonly plainRows: number;
  readonly plainExact: number;
  readonly plainPhoneAccuracy: number | null;
  /** Rows and exact rows by reason. */
  readonly reasons: Readonly<Record<string, { readonly rows: number; readonly exact: number }>>;
  readonly differences: readonly TextDifference[];
}

/** A bar of the issue, or a property that must hold throughout. */
export interface TextCheck {
  readonly name: string;
  readonly passed: boolean;
  readonly detail: string;
}

export interface TextReport {
  readonly sections: readonly TextSection[];
  readonly checks: readonly TextCheck[];
  readonly skipped: readonly string[];
}

/** Share of sentences that must be identical where nothing is improved and no polyphone is concerned. */
const IDENTICAL = 0.98;
/** The same in Cantonese and in Korean. */
const IDENTICAL_CANTONESE = 0.99;
const SPANS_WITH_KANA = 0.95;
const IDENTICAL_KOREAN = 0.93;
/** Sentences with accents, and phonemes, of Japanese; no sentence is set apart from these. */
const IDENTICAL_JAPANESE = 0.9;
const PHONEMES_JAPANESE = 0.98;
/** Share of polyphone targets that must be right. */
const POLYPHONES_RIGHT = 0.95;

/**
 * Compares the text front end with a folder of reference data (`text/` inside it, or the folder itself). Files that are
 * missing are named in `skipped`; a folder without any is an error.
 */
export async function compareText(folder: string): Promise<TextReport> {
  const root = existsSync(join(folder, 'text')) ? join(folder, 'text') : folder;
  const report = new Report(root);
  for (const version of ['v1', 'v2'] as const) {
    symbols(report, version);
    await english(report, version);
    await chinese(report, version);
    await japanese(report, version);
    await mixed(report, version);
  }
  await cantonese(report);
  await korean(report);
  await polyphones(report);
  normalisation(report, 'en', normalizeEnglish);
  normalisation(report, 'zh', normalizeChinese);
  spans(report);
  segmentation(report);
  chunks(report);
  if (report.sections.length + report.checks.length === 0) {
    throw new Error(
      `no text reference data at ${folder}: expected files such as text/en.v2.jsonl. Pass the folder that holds them, set TIMBRE_REFERENCE, or put it at ../shared/reference beside the repository.`,
    );
  }
  return { sections: report.sections, checks: report.checks, skipped: report.skipped };
}

class Report {
  readonly sections: TextSection[] = [];
  readonly checks: TextCheck[] = [];
  readonly skipped: string[] = [];
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** The rows of a .jsonl file, or undefined (and a note) when it is missing. */
  // biome-ignore lint/suspicious/noExplicitAny: rows differ from file to file and come from a trusted folder
  rows(file: string): any[] | undefined {
    const text = this.#read(file);
    if (text === undefined) this.skipped.push(file);
    return text
      ?.split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line));
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  json(file: string): any {
    const text = this.#read(file);
    if (text === undefined) this.skipped.push(file);
    return text === undefined ? undefined : JSON.parse(text);
  }

  section(name: string, outcomes: readonly Outcome[]): TextSection {
    const plain = outcomes.filter((outcome) => outcome.reason === null);
    const reasons: Record<string, { rows: number; exact: number }> = {};
    for (const { reason, exact } of outcomes) {
      if (reason === null) continue;
      reasons[reason] ??= { rows: 0, exact: 0 };
      reasons[reason].rows++;
      if (exact) reasons[reason].exact++;
    }
    const section: TextSection = {
      name,
      rows: outcomes.length,
      exact: outcomes.filter((outcome) => outcome.exact).length,
      phoneAccuracy: accuracy(outcomes),
      plainRows: plain.length,
      plainExact: plain.filter((outcome) => outcome.exact).length,
      plainPhoneAccuracy: accuracy(plain),
      reasons,
      differences: outcomes
        .filter((outcome) => !outcome.exact)
        .map(({ id, text, expected, actual, reason }) => ({ id, text, expected, actual, reason })),
    };
    this.sections.push(section);
    return section;
  }

  check(name: string, good: number, total: number, bar: number): void {
    const share = total === 0 ? 0 : good / total;
    this.checks.push({
      name,
      passed: total > 0 && share >= bar,
      detail: `${good} of ${total} (${percent(share)}), expected ${bar === 1 ? 'all' : `at least ${percent(bar)}`}`,
    });
  }

  #read(file: string): string | undefined {
    const path = join(this.#root, file);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }
}

interface Outcome {
  readonly id: string;
  readonly text: string;
  readonly exact: boolean;
  readonly expected: string;
  readonly actual: string;
  readonly reason: string | null;
  /** Edit distance and length in phones; null outside phoneme comparisons. */
  readonly errors: number | null;
  readonly length: number;
}

function symbols(report: Report, version: SymbolVersion): void {
  const expected: string[] | undefined = report.json(`symbols.${version}.json`);
  if (expected === undefined) return;
  const table = symbolTable(version);
  const same = expected.filter((name, id) => table[id] === name).length;
  report.check(`symbols ${version}: every id`, same, Math.max(expected.length, table.length), 1);
}

interface SentenceRow extends EnglishRow {
  readonly id: string;
  readonly phones: readonly string[];
  readonly phone_ids: readonly number[];
  readonly word2ph?: readonly number[];
  readonly notes?: readonly string[];
}

async function english(report: Report, version: SymbolVersion): Promise<void> {
  const rows: SentenceRow[] | undefined = report.rows(`en.${version}.jsonl`);
  if (rows === undefined) return;
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const { phonemes } = await languagePhonemes(row.text, { language: 'en', symbols: version });
    const reason = englishImprovement(row) ?? (englishHomographs(row.text).length > 0 ? 'homograph' : null);
    outcomes.push(compare(row, phonemes, version, reason));
  }
  const section = report.section(`en ${version}`, outcomes);
  report.check(
    `en ${version}: sentences identical where nothing is improved and no homograph is concerned`,
    section.plainExact,
    section.plainRows,
    IDENTICAL,
  );
}

async function chinese(report: Report, version: SymbolVersion): Promise<void> {
  const rows: SentenceRow[] | undefined = report.rows(`zh.${version}.jsonl`);
  if (rows === undefined) return;
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const { phonemes } = await languagePhonemes(row.text, { language: 'zh', symbols: version });
    outcomes.push(compare(row, phonemes, version, zhReason(row.text)));
  }
  const section = report.section(`zh ${version}`, outcomes);
  report.check(
    `zh ${version}: sentences identical where nothing is improved and no polyphone is concerned`,
    section.plainExact,
    section.plainRows,
    IDENTICAL,
  );
}

function zhReason(text: string): string | null {
  return zhImprovement(text) ?? (zhPolyphone(text) === null ? null : 'polyphone');
}

async function cantonese(report: Report): Promise<void> {
  const rows: SentenceRow[] | undefined = report.rows('yue.v2.jsonl');
  if (rows === undefined) return;
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const { phonemes } = await languagePhonemes(row.text, { language: 'yue', symbols: 'v2' });
    outcomes.push(compare(row, phonemes, 'v2', writtenImprovement(row.text)));
  }
  const section = report.section('yue v2', outcomes);
  report.check(
    'yue v2: sentences identical where nothing is improved',
    section.plainExact,
    section.plainRows,
    IDENTICAL_CANTONESE,
  );
}

async function korean(report: Report): Promise<void> {
  const rows: SentenceRow[] | undefined = report.rows('ko.v2.jsonl');
  if (rows === undefined) return;
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const { phonemes } = await languagePhonemes(row.text, { language: 'ko', symbols: 'v2' });
    outcomes.push(compare(row, phonemes, 'v2', koreanImprovement(row.text)));
  }
  const section = report.section('ko v2', outcomes);
  report.check(
    'ko v2: sentences identical where nothing is improved',
    section.plainExact,
    section.plainRows,
    IDENTICAL_KOREAN,
  );
}

async function japanese(report: Report, version: SymbolVersion): Promise<void> {
  const rows: SentenceRow[] | undefined = report.rows(`ja.${version}.jsonl`);
  if (rows === undefined) return;
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const { phonemes } = await languagePhonemes(row.text, { language: 'ja', symbols: version });
    outcomes.push(compare(row, phonemes, version, japaneseImprovement(row.text)));
  }
  const section = report.section(`ja ${version}`, outcomes);
  report.check(
    `ja ${version}: all sentences identical, accents included`,
    section.exact,
    section.rows,
    IDENTICAL_JAPANESE,
  );
  const phonemes = section.phoneAccuracy ?? 0;
  report.checks.push({
    name: `ja ${version}: phonemes identical`,
    passed: phonemes >= PHONEMES_JAPANESE,
    detail: `${percent(phonemes)}, expected at least ${percent(PHONEMES_JAPANESE)}`,
  });
  report.check(
    `ja ${version}: sentences identical where nothing is improved`,
    section.plainExact,
    section.plainRows,
    IDENTICAL,
  );
}

interface MixedRow extends SentenceRow {
  readonly lang: string;
  readonly retried_with_dot?: boolean;
  readonly segments: readonly { readonly lang: string; readonly text: string }[];
}

async function mixed(report: Report, version: SymbolVersion): Promise<void> {
  const rows: MixedRow[] | undefined = report.rows(`mixed.${version}.jsonl`);
  if (rows === undefined) return;
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    if (!isMode(row.lang) || !isReadable(row.text, row.lang, version)) continue;
    const sentence = await textToPhonemes(row.text, { language: row.lang, symbols: version });
    outcomes.push(compare({ ...row, id: `${row.id} ${row.lang}` }, sentence.phonemes, version, mixedReason(row)));
  }
  const section = report.section(`mixed ${version}`, outcomes);
  report.check(
    `mixed ${version}: sentences identical where nothing is improved and no polyphone is concerned`,
    section.plainExact,
    section.plainRows,
    IDENTICAL,
  );
}

const KANA = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
const OTHER_SCRIPT = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

function isMode(mode: string): mode is LanguageMode {
  return (LANGUAGE_MODES as readonly string[]).includes(mode);
}

function isReadable(text: string, mode: LanguageMode, version: SymbolVersion): boolean {
  try {
    requireKnownScripts(text, mode, version);
    return true;
  } catch {
    return false;
  }
}

function mixedReason(row: MixedRow): string | null {
  if (
    !row.lang.endsWith('ja') &&
    row.segments.some(({ lang, text }) => lang === 'ja' && (!KANA.test(text) || /[吗喊们这]/.test(text)))
  ) {
    return 'Chinese taken for Japanese';
  }
  if (
    row.segments
      .map((segment) => segment.text)
      .join('')
      .replace(/^\./, '') !== row.text.replace(/^\./, '')
  ) {
    return 'characters lost by the splitter';
  }
  if (row.retried_with_dot === true && /^\d/.test(row.text)) return 'number alone read as a decimal';
  if (/\d\s?(?:[kcm]m|[kMGT]B|ms|min|s|kg|°C)(?![A-Za-z])/.test(row.text)) return 'unit';
  for (const { lang, text } of row.segments) {
    const reason = segmentReason(lang, text);
    if (reason !== null) return reason;
  }
  return null;
}

function segmentReason(language: string, text: string): string | null {
  if (language === 'en') return englishMixed(text);
  if (language === 'zh') return zhReason(text);
  if (language === 'ja') return japaneseImprovement(text);
  return language === 'yue' ? (writtenImprovement(text) ?? cantoneseCharacter(text)) : koreanImprovement(text);
}

/** A text that sounds otherwise when its characters are taken as written: 隻 is not 只, 㗎 is not nothing. */
function cantoneseCharacter(text: string): string | null {
  const simplified = cantonesePhonemes(text).phonemes.join(' ');
  const written = cantonesePhonemes(text, { asSpoken: true }).phonemes.join(' ');
  return simplified === written ? null : 'character read in its simplified form';
}

function englishMixed(text: string): string | null {
  const spoken = text.replace(/[，、；]\s*$/, '');
  const reason = englishImprovement({ text: spoken });
  if (reason !== null) return reason;
  // Upstream drops a full-width comma at the end of an English stretch.
  if (spoken !== text) return 'full-width comma';
  if (hasUnknownWord(text)) return 'word outside the dictionary';
  return englishHomographs(text).length > 0 ? 'homograph' : null;
}

interface PolyphoneRow {
  readonly id: string;
  readonly text: string;
  readonly targets: readonly { readonly index: number; readonly char: string; readonly pinyin: readonly string[] }[];
}

async function polyphones(report: Report): Promise<void> {
  const rows: PolyphoneRow[] | undefined = report.rows('polyphones.jsonl');
  const syllables: Record<string, readonly [string, string]> | undefined = report.json('opencpop_pinyin_phones.json');
  if (rows === undefined || syllables === undefined) return;
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const { normalizedText, phonemes, word2ph } = await languagePhonemes(row.text, { language: 'zh', symbols: 'v2' });
    for (const target of row.targets) {
      const at = sameCharacter(row.text, target.index, normalizedText);
      const from = (word2ph ?? []).slice(0, at).reduce((sum, count) => sum + count, 0);
      const actual = phonemes.slice(from, from + (word2ph?.[at] ?? 0)).join(' ');
      const accepted = target.pinyin.flatMap((pinyin) => spoken(pinyin, syllables));
      outcomes.push({
        id: `${row.id}/${target.index}`,
        text: row.text,
        exact: accepted.includes(actual),
        expected: `${target.char} ${target.pinyin.join('/')}`,
        actual,
        reason: null,
        errors: null,
        length: 0,
      });
    }
  }
  const section = report.section('polyphones', outcomes);
  report.check('polyphones: targets read right', section.exact, section.rows, POLYPHONES_RIGHT);
}

/** Position of the n-th occurrence of a character in the normalised text, where n counts in the original. */
function sameCharacter(text: string, index: number, normalized: string): number {
  const characters = [...text];
  const wanted = characters[index] as string;
  let left = characters.slice(0, index + 1).filter((character) => character === wanted).length;
  return [...normalized].findIndex((character) => character === wanted && --left === 0);
}

/** A citation reading as phonemes; a third tone may have been raised to a second one by sandhi. */
function spoken(pinyin: string, syllables: Readonly<Record<string, readonly [string, string]>>): string[] {
  const base = pinyin.slice(0, -1);
  const phones = syllables[base] ?? syllables[PINYIN_SPELLING[base] ?? ''];
  if (phones === undefined) return [];
  const tone = pinyin.slice(-1);
  return (tone === '3' ? ['3', '2'] : [tone]).map((mark) => `${phones[0]} ${phones[1]}${mark}`);
}

const PINYIN_SPELLING: Readonly<Record<string, string>> = { lue: 'lve', nue: 'nve', lüe: 'lve', nüe: 'nve', ju: 'jv' };

interface NormalisationRow {
  readonly input: string;
  readonly output: string;
  readonly suggested?: string;
  readonly in_sentence?: { readonly input: string; readonly output: string };
}

function normalisation(report: Report, language: 'en' | 'zh', normalize: (text: string) => string): void {
  const rows: NormalisationRow[] | undefined = report.rows(`${language}_number_normalisation.jsonl`);
  if (rows === undefined) return;
  const improved = (text: string) => (language === 'en' ? englishImprovement({ text }) : zhImprovement(text));
  const outcomes = rows.flatMap((row, i) => {
    const alone = outcomeOf(
      `${language}-${i + 1}`,
      row.input,
      row.suggested ?? row.output,
      normalize(row.input),
      row.suggested === undefined ? improved(row.input) : null,
    );
    if (row.in_sentence === undefined) return [alone];
    const { input, output } = row.in_sentence;
    const reason = improved(input) ?? (row.suggested === undefined ? null : 'suggested otherwise');
    return [alone, outcomeOf(`${language}-${i + 1} in a sentence`, input, output, normalize(input), reason)];
  });
  report.section(`${language} normalisation`, outcomes);
}

function outcomeOf(id: string, text: string, expected: string, actual: string, reason: string | null): Outcome {
  const tidy = (value: string) => value.replace(/\s+/g, ' ').trim();
  return { id, text, expected, actual, reason, exact: tidy(expected) === tidy(actual), errors: null, length: 0 };
}

interface SpanRow {
  readonly id: string;
  readonly text: string;
  readonly auto?: readonly { readonly lang: string; readonly text: string }[];
  readonly default_zh?: readonly { readonly lang: string; readonly text: string }[];
  readonly default_ja?: readonly { readonly lang: string; readonly text: string }[];
}

function spans(report: Report): void {
  const rows: SpanRow[] | undefined = report.rows('lang_segments.jsonl');
  if (rows === undefined) return;
  const outcomes = rows
    .filter((row) => row.default_zh !== undefined && !OTHER_SCRIPT.test(row.text))
    .map((row) => {
      const show = (spans: readonly { lang: string; text: string }[]) =>
        spans.map(({ lang, text }) => `${lang}:${text}`).join(' | ');
      const actual = languageSpans(row.text, 'all_zh').map(({ language, text }) => ({ lang: language, text }));
      const unit = /\d\s?(?:[kcm]m|[kMGT]B|ms|min|s|kg|°C)(?![A-Za-z])/.test(row.text) ? 'unit' : null;
      return outcomeOf(row.id, row.text, show(row.default_zh ?? []), show(actual), unit);
    });
  const section = report.section('language spans (all_zh)', outcomes);
  report.check('language spans: zh and en parted alike', section.plainExact, section.plainRows, IDENTICAL);
  japaneseSpans(report, rows);
}

/** Span by span, in the texts with kana: in `auto` Japanese is told from Chinese, in `all_ja` everything else is Japanese. */
function japaneseSpans(report: Report, rows: readonly SpanRow[]): void {
  const outcomes = rows
    .filter((row) => KANA.test(row.text))
    .flatMap((row) =>
      (['auto', 'all_ja'] as const).flatMap((mode) => {
        const expected = characterLanguages((mode === 'auto' ? row.auto : row.default_ja) ?? []);
        if (!isReadable(row.text, mode, 'v2')) return [];
        const actual = characterLanguages(
          languageSpans(row.text, mode).map((span) => ({ ...span, lang: span.language })),
        );
        return outcomeOf(
          `${row.id} ${mode}`,
          row.text,
          expected,
          actual,
          mode === 'auto' ? takenForJapanese(row) : null,
        );
      }),
    );
  const section = report.section('language spans (ja)', outcomes);
  report.check('language spans: texts with kana parted alike', section.plainExact, section.plainRows, SPANS_WITH_KANA);
}

/** Where the reference reads as Japanese what only Chinese writes: 你也喜欢まいご｜吗, 居酒屋里大家都在喊いらっしゃいませ. */
function takenForJapanese({ auto }: SpanRow): string | null {
  const japanese = (auto ?? []).filter(({ lang }) => lang === 'ja');
  const runs = japanese.flatMap(({ text }) => text.match(/\p{Script=Han}+/gu) ?? []);
  return runs.some(hasChinese) ? 'Chinese read as Japanese' : null;
}

/** "ja zh": the languages of a text's letters in order, where they change. */
function characterLanguages(spans: readonly { readonly lang: string; readonly text: string }[]): string {
  return spans
    .map(({ lang, text }) => `${lang}:${text.replace(/[^\p{L}]/gu, '')}`)
    .join(' | ')
    .replace(/\b(\w\w):([^ ]*) \| \1:/g, '$1:$2');
}

interface SegmentationRow {
  readonly id: string;
  readonly text: string;
  readonly lang: LanguageMode;
  readonly cut: Readonly<Record<string, unknown>>;
  readonly pre_seg_text: Readonly<Record<string, unknown>>;
}

function segmentation(report: Report): void {
  const outcomes: Outcome[] = [];
  for (const row of (report.rows('segmentation.jsonl') ?? []) as SegmentationRow[]) {
    for (const method of ['cut0', 'cut1', 'cut2', 'cut3', 'cut4', 'cut5'] as const) {
      const add = (part: string, expected: unknown, actual: unknown) => {
        // Where upstream fails for want of text, ours gives no sentences.
        const wanted = isError(expected) ? [] : expected;
        const id = `${row.id} ${part} ${method}`;
        outcomes.push(outcomeOf(id, row.text, JSON.stringify(wanted), JSON.stringify(actual), null));
      };
      if (method in row.cut) add('cut', row.cut[method], cutText(row.text, method));
      if (method in row.pre_seg_text) {
        const sentences = preSegment(collapsePunctuation(row.text), { method, language: row.lang });
        add('sentences', row.pre_seg_text[method], sentences);
      }
    }
  }
  for (const row of report.rows('split_big_text.jsonl') ?? []) {
    const actual = splitBigText(row.text, row.max_len);
    outcomes.push(outcomeOf('split_big_text', row.text, JSON.stringify(row.output), JSON.stringify(actual), null));
  }
  for (const row of report.rows('merge_short.jsonl') ?? []) {
    const actual = mergeShort(row.texts, row.threshold);
    outcomes.push(
      outcomeOf('merge_short', row.texts.join('|'), JSON.stringify(row.output), JSON.stringify(actual), null),
    );
  }
  if (outcomes.length === 0) return;
  const section = report.section('segmentation', outcomes);
  report.check('segmentation: every cut, split and merge', section.exact, section.rows, 1);
}

function isError(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'error' in value;
}

/** The properties of the streaming chunker on the texts of chunk30.jsonl; its cuts are only one acceptable way. */
function chunks(report: Report): void {
  const rows: { id: string; text: string; max_len: number }[] | undefined = report.rows('chunk30.jsonl');
  if (rows === undefined) return;
  const outcomes = rows.map(({ id, text }) => {
    const pieces = chunk30(text);
    const problem =
      pieces.join('').replace(/\s/g, '') !== text.replace(/\s/g, '')
        ? 'something was lost'
        : pieces.some((piece) => [...piece].length > 30 && /[^\p{Script=Latin}\p{N}]/u.test(piece))
          ? 'a piece is too long'
          : cutsToken(text, pieces)
            ? 'a number or word was cut'
            : 'fine';
    return outcomeOf(id, text, 'fine', problem, null);
  });
  const section = report.section('chunks of 30', outcomes);
  report.check('chunks: at most 30 characters, nothing lost, no number or word cut', section.exact, section.rows, 1);
}

function cutsToken(text: string, pieces: readonly string[]): boolean {
  let at = 0;
  return pieces.some((piece, i) => {
    const start = text.indexOf(piece, at);
    at = start + piece.length;
    if (i === pieces.length - 1) return false;
    return /[A-Za-z0-9]/.test(text[at - 1] ?? '') && /[A-Za-z0-9]/.test(text[at] ?? '');
  });
}

function compare(
  row: SentenceRow,
  phonemes: readonly string[],
  version: SymbolVersion,
  reason: string | null,
): Outcome {
  const actual = phonemeIds(phonemes, version);
  return {
    id: row.id,
    text: row.text,
    expected: row.phones.join(' '),
    actual: phonemes.join(' '),
    reason,
    exact: actual.length === row.phone_ids.length && actual.every((id, i) => id === row.phone_ids[i]),
    errors: editDistance(actual, row.phone_ids),
    length: row.phone_ids.length,
  };
}

function accuracy(outcomes: readonly Outcome[]): number | null {
  const counted = outcomes.filter((outcome) => outcome.errors !== null);
  const length = counted.reduce((sum, outcome) => sum + outcome.length, 0);
  return length === 0 ? null : 1 - counted.reduce((sum, outcome) => sum + (outcome.errors ?? 0), 0) / length;
}

function editDistance(a: readonly number[], b: readonly number[]): number {
  let row = b.map((_, j) => j + 1);
  row.unshift(0);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(row[j]! + (a[i] === b[j] ? 0 : 1), row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** "99.5 %" */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
