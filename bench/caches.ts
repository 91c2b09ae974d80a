/**
 * What each cache brings to a call centre: sentences that recur as words do (a few all the time, most hardly ever), said
 * one after the other.
 *
 *     npm run bench -- caches [--requests N] [--phrases N] [--data DIR --voice NAME] [--json]
 *
 * The same requests run without caches, with the cache of texts, and with that of whole utterances too (every request has
 * the same seed, as with TIMBRE_DEFAULT_SEED). On the demo model unless --data names a folder with another; what texts
 * bring shows in a model with BERT.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createEngine } from '../src/engine/engine.js';
import { callCentrePhrases, drawByZipf } from './call-centre.js';
import { environment, quantile, round } from './figures.js';

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '200' },
    phrases: { type: 'string', default: '400' },
    data: { type: 'string' },
    voice: { type: 'string', default: 'demo' },
    json: { type: 'boolean', default: false },
  },
});

const VARIANTS = {
  none: { texts: 0, utterances: 0 },
  texts: { texts: 64 << 20, utterances: 0 },
  'texts and utterances': { texts: 64 << 20, utterances: 64 << 20 },
} as const;

const folder = flags.data ?? mkdtempSync(join(tmpdir(), 'timbre-caches-'));
const workload = drawByZipf(Number(flags.requests), callCentrePhrases(Number(flags.phrases)));
const results: Record<string, unknown> = { ...environment(), requests: workload.length };
try {
  for (const [name, cacheBytes] of Object.entries(VARIANTS)) results[name] = await run(cacheBytes);
  process.stdout.write(`${flags.json ? JSON.stringify(results) : JSON.stringify(results, null, 2)}\n`);
} finally {
  if (flags.data === undefined) rmSync(folder, { recursive: true, force: true });
}

async function run(cacheBytes: { texts: number; utterances: number }): Promise<Record<string, number>> {
  const engine = await createEngine({ dataDir: folder, importDemo: flags.data === undefined, cacheBytes });
  try {
    const say = async (text: string): Promise<number> => {
      const start = performance.now();
      let firstMs = 0;
      const request = { text, voice: flags.voice, language: 'zh', speed: 1, seed: 1 } as const;
      for await (const _ of engine.synthesize(request)) firstMs ||= performance.now() - start;
      return firstMs;
    };
    await say('预热一下。');
    const firstPackets: number[] = [];
    const start = performance.now();
    const used = process.cpuUsage();
    for (const text of workload) firstPackets.push(await say(text));
    const { user, system } = process.cpuUsage(used);
    const { texts, utterances } = engine.statistics?.().caches ?? {};
    const rate = (cache: typeof texts): number =>
      round((cache?.hits ?? 0) / ((cache?.hits ?? 0) + (cache?.misses ?? 1)), 3);
    return {
      seconds: round((performance.now() - start) / 1000, 1),
      processor_seconds: round((user + system) / 1e6, 1),
      first_packet_p50_ms: round(quantile(firstPackets, 0.5), 1),
      first_packet_p95_ms: round(quantile(firstPackets, 0.95), 1),
      text_hit_rate: rate(texts),
      utterance_hit_rate: rate(utterances),
      cached_mb: round(((texts?.sizeBytes ?? 0) + (utterances?.sizeBytes ?? 0)) / 1e6, 1),
    };
  } finally {
    await engine.close();
  }
}
