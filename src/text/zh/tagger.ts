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
  /** [from * states + to]; −Infinity where never listed. */
  readonly transitions: Float64Array;
  /** Whether a state has any successor. */
  readonly continues: Uint8Array;
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
  let previous = new Float64Array(count);
  let current = new Float64Array(count);
  const emitted = new Float64Array(count);
  let active = statesOf(tagger, run.charCodeAt(0), emitted);
  for (const state of active) current[state] = tagger.start[state]! + emitted[state]!;

  for (let i = 1; i < length; i++) {
    [previous, current] = [current, previous];
    const from = active.filter((state) => tagger.continues[state] === 1);
    const reachable = new Uint8Array(count);
    for (const state of from) {
      for (let to = 0; to < count; to++) {
        if (tagger.transitions[state * count + to] !== Number.NEGATIVE_INFINITY) reachable[to] = 1;
      }
    }
    let next: Uint8Array = statesOf(tagger, run.charCodeAt(i), emitted).filter((state) => reachable[state] === 1);
    if (next.length === 0) next = tagger.allStates.filter((state) => reachable[state] === 1);
    if (next.length === 0) next = tagger.allStates;
    for (const to of next) {
      let best = Number.NEGATIVE_INFINITY;
      let bestFrom = 0;
      for (const state of from) {
        const score = previous[state]! + tagger.transitions[state * count + to]! + emitted[to]!;
        if (score >= best) {
          best = score;
          bestFrom = state;
        }
      }
      current[to] = best;
      back[i * count + to] = bestFrom;
    }
    active = next;
  }

  let best = Number.NEGATIVE_INFINITY;
  let state = 0;
  for (const candidate of active) {
    if (current[candidate]! >= best) {
      best = current[candidate]!;
      state = candidate;
    }
  }
  const route = new Uint8Array(length);
  for (let i = length - 1; i >= 0; i--) {
    route[i] = state;
    state = back[i * count + state]!;
  }
  return route;
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
  const transitions = Float64Array.from(transitionValues, (index) =>
    index === 0 ? Number.NEGATIVE_INFINITY : values[index - 1]!,
  );
  const continues = new Uint8Array(count);
  transitionValues.forEach((index, i) => {
    if (index !== 0) continues[Math.floor(i / count)] = 1;
  });

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
    transitions,
    continues,
    entriesOf,
    entryStates: sections.uint8('entryStates'),
    entryScores,
    entryListed: sections.uint8('entryListed'),
    allStates: Uint8Array.from({ length: count }, (_, i) => i),
  };
}
