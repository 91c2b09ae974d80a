import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLogger } from './log.js';
import { createShutdown, type ShutdownPhase, shutdownOnSignals } from './shutdown.js';

const written: string[] = [];
const log = createLogger({ level: 'info', format: 'json', write: (line) => written.push(line) });

/** A process that only remembers: its listeners and how it was told to exit. */
function fakeProcess() {
  const listeners = new Map<string, () => void>();
  const exits: number[] = [];
  let exited = (_code: number) => {};
  const exit = new Promise<number>((resolve) => {
    exited = resolve;
  });
  return {
    exits,
    exit: (code: number) => {
      exits.push(code);
      exited(code);
    },
    whenExited: exit,
    on: (signal: string, listener: () => void) => listeners.set(signal, listener),
    signal: (signal: string) => listeners.get(signal)?.(),
  };
}

describe('a shutdown', () => {
  it('runs its phases in order, each after the whole one before, and only once', async () => {
    const shutdown = createShutdown({ graceMs: 1000, log });
    const order: string[] = [];
    const add = (phase: ShutdownPhase, name: string, delayMs: number) =>
      shutdown.add({
        phase,
        name,
        run: async () => {
          await sleep(delayMs);
          order.push(name);
        },
      });
    add('close', 'close', 0);
    add('drain', 'slow drain', 20);
    add('drain', 'fast drain', 0);
    add('refuse', 'refuse', 5);
    add('abort', 'abort', 0);
    await Promise.all([shutdown.run('test'), shutdown.run('again')]);
    expect(order).toEqual(['refuse', 'fast drain', 'slow drain', 'abort', 'close']);
  });

  it('tells draining steps when the grace is over', async () => {
    const shutdown = createShutdown({ graceMs: 20, log });
    let told = false;
    shutdown.add({
      phase: 'drain',
      name: 'endless',
      run: (signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            told = true;
            resolve();
          }),
        ),
    });
    await shutdown.run('test');
    expect(told).toBe(true);
  });

  it('goes on after a step that fails, and logs it', async () => {
    const shutdown = createShutdown({ graceMs: 20, log });
    let closed = false;
    shutdown.add({
      phase: 'refuse',
      name: 'broken',
      run: () => {
        throw new Error('no');
      },
    });
    shutdown.add({
      phase: 'close',
      name: 'close',
      run: () => {
        closed = true;
      },
    });
    await shutdown.run('test');
    expect(closed).toBe(true);
    expect(written.some((line) => line.includes('"step":"broken"'))).toBe(true);
  });
});

describe('signals', () => {
  it('run the shutdown and exit with 0', async () => {
    const source = fakeProcess();
    const shutdown = createShutdown({ graceMs: 10, log });
    let closed = false;
    shutdown.add({
      phase: 'close',
      name: 'close',
      run: () => {
        closed = true;
      },
    });
    shutdownOnSignals(shutdown, { forceAfterMs: 1000, log, source });
    source.signal('SIGTERM');
    expect(await source.whenExited).toBe(0);
    expect(closed).toBe(true);
  });

  it('exit with 1 at the second one, or when it takes too long', async () => {
    const endless = () => {
      const shutdown = createShutdown({ graceMs: 10, log });
      shutdown.add({ phase: 'close', name: 'endless', run: () => new Promise(() => {}) });
      return shutdown;
    };
    const impatient = fakeProcess();
    shutdownOnSignals(endless(), { forceAfterMs: 60_000, log, source: impatient });
    impatient.signal('SIGINT');
    expect(impatient.exits).toEqual([]);
    impatient.signal('SIGINT');
    expect(impatient.exits).toEqual([1]);

    const stuck = fakeProcess();
    shutdownOnSignals(endless(), { forceAfterMs: 20, log, source: stuck });
    stuck.signal('SIGTERM');
    expect(await stuck.whenExited).toBe(1);
  });
});
