import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatenate } from './concatenate.js';
import { decodeAudio } from './decode.js';
import { createEncoder, type Encoding } from './encode/encoder.js';
import { createStreamResampler } from './resample-stream.js';
import { createWatermarker } from './watermark.js';
import { detectWatermark, WATERMARK_THRESHOLD } from './watermark-detector.js';

function mark(samples: Float32Array, sampleRateHz: number): Float32Array {
  const marker = createWatermarker(sampleRateHz);
  return concatenate([marker.push(samples), marker.finish()]);
}

/** Speech of the demo voices, 3 and 4 s, without the mark. */
const clips = await Promise.all(
  ['demo-speech-zh', 'demo-speech-en'].map(async (name) => {
    const bytes = readFileSync(new URL(`fixtures/${name}.flac`, import.meta.url));
    const { channels, sampleRateHz } = await decodeAudio(bytes);
    return { name, samples: channels[0] ?? new Float32Array(), sampleRateHz };
  }),
);

async function through(
  encoding: Encoding,
  samples: Float32Array,
  inputHz: number,
  options: { outputHz?: number; bitrateKbps?: number } = {},
) {
  const encoder = await createEncoder({ encoding, inputHz, label: null, layout: 'stream', ...options });
  const { channels, sampleRateHz } = await decodeAudio(Buffer.concat([encoder.encode(samples), encoder.finish()]));
  return { samples: channels[0] ?? new Float32Array(), sampleRateHz };
}

describe('the watermark', () => {
  for (const { name, samples, sampleRateHz } of clips) {
    const marked = mark(samples, sampleRateHz);
    const found = (sound: Float32Array, rateHz = sampleRateHz) => detectWatermark(sound, rateHz);

    it(`is found in ${name} and not in what was not marked`, () => {
      expect(found(marked).score).toBeGreaterThan(WATERMARK_THRESHOLD + 2);
      expect(found(samples).score).toBeLessThan(WATERMARK_THRESHOLD - 1.5);
    });

    it(`lasts in ${name} through mp3 at 64 kbit/s, telephony at 8 kHz, other levels and cuts`, async () => {
      const length = marked.length;
      const resampler = createStreamResampler(sampleRateHz, 8000);
      const narrow = concatenate([resampler.push(marked), resampler.finish()]);
      const mp3 = await through('mp3', marked, sampleRateHz, { bitrateKbps: 64 });
      const opus = await through('opus', marked, sampleRateHz);
      const cases: [attack: string, sound: Float32Array, rateHz: number][] = [
        ['mp3 at 64 kbit/s', mp3.samples, mp3.sampleRateHz],
        ['opus at 32 kbit/s', opus.samples, opus.sampleRateHz],
        ['8 kHz', narrow, 8000],
        ['3 dB louder', marked.map((value) => value * 10 ** (3 / 20)), sampleRateHz],
        ['3 dB softer', marked.map((value) => value * 10 ** (-3 / 20)), sampleRateHz],
        ['the first 10 % cut', marked.subarray(Math.round(length * 0.1)), sampleRateHz],
        ['the last 10 % cut', marked.subarray(0, Math.round(length * 0.9)), sampleRateHz],
      ];
      for (const [attack, sound, rateHz] of cases) expect([attack, found(sound, rateHz).found]).toEqual([attack, true]);
    });

    it(`changes ${name} by less than 1 dB anywhere, 20 dB below the speech`, () => {
      let speech = 0;
      let change = 0;
      samples.forEach((value, i) => {
        speech += value * value;
        change += (value - marked[i]!) ** 2;
      });
      expect(10 * Math.log10(speech / change)).toBeGreaterThan(20);
    });
  }

  it('gives the same sound however it is cut, as long as it came, and holds back 32 ms', () => {
    const { samples, sampleRateHz } = clips[0]!;
    const sound = samples.subarray(0, 6000);
    const whole = mark(sound, sampleRateHz);
    expect(whole).toHaveLength(sound.length);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 5 }), (cuts) => {
        const marker = createWatermarker(sampleRateHz);
        const parts: Float32Array[] = [];
        let offset = 0;
        let came = 0;
        for (const cut of [...cuts, sound.length]) {
          const piece = sound.subarray(offset, offset + cut);
          parts.push(marker.push(piece));
          offset += cut;
          came = Math.min(sound.length, offset);
          const out = parts.reduce((sum, part) => sum + part.length, 0);
          expect(came - out).toBeLessThanOrEqual(0.032 * sampleRateHz);
        }
        parts.push(marker.finish());
        expect(concatenate(parts)).toEqual(whole);
      }),
      { numRuns: 8 },
    );
  });

  it('is there at every rate that a model has', () => {
    const { samples, sampleRateHz } = clips[1]!;
    for (const rateHz of [16_000, 24_000, 32_000, 48_000]) {
      const resampler = createStreamResampler(sampleRateHz, rateHz);
      const sound = concatenate([resampler.push(samples), resampler.finish()]);
      expect([rateHz, detectWatermark(mark(sound, rateHz), rateHz).found]).toEqual([rateHz, true]);
    }
  });

  it('is not seen in noise, tones or silence', () => {
    let state = 1;
    const noise = Float32Array.from({ length: 32_000 }, () => {
      state = (Math.imul(state, 1103515245) + 12345) | 0;
      return state / 2 ** 32;
    });
    const tone = Float32Array.from({ length: 32_000 }, (_, i) => Math.sin(i * 0.2));
    for (const sound of [noise, tone, new Float32Array(32_000), new Float32Array(10)]) {
      expect(detectWatermark(sound, 16_000).found).toBe(false);
    }
  });
});
