/**
 * The naive contestant (see `race.ts`): float32 graphs with a concatenated cache and a waveform graph in one piece,
 * through the stock onnxruntime-node binding. Arguments: folder to write the graphs to, version, threads.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { createSampler, TokenHistory } from '../../src/engine/sampler.js';
import { readModelSpec } from '../../src/models/model-spec.js';
import { frameMap } from '../../src/models/sovits/flow.js';
import { framesOfTokens } from '../../src/models/sovits/text-encoder.js';
import { readText2SemanticSettings } from '../../src/models/text2semantic.js';
import type { GraphModel } from '../../src/onnx/graph.js';
import { writeModelFile } from '../../src/onnx/model-file.js';
import { writeWeightsFile } from '../../src/onnx/weights-file.js';
import { residentBytes } from '../figures.js';
import type { FullSizeVersion } from '../full-size-models.js';
import { randomSovits, randomText2Semantic } from '../random-checkpoint.js';
import { type HeatResult, RACE, serveHeats } from './contestant.js';
import { buildNaiveSovits } from './naive-sovits.js';
import { buildNaiveText2Semantic, firstStageMask } from './naive-text2semantic.js';

const [folder = '', version = 'v2', threads = '2'] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

const t2sCheckpoint = randomText2Semantic(version as FullSizeVersion);
const settings = readText2SemanticSettings(t2sCheckpoint);
const sovitsCheckpoint = randomSovits(version as FullSizeVersion);
const spec = readModelSpec(sovitsCheckpoint);

const options: InferenceSession.SessionOptions = { intraOpNumThreads: Number(threads), interOpNumThreads: 1 };
const open = (name: string, build: () => GraphModel): Promise<InferenceSession> => {
  const path = join(folder, `${name}.onnx`);
  if (!existsSync(path)) {
    const graph = build();
    writeModelFile(path, graph, writeWeightsFile(join(folder, `${name}.safetensors`), [graph]));
  }
  return InferenceSession.create(path, options);
};
const first = await open(`first-${version}`, () => buildNaiveText2Semantic(t2sCheckpoint, settings, 'first'));
const step = await open(`step-${version}`, () => buildNaiveText2Semantic(t2sCheckpoint, settings, 'step'));
const sovits = await open(`sovits-${version}`, () => buildNaiveSovits(sovitsCheckpoint, spec));

const sampler = createSampler(settings.vocabulary);
const sampling = { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 };
const phonemeIds = Array.from({ length: RACE.phonemes }, (_, index) => (index * 11) % settings.phonemeCount);
const promptTokens = Array.from({ length: RACE.promptTokens }, (_, index) => (index * 37) % settings.endToken);
const globalEmbedding = Float32Array.from({ length: spec.globalEmbeddingWidth }, (_, index) => Math.sin(index));

await serveHeats(async (heat) => {
  switch (heat.heat) {
    case 't2s': {
      const { prefillMs, stepsMs } = await decode(heat.rows, heat.tokens);
      return { prefillMs, stepsMs, tokens: heat.rows * heat.tokens };
    }
    case 'waveform':
      return waveform();
    case 'first-packet': {
      const start = performance.now();
      await decode(1, RACE.tokens);
      await waveform();
      return { ms: performance.now() - start };
    }
    case 'memory':
      return { residentBytes: residentBytes() };
  }
});

async function decode(rows: number, tokens: number): Promise<{ prefillMs: number; stepsMs: number }> {
  const repeat = (values: readonly number[]): BigInt64Array =>
    BigInt64Array.from(Array.from({ length: rows }, () => values).flat(), BigInt);
  const histories = Array.from({ length: rows }, () => {
    const history = new TokenHistory(settings.vocabulary);
    for (const token of promptTokens) history.add(token);
    return history;
  });
  const draw = (logits: Float32Array): BigInt64Array =>
    BigInt64Array.from(histories, (history, row) => {
      const columns = logits.subarray(row * settings.vocabulary, (row + 1) * settings.vocabulary - 1);
      const token = sampler.sample(columns, history, sampling, () => -Math.log(1 - Math.random()));
      history.add(token);
      return BigInt(token);
    });

  const start = performance.now();
  const length = RACE.phonemes + RACE.promptTokens;
  let results = await first.run({
    phonemes: new Tensor('int64', repeat(phonemeIds), [rows, RACE.phonemes]),
    bert: new Tensor('float32', new Float32Array(rows * RACE.phonemes * settings.bertWidth), [
      rows,
      RACE.phonemes,
      settings.bertWidth,
    ]),
    tokens: new Tensor('int64', repeat(promptTokens), [rows, RACE.promptTokens]),
    mask: new Tensor('float32', firstStageMask(RACE.phonemes, RACE.promptTokens), [length, length]),
  });
  let next = draw(results['logits']?.data as Float32Array);
  const prefillMs = performance.now() - start;
  const stepping = performance.now();
  for (let made = 0; made < tokens; made++) {
    const feeds: Record<string, Tensor> = {
      token: new Tensor('int64', next, [rows, 1]),
      position: new Tensor('int64', [BigInt(RACE.promptTokens + made)], [1]),
    };
    for (const [name, value] of Object.entries(results)) if (name !== 'logits') feeds[`past_${name}`] = value as Tensor;
    results = await step.run(feeds);
    next = draw(results['logits']?.data as Float32Array);
  }
  return { prefillMs, stepsMs: performance.now() - stepping };
}

async function waveform(): Promise<HeatResult> {
  const tokens = Array.from({ length: RACE.tokens }, (_, index) => (index * 37) % spec.codebookSize);
  const codes = framesOfTokens(spec, tokens);
  const frames = codes.length;
  const map = frameMap(frames, 1);
  const noise = Float32Array.from({ length: frames * spec.interChannels }, () => 1.7 * (Math.random() - 0.5));
  const start = performance.now();
  const { wave } = await sovits.run({
    text: new Tensor('int64', BigInt64Array.from(phonemeIds, BigInt), [RACE.phonemes]),
    codes: new Tensor('int64', codes, [frames]),
    ge: new Tensor('float32', globalEmbedding, [1, globalEmbedding.length, 1]),
    left: new Tensor('int64', map.left, [frames]),
    right: new Tensor('int64', map.right, [frames]),
    fraction: new Tensor('float32', map.fraction, [frames, 1]),
    noise: new Tensor('float32', noise, [frames, spec.interChannels]),
  });
  const samples = wave?.data.length ?? 0;
  return { ms: performance.now() - start, audioSeconds: samples / spec.sampleRateHz };
}
