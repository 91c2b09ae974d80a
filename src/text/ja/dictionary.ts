import { readSections } from '../zh/sections.js';

/**
 * The NAIST Japanese dictionary: 669,954 words with 781,021 entries (part of speech, cost, pronunciation, accent), the
 * costs of neighbours, and what stands in for unknown words. scripts/build-ja-data.mjs writes it.
 */
export interface Dictionary {
  /** Character of each transition; a state's transitions are neighbours in ascending order. */
  readonly units: Uint16Array;
  /** State that each transition leads to. */
  readonly targets: Uint32Array;
  /** Entries of the words that come before those behind a transition, among the words of its state. */
  readonly entriesBefore: Uint32Array;
  /** First transition of each state; the transitions of state n are firstTransition[n] … firstTransition[n + 1] − 1. */
  readonly firstTransition: Uint32Array;
  /** How many entries the word that ends at a state has. */
  readonly finalCounts: Uint8Array;
  /** Transition from the root by character, plus one; 0 where no word begins with it. */
  readonly fromRoot: Uint32Array;
  /** Cost of `right` after `left` at right × contextCount + left. */
  readonly connections: Int16Array;
  readonly contextCount: number;
  readonly contexts: Uint16Array;
  readonly costs: Int16Array;
  /** Mora after which the pitch falls; 0 where it does not. */
  readonly accents: Uint8Array;
  readonly rules: Uint8Array;
  readonly ruleNames: readonly string[];
  readonly pronunciationLengths: Uint8Array;
  readonly pronunciations: Uint8Array;
  /** Where the pronunciation of every 16th entry begins. */
  readonly pronunciationStart: Uint32Array;
  readonly kana: string;
  readonly grammar: readonly Grammar[];
  readonly grammarOfContext: readonly number[];
  readonly grammarExceptions: ReadonlyMap<number, number>;
  /** Morae of the entries whose pronunciation does not tell. */
  readonly moraExceptions: ReadonlyMap<number, number>;
  /** Entries of several accent phrases: [written, pronunciation, accent, morae] each. */
  readonly compounds: ReadonlyMap<number, readonly (readonly [string, string, number, number])[]>;
  /** Counters that take native numerals: 一桁 [ヒトケタ]. */
  readonly nativeCounters: ReadonlySet<number>;
  /** Category bits of a character (MeCab's char.def): see `lattice.ts`. */
  readonly categories: Uint32Array;
  /** Unknown words by category: [context, cost, grammar]. */
  readonly unknown: readonly (readonly (readonly [number, number, number])[])[];
}

/** Part of speech, three levels below it, and `連用` where a verb's or adjective's form is one that joins. */
export interface Grammar {
  readonly pos: string;
  readonly group1: string;
  readonly group2: string;
  readonly group3: string;
  readonly form: string;
}

let loaded: Dictionary | undefined;

/** The dictionary, read on first use (about 150 ms) and then kept (about 22 MB). */
export function getDictionary(): Dictionary {
  loaded ??= load();
  return loaded;
}

/** The pronunciation of an entry in katakana; `ー` lengthens. */
export function pronunciationOf(dictionary: Dictionary, entry: number): string {
  const { pronunciationStart, pronunciationLengths, pronunciations, kana } = dictionary;
  let start = pronunciationStart[entry >> 4]!;
  for (let i = entry & ~15; i < entry; i++) start += pronunciationLengths[i]!;
  let pronunciation = '';
  for (let i = start; i < start + pronunciationLengths[entry]!; i++) pronunciation += kana[pronunciations[i]!];
  return pronunciation;
}

interface Header {
  readonly size: number;
  readonly kana: string;
  readonly grammar: readonly string[];
  readonly grammarOfContext: readonly number[];
  readonly grammarExceptions: Readonly<Record<string, number>>;
  readonly rules: readonly string[];
  readonly compounds: Readonly<Record<string, readonly (readonly [string, string, number, number])[]>>;
  readonly moraExceptions: Readonly<Record<string, number>>;
  readonly nativeCounters: readonly number[];
  readonly categories: readonly (readonly [number, number])[];
  readonly unknown: readonly (readonly (readonly [number, number, number])[])[];
}

