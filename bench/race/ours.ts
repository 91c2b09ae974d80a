/**
 * Our contestant (see `race.ts`): a model of the store, in the precision it was imported in. Text-to-semantic and the
 * waveform run on this thread; the first packet is that of the whole engine, with its threads, from text. Arguments: data
 * folder, model, threads.
 */
import { createEngine } from '../../src/engine/engine.js';
import type { SynthesisRequest } from '../../src/engine/engine-types.js';
import { ModelStore, type StoredModel } from '../../src/engine/model-store.js';
import { openRuntime } from '../../src/engine/onnxruntime.js';
import { openText2Semantic } from '../../src/engine/open-text2semantic.js';
import { SemanticDecoder } from '../../src/engine/semantic-decoder.js';
import { WaveformDecoder, type WaveformSessions } from '../../src/engine/waveform-decoder.js';
import type { ModelSpec } from '../../src/models/model-spec.js';
import { SPEAKING_GRAPHS } from '../../src/models/sovits/sovits.js';
import type { Text2SemanticSettings } from '../../src/models/text2semantic.js';
import { residentBytes } from '../figures.js';
import { promptTokens, writePromptVoice } from '../prompt-voice.js';
import { type HeatResult, RACE, serveHeats } from './contestant.js';

const [dataDir = '', modelName = '', threads = '2'] = process.argv.slice(2);
const MAX_ROWS = 32;
/** 60 phonemes, two sentences' worth of which are never spoken in a heat: it ends with the first packet. */
const TEXT = 'The morning light came slowly over the quiet hills, and nobody was awake.';

const store = new ModelStore(dataDir);
const model = store.load(modelName);
const runtime = openRuntime({ threads: Number(threads) });
const decoder = openDecoder(model);
const waveform = openWaveform(model);
await writePromptVoice(dataDir, 'race', model);
const engine = await createEngine({ dataDir, threads: Number(threads), importDemo: false });

const settings = manifest('text2semantic').settings as Text2SemanticSettings;
const spec = manifest('sovits').settings as ModelSpec;
const phonemeIds = Array.from({ length: RACE.phonemes }, (_, index) => (index * 11) % settings.phonemeCount);
const globalEmbedding = Float32Array.from({ length: spec.globalEmbeddingWidth }, (_, index) => Math.sin(index));

await serveHeats(async (heat) => {
  switch (heat.heat) {
    case 't2s':
      return decode(heat.rows, heat.tokens);
    case 'waveform':
      return render();
    case 'first-packet':
      return firstPacket();
    case 'memory':
      return { residentBytes: residentBytes() };
  }
});

function decode(rows: number, tokens: number): HeatResult {
  const start = performance.now();
  const ids: number[] = [];
  for (let row = 0; row < rows; row++) {
    const event = decoder.addRow({
      phonemeIds,
      bertFeatures: null,
      promptSemantic: promptTokens(),
      sampling: { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 },
      seed: row,
      sentenceKey: Math.floor(Math.random() * 1e6),
      maxNewTokens: 1400,
    });
    ids.push(event.row);
  }
  const prefillMs = (performance.now() - start) / rows;
  const stepping = performance.now();
  let made = 0;
  for (let step = 0; step < tokens; step++) made += decoder.step().length;
  const stepsMs = performance.now() - stepping;
  for (const id of ids) decoder.removeRow(id);
  return { prefillMs, stepsMs, tokens: made };
}

function render(): HeatResult {
  const semanticTokens = Array.from({ length: RACE.tokens }, (_, index) => (index * 37) % spec.codebookSize);
  const noise = (_frame: number, out: Float32Array): void => {
    for (let index = 0; index < out.length; index++) out[index] = 3.4 * (Math.random() - 0.5);
  };
  const start = performance.now();
  let samples = 0;
  for (const window of waveform.decodeSentence({ semanticTokens, phonemeIds, globalEmbedding, noise })) {
    samples += window.length;
  }
  return { ms: performance.now() - start, audioSeconds: samples / spec.sampleRateHz };
}

async function firstPacket(): Promise<HeatResult> {
  const request: SynthesisRequest = {
    text: TEXT,
    voice: 'race',
    language: 'en',
    speed: 1,
    seed: Math.floor(Math.random() * 2 ** 32),
  };
  const start = performance.now();
  for await (const { samples } of engine.synthesize(request)) {
    return { ms: performance.now() - start, samples: samples.length };
  }
  throw new Error('no audio');
}

function openDecoder(stored: StoredModel): SemanticDecoder {
  const { text2semantic } = stored.manifests;
  if (!text2semantic) throw new Error('the model has no text-to-semantic');
  const sessions = openText2Semantic(store.components, text2semantic, runtime);
  return new SemanticDecoder(sessions, text2semantic.settings as Text2SemanticSettings, {
    rows: MAX_ROWS,
    maxLength: 1024,
  });
}

function openWaveform(stored: StoredModel): WaveformDecoder {
  const { sovits } = stored.manifests;
  if (!sovits) throw new Error('the model has no SoVITS');
  const sessions = SPEAKING_GRAPHS.map((graph) => [graph, store.components.createSession(sovits, graph, runtime)]);
  return new WaveformDecoder(sovits.settings as ModelSpec, Object.fromEntries(sessions) as unknown as WaveformSessions);
}

function manifest(kind: 'text2semantic' | 'sovits') {
  const found = model.manifests[kind];
  if (!found) throw new Error(`the model has no ${kind}`);
  return found;
}
