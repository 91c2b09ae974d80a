/**
 * Measures text-to-semantic decoding at full size, with random weights or a checkpoint of one's own:
 *
 *     npm run bench -- t2s [CHECKPOINT] [--threads N] [--rows 1,2,4,8] [--precisions fp32,int8,int8-onnxruntime,int4] [--json]
 *     npm run bench -- t2s --invariance 1000 [--precisions int8]   the same request alone and among 7 strangers
 *
 * Prints prefill and tokens a second by precision and rows, each the median of steps that take turns with those of the
 * other precisions, since the machine is seldom alone; beside it the fastest tenth, which neighbours disturb least. Then
 * the longest time between two steps of seven rows while sentences are prefilled in between.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import { openRuntime } from '../src/engine/onnxruntime.js';
import type { RowRequest, SemanticDecoder } from '../src/engine/semantic-decoder.js';
import { readText2SemanticSettings } from '../src/models/text2semantic.js';
import { environment, median, quantile, residentBytes, round } from './figures.js';
import { randomText2Semantic } from './random-checkpoint.js';
import { benchRequest, buildDecoder, FORMS } from './text2semantic-decoder.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    rows: { type: 'string', default: '1,2,4,8' },
    precisions: { type: 'string', default: 'fp32,int8,int8-onnxruntime,int4' },
    steps: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    invariance: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'timbre-bench-t2s-'));
try {
  const figures = { ...environment(), ...measure(folder) };
  if (flags.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(34)} ${value}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function measure(folder: string): Record<string, number | string> {
  const checkpoint = positionals[0] === undefined ? randomText2Semantic() : openCheckpoint(positionals[0]);
  const settings = readText2SemanticSettings(checkpoint);
  const runtime = openRuntime({ threads: Number(flags.threads) });
  const rowCounts = flags.rows.split(',').map(Number);
  const figures: Record<string, number | string> = {};
  const decoders = FORMS.filter((known) => flags.precisions.split(',').includes(known)).map((precision) => {
    const before = residentBytes();
    const start = performance.now();
    const rows = Math.max(8, ...rowCounts);
    const { decoder, weightsBytes } = buildDecoder(checkpoint, settings, { precision, runtime, folder, rows });
    figures[`${precision}: build and load s`] = round((performance.now() - start) / 1000, 1);
    figures[`${precision}: weights MB`] = round(weightsBytes / 1e6, 1);
    figures[`${precision}: resident MB`] = round((residentBytes() - before) / 1e6);
    return { precision, decoder, prefills: [] as number[], steps: new Map<number, number[]>(), gaps: [] as number[] };
  });
  const count = Number(flags.invariance);
  if (count > 0) {
    for (const { precision, decoder } of decoders) {
      figures[`${precision}: same tokens alone and among 7`] = `${sameAmongStrangers(decoder, count)} of ${count}`;
    }
    return figures;
  }
  for (let turn = 0; turn < Number(flags.rounds); turn++) {
    for (const rows of rowCounts) {
      for (const { decoder, prefills, steps } of decoders) {
        const times = steps.get(rows) ?? [];
        steps.set(rows, times);
        const ids = Array.from({ length: rows }, (_, seed) => {
          const start = performance.now();
          const { row } = decoder.addRow(benchRequest(settings, seed));
          prefills.push(performance.now() - start);
          return row;
        });
        decoder.step();
        for (let step = 0; step < Number(flags.steps); step++) {
          const start = performance.now();
          decoder.step();
          times.push(performance.now() - start);
        }
        for (const id of ids) decoder.removeRow(id);
      }
    }
  }
  for (const { precision, decoder, prefills, steps, gaps } of decoders) {
    measureGaps(decoder, gaps);
    figures[`${precision}: prefill 160 ms`] =
      `${round(median(prefills), 1)}, fastest tenth ${round(quantile(prefills, 0.1), 1)}`;
    for (const [rows, times] of steps) {
      const [middle, fast] = [median(times), quantile(times, 0.1)];
      figures[`${precision}: tokens/s, ${rows} rows`] =
        `${round((1000 * rows) / middle)} (${round(middle, 2)} ms), fastest tenth ${round((1000 * rows) / fast)} (${round(fast, 2)} ms)`;
    }
    figures[`${precision}: step gap ms, prefill between`] =
      `median ${round(median(gaps), 1)}, worst ${round(Math.max(...gaps), 1)}`;
    decoder.close();
  }
  checkpoint.close();
  return figures;
}

/** Times between two steps of seven rows, with a piece of another sentence's prefill in each. */
function measureGaps(decoder: SemanticDecoder, gaps: number[]): void {
  const ids = Array.from({ length: 7 }, (_, seed) => decoder.addRow(benchRequest(decoder.settings, seed)).row);
  decoder.step();
  for (let joining = 0; joining < 3; joining++) {
    decoder.beginRow(benchRequest(decoder.settings, 100 + joining));
    for (;;) {
      const start = performance.now();
      const event = decoder.prefill();
      decoder.step();
      gaps.push(performance.now() - start);
      if (!event) continue;
      decoder.removeRow(event.row);
      break;
    }
  }
  for (const id of ids) decoder.removeRow(id);
}

/** How many of so many random requests get the same 12 tokens alone and among seven that come and go. */
function sameAmongStrangers(decoder: SemanticDecoder, count: number): number {
  const { settings } = decoder;
  const request = (index: number): RowRequest => ({
    ...benchRequest(settings, index),
    phonemeIds: Array.from({ length: 5 + (index % 17) }, (_, at) => (at * 13 + index * 7) % settings.phonemeCount),
    bertFeatures: null,
    promptSemantic: Array.from({ length: 3 + (index % 11) }, (_, at) => (at * 41 + index * 3) % settings.endToken),
    maxNewTokens: 11,
  });
  const alone = Array.from({ length: count }, (_, index) => {
    const tokens = [decoder.addRow(request(index)).token];
    while (decoder.size > 0) for (const event of decoder.step()) tokens.push(event.token);
    return tokens.join();
  });
  const together = new Map<number, { readonly index: number; readonly tokens: (number | null)[] }>();
  let [next, same] = [0, 0];
  while (next < count || decoder.size > 0) {
    // One joins a step, so that every row meets others at other places and lengths.
    if (next < count && decoder.size < 8) {
      const event = decoder.addRow(request(next));
      together.set(event.row, { index: next++, tokens: [event.token] });
    }
    for (const event of decoder.step()) {
      const row = together.get(event.row);
      row?.tokens.push(event.token);
      if (row && event.finished && row.tokens.join() === alone[row.index]) same += 1;
    }
  }
  return same;
}
