import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openReference } from '../../test/parity/reference.js';
import { textToPhonemes } from '../text/frontend.js';
import type { LanguageMode } from '../text/language.js';
import { importModel } from './import-model.js';
import { type InferenceThreads, startInferenceThreads } from './inference-threads.js';
import { ModelStore } from './model-store.js';
import { openRuntime } from './onnxruntime.js';
import { openSpeechModel, type SpeechModel } from './speech-model.js';

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
    threads = await startInferenceThreads(folder, 1);
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

  it('stops when the caller has gone', async () => {
    const sentence = await textToPhonemes('今天天气很好。', { language: 'zh', symbols: 'v2' });
    await expect(model.bertFeatures(sentence, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });
});
