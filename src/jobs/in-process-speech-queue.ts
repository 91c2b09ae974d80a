import { AppError } from '../errors.js';
import { FairOrder, type FairShare } from './fair-order.js';
import type { LoadPredictor } from './load-predictor.js';
import type {
  ClaimedSpeechJob,
  QueueDepth,
  SpeechEvent,
  SpeechJob,
  SpeechJobSource,
  SpeechQueue,
} from './speech-queue.js';

export interface InProcessQueueOptions {
  /** Jobs that may wait for a worker; a further one is refused with `ENGINE_OVERLOADED`. */
  readonly maxWaiting: number;
  /** Events that may lie between worker and caller; a worker that has so many out waits. */
  readonly maxBufferedEvents?: number;
  /** Refuses jobs that would be late or make others late; absent: only `maxWaiting` refuses. */
  readonly predictor?: LoadPredictor;
}

interface Entry {
  readonly job: SpeechJob;
  readonly cancel: AbortController;
  readonly events: SpeechEvent[];
  state: 'waiting' | 'running' | 'ended';
  failure: { readonly error: unknown } | null;
  wakeCaller: (() => void) | null;
  wakeWorker: (() => void) | null;
}

interface Claimer {
  give(entry: Entry): void;
  refuse(error: unknown): void;
}

/** The queue of a single server: both sides in one process, bounded in jobs and in audio under way. */
export class InProcessSpeechQueue implements SpeechQueue, SpeechJobSource {
  readonly #options: Required<Omit<InProcessQueueOptions, 'predictor'>>;
  readonly #predictor: LoadPredictor | undefined;
  readonly #waiting = new FairOrder<Entry>();
  readonly #running = new Set<Entry>();
  readonly #claimers: Claimer[] = [];
  #closed = false;
  #idleListeners: (() => void)[] = [];

  constructor(options: InProcessQueueOptions) {
    this.#options = { maxWaiting: options.maxWaiting, maxBufferedEvents: options.maxBufferedEvents ?? 4 };
    this.#predictor = options.predictor;
  }

