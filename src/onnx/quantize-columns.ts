/**
 * How a weight of 8 bits is kept: signed, or unsigned with 128 as its zero. Kernels of processors without 8-bit dot products
 * (AVX2 and AVX-512 without VNNI) add pairs of products of signed weights in 16 bits, which overflow (relative error of a
 * product of 1,024 with random values 0.033 instead of 0.009); those of unsigned ones are widened first. Processors with such
 * products have them for signed weights, twice as fast as the others.
 */
export type ColumnWeights = 'int8' | 'uint8';

/** A matrix of weights in 8 bits, each output with a step of its own: value = (level − zero) · scale. */
export interface QuantizedColumns {
  /** (in, out), as `DynamicQuantizeMatMul` wants it. */
  readonly data: Uint8Array | Int8Array;
  /** (out) */
  readonly scales: Float32Array;
}

/** Quantises a matrix of (out, in), row-major, symmetrically around zero. */
export function quantizeColumns(
  matrix: Float32Array,
  outputs: number,
  inputs: number,
  type: ColumnWeights,
): QuantizedColumns {
  const data = type === 'uint8' ? new Uint8Array(matrix.length) : new Int8Array(matrix.length);
  const zero = type === 'uint8' ? 128 : 0;
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const row = matrix.subarray(output * inputs, (output + 1) * inputs);
    let largest = 0;
    for (const value of row) largest = Math.max(largest, Math.abs(value));
    // An output of zeros has no step; any does.
    const scale = Math.fround(largest / 127) || 1;
    scales[output] = scale;
    for (let input = 0; input < inputs; input++)
      data[input * outputs + output] = Math.round(row[input]! / scale) + zero;
  }
  return { data, scales };
}
