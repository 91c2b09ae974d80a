import { AppError } from '../errors.js';
import type { LexiconEntry, LexiconProblem } from './lexicon.js';
import { ALPHABETS, type Alphabet, DEFAULT_ALPHABET } from './readings.js';
import { PLS, parseXml, placeOf, type XmlElement, xmlError } from './xml.js';

/** What a file holds: the entries that can be used, and what is wrong with the others. */
export interface LexiconFile {
  readonly entries: readonly LexiconEntry[];
  readonly problems: readonly LexiconProblem[];
}

/** Entries of one lexicon; more are surely not a company's own vocabulary. */
export const MOST_ENTRIES = 100_000;

const HEADER = ['word', 'language', 'alphabet', 'reading'];

/** Reads a lexicon file by what it begins with: PLS where that is XML, else CSV. */
export function readLexiconFile(text: string): LexiconFile {
  return /^\ufeff?\s*</.test(text) ? readPls(text) : readCsv(text);
}

/**
 * Reads CSV (RFC 4180) with the columns word, language, alphabet, reading. Language may be empty (any), alphabet one of
 * pinyin, jyutping, arpabet, ipa, hangul, kana, replacement, or empty (the usual one of the language; a replacement where
 * there is no language). Blank lines and lines that begin with # are passed over, a header line may stand first.
 */
export function readCsv(text: string): LexiconFile {
  const entries: LexiconEntry[] = [];
  const problems: LexiconProblem[] = [];
  for (const { fields, line, unclosed, comment } of csvRows(text.replace(/^\ufeff/, ''))) {
    if (comment || fields.every((field) => field.trim() === '')) continue;
    if (entries.length === 0 && HEADER.every((name, i) => fields[i]?.trim().toLowerCase() === name)) continue;
    if (unclosed) {
      problems.push({ line, message: 'a quotation mark is opened here and never closed' });
      continue;
    }
    if (fields.length !== HEADER.length) {
      problems.push({ line, message: `expected 4 fields (${HEADER.join(', ')}) but there are ${fields.length}` });
      continue;
    }
    const [word = '', language = '', alphabet = '', value = ''] = fields.map((field) => field.trim());
    const notation = alphabetOf(alphabet.toLowerCase(), language);
    if (notation === undefined) {
      problems.push({
        line,
        message: `"${alphabet}" is no notation; expected ${[...ALPHABETS, 'replacement'].join(', ')}`,
      });
      continue;
    }
    entries.push({ word, language: language === '' ? null : language, alphabet: notation, value, line });
  }
  return bounded({ entries, problems });
}

/**
 * Reads a W3C Pronunciation Lexicon (PLS 1.0): each grapheme of a lexeme with its first phoneme or alias. Alphabets are
 * `ipa` and ours with or without `x-`. Throws LEXICON_INVALID for a file that is not well formed.
 */
export function readPls(text: string): LexiconFile {
  const root = parseXml(text, PLS);
  const entries: LexiconEntry[] = [];
  const problems: LexiconProblem[] = [];
  const language = languageOf(root.attributes.get('xml:lang') ?? '');
  const usual = root.attributes.get('alphabet') ?? 'ipa';
  for (const lexeme of elements(root)) {
    if (lexeme.name === 'meta' || lexeme.name === 'metadata') continue;
    if (lexeme.name !== 'lexeme')
      throw xmlError(text, lexeme.start, `expected <lexeme> instead of <${lexeme.name}>`, PLS);
    const { line } = placeOf(text, lexeme.start);
    const parts = elements(lexeme);
    const graphemes = parts.filter(({ name }) => name === 'grapheme').map(textOf);
    const spoken = parts.find(({ name }) => name === 'phoneme' || name === 'alias');
    if (graphemes.length === 0 || spoken === undefined) {
      problems.push({ line, message: '<lexeme> needs a <grapheme> and a <phoneme> or <alias>' });
      continue;
    }
    const named = spoken.name === 'alias' ? 'replacement' : (spoken.attributes.get('alphabet') ?? usual).toLowerCase();
    const alphabet = alphabetOf(named.replace(/^x-/, ''), language ?? '');
    if (alphabet === undefined) {
      problems.push({ line, message: `"${named}" is no notation; expected ${ALPHABETS.join(', ')}` });
      continue;
    }
    for (const word of graphemes) entries.push({ word, language, alphabet, value: textOf(spoken), line });
  }
  return bounded({ entries, problems });
}

