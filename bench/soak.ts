/**
 * Whether memory stays where it is: many short requests to one engine process on the demo model.
 *
 *     npm run bench -- soak [--requests 200000] [--seconds N] [--callers 8] [--json]
 *
 * Ends after so many requests or seconds, whichever comes first. Texts, voices, seeds and paces vary, some callers leave in
 * the middle, and some requests are wrong. Memory is read twenty times; it is flat when, after the first fifth, no reading
 * is more than 5 % from their median. Exits with 1 when it is not.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EnginePool } from '../src/engine/pool.js';
import { environment, median, round } from './figures.js';

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '200000' },
    seconds: { type: 'string', default: '86400' },
    callers: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
  },
});
const READINGS = 20;
const WARM_UP = READINGS / 5;
const TEXTS = ['请您稍等。', '您好。', '今天天气很好。', '再见。', '一二三四五。', '好的，没问题。'];

const folder = mkdtempSync(join(tmpdir(), 'timbre-soak-'));
const pool = await EnginePool.start({ engine: { dataDir: folder }, maxRunning: Number(flags.callers), maxWaiting: 64 });
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
  const result = {
    ...environment(),
    requests: done,
    seconds: round((performance.now() - start) / 1000),
    resident_mb: readings.map((reading) => round(reading / 1e6)),
    largest_difference_after_warm_up: round(spread, 4),
    flat: spread <= 0.05,
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
  const text = wrong ? '' : `${TEXTS[index % TEXTS.length]}${index % 7 === 0 ? index : ''}`;
  const speed = [1, 1, 0.8, 1.5][index % 4] ?? 1;
  const leaves = index % 10 === 9;
  try {
    for await (const _ of pool.synthesize({ text, voice: 'demo', language: 'zh', speed, seed: index }))
      if (leaves) break;
  } catch (error) {
    if (!wrong) throw error;
  }
}

function residentOf(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}
