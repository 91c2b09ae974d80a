import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMetricsRegistry, createTimbreMetrics } from '../metrics.js';
import type { AudioChunk, SynthesisRequest } from './engine-types.js';
import { PaceControl } from './pace-control.js';
import { EnginePool, type EnginePoolOptions } from './pool.js';

const ENGINE_MODULE = new URL('../../test/fixtures/scripted-engine.ts', import.meta.url).href;

let dataDir: string;
let pools: EnginePool[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'timbre-pool-'));
  pools = [];
});

afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
  rmSync(dataDir, { recursive: true, force: true });
});

async function startPool(options: Partial<EnginePoolOptions> = {}): Promise<EnginePool> {
  const pool = await EnginePool.start({ engine: { dataDir }, engineModule: ENGINE_MODULE, ...options });
  pools.push(pool);
  return pool;
}

function request(text: string): SynthesisRequest {
  return { text, voice: 'demo', language: 'auto', speed: 1, seed: 1 };
}

async function collect(chunks: AsyncIterable<AudioChunk>): Promise<AudioChunk[]> {
  const all: AudioChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

/** Waits until the pool says so, polling at the speed of the event loop's timers. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('the condition never came true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('the engine pool', () => {
  it('brings the audio of the engine process, and says what runs there', async () => {
    const pool = await startPool({ engine: { dataDir, threads: 2 } });
    const chunks = await collect(pool.synthesize(request('sentences=3 ms=50')));
    expect(chunks.map((chunk) => chunk.sentenceIndex)).toEqual([0, 1, 2]);
    expect(chunks[0]?.samples).toBeInstanceOf(Float32Array);
    expect(chunks[0]?.samples).toHaveLength(800);
    expect(chunks[0]?.sampleRateHz).toBe(16_000);
    expect(pool.info).toMatchObject({ runtime: 'scripted 1', threads: 2, defaultVoice: 'demo' });
    expect(pool.status).toMatchObject({ state: 'ready', running: 0, waiting: 0, restarts: 0, lastFailure: null });
    expect(pool.status.enginePid).not.toBe(process.pid);
  });

  it('gives the same audio for the same seed and another for another one', async () => {
    const pool = await startPool();
    const [first] = await collect(pool.synthesize(request('ms=20')));
    const [again] = await collect(pool.synthesize(request('ms=20')));
    const [other] = await collect(pool.synthesize({ ...request('ms=20'), seed: 2 }));
    expect(again?.samples).toEqual(first?.samples);
    expect(other?.samples).not.toEqual(first?.samples);
  });

  it('passes a change of pace on to a synthesis under way', async () => {
    const pool = await startPool();
    const pace = new PaceControl(1);
    const lengths: number[] = [];
    for await (const { samples } of pool.synthesize(request('sentences=3 ms=50 every=300'), { pace })) {
      lengths.push(samples.length);
      pace.set(2);
    }
    expect(lengths).toEqual([800, 400, 400]);
  });

  it('passes every other call of the engine through', async () => {
    const pool = await startPool();
    const enrolled = await pool.enrolVoice({ name: 'anna', recordings: [], transcript: 'hi', language: 'en' });
    expect(enrolled).toMatchObject({ name: 'anna', language: 'en', transcript: 'hi' });
    await expect(
      pool.enrolVoice({ name: 'anna', recordings: [], transcript: null, language: 'en' }),
    ).rejects.toMatchObject({ code: 'VOICE_EXISTS' });
    expect((await pool.listVoices()).map((voice) => voice.name)).toEqual(['demo', 'demo-en', 'anna']);
    await pool.removeVoice('anna');
    await expect(pool.removeVoice('anna')).rejects.toMatchObject({ code: 'VOICE_NOT_FOUND' });
    expect(await pool.listModels()).toHaveLength(1);
    expect(await pool.inspectModel('scripted')).toMatchObject({ settings: { hidden: 1 } });
    const steps: string[] = [];
    const model = await pool.importModel({ name: 'm', paths: [] }, { onProgress: (p) => steps.push(p.step) });
    expect([model.name, steps]).toEqual(['m', ['reading']]);
    expect(await pool.verify()).toEqual([{ level: 'ok', subject: 'model scripted', message: 'intact', advice: null }]);
  });

  it('passes errors with their code, and hides the words of unexpected ones', async () => {
    const pool = await startPool();
    await expect(collect(pool.synthesize({ ...request('x'), voice: 'nobody' }))).rejects.toMatchObject({
      code: 'VOICE_NOT_FOUND',
    });
    await expect(collect(pool.synthesize(request('fail-at=0 code=TEXT_UNREADABLE')))).rejects.toMatchObject({
      code: 'TEXT_UNREADABLE',
      message: 'scripted TEXT_UNREADABLE',
    });
    const failure = await collect(pool.synthesize(request('fail-at=0'))).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'SYNTHESIS_FAILED', cause: { message: expect.stringContaining('plain') } });
    expect(String(failure)).not.toContain('plain');
    expect(pool.status.running).toBe(0);
  });
});

describe('starting', () => {
  it('passes on why the engine did not start, and leaves no process behind', async () => {
    writeFileSync(join(dataDir, 'start-script'), 'fail MODEL_STORE_CORRUPT');
    const steps: string[] = [];
    const engine = { dataDir, onProgress: (p: { step: string }) => steps.push(p.step) };
    await expect(startPool({ engine })).rejects.toMatchObject({ code: 'MODEL_STORE_CORRUPT' });
    expect(steps).toEqual(['importing']);
  });

  it('says so when the process ends or takes too long before it is ready', async () => {
    writeFileSync(join(dataDir, 'start-script'), 'exit');
    await expect(startPool()).rejects.toMatchObject({ code: 'ENGINE_NOT_READY', message: /exited with code 3/ });
    writeFileSync(join(dataDir, 'start-script'), 'slow 60000');
    await expect(startPool({ startTimeoutMs: 200 })).rejects.toMatchObject({
      code: 'ENGINE_NOT_READY',
      message: /not ready after 0.2 s/,
    });
  });
});

describe('a lost engine process', () => {
  it('fails a request whose audio had begun, and serves the next one', async () => {
    const metrics = createTimbreMetrics(createMetricsRegistry());
    const pool = await startPool({ metrics });
    const heard: number[] = [];
    const failing = (async () => {
      for await (const chunk of pool.synthesize(request('sentences=3 every=20 crash-at=2'))) {
        heard.push(chunk.sentenceIndex);
      }
    })();
    await expect(failing).rejects.toMatchObject({ code: 'ENGINE_CRASHED', message: /SIGKILL/, retryable: true });
    expect(heard).toEqual([0, 1]);
    expect(await collect(pool.synthesize(request('sentences=2')))).toHaveLength(2);
    expect(pool.status).toMatchObject({ state: 'ready', restarts: 1, running: 0 });
    expect(metrics.registry.render()).toContain('timbre_engine_restarts_total{reason="crash"} 1');
  });

  it('begins an unheard request again on the next process', async () => {
    const metrics = createTimbreMetrics(createMetricsRegistry());
    const pool = await startPool({ metrics });
    const chunks = await collect(pool.synthesize(request('sentences=2 crash-at=0 crash-once=a')));
    expect(chunks).toHaveLength(2);
    expect(metrics.registry.render()).toContain('timbre_engine_retries_total 1');
  });

  it('gives a request that crashes every process back after the second one', async () => {
    const pool = await startPool();
    await expect(collect(pool.synthesize(request('crash-at=0')))).rejects.toMatchObject({ code: 'ENGINE_CRASHED' });
    expect(pool.status.restarts).toBe(2);
    expect(await collect(pool.synthesize(request('x')))).toHaveLength(1);
  });

  it('is replaced after kill -9 from outside during a request', async () => {
    const pool = await startPool();
    const { enginePid } = pool.status;
    const stream = pool.synthesize(request('sentences=100 every=20'));
    await stream.next();
    process.kill(enginePid ?? 0, 'SIGKILL');
    await expect(collect(stream)).rejects.toMatchObject({ code: 'ENGINE_CRASHED' });
    expect(await collect(pool.synthesize(request('x')))).toHaveLength(1);
    expect(pool.status.enginePid).not.toBe(enginePid);
  });

  it('is killed and replaced when it stops answering', async () => {
    const metrics = createTimbreMetrics(createMetricsRegistry());
    const pool = await startPool({ pingIntervalMs: 50, pingTimeoutMs: 1500, metrics });
    const stream = collect(pool.synthesize(request('sentences=2 every=20 hang-at=1')));
    await expect(stream).rejects.toMatchObject({ code: 'ENGINE_CRASHED', message: /stopped answering for 1.5 s/ });
    expect(await collect(pool.synthesize(request('x')))).toHaveLength(1);
    expect(metrics.registry.render()).toContain('timbre_engine_restarts_total{reason="hang"} 1');
  });

  it('answers ENGINE_NOT_READY while restarts fail, and recovers when one succeeds', async () => {
    const pool = await startPool({ minBackoffMs: 100 });
    writeFileSync(join(dataDir, 'start-script'), 'exit');
    process.kill(pool.status.enginePid ?? 0, 'SIGKILL');
    await until(() => pool.status.lastFailure !== null);
    await expect(collect(pool.synthesize(request('x')))).rejects.toMatchObject({ code: 'ENGINE_NOT_READY' });
    expect(pool.status.state).toBe('restarting');
    rmSync(join(dataDir, 'start-script'));
    await until(() => pool.status.state === 'ready');
    expect(await collect(pool.synthesize(request('x')))).toHaveLength(1);
    expect(pool.status.lastFailure).toBeNull();
  });
});

describe('capacity', () => {
  it('refuses what neither runs nor waits, and serves the waiting in order of arrival', async () => {
    const pool = await startPool({ maxRunning: 1, maxWaiting: 2 });
    const order: string[] = [];
    const run = (name: string) => collect(pool.synthesize(request('every=50'))).then(() => order.push(name));
    const accepted = [run('a'), run('b'), run('c')];
    expect(pool.status).toMatchObject({ running: 1, waiting: 2 });
    await expect(run('d')).rejects.toMatchObject({ code: 'ENGINE_OVERLOADED', retryable: true });
    await Promise.all(accepted);
    expect(order).toEqual(['a', 'b', 'c']);
    expect(pool.status).toMatchObject({ running: 0, waiting: 0 });
  });

  it('runs as many at once as it may', async () => {
    const pool = await startPool({ maxRunning: 3 });
    const streams = [1, 2, 3].map(() => pool.synthesize(request('sentences=100000 every=20')));
    // None of them ends: only side by side can each have its first audio.
    expect(await Promise.all(streams.map((stream) => stream.next()))).toHaveLength(3);
    expect(pool.status).toMatchObject({ running: 3, waiting: 0 });
    await Promise.all(streams.map((stream) => stream.return()));
  });

  it('does not let the engine run ahead of a reader who takes nothing', async () => {
    const pool = await startPool({ creditWindow: 2, pingIntervalMs: 20 });
    const stream = pool.synthesize(request('sentences=50 every=1 ms=20'));
    await stream.next();
    // Time for all fifty many times over; an engine that had run ahead would be done with the call by now.
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(pool.status.engineCalls).toBe(1);
    const rest = await collect(stream);
    expect(rest).toHaveLength(49);
    await until(() => pool.status.engineCalls === 0);
  });
});

describe('cancellation', () => {
  it('ends a running request with the reason of the signal and frees its place', async () => {
    const pool = await startPool({ maxRunning: 1 });
    const abort = new AbortController();
    const stream = pool.synthesize(request('sentences=1000 every=20'), { signal: abort.signal });
    await stream.next();
    const reason = new Error('the caller left');
    setTimeout(() => abort.abort(reason), 10);
    await expect(collect(stream)).rejects.toBe(reason);
    await until(() => pool.status.running === 0);
    expect(await collect(pool.synthesize(request('x')))).toHaveLength(1);
    expect(pool.status.restarts).toBe(0);
  });

  it('frees the place when the consumer leaves the loop', async () => {
    const pool = await startPool({ maxRunning: 1 });
    for await (const _ of pool.synthesize(request('sentences=1000 every=20'))) break;
    await until(() => pool.status.running === 0);
  });

  it('takes a waiting request out of the line', async () => {
    const pool = await startPool({ maxRunning: 1 });
    const first = collect(pool.synthesize(request('every=100')));
    const abort = new AbortController();
    const second = collect(pool.synthesize(request('x'), { signal: abort.signal }));
    expect(pool.status.waiting).toBe(1);
    abort.abort(new Error('changed my mind'));
    await expect(second).rejects.toThrow('changed my mind');
    expect(pool.status.waiting).toBe(0);
    await first;
  });

  it('keeps the place taken until an engine that is slow to notice has stopped', async () => {
    const pool = await startPool({ maxRunning: 1 });
    const abort = new AbortController();
    const stream = collect(pool.synthesize(request('sentences=3 stubborn=300'), { signal: abort.signal }));
    setTimeout(() => abort.abort(new Error('left')), 50);
    await expect(stream).rejects.toThrow('left');
    expect(pool.status.running).toBe(1);
    await until(() => pool.status.running === 0);
  });

  it('does not start what was cancelled before', async () => {
    const pool = await startPool();
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(collect(pool.synthesize(request('x'), { signal }))).rejects.toThrow('too late');
    await expect(pool.listVoices({ signal })).rejects.toThrow('too late');
  });
});

describe('ending', () => {
  it('drains: what was accepted is finished, new requests are refused', async () => {
    const pool = await startPool({ maxRunning: 1 });
    const accepted = [1, 2].map(() => collect(pool.synthesize(request('every=50'))));
    const drained = pool.drain();
    await expect(collect(pool.synthesize(request('x')))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    await drained;
    expect((await Promise.all(accepted)).map((chunks) => chunks.length)).toEqual([1, 1]);
  });

  it('gives up draining when told to', async () => {
    const pool = await startPool();
    const running = collect(pool.synthesize(request('sentences=1000 every=20')));
    await pool.drain({ signal: AbortSignal.timeout(50) });
    await pool.close();
    await expect(running).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });

  it('fails waiting and running requests when closed, and ends the process', async () => {
    const pool = await startPool({ maxRunning: 1 });
    const { enginePid } = pool.status;
    const running = collect(pool.synthesize(request('sentences=1000 every=20')));
    const waiting = collect(pool.synthesize(request('x')));
    const outcomes = Promise.allSettled([running, waiting]);
    await pool.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SHUTTING_DOWN' } });
    }
    expect(() => process.kill(enginePid ?? 0, 0)).toThrow('ESRCH');
    await expect(collect(pool.synthesize(request('x')))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});
