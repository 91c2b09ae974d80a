import { loadSections } from './sections.js';
import { buildTrie, nodeOf, type Trie } from './trie.js';

/** jieba's dictionary: 348,974 words with their corpus frequency and part of speech. */
export interface Dictionary {
  readonly trie: Trie;
  /** Corpus frequency per trie node; 0 for a mere prefix. */
  readonly frequencies: Uint32Array;
  /** Index into `tagNames` + 1 per trie node; 0 for a mere prefix. */
  readonly tags: Uint8Array;
  readonly tagNames: readonly string[];
  /** Natural logarithm of the sum of all frequencies. */
  readonly logTotal: number;
}

let loaded: Dictionary | undefined;

/** The dictionary, read on first use (about 40 ms) and then kept (about 6 MB). */
export function getDictionary(): Dictionary {
  loaded ??= loadDictionary();
  return loaded;
}

/** Corpus frequency of a word; 0 when it is not in the dictionary. */
export function frequencyOf(dictionary: Dictionary, word: string): number {
  return dictionary.frequencies[nodeOf(dictionary.trie, word)]!;
}

/** Part of speech of a word; `x` when it is not in the dictionary. */
export function tagOf(dictionary: Dictionary, word: string): string {
  const tag = dictionary.tags[nodeOf(dictionary.trie, word)]!;
  return tag === 0 ? 'x' : dictionary.tagNames[tag - 1]!;
}

function loadDictionary(): Dictionary {
  const sections = loadSections<{ total: number; tags: string[] }>('words');
  const low = sections.uint16('frequencyLow');
  const high = sections.uint8('frequencyHigh');
  const frequencies = new Uint32Array(low.length);
  for (let node = 0; node < low.length; node++) frequencies[node] = (high[node]! << 16) | low[node]!;
  return {
    trie: buildTrie(sections.uint16('characters'), sections.uint16('childCounts')),
    frequencies,
    tags: sections.uint8('tags'),
    tagNames: sections.header.tags,
    logTotal: Math.log(sections.header.total),
  };
}
