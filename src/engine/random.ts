/**
 * Random numbers that depend on nothing but their key and position: the same request draws the same numbers alone or
 * among others, in any order. Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
 */
export interface RandomKey {
  /** The request's seed, uint32. */
  readonly seed: number;
  /** The sentence within the request, uint32. */
  readonly sentence: number;
}

/** What numbers are drawn for; each purpose has its own sequence under one key. */
export const RANDOM_STREAM = { tokens: 0, waveform: 1 } as const;
export type RandomStream = (typeof RANDOM_STREAM)[keyof typeof RANDOM_STREAM];

/** Fills `out` with standard normal numbers: lanes 0, 1, … of the step. */
export function fillNormal(out: Float32Array, key: RandomKey, step: number, stream: RandomStream): void {
  for (let lane = 0; lane < out.length; lane += 4) {
    philox4x32(step, lane >>> 2, 0, stream, key.seed, key.sentence, block);
    for (let pair = 0; pair < 4; pair += 2) {
      // Box–Muller: two uniform numbers give two independent normal ones.
      const radius = Math.sqrt(-2 * Math.log(toUniform(block[pair]!)));
      const angle = 2 * Math.PI * toUniform(block[pair + 1]!);
      if (lane + pair < out.length) out[lane + pair] = radius * Math.cos(angle);
      if (lane + pair + 1 < out.length) out[lane + pair + 1] = radius * Math.sin(angle);
    }
  }
}

/** A number in (0, 1), never 0 or 1: lane `lane` of the step. */
export function uniformAt(key: RandomKey, step: number, lane: number, stream: RandomStream): number {
  philox4x32(step, lane >>> 2, 0, stream, key.seed, key.sentence, block);
  return toUniform(block[lane & 3]!);
}

/** A number of the exponential distribution with mean 1, above 0: lane `lane` of the step. */
export function exponentialAt(key: RandomKey, step: number, lane: number, stream: RandomStream): number {
  return -Math.log(uniformAt(key, step, lane, stream));
}

/** The four words of a Philox4x32-10 block for a counter of four words and a key of two, all uint32. */
export function philox4x32(
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  let c0 = counter0 >>> 0;
  let c1 = counter1 >>> 0;
  let c2 = counter2 >>> 0;
  let c3 = counter3 >>> 0;
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

const block = new Uint32Array(4);

/** uint32 to the middle of one of 2³² equal parts of (0, 1). */
function toUniform(word: number): number {
  return (word + 0.5) / 0x1_0000_0000;
}

/** The upper 32 bits of a product of two uint32, from 16-bit halves since doubles hold 53 bits. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}
