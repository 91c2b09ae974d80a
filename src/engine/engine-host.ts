import type { CreateEngine, Engine } from './engine-types.js';
import { PaceControl } from './pace-control.js';
import { type EngineCall, type HostCommand, type HostEvent, toRemoteError } from './protocol.js';

/** The host's end of a message channel to the server. */
export interface HostChannel {
  send(event: HostEvent): void;
  onCommand(listener: (command: HostCommand) => void): void;
}

interface ActiveCall {
  readonly abort: AbortController;
  /** Chunks that may still be sent before the caller takes one. */
  credit: number;
  /** Wakes the call when credit arrives or it is cancelled. */
  wake: (() => void) | null;
  /** Of a synthesis; the caller may change it. */
  readonly pace: PaceControl;
}

/**
 * Serves an engine over a channel: starts it on `start`, runs any number of calls side by side, holds each one's audio
 * back while its caller has not taken what was sent, and answers every call exactly once. Resolves when told to close
 * and everything is closed; a failed start resolves too, after saying so.
 */
export function hostEngine(channel: HostChannel): Promise<void> {
  const active = new Map<number, ActiveCall>();
  let engine: Engine | null = null;
  let closing = false;

  return new Promise((resolve) => {
    const close = async () => {
      if (closing) return;
      closing = true;
      for (const call of active.values()) cancel(call);
      await engine?.close().catch(() => {});
      resolve();
    };

    const start = async (command: HostCommand & { type: 'start' }) => {
      try {
        const module: { createEngine: CreateEngine } = await import(command.engineModule);
        engine = await module.createEngine({
          ...command.options,
          onProgress: (progress) => channel.send({ type: 'progress', id: null, progress }),
        });
      } catch (error) {
        channel.send({ type: 'start-failed', error: toRemoteError(error, 'INTERNAL') });
        await close();
        return;
      }
      if (closing) await engine.close().catch(() => {});
      else channel.send({ type: 'ready', info: engine.info });
    };

    const run = async (id: number, request: EngineCall) => {
      const call: ActiveCall = {
        abort: new AbortController(),
        credit: request.method === 'synthesize' ? request.credit : 0,
        wake: null,
        pace: new PaceControl(request.method === 'synthesize' ? request.request.speed : 1),
      };
      active.set(id, call);
      try {
        if (engine === null) throw new Error('a call came before the engine was ready');
        if (request.method === 'synthesize') {
          const { signal } = call.abort;
          for await (const chunk of engine.synthesize(request.request, { signal, pace: call.pace })) {
            await untilCredit(call);
            signal.throwIfAborted();
            call.credit--;
            channel.send({ type: 'chunk', id, chunk });
          }
          signal.throwIfAborted();
          channel.send({ type: 'end', id });
        } else {
          const value = await callEngine(engine, request, call.abort.signal, (progress) =>
            channel.send({ type: 'progress', id, progress }),
          );
          channel.send({ type: 'result', id, value });
        }
      } catch (error) {
        const fallback = request.method === 'synthesize' ? 'SYNTHESIS_FAILED' : 'INTERNAL';
        const cancelled = call.abort.signal.aborted;
        channel.send({
          type: 'error',
          id,
          error: cancelled
            ? { code: 'REQUEST_CANCELLED', message: 'the request was cancelled', stack: null }
            : toRemoteError(error, fallback),
        });
      } finally {
        active.delete(id);
      }
    };

    channel.onCommand((command) => {
      switch (command.type) {
        case 'start':
          void start(command);
          break;
        case 'call':
          void run(command.id, command.call);
          break;
        case 'credit': {
          const call = active.get(command.id);
          if (call === undefined) break;
          call.credit += command.count;
          call.wake?.();
          break;
        }
        case 'pace':
          active.get(command.id)?.pace.set(command.speed);
          break;
        case 'cancel': {
          const call = active.get(command.id);
          if (call !== undefined) cancel(call);
          break;
        }
        case 'ping':
          channel.send({
            type: 'pong',
            id: command.id,
            rssBytes: process.memoryUsage.rss(),
            activeCalls: active.size,
            statistics: engine?.statistics?.() ?? null,
          });
          break;
        case 'close':
          void close();
          break;
        default:
          command satisfies never;
      }
    });
  });
}

function callEngine(
  engine: Engine,
  call: Exclude<EngineCall, { method: 'synthesize' }>,
  signal: AbortSignal,
  onProgress: NonNullable<NonNullable<Parameters<Engine['importModel']>[1]>['onProgress']>,
): Promise<unknown> {
  switch (call.method) {
    case 'enrolVoice':
      return engine.enrolVoice(call.request, { signal });
    case 'checkRecordings':
      return engine.checkRecordings(call.request, { signal });
    case 'prepareVoice':
      return engine.prepareVoice(call.request, { signal });
    case 'compareSpeakers':
      return engine.compareSpeakers(call.request, { signal });
    case 'checkAdapter':
      return engine.checkAdapter(call.request);
    case 'listVoices':
      return engine.listVoices();
    case 'removeVoice':
      return engine.removeVoice(call.name);
    case 'listModels':
      return engine.listModels();
    case 'importModel':
      return engine.importModel(call.request, { signal, onProgress });
    case 'inspectModel':
      return engine.inspectModel(call.name);
    case 'sourcesDigest':
      return engine.sourcesDigest(call.request);
    case 'readLexicon':
      return engine.readLexicon(call.text);
    case 'convertLexicon':
      return engine.convertLexicon(call.text, call.format, call.language);
    case 'compareReadings':
      return engine.compareReadings(call.request);
    case 'verify':
      return engine.verify({ signal });
    default:
      return call satisfies never;
  }
}

async function untilCredit(call: ActiveCall): Promise<void> {
  while (call.credit <= 0 && !call.abort.signal.aborted) {
    await new Promise<void>((resolve) => {
      call.wake = resolve;
    });
    call.wake = null;
  }
}

function cancel(call: ActiveCall): void {
  call.abort.abort(new DOMException('the request was cancelled', 'AbortError'));
  call.wake?.();
}
