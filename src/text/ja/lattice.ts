import type { Dictionary } from './dictionary.js';
import { entryWords, unknownWord, type Word } from './words.js';

/**
 * Cuts a text without marks into the words of the cheapest path: the sum of what words cost and what it costs that they
 * are neighbours. Of equally cheap paths it takes the one MeCab takes, on which readings depend.
 * `before` and `after` are the contexts of what stands around the text: nothing, or a noun (`NOUN`).
 * At most `MAX_LENGTH` characters. upstream: mecab (viterbi.cpp, tokenizer.cpp), as Open JTalk calls it
 */
export function cutWords(dictionary: Dictionary, text: string, before = NOTHING, after = NOTHING): Word[] {
  const { contexts, costs, connections, contextCount } = dictionary;
  const { entry, start, context, cost, previous, nextEnding } = nodes;
  const lastEnding = new Int32Array(text.length + 1).fill(NONE);
  let count = 0;
  const add = (from: number, to: number, newEntry: number, newContext: number, newCost: number): void => {
    if (count === entry.length) return; // only a text of nothing but the most ambiguous characters gets here
    entry[count] = newEntry;
    start[count] = from;
    context[count] = newContext;
    cost[count] = newCost;
    end[count] = to;
    count++;
  };
  const { end } = nodes;
  add(0, 0, NONE, before, 0);
  previous[0] = NONE;
  nextEnding[0] = NONE;
  lastEnding[0] = 0;
  const { lefts, leftOf, bestOf, seenLeft, seenRight } = connecting;
  const isFirst = (a: number, b: number): boolean => start[a]! > start[b]! || (start[a] === start[b] && a < b);
  /** Of the words that end at a place, the cheapest of each context; of equal ones the latest found. */
  const collectLefts = (at: number): number => {
    const round = nextRound();
    let size = 0;
    for (let left = lastEnding[at]!; left !== NONE; left = nextEnding[left]!) {
      const its = context[left]!;
      if (seenLeft[its] !== round) {
        seenLeft[its] = round;
        leftOf[its] = size;
        lefts[size++] = left;
      } else if (cost[left]! < cost[lefts[leftOf[its]!]!]!) lefts[leftOf[its]!] = left;
    }
    return size;
  };
  /** Joins a word to the cheapest of the lefts. Words of one context all have the same. */
  const connect = (node: number, size: number): void => {
    const its = context[node]!;
    const row = its * contextCount;
    if (seenRight[its] !== connecting.round) {
      let best = NONE;
      let bestCost = Number.MAX_SAFE_INTEGER;
      for (let i = 0; i < size; i++) {
        const left = lefts[i]!;
        const sum = cost[left]! + connections[row + context[left]!]!;
        // Of equally cheap ones the first in the list of endings: the one that begins last, the dictionary's first.
        if (sum < bestCost || (sum === bestCost && isFirst(left, best))) {
          best = left;
          bestCost = sum;
        }
      }
      seenRight[its] = connecting.round;
      bestOf[its] = best;
    }
    const best = bestOf[its]!;
    cost[node] = cost[node]! + cost[best]! + connections[row + context[best]!]!;
    previous[node] = best;
  };
  for (let at = 0; at < text.length; at++) {
    if (lastEnding[at] === NONE) continue;
    const first = count;
    let found = false;
    let state = 0;
    let index = 0;
    for (let i = at; i < text.length; i++) {
      const transition = transitionOver(dictionary, state, text.charCodeAt(i));
      if (transition === NONE) break;
      index += dictionary.entriesBefore[transition]!;
      state = dictionary.targets[transition]!;
      for (let k = 0; k < dictionary.finalCounts[state]!; k++) {
        found = true;
        add(at, i + 1, index + k, contexts[index + k]!, costs[index + k]!);
      }
    }
    unknownWords(dictionary, text, at, found, (to, number, newContext, newCost) => {
      add(at, to, -2 - number, newContext, newCost);
    });
    const size = collectLefts(at);
    for (let node = count - 1; node >= first; node--) {
      connect(node, size);
      nextEnding[node] = lastEnding[end[node]!]!;
      lastEnding[end[node]!] = node;
    }
  }
  // Where the sentence ends. The last place that a word ends at is the end, unless the nodes ran out.
  let last = text.length;
  while (lastEnding[last] === NONE) last--;
  const words: Word[] = [];
  let node = cheapestEnding(lastEnding[last]!, nextEnding, (left) => {
    return cost[left]! + connections[after * contextCount + context[left]!]!;
  });
  for (; node > 0; node = previous[node]!) {
    const written = text.slice(start[node]!, end[node]!);
    const number = entry[node]!;
    if (number >= 0) words.push(...entryWords(dictionary, number, written, start[node]!).reverse());
    else words.push(unknownWord(dictionary.grammar[-2 - number]!, written, start[node]!));
  }
  return words.reverse();
}

