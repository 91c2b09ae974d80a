import { readPackedFile } from '../packed-file.js';

/**
 * Sounds out a word that no dictionary has (lower case, letters and apostrophes): phones with stress. Our own model: a
 * bidirectional GRU reads the letters, a second GRU gives each letter its phones (0 to 3), searched with a beam of 4, so
 * the answer is never longer than three phones a letter. About 2 ms a letter; answers are kept. Trained on CMUdict by
 * training/letter-to-sound, where its error rates on held-out words are recorded.
 */
export function letterToSound(word: string): readonly string[] {
  const known = answers.get(word);
  if (known !== undefined) return known;
  model ??= load();
  const phones = pronounce(model, word.slice(0, LONGEST_WORD));
  if (answers.size >= MOST_ANSWERS) answers.clear();
  answers.set(word, phones);
  return phones;
}

/** Longer runs of letters are no words; what follows is not read. */
const LONGEST_WORD = 60;
const MOST_ANSWERS = 5000;
const BEAM = 4;

const answers = new Map<string, readonly string[]>();
let model: Model | undefined;

interface Model {
  readonly letters: ReadonlyMap<string, number>;
  readonly chunks: readonly (readonly string[])[];
  readonly letter: Matrix;
  /** What each previous chunk adds to the tagger's gates, the last row for "start": (chunks + 1, 3 * size). */
  readonly chunkGates: readonly Float32Array[];
  readonly encoder: readonly (readonly [forward: Gru, backward: Gru])[];
  /** Its input matrix holds only the columns that meet the encoder. */
  readonly tagger: Gru;
  readonly out: Matrix;
  readonly outBias: Float32Array;
}

/** Row-major (rows, columns). */
interface Matrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** torch.nn.GRU weights: gates reset, update, new, one below the other. */
interface Gru {
  readonly input: Matrix; // (3 * size, input)
  readonly hidden: Matrix; // (3 * size, size)
  readonly inputBias: Float32Array;
  readonly hiddenBias: Float32Array;
  readonly size: number;
}

interface Path {
  readonly score: number;
  readonly state: Float32Array;
  readonly chunks: readonly number[];
}

function pronounce(net: Model, word: string): readonly string[] {
  const ids = [...word].map((letter) => net.letters.get(letter)).filter((id) => id !== undefined);
  let sequence = ids.map((id) => row(net.letter, id));
  for (const [forward, backward] of net.encoder) {
    const ahead = runGru(forward, sequence);
    const behind = runGru(backward, sequence.toReversed()).toReversed();
    sequence = ahead.map((vector, i) => join(vector, behind[i] as Float32Array));
  }
  let beam: Path[] = [{ score: 0, state: new Float32Array(net.tagger.size), chunks: [] }];
  const start = net.chunkGates.length - 1;
  for (const encoded of sequence) {
    const gates = multiply(net.tagger.input, encoded, net.tagger.inputBias);
    const candidates: { path: Path; state: Float32Array; chunk: number; score: number }[] = [];
    for (const path of beam) {
      const previous = net.chunkGates[path.chunks.at(-1) ?? start]!;
      const state = stepGru(
        net.tagger,
        gates.map((gate, i) => gate + previous[i]!),
        path.state,
      );
      const scores = logSoftmax(multiply(net.out, state, net.outBias));
      scores.forEach((score, chunk) => {
        candidates.push({ path, state, chunk, score: path.score + score });
      });
    }
    candidates.sort((a, b) => b.score - a.score || a.chunk - b.chunk);
    beam = candidates
      .slice(0, BEAM)
      .map(({ path, state, chunk, score }) => ({ score, state, chunks: [...path.chunks, chunk] }));
  }
  return (beam[0]?.chunks ?? []).flatMap((chunk) => net.chunks[chunk] ?? []);
}

function runGru(gru: Gru, inputs: readonly Float32Array[]): Float32Array[] {
  let state = new Float32Array(gru.size);
  return inputs.map((input) => (state = stepGru(gru, multiply(gru.input, input, gru.inputBias), state)));
}

/** `fromInput`: the input matrix times the input plus its bias, (3 * size). */
function stepGru(gru: Gru, fromInput: Float32Array, state: Float32Array): Float32Array<ArrayBuffer> {
  const fromState = multiply(gru.hidden, state, gru.hiddenBias);
  const { size } = gru;
  const next = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const reset = sigmoid(fromInput[i]! + fromState[i]!);
    const update = sigmoid(fromInput[size + i]! + fromState[size + i]!);
    const fresh = Math.tanh(fromInput[2 * size + i]! + reset * fromState[2 * size + i]!);
    next[i] = (1 - update) * fresh + update * state[i]!;
  }
  return next;
}

