import type { Checkpoint, CheckpointTensor } from '../../checkpoint/checkpoint.js';
import { AppError } from '../../errors.js';
import type { ConvOptions, GraphBuilder, Value } from '../../onnx/graph.js';
import type { ElementType } from '../../onnx/tensor.js';
import type { ModelSpec } from '../model-spec.js';
import { type AdaptedModule, changeShapes } from './adapter.js';

/** What every part of the network is built from, and where inner tensors can be looked at. */
export interface SovitsContext {
  readonly graph: GraphBuilder;
  readonly checkpoint: Checkpoint;
  readonly spec: ModelSpec;
  /** Names of inner tensors to declare as further outputs (for comparison with the reference). */
  readonly expose: ReadonlySet<string>;
  /** Modules that take a change as inputs; absent: none. */
  readonly adapted?: ReadonlyMap<string, AdaptedModule> | null;
}

export interface SovitsBuildOptions {
  /** Inner tensors to declare as further outputs; each builder says which it has. */
  readonly expose?: readonly string[];
}

export interface AdaptableBuildOptions extends SovitsBuildOptions {
  /** Adds inputs `a.MODULE` and `b.MODULE` for every module of the graph that an adapter may change (see `adapter.ts`). */
  readonly adapters?: boolean;
}

/** Declares `value` as an output when it was asked for, and hands it on. */
export function exposed(
  context: SovitsContext,
  name: string,
  value: Value,
  dims: readonly (number | string)[],
  type: ElementType = 'float32',
): Value {
  if (context.expose.has(name)) context.graph.output(name, value, type, dims);
  return value;
}

/** A tensor of the checkpoint; throws `CHECKPOINT_UNSUPPORTED` when it is missing. */
export function tensorOf(checkpoint: Checkpoint, name: string): CheckpointTensor {
  const tensor = checkpoint.tensors.get(name);
  if (!tensor) throw new AppError('CHECKPOINT_UNSUPPORTED', `checkpoint "${checkpoint.path}" has no tensor "${name}"`);
  return tensor;
}

/** A weight as it lies in the checkpoint, under its own name; `shape` may drop dimensions of size 1. */
export function parameter(context: SovitsContext, name: string, shape?: readonly number[]): Value {
  const tensor = tensorOf(context.checkpoint, name);
  return context.graph.weight(name, shape ?? tensor.shape, () => tensor.readFloat32());
}

/** A weight computed from the checkpoint when the weights file is written. */
export function derived(
  context: SovitsContext,
  name: string,
  shape: readonly number[],
  load: () => Float32Array,
): Value {
  return context.graph.weight(name, shape, load);
}

/**
 * Weight and bias of a layer with weight norm folded: w = g · v / ‖v‖, the norm over all dimensions but the first
 * (which is also right for transposed convolutions, whose first dimension is the input).
 */
export function readNormed(checkpoint: Checkpoint, prefix: string): { shape: readonly number[]; data: Float32Array } {
  const plain = checkpoint.tensors.get(`${prefix}.weight`);
  if (plain) return { shape: plain.shape, data: plain.readFloat32() };
  const modern = checkpoint.tensors.has(`${prefix}.parametrizations.weight.original1`);
  const direction = tensorOf(checkpoint, modern ? `${prefix}.parametrizations.weight.original1` : `${prefix}.weight_v`);
  const magnitude = tensorOf(checkpoint, modern ? `${prefix}.parametrizations.weight.original0` : `${prefix}.weight_g`);
  const v = direction.readFloat32();
  const g = magnitude.readFloat32();
  const rowLength = v.length / g.length;
  for (let row = 0; row < g.length; row++) {
    let sum = 0;
    const end = (row + 1) * rowLength;
    for (let index = row * rowLength; index < end; index++) sum += v[index]! * v[index]!;
    const factor = sum > 0 ? g[row]! / Math.sqrt(sum) : 0;
    for (let index = row * rowLength; index < end; index++) v[index] = v[index]! * factor;
  }
  return { shape: direction.shape, data: v };
}

/** Shape of a layer's weight, weight norm or not. */
export function normedShape(checkpoint: Checkpoint, prefix: string): readonly number[] {
  for (const suffix of ['weight', 'weight_v', 'parametrizations.weight.original1']) {
    const tensor = checkpoint.tensors.get(`${prefix}.${suffix}`);
    if (tensor) return tensor.shape;
  }
  return tensorOf(checkpoint, `${prefix}.weight_v`).shape;
}

/** x (T, in) · Wᵀ + b for weight and bias under `prefix` (a linear layer, or a convolution of kernel 1) → (T, out). */
export function dense(context: SovitsContext, x: Value, prefix: string): Value {
  const { shape } = tensorOf(context.checkpoint, `${prefix}.weight`);
  const weight = parameter(context, `${prefix}.weight`, shape.slice(0, 2));
  return changedRows(context, prefix, x, affine(context, x, weight, parameter(context, `${prefix}.bias`)));
}