/** The longest text to cut at once. */
export const MAX_LENGTH = 400;

const NOTHING = 0;
/** The context of a common noun in naist-jdic. */
export const NOUN = 1345;
const NONE = -1;

/** Room for the words at all places of a text, used again for each; 100 a character are four times what is usual. */
const nodes = {
  /** Number of a dictionary entry, or −2 − the grammar of an unknown word. */
  entry: new Int32Array(100 * MAX_LENGTH),
  start: new Uint16Array(100 * MAX_LENGTH),
  end: new Uint16Array(100 * MAX_LENGTH),
  context: new Uint16Array(100 * MAX_LENGTH),
  /** Of the word alone, then of the cheapest path to its end. */
  cost: new Int32Array(100 * MAX_LENGTH),
  previous: new Int32Array(100 * MAX_LENGTH),
  /** The words that end at one place are a list, the latest found first. */
  nextEnding: new Int32Array(100 * MAX_LENGTH),
};

/** Scratch of one place, by context. A round's number tells what is of this place from what is left of others. */
const CONTEXTS = 2048;
const connecting = {
  round: 0,
  lefts: new Int32Array(CONTEXTS),
  leftOf: new Int32Array(CONTEXTS),
  bestOf: new Int32Array(CONTEXTS),
  seenLeft: new Uint32Array(CONTEXTS),
  seenRight: new Uint32Array(CONTEXTS),
};

function nextRound(): number {
  if (connecting.round === 0xffff_ffff) {
    connecting.seenLeft.fill(0);
    connecting.seenRight.fill(0);
    connecting.round = 0;
  }
  return ++connecting.round;
}

function cheapestEnding(from: number, nextEnding: Int32Array, costOf: (left: number) => number): number {
  let best = NONE;
  let bestCost = Number.MAX_SAFE_INTEGER;
  for (let left = from; left !== NONE; left = nextEnding[left]!) {
    const sum = costOf(left);
    if (sum < bestCost) {
      best = left;
      bestCost = sum;
    }
  }
  return best;
}

function transitionOver(dictionary: Dictionary, state: number, code: number): number {
  if (state === 0) return dictionary.fromRoot[code]! - 1;
  const { units, firstTransition } = dictionary;
  let low = firstTransition[state]!;
  let high = firstTransition[state + 1]!;
  const after = high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (units[middle]! < code) low = middle + 1;
    else high = middle;
  }
  return low < after && units[low] === code ? low : NONE;
}

// A character's category bits: 18 of kinds, 8 for the number of its own category, 4 for the longest unknown word, one
// for "take all of this kind together", one for "guess even where the dictionary has words".
const KINDS = 0x3ffff;
const categoryOf = (bits: number): number => (bits >>> 18) & 0xff;
const longest = (bits: number): number => (bits >>> 26) & 0xf;
const isGrouped = (bits: number): boolean => (bits & (1 << 30)) !== 0;
const isAlwaysGuessed = (bits: number): boolean => bits >>> 31 === 1;
const MAX_GROUPED = 24;

/** Adds what an unknown word at `at` may be: `add(end, grammar, context, cost)`. */
function unknownWords(
  dictionary: Dictionary,
  text: string,
  at: number,
  found: boolean,
  add: (end: number, grammar: number, context: number, cost: number) => void,
): void {
  const bitsAt = (i: number): number => dictionary.categories[i < text.length ? text.charCodeAt(i) : 0]!;
  const bits = bitsAt(at);
  if (found && !isAlwaysGuessed(bits)) return;
  let added = found;
  const addAll = (end: number): void => {
    for (const [context, cost, grammar] of dictionary.unknown[categoryOf(bits)] ?? []) {
      added = true;
      add(end, grammar, context, cost);
    }
  };
  let groupEnd = NONE;
  if (isGrouped(bits)) {
    groupEnd = at + 1;
    for (let kind = bits; groupEnd < text.length && (kind & bitsAt(groupEnd) & KINDS) !== 0; groupEnd++) {
      kind = bitsAt(groupEnd);
    }
    if (groupEnd - at - 1 <= MAX_GROUPED) addAll(groupEnd);
  }
  let end = at + 1;
  for (let i = 1; i <= longest(bits); i++) {
    if (end > text.length) break;
    if (end === groupEnd) continue;
    addAll(end);
    if ((bits & bitsAt(end) & KINDS) === 0) break;
    end++;
  }
  if (!added) addAll(end);
}
