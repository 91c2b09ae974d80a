import { setImmediate as giveWay } from 'node:timers/promises';
import type { FixedReading, Language, LanguageMode } from './language.js';
import { languagesOf } from './language-spans.js';
import { type Alphabet, parseReading, type Reading } from './readings.js';
import { SourceText } from './source-text.js';

/** A line of a lexicon as someone wrote it: a word, and its reading in a notation or the text to read instead. */
export interface LexiconEntry {
  readonly word: string;
  /** Read so only in this language; null: wherever the word stands. */
  readonly language: string | null;
  readonly alphabet: Alphabet | 'replacement';
  readonly value: string;
  /** In the file it was read from, from 1. */
  readonly line: number;
}

/** What is wrong with a line. */
export interface LexiconProblem {
  readonly line: number;
  readonly message: string;
}

/** The entries of one lexicon with the name that explanations call it by. */
export interface LexiconSource {
  readonly name: string;
  readonly entries: readonly LexiconEntry[];
}

/** Lexicons ready for use; made once a version, kept by whoever serves requests with it. */
export interface CompiledLexicon {
  readonly root: Node;
  readonly size: number;
  /** UTF-16 units of the longest word. */
  readonly longest: number;
}

interface Node {
  readonly next: Map<string, Node>;
  entries: readonly Compiled[];
}

interface Compiled {
  readonly word: string;
  readonly language: string | null;
  readonly reading: Reading | { readonly language: null; readonly replacement: string };
  readonly rule: string;
}

/** Entries that are compiled before other work gets its turn: about 5 ms. */
const ENTRIES_AT_ONCE = 1000;
/** At most this many characters are a word; longer ones are surely a mistake in the file. */
const LONGEST_WORD = 64;

/**
 * Checks and compiles lexicons, the least important first: a voice's own comes after its tenant's and wins. Problems are
 * those of all lexicons: unreadable entries, which are left out, and words that one lexicon gives twice with different
 * readings, of which the first is taken.
 */
export async function compileLexicon(
  sources: readonly LexiconSource[],
): Promise<{ readonly lexicon: CompiledLexicon; readonly problems: readonly LexiconProblem[] }> {
  const root: Node = { next: new Map(), entries: [] };
  const problems: LexiconProblem[] = [];
  let size = 0;
  let longest = 0;
  for (const { name, entries } of sources) {
    const seen = new Map<string, LexiconEntry>();
    for (const [i, entry] of entries.entries()) {
      // A hundred thousand entries take half a second, in which others want to be heard.
      if (i % ENTRIES_AT_ONCE === ENTRIES_AT_ONCE - 1) await giveWay();
      const compiled = await compileEntry(entry, name);
      if (typeof compiled === 'string') {
        problems.push({ line: entry.line, message: compiled });
        continue;
      }
      const key = `${entry.language ?? ''}\t${compiled.word}`;
      const earlier = seen.get(key);
      if (earlier !== undefined) {
        if (earlier.value.trim() !== entry.value.trim() || earlier.alphabet !== entry.alphabet) {
          const message = `"${entry.word}" is read "${entry.value}" here but "${earlier.value}" in line ${earlier.line}; remove one`;
          problems.push({ line: entry.line, message });
        }
        continue;
      }
      seen.set(key, entry);
      let node = root;
      for (const unit of compiled.word.split('')) {
        let next = node.next.get(unit);
        if (next === undefined) {
          next = { next: new Map(), entries: [] };
          node.next.set(unit, next);
        }
        node = next;
      }
      node.entries = [compiled, ...node.entries.filter(({ language }) => language !== entry.language)];
      size++;
      longest = Math.max(longest, compiled.word.length);
    }
  }
  return { lexicon: { root, size, longest }, problems };
}

async function compileEntry(entry: LexiconEntry, name: string): Promise<Compiled | string> {
  const word = entry.word.trim().normalize('NFC');
  if (word === '') return 'the word is empty';
  if (word.length > LONGEST_WORD) return `the word is longer than ${LONGEST_WORD} characters`;
  if (/[\n\r\t]/.test(word)) return 'the word holds a line break or tab';
  if (entry.language !== null && !/^(?:zh|en|ja|ko|yue)$/.test(entry.language)) {
    return `"${entry.language}" is not a language; expected zh, en, ja, ko or yue`;
  }
  const rule = `lexicon ${name}, line ${entry.line}`;
  if (entry.alphabet === 'replacement') {
    if (entry.value.trim() === '') return 'the replacement is empty';
    return { word, language: entry.language, reading: { language: null, replacement: entry.value.trim() }, rule };
  }
  const reading = await parseReading(entry.alphabet, entry.value);
  if (typeof reading === 'string') return reading;
  if (entry.language !== null && entry.language !== reading.language) {
    return `${entry.alphabet} is no notation of language "${entry.language}"`;
  }
  if ('syllables' in reading && /^(?:zh|yue)$/.test(reading.language) && /^\p{Script=Han}+$/u.test(word)) {
    const characters = [...word].length;
    if (characters !== reading.syllables.length) {
      return `"${word}" has ${characters} characters but ${reading.syllables.length} syllables`;
    }
  }
  return { word, language: entry.language, reading, rule };
}

