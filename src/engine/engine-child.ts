import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AppError } from '../errors.js';
import type {
  AudioChunk,
  EngineInfo,
  EngineOptions,
  EngineStatistics,
  ImportProgress,
  SynthesisOptions,
  SynthesisRequest,
} from './engine-types.js';
import { type EngineCall, fromRemoteError, type HostCommand, type HostEvent } from './protocol.js';

export interface EngineChildOptions {
  /** File URL of a module that exports `createEngine`. */
  readonly engineModule: string;
  readonly engine: EngineOptions;
  readonly pingIntervalMs: number;
  /** No answer for so long: the process hangs and is killed. Longer than the longest single network run. */
  readonly pingTimeoutMs: number;
  /** Imports of the embedded model happen inside the start. */
  readonly startTimeoutMs: number;
  /** Chunks that may be under way before the caller takes one. */
  readonly creditWindow: number;
}

/** Why a process is no more; `asked` when we closed it. */
export interface ChildExit {
  readonly reason: 'asked' | 'crash' | 'hang';
  readonly description: string;
}

/** The error of every call that was under way when the process was lost. */
export class EngineLostError extends AppError {
  constructor(exit: ChildExit) {
    super(
      'ENGINE_CRASHED',
      `the engine process ${exit.description} during the request; it is being restarted, send the request again`,
    );
  }
}

/** Audio of one synthesis, and when the engine is done with it. */
export interface ChildSynthesis {
  readonly chunks: AsyncGenerator<AudioChunk, void, undefined>;
  /** Resolves when the process has ended the call (or itself), which after a cancellation is later than `chunks`. */
  readonly settled: Promise<void>;
}

export interface ChildHealth {
  readonly rssBytes: number;
  readonly activeCalls: number;
  /** Null before the first ping, and of an engine that counts nothing. */
  readonly statistics: EngineStatistics | null;
}

interface PendingCall {
  onEvent(event: HostEvent): void;
  onLost(error: AppError): void;
}

/**
 * Young objects of the engine process die young (a sentence makes 100 kB of them), so a small space for them costs no time:
 * the document of bench/text.ts takes as long with 1 MB as with V8's 16, and holds 20 MB less with 4 (137 MB, 158).
 */
export const ENGINE_V8_FLAGS = ['--max-semi-space-size=4'];

/** One engine process, from its fork to its end. It never restarts itself: `pool.ts` makes the next one. */
export class EngineChild {
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;
  readonly #options: EngineChildOptions;
  readonly #calls = new Map<number, PendingCall>();
  #nextId = 1;
  #pinger: NodeJS.Timeout | null = null;
  #health: ChildHealth = { rssBytes: 0, activeCalls: 0, statistics: null };
  #lost: ChildExit | null = null;
  #endReason: ChildExit | null = null;
  /** Calls that may block the process for longer than the ping timeout (imports). */
  #longCalls = 0;

