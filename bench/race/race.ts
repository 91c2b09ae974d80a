/**
 * The race: text-to-semantic, waveform and first packet of full-size models with random weights, ours against others on
 * the same machine in the same run, taking turns:
 *
 *     npm run bench -- race [--version v2,v2ProPlus] [--rounds 5] [--rows 1,8] [--precision int8,fp32] [--dir DIR] [--json]
 *
 * - *ours*: the engine over a model imported in each of the precisions, the first of which is raced against the others;
 * - *naive*: float32 graphs with a concatenated cache and a waveform graph in one piece, through the stock
 *   onnxruntime-node binding (`naive.ts`);
 * - *reference*: upstream's own modules in float32 (`training/reference/contestant.py`), where TIMBRE_REFERENCE_PYTHON
 *   names a Python with PyTorch and what they import, and TIMBRE_REFERENCE_CHECKOUT a checkout of RVC-Boss/GPT-SoVITS.
 *
 * A sentence has 60 phonemes, a prompt of 100 tokens and 150 new tokens (6 s). Figures are medians of the rounds; ratios
 * are of medians of the same run. DIR keeps the models between runs (4 GB a version).
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { importModel } from '../../src/engine/import-model.js';
import { ModelStore } from '../../src/engine/model-store.js';
import { openRuntime } from '../../src/engine/onnxruntime.js';
import type { Precision } from '../../src/engine/quality-report.js';
import { environment, median, REPOSITORY, round } from '../figures.js';
import { writeSpeakingCheckpoints } from '../full-size-checkpoints.js';
import type { FullSizeVersion } from '../full-size-models.js';
import { Contestant, RACE } from './contestant.js';

const { values: flags } = parseArgs({
  options: {
    version: { type: 'string', default: 'v2,v2ProPlus' },
    rounds: { type: 'string', default: '5' },
    rows: { type: 'string', default: '1,8' },
    tokens: { type: 'string', default: String(RACE.tokens) },
    precision: { type: 'string', default: 'int8,fp32' },
    threads: { type: 'string', default: String(Math.min(availableParallelism(), 8)) },
    dir: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const folder = flags.dir ?? mkdtempSync(join(tmpdir(), 'timbre-race-'));
const CHECKPOINTS = new Map<FullSizeVersion, readonly string[]>();
const rowCounts = flags.rows.split(',').map(Number);
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const tsx = join(REPOSITORY, 'node_modules/.bin/tsx');

try {
  const results: Record<string, unknown> = { ...environment(), threads: Number(flags.threads) };
  for (const version of flags.version.split(',') as FullSizeVersion[]) results[version] = await race(version);
  if (flags.json) process.stdout.write(`${JSON.stringify(results)}\n`);
  else process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
} finally {
  if (flags.dir === undefined) rmSync(folder, { recursive: true, force: true });
}

async function race(version: FullSizeVersion): Promise<unknown> {
  const contestants = await startAll(version);
  try {
    // In the order they were named in: who comes first is compared with the others, whoever begins a round.
    const samples = new Map(contestants.map(({ name }) => [name, new Map<string, number[]>()]));
    const note = (contestant: string, figure: string, value: number): void => {
      const figures = samples.get(contestant) as Map<string, number[]>;
      figures.set(figure, [...(figures.get(figure) ?? []), value]);
    };
    for (let turn = 0; turn <= Number(flags.rounds); turn++) {
      progress(turn === 0 ? `${version}: warming up` : `${version}: round ${turn}`);
      // The first round warms up; who begins changes, so that nobody always follows the same neighbour.
      const order = contestants.map((_, index) => contestants[(index + turn) % contestants.length] as Contestant);
      for (const contestant of order) {
        const figures = await heats(contestant, turn === 0 ? 10 : Number(flags.tokens));
        if (turn > 0) for (const [figure, value] of Object.entries(figures)) note(contestant.name, figure, value);
      }
    }
    for (const contestant of contestants) {
      const { residentBytes } = await contestant.run({ heat: 'memory' });
      if (residentBytes !== undefined) note(contestant.name, 'resident_mb', residentBytes / 1e6);
    }
    const raw = Object.fromEntries(
      [...samples].map(([name, figures]) => [
        name,
        Object.fromEntries([...figures].map(([figure, values]) => [figure, round(median(values), 3)])),
      ]),
    );
    return { ratios: ratios(raw), raw };
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.close()));
  }
}

async function heats(contestant: Contestant, tokens: number): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  // It has slept while the others ran; the system may have taken its pages and its processor's clock back.
  await contestant.run({ heat: 't2s', rows: 1, tokens: 10 });
  for (const rows of rowCounts) {
    const {
      prefillMs = Number.NaN,
      stepsMs = Number.NaN,
      tokens: made = 0,
    } = await contestant.run({
      heat: 't2s',
      rows,
      tokens,
    });
    figures[`t2s_b${rows}_tokens_per_s`] = (1000 * made) / stepsMs;
    if (rows === 1) figures['prefill_ms'] = prefillMs;
  }
  const { ms = Number.NaN, audioSeconds = Number.NaN } = await contestant.run({ heat: 'waveform' });
  figures['waveform_ms'] = ms;
  figures['waveform_real_time_factor'] = ms / 1000 / audioSeconds;
  // Ours has it from an engine of its own, which has slept longest.
  await contestant.run({ heat: 'first-packet' });
  figures['first_packet_ms'] = (await contestant.run({ heat: 'first-packet' }))['ms'] ?? Number.NaN;
  return figures;
}

/** How many times faster the first contestant is than each of the others, figure by figure. */
function ratios(raw: Readonly<Record<string, Readonly<Record<string, number>>>>): Record<string, number> {
  const [[, ours = {}] = ['', {}], ...others] = Object.entries(raw);
  const result: Record<string, number> = {};
  for (const [name, theirs] of others) {
    for (const rows of rowCounts) {
      const figure = `t2s_b${rows}_tokens_per_s`;
      result[`t2s_b${rows}_vs_${name}`] = round((ours[figure] ?? 0) / (theirs[figure] ?? Number.NaN), 2);
    }
    for (const stage of ['prefill', 'waveform', 'first_packet']) {
      const figure = `${stage}_ms`;
      result[`${stage}_vs_${name}`] = round((theirs[figure] ?? Number.NaN) / (ours[figure] ?? 0), 2);
    }
  }
  return result;
}

