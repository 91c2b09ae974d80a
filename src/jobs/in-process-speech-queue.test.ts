import { describe, expect, it } from 'vitest';
import { InProcessSpeechQueue } from './in-process-speech-queue.js';
import { LoadPredictor } from './load-predictor.js';
import type { SpeechEvent, SpeechJob } from './speech-queue.js';

function job(id: string): SpeechJob {
  return { id, request: { text: id, voice: 'demo', language: 'auto', speed: 1, seed: 0 } };
}

function audio(sentenceIndex: number): SpeechEvent & { type: 'audio' } {
  return { type: 'audio', samples: new Float32Array(1), sampleRateHz: 16_000, sentenceIndex, sentenceCount: 9 };
}

async function collect(events: AsyncIterable<SpeechEvent>): Promise<SpeechEvent[]> {
  const all: SpeechEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const never = new AbortController().signal;

describe('the in-process speech queue', () => {
  it('carries a job to a worker and its events back in order', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 4 });
    const result = collect(queue.submit(job('a')));
    const claimed = await queue.claim({ signal: never });
    expect(claimed.job).toEqual(job('a'));
    expect(queue.depth).toEqual({ waiting: 0, running: 1 });
    await claimed.publish({ type: 'started' });
    await claimed.publish(audio(0));
    claimed.finish();
    expect(await result).toEqual([{ type: 'started' }, audio(0)]);
    expect(queue.depth).toEqual({ waiting: 0, running: 0 });
  });

  it('hands jobs out in order of arrival, to workers who came before or after them', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 4 });
    const early = queue.claim({ signal: never });
    const results = ['a', 'b', 'c'].map((id) => collect(queue.submit(job(id))));
    const claims = [await early, await queue.claim({ signal: never }), await queue.claim({ signal: never })];
    expect(claims.map((claimed) => claimed.job.id)).toEqual(['a', 'b', 'c']);
    for (const claimed of claims) claimed.finish();
    expect(await Promise.all(results)).toEqual([[], [], []]);
  });

  it('refuses more than may wait', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 1 });
    const first = collect(queue.submit(job('a')));
    await expect(collect(queue.submit(job('b')))).rejects.toMatchObject({ code: 'ENGINE_OVERLOADED' });
    (await queue.claim({ signal: never })).finish();
    await first;
  });

  it('lets a tenant who comes now and then past the flood of another, and into a queue that the flood has filled', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 4 });
    const flood = ['f1', 'f2', 'f3', 'f4'].map((id) => collect(queue.submit({ ...job(id), tenant: 'flood' })));
    const refused = flood[3]?.catch((error: unknown) => error);
    const other = collect(queue.submit({ ...job('o1'), tenant: 'other' }));
    expect(await refused).toMatchObject({ code: 'ENGINE_OVERLOADED' });
    expect(queue.depth.waiting).toBe(4);
    await expect(collect(queue.submit({ ...job('f5'), tenant: 'flood' }))).rejects.toMatchObject({
      code: 'ENGINE_OVERLOADED',
    });
    const order: string[] = [];
    for (let n = 0; n < 4; n++) {
      const claimed = await queue.claim({ signal: never });
      order.push(claimed.job.id);
      claimed.finish();
    }
    expect(order).toEqual(['f1', 'o1', 'f2', 'f3']);
    await Promise.all([...flood.slice(0, 3), other]);
  });

  it('tells the predictor what happens, and refuses whom it refuses until the job before is done', async () => {
    let nowMs = 0;
    const predictor = new LoadPredictor({ maxRunning: 1, maxDelayMs: 1000, now: () => nowMs });
    const queue = new InProcessSpeechQueue({ maxWaiting: 9, predictor });
    const long: SpeechJob = { ...job('a'), request: { ...job('a').request, text: 'a'.repeat(100) } };
    const first = collect(queue.submit(long));
    const claimed = await queue.claim({ signal: never });
    nowMs += 1000;
    await claimed.publish({ ...audio(0), samples: new Float32Array(16_000) });
    expect(predictor.capacity).toBe(1);
    await expect(collect(queue.submit(job('b')))).rejects.toMatchObject({
      code: 'ENGINE_OVERLOADED',
      retryAfterSeconds: 18,
    });
    claimed.finish();
    await first;
    const second = collect(queue.submit(job('b')));
    (await queue.claim({ signal: never })).finish();
    expect(await second).toEqual([]);
  });

  it('accepts a job when a worker is free even if none may wait', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 0 });
    const claim = queue.claim({ signal: never });
    const result = collect(queue.submit(job('a')));
    (await claim).finish();
    expect(await result).toEqual([]);
  });

  it('holds the worker back while its caller takes nothing', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 1, maxBufferedEvents: 2 });
    const stream = queue.submit(job('a'));
    const first = stream.next();
    const claimed = await queue.claim({ signal: never });
    await claimed.publish(audio(0));
    await first;
    await claimed.publish(audio(1));
    let published = false;
    const blocked = claimed.publish(audio(2)).then(() => {
      published = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(published).toBe(false);
    await stream.next();
    await blocked;
    claimed.finish();
    expect(await collect(stream)).toEqual([audio(2)]);
  });

  it('forgets a waiting job whose caller left', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 1 });
    const abort = new AbortController();
    const result = collect(queue.submit(job('a'), { signal: abort.signal }));
    expect(queue.depth.waiting).toBe(1);
    abort.abort(new Error('left'));
    await expect(result).rejects.toThrow('left');
    expect(queue.depth.waiting).toBe(0);
  });

  it('tells the worker when the caller of a running job leaves, even a worker that waits for him', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 1, maxBufferedEvents: 1 });
    const stream = queue.submit(job('a'));
    const first = stream.next();
    const claimed = await queue.claim({ signal: never });
    const publishing = claimed.publish(audio(0)).then(() => claimed.publish(audio(1)));
    await first;
    await stream.return();
    await expect(publishing).rejects.toMatchObject({ code: 'REQUEST_CANCELLED' });
    expect(claimed.signal.aborted).toBe(true);
    expect(queue.depth.running).toBe(1);
    claimed.fail(new Error('cancelled'));
    expect(queue.depth.running).toBe(0);
  });

  it('passes on what the worker failed with, after the audio that came before', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 1 });
    const seen: SpeechEvent[] = [];
    const result = (async () => {
      for await (const event of queue.submit(job('a'))) seen.push(event);
    })();
    const claimed = await queue.claim({ signal: never });
    await claimed.publish(audio(0));
    claimed.fail(new Error('broken'));
    await expect(result).rejects.toThrow('broken');
    expect(seen).toEqual([audio(0)]);
  });

  it('stops a worker that waits for jobs, without losing the next job', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 1 });
    const abort = new AbortController();
    const claim = queue.claim({ signal: abort.signal });
    abort.abort(new Error('stop'));
    await expect(claim).rejects.toThrow('stop');
    const result = collect(queue.submit(job('a')));
    (await queue.claim({ signal: never })).finish();
    expect(await result).toEqual([]);
  });

  it('fails everything when closed', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 2 });
    const running = collect(queue.submit(job('a')));
    const claimed = await queue.claim({ signal: never });
    const waiting = collect(queue.submit(job('b')));
    const idle = queue.idle();
    queue.close();
    await expect(running).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    await expect(waiting).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    expect(claimed.signal.aborted).toBe(true);
    await idle;
    await expect(collect(queue.submit(job('c')))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    await expect(queue.claim({ signal: never })).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });

  it('is idle when the last job has ended, or when one no longer wants to wait', async () => {
    const queue = new InProcessSpeechQueue({ maxWaiting: 2 });
    await queue.idle();
    const result = collect(queue.submit(job('a')));
    await queue.idle({ signal: AbortSignal.timeout(5) });
    expect(queue.depth.waiting).toBe(1);
    const idle = queue.idle();
    (await queue.claim({ signal: never })).finish();
    await idle;
    await result;
  });
});
