import { describe, expect, it } from 'vitest';
import { textToPhonemes } from '../text/frontend.js';
import type { SpeechModel } from './speech-model.js';
import { synthesize } from './synthesize.js';
import type { VoiceProfile } from './voice-profile.js';

const voice = { name: 'anna', prompt: null } as VoiceProfile;

/** A model whose n-th draw of a sentence can be heard or not; a token says which draw it is of. */
function modelThatIs(heard: readonly boolean[]): SpeechModel {
  return {
    name: 'scripted',
    digest: 'd',
    sampleRateHz: 16_000,
    symbols: 'v2',
    enrolment: {} as SpeechModel['enrolment'], // nobody is enrolled
    load: async () => {},
    phonemes: (text, { language, readings = [] }) => textToPhonemes(text, { language, readings, symbols: 'v2' }),
    bertFeatures: async () => null,
    async *semanticTokens({ firstDraw = 0 }) {
      yield { tokens: Int32Array.of(firstDraw), finished: 'end' };
    },
    async *waveform({ semanticTokens }) {
      for await (const { tokens } of semanticTokens) {
        const draw = tokens[0] ?? 0;
        yield new Float32Array(8000).fill(heard[draw] ? 0.1 * (draw + 1) : 0);
      }
    },
  };
}

async function speak(heard: readonly boolean[]): Promise<{ peak: number; lengthSamples: number; faults: string[] }> {
  const faults: string[] = [];
  const request = { text: '您好。', voice: 'anna', language: 'zh', speed: 1, seed: 1 } as const;
  const control = { onFault: (fault: string, outcome: string) => void faults.push(`${fault} ${outcome}`) };
  let peak = 0;
  let lengthSamples = 0;
  for await (const { samples } of synthesize(request, { profile: voice, adapter: null }, modelThatIs(heard), control)) {
    lengthSamples += samples.length;
    for (const sample of samples) peak = Math.max(peak, sample);
  }
  return { peak, lengthSamples, faults };
}

describe('a sentence that comes out silent', () => {
  it('is drawn again, and nothing of the silence is heard', async () => {
    const { peak, lengthSamples, faults } = await speak([false, true]);
    expect(peak).toBeCloseTo(0.2);
    expect(lengthSamples).toBe(8000);
    expect(faults).toEqual(['silent redrawn']);
  });

  it('is drawn twice more at most, and then given as it is', async () => {
    const { peak, lengthSamples, faults } = await speak([false, false, false]);
    expect([peak, lengthSamples]).toEqual([0, 8000]);
    expect(faults).toEqual(['silent redrawn', 'silent redrawn']);
  });

  it('is not one that can be heard', async () => {
    expect(await speak([true])).toMatchObject({ lengthSamples: 8000, faults: [] });
  });
});
