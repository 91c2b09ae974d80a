import { loadSections } from './sections.js';

/** A word with jieba's part-of-speech tag (`n`, `v`, `uj`, …; `x` for punctuation and unknown words). */
export interface TaggedWord {
  readonly word: string;
  readonly tag: string;
}

/** Log-probability of what was never seen; sums with it swallow everything else, which makes ties (kept on purpose). */
const IMPOSSIBLE = -3.14e100;

interface Tagger {
  /** `B-n`, `E-v`, … sorted as (position, tag) pairs: of equally probable states the highest index wins. */
  readonly states: readonly string[];
  readonly start: Float64Array;
  /** The transitions out of state s are edges firstEdge[s] … firstEdge[s + 1] − 1, targets ascending. */
  readonly firstEdge: Uint16Array;
  readonly edgeTargets: Uint8Array;
  readonly edgeScores: Float64Array;
  /** Character code -> index of its first entry and the one after its last; absent characters have none. */
  readonly entriesOf: ReadonlyMap<number, readonly [number, number]>;
  readonly entryStates: Uint8Array;
  readonly entryScores: Float64Array;
  /** 1 where jieba lists the state among those the character may take. */
  readonly entryListed: Uint8Array;
  readonly allStates: Uint8Array;
}

let loaded: Tagger | undefined;

/**
 * Segments and tags a run of Han characters that the dictionary path left as single characters, with jieba's hidden
 * Markov model over (position in word, part of speech). Viterbi; equal paths are decided as Python's tuple order does.
 */
export function tagUnknownWords(run: string): TaggedWord[] {
  const tagger = (loaded ??= loadTagger());
  const route = bestRoute(tagger, run);
  const words: TaggedWord[] = [];
  let begin = 0;
  let next = 0;
  for (let i = 0; i < run.length; i++) {
    const state = tagger.states[route[i]!]!;
    if (state[0] === 'B') begin = i;
    else if (state[0] === 'E') {
      words.push({ word: run.slice(begin, i + 1), tag: state.slice(2) });
      next = i + 1;
    } else if (state[0] === 'S') {
      words.push({ word: run[i]!, tag: state.slice(2) });
      next = i + 1;
    }
  }
  if (next < run.length) words.push({ word: run.slice(next), tag: tagger.states[route[next]!]!.slice(2) });
  return words;
}

function bestRoute(tagger: Tagger, run: string): Uint8Array {
  const count = tagger.states.length;
  const length = run.length;
  const back = new Uint8Array(length * count);
  const emitted = new Float64Array(count);
  let active: Uint8Array = statesOf(tagger, run.charCodeAt(0), emitted);
  let scores = new Float64Array(count);
  let reached = new Float64Array(count);
  for (const state of active) scores[state] = tagger.start[state]! + emitted[state]!;

  for (let i = 1; i < length; i++) {
    const row = i * count;
    const listed = statesOf(tagger, run.charCodeAt(i), emitted);
    reached.fill(Number.NEGATIVE_INFINITY);
    // States come in ascending order, so that of equally good predecessors the highest stays.
    for (const from of active) {
      for (let edge = tagger.firstEdge[from]!; edge < tagger.firstEdge[from + 1]!; edge++) {
        const to = tagger.edgeTargets[edge]!;
        const score = scores[from]! + tagger.edgeScores[edge]! + emitted[to]!;
        if (score >= reached[to]!) {
          reached[to] = score;
          back[row + to] = from;
        }
      }
    }
    const wasReached = (state: number): boolean => reached[state] !== Number.NEGATIVE_INFINITY;
    let next: Uint8Array = listed.filter(wasReached);
    if (next.length === 0) next = tagger.allStates.filter(wasReached);
    if (next.length === 0) {
      // Only states without successors: upstream fails here; the best of them is followed by any listed state.
      const from = bestOf(active, scores);
      for (const to of listed) {
        reached[to] = scores[from]! + emitted[to]!;
        back[row + to] = from;
      }
      next = listed;
    }
    active = next;
    [scores, reached] = [reached, scores];
  }

  let state = bestOf(active, scores);
  const route = new Uint8Array(length);
  for (let i = length - 1; i >= 0; i--) {
    route[i] = state;
    state = back[i * count + state]!;
  }
  return route;
}

/** The most probable of some states in ascending order; the highest of equals. */
function bestOf(states: Uint8Array, scores: Float64Array): number {
  let best = states[0]!;
  for (const state of states) if (scores[state]! >= scores[best]!) best = state;
  return best;
}

/** The states a character may take; fills `emitted` with every state's emission log-probability. */
function statesOf(tagger: Tagger, code: number, emitted: Float64Array): Uint8Array {
  emitted.fill(IMPOSSIBLE);
  const [begin, end] = tagger.entriesOf.get(code) ?? [0, 0];
  const listed: number[] = [];
  for (let entry = begin; entry < end; entry++) {
    const state = tagger.entryStates[entry]!;
    emitted[state] = tagger.entryScores[entry]!;
    if (tagger.entryListed[entry] === 1) listed.push(state);
  }
  return listed.length > 0 ? Uint8Array.from(listed) : tagger.allStates;
}

function loadTagger(): Tagger {
  const sections = loadSections<{ states: string[]; start: number[] }>('tagger');
  const { states, start } = sections.header;
  const count = states.length;
  const values = sections.float64('values');
  const transitionValues = sections.uint16('transitions');
  const firstEdge = new Uint16Array(count + 1);
  const edgeTargets: number[] = [];
  const edgeScores: number[] = [];
  for (let from = 0; from < count; from++) {
    firstEdge[from] = edgeTargets.length;
    for (let to = 0; to < count; to++) {
      const index = transitionValues[from * count + to]!;
      if (index === 0) continue;
      edgeTargets.push(to);
      edgeScores.push(values[index - 1]!);
    }
  }
  firstEdge[count] = edgeTargets.length;

  const counts = sections.uint16('counts');
  const entriesOf = new Map<number, readonly [number, number]>();
  let at = 0;
  sections.uint16('characters').forEach((code, i) => {
    const end = at + counts[i]!;
    entriesOf.set(code, [at, end]);
    at = end;
  });
  const entryScores = Float64Array.from(sections.uint16('entryValues'), (index) =>
    index === 0 ? IMPOSSIBLE : values[index - 1]!,
  );
  return {
    states,
    start: Float64Array.from(start),
    firstEdge,
    edgeTargets: Uint8Array.from(edgeTargets),
    edgeScores: Float64Array.from(edgeScores),
    entriesOf,
    entryStates: sections.uint8('entryStates'),
    entryScores,
    entryListed: sections.uint8('entryListed'),
    allStates: Uint8Array.from({ length: count }, (_, i) => i),
  };
}
