/**
 * Weights of matrix products in 8 or 4 bits, in blocks along the input dimension that have a scale each: the layout of ONNX
 * Runtime's `MatMulNBits`.
 */
export interface BlockQuantized {
  readonly bits: 4 | 8;
  readonly blockSize: number;
  /** (out, blocks, blockSize · bits / 8): the value plus half the range; of 4 bits the lower half of a byte comes first. */
  readonly data: Uint8Array;
  /** (out, blocks) */
  readonly scales: Float32Array;
}

/**
 * Quantises a matrix of (out, in), row-major. Values are symmetric around zero, so a zero stays exactly zero.
 *
 * At 8 bits a block's scale is its largest value over 127. At 4 bits the scale with the least squared error of a few is
 * taken: clipping the largest value costs less than coarser steps for all others.
 */
export function quantizeBlocks(
  matrix: Float32Array,
  outputs: number,
  inputs: number,
  { bits, blockSize }: { readonly bits: 4 | 8; readonly blockSize: number },
): BlockQuantized {
  const blocks = Math.ceil(inputs / blockSize);
  const scales = new Float32Array(outputs * blocks);
  const bytesPerBlock = (blockSize * bits) / 8;
  const zero = 1 << (bits - 1);
  // What lies beyond the last input is zero, like everything that is not written.
  const data = new Uint8Array(outputs * blocks * bytesPerBlock).fill(bits === 8 ? zero : (zero << 4) | zero);
  for (let output = 0; output < outputs; output++) {
    for (let block = 0; block < blocks; block++) {
      const start = output * inputs + block * blockSize;
      const values = matrix.subarray(start, start + Math.min(blockSize, inputs - block * blockSize));
      const scale = Math.fround(bits === 8 ? largest(values) / 127 : bestScale4(values));
      scales[output * blocks + block] = scale;
      const place = (output * blocks + block) * bytesPerBlock;
      for (let index = 0; index < values.length; index++) {
        const level = quantized(values[index]!, scale, zero) + zero;
        if (bits === 8) data[place + index] = level;
        else {
          const at = place + (index >> 1);
          data[at] = index & 1 ? (data[at]! & 0x0f) | (level << 4) : (data[at]! & 0xf0) | level;
        }
      }
    }
  }
  return { bits, blockSize, data, scales };
}

function quantized(value: number, scale: number, zero: number): number {
  if (scale === 0) return 0;
  return Math.max(-zero, Math.min(zero - 1, Math.round(value / scale)));
}

function largest(values: Float32Array): number {
  let result = 0;
  for (const value of values) result = Math.max(result, Math.abs(value));
  return result;
}

function bestScale4(values: Float32Array): number {
  const top = largest(values);
  if (top === 0) return 0;
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let levels = 7; levels <= 10; levels += 0.25) {
    const scale = Math.fround(top / levels);
    let error = 0;
    for (const value of values) error += (quantized(value, scale, 8) * scale - value) ** 2;
    if (error < least) [least, best] = [error, scale];
  }
  return best;
}
