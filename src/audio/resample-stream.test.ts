import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatenate } from './concatenate.js';
import { createStreamResampler } from './resample-stream.js';

function tone(frequencyHz: number, rateHz: number, lengthSamples: number): Float32Array {
  return Float32Array.from(
    { length: lengthSamples },
    (_, i) => 0.5 * Math.sin((2 * Math.PI * frequencyHz * i) / rateHz),
  );
}

function resampleWhole(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  const resampler = createStreamResampler(fromHz, toHz);
  return concatenate([resampler.push(samples), resampler.finish()]);
}

describe('resampling a stream', () => {
  it('gives the same samples however the input is cut', () => {
    const input = tone(440, 16_000, 3000);
    fc.assert(
      fc.property(
        fc.constantFrom(8000, 22_050, 24_000, 44_100, 48_000),
        fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 12 }),
        (toHz, cuts) => {
          const resampler = createStreamResampler(16_000, toHz);
          const parts: Float32Array[] = [];
          let offset = 0;
          for (const cut of [...cuts, input.length]) {
            parts.push(resampler.push(input.slice(offset, offset + cut)));
            offset += cut;
          }
          parts.push(resampler.finish());
          expect(concatenate(parts)).toEqual(resampleWhole(input, 16_000, toHz));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps length, pitch and level between all rates that speech comes and goes in', () => {
    for (const fromHz of [16_000, 24_000, 32_000, 48_000]) {
      for (const toHz of [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]) {
        const out = resampleWhole(tone(1000, fromHz, fromHz), fromHz, toHz);
        expect(out).toHaveLength(toHz);
        const expected = tone(1000, toHz, toHz);
        // Away from the ends, where the tone begins and stops at once.
        const worst = out
          .subarray(200, toHz - 200)
          .reduce((max, v, i) => Math.max(max, Math.abs(v - expected[i + 200]!)), 0);
        expect([fromHz, toHz, worst < 2e-4]).toEqual([fromHz, toHz, true]);
      }
    }
  });

  it('removes what the lower rate cannot hold, by more than 70 dB', () => {
    const out = resampleWhole(tone(4600, 32_000, 32_000), 32_000, 8000);
    const worst = out.subarray(100, 7900).reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    expect(20 * Math.log10(worst / 0.5)).toBeLessThan(-70);
  });

  it('gives out all but half a filter of the input at once', () => {
    const resampler = createStreamResampler(32_000, 24_000);
    const out = resampler.push(tone(440, 32_000, 3200));
    expect(2400 - out.length).toBeLessThanOrEqual(Math.ceil((resampler.lookAheadSamples * 24) / 32) + 1);
    expect(resampler.lookAheadSamples / 32_000).toBeLessThan(0.0015);
  });
});
