import { type ExplainedWord, type Explanation, explainText } from '../text/explain.js';
import type { LanguageMode } from '../text/language.js';
import { type CompiledLexicon, compileLexicon, type LexiconEntry, type LexiconProblem } from '../text/lexicon.js';
import { readLexiconFile, writeCsv, writePls } from '../text/lexicon-files.js';
import type { PolyphonePredictor } from '../text/polyphones.js';

/** A lexicon file read as an import does: its entries and everything that is wrong with it, by line. */
export interface ReadLexicon {
  readonly entries: readonly LexiconEntry[];
  readonly problems: readonly LexiconProblem[];
}

export interface CompareReadingsRequest {
  readonly text: string;
  readonly language: LanguageMode;
  /** Lexicon files, the later before the earlier ones, with the names that rules call them by. */
  readonly before: readonly NamedLexicon[];
  readonly after: readonly NamedLexicon[];
}

export interface NamedLexicon {
  readonly name: string;
  readonly text: string;
}

/** A word that is read otherwise with a lexicon; empty readings where it is not said. */
export interface ReadingDifference {
  readonly written: string;
  /** In the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
  readonly rule: string;
}

/** Throws LEXICON_INVALID for a file that is none at all. */
export async function readLexicon(text: string): Promise<ReadLexicon> {
  const file = readLexiconFile(text);
  const { problems } = await compileLexicon([{ name: 'file', entries: file.entries }]);
  return { entries: file.entries, problems: [...file.problems, ...problems].sort((a, b) => a.line - b.line) };
}

/** A lexicon file in another format. A PLS file is of one language; null: the entries for any. */
export function convertLexicon(text: string, format: 'csv' | 'pls', language: string | null): string {
  const { entries } = readLexiconFile(text);
  return format === 'csv' ? writeCsv(entries) : writePls(entries, language);
}

/** What is read otherwise with the lexicons of `after` than with those of `before`, by place. */
export async function compareReadings(
  request: CompareReadingsRequest,
  polyphones: PolyphonePredictor | null = null,
): Promise<ReadingDifference[]> {
  const explain = async (lexicons: readonly NamedLexicon[]): Promise<Explanation> => {
    const sources = lexicons.map(({ name, text }) => ({ name, entries: readLexiconFile(text).entries }));
    return explainWith(request, (await compileLexicon(sources)).lexicon, polyphones);
  };
  return differencesOf(request.text, await explain(request.before), await explain(request.after));
}

export function explainWith(
  { text, language }: Pick<CompareReadingsRequest, 'text' | 'language'>,
  lexicon: CompiledLexicon | null,
  polyphones: PolyphonePredictor | null = null,
): Promise<Explanation> {
  return explainText(text, { language, method: 'sentence', symbols: 'v2', lexicon, polyphones });
}

/** Where the readings of two explanations of one text differ, by place. */
export function differencesOf(text: string, before: Explanation, after: Explanation): ReadingDifference[] {
  const old = wordsOf(before);
  const changed = wordsOf(after).filter(
    (word) =>
      !old.some((other) => other.start === word.start && other.end === word.end && other.reading === word.reading),
  );
  const differences: ReadingDifference[] = [];
  for (const { start, end, reading, rule } of changed) {
    const was = old.filter((word) => word.start < end && word.end > start).map((word) => word.reading);
    const last = differences.at(-1);
    if (last !== undefined && last.start === start && last.end === end) {
      differences[differences.length - 1] = { ...last, after: `${last.after} ${reading}` };
    } else
      differences.push({ written: text.slice(start, end), start, end, before: was.join(' '), after: reading, rule });
  }
  return differences;
}

function wordsOf(explanation: Explanation): ExplainedWord[] {
  return explanation.flatMap((item) => (item.type === 'sentence' ? item.spans.flatMap(({ words }) => words) : []));
}
