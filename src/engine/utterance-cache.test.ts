import { describe, expect, it } from 'vitest';
import type { AudioChunk, SynthesisRequest } from './engine-types.js';
import { UtteranceCache, utteranceKey } from './utterance-cache.js';
import type { VoiceProfile } from './voice-profile.js';

const request: SynthesisRequest = { text: '您好', voice: 'anna', language: 'zh', speed: 1, seed: 7 };
const voice: VoiceProfile = {
  name: 'anna',
  language: 'zh',
  transcript: null,
  model: 'demo',
  modelDigest: 'd',
  version: 'v2',
  sampleRateHz: 32_000,
  prompt: null,
  globalEmbedding: Float32Array.of(1, 2, 3),
  recordings: [],
  warnings: [],
  createdAt: '2026-01-01T00:00:00Z',
};

function speech(count = 3): AudioChunk[] {
  return Array.from({ length: count }, (_, sentenceIndex) => ({
    samples: Float32Array.from({ length: 1000 }, (_, index) => 1.1 * Math.sin(index / 7 + sentenceIndex)),
    sampleRateHz: 32_000,
    sentenceIndex,
    sentenceCount: count,
  }));
}

function keyOf(asked: SynthesisRequest, from: VoiceProfile, model: string): string {
  return utteranceKey(asked, { voice: from, model, lexicon: '', adapters: {}, cast: [] });
}

async function* from(chunks: readonly AudioChunk[]): AsyncGenerator<AudioChunk, void, undefined> {
  yield* chunks;
}

async function collect(chunks: AsyncIterable<AudioChunk>): Promise<AudioChunk[]> {
  const all: AudioChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

function never(): AsyncGenerator<AudioChunk, void, undefined> {
  throw new Error('it was made again');
}

describe('the utterance cache', () => {
  it('replays the very samples of the first time', async () => {
    const cache = new UtteranceCache(1e6);
    const first = await collect(cache.replayOr('key', () => from(speech())));
    const again = await collect(cache.replayOr('key', never));
    expect(again).toEqual(first);
    expect(cache.statistics).toMatchObject({ hits: 1, misses: 1, entries: 1 });
  });

  it('keeps nothing of an utterance that was left, that failed or that changed on its way', async () => {
    const cache = new UtteranceCache(1e6);
    for await (const _ of cache.replayOr('left', () => from(speech()))) break;
    async function* failing(): AsyncGenerator<AudioChunk, void, undefined> {
      yield* speech();
      throw new Error('broken');
    }
    await expect(collect(cache.replayOr('failed', failing))).rejects.toThrow('broken');
    await collect(
      cache.replayOr(
        'changed',
        () => from(speech()),
        () => false,
      ),
    );
    expect(cache.statistics.entries).toBe(0);
  });

  it('does not let one long text push out everything else', async () => {
    const cache = new UtteranceCache(100_000);
    await collect(cache.replayOr('short', () => from(speech(2))));
    expect(await collect(cache.replayOr('long', () => from(speech(20))))).toHaveLength(20);
    expect(cache.statistics).toMatchObject({ entries: 1, evictions: 0 });
  });
});

describe('the key of an utterance', () => {
  it('differs with whatever changes the samples or whom they belong to', () => {
    const variants: [SynthesisRequest, VoiceProfile, string][] = [
      [request, voice, 'model'],
      [request, voice, 'other model'],
      [{ ...request, text: '你好' }, voice, 'model'],
      [{ ...request, seed: 8 }, voice, 'model'],
      [{ ...request, speed: 1.1 }, voice, 'model'],
      [{ ...request, sampling: { topK: 3 } }, voice, 'model'],
      [{ ...request, tenant: 'a' }, voice, 'model'],
      [{ ...request, tenant: 'b' }, voice, 'model'],
      [request, { ...voice, globalEmbedding: Float32Array.of(1, 2, 4) }, 'model'],
      [request, { ...voice, createdAt: '2026-01-02T00:00:00Z' }, 'model'],
    ];
    expect(new Set(variants.map(([asked, from, model]) => keyOf(asked, from, model))).size).toBe(variants.length);
  });

  it('is the same for the same request, whatever order its fields came in', () => {
    const { seed, ...rest } = request;
    expect(keyOf({ seed, ...rest }, { ...voice }, 'model')).toBe(keyOf(request, voice, 'model'));
  });

  it('changes with what a name stands for: the lexicon, the file of the adapter', () => {
    const asked = { ...request, adapter: 'sad' };
    const sources = { voice, model: 'model', lexicon: '', adapters: { '': '1' }, cast: [] };
    const others = [{ '': '2' }, { anna: '1' }].map((adapters) => ({ ...sources, adapters }));
    const keys = [sources, ...others, { ...sources, lexicon: 'digest' }].map((now) => utteranceKey(asked, now));
    expect(new Set(keys).size).toBe(keys.length);
  });
});
