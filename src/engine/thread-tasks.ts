import type { MessagePort, TransferListItem, Worker } from 'node:worker_threads';
import { AppError, type ErrorPayload, errorFromPayload } from '../errors.js';

/**
 * Calls from the engine's main thread to an inference thread. Network runs block their thread, so a thread does its
 * work as tasks: generators that give way between runs. The tasks of a thread take turns; cancelling one means that it
 * is not resumed, at most one run later.
 */

/** A task: yields pieces of its result, {@link GIVE_WAY}, an {@link Until}, or a promise whose settling it waits for. */
export type Task = Generator<unknown, void, void>;

/** What a thread can do, by name: a task, or work short enough to be done at once, or a promise of its result. */
export type TaskMethods = Readonly<Record<string, (args: never, signal: AbortSignal, caller: Caller) => unknown>>;

/** What a task sees of its caller. */
export interface Caller {
  /** What it sent while the task ran, oldest first; the task takes it from here. The sender bounds what it sends. */
  readonly sent: unknown[];
  /** Pieces under way to it; at {@link MAX_UNTAKEN_PIECES} the task waits for it. */
  readonly untaken: number;
}

/** Yielded by a task that has nothing to deliver but lets the others go first. */
export const GIVE_WAY = Symbol('give way');

/** Yielded by a task that can only go on once `ready()`, which is asked before each round of turns and must be cheap. */
export class Until {
  readonly ready: () => boolean;

  constructor(ready: () => boolean) {
    this.ready = ready;
  }
}

/** A piece or result whose buffers move to the other thread instead of being copied. */
export class Transfer<T> {
  readonly value: T;
  readonly buffers: readonly TransferListItem[];

  constructor(value: T, buffers: readonly TransferListItem[]) {
    this.value = value;
    this.buffers = buffers;
  }
}

/** Pieces a task may have under way before it waits for its caller to take one. */
export const MAX_UNTAKEN_PIECES = 4;

type Request =
  | { readonly type: 'call'; readonly id: number; readonly method: string; readonly args: unknown }
  | { readonly type: 'feed'; readonly id: number; readonly value: unknown }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'taken'; readonly id: number };

type Reply =
  | { readonly type: 'ready' }
  /** The thread cannot serve. */
  | { readonly type: 'refused'; readonly error: ErrorPayload }
  | { readonly type: 'piece'; readonly id: number; readonly value: unknown }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: ErrorPayload; readonly stack: string | undefined };

/** What belongs to a call. */
type Answer = Exclude<Reply, { type: 'ready' | 'refused' }>;

interface RunningTask {
  readonly task: Task;
  readonly caller: { readonly sent: unknown[]; untaken: number };
  /** What the task said it waits for; null when it can go on. */
  until: Until | null;
}

/**
 * Serves calls on `port` until it closes. `beforeRound` runs before each round of turns: work that all tasks share, such
 * as one decoding step for every row; it returns true while there is more of it, even if no task can go on meanwhile.
 * Returns a promise that settles when the port closes.
 */
export async function serveTasks(
  port: MessagePort,
  methods: TaskMethods,
  beforeRound: () => boolean = () => false,
): Promise<void> {
  const tasks = new Map<number, RunningTask>();
  const promises = new Map<number, AbortController>();
  let closed = false;
  let wake = (): void => {};
  port.on('close', () => {
    closed = true;
    wake();
  });
  port.on('message', (request: Request) => {
    receive(request);
    wake();
  });
  port.postMessage({ type: 'ready' } satisfies Reply);

  function receive(request: Request): void {
    if (request.type === 'call') {
      start(request.id, request.method, request.args);
      return;
    }
    if (request.type === 'cancel') promises.get(request.id)?.abort();
    const entry = tasks.get(request.id);
    if (!entry) return;
    if (request.type === 'taken') entry.caller.untaken -= 1;
    else if (request.type === 'feed') entry.caller.sent.push(request.value);
    else {
      tasks.delete(request.id);
      try {
        entry.task.return(undefined);
      } catch {
        // The caller has left; what its clean-up throws reaches nobody.
      }
    }
  }

  function start(id: number, name: string, args: unknown): void {
    const abort = new AbortController();
    const caller = { sent: [], untaken: 0 };
    try {
      const method = methods[name] as TaskMethod | undefined;
      if (!method) throw new AppError('INTERNAL', `an inference thread has no method ${name}`);
      const started = method(args, abort.signal, caller);
      if (isTask(started)) {
        tasks.set(id, { task: started, caller, until: null });
        return;
      }
      promises.set(id, abort);
      Promise.resolve(started)
        .then(
          (value) => post('result', id, value),
          (error) => fail(id, error),
        )
        .finally(() => promises.delete(id));
    } catch (error) {
      fail(id, error);
    }
  }

  function advance(id: number, entry: RunningTask): void {
    try {
      const turn = entry.task.next();
      entry.until = null;
      if (turn.done) {
        tasks.delete(id);
        post('result', id, undefined);
      } else if (turn.value instanceof Until) {
        entry.until = turn.value;
      } else if (turn.value instanceof Promise) {
        entry.until = settling(turn.value);
      } else if (turn.value !== GIVE_WAY) {
        entry.caller.untaken += 1;
        post('piece', id, turn.value);
      }
    } catch (error) {
      tasks.delete(id);
      fail(id, error);
    }
  }

  /** What comes of the promise is the task's own affair. */
  function settling(promise: Promise<unknown>): Until {
    let settled = false;
    const settle = (): void => {
      settled = true;
      wake();
    };
    promise.then(settle, settle);
    return new Until(() => settled);
  }

  function post(type: 'piece' | 'result', id: number, value: unknown): void {
    if (value instanceof Transfer) port.postMessage({ type, id, value: value.value }, [...value.buffers]);
    else port.postMessage({ type, id, value } satisfies Reply);
  }

  function fail(id: number, error: unknown): void {
    const stack = error instanceof AppError || !(error instanceof Error) ? undefined : error.stack;
    port.postMessage({ type: 'error', id, error: payloadOf(error), stack } satisfies Reply);
  }

  while (!closed) {
    const more = beforeRound();
    const runnable = [...tasks].filter(
      ([, { caller, until }]) => caller.untaken < MAX_UNTAKEN_PIECES && (until === null || until.ready()),
    );
    if (runnable.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (more) setImmediate(resolve);
      });
      continue;
    }
    for (const [id, entry] of runnable) {
      if (tasks.has(id)) advance(id, entry);
      // Messages (a cancellation, a new call) are seen between any two runs.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
  for (const { task } of tasks.values()) task.return(undefined);
}

