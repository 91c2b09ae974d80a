import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TaskThread } from './thread-tasks.js';

describe('tasks on a thread', () => {
  let thread: TaskThread;

  beforeEach(async () => {
    thread = new TaskThread(countingWorker());
  });

  afterEach(() => thread.close());

  it('yields the pieces of a task in order', async () => {
    expect(await all(thread.stream('count', { to: 10 }))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('gives the result of a function or a promise', async () => {
    expect(await thread.call('double', { value: 21 })).toBe(42);
    expect(await thread.call('later', { value: 7 })).toBe(7);
  });

  it('moves buffers instead of copying them', async () => {
    expect(await all(thread.stream('buffer', {}))).toEqual([Float32Array.of(1, 2, 3)]);
  });

  it('takes turns: a short task ends while a long one runs', async () => {
    const long = thread.stream('count', { to: 1_000_000 });
    await long.next();
    expect(await all(thread.stream('giveWay', { turns: 3 }))).toEqual(['done']);
    await long.return(undefined);
  });

  it('goes on with shared work while every task waits for it', async () => {
    expect(await all(thread.stream('waitForShared', { rounds: 100 }))).toEqual(['done']);
  });

  it('waits for a promise, kept or broken, while others go on', async () => {
    for (const fails of [false, true]) {
      const waiting = all(thread.stream('waitForPromise', { ms: 60_000, fails }));
      waiting.catch(() => {}); // the thread is closed with it
      expect(await all(thread.stream('giveWay', { turns: 3 }))).toEqual(['done']);
      const outcome = await all(thread.stream('waitForPromise', { ms: 5, fails }));
      expect(outcome).toEqual([fails ? 'failed' : 'settled']);
    }
  });

  it('takes what its caller sends while it runs, and hears no more of it afterwards', async () => {
    let stopped = 0;
    const feed = (send: (value: unknown) => void) => {
      for (const value of ['a', 'b', 'over']) send(value);
      return () => {
        stopped += 1;
      };
    };
    expect(await all(thread.stream('echo', {}, { feed }))).toEqual(['a', 'b']);
    expect(stopped).toBe(1);
  });

  it('fails where what its caller wanted to send fails', async () => {
    const feed = (_: unknown, fail: (error: unknown) => void) => {
      setImmediate(() => fail(new Error('no more tokens')));
      return () => {};
    };
    await expect(all(thread.stream('echo', {}, { feed }))).rejects.toThrow('no more tokens');
  });

  it('stops making pieces while nobody takes them', async () => {
    const pieces = thread.stream<number, void>('count', { to: 1000 });
    await pieces.next();
    const before = await facts();
    await thread.call('later', { value: 0 });
    // No task may be advanced, so there are no rounds but those that waiting calls cause.
    expect((await facts()).rounds - before.rounds).toBeLessThan(5);
    expect((await pieces.next()).value).toBe(1);
    await pieces.return(undefined);
  });

  it('cleans a task up when its caller leaves, and when the signal aborts', async () => {
    for await (const _ of thread.stream('count', { to: 1000 })) break;
    await vi.waitFor(async () => expect((await facts()).cleanedUp).toBe(1));

    const abort = new AbortController();
    const pieces = thread.stream('count', { to: 1000 }, { signal: abort.signal });
    await pieces.next();
    abort.abort(new Error('enough'));
    await expect(pieces.next()).rejects.toThrow('enough');
    await vi.waitFor(async () => expect((await facts()).cleanedUp).toBe(2));
  });

  it('tells a promise that its caller has gone', async () => {
    const abort = new AbortController();
    const waiting = thread.call('untilAborted', {}, { signal: abort.signal });
    await facts();
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await vi.waitFor(async () => expect((await facts()).cleanedUp).toBe(1));
  });

  it('does not start what was aborted before', async () => {
    await expect(thread.call('double', { value: 1 }, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow(
      'no',
    );
  });

  it('passes errors with their code, and bugs with their stack', async () => {
    await expect(all(thread.stream('failAfter', { pieces: 2 }))).rejects.toMatchObject({
      code: 'ENGINE_RUNTIME',
      message: 'the network failed',
    });
    await expect(thread.call('breaks', {})).rejects.toMatchObject({
      code: 'INTERNAL',
      stack: expect.stringContaining('counting-thread'),
    });
    await expect(thread.call('missing', {})).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('fails every call when the thread ends', async () => {
    const pieces = thread.stream('count', { to: 1000 });
    await pieces.next();
    await expect(thread.call('crash', {})).rejects.toMatchObject({ code: 'ENGINE_CRASHED' });
    await expect(all(pieces)).rejects.toMatchObject({ code: 'ENGINE_CRASHED' });
    await expect(thread.call('double', { value: 1 })).rejects.toMatchObject({ code: 'ENGINE_CRASHED' });
  });

  it('refuses calls after it was closed', async () => {
    await thread.close();
    await expect(thread.call('double', { value: 1 })).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });

  const facts = () => thread.call<{ rounds: number; cleanedUp: number }>('facts', {});
});

it('throws what a thread throws while it starts', async () => {
  await expect(new TaskThread(new Worker('throw new Error("no library")', { eval: true })).ready).rejects.toThrow(
    'no library',
  );
});

function countingWorker(): Worker {
  const loader = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/\.cjs$/, '.mjs'),
  ).href;
  const entry = new URL('../../test/fixtures/counting-thread.ts', import.meta.url).href;
  const code = `import { register } from ${JSON.stringify(loader)}; register(); await import(${JSON.stringify(entry)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
}

async function all<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const piece of pieces) taken.push(piece);
  return taken;
}
