/**
 * Measures the encoders in float32 and int8, with random weights in the official sizes or folders of one's own
 * (transformers' layout):
 *
 *     npm run bench -- encoders [--roberta FOLDER] [--hubert FOLDER] [--threads N] [--rounds N] [--json]
 *
 * RoBERTa reads 30 characters (32 tokens), HuBERT 5 s. For each: load and run with weights packed as they are loaded, and
 * mapped as they lie in the file; and the cosine of each position's features with those of float32, the least and the
 * mean. Medians of rounds that take turns.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Checkpoint } from '../src/checkpoint/checkpoint.js';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import { MAPPED_WEIGHTS } from '../src/engine/component-store.js';
import { openRuntime, output, type Session, type Tensors, tensor } from '../src/engine/onnxruntime.js';
import { buildBert, readBertSpec } from '../src/models/bert.js';
import { buildHubert, readHubertSpec } from '../src/models/hubert.js';
import type { GraphModel } from '../src/onnx/graph.js';
import { writeModelFile } from '../src/onnx/model-file.js';
import { writeWeightsFile } from '../src/onnx/weights-file.js';
import { environment, median, round } from './figures.js';
import { randomHubert, randomRoberta } from './random-checkpoint.js';

const { values: flags } = parseArgs({
  options: {
    roberta: { type: 'string' },
    hubert: { type: 'string' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});

const runtime = openRuntime({ threads: Number(flags.threads) });
const figures: Record<string, number | string> = environment();
const folder = mkdtempSync(join(tmpdir(), 'timbre-bench-encoders-'));
try {
  const roberta = opened(flags.roberta, randomRoberta);
  const bert = readBertSpec(roberta.checkpoint, roberta.config);
  const ids = BigInt64Array.from({ length: 32 }, (_, index) =>
    BigInt(100 + ((index * 7919) % (bert.vocabularySize - 100))),
  );
  measure('roberta 30 characters', (precision) => buildBert(roberta.checkpoint, bert, { precision }), {
    input_ids: tensor('int64', [ids.length], ids),
  });
  const hubert = opened(flags.hubert, randomHubert);
  const spec = readHubertSpec(hubert.checkpoint, hubert.config);
  const wave = Float32Array.from({ length: 80_000 }, (_, index) => 0.1 * Math.sin(index / 9) * Math.sin(index / 1900));
  measure('hubert 5 s', (precision) => buildHubert(hubert.checkpoint, spec, { precision }), {
    wave16k: tensor('float32', [1, wave.length], wave),
  });
  if (flags.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(44)} ${value}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function measure(name: string, build: (precision: 'fp32' | 'int8') => GraphModel, feeds: Tensors): void {
  const sessions: Record<string, Session> = {};
  for (const precision of ['fp32', 'int8'] as const) {
    const graph = build(precision);
    const weights = writeWeightsFile(join(folder, `${precision}.safetensors`), [graph]);
    const path = join(folder, `${precision}.onnx`);
    writeModelFile(path, graph, weights);
    figures[`${name}, ${precision}, weights MB`] = round(weights.sizeBytes / 1e6);
    for (const [layout, options] of [
      ['packed', {}],
      ['mapped', MAPPED_WEIGHTS],
    ] as const) {
      const used = process.cpuUsage();
      sessions[`${precision} ${layout}`] = runtime.createSession(path, options);
      const { user, system } = process.cpuUsage(used);
      figures[`${name}, ${precision} ${layout}, load processor ms`] = round((user + system) / 1000);
    }
  }
  const times = new Map<string, number[]>();
  const features = new Map<string, Float32Array>();
  const [{ name: outputName = '' } = {}] = Object.values(sessions)[0]?.outputs ?? [];
  for (let turn = 0; turn <= Number(flags.rounds); turn++) {
    for (const [kind, session] of Object.entries(sessions)) {
      const start = performance.now();
      features.set(kind, output(session.run(feeds), outputName, 'float32').data);
      if (turn > 0) times.set(kind, [...(times.get(kind) ?? []), performance.now() - start]);
    }
  }
  for (const [kind, values] of times) figures[`${name}, ${kind}, ms`] = round(median(values), 1);
  const width = sessions['fp32 packed']?.outputs[0]?.dims.at(-1);
  const exact = features.get('fp32 packed') ?? new Float32Array();
  const cosines = rowCosines(exact, features.get('int8 packed') ?? new Float32Array(), Number(width));
  figures[`${name}, int8, least cosine`] = round(Math.min(...cosines), 5);
  figures[`${name}, int8, mean cosine`] = round(cosines.reduce((sum, value) => sum + value, 0) / cosines.length, 5);
  for (const session of Object.values(sessions)) session.close();
}

function rowCosines(a: Float32Array, b: Float32Array, width: number): number[] {
  return Array.from({ length: a.length / width }, (_, row) => {
    let [dot, aa, bb] = [0, 0, 0];
    for (let at = row * width; at < (row + 1) * width; at++) {
      dot += (a[at] ?? 0) * (b[at] ?? 0);
      aa += (a[at] ?? 0) ** 2;
      bb += (b[at] ?? 0) ** 2;
    }
    return dot / Math.sqrt(aa * bb);
  });
}

function opened(
  path: string | undefined,
  random: () => { checkpoint: Checkpoint; config: unknown },
): { checkpoint: Checkpoint; config: unknown } {
  if (path === undefined) return random();
  const file = ['model.safetensors', 'pytorch_model.bin']
    .map((name) => join(path, name))
    .find((name) => existsSync(name));
  if (file === undefined) throw new Error(`${path} holds no weights in transformers' layout`);
  return { checkpoint: openCheckpoint(file), config: JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) };
}
