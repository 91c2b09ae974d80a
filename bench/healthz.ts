/**
 * How fast the server answers /healthz while it synthesises: starts `timbre serve` on the demo model, keeps `--streams`
 * long streams going for `--seconds`, polls every 20 ms, prints the latencies, and exits with 1 when one took longer
 * than 50 ms. The client is a process of its own, and so counts its own delays against the server.
 *
 * npx tsx bench/healthz.ts [--streams 4] [--seconds 20] [--data FOLDER]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startServerProcess } from '../test/e2e/server-process.js';

const BAR_MS = 50;
const POLL_MS = 20;
const TEXT = '今天天气很好，我们一起去公园散步。春天来了，花都开了。小朋友们在草地上玩耍。'.repeat(20);

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '20' },
    data: { type: 'string' },
  },
});
const folder = values.data ?? mkdtempSync(join(tmpdir(), 'timbre-healthz-'));
const server = await startServerProcess(folder);
const agent = new Agent({ keepAlive: true });

const idle = await poll(2000);
const abort = new AbortController();
const url = `${server.url}/synthesize?${new URLSearchParams({ stream: 'true', text: TEXT })}`;
const streams = Array.from({ length: Number(values.streams) }, async () => {
  while (!abort.signal.aborted) await fetch(url, { signal: abort.signal }).then((response) => response.arrayBuffer());
});
const outcomes = Promise.allSettled(streams);
await sleep(1000);
const busy = await poll(Number(values.seconds) * 1000);
abort.abort();
await outcomes;
agent.destroy();
await server.stop();
if (values.data === undefined) rmSync(folder, { recursive: true, force: true });

process.stdout.write(`load average ${loadavg()[0]?.toFixed(1)}\n`);
report('idle', idle);
report(`${values.streams} streams`, busy);
process.exitCode = (busy.at(-1) ?? 0) > BAR_MS ? 1 : 0;

/** Latencies in ascending order. */
async function poll(durationMs: number): Promise<number[]> {
  const latenciesMs: number[] = [];
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs) {
    const startedMs = performance.now();
    await new Promise<void>((resolve, reject) => {
      get(`${server.url}/healthz`, { agent }, (response) => response.resume().once('end', resolve)).once(
        'error',
        reject,
      );
    });
    latenciesMs.push(performance.now() - startedMs);
    await sleep(POLL_MS);
  }
  return latenciesMs.sort((a, b) => a - b);
}

function report(name: string, sorted: readonly number[]): void {
  const at = (quantile: number) => (sorted[Math.floor((sorted.length - 1) * quantile)] ?? Number.NaN).toFixed(1);
  process.stdout.write(
    `${name}: ${sorted.length} answers, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms\n`,
  );
}