/** A lexicon as CSV that readCsv reads. */
export function writeCsv(entries: readonly LexiconEntry[]): string {
  const quote = (field: string): string =>
    /[",\n\r]|^#|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
  const rows = entries.map(({ word, language, alphabet, value }) =>
    [word, language ?? '', alphabet, value].map(quote).join(','),
  );
  return `${[HEADER.join(','), ...rows].join('\n')}\n`;
}

/**
 * A lexicon as PLS, whose entries are all of one language: that of `language`, or those for any language where it is
 * null. Alphabets other than IPA are named `x-…`, as the standard asks.
 */
export function writePls(entries: readonly LexiconEntry[], language: string | null): string {
  const lexemes = entries
    .filter((entry) => entry.language === language)
    .map(({ word, alphabet, value }) => {
      const spoken =
        alphabet === 'replacement'
          ? `<alias>${escaped(value)}</alias>`
          : `<phoneme alphabet="${alphabet === 'ipa' ? 'ipa' : `x-${alphabet}`}">${escaped(value)}</phoneme>`;
      return `  <lexeme><grapheme>${escaped(word)}</grapheme>${spoken}</lexeme>\n`;
    });
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon" alphabet="ipa" ' +
    `xml:lang="${TAGS[language ?? ''] ?? 'mul'}">\n${lexemes.join('')}</lexicon>\n`
  );
}

const TAGS: Readonly<Record<string, string>> = { zh: 'zh-CN', yue: 'yue-HK', en: 'en-US', ja: 'ja-JP', ko: 'ko-KR' };

function languageOf(tag: string): string | null {
  const lower = tag.toLowerCase();
  if (lower === '' || lower === 'mul') return null;
  return /^(?:yue|zh-hk|zh-mo)/.test(lower) ? 'yue' : (lower.split(/[-_]/)[0] ?? null);
}

function alphabetOf(named: string, language: string): Alphabet | 'replacement' | undefined {
  if (named === '') return DEFAULT_ALPHABET[language] ?? 'replacement';
  if (named === 'replacement' || named === 'alias' || named === 'sub') return 'replacement';
  return ALPHABETS.find((alphabet) => alphabet === (named === 'cmu' ? 'arpabet' : named));
}

function bounded(file: LexiconFile): LexiconFile {
  if (file.entries.length <= MOST_ENTRIES) return file;
  throw new AppError(
    'LEXICON_INVALID',
    `the lexicon has ${file.entries.length} entries; expected at most ${MOST_ENTRIES}`,
  );
}

function elements(element: XmlElement): XmlElement[] {
  return element.children.filter((child) => child.type === 'element');
}

function textOf(element: XmlElement): string {
  return element.children
    .map((child) => (child.type === 'text' ? child.text.text : textOf(child)))
    .join('')
    .trim();
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' }[sign]};`);
}

interface CsvRow {
  readonly fields: string[];
  /** Where the row begins, from 1. */
  readonly line: number;
  readonly unclosed: boolean;
  /** Whether it begins with #; a word that does is written in quotation marks. */
  readonly comment: boolean;
}

function* csvRows(text: string): Generator<CsvRow> {
  let line = 1;
  for (let at = 0; at < text.length; ) {
    const begin = line;
    const comment = text[at] === '#';
    const fields: string[] = [];
    let unclosed = false;
    for (;;) {
      let field = '';
      if (text[at] === '"') {
        for (at++; ; at++) {
          if (at >= text.length) unclosed = true;
          if (at >= text.length || (text[at] === '"' && text[at + 1] !== '"')) break;
          if (text[at] === '"') at++;
          if (text[at] === '\n') line++;
          field += text[at];
        }
        at++;
      }
      const rest = /[,\r\n]/g;
      rest.lastIndex = at;
      const end = rest.exec(text)?.index ?? text.length;
      fields.push(field + text.slice(at, end));
      at = end + 1;
      if (text[end] !== ',') {
        if (text[end] === '\r' && text[end + 1] === '\n') at++;
        break;
      }
    }
    line++;
    yield { fields, line: begin, unclosed, comment };
  }
}
