/**
 * Measures SoVITS at full size, with random weights or a checkpoint of one's own:
 *
 *     npx tsx bench/waveform.ts [CHECKPOINT | v2 | v2ProPlus …] [--threads N] [--rounds N] [--window FRAMES] [--json]
 *
 * A sentence has 60 phonemes and 150 tokens (6 s). Prints node counts, load times (as built, and as ONNX Runtime rewrote
 * them), and for each part the wall and the processor time, medians of rounds that take turns, since the machine is
 * seldom alone; processor time is the steadier of the two. The generator is measured whole, in both forms of
 * convolution, and in windows of one and two rows; the last stages of four windows one after the other, two by two, and in
 * one run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import { openRuntime, output, type Session, tensor } from '../src/engine/onnxruntime.js';
import { WaveformDecoder, type WaveformSessions } from '../src/engine/waveform-decoder.js';
import { type ModelSpec, readModelSpec } from '../src/models/model-spec.js';
import { frameMap } from '../src/models/sovits/flow.js';
import { buildGenerator, cutRate } from '../src/models/sovits/generator.js';
import { buildSovits, SPEAKING_GRAPHS } from '../src/models/sovits/sovits.js';
import type { GraphModel } from '../src/onnx/graph.js';
import { writeModelFile } from '../src/onnx/model-file.js';
import { writeWeightsFile } from '../src/onnx/weights-file.js';
import { median, residentBytes, round } from './figures.js';
import type { FullSizeVersion } from './full-size-models.js';
import { randomSovits } from './random-checkpoint.js';

const PHONEMES = 60;
const TOKENS = 150;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    window: { type: 'string', default: '50' },
    json: { type: 'boolean', default: false },
  },
});

type Figures = Record<string, number | string>;

for (const model of positionals.length > 0 ? positionals : ['v2', 'v2ProPlus']) {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-bench-waveform-'));
  try {
    const figures = { model, ...measure(folder, model) };
    if (flags.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
    else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(34)} ${value}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measure(folder: string, model: string): Figures {
  const checkpoint = isFullSize(model) ? randomSovits(model) : openCheckpoint(model);
  const spec = readModelSpec(checkpoint);
  const figures: Figures = {};
  const runtime = openRuntime({ threads: Number(flags.threads) });

  const start = performance.now();
  const graphs: Record<string, GraphModel> = { ...buildSovits(checkpoint, spec) };
  const weights = writeWeightsFile(join(folder, 'weights.safetensors'), Object.values(graphs));
  for (const graph of Object.values(graphs)) writeModelFile(join(folder, `${graph.name}.onnx`), graph, weights);
  figures['compile ms'] = round(performance.now() - start);
  figures['weights MB'] = round(weights.sizeBytes / 1e6, 1);

  const before = residentBytes();
  const sessions: Record<string, Session> = {};
  let raw = 0;
  let rewritten = 0;
  for (const name of SPEAKING_GRAPHS) {
    const graph = graphs[name] as GraphModel; // a graph for every name
    const path = join(folder, `${graph.name}.onnx`);
    const optimizedModelPath = join(folder, `${graph.name}.optimized.onnx`);
    runtime.createSession(path, { optimizedModelPath }).close();
    const [rawMs, session] = timed(() => runtime.createSession(path));
    const [rewrittenMs, again] = timed(() => runtime.createSession(optimizedModelPath, { optimization: 'none' }));
    again.close();
    sessions[name] = session;
    figures[`${name} nodes`] = graph.nodes.length;
    figures[`${name} load ms (rewritten)`] = `${round(rawMs)} (${round(rewrittenMs)})`;
    raw += rawMs;
    rewritten += rewrittenMs;
  }
  figures['all load ms (rewritten)'] = `${round(raw)} (${round(rewritten)})`;
  figures['resident MB after load'] = round((residentBytes() - before) / 1e6);

  const whole = { '1d': wholeGenerator('1d'), '2d': wholeGenerator('2d') };
  function wholeGenerator(convolution: '1d' | '2d'): Session {
    const graph = buildGenerator(checkpoint, spec, 'whole', { convolution });
    const own = writeWeightsFile(join(folder, `whole${convolution}.safetensors`), [graph]);
    const path = join(folder, `whole${convolution}.onnx`);
    writeModelFile(path, graph, own);
    return runtime.createSession(path);
  }
  checkpoint.close();

  Object.assign(figures, measureParts(spec, sessions as unknown as WaveformSessions, whole)); // one for each graph
  for (const session of [...Object.values(sessions), ...Object.values(whole)]) session.close();
  return figures;
}

function measureParts(spec: ModelSpec, sessions: WaveformSessions, whole: Record<'1d' | '2d', Session>): Figures {
  const windowFrames = Number(flags.window);
  const decoderOf = (rows: number): WaveformDecoder => new WaveformDecoder(spec, sessions, { windowFrames, rows });
  const [single, double] = [decoderOf(1), decoderOf(2)];
  const phonemeIds = Array.from({ length: PHONEMES }, (_, index) => (index * 11) % spec.symbolCount);
  const semanticTokens = Array.from({ length: TOKENS }, (_, index) => (index * 37) % spec.codebookSize);
  const globalEmbedding = Float32Array.from({ length: spec.globalEmbeddingWidth }, (_, index) => Math.sin(index));
  const noise = (_frame: number, out: Float32Array): void => {
    for (let index = 0; index < out.length; index++) out[index] = 3.4 * (Math.random() - 0.5);
  };
  const text = double.encodeText(phonemeIds);
  const latent = double.encodeTokens(semanticTokens, text, globalEmbedding);
  const map = frameMap(latent.frames, 1);
  const silence = new Float32Array(latent.frames * spec.interChannels);
  const z = double.flow(latent, map, globalEmbedding, silence);
  const runWhole = (session: Session): void => {
    const results = session.run({
      z: tensor('float32', [1, spec.interChannels, z.frames], z.data),
      ge: tensor('float32', [1, spec.globalEmbeddingWidth, 1], globalEmbedding),
    });
    output(results, 'wave', 'float32');
  };
  const seconds = (z.frames * spec.hopSamples) / spec.sampleRateHz;
  /** Four windows of two rows, so many in a run, as if they were of several callers. */
  function tailsOf(together: number): () => void {
    const channels = spec.generator.upsamples[0]?.channels ?? 0;
    const columns = cutRate(spec) * (windowFrames / 2 + 4);
    const data = Float32Array.from({ length: 2 * together * channels * columns }, (_, index) => Math.sin(index));
    const hidden = tensor('float32', [2 * together, channels, columns], data);
    return () => {
      for (let run = 0; run < 4 / together; run++) output(sessions.generatorTail.run({ hidden }), 'wave', 'float32');
    };
  }

  const parts: Record<string, () => void> = {
    text: () => void double.encodeText(phonemeIds),
    tokens: () => void double.encodeTokens(semanticTokens, text, globalEmbedding),
    flow: () => void double.flow(latent, map, globalEmbedding, silence),
    'generator whole, 1d': () => runWhole(whole['1d']),
    'generator whole, 2d': () => runWhole(whole['2d']),
    'generator windows, 1 row': () => drain(single.generate(z, globalEmbedding)),
    'generator windows, 2 rows': () => drain(double.generate(z, globalEmbedding)),
    ...Object.fromEntries([1, 2, 4].map((together) => [`tails of 4 windows, ${together} a run`, tailsOf(together)])),
    'first window': () => void double.generate(z, globalEmbedding).next(),
    'whole sentence': () =>
      drain(double.decodeSentence({ semanticTokens, phonemeIds, globalEmbedding, noise, noiseScale: 0.5 })),
  };
  const wall = new Map<string, number[]>();
  const processor = new Map<string, number[]>();
  for (let round = 0; round <= Number(flags.rounds); round++) {
    for (const [name, part] of Object.entries(parts)) {
      const used = process.cpuUsage();
      const [ms] = timed(part);
      const { user, system } = process.cpuUsage(used);
      if (round === 0) continue; // warms up
      wall.set(name, [...(wall.get(name) ?? []), ms]);
      processor.set(name, [...(processor.get(name) ?? []), (user + system) / 1000]);
    }
  }
  const figures: Figures = { 'audio s': round(seconds, 2) };
  for (const name of Object.keys(parts)) {
    figures[`${name} ms (processor)`] =
      `${round(median(wall.get(name) ?? []))} (${round(median(processor.get(name) ?? []))})`;
  }
  figures['real-time factor'] = round(median(wall.get('whole sentence') ?? []) / 1000 / seconds, 3);
  figures['best real-time factor'] = round(Math.min(...(wall.get('whole sentence') ?? [])) / 1000 / seconds, 3);
  return figures;
}

function isFullSize(model: string): model is FullSizeVersion {
  return ['v1', 'v2', 'v2Pro', 'v2ProPlus'].includes(model);
}

function drain(windows: Iterable<Float32Array>): void {
  for (const window of windows) if (window.length === 0) throw new Error('an empty window');
}

function timed<T>(work: () => T): [number, T] {
  const start = performance.now();
  const result = work();
  return [performance.now() - start, result];
}
