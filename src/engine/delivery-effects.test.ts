import { describe, expect, it } from 'vitest';
import type { Delivery } from '../text/ssml.js';
import { deliveryEffects } from './delivery-effects.js';

const RATE_HZ = 16_000;
const PLAIN = { language: 'zh', rate: 1, volumeDb: 0, pitchSemitones: 0, voice: null, style: null } as const;

function sine(hz: number, seconds: number): Float32Array {
  return Float32Array.from({ length: seconds * RATE_HZ }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * i) / RATE_HZ));
}

/** Rising zero crossings a second. */
function pitchOf(samples: Float32Array): number {
  let crossings = 0;
  for (let i = 1; i < samples.length; i++) if ((samples[i - 1] ?? 0) < 0 && (samples[i] ?? 0) >= 0) crossings++;
  return (crossings * RATE_HZ) / samples.length;
}

function applied(delivery: Partial<Delivery>, samples: Float32Array, piece: number): Float32Array {
  const effects = deliveryEffects({ ...PLAIN, ...delivery });
  const parts: Float32Array[] = [];
  for (let at = 0; at < samples.length; at += piece) parts.push(effects.apply(samples.subarray(at, at + piece)));
  parts.push(effects.finish());
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

describe('deliveryEffects', () => {
  it.each([
    [12 / 3, 200 * 2 ** (4 / 12)],
    [-3, 200 * 2 ** (-3 / 12)],
    [40, 200 * 2 ** (6 / 12)],
  ])('at %s semitones makes 200 Hz into %s Hz, in the time that was asked for', (pitchSemitones, hz) => {
    const { paceFactor } = deliveryEffects({ ...PLAIN, pitchSemitones });
    // What the model makes at that pace is as much longer.
    const shifted = applied({ pitchSemitones }, sine(200, 2 / paceFactor), 700);
    expect(pitchOf(shifted) / hz).toBeCloseTo(1, 2);
    expect(shifted.length / RATE_HZ).toBeCloseTo(2, 2);
  });

  it('makes the same of any pieces', () => {
    const samples = sine(330, 0.5);
    expect(applied({ pitchSemitones: 2 }, samples, 7)).toEqual(applied({ pitchSemitones: 2 }, samples, 8000));
  });

  it('leaves plain speech as it is, changes volume in decibels, and stays within full scale', () => {
    const samples = sine(200, 0.1);
    expect(applied({}, samples, 300)).toEqual(samples);
    expect(deliveryEffects({ ...PLAIN, rate: 1.25 }).paceFactor).toBe(1.25);
    expect(applied({ volumeDb: -6 }, samples, 300)[20]! / samples[20]!).toBeCloseTo(0.501, 3);
    expect(Math.max(...applied({ volumeDb: 12 }, samples, 300))).toBe(1);
    expect(applied({ volumeDb: -Infinity }, samples, 300).every((sample) => sample === 0)).toBe(true);
  });
});
