/** A matrix of weights in 8 bits, each output with a step of its own: value = (level − 128) · scale. */
export interface QuantizedColumns {
  /** (in, out), as `DynamicQuantizeMatMul` wants it. */
  readonly data: Uint8Array;
  /** (out) */
  readonly scales: Float32Array;
}

/** Quantises a matrix of (out, in), row-major, symmetrically around zero. */
export function quantizeColumns(matrix: Float32Array, outputs: number, inputs: number): QuantizedColumns {
  const data = new Uint8Array(matrix.length);
  const scales = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    const row = matrix.subarray(output * inputs, (output + 1) * inputs);
    let largest = 0;
    for (const value of row) largest = Math.max(largest, Math.abs(value));
    // An output of zeros has no step; any does.
    const scale = Math.fround(largest / 127) || 1;
    scales[output] = scale;
    for (let input = 0; input < inputs; input++) data[input * outputs + output] = Math.round(row[input]! / scale) + 128;
  }
  return { data, scales };
}
