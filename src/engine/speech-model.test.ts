import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openReference } from '../../test/parity/reference.js';
import { textToPhonemes } from '../text/frontend.js';
import type { LanguageMode, PhonemeSentence } from '../text/language.js';
import type { DecodeStatistics, SemanticPiece } from './decode-tasks.js';
import { importModel } from './import-model.js';
import { type InferenceThreads, startInferenceThreads } from './inference-threads.js';
import { ModelStore } from './model-store.js';
import { openRuntime } from './onnxruntime.js';
import { PaceControl } from './pace-control.js';
import type { RenderStatistics } from './render-tasks.js';
import { openSpeechModel, type SpeechModel } from './speech-model.js';
import type { VoiceProfile } from './voice-profile.js';

describe('a model with a BERT', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-speech-model-'));
  const reference = openReference();
  let threads: InferenceThreads;
  let model: SpeechModel;

  beforeAll(async () => {
    const store = new ModelStore(folder);
    const paths = ['s1_e2e.ckpt', 's2_v2.pth', 'hubert', 'roberta'].map((name) =>
      reference.path(`checkpoints/${name}`),
    );
    importModel({ name: 'small', paths }, store, openRuntime({ threads: 1 }));
    threads = startInferenceThreads(folder, 1);
    model = openSpeechModel(store.load('small'), store, threads);
  });

  afterAll(async () => {
    await threads.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** For each phoneme whether it has text features. */
  async function featured(text: string, language: LanguageMode): Promise<boolean[]> {
    const sentence = await textToPhonemes(text, { language, symbols: 'v2' });
    const features = (await model.bertFeatures(sentence)) ?? new Float32Array(0);
    const width = features.length / sentence.phonemeIds.length;
    return sentence.phonemeIds.map((_, row) => features.subarray(row * width, (row + 1) * width).some((x) => x !== 0));
  }

  it('gives every phoneme of Chinese its character, and none of English', async () => {
    expect((await featured('今天天气很好。', 'zh')).every(Boolean)).toBe(true);
    expect(await featured('Good morning to you.', 'en')).not.toContain(true);
    const mixed = await featured('我在Apple公司上班。', 'zh');
    expect(mixed.slice(0, 4)).toEqual([true, true, true, true]);
    expect(mixed.slice(4, 8)).toEqual([false, false, false, false]);
    expect(mixed.at(-1)).toBe(true);
  });

  it('gives Cantonese none, as the models were trained', async () => {
    expect(await featured('今日天氣好好。', 'yue')).not.toContain(true);
  });

  describe('semantic tokens', () => {
    const speaker = { prompt: null } as VoiceProfile;
    /** Long enough that no reader, however busy the machine, gets it in one piece. */
    const LONG = '今天天气很好，'.repeat(12);

    function tokensOf(text: PhonemeSentence, seed: number, signal?: AbortSignal) {
      const input = { voice: speaker, phonemes: text, bertFeatures: null, sampling: undefined, seed, sentenceIndex: 0 };
      return model.semanticTokens(input, signal);
    }

    it('come as they are decoded, and the last piece says why the sentence is over', async () => {
      const sentence = await textToPhonemes(LONG, { language: 'zh', symbols: 'v2' });
      const pieces: SemanticPiece[] = [];
      for await (const piece of tokensOf(sentence, 1)) pieces.push(piece);
      expect(pieces.length).toBeGreaterThan(1);
      expect(pieces.slice(0, -1).every((piece) => piece.finished === null && piece.tokens.length > 0)).toBe(true);
      expect(['end', 'limit']).toContain(pieces.at(-1)!.finished);
    });

    it('are the same for a reader that is slow, in fewer pieces', async () => {
      const sentence = await textToPhonemes(LONG, { language: 'zh', symbols: 'v2' });
      const brisk: SemanticPiece[] = [];
      for await (const piece of tokensOf(sentence, 2)) brisk.push(piece);
      const slow: SemanticPiece[] = [];
      const reader = tokensOf(sentence, 2);
      slow.push((await reader.next()).value as SemanticPiece);
      for await (const _ of tokensOf(sentence, 3)); // a whole sentence later
      for await (const piece of reader) slow.push(piece);
      expect(slow.flatMap((piece) => [...piece.tokens])).toEqual(brisk.flatMap((piece) => [...piece.tokens]));
      expect(slow.length).toBeLessThan(brisk.length);
    });

    it('are those of a sentence alone however many are decoded at once, and the thread tells how busy it was', async () => {
      const sentence = await textToPhonemes('请您稍等。', { language: 'zh', symbols: 'v2' });
      const read = async (seed: number): Promise<number[]> => {
        const tokens: number[] = [];
        for await (const piece of tokensOf(sentence, seed)) tokens.push(...piece.tokens);
        return tokens;
      };
      const alone = await read(3);
      const many = await Promise.all(Array.from({ length: 20 }, (_, seed) => read(seed)));
      expect(many[3]).toEqual(alone);
      const statistics = await threads.decode.call<DecodeStatistics>('statistics', {});
      expect(statistics).toMatchObject({ rows: 0, waiting: 0, queueAgeMs: 0 });
      expect(statistics.rowLimit).toBeGreaterThanOrEqual(8);
      expect(statistics.tokenCount / statistics.stepCount).toBeGreaterThan(1.5);
    });

    it('leave room for others when their readers go', async () => {
      const sentence = await textToPhonemes(LONG, { language: 'zh', symbols: 'v2' });
      // More than there are slots: had one of them kept its slot, the last would wait for ever.
      for (let seed = 0; seed < 20; seed++) for await (const _ of tokensOf(sentence, seed)) break;
      const abort = new AbortController();
      const reader = tokensOf(sentence, 4, abort.signal);
      await reader.next();
      abort.abort(new Error('enough'));
      await expect(reader.next()).rejects.toThrow('enough');
      let finished: SemanticPiece['finished'] = null;
      for await (const piece of tokensOf(sentence, 5)) finished = piece.finished;
      expect(finished).not.toBeNull();
    });
  });

  it('tells how busy the rendering thread was, and how much its listeners have still to hear', async () => {
    const sentence = await textToPhonemes('请您稍等。', { language: 'zh', symbols: 'v2' });
    const tokens = Int32Array.from({ length: 40 }, (_, index) => index);
    async function* pieces(): AsyncGenerator<SemanticPiece> {
      yield { tokens, finished: 'end' };
    }
    const voice = { globalEmbedding: new Float32Array(64).fill(0.1) } as VoiceProfile;
    const input = { voice, phonemes: sentence, semanticTokens: pieces(), pace: new PaceControl(1), seed: 1 };
    let windows = 0;
    let during: RenderStatistics | null = null;
    for await (const _ of model.waveform({ ...input, sentenceIndex: 0, playedOutMs: null })) {
      windows += 1;
      during ??= await threads.render.call<RenderStatistics>('statistics', {});
    }
    expect(during!.listeners).toBe(1);
    expect(during!.leastHeadroomMs).toBeGreaterThan(0);
    const after = await threads.render.call<RenderStatistics>('statistics', {});
    expect(after).toMatchObject({ listeners: 0, leastHeadroomMs: null, windowCount: windows });
    expect(after.windowSeconds).toBeGreaterThan(0);
  });

  it('stops when the caller has gone', async () => {
    const sentence = await textToPhonemes('今天天气很好。', { language: 'zh', symbols: 'v2' });
    await expect(model.bertFeatures(sentence, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });
});
