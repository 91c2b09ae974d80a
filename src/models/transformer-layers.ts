import type { Checkpoint, CheckpointTensor } from '../checkpoint/checkpoint.js';
import { AppError } from '../errors.js';
import type { GraphBuilder, Value } from '../onnx/graph.js';

/**
 * What the encoders in transformers' layout (CN-HuBERT, RoBERTa) share: weights by name under a prefix, linear layers
 * and self-attention on one sequence (T, width).
 */
export interface EncoderContext {
  readonly graph: GraphBuilder;
  readonly checkpoint: Checkpoint;
  /** In front of every tensor name: `bert.` or `hubert.` where the file holds a model with a head, else nothing. */
  readonly prefix: string;
  readonly layerNormEpsilon: number;
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
  return context.graph.op('Gemm', [x, weightOf(context, `${name}.weight`), weightOf(context, `${name}.bias`)], {
    transB: 1,
  });
}

/** Normalises the last axis; also knows the older names of scale and bias (`gamma`, `beta`). */
export function layerNorm(context: EncoderContext, x: Value, name: string): Value {
  const old = !context.checkpoint.tensors.has(`${context.prefix}${name}.weight`);
  const scale = weightOf(context, `${name}.${old ? 'gamma' : 'weight'}`);
  const bias = weightOf(context, `${name}.${old ? 'beta' : 'bias'}`);
  return context.graph.layerNorm(x, scale, bias, context.layerNormEpsilon);
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
  const weight = graph.weight(`${names.query}+kv.weight`, [3 * width, width], stack('weight', width * width));
  const bias = graph.weight(`${names.query}+kv.bias`, [3 * width], stack('bias', width));
  const projected = graph.unsqueeze(graph.op('Gemm', [x, weight, bias], { transB: 1 }), [0]);
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