async function startAll(version: FullSizeVersion): Promise<Contestant[]> {
  const dataDir = join(folder, `data-${version}`);
  const { threads } = flags;
  const precisions = flags.precision.split(',') as Precision[];
  for (const precision of precisions) importInto(dataDir, version, precision);
  const commands: Record<string, readonly string[]> = {
    ...Object.fromEntries(
      precisions.map((precision, index) => [
        index === 0 ? 'ours' : `ours_${precision}`,
        [tsx, here('ours.ts'), dataDir, precision, threads],
      ]),
    ),
    ...referenceCommand(version),
    naive: [tsx, here('naive.ts'), join(folder, 'naive'), version, threads],
  };
  const wanted = flags.only?.split(',') ?? Object.keys(commands);
  const started: Contestant[] = [];
  try {
    for (const [name, command] of Object.entries(commands)) {
      if (!wanted.includes(name)) continue;
      progress(`${version}: starting ${name}`);
      started.push(await Contestant.start(name, command));
    }
    return started;
  } catch (error) {
    await Promise.all(started.map((contestant) => contestant.close()));
    throw error;
  }
}

/** The model in the store, unless an earlier run put it there. */
function importInto(dataDir: string, version: FullSizeVersion, precision: Precision): void {
  const store = new ModelStore(dataDir);
  if (store.has(precision)) return;
  progress(`${version}: importing in ${precision}`);
  importModel({ name: precision, precision, paths: checkpoints(version) }, store, openRuntime());
}

/** Both checkpoints of a version, which an earlier call may have written. */
function checkpoints(version: FullSizeVersion): readonly string[] {
  const written = CHECKPOINTS.get(version);
  if (written) return written;
  const target = join(folder, `checkpoints-${version}`);
  mkdirSync(target, { recursive: true });
  const { t2s, sovits } = writeSpeakingCheckpoints(target, version, 1);
  CHECKPOINTS.set(version, [t2s, sovits]);
  return [t2s, sovits];
}

/** What starts the reference, or nothing where the machine has none. */
function referenceCommand(version: FullSizeVersion): Readonly<Record<string, readonly string[]>> {
  const python = process.env['TIMBRE_REFERENCE_PYTHON'];
  const checkout = process.env['TIMBRE_REFERENCE_CHECKOUT'];
  if (!python || !checkout) return {};
  const script = join(REPOSITORY, 'training/reference/contestant.py');
  return { reference: [python, script, checkout, ...checkpoints(version), flags.threads] };
}

function progress(what: string): void {
  process.stderr.write(`race: ${what}\n`);
}
