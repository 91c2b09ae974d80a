/**
 * What the Mandarin recogniser tells apart: initials by the kind of final that follows, finals without tone, silence.
 * Phonemes are those of the product's front end: an initial and a toned final a syllable.
 */
export interface Syllable {
  readonly initial: string;
  /** Without tone. */
  readonly final: string;
  /** 1–4, 5 for neutral. */
  readonly tone: number;
}

const MARKS: ReadonlySet<string> = new Set(['!', '?', '…', ',', '.', '-', 'SP', 'SP2', 'SP3', 'UNK', '_']);
const FINAL_STATES = 4;
const INITIAL_STATES = 3;
/** Initials that may be over in 20 ms. */
const SHORT_INITIALS: ReadonlySet<string> = new Set(['b', 'd', 'g', 'w', 'y', 'AA', 'EE', 'OO']);

export const SILENCE = 'sil';

/** The syllables of Mandarin phonemes, marks left out; throws where an initial stands without its final. */
export function syllablesOf(phonemes: readonly string[]): Syllable[] {
  const sounds = phonemes.filter((phoneme) => !MARKS.has(phoneme));
  const syllables: Syllable[] = [];
  for (let at = 0; at < sounds.length; at += 2) {
    const initial = sounds[at]!;
    const match = /^([A-Za-z]+0?)([1-5])$/.exec(sounds[at + 1] ?? '');
    if (!match) throw new Error(`"${initial} ${sounds[at + 1] ?? ''}" is not a Mandarin syllable`);
    syllables.push({ initial, final: match[1]!, tone: Number(match[2]) });
  }
  return syllables;
}

/** `zh ong`: how a syllable is written where tones do not matter. */
export function soundOf({ initial, final }: Pick<Syllable, 'initial' | 'final'>): string {
  return `${initial} ${final}`;
}

/** The two units of a syllable: `zh+o`, `ong`. */
export function unitsOf({ initial, final }: Pick<Syllable, 'initial' | 'final'>): [string, string] {
  return [`${initial}+${final === 'i0' || final === 'ir' ? '0' : final[0]!.toLowerCase()}`, final];
}

/** How many states a unit passes through. */
export function stateCount(unit: string): number {
  if (unit === SILENCE) return 1;
  const plus = unit.indexOf('+');
  if (plus < 0) return FINAL_STATES;
  return SHORT_INITIALS.has(unit.slice(0, plus)) ? 2 : INITIAL_STATES;
}

/** Numbers the states of units in a row; silence is the first. */
export function numberStates(units: readonly string[]): Map<string, readonly number[]> {
  const numbered = new Map<string, readonly number[]>();
  let next = 0;
  for (const unit of [SILENCE, ...units]) {
    numbered.set(
      unit,
      Array.from({ length: stateCount(unit) }, () => next++),
    );
  }
  return numbered;
}

/** Syllables as a chain of states with silence that may be left out before, between and after them. */
export interface Chain {
  readonly states: Int32Array;
  readonly optional: Uint8Array;
  /** Syllable of each node, -1 for silence. */
  readonly owners: Int32Array;
  /** Whether the node belongs to a final. */
  readonly isFinal: Uint8Array;
}

/** Throws where a unit is not among `states`. */
export function chainOf(
  syllables: readonly Pick<Syllable, 'initial' | 'final'>[],
  states: ReadonlyMap<string, readonly number[]>,
): Chain {
  const nodes: { state: number; owner: number; final: boolean }[] = [{ state: 0, owner: -1, final: false }];
  for (const [owner, syllable] of syllables.entries()) {
    for (const [part, unit] of unitsOf(syllable).entries()) {
      const numbers = states.get(unit);
      if (!numbers) throw new Error(`the recogniser has no unit "${unit}"; train it on data that hold it`);
      for (const state of numbers) nodes.push({ state, owner, final: part === 1 });
    }
    nodes.push({ state: 0, owner: -1, final: false });
  }
  return {
    states: Int32Array.from(nodes, (node) => node.state),
    optional: Uint8Array.from(nodes, (node) => (node.owner < 0 ? 1 : 0)),
    owners: Int32Array.from(nodes, (node) => node.owner),
    isFinal: Uint8Array.from(nodes, (node) => (node.final ? 1 : 0)),
  };
}
