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
  const levels = new Uint8Array(matrix.length);
  const zero = type === 'uint8' ? 128 : 0;
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const peak = largestOf(matrix, output * inputs, (output + 1) * inputs);
    // An output of zeros has no step; any does.
    scales[output] = Math.fround(peak / 127) || 1;
  }
  // In squares, so that what is read and what is written stay in the cache.
  for (let firstOutput = 0; firstOutput < outputs; firstOutput += SQUARE) {
    const lastOutput = Math.min(outputs, firstOutput + SQUARE);
    for (let firstInput = 0; firstInput < inputs; firstInput += SQUARE) {
      const lastInput = Math.min(inputs, firstInput + SQUARE);
      for (let output = firstOutput; output < lastOutput; output++) {
        const scale = scales[output]!;
        const row = output * inputs;
        for (let input = firstInput; input < lastInput; input++) {
          // Cut off instead of rounded: made positive by 256 first, which a byte does not see.
          levels[input * outputs + output] = (matrix[row + input]! / scale + (256.5 + zero)) | 0;
        }
      }
    }
  }
  return { data: type === 'uint8' ? levels : new Int8Array(levels.buffer), scales };
}

const SQUARE = 64;

function largestOf(values: Float32Array, start: number, end: number): number {
  let largest = 0;
  for (let index = start; index < end; index++) {
    const size = Math.abs(values[index]!);
    if (size > largest) largest = size;
  }
  return largest;
}
