import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileInMemory, joinWindows, SovitsUnderTest } from '../../test/parity/sovits-under-test.js';
import { buildGenerator } from '../models/sovits/generator.js';
import { output, tensor } from './onnxruntime.js';
import { WaveformDecoder, type WaveformDecoderOptions } from './waveform-decoder.js';

const DEMO = fileURLToPath(new URL('../../demo-voice/s2.pth', import.meta.url));
const TOKENS = Array.from({ length: 60 }, (_, index) => (index * 197) % 1024);
const PHONEMES = Array.from({ length: 24 }, (_, index) => 100 + ((index * 31) % 500));

let sovits: SovitsUnderTest;
let globalEmbedding: Float32Array;

beforeAll(() => {
  sovits = new SovitsUnderTest(DEMO);
  const { referenceBins } = sovits.spec;
  globalEmbedding = sovits.averageStyle([{ refer: wave(referenceBins * 40, 0.4), frames: 40 }]);
});

afterAll(() => sovits.close());

describe('waveform decoder', () => {
  it.each([
    { windowFrames: 50, rows: 2 },
    { windowFrames: 17, rows: 1 },
    { windowFrames: 13, rows: 3 },
    { windowFrames: 1000, rows: 2 },
  ])('gives in windows of $windowFrames frames and $rows rows what one run over the sentence gives', (options) => {
    const frames = 120;
    const z = wave(sovits.spec.interChannels * frames, 1);
    const session = compileInMemory(buildGenerator(sovits.checkpoint, sovits.spec, 'whole'));
    const whole = session.run({
      z: tensor('float32', [1, sovits.spec.interChannels, frames], z),
      ge: tensor('float32', [1, globalEmbedding.length, 1], globalEmbedding),
    });
    session.close();
    const windows = [...decoder(options).generate({ frames, data: z }, globalEmbedding)];
    expect(windows.length).toBe(Math.ceil(frames / options.windowFrames));
    expect(largestDifference(joinWindows(windows), output(whole, 'wave', 'float32').data)).toBeLessThan(1e-5);
  });

  it.each([1, 0.5, 0.77, 1.3, 2])('makes exactly as many samples as announced at speed %d', (speed) => {
    const samples = joinWindows(decode({}, { speed }));
    expect(samples.length).toBe(sovits.decoder.lengthSamples(TOKENS.length, speed));
    const frames = TOKENS.length * 2;
    const expected = speed === 1 ? frames : Math.floor(frames / speed) + 1;
    expect(samples.length).toBe(expected * sovits.spec.hopSamples);
    expect(samples.every((sample) => Math.abs(sample) <= 1)).toBe(true);
  });

  it('makes the same samples from the same noise, and others from other noise', () => {
    const [first, again, other] = [0.3, 0.3, 0.7].map((phase) => joinWindows(decode({}, { phase })));
    expect(again).toEqual(first);
    expect(largestDifference(other as Float32Array, first as Float32Array)).toBeGreaterThan(1e-3);
  });

  it('stops at the next window once aborted', () => {
    const abort = new AbortController();
    const windows = decode({ windowFrames: 20 }, { signal: abort.signal });
    expect(windows.next().done).toBe(false);
    abort.abort(new Error('the caller left'));
    expect(() => windows.next()).toThrow('the caller left');
  });

  it('computes nothing for a caller who left before', () => {
    const windows = decode({}, { signal: AbortSignal.abort(new Error('gone')) });
    expect(() => windows.next()).toThrow('gone');
  });

  it('makes nothing of no tokens', () => {
    const nothing = { semanticTokens: [], phonemeIds: PHONEMES, globalEmbedding, noise: silence };
    expect([...sovits.decoder.decodeSentence(nothing)]).toEqual([]);
    expect(sovits.decoder.lengthSamples(0, 1.3)).toBe(0);
  });

  it('speaks a single token and a single phoneme', () => {
    const shortest = { semanticTokens: [5], phonemeIds: [100], globalEmbedding, noise: silence };
    expect(joinWindows(sovits.decoder.decodeSentence(shortest)).length).toBe(2 * sovits.spec.hopSamples);
  });
});

function decoder(options: WaveformDecoderOptions): WaveformDecoder {
  return new WaveformDecoder(sovits.spec, sovits.sessions, options);
}

function decode(
  options: WaveformDecoderOptions,
  { speed = 1, phase = 0.1, signal }: { speed?: number; phase?: number; signal?: AbortSignal },
): Generator<Float32Array, void, undefined> {
  return decoder(options).decodeSentence({
    semanticTokens: TOKENS,
    phonemeIds: PHONEMES,
    globalEmbedding,
    speed,
    noise: (frame, out) => out.set(wave(out.length, phase + frame)),
    ...(signal ? { signal } : {}),
  });
}

/** Values in [-1, 1] that look like noise and are the same everywhere. */
function wave(length: number, phase: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => Math.sin(index * 12.9898 + phase) * Math.cos(index * 0.7 * phase));
}

function silence(_frame: number, out: Float32Array): void {
  out.fill(0);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (b[index] ?? Number.NaN))), 0);
}