/** A little more than the dictionary has when unpacked. */
const UNPACKED_BYTES = 16_000_000;

function load(): Dictionary {
  const sections = readSections<Header>(new URL('./data/dictionary.br', import.meta.url), UNPACKED_BYTES);
  const { header } = sections;
  const units = sections.uint16('units');
  const finalCounts = sections.uint8('finalCounts');
  const transitionCounts = sections.uint16('transitionCounts');
  const firstTransition = running(transitionCounts);
  const targetsLow = sections.uint16('targetsLow');
  const targetsHigh = sections.uint8('targetsHigh');
  const targets = new Uint32Array(units.length);
  for (let i = 0; i < targets.length; i++) targets[i] = (targetsHigh[i]! << 16) | targetsLow[i]!;
  const fromRoot = new Uint32Array(0x10000);
  for (let i = 0; i < firstTransition[1]!; i++) fromRoot[units[i]!] = i + 1;
  const pronunciationLengths = sections.uint8('pronunciationLengths');
  const pronunciationStart = new Uint32Array((pronunciationLengths.length >> 4) + 1);
  for (let i = 0, sum = 0; i < pronunciationLengths.length; i++) {
    if ((i & 15) === 0) pronunciationStart[i >> 4] = sum;
    sum += pronunciationLengths[i]!;
  }
  const categories = new Uint32Array(0x10000);
  header.categories.forEach(([from, bits], i) => {
    categories.fill(bits, from, header.categories[i + 1]?.[0] ?? categories.length);
  });
  return {
    units,
    targets,
    entriesBefore: countEntries(firstTransition, targets, finalCounts),
    firstTransition,
    finalCounts,
    fromRoot,
    connections: sections.int16('connections'),
    contextCount: header.size,
    contexts: sections.uint16('contexts'),
    costs: sections.int16('costs'),
    accents: sections.uint8('accents'),
    rules: sections.uint8('rules'),
    ruleNames: header.rules,
    pronunciationLengths,
    pronunciations: sections.uint8('pronunciations'),
    pronunciationStart,
    kana: header.kana,
    grammar: header.grammar.map(grammarOf),
    grammarOfContext: header.grammarOfContext,
    grammarExceptions: byEntry(header.grammarExceptions),
    moraExceptions: byEntry(header.moraExceptions),
    compounds: byEntry(header.compounds),
    nativeCounters: new Set(header.nativeCounters),
    categories,
    unknown: header.unknown,
  };
}

function grammarOf(name: string): Grammar {
  const [pos = '*', group1 = '*', group2 = '*', group3 = '*', form = '*'] = name.split(',');
  return { pos, group1, group2, group3, form };
}

function byEntry<T>(table: Readonly<Record<string, T>>): Map<number, T> {
  return new Map(Object.entries(table).map(([entry, value]) => [Number(entry), value]));
}

function running(counts: Uint16Array): Uint32Array {
  const sums = new Uint32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) sums[i + 1] = sums[i]! + counts[i]!;
  return sums;
}

/** Entries before each transition. A state is counted once all states behind it are; the automaton has no cycles. */
function countEntries(firstTransition: Uint32Array, targets: Uint32Array, finalCounts: Uint8Array): Uint32Array {
  const totals = new Uint32Array(finalCounts.length); // 0: not counted yet; every state has a word behind it
  const before = new Uint32Array(targets.length);
  const open = [0];
  const next = firstTransition.slice(0, -1);
  while (open.length > 0) {
    const state = open[open.length - 1]!;
    const transition = next[state]!;
    if (transition < firstTransition[state + 1]!) {
      const target = targets[transition]!;
      if (totals[target] === 0) {
        open.push(target);
        continue;
      }
      next[state] = transition + 1;
      continue;
    }
    let sum = finalCounts[state]!;
    for (let i = firstTransition[state]!; i < transition; i++) {
      before[i] = sum;
      sum += totals[targets[i]!]!;
    }
    totals[state] = sum;
    open.pop();
  }
  return before;
}
