import { describe, expect, it } from 'vitest';
import { harmonicsAbove, median, trackPitch, voiceFigures } from '../../scripts/eval-demo/pitch.js';
import { fillNormal } from '../../src/engine/random.js';

const RATE_HZ = 16_000;

/** Fifteen harmonics, each weaker than the last, of a fundamental that may move. */
function voiced(f0: (seconds: number) => number, seconds: number): Float32Array {
  let phase = 0;
  return Float32Array.from({ length: seconds * RATE_HZ }, (_, i) => {
    phase += (2 * Math.PI * f0(i / RATE_HZ)) / RATE_HZ;
    let sum = 0;
    for (let k = 1; k <= 15; k++) sum += Math.sin(k * phase) / k;
    return 0.1 * sum;
  });
}

function noise(seconds: number, scale = 0.1): Float32Array {
  const out = new Float32Array(seconds * RATE_HZ);
  fillNormal(out, { seed: 1, sentence: 0 }, 0, 0);
  return out.map((value) => value * scale);
}

describe('the pitch tracker', () => {
  for (const hz of [90, 147, 220, 310, 420]) {
    it(`reads a steady voice of ${hz} Hz within 1 %`, () => {
      const { hz: track } = trackPitch(voiced(() => hz, 0.5));
      const inside = track.subarray(3, track.length - 3);
      for (const found of inside) expect(Math.abs(found - hz) / hz).toBeLessThan(0.01);
    });
  }

  it('follows a falling tone', () => {
    const f0 = (seconds: number) => 300 - 300 * seconds;
    const { hz } = trackPitch(voiced(f0, 0.5));
    for (let f = 3; f < hz.length - 3; f++) {
      const expected = f0((160 * f + 200) / RATE_HZ);
      expect(Math.abs(hz[f]! - expected) / expected).toBeLessThan(0.03);
    }
  });

  it('hears no pitch in noise or in silence', () => {
    const { hz } = trackPitch(noise(1));
    expect(hz.filter((found) => found > 0).length / hz.length).toBeLessThan(0.05);
    expect([...trackPitch(new Float32Array(RATE_HZ)).hz].every((found) => found === 0)).toBe(true);
  });

  it('gives no frames for less than a frame of sound', () => {
    expect(trackPitch(new Float32Array(100)).hz.length).toBe(0);
  });
});

describe('harmonics', () => {
  it('stand far above what is between them in a voice', () => {
    expect(
      harmonicsAbove(
        voiced(() => 200, 0.5),
        4000,
        200,
      ),
    ).toBeGreaterThan(20);
  });

  it('do not in noise, nor over a hum that has no harmonics', () => {
    const values = Array.from({ length: 20 }, (_, k) => harmonicsAbove(noise(1), 2000 + 600 * k, 200));
    expect(Math.abs(median(values))).toBeLessThan(2.5);
    const hum = noise(1, 0.01).map((value, i) => value + 0.2 * Math.sin((2 * Math.PI * 200 * i) / RATE_HZ));
    expect(harmonicsAbove(hum, 8000, 200)).toBeLessThan(6);
  });
});

it('sums a voice up: voicing, median pitch, its spread', () => {
  const figures = voiceFigures([trackPitch(voiced(() => 200, 1)), trackPitch(noise(1))]);
  expect(figures.voicedShare).toBeGreaterThan(0.45);
  expect(figures.voicedShare).toBeLessThan(0.55);
  expect(figures.clearShare).toBeCloseTo(figures.voicedShare, 1);
  expect(figures.medianHz).toBeCloseTo(200, 0);
  expect(voiceFigures([]).voicedShare).toBe(0);
});

it('takes the middle of an even number of values between two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([3, 1, 2])).toBe(2);
});
