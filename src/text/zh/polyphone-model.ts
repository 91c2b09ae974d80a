import { readSections } from './sections.js';
import { isSyllable, type Syllable, syllable } from './syllables.js';

/** What the model takes a character for, and how sure it is among the character's readings. */
export interface ModelReading {
  readonly reading: Syllable;
  readonly confidence: number;
}

/** What reads the characters of one text that words and rules leave open. */
export interface PolyphoneContext {
  /** How explanations call what it decided. */
  readonly rule: string;
  knows(character: string): boolean;
  /** The reading of the character at an offset; undefined where there is only one, or none. */
  readingAt(offset: number): ModelReading | undefined;
}

/**
 * A model of the context for characters whose reading no rule decides: a bidirectional LSTM over the characters of a
 * sentence. Reads a sentence once, when the first character of it is asked for.
 * Weights: g2pM 0.1.2.5 (training/polyphones), 8 bits each.
 */
export class SentenceContext implements PolyphoneContext {
  readonly rule = 'context';
  readonly #text: string;
  readonly #sentences = new Map<number, Hidden>();

  constructor(text: string) {
    this.#text = text;
  }

  knows(character: string): boolean {
    return getModel().candidates.has(character);
  }

  readingAt(offset: number): ModelReading | undefined {
    const candidates = getModel().candidates.get(this.#text.charAt(offset));
    if (candidates === undefined) return undefined;
    const [start, end] = this.#sentenceAround(offset);
    let hidden = this.#sentences.get(start);
    if (hidden === undefined) this.#sentences.set(start, (hidden = readSentence(this.#text.slice(start, end))));
    return choose(hidden, offset - start, candidates);
  }

  /** From one full stop to the next, but no more than a window around long stretches. */
  #sentenceAround(offset: number): readonly [number, number] {
    const window = Math.floor(offset / LONGEST_SENTENCE) * LONGEST_SENTENCE;
    let start = offset;
    while (start > window && !SENTENCE_END.includes(this.#text.charAt(start - 1))) start--;
    let end = offset;
    while (end < Math.min(this.#text.length, window + LONGEST_SENTENCE)) {
      if (SENTENCE_END.includes(this.#text.charAt(end++))) break;
    }
    return [start, end];
  }
}

const LONGEST_SENTENCE = 300;
const SENTENCE_END = '.!?…。！？\n';
/** Marks of normalised text as the model knows them. */
const MARKS: Readonly<Record<string, string>> = { ',': '，', '.': '。', '!': '！', '?': '？', '-': '，' };

const UNITS = 32;
const GATES = 4 * UNITS;
const EMBEDDING = 64;
const UNKNOWN = 1;

interface Direction {
  /** (gates, embedding) and (gates, units). */
  readonly input: Float32Array;
  readonly recurrent: Float32Array;
  readonly bias: Float32Array;
  /** What a character alone contributes to the gates, computed when it first occurs. */
  readonly projected: Map<number, Float32Array>;
}

interface Model {
  readonly characters: ReadonlyMap<string, number>;
  readonly ends: readonly [number, number];
  readonly readings: readonly Syllable[];
  /** Indices into `readings` by character. */
  readonly candidates: ReadonlyMap<string, readonly number[]>;
  readonly embedding: Int8Array;
  readonly embeddingScale: Float32Array;
  readonly forward: Direction;
  readonly backward: Direction;
  readonly hidden: Float32Array;
  readonly hiddenBias: Float32Array;
  readonly output: Float32Array;
  readonly outputBias: Float32Array;
}

/** States after each character, in reading order: (characters, units) a direction. */
interface Hidden {
  readonly forward: Float32Array;
  readonly backward: Float32Array;
}

let loaded: Model | undefined;

function getModel(): Model {
  loaded ??= load();
  return loaded;
}

interface Header {
  readonly characters: readonly string[];
  readonly ends: readonly [number, number];
  readonly classes: readonly string[];
  readonly candidates: Readonly<Record<string, readonly number[]>>;
}

function load(): Model {
  const { header, int8, float32 } = readSections<Header>(new URL('./data/polyphone-model.br', import.meta.url));
  const matrix = (name: string): Float32Array => {
    const scales = float32(`${name}Scale`);
    const whole = int8(name);
    const width = whole.length / scales.length;
    return Float32Array.from(whole, (value, i) => value * scales[Math.floor(i / width)]!);
  };
  const direction = (name: string): Direction => ({
    input: matrix(`${name}Input`),
    recurrent: matrix(`${name}Recurrent`),
    bias: float32(`${name}Bias`),
    projected: new Map(),
  });
  // A reading outside the tables (ê, hm) is none that a voice could say.
  const known = header.classes.map(isSyllable);
  const candidates = Object.entries(header.candidates)
    .map(([character, classes]) => [character, classes.filter((index) => known[index])] as const)
    .filter(([, classes]) => classes.length > 1);
  return {
    characters: new Map(header.characters.map((character, index) => [character, index])),
    ends: header.ends,
    readings: header.classes.map((name, i) => (known[i] ? syllable(name) : 0)),
    candidates: new Map(candidates),
    embedding: int8('embedding'),
    embeddingScale: float32('embeddingScale'),
    forward: direction('forward'),
    backward: direction('backward'),
    hidden: matrix('hidden'),
    hiddenBias: float32('hiddenBias'),
    output: matrix('output'),
    outputBias: float32('outputBias'),
  };
}

function readSentence(text: string): Hidden {
  const model = getModel();
  const ids = [...text].flatMap((character) => {
    const id = model.characters.get(MARKS[character] ?? character) ?? UNKNOWN;
    return character.length === 1 ? [id] : [id, id]; // offsets are UTF-16 units
  });
  const states = (direction: Direction, order: readonly number[], opening: number): Float32Array => {
    const all = new Float32Array(ids.length * UNITS);
    const state = new Float32Array(UNITS);
    const cell = new Float32Array(UNITS);
    step(model, direction, opening, state, cell);
    for (const at of order) {
      step(model, direction, ids[at]!, state, cell);
      all.set(state, at * UNITS);
    }
    return all;
  };
  const order = ids.map((_, i) => i);
  return {
    forward: states(model.forward, order, model.ends[0]),
    backward: states(model.backward, [...order].reverse(), model.ends[1]),
  };
}

const gates = new Float32Array(GATES);

/** One character further; gates are in the order input, forget, candidate, output. */
function step(model: Model, direction: Direction, id: number, state: Float32Array, cell: Float32Array): void {
  const own = projection(model, direction, id);
  const { recurrent } = direction;
  for (let gate = 0; gate < GATES; gate++) {
    let sum = own[gate]!;
    for (let i = 0, at = gate * UNITS; i < UNITS; i++) sum += recurrent[at + i]! * state[i]!;
    gates[gate] = sum;
  }
  for (let i = 0; i < UNITS; i++) {
    const next = sigmoid(gates[UNITS + i]!) * cell[i]! + sigmoid(gates[i]!) * Math.tanh(gates[2 * UNITS + i]!);
    cell[i] = next;
    state[i] = sigmoid(gates[3 * UNITS + i]!) * Math.tanh(next);
  }
}

function projection({ embedding, embeddingScale }: Model, direction: Direction, id: number): Float32Array {
  let projected = direction.projected.get(id);
  if (projected === undefined) {
    projected = Float32Array.from(direction.bias);
    const { input } = direction;
    for (let gate = 0; gate < GATES; gate++) {
      let sum = 0;
      for (let i = 0; i < EMBEDDING; i++) sum += input[gate * EMBEDDING + i]! * embedding[id * EMBEDDING + i]!;
      projected[gate] = projected[gate]! + sum * embeddingScale[id]!;
    }
    direction.projected.set(id, projected);
  }
  return projected;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function choose(hidden: Hidden, at: number, candidates: readonly number[]): ModelReading | undefined {
  const model = getModel();
  const layer = new Float32Array(UNITS);
  for (let j = 0; j < UNITS; j++) {
    let sum = model.hiddenBias[j]!;
    for (let i = 0; i < UNITS; i++) {
      sum += model.hidden[j * 2 * UNITS + i]! * hidden.forward[at * UNITS + i]!;
      sum += model.hidden[j * 2 * UNITS + UNITS + i]! * hidden.backward[at * UNITS + i]!;
    }
    layer[j] = Math.max(0, sum);
  }
  const scores = candidates.map((index) => {
    let sum = model.outputBias[index]!;
    for (let i = 0; i < UNITS; i++) sum += model.output[index * UNITS + i]! * layer[i]!;
    return sum;
  });
  const highest = Math.max(...scores);
  const best = candidates[scores.indexOf(highest)];
  if (best === undefined) return undefined;
  const total = scores.reduce((sum, score) => sum + Math.exp(score - highest), 0);
  return { reading: model.readings[best]!, confidence: 1 / total };
}
