import type { Checkpoint, CheckpointTensor } from '../checkpoint/checkpoint.js';
import { AppError } from '../errors.js';
import type { GraphBuilder, Value } from '../onnx/graph.js';
import type { ColumnWeights } from '../onnx/quantize-columns.js';
import { columnProduct } from './column-product.js';

/**
 * What the encoders in transformers' layout (CN-HuBERT, RoBERTa) share: weights by name under a prefix, linear layers
 * and self-attention on one sequence (T, width).
 */
/**
 * How an encoder's matrix products are computed; everything else is float32 in any case. `mixed`: int8, but float32 where
 * the feed-forward part comes back to the width of the model, whose inputs have the widest spread.
 */
export type EncoderPrecision = 'fp32' | 'mixed' | 'int8';

/** How an encoder's graph is built. */
export interface EncoderOptions {
  /** fp32 by default. */
  readonly precision?: EncoderPrecision;
  /** How weights of 8 bits are kept; unsigned by default, which every processor computes right. */
  readonly columnWeights?: ColumnWeights;
  /** Names of inner tensors to declare as further outputs (for comparison with the reference). */
  readonly expose?: readonly string[];
}

export interface EncoderContext {
  readonly graph: GraphBuilder;
  readonly checkpoint: Checkpoint;
  /** In front of every tensor name: `bert.` or `hubert.` where the file holds a model with a head, else nothing. */
  readonly prefix: string;
  readonly layerNormEpsilon: number;
  readonly precision: EncoderPrecision;
  /** How weights of 8 bits are kept. */
  readonly columnWeights: ColumnWeights;
  /** Names of inner tensors to declare as further outputs (for comparison with the reference). */
  readonly expose: ReadonlySet<string>;
}

/** A tensor of the checkpoint; throws `CHECKPOINT_UNSUPPORTED` when it is missing. */
export function requireTensor(checkpoint: Checkpoint, name: string): CheckpointTensor {
  const tensor = checkpoint.tensors.get(name);
  if (!tensor) throw unsupported(checkpoint, `it has no tensor "${name}"`);
  return tensor;
}

/** The part of the names before `probe`, which some exporters prepend; throws where no tensor ends in `probe`. */
export function findPrefix(checkpoint: Checkpoint, probe: string): string {
  for (const name of checkpoint.tensors.keys()) if (name.endsWith(probe)) return name.slice(0, -probe.length);
  throw unsupported(checkpoint, `it has no tensor "${probe}"`);
}

/** How many consecutive indices have a tensor; throws where there is not even the first. */
export function countLayers(checkpoint: Checkpoint, nameOf: (index: number) => string): number {
  let count = 0;
  while (checkpoint.tensors.has(nameOf(count))) count += 1;
  if (count === 0) throw unsupported(checkpoint, `it has no tensor "${nameOf(0)}"`);
  return count;
}

/** A weight as it lies in the checkpoint. */
export function weightOf(context: EncoderContext, name: string): Value {
  const tensor = requireTensor(context.checkpoint, context.prefix + name);
  return context.graph.weight(name, tensor.shape, () => tensor.readFloat32());
}

/** x (T, in) · Wᵀ + b → (T, out). */
export function linear(context: EncoderContext, x: Value, name: string): Value {
  const weight = requireTensor(context.checkpoint, `${context.prefix}${name}.weight`);
  const bias = requireTensor(context.checkpoint, `${context.prefix}${name}.bias`);
  const [rows = 0, columns = 0] = weight.shape;
  return product(context, x, name, {
    rows,
    columns,
    weight: () => weight.readFloat32(),
    bias: () => bias.readFloat32(),
  });
}

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** (rows, columns) row-major, and one value a row. */
  readonly weight: () => Float32Array;
  readonly bias: () => Float32Array;
}

/**
 * x (T, columns) · matrixᵀ + bias → (T, rows), in the precision of the encoder. In int8, activations have one step for the
 * whole of x, which is one sentence or one recording: nothing of one request enters another's. Blocks of `MatMulNBits`
 * measured no faster than float32 there.
 */
function product(context: EncoderContext, x: Value, name: string, { rows, columns, weight, bias }: Matrix): Value {
  const { graph } = context;
  const b = graph.weight(`${name}.bias`, [rows], bias);
  if (context.precision === 'fp32' || (context.precision === 'mixed' && rows < columns)) {
    return graph.op('Gemm', [x, graph.weight(`${name}.weight`, [rows, columns], weight), b], { transB: 1 });
  }
  const matrix = { name, outputs: rows, inputs: columns, load: weight };
  return columnProduct(graph, x, matrix, b, context.columnWeights);
}

/** Normalises the last axis; also knows the older names of scale and bias (`gamma`, `beta`). */
export function layerNorm(context: EncoderContext, x: Value, name: string): Value {
  return context.graph.layerNorm(x, ...normWeights(context, name), context.layerNormEpsilon);
}