/** Instead of serving: says why this thread cannot. */
export function refuseTasks(port: MessagePort, error: unknown): void {
  port.postMessage({ type: 'refused', error: payloadOf(error) } satisfies Reply);
}

function payloadOf(error: unknown): ErrorPayload {
  if (error instanceof AppError) return error.toJSON();
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

type TaskMethod = (args: unknown, signal: AbortSignal, caller: Caller) => unknown;

function isTask(value: unknown): value is Task {
  return typeof value === 'object' && value !== null && Symbol.iterator in value && 'next' in value;
}

/** The caller's side of one inference thread. */
export class TaskThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, (reply: Answer) => void>();
  #nextId = 1;
  #failure: Error | null = null;

  /** Resolves when the thread serves; rejects with what it threw if it does not get there. */
  readonly ready: Promise<void>;

  /** Takes calls at once: they are carried out when the thread serves. */
  constructor(worker: Worker) {
    this.#worker = worker;
    this.ready = new Promise<void>((resolve, reject) => {
      const fail = (error: Error) => {
        reject(error);
        this.#fail(error);
      };
      worker.on('message', (reply: Reply) => {
        if (reply.type === 'ready') resolve();
        else if (reply.type === 'refused') fail(errorFromPayload(reply.error));
        else this.#pending.get(reply.id)?.(reply);
      });
      worker.on('error', fail);
      worker.on('exit', (code) => {
        fail(new AppError('ENGINE_CRASHED', `an inference thread ended (exit code ${code})`));
      });
    });
    // Who calls hears of it too.
    this.ready.catch(() => {});
  }

  /** Runs a task to its end and returns its result; pieces, if any, are dropped. */
  async call<T>(method: string, args: unknown, options: CallOptions = {}): Promise<T> {
    const pieces = this.stream<unknown, T>(method, args, options);
    for (;;) {
      const next = await pieces.next();
      if (next.done) return next.value;
    }
  }

  /**
   * Runs a task and yields its pieces as they come. Leaving the loop, or the signal, cancels the task; so does a failure
   * of `feed`, which is thrown here.
   */
  async *stream<P, T>(method: string, args: unknown, options: CallOptions = {}): AsyncGenerator<P, T, void> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#failure) throw this.#failure;
    const id = this.#nextId++;
    const inbox: Answer[] = [];
    let wake = (): void => {};
    let over = false;
    this.#pending.set(id, (reply) => {
      inbox.push(reply);
      wake();
    });
    const onAbort = (): void => wake();
    signal?.addEventListener('abort', onAbort);
    const failures: unknown[] = [];
    const send = (value: unknown): void => {
      if (this.#pending.has(id)) this.#worker.postMessage({ type: 'feed', id, value } satisfies Request);
    };
    const fail = (error: unknown): void => {
      failures.push(error);
      wake();
    };
    let stopFeeding = (): void => {};
    try {
      this.#worker.postMessage({ type: 'call', id, method, args } satisfies Request, [...(options.transfer ?? [])]);
      if (options.feed) stopFeeding = options.feed(send, fail);
      for (;;) {
        signal?.throwIfAborted();
        if (failures.length > 0) throw failures[0];
        const reply = inbox.shift();
        if (!reply) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        } else if (reply.type === 'piece') {
          yield reply.value as P;
          this.#worker.postMessage({ type: 'taken', id } satisfies Request);
        } else {
          over = true;
          if (reply.type === 'result') return reply.value as T;
          const error = errorFromPayload(reply.error);
          if (reply.stack) error.stack = reply.stack;
          throw error;
        }
      }
    } finally {
      this.#pending.delete(id);
      stopFeeding();
      signal?.removeEventListener('abort', onAbort);
      if (!over && !this.#failure) this.#worker.postMessage({ type: 'cancel', id } satisfies Request);
    }
  }

  async close(): Promise<void> {
    this.#fail(new AppError('SHUTTING_DOWN', 'the engine is closing'));
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    const payload = payloadOf(error);
    for (const [id, deliver] of [...this.#pending]) {
      deliver({ type: 'error', id, error: payload, stack: error.stack });
    }
  }
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly transfer?: readonly TransferListItem[];
  /** Called once the task is started, to send values to its inbox; what it returns is called when the task is over. */
  readonly feed?: ((send: (value: unknown) => void, fail: (error: unknown) => void) => () => void) | undefined;
}
