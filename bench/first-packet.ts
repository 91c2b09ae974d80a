/**
 * Time to the first audio through a whole engine, with callers who listen as audio comes:
 *
 *     npx tsx bench/first-packet.ts [--model demo|v2|v2ProPlus] [--callers 1,4,8] [--requests 20] [--precision int8]
 *                                   [--seconds 5] [--threads N] [--json]
 *
 * Every caller speaks an English sentence again and again with other seeds, hangs up after `--seconds` of audio, and
 * pauses for a moment. A caller takes audio as it is made, up to a second ahead of what it has played; an underrun is a
 * chunk that comes after everything before it has been played. Full-size models have random weights and a prompt of 100
 * tokens. Prints for each number of callers the percentiles of the first audio, the underruns, and the longest silence.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createEngine } from '../src/engine/engine.js';
import type { Engine, SynthesisRequest } from '../src/engine/engine-types.js';
import { PRECISIONS } from '../src/engine/quality-report.js';
import { VoiceStore } from '../src/engine/voice-store.js';
import { writeSpeakingCheckpoints } from './full-size-checkpoints.js';
import type { FullSizeVersion } from './full-size-models.js';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: 'demo' },
    callers: { type: 'string', default: '1,4,8' },
    requests: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    precision: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

/** About 55 phonemes. */
const TEXT = 'The morning light came slowly over the hills, and the first birds began to sing.';
/** How far ahead of what it has played a caller takes audio. */
const AHEAD_MS = 1000;

interface Call {
  readonly firstAudioMs: number;
  readonly underruns: number;
  readonly worstGapMs: number;
}

const dataDir = mkdtempSync(join(tmpdir(), 'timbre-bench-first-packet-'));
try {
  const engine = await createEngine({ dataDir, threads: Number(flags.threads), importDemo: flags.model === 'demo' });
  const voice = flags.model === 'demo' ? 'demo-en' : await fullSizeVoice(engine, flags.model as FullSizeVersion);
  for (let seed = 0; seed < 3; seed++) await speak(engine, voice, seed); // warms up
  const rows: Record<string, number>[] = [];
  for (const callers of flags.callers.split(',').map(Number)) {
    const calls = (
      await Promise.all(Array.from({ length: callers }, (_, index) => phone(engine, voice, index)))
    ).flat();
    const first = calls.map((call) => call.firstAudioMs);
    rows.push({
      callers,
      calls: calls.length,
      p50Ms: Math.round(percentile(first, 0.5)),
      p95Ms: Math.round(percentile(first, 0.95)),
      worstMs: Math.round(percentile(first, 1)),
      underruns: calls.reduce((sum, call) => sum + call.underruns, 0),
      callsWithUnderrun: calls.filter((call) => call.underruns > 0).length,
      worstGapMs: Math.round(Math.max(...calls.map((call) => call.worstGapMs))),
    });
    if (!flags.json) process.stdout.write(`${JSON.stringify(rows.at(-1))}\n`);
  }
  const machine = `${availableParallelism()} × ${cpus()[0]?.model}`;
  const load = loadavg().map((value) => value.toFixed(1));
  process.stdout.write(
    `${JSON.stringify(flags.json ? { model: flags.model, machine, load, rows } : { machine, load })}\n`,
  );
  await engine.close();
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}

/** One caller's calls, one after the other, with pauses of up to a second that differ from caller to caller. */
async function phone(engine: Engine, voice: string, caller: number): Promise<Call[]> {
  const calls: Call[] = [];
  for (let index = 0; index < Number(flags.requests); index++) {
    await sleep((((caller * 37 + index * 61) % 100) / 100) * 1000);
    calls.push(await speak(engine, voice, caller * 1000 + index + 10));
  }
  return calls;
}

async function speak(engine: Engine, voice: string, seed: number): Promise<Call> {
  const request: SynthesisRequest = { text: TEXT, voice, language: 'en', speed: 1, seed };
  const startMs = performance.now();
  let firstAudioMs = 0;
  let heardUntilMs = 0;
  let totalMs = 0;
  let underruns = 0;
  let worstGapMs = 0;
  for await (const { samples, sampleRateHz } of engine.synthesize(request)) {
    const nowMs = performance.now();
    if (firstAudioMs === 0) firstAudioMs = nowMs - startMs;
    else if (nowMs > heardUntilMs) {
      underruns += 1;
      worstGapMs = Math.max(worstGapMs, nowMs - heardUntilMs);
    }
    const audioMs = (1000 * samples.length) / sampleRateHz;
    heardUntilMs = Math.max(heardUntilMs, nowMs) + audioMs;
    totalMs += audioMs;
    if (totalMs > Number(flags.seconds) * 1000) break;
    const aheadMs = heardUntilMs - performance.now() - AHEAD_MS;
    if (aheadMs > 0) await sleep(aheadMs);
  }
  return { firstAudioMs, underruns, worstGapMs };
}

/** Imports a full-size model with random weights and saves a voice with a prompt of 100 tokens. */
async function fullSizeVoice(engine: Engine, version: FullSizeVersion): Promise<string> {
  const checkpoints = mkdtempSync(join(tmpdir(), 'timbre-bench-checkpoints-'));
  try {
    const { t2s, sovits } = writeSpeakingCheckpoints(checkpoints, version, 1234);
    const precision = PRECISIONS.find((known) => known === flags.precision);
    const paths = [t2s, sovits];
    const model = await engine.importModel({ name: 'full-size', paths, ...(precision && { precision }) });
    const { settings } = await engine.inspectModel('full-size');
    await new VoiceStore(dataDir).save(
      {
        name: 'full-size',
        language: 'en',
        transcript: 'a prompt',
        model: 'full-size',
        modelDigest: model.digest,
        version,
        sampleRateHz: model.sampleRateHz,
        prompt: {
          semanticTokens: Int32Array.from({ length: 100 }, (_, index) => (index * 37) % 1024),
          phonemeIds: Int32Array.from({ length: 40 }, (_, index) => 100 + ((index * 31) % 200)),
          bertFeatures: null,
        },
        globalEmbedding: Float32Array.from({ length: Number(settings['sovits.globalEmbeddingWidth']) }, (_, i) =>
          Math.sin(i),
        ),
        recordings: [],
        warnings: [],
        createdAt: new Date().toISOString(),
      },
      true,
    );
    return 'full-size';
  } finally {
    rmSync(checkpoints, { recursive: true, force: true });
  }
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? Number.NaN;
}
