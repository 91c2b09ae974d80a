import { AppError } from '../errors.js';
import type { Logger } from '../log.js';
import type { TimbreMetrics } from '../metrics.js';
import { type ChildExit, EngineChild, type EngineChildOptions, EngineLostError } from './engine-child.js';
import type {
  AdapterFacts,
  AudioChunk,
  Cancellable,
  CheckAdapterRequest,
  CompareSpeakersRequest,
  Engine,
  EngineInfo,
  EngineOptions,
  EngineStatistics,
  EnrolRequest,
  Finding,
  ImportModelRequest,
  ImportProgress,
  ModelDetails,
  ModelSummary,
  PreparedVoice,
  PrepareVoiceRequest,
  RecordingCheck,
  SpeechNames,
  SynthesisOptions,
  SynthesisRequest,
  VoiceSummary,
} from './engine-types.js';
import type { CompareReadingsRequest, ReadingDifference, ReadLexicon } from './lexicon-work.js';
import type { EngineCall } from './protocol.js';

export interface EnginePoolOptions {
  readonly engine: EngineOptions;
  /** File URL of a module that exports `createEngine`; absent: our engine. */
  readonly engineModule?: string;
  /** Syntheses that run in the engine at once; it batches them. Absent: 4. */
  readonly maxRunning?: number;
  /** Syntheses that may wait for one of those places; more are refused with `ENGINE_OVERLOADED`. Absent: 64. */
  readonly maxWaiting?: number;
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  readonly startTimeoutMs?: number;
  readonly creditWindow?: number;
  /** Delay before the second restart in a row; doubles up to `maxBackoffMs`. The first restart is immediate. */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
  readonly log?: Logger;
  readonly metrics?: TimbreMetrics;
}

export type PoolState = 'starting' | 'ready' | 'restarting' | 'draining' | 'closed';

export interface PoolStatus {
  readonly state: PoolState;
  readonly running: number;
  readonly waiting: number;
  /** Engine processes lost since the start. */
  readonly restarts: number;
  readonly enginePid: number | null;
  /** As of the last ping: resident memory, and calls the engine is busy with. */
  readonly engineRssBytes: number;
  readonly engineCalls: number;
  readonly engineStatistics: EngineStatistics | null;
  /** Why the last start failed, while none has succeeded since. */
  readonly lastFailure: string | null;
}

interface Waiter {
  admit(): void;
  refuse(error: AppError): void;
}

/** A process that lived so long before it was lost is restarted without back-off. */
const HEALTHY_AFTER_MS = 30_000;
const CLOSE_GRACE_MS = 3000;

/**
 * The engine in a process of its own, seen as an engine: started, watched, restarted with back-off when it crashes or
 * hangs, and never given more than `maxRunning` syntheses at once. A synthesis that had not yielded any audio when its
 * process was lost is begun again, once, on the next one; any other fails with `ENGINE_CRASHED`.
 */
export class EnginePool implements Engine {
  readonly #options: Required<Omit<EnginePoolOptions, 'log' | 'metrics'>>;
  readonly #log: Logger | undefined;
  readonly #metrics: TimbreMetrics | undefined;
  readonly #closing = new AbortController();
  readonly #waiters: Waiter[] = [];
  #state: PoolState = 'starting';
  #child: EngineChild | null = null;
  #info: EngineInfo | null = null;
  #running = 0;
  #restarts = 0;
  #consecutiveLosses = 0;
  #lastFailure: string | null = null;
  /** Settles with the attempt to start that is under way; null while back-off keeps us from one. */
  #starting: Promise<EngineChild> | null = null;
  #idleListeners: (() => void)[] = [];