/** A text with its lexicon applied, and what must be known of it later on. */
export interface LookedUpText {
  readonly text: SourceText;
  readonly readings: readonly FixedReading[];
  /** The stretches of the source that were looked up, which are not to be cut. */
  readonly whole: readonly (readonly [start: number, end: number])[];
}

/**
 * Applies a lexicon to a text before it is cut into sentences: from the left, the longest entry at each place that a
 * language of the mode may use. A word in small letters matches in any case, one with capitals as it is; words of Latin
 * letters and digits only as whole words, Korean ones where a word begins. Replaced text is not looked up again, and
 * what someone has decided in the text itself (`taken`) stays.
 */
export async function applyLexicon(
  text: SourceText,
  lexicon: CompiledLexicon,
  mode: LanguageMode,
  taken: readonly FixedReading[] = [],
): Promise<LookedUpText> {
  if (lexicon.size === 0) return { text, readings: [], whole: [] };
  const languages = languagesOf(mode);
  const pieces: SourceText[] = [];
  const readings: FixedReading[] = [];
  const whole: [number, number][] = [];
  let from = 0;
  for (const { start, end, entry } of matches(text.text, lexicon, languages)) {
    const [sourceStart, sourceEnd] = text.sourceRange(start, end);
    if (taken.some((reading) => reading.start < sourceEnd && reading.end > sourceStart)) continue;
    whole.push([sourceStart, sourceEnd]);
    const { reading, rule } = entry;
    pieces.push(text.slice(from, start));
    from = end;
    if ('replacement' in reading) {
      pieces.push(text.slice(start, end).saidAs(reading.replacement));
      continue;
    }
    pieces.push(
      text.slice(start, end).saidAs(await carrierOf(text.text.slice(start, end), reading.language, reading.syllables)),
    );
    readings.push({ start: sourceStart, end: sourceEnd, language: reading.language, reading: reading.syllables, rule });
  }
  if (pieces.length === 0) return { text, readings, whole };
  pieces.push(text.slice(from));
  return { text: SourceText.join(pieces), readings, whole };
}

interface Match {
  readonly start: number;
  readonly end: number;
  readonly entry: Compiled;
}

function* matches(text: string, lexicon: CompiledLexicon, languages: readonly Language[]): Generator<Match> {
  for (let start = 0; start < text.length; ) {
    const found = longestAt(text, start, lexicon, languages);
    if (found === undefined) {
      start++;
      continue;
    }
    yield found;
    start = found.end;
  }
}

const WORD_CHARACTER = /[\p{Script=Latin}\p{N}\p{M}]/u;

function longestAt(
  text: string,
  start: number,
  lexicon: CompiledLexicon,
  languages: readonly Language[],
): Match | undefined {
  const first = text[start]!;
  if (!lexicon.root.next.has(first) && !lexicon.root.next.has(first.toLowerCase())) return undefined;
  const before = text[start - 1] ?? '';
  if (WORD_CHARACTER.test(first) && WORD_CHARACTER.test(before)) return undefined;
  if (/[가-힣]/.test(first) && /[가-힣]/.test(before)) return undefined;
  let found: Match | undefined;
  // Each step may take the letter as it is written, or in small.
  let nodes: Node[] = [lexicon.root];
  for (let at = start; at < text.length && nodes.length > 0; at++) {
    const unit = text[at]!;
    const small = unit.toLowerCase();
    nodes = nodes.flatMap((node) => {
      const exact = node.next.get(unit);
      const lower = small === unit ? undefined : node.next.get(small);
      return [exact, lower].filter((next) => next !== undefined);
    });
    if (WORD_CHARACTER.test(unit) && WORD_CHARACTER.test(text[at + 1] ?? '')) continue;
    for (const node of nodes) {
      const entry = usable(node.entries, languages);
      const exact = entry === undefined || entry.word === text.slice(start, at + 1);
      // A word with capitals is that word only.
      if (entry !== undefined && (exact || entry.word === entry.word.toLowerCase())) {
        found = { start, end: at + 1, entry };
        break;
      }
    }
  }
  return found;
}

/** The entry for the first of the languages that has one, else the one for any. */
function usable(entries: readonly Compiled[], languages: readonly Language[]): Compiled | undefined {
  for (const language of languages) {
    const own = entries.find((entry) => entry.language === language);
    if (own) return own;
  }
  return entries.find(
    ({ language, reading }) => language === null && (reading.language === null || languages.includes(reading.language)),
  );
}

/**
 * What stands in the text for a word whose reading is decided, so that the front end meets a word of the right language
 * and length: the word itself where it is one, characters that are read so, or a plain English word.
 */
export async function carrierOf(word: string, language: Language, syllables: readonly string[]): Promise<string> {
  if (language === 'zh') {
    if (/^[\u4e00-\u9fa5]+$/.test(word) && word.length === syllables.length) return word;
    const { characterFor } = await import('./zh/characters.js');
    return syllables.map(characterFor).join('');
  }
  if (language === 'yue') {
    const isWord = /^\p{Script=Han}+$/u.test(word) && [...word].length === syllables.length;
    return isWord ? word : '字'.repeat(syllables.length);
  }
  if (language === 'en') return /^[A-Za-z]+$/.test(word) ? word : 'name';
  return word;
}
