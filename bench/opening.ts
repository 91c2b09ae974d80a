/**
 * Who waits while a model is opened: the first packet of a caller of a loaded model (full size, random weights) alone,
 * beside a first caller of another model, whose networks are read meanwhile, and beside that caller once they are:
 *
 *     npm run bench -- opening [--rounds 5] [--dir DIR]
 *
 * Every round has an engine of its own. DIR keeps the models between runs (3 GB).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createEngine } from '../src/engine/engine.js';
import type { Engine } from '../src/engine/engine-types.js';
import { importModel } from '../src/engine/import-model.js';
import { ModelStore } from '../src/engine/model-store.js';
import { openRuntime } from '../src/engine/onnxruntime.js';
import { environment, median, round } from './figures.js';
import { writeSpeakingCheckpoints } from './full-size-checkpoints.js';
import { writePromptVoice } from './prompt-voice.js';

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, dir: { type: 'string' } },
});
const folder = flags.dir ?? mkdtempSync(join(tmpdir(), 'timbre-opening-'));
const MODELS = ['fp32', 'int8'] as const;
const [LISTENED, OPENED] = MODELS;
const TEXT = 'The morning light came slowly over the quiet hills, and nobody was awake.';

try {
  const dataDir = join(folder, 'data-v2');
  await prepare(dataDir);
  const samples = {
    alone: [] as number[],
    'beside a first caller': [] as number[],
    'beside a later caller': [] as number[],
  };
  for (let turn = 0; turn < Number(flags.rounds); turn++) {
    const engine = await createEngine({ dataDir, threads: availableParallelism(), importDemo: false });
    try {
      await firstPacketMs(engine, LISTENED);
      samples.alone.push(await firstPacketMs(engine, LISTENED));
      for (const situation of ['beside a first caller', 'beside a later caller'] as const) {
        const other = firstPacketMs(engine, OPENED);
        await new Promise((resolve) => setTimeout(resolve, 20));
        samples[situation].push(await firstPacketMs(engine, LISTENED));
        await other;
      }
    } finally {
      await engine.close();
    }
  }
  const milliseconds = Object.fromEntries(Object.entries(samples).map(([name, all]) => [name, round(median(all), 0)]));
  process.stdout.write(`${JSON.stringify({ ...environment(), 'first packet, ms': milliseconds }, null, 2)}\n`);
} finally {
  if (flags.dir === undefined) rmSync(folder, { recursive: true, force: true });
}

async function firstPacketMs(engine: Engine, voice: string): Promise<number> {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const start = performance.now();
  for await (const _ of engine.synthesize({ text: TEXT, voice, language: 'en', speed: 1, seed })) {
    return performance.now() - start;
  }
  throw new Error('no audio');
}

/** Both models, and a voice of each under its name. */
async function prepare(dataDir: string): Promise<void> {
  const store = new ModelStore(dataDir);
  for (const precision of MODELS) {
    if (!store.has(precision)) {
      const checkpoints = join(folder, 'checkpoints-v2');
      const { t2s, sovits } = writeSpeakingCheckpoints(checkpoints, 'v2', 1);
      importModel({ name: precision, precision, paths: [t2s, sovits] }, store, openRuntime());
    }
    await writePromptVoice(dataDir, precision, store.load(precision));
  }
}