/** x (T, in) · weightᵀ + bias, weight (out, in), bias broadcast from (out), (1, out) or (T, out). */
export function affine(context: SovitsContext, x: Value, weight: Value, bias: Value): Value {
  return context.graph.op('Gemm', [x, weight, bias], { transB: 1 });
}

/** What the adapter adds to a module's result (T, out) of x (T, in); null where the module takes no change. */
export function rowChange(context: SovitsContext, module: string, x: Value): Value | null {
  const { graph } = context;
  const change = changeOf(context, module);
  if (!change) return null;
  return graph.op('Gemm', [graph.op('Gemm', [x, change.a], { transB: 1 }), change.b], { transB: 1 });
}

/** A module's result (T, out) of x (T, in), changed by the adapter where the module takes a change. */
export function changedRows(context: SovitsContext, module: string, x: Value, result: Value): Value {
  const { graph } = context;
  const change = changeOf(context, module);
  return change ? affine(context, graph.op('Gemm', [x, change.a], { transB: 1 }), change.b, result) : result;
}

/** What the adapter adds to a convolution of x (1, in, T); null where the module takes no change. */
export function convolutionChange(
  context: SovitsContext,
  module: string,
  x: Value,
  options: ConvOptions = {},
): Value | null {
  const { graph } = context;
  const change = changeOf(context, module);
  return change && graph.conv1d(graph.conv1d(x, change.a, null, options), change.b, null);
}

/** x (1, in, T) ∗ weight + bias, changed by the adapter where the module takes a change. */
export function changedConvolution(
  context: SovitsContext,
  module: string,
  x: Value,
  weight: Value,
  bias: Value | null,
  options: ConvOptions = {},
): Value {
  const result = context.graph.conv1d(x, weight, bias, options);
  const change = convolutionChange(context, module, x, options);
  return change ? context.graph.add(result, change) : result;
}

function changeOf({ graph, adapted }: SovitsContext, name: string): { a: Value; b: Value } | null {
  const module = adapted?.get(name);
  if (!module) return null;
  // A module that is not changed has rank 1 and zeros, whatever rank the others have: each has a name of its own.
  const shapes = changeShapes(module, 0);
  const named = (dims: number[], at: number) => dims.map((size, index) => (index === at ? `rank.${name}` : size));
  return {
    a: graph.input(`a.${name}`, 'float32', named(shapes.a, 0)),
    b: graph.input(`b.${name}`, 'float32', named(shapes.b, 1)),
  };
}

/** A matrix in double precision, for products of weights that are folded at build time. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

export function readMatrix(checkpoint: Checkpoint, name: string): Matrix {
  const tensor = tensorOf(checkpoint, name);
  const rows = tensor.shape[0] ?? 1;
  return { rows, columns: tensor.length / rows, data: Float64Array.from(tensor.readFloat32()) };
}

/** A bias as a column. */
export function readColumn(checkpoint: Checkpoint, name: string): Matrix {
  const tensor = tensorOf(checkpoint, name);
  return { rows: tensor.length, columns: 1, data: Float64Array.from(tensor.readFloat32()) };
}

export function multiply(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `layers do not fit: a width of ${b.rows} meets one of ${a.columns}; the checkpoint mixes sizes`,
    );
  }
  const { columns, data: other } = b;
  const data = new Float64Array(a.rows * columns);
  for (let row = 0; row < a.rows; row++) {
    for (let inner = 0; inner < a.columns; inner++) {
      const factor = a.data[row * a.columns + inner]!;
      if (factor === 0) continue;
      const from = inner * columns;
      const to = row * columns;
      for (let column = 0; column < columns; column++) data[to + column]! += factor * other[from + column]!;
    }
  }
  return { rows: a.rows, columns, data };
}

export function sum(...matrices: readonly Matrix[]): Matrix {
  const [first] = matrices;
  if (!first) throw new Error('a sum of nothing');
  const data = new Float64Array(first.data.length);
  for (const matrix of matrices) for (let index = 0; index < data.length; index++) data[index]! += matrix.data[index]!;
  return { ...first, data };
}

export function scaled(matrix: Matrix, factor: number): Matrix {
  return { ...matrix, data: matrix.data.map((value) => value * factor) };
}

/** Matrices under one another, as one float32 weight. */
export function stacked(...matrices: readonly Matrix[]): Float32Array {
  const data = new Float32Array(matrices.reduce((length, matrix) => length + matrix.data.length, 0));
  let offset = 0;
  for (const matrix of matrices) {
    data.set(matrix.data, offset);
    offset += matrix.data.length;
  }
  return data;
}
