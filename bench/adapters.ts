/**
 * Measures what adapters cost at full size (random weights): a step of text-to-semantic, in turns with the same rows without
 * any; and a window of the waveform, in turns with the same window without one:
 *
 *     npm run bench -- adapters [--precision int8|int8-onnxruntime|…] [--rows 8] [--rank 8] [--counts 0,1,2,8] [--waveform v2] [--only waveform]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openRuntime } from '../src/engine/onnxruntime.js';
import { WaveformDecoder, type WaveformSessions } from '../src/engine/waveform-decoder.js';
import { WaveformStream } from '../src/engine/waveform-stream.js';
import { type ModelSpec, readModelSpec } from '../src/models/model-spec.js';
import { type AdaptedGraph, adaptedModules, type SovitsAdapter } from '../src/models/sovits/adapter.js';
import { ADAPTER_GRAPHS, buildSovits, buildSovitsAdapters, SPEAKING_GRAPHS } from '../src/models/sovits/sovits.js';
import {
  ADAPTED_PRODUCTS,
  readText2SemanticSettings,
  type Text2SemanticSettings,
} from '../src/models/text2semantic.js';
import { adaptedWidths, type Text2SemanticAdapter } from '../src/models/text2semantic-adapter.js';
import { writeModelFile } from '../src/onnx/model-file.js';
import { writeWeightsFile } from '../src/onnx/weights-file.js';
import { environment, median, quantile, residentBytes, round } from './figures.js';
import type { FullSizeVersion } from './full-size-models.js';
import { randomSovits, randomText2Semantic } from './random-checkpoint.js';
import { benchRequest, buildDecoder, type FORMS } from './text2semantic-decoder.js';

const { values: flags } = parseArgs({
  options: {
    precision: { type: 'string', default: 'int8' },
    threads: { type: 'string', default: '2' },
    rows: { type: 'string', default: '8' },
    rank: { type: 'string', default: '8' },
    counts: { type: 'string', default: '0,1,2,8' },
    steps: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    waveform: { type: 'string', default: 'v2' },
    only: { type: 'string', default: '' },
  },
});

const runtime = openRuntime({ threads: Number(flags.threads) });
const folder = mkdtempSync(join(tmpdir(), 'timbre-bench-adapters-'));
try {
  const figures: Record<string, string> = environment();
  if (flags.only !== 'waveform') measureSteps(figures);
  if (flags.only !== 'steps') measureWindows(figures);
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(40)} ${value}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function measureSteps(figures: Record<string, string>): void {
  const checkpoint = randomText2Semantic();
  const settings = readText2SemanticSettings(checkpoint);
  const rows = Number(flags.rows);
  const { decoder } = buildDecoder(checkpoint, settings, {
    precision: flags.precision as (typeof FORMS)[number],
    runtime,
    folder,
    rows,
  });
  const adapters = Array.from({ length: rows }, (_, index) => randomAdapter(settings, Number(flags.rank), index));
  const times = new Map(flags.counts.split(',').map((count) => [Number(count), [] as number[]]));
  for (let turn = 0; turn < Number(flags.rounds); turn++) {
    for (const [count, list] of times) {
      const ids = Array.from({ length: rows }, (_, row) => {
        const adapterWeights = count === 0 ? null : adapters[row % count]!;
        return decoder.addRow({ ...benchRequest(settings, row), adapterWeights }).row;
      });
      decoder.step();
      for (let step = 0; step < Number(flags.steps); step++) {
        const start = performance.now();
        decoder.step();
        list.push(performance.now() - start);
      }
      for (const id of ids) decoder.removeRow(id);
    }
  }
  const base = times.get(0) ?? [];
  for (const [count, list] of times) {
    figures[`${flags.precision}, ${rows} rows, ${count} adapters of rank ${flags.rank}`] = against(list, base);
  }
  decoder.close();
}

/** Windows of a sentence of 60 phonemes and 150 tokens, the generator in fp32 (in int8 the same milliseconds are more of it). */
function measureWindows(figures: Record<string, string>): void {
  const checkpoint = randomSovits(flags.waveform as FullSizeVersion);
  const spec = readModelSpec(checkpoint);
  const graphs = { ...buildSovits(checkpoint, spec), ...buildSovitsAdapters(checkpoint, spec) };
  const plainGraphs = Object.values(buildSovits(checkpoint, spec));
  const without = writeWeightsFile(join(folder, 'plain.safetensors'), plainGraphs).sizeBytes;
  const weights = writeWeightsFile(join(folder, 'weights.safetensors'), Object.values(graphs));
  figures['weights of the model without and with graphs for adapters'] =
    `${round(without / 1e6, 1)} and ${round(weights.sizeBytes / 1e6, 1)} MB`;
  const sessionOf = (name: keyof typeof graphs) => {
    const path = join(folder, `${name}.onnx`);
    writeModelFile(path, graphs[name], weights);
    return runtime.createSession(path);
  };
  const sessions = Object.fromEntries(SPEAKING_GRAPHS.map((name) => [name, sessionOf(name)]));
  const openAdapted = (graph: AdaptedGraph) => sessionOf(ADAPTER_GRAPHS[graph]);
  const plain = new WaveformDecoder(spec, sessions as unknown as WaveformSessions, { openAdapted }); // one for each name
  const adapter = randomSovitsAdapter(spec, Number(flags.rank));
  figures[`waveform adapter of rank ${flags.rank}`] = `${round(adapter.sizeBytes / 1e6, 1)} MB`;
  const [before, start] = [residentBytes(), performance.now()];
  const decoders = { without: plain, with: plain.adapted(adapter) };
  figures['graphs for adapters, opened once'] =
    `${round(performance.now() - start)} ms, ${round((residentBytes() - before) / 1e6)} MB`;
  const times = { first: { without: [], with: [] }, later: { without: [], with: [] } } as Record<
    'first' | 'later',
    Record<'without' | 'with', number[]>
  >;
  for (let turn = 0; turn <= 3 * Number(flags.rounds); turn++) {
    const streams = Object.entries(decoders).map(([name, decoder]) => {
      const stream = new WaveformStream(decoder, {
        phonemeIds: Array.from({ length: 60 }, (_, index) => (index * 11) % spec.symbolCount),
        globalEmbedding: Float32Array.from({ length: spec.globalEmbeddingWidth }, (_, index) => Math.sin(index)),
        noise: (_frame, out) => out.fill(0),
      });
      stream.push(Array.from({ length: 150 }, (_, index) => (index * 37) % spec.codebookSize));
      stream.end();
      return { name: name as keyof typeof decoders, stream, first: true };
    });
    while (streams.some(({ stream }) => stream.ready)) {
      for (const entry of streams) {
        const start = performance.now();
        for (const piece of entry.stream.nextWindow()) if (piece.length === 0) throw new Error('an empty window');
        if (turn > 0) times[entry.first ? 'first' : 'later'][entry.name].push(performance.now() - start);
        entry.first = false;
      }
    }
  }
  for (const [which, { without: base, with: list }] of Object.entries(times)) {
    const name = `${flags.waveform}, a sentence's ${which === 'first' ? 'first window' : 'later windows'}`;
    figures[`${name}, no adapter`] = against(base, base);
    figures[`${name}, one of rank ${flags.rank}`] = against(list, base);
  }
  plain.close();
}