  private constructor(options: EngineChildOptions) {
    this.#options = options;
    const entry = new URL(import.meta.url.endsWith('.ts') ? './process.ts' : './process.js', import.meta.url);
    this.#process = fork(fileURLToPath(entry), [], {
      serialization: 'advanced',
      execArgv: [...ENGINE_V8_FLAGS, ...(import.meta.url.endsWith('.ts') ? ['--import', typescriptLoader()] : [])],
      // Native libraries write where they like: their standard output must not mix with ours.
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.exited = new Promise((resolve) => {
      const onEnd = (exit: ChildExit) => {
        if (this.#lost !== null) return;
        this.#lost = this.#endReason ?? exit;
        if (this.#pinger !== null) clearInterval(this.#pinger);
        const error = new EngineLostError(this.#lost);
        for (const call of [...this.#calls.values()]) call.onLost(error);
        this.#calls.clear();
        resolve(this.#lost);
      };
      this.#process.on('error', (error) => onEnd({ reason: 'crash', description: `failed (${error.message})` }));
      this.#process.on('exit', (code, signal) =>
        onEnd({
          reason: 'crash',
          description: signal === null ? `exited with code ${code}` : `was ended by ${signal}`,
        }),
      );
    });
  }

  /**
   * Forks a process and waits until its engine is ready.
   *
   * Throws the engine's own error, or `ENGINE_NOT_READY` when the process ends or takes longer than `startTimeoutMs`;
   * no process is left behind then.
   */
  static async start(
    options: EngineChildOptions,
    signal?: AbortSignal,
  ): Promise<{ child: EngineChild; info: EngineInfo }> {
    signal?.throwIfAborted();
    const child = new EngineChild(options);
    try {
      return { child, info: await child.#untilReady(signal) };
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get health(): ChildHealth {
    return this.#health;
  }

  /** Starts a synthesis at once; at most `creditWindow` chunks wait here while the consumer is busy. */
  synthesize(request: SynthesisRequest, { signal, pace }: SynthesisOptions): ChildSynthesis {
    const id = this.#nextId++;
    const chunks: AudioChunk[] = [];
    let outcome: 'running' | 'ended' | AppError = 'running';
    let wake: (() => void) | null = null;
    let settle = () => {};
    const settled = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const finish = (result: 'ended' | AppError) => {
      outcome = result;
      this.#calls.delete(id);
      settle();
      wake?.();
    };
    const send = (command: HostCommand) => this.#send(command);

    if (this.#lost !== null) finish(new EngineLostError(this.#lost));
    else {
      this.#calls.set(id, {
        onEvent(event) {
          if (event.type === 'chunk') {
            chunks.push(event.chunk);
            wake?.();
          } else if (event.type === 'end') finish('ended');
          else if (event.type === 'error') finish(fromRemoteError(event.error));
        },
        onLost: finish,
      });
      const asked = pace ? { ...request, speed: pace.speed } : request;
      send({ type: 'call', id, call: { method: 'synthesize', request: asked, credit: this.#options.creditWindow } });
    }

    async function* take(): AsyncGenerator<AudioChunk, void, undefined> {
      const onAbort = () => {
        if (outcome === 'running') send({ type: 'cancel', id });
        wake?.();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
      const unsubscribe = pace?.subscribe((speed) => {
        if (outcome === 'running') send({ type: 'pace', id, speed });
      });
      try {
        for (;;) {
          signal?.throwIfAborted();
          const chunk = chunks.shift();
          if (chunk !== undefined) {
            if (outcome === 'running') send({ type: 'credit', id, count: 1 });
            yield chunk;
          } else if (outcome === 'ended') return;
          else if (outcome !== 'running') throw outcome;
          else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
            wake = null;
          }
        }
      } finally {
        unsubscribe?.();
        signal?.removeEventListener('abort', onAbort);
        if (outcome === 'running') send({ type: 'cancel', id });
      }
    }
    return { chunks: take(), settled };
  }

  /** Any other call of the engine; resolves with its result. */
  async call(
    call: Exclude<EngineCall, { method: 'synthesize' }>,
    options: { signal?: AbortSignal | undefined; onProgress?: ((progress: ImportProgress) => void) | undefined } = {},
  ): Promise<unknown> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    if (this.#lost !== null) throw new EngineLostError(this.#lost);
    const id = this.#nextId++;
    const long = LONG_CALLS.has(call.method);
    if (long) this.#longCalls++;
    let onAbort = () => {};
    try {
      return await new Promise<unknown>((resolve, reject) => {
        onAbort = () => {
          this.#send({ type: 'cancel', id });
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#calls.set(id, {
          onEvent(event) {
            if (event.type === 'progress') onProgress?.(event.progress);
            else if (event.type === 'result') resolve(event.value);
            else if (event.type === 'error') reject(fromRemoteError(event.error));
          },
          onLost: reject,
        });
        this.#send({ type: 'call', id, call });
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#calls.delete(id);
      if (long) this.#longCalls--;
    }
  }

  /** Ends the process: asks first, and kills it when it has not gone after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#endReason ??= { reason: 'asked', description: 'was closed' };
    this.#send({ type: 'close' });
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** Ends the process at once. */
  kill(exit: ChildExit = { reason: 'asked', description: 'was closed' }): void {
    this.#endReason ??= exit;
    this.#process.kill('SIGKILL');
  }

  async #untilReady(signal: AbortSignal | undefined): Promise<EngineInfo> {
    const { engine, engineModule, startTimeoutMs } = this.#options;
    const { onProgress, ...options } = engine;
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    try {
      return await new Promise<EngineInfo>((resolve, reject) => {
        onAbort = () => reject(signal?.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
        timer = setTimeout(() => {
          const message = `the engine was not ready after ${startTimeoutMs / 1000} s; see the log, or allow more time with TIMBRE_START_TIMEOUT_MS`;
          reject(new AppError('ENGINE_NOT_READY', message));
        }, startTimeoutMs);
        void this.exited.then((exit) => {
          const message = `the engine process ${exit.description} before it was ready; run "timbre doctor" to see why`;
          reject(new AppError('ENGINE_NOT_READY', message));
        });
        this.#process.on('message', (event: HostEvent) => {
          if (event.type === 'ready') {
            this.#watch();
            resolve(event.info);
          } else if (event.type === 'start-failed') reject(fromRemoteError(event.error));
          else if (event.type === 'progress' && event.id === null) onProgress?.(event.progress);
          else this.#dispatch(event);
        });
        this.#send({ type: 'start', engineModule, options });
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #dispatch(event: HostEvent): void {
    if (event.type === 'pong') {
      const { rssBytes, activeCalls, statistics } = event;
      this.#health = { rssBytes, activeCalls, statistics };
    } else if ('id' in event && event.id !== null) {
      // A chunk of a call that was cancelled meanwhile finds no call: dropped.
      this.#calls.get(event.id)?.onEvent(event);
    }
  }

  /** Pings every `pingIntervalMs`; a process that has not answered for `pingTimeoutMs` is killed. */
  #watch(): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    let lastPongMs = performance.now();
    let lastTickMs = lastPongMs;
    let nextPing = 1;
    this.#process.on('message', () => {
      lastPongMs = performance.now();
    });
    this.#pinger = setInterval(() => {
      const nowMs = performance.now();
      // We were the ones who slept (a suspended machine): that is not the engine's silence.
      if (nowMs - lastTickMs > pingIntervalMs * 3) lastPongMs = nowMs;
      lastTickMs = nowMs;
      if (this.#longCalls > 0) lastPongMs = nowMs;
      if (nowMs - lastPongMs > pingTimeoutMs) {
        this.kill({ reason: 'hang', description: `stopped answering for ${(pingTimeoutMs / 1000).toFixed(1)} s` });
        return;
      }
      this.#send({ type: 'ping', id: nextPing++ });
    }, pingIntervalMs);
    this.#pinger.unref();
  }

  #send(command: HostCommand): void {
    if (this.#lost !== null || !this.#process.connected) return;
    // A write that fails because the process is ending is answered by its exit.
    this.#process.send(command, () => {});
  }
}

/** Calls in which a process may be silent for long. */
const LONG_CALLS: ReadonlySet<EngineCall['method']> = new Set([
  'importModel',
  'verify',
  'enrolVoice',
  'prepareVoice',
  'checkRecordings',
  'compareSpeakers',
]);

/** The loader that lets a child run our sources as they are; a built server needs none. */
function typescriptLoader(): string {
  return pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
}
