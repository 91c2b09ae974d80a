import { describe, expect, it } from 'vitest';
import { exponentialAt, fillNormal, philox4x32, RANDOM_STREAM, uniformAt } from './random.js';

const TOKENS = RANDOM_STREAM.tokens;

describe('philox4x32', () => {
  // The known answers of the Random123 distribution (kat_vectors): counter, key, result.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('gives the published answer for %j', (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox4x32(counter[0] ?? 0, counter[1] ?? 0, counter[2] ?? 0, counter[3] ?? 0, key[0] ?? 0, key[1] ?? 0, out);
    expect([...out]).toEqual(expected);
  });
});

describe('distributions', () => {
  const key = { seed: 7, sentence: 3 };

  it('has uniform numbers strictly inside (0, 1) with the right mean and variance', () => {
    const values = Array.from({ length: 20_000 }, (_, lane) => uniformAt(key, 0, lane, TOKENS));
    expect(Math.min(...values)).toBeGreaterThan(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(Math.abs(mean(values) - 0.5)).toBeLessThan(0.01);
    expect(Math.abs(variance(values) - 1 / 12)).toBeLessThan(0.003);
  });

  it('has exponential numbers with mean and variance 1', () => {
    const values = Array.from({ length: 20_000 }, (_, lane) => exponentialAt(key, 5, lane, TOKENS));
    expect(Math.min(...values)).toBeGreaterThan(0);
    expect(Math.abs(mean(values) - 1)).toBeLessThan(0.03);
    expect(Math.abs(variance(values) - 1)).toBeLessThan(0.08);
  });

  it('has normal numbers with mean 0, variance 1 and the tails of the bell', () => {
    const values = new Float32Array(40_001);
    fillNormal(values, key, 0, RANDOM_STREAM.waveform);
    expect(Math.abs(mean(values))).toBeLessThan(0.02);
    expect(Math.abs(variance(values) - 1)).toBeLessThan(0.03);
    const beyondTwo = values.filter((value) => Math.abs(value) > 2).length / values.length;
    expect(Math.abs(beyondTwo - 0.0455)).toBeLessThan(0.005);
  });

  it('depends on seed, sentence, step, lane and stream, and on nothing else', () => {
    const base = uniformAt(key, 1, 2, TOKENS);
    expect(uniformAt({ seed: 8, sentence: 3 }, 1, 2, TOKENS)).not.toBe(base);
    expect(uniformAt({ seed: 7, sentence: 4 }, 1, 2, TOKENS)).not.toBe(base);
    expect(uniformAt(key, 2, 2, TOKENS)).not.toBe(base);
    expect(uniformAt(key, 1, 3, TOKENS)).not.toBe(base);
    expect(uniformAt(key, 1, 2, RANDOM_STREAM.waveform)).not.toBe(base);
    expect(uniformAt(key, 1, 2, TOKENS)).toBe(base);
  });

  it('gives a longer array the numbers of a shorter one first', () => {
    const short = new Float32Array(5);
    const long = new Float32Array(50);
    fillNormal(short, key, 9, RANDOM_STREAM.waveform);
    fillNormal(long, key, 9, RANDOM_STREAM.waveform);
    expect([...long.subarray(0, 5)]).toEqual([...short]);
  });
});

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: ArrayLike<number>): number {
  const centre = mean(values);
  return Array.from(values).reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length;
}