function multiply(matrix: Matrix, vector: Float32Array, bias: Float32Array): Float32Array {
  const { data, rows, columns } = matrix;
  const result = new Float32Array(rows);
  for (let r = 0, at = 0; r < rows; r++) {
    // Four sums side by side: a single one waits for each addition (1.7 times slower). Columns are multiples of 4.
    let a = bias[r]!;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < columns; i += 4, at += 4) {
      a += data[at]! * vector[i]!;
      b += data[at + 1]! * vector[i + 1]!;
      c += data[at + 2]! * vector[i + 2]!;
      d += data[at + 3]! * vector[i + 3]!;
    }
    result[r] = a + b + c + d;
  }
  return result;
}

function logSoftmax(values: Float32Array): Float32Array {
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const total = Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0)) + most;
  return values.map((value) => value - total);
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

function row(matrix: Matrix, index: number): Float32Array {
  return matrix.data.subarray(index * matrix.columns, (index + 1) * matrix.columns);
}

function join(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

interface Header {
  readonly letters: string;
  readonly chunks: readonly string[];
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly type: 'int8' | 'float32';
  }[];
}

/** Reads the file that training/letter-to-sound/export.py describes. */
function load(): Model {
  const file = readPackedFile(new URL('./data/letter-to-sound.br', import.meta.url));
  const headerBytes = file.readUInt32LE(0);
  const header = JSON.parse(file.toString('utf8', 4, 4 + headerBytes)) as Header; // our own file
  const tensors = new Map<string, Matrix>();
  let at = 4 + headerBytes;
  for (const { name, shape, type } of header.tensors) {
    const [rows = 0, columns = 1] = shape;
    const data = new Float32Array(rows * columns);
    if (type === 'float32') {
      for (let i = 0; i < data.length; i++, at += 4) data[i] = file.readFloatLE(at);
    } else {
      const scales = at;
      at += 4 * rows;
      for (let r = 0; r < rows; r++) {
        const scale = file.readFloatLE(scales + 4 * r);
        for (let c = 0; c < columns; c++, at++) data[r * columns + c] = file.readInt8(at) * scale;
      }
    }
    tensors.set(name, { data, rows, columns });
  }
  const tensor = (name: string): Matrix => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`letter-to-sound.br has no tensor ${name}`);
    return found;
  };
  const gru = (name: string, direction = ''): Gru => ({
    input: tensor(`${name}.weight_ih_l0${direction}`),
    hidden: tensor(`${name}.weight_hh_l0${direction}`),
    inputBias: tensor(`${name}.bias_ih_l0${direction}`).data,
    hiddenBias: tensor(`${name}.bias_hh_l0${direction}`).data,
    size: tensor(`${name}.weight_hh_l0${direction}`).columns,
  });
  const tagger = gru('tagger');
  const [encoded, previous] = splitColumns(tagger.input, 2 * gru('encoder2').size);
  const chunk = tensor('chunk.weight');
  const noBias = new Float32Array(tagger.input.rows);
  return {
    letters: new Map([...header.letters].map((letter, i) => [letter, i + 1])),
    chunks: header.chunks.map((chunk) => (chunk === '' ? [] : chunk.split(' '))),
    letter: tensor('letter.weight'),
    chunkGates: Array.from({ length: chunk.rows }, (_, i) => multiply(previous, row(chunk, i), noBias)),
    encoder: ['encoder1', 'encoder2'].map((name) => [gru(name), gru(name, '_reverse')]),
    tagger: { ...tagger, input: encoded },
    out: tensor('out.weight'),
    outBias: tensor('out.bias').data,
  };
}

function splitColumns(matrix: Matrix, at: number): readonly [left: Matrix, right: Matrix] {
  const cut = (from: number, to: number): Matrix => {
    const data = new Float32Array(matrix.rows * (to - from));
    for (let r = 0; r < matrix.rows; r++) {
      data.set(matrix.data.subarray(r * matrix.columns + from, r * matrix.columns + to), r * (to - from));
    }
    return { data, rows: matrix.rows, columns: to - from };
  };
  return [cut(0, at), cut(at, matrix.columns)];
}
