import type { GraphBuilder, Value } from '../onnx/graph.js';
import { type ColumnWeights, quantizeColumns } from '../onnx/quantize-columns.js';
import { once } from './once.js';

/** A matrix of weights by name: (outputs, inputs) row-major, read when it is written. */
export interface ColumnMatrix {
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly load: () => Float32Array;
}

/**
 * x (…, in) · matrixᵀ + bias → (…, out) in 8 bits: weights with a step of their own for each output, activations with one
 * for the whole of x, which must therefore be of one request.
 */
export function columnProduct(
  graph: GraphBuilder,
  x: Value,
  matrix: ColumnMatrix,
  bias: Value | null,
  type: ColumnWeights = 'uint8',
): Value {
  const { name, outputs, inputs, load } = matrix;
  // Weights are loaded one after the other, so that of a matrix both parts come from one quantisation.
  const quantized = once(() => quantizeColumns(load(), outputs, inputs, type));
  const levels = graph.weight(`${name}.column_${type}`, [inputs, outputs], () => quantized.first().data, type);
  const scales = graph.weight(`${name}.column_scales`, [outputs], () => quantized.last().scales);
  const zeros = type === 'uint8' ? graph.constant(new Uint8Array(outputs).fill(128), 'uint8') : null;
  return graph.op('DynamicQuantizeMatMul', [x, levels, scales, zeros, bias], {}, 'com.microsoft');
}
