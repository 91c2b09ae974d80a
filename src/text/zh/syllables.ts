import { loadSections } from './sections.js';
import { buildTrie, childOf, nodeOf, type Trie } from './trie.js';

/**
 * A syllable is a number: index of its toneless spelling × 8 + tone (1–4, 5 = neutral). A punctuation mark is
 * −(character code), so that it has neither spelling nor tone.
 */
export type Syllable = number;

interface Readings {
  readonly spellings: readonly string[];
  readonly spellingIndex: ReadonlyMap<string, number>;
  /** Initial and final symbol per spelling. */
  readonly symbols: readonly (readonly [string, string])[];
  /** First reading of each Han character. */
  readonly characters: Uint16Array;
  readonly phrases: Trie;
  /** Where each phrase's readings begin, per trie node; −1 for a mere prefix. */
  readonly phraseStart: Int32Array;
  readonly phraseReadings: Uint16Array;
}

const FIRST_HAN = 0x4e00;

let loaded: Readings | undefined;

/** The tone of a syllable: 1–4, 5 for neutral, 0 for a punctuation mark. */
export function toneOf(syllable: Syllable): number {
  return syllable < 0 ? 0 : syllable & 7;
}

/** The same syllable in another tone; a punctuation mark stays as it is. */
export function withTone(syllable: Syllable, tone: number): Syllable {
  return syllable < 0 ? syllable : (syllable & ~7) | tone;
}

/** The syllable written `zhong1`, `lv4`, `de5` (v = ü, 5 = neutral). */
export function syllable(written: string): Syllable {
  const index = getReadings().spellingIndex.get(written.slice(0, -1));
  if (index === undefined)
    throw new Error(`"${written}" is not a syllable; expected pinyin with a tone digit, like lv4`);
  return index * 8 + Number(written.at(-1));
}

/** Whether this is pinyin with a tone number that `syllable` knows. */
export function isSyllable(written: string): boolean {
  return /^[a-z]{1,6}[1-5]$/.test(written) && getReadings().spellingIndex.has(written.slice(0, -1));
}

/** `zhong1` for a syllable, the mark itself for punctuation. */
export function spell(code: Syllable): string {
  return code < 0 ? String.fromCharCode(-code) : `${getReadings().spellings[code >> 3]}${code & 7}`;
}

/** The symbols of a syllable: initial and toned final, or the punctuation mark alone. */
export function symbolsOf(code: Syllable): readonly string[] {
  if (code < 0) return [String.fromCharCode(-code)];
  const [initial, final] = getReadings().symbols[code >> 3]!;
  return [initial, `${final}${code & 7}`];
}

/**
 * The readings of a word, one syllable per character, as pypinyin's `lazy_pinyin` gives them: longest phrases first from
 * the left, other characters in their first reading.
 */
export function readWord(word: string): Syllable[] {
  const readings = getReadings();
  const syllables: Syllable[] = [];
  for (let begin = 0; begin < word.length; ) {
    if (!isHan(word.charCodeAt(begin))) {
      syllables.push(-word.charCodeAt(begin++));
      continue;
    }
    let node = 0;
    let longest = 0;
    let longestEnd = begin;
    let end = begin;
    while (end < word.length && isHan(word.charCodeAt(end))) {
      node = childOf(readings.phrases, node, word.charCodeAt(end));
      if (node === 0) break;
      end++;
      if (readings.phraseStart[node]! >= 0) {
        longest = node;
        longestEnd = end;
      }
    }
    if (longest !== 0) {
      const start = readings.phraseStart[longest]!;
      for (let i = 0; i < longestEnd - begin; i++) syllables.push(readings.phraseReadings[start + i]!);
      begin = longestEnd;
      continue;
    }
    // pypinyin reads a run that is only the beginning of some phrase character by character to its end.
    const endOfRun = node !== 0 ? end : begin + 1;
    for (; begin < endOfRun; begin++) syllables.push(readings.characters[word.charCodeAt(begin) - FIRST_HAN]!);
  }
  return syllables;
}

/** Whether pypinyin's phrase table has exactly this word. */
export function isPhrase(word: string): boolean {
  const readings = getReadings();
  return readings.phraseStart[nodeOf(readings.phrases, word)]! >= 0;
}

function isHan(code: number): boolean {
  return code >= FIRST_HAN && code <= 0x9fa5;
}

function getReadings(): Readings {
  loaded ??= loadReadings();
  return loaded;
}

function loadReadings(): Readings {
  const sections = loadSections<{ syllables: string[] }>('readings');
  const spellings = sections.header.syllables;
  const trie = buildTrie(sections.uint16('phraseCharacters'), sections.uint16('phraseChildCounts'));
  const terminals = sections.uint8('phraseTerminals');
  // Breadth first: a level ends where the first child of its first node begins, and a phrase is as long as its depth.
  const phraseStart = new Int32Array(terminals.length).fill(-1);
  let start = 0;
  let depth = 0;
  let levelEnd = 1;
  for (let node = 0; node < terminals.length; node++) {
    if (node === levelEnd) {
      depth++;
      levelEnd = trie.firstChild[node]!;
    }
    if (terminals[node] === 0) continue;
    phraseStart[node] = start;
    start += depth;
  }
  return {
    spellings,
    spellingIndex: new Map(spellings.map((spelling, i) => [spelling, i])),
    symbols: spellings.map(splitSpelling),
    characters: sections.uint16('characters'),
    phrases: trie,
    phraseStart,
    phraseReadings: sections.uint16('phraseReadings'),
  };
}

/** Initial and final symbol of a spelling, as the OpenCpop table names them: yan -> y En, ju -> j v, zhi -> zh ir. */
function splitSpelling(spelling: string): readonly [string, string] {
  const initial = /^(?:[zcs]h|[bpmfdtnlgkhjqxrzcsyw])/.exec(spelling)?.[0] ?? '';
  const final = spelling.slice(initial.length);
  if (spelling === 'yo') return ['OO', 'o']; // upstream knows 哟 only so
  if (initial === '') return [`${spelling[0]}${spelling[0]}`.toUpperCase(), spelling];
  if (spelling === 'ye') return ['y', 'E'];
  if (spelling === 'yan') return ['y', 'En'];
  if (/^[jqxy]$/.test(initial) && final.startsWith('u')) return [initial, `v${final.slice(1)}`];
  if (final === 'i' && /^(?:zh|ch|sh|r)$/.test(initial)) return [initial, 'ir'];
  if (final === 'i' && /^[zcs]$/.test(initial)) return [initial, 'i0'];
  return [initial, final];
}
