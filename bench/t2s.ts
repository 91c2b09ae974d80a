/**
 * Measures text-to-semantic decoding at full size, with random weights or a checkpoint of one's own:
 *
 *     npx tsx bench/t2s.ts [CHECKPOINT] [--threads N] [--rows 1,2,4,8] [--steps N] [--json]
 *
 * A sentence has 60 phonemes and a prompt of 100 tokens, so steps run at cache lengths from 160 up. Prints load time,
 * prefill, tokens a second for each number of rows, and memory against the weights. The figures are medians of rounds
 * that take turns, since the machine is seldom alone.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import { openRuntime } from '../src/engine/onnxruntime.js';
import { type RowRequest, SemanticDecoder } from '../src/engine/semantic-decoder.js';
import { buildText2Semantic, readText2SemanticSettings } from '../src/models/text2semantic.js';
import { writeModelFile } from '../src/onnx/model-file.js';
import { writeWeightsFile } from '../src/onnx/weights-file.js';
import { median, residentBytes, round } from './figures.js';
import { randomText2Semantic } from './random-checkpoint.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    rows: { type: 'string', default: '1,2,4,8' },
    steps: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'timbre-bench-t2s-'));
try {
  const figures = measure(folder, Number(flags.threads), flags.rows.split(',').map(Number), Number(flags.steps));
  if (flags.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(24)} ${value}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function measure(
  folder: string,
  threads: number,
  rowCounts: readonly number[],
  steps: number,
): Record<string, number | string> {
  const checkpoint = positionals[0] === undefined ? randomText2Semantic() : openCheckpoint(positionals[0]);
  const settings = readText2SemanticSettings(checkpoint);
  let start = performance.now();
  const graph = buildText2Semantic(checkpoint, settings);
  const weights = writeWeightsFile(join(folder, 'weights.safetensors'), [graph]);
  writeModelFile(join(folder, 't2s.onnx'), graph, weights);
  checkpoint.close();
  const compileMs = performance.now() - start;

  const runtime = openRuntime({ threads });
  runtime.selfCheck();
  globalThis.gc?.();
  const before = residentBytes();
  start = performance.now();
  const session = runtime.createSession(join(folder, 't2s.onnx'));
  const loadMs = performance.now() - start;
  const decoder = new SemanticDecoder(session, settings, { rows: Math.max(...rowCounts) });
  const loaded = residentBytes();

  const prefills: number[] = [];
  const stepMs = new Map<number, number[]>(rowCounts.map((rows) => [rows, []]));
  const request: RowRequest = {
    phonemeIds: Array.from({ length: 60 }, (_, index) => (index * 11) % settings.phonemeCount),
    bertFeatures: new Float32Array(60 * settings.bertWidth).fill(0.1),
    promptSemantic: Array.from({ length: 100 }, (_, index) => (index * 37) % settings.endToken),
    sampling: { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 },
    seed: 1,
    sentenceKey: 0,
    maxNewTokens: 1000,
  };
  let peak = loaded;
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const [rows, times] of stepMs) {
      const ids: number[] = [];
      for (let row = 0; row < rows; row++) {
        start = performance.now();
        ids.push(decoder.addRow({ ...request, seed: row }).row);
        prefills.push(performance.now() - start);
      }
      decoder.step();
      start = performance.now();
      for (let step = 0; step < steps && decoder.size === rows; step++) decoder.step();
      times.push((performance.now() - start) / steps);
      peak = Math.max(peak, residentBytes());
      for (const id of ids) decoder.removeRow(id);
    }
  }
  decoder.close();
  const figures: Record<string, number | string> = {
    'weights MB': round(weights.sizeBytes / 1e6, 1),
    'compile ms': round(compileMs, 0),
    'load ms': round(loadMs, 0),
    'prefill 160 ms': round(median(prefills), 1),
  };
  for (const [rows, times] of stepMs) {
    figures[`step b${rows} ms`] = round(median(times), 2);
    figures[`tokens/s b${rows}`] = round((1000 * rows) / median(times), 0);
    figures[`best tokens/s b${rows}`] = round((1000 * rows) / Math.min(...times), 0);
  }
  figures['resident / weights'] = round((loaded - before) / weights.sizeBytes, 2);
  figures['peak / weights'] = round((peak - before) / weights.sizeBytes, 2);
  return figures;
}
