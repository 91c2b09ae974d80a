import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostEngine } from './engine-host.js';
import type { SynthesisRequest } from './engine-types.js';
import type { EngineCall, HostCommand, HostEvent } from './protocol.js';

const ENGINE_MODULE = new URL('../../test/fixtures/scripted-engine.ts', import.meta.url).href;

let dataDir: string;
let closers: (() => void)[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'timbre-host-'));
  closers = [];
});

afterEach(() => {
  for (const close of closers) close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A host on one end of a message channel, and the server's end with what arrived there so far. */
function connect() {
  const { port1, port2 } = new MessageChannel();
  const events: HostEvent[] = [];
  let wake = () => {};
  port1.on('message', (event: HostEvent) => {
    events.push(event);
    wake();
  });
  const closed = hostEngine({
    send: (event) => port2.postMessage(event),
    onCommand: (listener) => void port2.on('message', listener),
  });
  closers.push(() => port1.close());
  return {
    events,
    closed,
    send: (command: HostCommand) => port1.postMessage(command),
    call: (id: number, call: EngineCall) => port1.postMessage({ type: 'call', id, call }),
    async until(type: HostEvent['type'], count = 1): Promise<void> {
      while (events.filter((event) => event.type === type).length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

async function startHost() {
  const host = connect();
  host.send({ type: 'start', engineModule: ENGINE_MODULE, options: { dataDir } });
  await host.until('ready');
  return host;
}

function synthesis(text: string, credit: number): EngineCall {
  const request: SynthesisRequest = { text, voice: 'demo', language: 'auto', speed: 1, seed: 1 };
  return { method: 'synthesize', request, credit };
}

describe('the engine host', () => {
  it('sends as many chunks as it has credit for, then waits for more', async () => {
    const host = await startHost();
    host.call(7, synthesis('sentences=5', 2));
    await host.until('chunk', 2);
    host.send({ type: 'ping', id: 1 });
    await host.until('pong');
    expect(host.events.at(-1)).toMatchObject({ type: 'pong', id: 1, activeCalls: 1 });
    expect(host.events.filter((event) => event.type === 'chunk')).toHaveLength(2);
    host.send({ type: 'credit', id: 7, count: 3 });
    await host.until('end');
    expect(host.events.filter((event) => event.type === 'chunk')).toHaveLength(5);
  });

  it('answers a cancelled call once, with REQUEST_CANCELLED, even one that waits for credit', async () => {
    const host = await startHost();
    host.call(1, synthesis('sentences=5', 1));
    await host.until('chunk');
    host.send({ type: 'cancel', id: 1 });
    await host.until('error');
    host.send({ type: 'cancel', id: 1 });
    host.send({ type: 'credit', id: 1, count: 9 });
    host.send({ type: 'ping', id: 2 });
    await host.until('pong');
    expect(host.events.filter((event) => event.type === 'error')).toEqual([
      { type: 'error', id: 1, error: { code: 'REQUEST_CANCELLED', message: expect.any(String), stack: null } },
    ]);
    expect(host.events.at(-1)).toMatchObject({ activeCalls: 0 });
  });

  it('runs every method and reports progress', async () => {
    const host = await startHost();
    host.call(1, { method: 'enrolVoice', request: { name: 'a', recordings: [], transcript: null, language: 'zh' } });
    host.call(2, { method: 'listVoices' });
    host.call(3, { method: 'removeVoice', name: 'a' });
    host.call(4, { method: 'listModels' });
    host.call(5, { method: 'importModel', request: { name: 'm', paths: [] } });
    host.call(6, { method: 'inspectModel', name: 'scripted' });
    host.call(7, { method: 'verify' });
    host.call(8, { method: 'inspectModel', name: 'other' });
    await host.until('error');
    await host.until('result', 7);
    const results = host.events.filter((event) => event.type === 'result');
    expect(results.map((event) => event.id).sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(host.events).toContainEqual({ type: 'progress', id: 5, progress: { step: 'reading', fraction: 0.5 } });
    expect(host.events).toContainEqual(
      expect.objectContaining({ type: 'error', id: 8, error: expect.objectContaining({ code: 'MODEL_NOT_FOUND' }) }),
    );
  });

  it('says why it could not start, and ends', async () => {
    writeFileSync(join(dataDir, 'start-script'), 'fail');
    const host = connect();
    host.send({ type: 'start', engineModule: ENGINE_MODULE, options: { dataDir } });
    await host.closed;
    await host.until('start-failed');
    expect(host.events.at(-1)).toMatchObject({
      error: {
        code: 'INTERNAL',
        message: expect.not.stringContaining('plain'),
        stack: expect.stringContaining('plain'),
      },
    });
  });

  it('refuses calls that come before it is ready', async () => {
    const host = connect();
    host.call(1, { method: 'listVoices' });
    await host.until('error');
    expect(host.events[0]).toMatchObject({ type: 'error', id: 1, error: { code: 'INTERNAL' } });
  });

  it('cancels what runs and closes the engine once when told to close', async () => {
    const host = await startHost();
    host.call(1, synthesis('sentences=1000 every=20', 5));
    await host.until('chunk');
    host.send({ type: 'close' });
    host.send({ type: 'close' });
    await host.closed;
    await host.until('error');
    expect(host.events.at(-1)).toMatchObject({ id: 1, error: { code: 'REQUEST_CANCELLED' } });
  });
});
