/**
 * Measures what adapters cost a step at full size (random weights), in turns with the same rows without any:
 *
 *     npm run bench -- adapters [--precision int8] [--rows 8] [--rank 8] [--counts 0,1,2,8]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openRuntime } from '../src/engine/onnxruntime.js';
import type { Precision } from '../src/engine/quality-report.js';
import {
  ADAPTED_PRODUCTS,
  readText2SemanticSettings,
  type Text2SemanticSettings,
} from '../src/models/text2semantic.js';
import { adaptedWidths, type Text2SemanticAdapter } from '../src/models/text2semantic-adapter.js';
import { environment, median, quantile, round } from './figures.js';
import { randomText2Semantic } from './random-checkpoint.js';
import { benchRequest, buildDecoder } from './text2semantic-decoder.js';

const { values: flags } = parseArgs({
  options: {
    precision: { type: 'string', default: 'int8' },
    threads: { type: 'string', default: '2' },
    rows: { type: 'string', default: '8' },
    rank: { type: 'string', default: '8' },
    counts: { type: 'string', default: '0,1,2,8' },
    steps: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'timbre-bench-adapters-'));
try {
  const checkpoint = randomText2Semantic();
  const settings = readText2SemanticSettings(checkpoint);
  const rows = Number(flags.rows);
  const runtime = openRuntime({ threads: Number(flags.threads) });
  const { decoder } = buildDecoder(checkpoint, settings, {
    precision: flags.precision as Precision,
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
  const figures: Record<string, string> = environment();
  const base = times.get(0) ?? [];
  for (const [count, list] of times) {
    const more = (share: number) => `${round(100 * (quantile(list, share) / quantile(base, share) - 1))} %`;
    figures[`${flags.precision}, ${rows} rows, ${count} adapters of rank ${flags.rank}`] =
      `${round(median(list), 2)} ms (+${more(0.5)}), fastest tenth ${round(quantile(list, 0.1), 2)} ms (+${more(0.1)})`;
  }
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(40)} ${value}\n`);
  decoder.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
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
