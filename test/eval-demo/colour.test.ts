import { describe, expect, it } from 'vitest';
import { colourOf, colourShift, distance, envelopeOf } from '../../scripts/eval-demo/colour.js';
import { zeroShotTable } from '../../scripts/eval-demo/report.js';
import { resampleHighQuality } from '../../src/audio/resample.js';

const RATE_HZ = 16_000;

/** A second of vowel: harmonics of `f0` under two resonances. */
function vowel(f0: number, first: number, second: number): Float32Array {
  const weights: [hz: number, weight: number][] = [];
  for (let hz = f0; hz < 7000; hz += f0) {
    const near = (resonance: number) => 1 / (1 + ((hz - resonance) / 120) ** 2);
    weights.push([hz, near(first) + 0.5 * near(second) + 0.02]);
  }
  return Float32Array.from({ length: RATE_HZ }, (_, i) =>
    weights.reduce((sum, [hz, weight]) => sum + 0.1 * weight * Math.sin((2 * Math.PI * hz * i) / RATE_HZ), 0),
  );
}

const usual = [vowel(200, 500, 1500), vowel(210, 700, 1200)];
const larger = usual.map((samples) => resampleHighQuality(samples, 5, 6));

describe('the shift of a voice towards another', () => {
  it('is nothing where the voice stayed as it was', () => {
    const colour = colourOf(usual);
    const shift = colourShift(colour, colourOf(larger), colour, colour);
    expect(shift.envelopeShare).toBeCloseTo(0, 6);
    expect(shift.pitchShare).toBeCloseTo(0, 6);
  });

  it('is the whole way where it became the other', () => {
    const shift = colourShift(colourOf(usual), colourOf(larger), colourOf(usual), colourOf(larger));
    expect(shift.envelopeShare).toBeCloseTo(1, 6);
    expect(shift.direction).toBeCloseTo(1, 6);
    expect(shift.pitchShare).toBeCloseTo(1, 6);
  });

  it('points elsewhere where the voice changed, but not to the one asked for', () => {
    const smaller = usual.map((samples) => resampleHighQuality(samples, 6, 5));
    const shift = colourShift(colourOf(usual), colourOf(larger), colourOf(usual), colourOf(smaller));
    expect(shift.direction).toBeLessThan(0.3);
    expect(shift.pitchShare).toBeLessThan(-0.8);
  });

  it('claims nothing of pitch where both speakers have the same', () => {
    const other = colourOf([vowel(203, 400, 2000), vowel(207, 900, 1500)]);
    expect(colourShift(colourOf(usual), other, colourOf(usual), other).pitchShare).toBeNull();
  });

  it('brings a sentence nearer to the speaker it becomes', () => {
    const wanted = envelopeOf(larger);
    expect(distance(envelopeOf([larger[0]!]), wanted)).toBeLessThan(distance(envelopeOf([usual[0]!]), wanted));
  });
});

describe('the table of new speakers', () => {
  it('says how far each reference carried the voice', () => {
    const figures = {
      speaker: 'Chen Wang',
      language: 'zh',
      envelopeShare: 0.314,
      direction: 0.52,
      pitchShare: null,
      nearer: { right: 7, total: 10 },
    } as const;
    const [, row] = zeroShotTable({ zeroShot: [figures] });
    expect(row).toEqual(['Chen Wang (Mandarin)', '31 %', '0.52', 'no difference asked', '7 of 10']);
  });
});
