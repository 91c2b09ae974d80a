import { describe, expect, it } from 'vitest';
import { halfToFloatBits, narrowToHalf, widenBfloat, widenHalf } from './float-conversion.js';

/** Independent of the implementation: the definition of IEEE 754 binary16. */
function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const ALL_HALVES = Uint16Array.from({ length: 65_536 }, (_, half) => half);

function widenAll(): Float32Array {
  const target = new Float32Array(65_536);
  widenHalf(ALL_HALVES, new Uint32Array(target.buffer), 0);
  return target;
}

describe('float16', () => {
  it('widens every value exactly', () => {
    const wide = widenAll();
    expect([...wide].every((value, half) => Object.is(value, Math.fround(halfValue(half))))).toBe(true);
    expect(halfToFloatBits(0x3c00)).toBe(0x3f800000);
  });

  it('comes back unchanged from float32', () => {
    const halves = narrowToHalf(widenAll());
    const changed = ALL_HALVES.filter((half, i) => halves[i] !== half && !Number.isNaN(halfValue(half)));
    expect([...changed]).toEqual([]);
    const nan = ALL_HALVES.filter((half) => Number.isNaN(halfValue(half)));
    expect(nan.every((half) => Number.isNaN(halfValue(halves[half] ?? 0)))).toBe(true);
  });

  it('rounds to the nearest value, ties to even', () => {
    for (let half = 0; half < 0x7bff; half++) {
      const [low, high] = [halfValue(half), halfValue(half + 1)];
      const middle = (low + high) / 2;
      const nudge = (high - low) / 1024;
      const even = half % 2 === 0 ? half : half + 1;
      const rounded = narrowToHalf(Float32Array.of(middle - nudge, middle, middle + nudge, -middle));
      expect([...rounded]).toEqual([half, even, half + 1, even | 0x8000]);
    }
  });

  it('overflows to infinity from 65520 and keeps 65519', () => {
    expect([...narrowToHalf(Float32Array.of(65_519, 65_520, -1e9))]).toEqual([0x7bff, 0x7c00, 0xfc00]);
  });
});

describe('bfloat16', () => {
  it('is the upper half of a float32', () => {
    const target = new Float32Array(4);
    widenBfloat(Uint16Array.of(0x3f80, 0xc040, 0x7f80), new Uint32Array(target.buffer), 1);
    expect([...target]).toEqual([0, 1, -3, Number.POSITIVE_INFINITY]);
  });
});