/** {@link layerNorm} of x + y. */
export function sumNorm(context: EncoderContext, x: Value, y: Value, name: string): Value {
  return context.graph.sumNorm(x, y, ...normWeights(context, name), context.layerNormEpsilon);
}

function normWeights(context: EncoderContext, name: string): [scale: Value, bias: Value] {
  const old = !context.checkpoint.tensors.has(`${context.prefix}${name}.weight`);
  return [
    weightOf(context, `${name}.${old ? 'gamma' : 'weight'}`),
    weightOf(context, `${name}.${old ? 'beta' : 'bias'}`),
  ];
}

/**
 * Self-attention of all positions on all positions, without its output projection: x (T, width) → (T, width). The
 * three projections are one matrix, put together when the weights are written.
 */
export function selfAttention(
  context: EncoderContext,
  x: Value,
  names: { readonly query: string; readonly key: string; readonly value: string },
  headCount: number,
): Value {
  const { graph, checkpoint, prefix } = context;
  const layers = [names.query, names.key, names.value];
  const [width = 0] = requireTensor(checkpoint, `${prefix}${names.query}.weight`).shape;
  if (width % headCount !== 0) {
    throw unsupported(checkpoint, `its width ${width} is not a multiple of its ${headCount} attention heads`);
  }
  const stack = (suffix: string, length: number) => (): Float32Array => {
    const data = new Float32Array(3 * length);
    for (const [index, layer] of layers.entries()) {
      data.set(requireTensor(checkpoint, `${prefix}${layer}.${suffix}`).readFloat32(), index * length);
    }
    return data;
  };
  const matrix = {
    rows: 3 * width,
    columns: width,
    weight: stack('weight', width * width),
    bias: stack('bias', width),
  };
  const projected = graph.unsqueeze(product(context, x, `${names.query}+kv`, matrix), [0]);
  const qkv = graph.split(projected, [width, width, width], 2);
  // Scores are divided by the root of the head's width, the operator's default.
  const mixed = graph.op('MultiHeadAttention', qkv, { num_heads: headCount }, 'com.microsoft');
  return graph.squeeze(mixed, [0]);
}

/** The activation a config names. */
export function activation(context: EncoderContext, x: Value, name: string): Value {
  switch (name) {
    case 'gelu':
      return context.graph.gelu(x);
    case 'relu':
      return context.graph.relu(x);
    default:
      throw unsupported(
        context.checkpoint,
        `its config asks for the activation "${name}"; supported are gelu and relu`,
      );
  }
}

/** Declares `value` as an output when it was asked for, and hands it on. */
export function exposed(
  context: EncoderContext,
  name: string,
  value: Value,
  dims: readonly (number | string)[],
): Value {
  if (context.expose.has(name)) context.graph.output(name, value, 'float32', dims);
  return value;
}

/** Fields of a `config.json`, with transformers' default where one is absent. */
export class EncoderConfig {
  readonly #checkpoint: Checkpoint;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(checkpoint: Checkpoint, config: unknown) {
    if (typeof config !== 'object' || config === null || Array.isArray(config)) {
      throw unsupported(checkpoint, 'its config.json holds no JSON object');
    }
    this.#checkpoint = checkpoint;
    this.#fields = config as Readonly<Record<string, unknown>>; // an object that is not an array, checked above
  }

  number(name: string, fallback: number): number {
    const value = this.#fields[name] ?? fallback;
    if (typeof value !== 'number' || !(value > 0)) throw this.#wrong(name, 'a positive number');
    return value;
  }

  integer(name: string, fallback: number): number {
    const value = this.number(name, fallback);
    if (!Number.isInteger(value)) throw this.#wrong(name, 'an integer');
    return value;
  }

  integers(name: string, fallback: readonly number[]): readonly number[] {
    const value = this.#fields[name] ?? fallback;
    if (!Array.isArray(value) || !value.every((entry) => Number.isInteger(entry) && entry > 0)) {
      throw this.#wrong(name, 'a list of positive integers');
    }
    return value as number[]; // every entry was checked
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#fields[name] ?? fallback;
    if (typeof value !== 'boolean') throw this.#wrong(name, 'true or false');
    return value;
  }

  text(name: string, fallback: string): string {
    const value = this.#fields[name] ?? fallback;
    if (typeof value !== 'string') throw this.#wrong(name, 'a text');
    return value;
  }

  #wrong(name: string, expected: string): AppError {
    const seen = JSON.stringify(this.#fields[name])?.slice(0, 80);
    return unsupported(this.#checkpoint, `its config.json has ${name} = ${seen}, expected ${expected}`);
  }
}

export function unsupported(checkpoint: Checkpoint, problem: string): AppError {
  return new AppError('CHECKPOINT_UNSUPPORTED', `checkpoint "${checkpoint.path}" cannot be used: ${problem}`);
}
