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
 * A model of the context for characters whose reading no rule decides: an LSTM over what stands before the character in
 * its sentence, another over what follows it. Nothing is computed before a character is asked for, and then only as far
 * as that character. Weights: our own, 8 bits each (training/polyphones).
 */
export class SentenceContext implements PolyphoneContext {
  readonly rule = 'context';
  readonly #text: string;
  readonly #sentences = new Map<number, ReadSentence>();

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
    let sentence = this.#sentences.get(start);
    if (sentence === undefined) this.#sentences.set(start, (sentence = readingOf(this.#text.slice(start, end))));
    return choose(stateAt(sentence, offset - start), candidates);
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

const UNITS = 40;
/** Input, forget, candidate and output gate of each unit. */
const GATES = 4;
const EMBEDDING = 64;
const HIDDEN = 64;
/** Places of the table of characters that stand for none. */
const UNKNOWN = 1;
const BEGIN = 2;
const END = 3;

interface Direction {
  /** (units, gates, embedding) and (units, units of the state before, gates). */
  readonly input: Float32Array;
  readonly recurrent: Float32Array;
  readonly bias: Float32Array;
  /** What a character alone contributes to the gates, computed when it first occurs. */
  readonly projected: Map<number, Float32Array>;
}

/** A reading of a character, and where its scores lie. */
interface Candidate {
  readonly reading: Syllable;
  readonly row: number;
}

interface Model {
  readonly characters: ReadonlyMap<string, number>;
  readonly candidates: ReadonlyMap<string, readonly Candidate[]>;
  readonly embedding: Int8Array;
  readonly embeddingScale: Float32Array;
  readonly forward: Direction;
  readonly backward: Direction;
  readonly hidden: Float32Array;
  readonly hiddenBias: Float32Array;
  readonly output: Float32Array;
  readonly outputBias: Float32Array;
}

let loaded: Model | undefined;

function getModel(): Model {
  loaded ??= load();
  return loaded;
}

interface Header {
  readonly characters: readonly string[];
  /** Of each character of several, in the order of the rows of `output`. */
  readonly readings: Readonly<Record<string, readonly string[]>>;
}

function load(): Model {
  const { header, int8, float32 } = readSections<Header>(new URL('./data/polyphone-model.br', import.meta.url));
  const matrix = (name: string): Float32Array => {
    const scales = float32(`${name}Scale`);
    const whole = int8(name);
    const width = whole.length / scales.length;
    const values = new Float32Array(whole.length);
    for (let row = 0, i = 0; row < scales.length; row++) {
      for (let column = 0; column < width; column++, i++) values[i] = whole[i]! * scales[row]!;
    }
    return values;
  };
  // The file has all units of one gate after another; a step reads the gates of one unit together.
  const byUnit = (gate: number, unit: number): number => unit * GATES + gate;
  const direction = (name: string): Direction => {
    const [input, recurrent, bias] = [matrix(`${name}Input`), matrix(`${name}Recurrent`), float32(`${name}Bias`)];
    const own = {
      input: new Float32Array(input.length),
      recurrent: new Float32Array(recurrent.length),
      bias: new Float32Array(bias.length),
      projected: new Map(),
    };
    for (let gate = 0; gate < GATES; gate++) {
      for (let unit = 0; unit < UNITS; unit++) {
        const [from, to] = [gate * UNITS + unit, byUnit(gate, unit)];
        own.bias[to] = bias[from]!;
        own.input.set(input.subarray(from * EMBEDDING, (from + 1) * EMBEDDING), to * EMBEDDING);
        for (let i = 0; i < UNITS; i++) own.recurrent[byUnit(gate, unit * UNITS + i)] = recurrent[from * UNITS + i]!;
      }
    }
    return own;
  };
  let row = 0;
  const candidates = new Map<string, readonly Candidate[]>();
  for (const [character, names] of Object.entries(header.readings)) {
    const rows = names.map((name) => ({ name, row: row++ }));
    // A reading outside the tables (ê, hm) is none that a voice could say.
    const known = rows.filter(({ name }) => isSyllable(name));
    if (known.length > 1)
      candidates.set(
        character,
        known.map(({ name, row }) => ({ reading: syllable(name), row })),
      );
  }
  return {
    characters: new Map(header.characters.map((character, index) => [character, index])),
    candidates,
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

/** A sentence as far as it has been read from either end. */
interface ReadSentence {
  readonly ids: readonly number[];
  readonly forward: Pass;
  readonly backward: Pass;
}

interface Pass {
  /** (characters, units): the state behind each character, in the order of reading. */
  readonly states: Float32Array;
  readonly cell: Float32Array;
  readonly opening: Float32Array;
  /** Characters read. */
  count: number;
}

function readingOf(text: string): ReadSentence {
  const { characters, forward, backward } = getModel();
  const ids = [...text].flatMap((character) => {
    const id = characters.get(MARKS[character] ?? character) ?? UNKNOWN;
    return character.length === 1 ? [id] : [id, id]; // offsets are UTF-16 units
  });
  const open = (direction: Direction, id: number): Pass => {
    const [opening, cell] = [new Float32Array(UNITS), new Float32Array(UNITS)];
    step(direction, id, opening, cell, opening);
    return { states: new Float32Array(ids.length * UNITS), cell, opening, count: 0 };
  };
  return { ids, forward: open(forward, BEGIN), backward: open(backward, END) };
}

/** The states behind a character, coming from the left and from the right. */
function stateAt({ ids, forward, backward }: ReadSentence, at: number): readonly [Float32Array, Float32Array] {
  const model = getModel();
  const last = ids.length - 1;
  return [
    readTo(model.forward, forward, at, (i) => ids[i]!),
    readTo(model.backward, backward, last - at, (i) => ids[last - i]!),
  ];
}

function readTo(direction: Direction, pass: Pass, place: number, idAt: (place: number) => number): Float32Array {
  const state = (i: number): Float32Array => (i < 0 ? pass.opening : pass.states.subarray(i * UNITS, (i + 1) * UNITS));
  for (; pass.count <= place; pass.count++) {
    step(direction, idAt(pass.count), state(pass.count - 1), pass.cell, state(pass.count));
  }
  return state(place);
}

const gates = new Float32Array(GATES * UNITS);

/** One character further: `cell` changes, `after` gets the state, which may lie where `before` does. */
function step(direction: Direction, id: number, before: Float32Array, cell: Float32Array, after: Float32Array): void {
  const own = projection(direction, id);
  const { recurrent } = direction;
  for (let unit = 0, at = 0; unit < UNITS; unit++) {
    const first = unit * GATES;
    let input = own[first]!;
    let forget = own[first + 1]!;
    let candidate = own[first + 2]!;
    let output = own[first + 3]!;
    for (let i = 0; i < UNITS; i++, at += GATES) {
      const value = before[i]!;
      input += recurrent[at]! * value;
      forget += recurrent[at + 1]! * value;
      candidate += recurrent[at + 2]! * value;
      output += recurrent[at + 3]! * value;
    }
    gates[first] = input;
    gates[first + 1] = forget;
    gates[first + 2] = candidate;
    gates[first + 3] = output;
  }
  for (let unit = 0, at = 0; unit < UNITS; unit++, at += GATES) {
    const next = sigmoid(gates[at + 1]!) * cell[unit]! + sigmoid(gates[at]!) * tanh(gates[at + 2]!);
    cell[unit] = next;
    after[unit] = sigmoid(gates[at + 3]!) * tanh(next);
  }
}

function projection(direction: Direction, id: number): Float32Array {
  let projected = direction.projected.get(id);
  if (projected === undefined) {
    const { embedding, embeddingScale } = getModel();
    projected = Float32Array.from(direction.bias);
    const { input } = direction;
    for (let gate = 0; gate < projected.length; gate++) {
      let sum = 0;
      for (let i = 0; i < EMBEDDING; i++) sum += input[gate * EMBEDDING + i]! * embedding[id * EMBEDDING + i]!;
      projected[gate] = projected[gate]! + sum * embeddingScale[id]!;
    }
    direction.projected.set(id, projected);
  }
  return projected;
}

/** The sigmoid between −8 and 8, 128 steps to one; straight lines between them are off by less than 10⁻⁶. */
const SIGMOID = Float64Array.from({ length: 16 * 128 + 2 }, (_, i) => 1 / (1 + Math.exp(8 - i / 128)));

function sigmoid(x: number): number {
  if (x <= -8) return 0;
  if (x >= 8) return 1;
  const place = (x + 8) * 128;
  const below = Math.trunc(place);
  const low = SIGMOID[below]!;
  return low + (SIGMOID[below + 1]! - low) * (place - below);
}

const tanh = (x: number): number => 2 * sigmoid(2 * x) - 1;

function choose(
  [before, after]: readonly [Float32Array, Float32Array],
  candidates: readonly Candidate[],
): ModelReading | undefined {
  const { hidden, hiddenBias, output, outputBias } = getModel();
  const layer = new Float32Array(HIDDEN);
  for (let j = 0, at = 0; j < HIDDEN; j++) {
    let sum = hiddenBias[j]!;
    for (let i = 0; i < UNITS; i++) sum += hidden[at++]! * before[i]!;
    for (let i = 0; i < UNITS; i++) sum += hidden[at++]! * after[i]!;
    layer[j] = Math.max(0, sum);
  }
  let best: Candidate | undefined;
  let highest = -Infinity;
  const scores = candidates.map((candidate) => {
    let score = outputBias[candidate.row]!;
    for (let i = 0; i < HIDDEN; i++) score += output[candidate.row * HIDDEN + i]! * layer[i]!;
    if (score > highest) [best, highest] = [candidate, score];
    return score;
  });
  if (best === undefined) return undefined;
  const total = scores.reduce((sum, score) => sum + Math.exp(score - highest), 0);
  return { reading: best.reading, confidence: 1 / total };
}