  get depth(): QueueDepth {
    return { waiting: this.#waiting.length, running: this.#running.size };
  }

  async *submit(
    job: SpeechJob,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<SpeechEvent, void, undefined> {
    signal?.throwIfAborted();
    const entry = this.#enqueue(job);
    // Also while the caller is busy with what it took: the engine must not go on meanwhile.
    const onAbort = () => {
      this.#cancel(entry);
      entry.wakeCaller?.();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        signal?.throwIfAborted();
        const event = entry.events.shift();
        if (event !== undefined) {
          entry.wakeWorker?.();
          yield event;
        } else if (entry.failure !== null) throw entry.failure.error;
        else if (entry.state === 'ended') return;
        else {
          await new Promise<void>((resolve) => {
            entry.wakeCaller = resolve;
          });
          entry.wakeCaller = null;
        }
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#cancel(entry);
    }
  }

  async claim({ signal }: { readonly signal: AbortSignal }): Promise<ClaimedSpeechJob> {
    signal.throwIfAborted();
    if (this.#closed) throw closedError();
    const next = this.#waiting.shift();
    const entry = next ?? (await this.#nextEntry(signal));
    return this.#start(entry);
  }

  /** Resolves when nothing waits and nothing runs, or `signal` aborts. */
  async idle({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#isIdle() || signal?.aborted) return;
    await new Promise<void>((resolve) => {
      this.#idleListeners.push(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Fails every job, waiting or running, with `SHUTTING_DOWN`, and refuses new ones. */
  close(): void {
    this.#closed = true;
    for (const entry of [...this.#waiting, ...this.#running]) this.#end(entry, { error: closedError() });
    for (const claimer of this.#claimers.splice(0)) claimer.refuse(closedError());
  }

  #enqueue(job: SpeechJob): Entry {
    if (this.#closed) throw closedError();
    const entry: Entry = {
      job,
      cancel: new AbortController(),
      events: [],
      state: 'waiting',
      failure: null,
      wakeCaller: null,
      wakeWorker: null,
    };
    this.#predictor?.arrive(entry, job.request);
    const claimer = this.#claimers.shift();
    if (claimer !== undefined) {
      this.#markRunning(entry);
      claimer.give(entry);
      return entry;
    }
    const share = shareOf(job);
    if (this.#waiting.length >= this.#options.maxWaiting) {
      // Whoever takes the most of the room gives way to who takes less.
      const excess = this.#waiting.excessOver(share.tenant);
      if (excess === undefined) {
        this.#predictor?.end(entry, false);
        throw this.#overloaded();
      }
      this.#end(excess, { error: this.#overloaded() });
    }
    this.#waiting.push(entry, share);
    return entry;
  }

  #overloaded(): AppError {
    return new AppError(
      'ENGINE_OVERLOADED',
      `${this.#options.maxWaiting} requests wait already, which is all this server takes; try again shortly`,
    );
  }

  #nextEntry(signal: AbortSignal): Promise<Entry> {
    return new Promise((resolve, reject) => {
      const settle = () => signal.removeEventListener('abort', onAbort);
      const claimer: Claimer = {
        give(entry) {
          settle();
          resolve(entry);
        },
        refuse(error) {
          settle();
          reject(error);
        },
      };
      const onAbort = () => {
        this.#claimers.splice(this.#claimers.indexOf(claimer), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#claimers.push(claimer);
    });
  }

  #start(entry: Entry): ClaimedSpeechJob {
    this.#markRunning(entry);
    const { signal } = entry.cancel;
    const publish = async (event: SpeechEvent) => {
      signal.throwIfAborted();
      if (event.type === 'audio') this.#predictor?.audio(entry, event.samples.length / event.sampleRateHz);
      entry.events.push(event);
      entry.wakeCaller?.();
      const full = entry.events.length >= this.#options.maxBufferedEvents;
      if (full) this.#predictor?.holdBack(entry, true);
      while (entry.events.length >= this.#options.maxBufferedEvents && !signal.aborted) {
        await new Promise<void>((resolve) => {
          entry.wakeWorker = resolve;
        });
        entry.wakeWorker = null;
      }
      if (full) this.#predictor?.holdBack(entry, false);
      signal.throwIfAborted();
    };
    return {
      job: entry.job,
      signal,
      publish,
      finish: () => this.#end(entry, null),
      fail: (error) => this.#end(entry, { error }),
    };
  }

  #markRunning(entry: Entry): void {
    if (entry.state !== 'waiting') return;
    entry.state = 'running';
    this.#predictor?.start(entry);
    this.#running.add(entry);
  }

  /** The caller left: a job that waits is forgotten, one that runs is told. */
  #cancel(entry: Entry): void {
    if (entry.state === 'ended') return;
    if (entry.state === 'waiting') this.#end(entry, null);
    this.#abort(entry);
  }

  #abort(entry: Entry): void {
    entry.cancel.abort(new AppError('REQUEST_CANCELLED', 'the caller left'));
    entry.wakeWorker?.();
  }

  #end(entry: Entry, failure: Entry['failure']): void {
    if (entry.state === 'ended') return;
    const { state } = entry;
    entry.state = 'ended';
    entry.failure = failure;
    this.#predictor?.end(entry, state === 'running' && failure === null && !entry.cancel.signal.aborted);
    if (state === 'waiting') this.#waiting.remove(entry);
    this.#running.delete(entry);
    if (failure !== null) this.#abort(entry);
    entry.wakeCaller?.();
    if (this.#isIdle()) for (const listener of this.#idleListeners.splice(0)) listener();
  }

  #isIdle(): boolean {
    return this.#waiting.length === 0 && this.#running.size === 0;
  }
}

function closedError(): AppError {
  return new AppError('SHUTTING_DOWN', 'the server is shutting down; send the request to another one, or again later');
}

function shareOf({ request, tenant = '', weight = 1, priority = 'interactive' }: SpeechJob): FairShare {
  return { tenant, weight, priority, characters: request.text.length };
}
