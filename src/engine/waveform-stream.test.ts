import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { joinWindows, SovitsUnderTest } from '../../test/parity/sovits-under-test.js';
import { fillNormal, RANDOM_STREAM } from './random.js';
import { firstWindowTokens, WaveformStream } from './waveform-stream.js';

const DEMO = fileURLToPath(new URL('../../demo-voice/s2.pth', import.meta.url));
/** Four windows and a rest. */
const COUNT = 50;
const TOKENS = Array.from({ length: COUNT }, (_, index) => (index * 197) % 1024);
const PHONEMES = Array.from({ length: 24 }, (_, index) => 100 + ((index * 31) % 500));

let sovits: SovitsUnderTest;
let globalEmbedding: Float32Array;

beforeAll(() => {
  sovits = new SovitsUnderTest(DEMO);
  const refer = Float32Array.from({ length: sovits.spec.referenceBins * 40 }, (_, index) => Math.sin(index * 12.9898));
  globalEmbedding = sovits.averageStyle([{ refer, frames: 40 }]);
});

afterAll(() => sovits.close());

describe('waveform of a sentence whose tokens are still coming', () => {
  it('is the same however the tokens come', () => {
    const atOnce = joinWindows(listen(TOKENS, [COUNT]));
    const onTheGo = joinWindows(listen(TOKENS, new Array<number>(COUNT).fill(1)));
    const inPieces = joinWindows(listen(TOKENS, [3, 0, 21, 10, 16]));
    expect(onTheGo).toEqual(atOnce);
    expect(inPieces).toEqual(atOnce);
  });

  it('begins after so many tokens as it says, a dozen in an official size, and leaves none out', () => {
    const { spec } = sovits;
    const first = firstWindowTokens(spec);
    expect(first).toBe(8);
    expect(firstWindowTokens({ ...spec, generator: { ...spec.generator, initialChannels: 512 } })).toBe(12);
    const stream = open();
    for (const [count, token] of TOKENS.entries()) {
      expect(stream.ready).toBe(count >= first);
      if (stream.ready) break;
      stream.push([token]);
    }
    expect(joinWindows(listen(TOKENS, [COUNT])).length).toBe(COUNT * 2 * sovits.spec.hopSamples);
    for (const count of [1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 20]) {
      expect(joinWindows(listen(TOKENS.slice(0, count), [count])).length).toBe(count * 2 * sovits.spec.hopSamples);
    }
  });

  it('gives nothing without tokens', () => {
    const stream = open();
    expect([...stream.nextWindow()]).toEqual([]);
    stream.end();
    expect(stream.ready).toBe(false);
    expect(stream.over).toBe(true);
  });

  it.each([0.5, 0.77, 1.3, 2])('lasts as long as the pace %d says', (speed) => {
    const samples = joinWindows(listen(TOKENS, [30, 20], { speed }));
    expect(samples.length / sovits.spec.hopSamples).toBeCloseTo((2 * COUNT) / speed, -1);
  });

  it('takes another pace in small steps from the next window on, without going back', () => {
    const stream = open();
    stream.push(TOKENS.slice(0, 20));
    const before = joinWindows(stream.nextWindow());
    expect(before).toEqual(joinWindows(listen(TOKENS, [COUNT])).subarray(0, before.length));
    stream.speed = 2;
    stream.push(TOKENS.slice(20));
    stream.end();
    const after = joinWindows(rest(stream));
    const frames = (before.length + after.length) / sovits.spec.hopSamples;
    // 12 to 16 frames at the old pace, then the rest that gets faster for half a second.
    expect(frames).toBeGreaterThan(12 + 84 / 2);
    expect(frames).toBeLessThan(16 + 84 / 2 + 20);
  });

  it.each([0.5, 1, 1.3, 2])('knows before its last window when each phoneme begins, at pace %d', (speed) => {
    const stream = open({ speed });
    stream.push(TOKENS.slice(0, 30));
    let lengthSamples = 0;
    while (stream.ready) lengthSamples += joinWindows(stream.nextWindow()).length;
    expect(stream.phonemeStarts).toBe(null);
    stream.push(TOKENS.slice(30));
    stream.end();
    for (const window of rest(stream)) lengthSamples += window.length;
    const starts = [...(stream.phonemeStarts ?? [])];
    expect(starts).toHaveLength(PHONEMES.length + 1);
    expect([starts[0], starts.at(-1)]).toEqual([0, lengthSamples]);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
  });

  it('stops between two pieces once aborted', () => {
    const abort = new AbortController();
    const stream = open({ signal: abort.signal });
    stream.push(TOKENS);
    const windows = stream.nextWindow();
    expect(windows.next().done).toBe(false);
    abort.abort(new Error('the caller left'));
    expect(() => [...stream.nextWindow()]).toThrow('the caller left');
  });
});

function open(options: { readonly speed?: number; readonly signal?: AbortSignal } = {}): WaveformStream {
  return new WaveformStream(sovits.decoder, {
    phonemeIds: PHONEMES,
    globalEmbedding,
    noise: (frame, out) => fillNormal(out, { seed: 5, sentence: 0 }, frame, RANDOM_STREAM.waveform),
    ...options,
  });
}

/** The windows of a stream that gets its tokens in pieces and is read as soon as there is something. */
function* listen(tokens: readonly number[], pieces: readonly number[], options = {}): Generator<Float32Array> {
  const stream = open(options);
  let sent = 0;
  for (const piece of pieces) {
    stream.push(tokens.slice(sent, sent + piece));
    sent += piece;
    while (stream.ready) yield* stream.nextWindow();
  }
  stream.end();
  yield* rest(stream);
}

function* rest(stream: WaveformStream): Generator<Float32Array> {
  while (stream.ready) yield* stream.nextWindow();
}
