/**
 * Whether memory stays where it is: a day of a call centre, short requests to one engine process on the demo model.
 *
 *     npm run bench -- soak [--requests 200000] [--phrases 200] [--seconds N] [--callers 8] [--json]
 *
 * Ends after so many requests or seconds, whichever comes first. Sentences recur as words do, so most are in the cache of
 * utterances (`--phrases 100000`: nearly everything is made anew). Some callers leave in the middle, some want another pace
 * or voice, and some requests are wrong. Memory is read twenty times; it is flat when, after the first fifth, no reading is
 * more than 5 % from their median. Exits with 1 when it is not.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EnginePool } from '../src/engine/pool.js';
import { callCentrePhrases, drawByZipf } from './call-centre.js';
import { environment, median, round } from './figures.js';

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '200000' },
    phrases: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '86400' },
    callers: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
  },
});
const READINGS = 20;
const WARM_UP = READINGS / 5;
const CACHES = { texts: 64 << 20, utterances: 64 << 20 };

const folder = mkdtempSync(join(tmpdir(), 'timbre-soak-'));
const workload = drawByZipf(Number(flags.requests), callCentrePhrases(Number(flags.phrases)));
const pool = await EnginePool.start({
  engine: { dataDir: folder, cacheBytes: CACHES },
  maxRunning: Number(flags.callers),
  maxWaiting: 64,
});
try {
  const start = performance.now();
  const total = Number(flags.requests);
  const endMs = start + 1000 * Number(flags.seconds);
  const readings: number[] = [];
  let [begun, done] = [0, 0];
  // Both ways of ending give the same number of readings.
  const progress = (): number => Math.max(done / total, (performance.now() - start) / (endMs - start));
  const caller = async (): Promise<void> => {
    while (begun < total && performance.now() < endMs) {
      await request(begun++);
      done += 1;
      if (progress() * READINGS < readings.length + 1) continue;
      readings.push(residentOf(pool.status.enginePid ?? 0));
      process.stderr.write(`${done} requests, ${round((readings.at(-1) ?? 0) / 1e6)} MB\n`);
    }
  };
  await Promise.all(Array.from({ length: Number(flags.callers) }, caller));
  const after = readings.slice(WARM_UP);
  const middle = median(after);
  const spread = Math.max(...after.map((reading) => Math.abs(reading / middle - 1)));
  // Told by the engine process with each sign of life.
  const hits = pool.status.engineStatistics?.caches.utterances.hits ?? 0;
  const result = {
    ...environment(),
    requests: done,
    seconds: round((performance.now() - start) / 1000),
    resident_mb: readings.map((reading) => round(reading / 1e6)),
    largest_difference_after_warm_up: round(spread, 4),
    flat: spread <= 0.05,
    utterances_from_the_cache: hits,
    engine_restarts: pool.status.restarts,
  };
  process.stdout.write(`${flags.json ? JSON.stringify(result) : JSON.stringify(result, null, 2)}\n`);
  process.exitCode = result.flat ? 0 : 1;
} finally {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
}

async function request(index: number): Promise<void> {
  const wrong = index % 50 === 49;
  const rare = index % 200 === 99;
  const said = { voice: rare ? 'demo-en' : 'demo', speed: rare ? 1.2 : 1, language: 'zh', seed: 1 } as const;
  const leaves = index % 10 === 9;
  try {
    for await (const _ of pool.synthesize({ ...said, text: wrong ? '' : (workload[index] ?? '') })) if (leaves) break;
  } catch (error) {
    if (!wrong) throw error;
  }
}

function residentOf(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}