  private constructor(options: EnginePoolOptions) {
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#options = {
      engine: options.engine,
      engineModule: options.engineModule ?? ownEngineModule(),
      maxRunning: options.maxRunning ?? 4,
      maxWaiting: options.maxWaiting ?? 64,
      pingIntervalMs: options.pingIntervalMs ?? 1000,
      pingTimeoutMs: options.pingTimeoutMs ?? 20_000,
      startTimeoutMs: options.startTimeoutMs ?? 180_000,
      creditWindow: options.creditWindow ?? 4,
      minBackoffMs: options.minBackoffMs ?? 250,
      maxBackoffMs: options.maxBackoffMs ?? 10_000,
    };
  }

  /** Starts the engine process and waits until it is ready. Throws why it is not: the engine's error or `ENGINE_NOT_READY`. */
  static async start(options: EnginePoolOptions, { signal }: Cancellable = {}): Promise<EnginePool> {
    const pool = new EnginePool(options);
    try {
      await pool.#startChild(signal);
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  get info(): EngineInfo {
    if (this.#info === null) throw new Error('the pool has not started');
    return this.#info;
  }

  get status(): PoolStatus {
    return {
      state: this.#state,
      running: this.#running,
      waiting: this.#waiters.length,
      restarts: this.#restarts,
      enginePid: this.#child?.pid ?? null,
      engineRssBytes: this.#child?.health.rssBytes ?? 0,
      engineCalls: this.#child?.health.activeCalls ?? 0,
      engineStatistics: this.#child?.health.statistics ?? null,
      lastFailure: this.#lastFailure,
    };
  }

  /**
   * As the engine's own, and also throws `ENGINE_OVERLOADED`, `ENGINE_CRASHED`, `ENGINE_NOT_READY`, `SHUTTING_DOWN`.
   * Leaving the loop early cancels the synthesis.
   */
  async *synthesize(
    request: SynthesisRequest,
    options: SynthesisOptions = {},
  ): AsyncGenerator<AudioChunk, void, undefined> {
    const { signal } = options;
    await this.#acquire(signal);
    // The place is free when the engine is done with the call, which after a cancellation is later than we are.
    let settled = Promise.resolve();
    let heard = false;
    try {
      for (let attempt = 1; ; attempt++) {
        const child = await this.#ready(signal);
        const synthesis = child.synthesize(request, options);
        settled = synthesis.settled;
        try {
          for await (const chunk of synthesis.chunks) {
            heard = true;
            yield chunk;
          }
          return;
        } catch (error) {
          if (!(error instanceof EngineLostError)) throw error;
          this.#throwIfClosed();
          if (heard || attempt === 2) throw error;
          this.#metrics?.engineRetries.inc();
          this.#log?.warn({ attempt }, 'engine lost before any audio; the request begins again');
        }
      }
    } finally {
      void settled.then(() => this.#release());
    }
  }

  enrolVoice(request: EnrolRequest, options: Cancellable = {}): Promise<VoiceSummary> {
    return this.#call({ method: 'enrolVoice', request }, options);
  }

  checkRecordings(request: PrepareVoiceRequest, options: Cancellable = {}): Promise<readonly RecordingCheck[]> {
    return this.#callAgain({ method: 'checkRecordings', request }, options);
  }

  prepareVoice(request: PrepareVoiceRequest, options: Cancellable = {}): Promise<PreparedVoice> {
    return this.#callAgain({ method: 'prepareVoice', request }, options);
  }

  compareSpeakers(request: CompareSpeakersRequest, options: Cancellable = {}): Promise<number | null> {
    return this.#callAgain({ method: 'compareSpeakers', request }, options);
  }

  checkAdapter(request: CheckAdapterRequest, options: Cancellable = {}): Promise<AdapterFacts> {
    return this.#callAgain({ method: 'checkAdapter', request }, options);
  }

  listVoices(options: Cancellable = {}): Promise<readonly VoiceSummary[]> {
    return this.#callAgain({ method: 'listVoices' }, options);
  }

  removeVoice(name: string, options: Cancellable = {}): Promise<void> {
    return this.#call({ method: 'removeVoice', name }, options);
  }

  listModels(options: Cancellable = {}): Promise<readonly ModelSummary[]> {
    return this.#callAgain({ method: 'listModels' }, options);
  }

  importModel(
    request: ImportModelRequest,
    options: Cancellable & { readonly onProgress?: (progress: ImportProgress) => void } = {},
  ): Promise<ModelSummary> {
    return this.#call({ method: 'importModel', request }, options);
  }

  inspectModel(name: string, options: Cancellable = {}): Promise<ModelDetails> {
    return this.#callAgain({ method: 'inspectModel', name }, options);
  }

  sourcesDigest(request: SpeechNames, options: Cancellable = {}): Promise<string> {
    return this.#callAgain({ method: 'sourcesDigest', request }, options);
  }

  readLexicon(text: string, options: Cancellable = {}): Promise<ReadLexicon> {
    return this.#callAgain({ method: 'readLexicon', text }, options);
  }

  convertLexicon(
    text: string,
    format: 'csv' | 'pls',
    language: string | null,
    options: Cancellable = {},
  ): Promise<string> {
    return this.#callAgain({ method: 'convertLexicon', text, format, language }, options);
  }

  compareReadings(request: CompareReadingsRequest, options: Cancellable = {}): Promise<readonly ReadingDifference[]> {
    return this.#callAgain({ method: 'compareReadings', request }, options);
  }

  verify(options: Cancellable = {}): Promise<readonly Finding[]> {
    return this.#callAgain({ method: 'verify' }, options);
  }

  /** Refuses new syntheses with `SHUTTING_DOWN` and waits for those accepted, or until `signal` aborts. */
  async drain({ signal }: Cancellable = {}): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'draining';
    if (this.#running === 0 && this.#waiters.length === 0) return;
    await new Promise<void>((resolve) => {
      signal?.addEventListener('abort', () => resolve(), { once: true });
      if (signal?.aborted) resolve();
      this.#idleListeners.push(resolve);
    });
  }

  /** Ends everything: running and waiting calls fail with `SHUTTING_DOWN`, the process is gone when this resolves. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#closing.abort(shuttingDown());
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(shuttingDown());
    this.#metrics?.engineUp.set(0);
    await this.#starting?.catch(() => {});
    await this.#child?.close(CLOSE_GRACE_MS);
    this.#child = null;
  }

  /** Takes one of the `maxRunning` places, or waits for one in order of arrival. */
  async #acquire(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    this.#throwIfClosed();
    if (this.#state === 'draining') throw shuttingDown();
    const { maxRunning, maxWaiting } = this.#options;
    if (this.#running < maxRunning) {
      this.#running++;
      return;
    }
    if (this.#waiters.length >= maxWaiting) {
      throw new AppError(
        'ENGINE_OVERLOADED',
        `${maxRunning} syntheses run and ${maxWaiting} wait, which is all this server takes; try again shortly`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        signal?.removeEventListener('abort', onAbort);
        const index = this.#waiters.indexOf(waiter);
        if (index >= 0) this.#waiters.splice(index, 1);
      };
      const waiter: Waiter = {
        admit() {
          settle();
          resolve();
        },
        refuse(error) {
          settle();
          reject(error);
        },
      };
      const onAbort = () => {
        settle();
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Hands the place to the next in line. */
  #release(): void {
    const next = this.#waiters[0];
    if (next !== undefined) {
      next.admit();
      return;
    }
    this.#running--;
    if (this.#running === 0) for (const listener of this.#idleListeners.splice(0)) listener();
  }

  async #call<T>(
    call: Exclude<EngineCall, { method: 'synthesize' }>,
    options: Cancellable & { readonly onProgress?: (progress: ImportProgress) => void },
  ): Promise<T> {
    const child = await this.#ready(options.signal);
    // The process is our own source: the result of a method has the type that `Engine` says.
    return (await child.call(call, options)) as T;
  }

  /** For calls that change nothing: a lost process is no reason to fail, the next one answers. */
  async #callAgain<T>(call: Exclude<EngineCall, { method: 'synthesize' }>, options: Cancellable): Promise<T> {
    try {
      return await this.#call<T>(call, options);
    } catch (error) {
      if (!(error instanceof EngineLostError)) throw error;
      return await this.#call<T>(call, options);
    }
  }

  /** The running process, or the one that is being started. Throws `ENGINE_NOT_READY` while starts fail. */
  async #ready(signal: AbortSignal | undefined): Promise<EngineChild> {
    signal?.throwIfAborted();
    this.#throwIfClosed();
    if (this.#child !== null) return this.#child;
    if (this.#starting === null) {
      throw new AppError(
        'ENGINE_NOT_READY',
        `the engine process could not be restarted (${this.#lastFailure ?? 'unknown reason'}); it is tried again, see the log`,
      );
    }
    return await abortable(this.#starting, signal);
  }

  async #startChild(signal?: AbortSignal): Promise<void> {
    const childOptions: EngineChildOptions = this.#options;
    const startedMs = performance.now();
    const abort = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
    const starting = EngineChild.start(childOptions, abort);
    this.#starting = starting.then(({ child }) => child);
    this.#starting.catch(() => {});
    const { child, info } = await starting;
    this.#child = child;
    this.#info = info;
    this.#starting = null;
    this.#lastFailure = null;
    if (this.#state === 'starting' || this.#state === 'restarting') this.#state = 'ready';
    this.#metrics?.engineUp.set(1);
    const startMs = Math.round(performance.now() - startedMs);
    this.#log?.info({ pid: child.pid, runtime: info.runtime, threads: info.threads, startMs }, 'engine ready');
    const readyMs = performance.now();
    void child.exited.then((exit) => this.#onExit(child, exit, performance.now() - readyMs));
  }

  #onExit(child: EngineChild, exit: ChildExit, livedMs: number): void {
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#state === 'closed') return;
    this.#metrics?.engineUp.set(0);
    this.#metrics?.engineRestarts.inc({ reason: exit.reason });
    this.#restarts++;
    this.#consecutiveLosses = livedMs > HEALTHY_AFTER_MS ? 1 : this.#consecutiveLosses + 1;
    if (this.#state === 'ready') this.#state = 'restarting';
    this.#log?.error(
      { pid: child.pid, reason: exit.reason, livedMs: Math.round(livedMs) },
      `engine ${exit.description}`,
    );
    this.#restart();
  }

  /** Starts a new process after the back-off; requests that arrive meanwhile wait for it, unless a start has failed. */
  #restart(): void {
    const { minBackoffMs, maxBackoffMs } = this.#options;
    const exponent = this.#consecutiveLosses - 2;
    const delayMs = exponent < 0 ? 0 : Math.min(maxBackoffMs, minBackoffMs * 2 ** exponent);
    const attempt = sleep(delayMs, this.#closing.signal).then(async () => {
      await this.#startChild();
      if (this.#child === null) throw new AppError('ENGINE_NOT_READY', 'the engine process ended as it started');
      return this.#child;
    });
    this.#starting = this.#lastFailure === null ? attempt : null;
    attempt.catch((error: unknown) => {
      if (this.#state === 'closed') return;
      this.#starting = null;
      this.#lastFailure = error instanceof Error ? error.message : String(error);
      this.#consecutiveLosses++;
      this.#log?.error({ err: error }, 'engine could not be restarted');
      this.#restart();
    });
  }

  #throwIfClosed(): void {
    if (this.#state === 'closed') throw shuttingDown();
  }
}

function shuttingDown(): AppError {
  return new AppError('SHUTTING_DOWN', 'the server is shutting down; send the request to another one, or again later');
}

function ownEngineModule(): string {
  return new URL(import.meta.url.endsWith('.ts') ? './engine.ts' : './engine.js', import.meta.url).href;
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  let onAbort = () => {};
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        if (signal.aborted) onAbort();
      }),
    ]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await abortable(
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, delayMs);
      }),
      signal,
    );
  } finally {
    clearTimeout(timer);
  }
}