function against(list: readonly number[], base: readonly number[]): string {
  const more = (share: number) => `${round(100 * (quantile(list, share) / quantile(base, share) - 1))} %`;
  return `${round(median(list), 2)} ms (+${more(0.5)}), fastest tenth ${round(quantile(list, 0.1), 2)} ms (+${more(0.1)})`;
}

function randomSovitsAdapter(spec: ModelSpec, rank: number): SovitsAdapter {
  const values = (length: number) => Float32Array.from({ length }, (_, index) => 0.01 * Math.sin(index));
  let sizeBytes = 0;
  const changes = new Map(
    [...adaptedModules(spec)].map(([name, module]) => {
      const change = {
        a: values(rank * module.inputs * (module.kernel ?? 1)),
        b: values(module.outputs * rank),
      };
      sizeBytes += 4 * (change.a.length + change.b.length);
      return [name, change] as const;
    }),
  );
  return { rank, changes, sizeBytes };
}

function randomAdapter(settings: Text2SemanticSettings, rank: number, seed: number): Text2SemanticAdapter {
  const values = (length: number) => Float32Array.from({ length }, (_, index) => 0.01 * Math.sin(index + seed));
  const changes = new Map(
    Array.from({ length: settings.layers }, (_, layer) =>
      ADAPTED_PRODUCTS.map((product) => {
        const { inputs, outputs } = adaptedWidths(product, settings);
        return [`${layer}.${product}`, { a: values(inputs * rank), b: values(rank * outputs) }] as const;
      }),
    ).flat(),
  );
  return { rank, changes, sizeBytes: 0 };
}
