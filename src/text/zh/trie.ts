/**
 * A trie over UTF-16 units, most of them Han, laid out breadth first: a node's children are neighbours in ascending
 * order. Node 0 is the root and nobody's child, so 0 also means "none".
 */
export interface Trie {
  /** The character that leads to each node. */
  readonly characters: Uint16Array;
  /** First child of each node; the children of node n are firstChild[n] … firstChild[n + 1] − 1. */
  readonly firstChild: Uint32Array;
  /** Children of the root by character code − 0x4E00; what lies outside U+4E00–U+9FA5 is searched for. */
  readonly fromRoot: Uint32Array;
}

const FIRST_HAN = 0x4e00;
const HAN_COUNT = 0x9fa5 - FIRST_HAN + 1;

/** Rebuilds the links of a trie from the number of children of each node. */
export function buildTrie(characters: Uint16Array, childCounts: Uint16Array): Trie {
  const firstChild = new Uint32Array(childCounts.length + 1);
  let next = 1;
  for (let node = 0; node < childCounts.length; node++) {
    firstChild[node] = next;
    next += childCounts[node]!;
  }
  firstChild[childCounts.length] = next;
  const fromRoot = new Uint32Array(HAN_COUNT);
  for (let node = 1; node < firstChild[1]!; node++) fromRoot[characters[node]! - FIRST_HAN] = node;
  return { characters, firstChild, fromRoot };
}

/** The child of `node` over a character code, or 0. */
export function childOf(trie: Trie, node: number, code: number): number {
  if (node === 0 && code >= FIRST_HAN && code < FIRST_HAN + HAN_COUNT) return trie.fromRoot[code - FIRST_HAN]!;
  let low = trie.firstChild[node]!;
  let high = trie.firstChild[node + 1]!;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (trie.characters[middle]! < code) low = middle + 1;
    else high = middle;
  }
  return low < trie.firstChild[node + 1]! && trie.characters[low] === code ? low : 0;
}

/** The node a whole word leads to, or 0. */
export function nodeOf(trie: Trie, word: string): number {
  let node = 0;
  for (let i = 0; i < word.length; i++) {
    node = childOf(trie, node, word.charCodeAt(i));
    if (node === 0) return 0;
  }
  return node;
}
