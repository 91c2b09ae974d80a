import type { TensorDtype } from './checkpoint.js';

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<TensorDtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

export function isFloatDtype(dtype: TensorDtype): boolean {
  return dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** float32 bit patterns of all float16 values: 256 KB, which stays in the second-level cache. */
let halfTable: Uint32Array | null = null;

function halfToFloatTable(): Uint32Array {
  if (halfTable !== null) return halfTable;
  const table = new Uint32Array(65_536);
  for (let half = 0; half < 65_536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    let mantissa = half & 0x3ff;
    let bits: number;
    if (exponent === 0x1f) {
      bits = 0x7f800000 | (mantissa << 13); // infinity, NaN with its payload
    } else if (exponent !== 0) {
      bits = ((exponent + 112) << 23) | (mantissa << 13);
    } else if (mantissa === 0) {
      bits = 0;
    } else {
      // Subnormal: shift until the leading one stands where float32 leaves it out.
      let shift = 0;
      while ((mantissa & 0x400) === 0) {
        mantissa <<= 1;
        shift++;
      }
      bits = ((113 - shift) << 23) | ((mantissa & 0x3ff) << 13);
    }
    table[half] = sign | bits;
  }
  halfTable = table;
  return table;
}

/** Widens `source.length` float16 values into float32 bit patterns at `target[at…]`; exact. */
export function widenHalf(source: Uint16Array, target: Uint32Array, at: number): void {
  const table = halfToFloatTable();
  for (let i = 0; i < source.length; i++) target[at + i] = table[source[i]!]!;
}

/** The float32 bit pattern of one float16 bit pattern. */
export function halfToFloatBits(half: number): number {
  return halfToFloatTable()[half]!;
}

/** Widens bfloat16 values into float32 bit patterns at `target[at…]`; exact. */
export function widenBfloat(source: Uint16Array, target: Uint32Array, at: number): void {
  for (let i = 0; i < source.length; i++) target[at + i] = source[i]! << 16;
}

const floatScratch = new Float32Array(1);
const bitScratch = new Uint32Array(floatScratch.buffer);

/** Rounds float32 values to float16 bit patterns, ties to even; what is too large becomes infinity. */
export function narrowToHalf(source: Float32Array): Uint16Array {
  const target = new Uint16Array(source.length);
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) {
    const value = bits[i]!;
    const sign = (value >>> 16) & 0x8000;
    const magnitude = value & 0x7fffffff;
    let half: number;
    if (magnitude > 0x7f800000) {
      half = 0x7e00; // NaN
    } else if (magnitude >= 0x477ff000) {
      half = 0x7c00; // 65520 and above round to infinity
    } else if (magnitude >= 0x38800000) {
      const odd = (magnitude >>> 13) & 1;
      half = (magnitude - 0x38000000 + 0xfff + odd) >>> 13;
    } else {
      // Below 2^-14: adding 0.5 leaves the float16 subnormal, rounded to even, in the lowest bits.
      bitScratch[0] = magnitude;
      floatScratch[0] = floatScratch[0]! + 0.5;
      half = bitScratch[0]! - 0x3f000000;
    }
    target[i] = sign | half;
  }
  return target;
}
