import { narrowToHalf } from '../src/checkpoint/float-conversion.js';
import { TorchTensor } from './torch-zip.js';

/** Values of the quantised normal distribution: fine enough for weights, small enough for the first-level cache. */
const QUANTILES = 4096;

/** Makes weights that depend on nothing but the seed and the tensor's name, in whatever order they are asked for. */
export class RandomWeights {
  readonly #seed: number;
  readonly #normal = normalQuantiles(QUANTILES);

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** `mean + std * normal` as float16 or float32. */
  normal(name: string, shape: readonly number[], std: number, dtype: 'F16' | 'F32', mean = 0): TorchTensor {
    return new TorchTensor(dtype, shape, () => {
      const scaled = this.#normal.map((value) => mean + std * value);
      const table = dtype === 'F16' ? narrowToHalf(scaled) : scaled;
      const length = shape.reduce((product, size) => product * size, 1);
      const target = dtype === 'F16' ? new Uint16Array(length) : new Float32Array(length);
      fill(target, table, hash(name, this.#seed));
      return target;
    });
  }

  constant(shape: readonly number[], value: number, dtype: 'F16' | 'F32' | 'I64'): TorchTensor {
    const length = shape.reduce((product, size) => product * size, 1);
    return new TorchTensor(dtype, shape, () => {
      if (dtype === 'I64') return new BigInt64Array(length).fill(BigInt(value));
      const floats = new Float32Array(length).fill(value);
      return dtype === 'F16' ? narrowToHalf(floats) : floats;
    });
  }
}

/** Draws two quantiles from each 32-bit number of xorshift: about 1 ns an element. */
function fill(target: Uint16Array | Float32Array, table: Uint16Array | Float32Array, seed: number): void {
  let state = seed | 1;
  const even = target.length & ~1;
  for (let i = 0; i < even; i += 2) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    target[i] = table[state & 4095]!;
    target[i + 1] = table[(state >>> 16) & 4095]!;
  }
  if (even < target.length) target[even] = table[(state >>> 4) & 4095]!;
}

/** FNV-1a of the name, mixed with the seed. */
function hash(name: string, seed: number): number {
  let value = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) value = Math.imul(value ^ name.charCodeAt(i), 0x01000193);
  value ^= value >>> 15;
  return Math.imul(value, 0x2c1b3c6d);
}

/** The middle of each of `count` equally likely stretches of the normal distribution. */
function normalQuantiles(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => normalQuantile((i + 0.5) / count));
}

/** Inverse of the normal distribution function, by bisection of its complementary error function. */
function normalQuantile(probability: number): number {
  let low = -6;
  let high = 6;
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (normalDistribution(middle) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Abramowitz and Stegun 7.1.26, error below 1.5e-7. */
function normalDistribution(value: number): number {
  const x = Math.abs(value) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const upper = 0.5 * series * Math.exp(-x * x);
  return value < 0 ? upper : 1 - upper;
}
