/**
 * Callers who listen in real time, against their number: first packets, throughput, and how often one of them ran dry.
 *
 *     npm run bench -- concurrency [--callers 1,2,4,…] [--seconds N] [--data DIR --voice NAME --language zh]
 *                                  [--json] [--plots FOLDER]
 *
 * The whole engine with its threads, in this process, on the demo model unless --data names a folder with another. Every
 * caller says one sentence after the other and takes audio as it plays it, at most 1 s ahead. A caller runs dry when its
 * next audio comes after it has played the last. No caches, and no two requests alike.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createEngine } from '../src/engine/engine.js';
import type { Engine } from '../src/engine/engine-types.js';
import type { LanguageMode } from '../src/text/language.js';
import { environment, quantile, round } from './figures.js';
import { linePlot } from './plot.js';

const { values: flags } = parseArgs({
  options: {
    callers: { type: 'string', default: '1,2,4,8,16,32,64' },
    seconds: { type: 'string', default: '15' },
    data: { type: 'string' },
    voice: { type: 'string', default: 'demo' },
    language: { type: 'string', default: 'zh' },
    json: { type: 'boolean', default: false },
    plots: { type: 'string' },
  },
});

const SENTENCES: Partial<Record<string, readonly string[]>> = {
  zh: [
    '您好，欢迎致电客户服务中心。',
    '请您稍等，我马上为您查询。',
    '今天天气很好，我们去公园散步。',
    '您的订单已经发出，请注意查收。',
  ],
  en: ['Thank you for calling, how can I help you?', 'Please hold the line, I will look it up for you.'],
};

interface Level {
  readonly callers: number;
  readonly first_packet_p50_ms: number;
  readonly first_packet_p95_ms: number;
  readonly requests: number;
  readonly audio_seconds_per_second: number;
  /** Requests in which the caller ran dry at least once. */
  readonly dry_share: number;
}

const folder = flags.data ?? mkdtempSync(join(tmpdir(), 'timbre-concurrency-'));
const engine = await createEngine({
  dataDir: folder,
  importDemo: flags.data === undefined,
  cacheBytes: { texts: 0, utterances: 0 },
});
try {
  await level(engine, 1, 2); // warms up
  const levels: Level[] = [];
  for (const callers of flags.callers.split(',').map(Number)) {
    levels.push(await level(engine, callers, Number(flags.seconds)));
    process.stderr.write(`${JSON.stringify(levels.at(-1))}\n`);
  }
  if (flags.plots !== undefined) writePlots(flags.plots, levels);
  const result = { ...environment(), voice: flags.voice, levels };
  process.stdout.write(`${flags.json ? JSON.stringify(result) : JSON.stringify(result, null, 2)}\n`);
} finally {
  await engine.close();
  if (flags.data === undefined) rmSync(folder, { recursive: true, force: true });
}

async function level(engine: Engine, callers: number, seconds: number): Promise<Level> {
  const start = performance.now();
  const endMs = start + 1000 * seconds;
  const firstPackets: number[] = [];
  let [requests, dry, audioSeconds] = [0, 0, 0];
  const call = async (caller: number): Promise<void> => {
    // Callers do not begin in step.
    await sleep((1000 * caller) / callers);
    for (let turn = 0; performance.now() < endMs; turn++) {
      const heard = await listen(engine, caller + 1000 * turn, endMs);
      requests += 1;
      if (heard.dry) dry += 1;
      if (heard.firstPacketMs !== null) firstPackets.push(heard.firstPacketMs);
      audioSeconds += heard.audioSeconds;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return {
    callers,
    first_packet_p50_ms: round(quantile(firstPackets, 0.5)),
    first_packet_p95_ms: round(quantile(firstPackets, 0.95)),
    requests,
    audio_seconds_per_second: round(audioSeconds / ((performance.now() - start) / 1000), 2),
    dry_share: round(dry / requests, 3),
  };
}

/** One request as a player hears it; leaves it at `endMs`. */
async function listen(engine: Engine, seed: number, endMs: number) {
  const AHEAD_MS = 1000;
  const language = flags.language as LanguageMode;
  const texts = SENTENCES[flags.language] ?? SENTENCES['en'] ?? [];
  const text = texts[seed % texts.length] ?? '';
  const askedMs = performance.now();
  let firstPacketMs: number | null = null;
  let playedOutMs = 0;
  let audioSeconds = 0;
  let dry = false;
  for await (const chunk of engine.synthesize({ text, voice: flags.voice, language, speed: 1, seed })) {
    const nowMs = performance.now();
    const lengthMs = (1000 * chunk.samples.length) / chunk.sampleRateHz;
    if (firstPacketMs === null) {
      firstPacketMs = nowMs - askedMs;
      playedOutMs = nowMs;
    }
    if (nowMs > playedOutMs) {
      dry = true;
      playedOutMs = nowMs;
    }
    playedOutMs += lengthMs;
    audioSeconds += lengthMs / 1000;
    if (nowMs > endMs) break;
    const ahead = playedOutMs - nowMs;
    if (ahead > AHEAD_MS) await sleep(ahead - AHEAD_MS);
  }
  return { firstPacketMs, audioSeconds, dry };
}

function writePlots(target: string, levels: readonly Level[]): void {
  mkdirSync(target, { recursive: true });
  const xLabel = 'callers listening in real time';
  const points = (of: (level: Level) => number) => levels.map((entry) => [entry.callers, of(entry)] as const);
  writeFileSync(
    join(target, `first-packet-${flags.voice}.svg`),
    linePlot(
      [
        { name: 'median', points: points((entry) => entry.first_packet_p50_ms) },
        { name: '95th percentile', points: points((entry) => entry.first_packet_p95_ms) },
      ],
      { title: `First packet, voice ${flags.voice}`, xLabel, yLabel: 'ms', logarithmic: true },
    ),
  );
  writeFileSync(
    join(target, `throughput-${flags.voice}.svg`),
    linePlot(
      [
        { name: 'audio', points: points((entry) => entry.audio_seconds_per_second) },
        { name: 'share run dry × 10', points: points((entry) => 10 * entry.dry_share) },
      ],
      { title: `Throughput, voice ${flags.voice}`, xLabel, yLabel: 'seconds of audio a second' },
    ),
  );
}
