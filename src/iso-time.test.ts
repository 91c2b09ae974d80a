import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isoTime } from './iso-time.js';

it('is what Date writes, at any time and in any order', () => {
  const timesMs = fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(2200, 0, 1) });
  const near = fc.tuple(timesMs, fc.array(fc.integer({ min: 0, max: 2500 }), { minLength: 1 }));
  fc.assert(
    fc.property(near, ([beginMs, steps]) => {
      for (const step of steps) expect(isoTime(beginMs + step)).toBe(new Date(beginMs + step).toISOString());
    }),
  );
});

it('is now, where no time is given', () => {
  const before = new Date().toISOString();
  const now = isoTime();
  expect(now >= before && now <= new Date().toISOString()).toBe(true);
});
