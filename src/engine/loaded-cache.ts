import { AppError } from '../errors.js';

/** A thing that several tasks use at once and that is closed when room is needed and nobody uses it. */
interface Entry<T> {
  state: State<T>;
  users: number;
  lastUse: number;
  idleTimer: NodeJS.Timeout | undefined;
}

type State<T> =
  | { readonly is: 'loading'; readonly settled: Promise<void> }
  | { readonly is: 'loaded'; readonly value: T }
  | { readonly is: 'failed'; readonly error: unknown };

/** A task's hold on a thing. */
export interface Held<T> {
  /** Settles, without an error, when the thing is there or cannot be loaded; null when it is settled. */
  readonly loading: Promise<void> | null;
  /** The thing; throws what loading it threw, and while it is being loaded. */
  readonly value: T;
  /** Must be called once when the task is done with it. */
  release(): void;
}

/** Lets a task wait until what it holds is loaded, while the others of its thread go on. */
export function* whenLoaded<T>(held: Held<T>): Generator<Promise<void>, T, void> {
  if (held.loading) yield held.loading;
  return held.value;
}

export interface LoadedCacheOptions {
  /** How long a thing that no task holds stays loaded; absent: until its room is needed. */
  readonly idleMs?: number;
}

/** Uses what is held when it is loaded, and lets go of it. */
export async function withLoaded<T, R>(held: Held<T>, use: (value: T) => R): Promise<R> {
  try {
    if (held.loading) await held.loading;
    return use(held.value);
  } finally {
    held.release();
  }
}

/**
 * Keeps up to `capacity` loaded things (sessions of a model) by key; the least recently used that no task holds is
 * closed first. More may be loaded while tasks hold them all.
 */
export class LoadedCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #capacity: number;
  readonly #close: (value: T) => void;
  readonly #idleMs: number | undefined;
  #clock = 0;

  constructor(capacity: number, close: (value: T) => void, options: LoadedCacheOptions = {}) {
    this.#capacity = capacity;
    this.#close = close;
    this.#idleMs = options.idleMs;
  }

  /** The thing under `key`, loaded if need be: at once, or by a promise, which those who come meanwhile share. */
  acquire(key: string, load: () => T | Promise<T>): Held<T> {
    const entry = this.#entries.get(key) ?? this.#load(key, load);
    clearTimeout(entry.idleTimer);
    entry.users += 1;
    entry.lastUse = ++this.#clock;
    let released = false;
    return {
      get loading() {
        return entry.state.is === 'loading' ? entry.state.settled : null;
      },
      get value() {
        return loadedValue(entry);
      },
      release: () => {
        if (released) return;
        released = true;
        entry.users -= 1;
        if (entry.users === 0) this.#closeWhenIdle(key, entry);
      },
    };
  }

  /** What is loaded. */
  values(): T[] {
    return [...this.#entries.values()].flatMap(({ state }) => (state.is === 'loaded' ? [state.value] : []));
  }

  close(): void {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
  }

  #load(key: string, load: () => T | Promise<T>): Entry<T> {
    this.#makeRoom();
    const thing = load();
    const state: State<T> =
      thing instanceof Promise
        ? {
            is: 'loading',
            settled: thing.then(
              (value) => this.#take(key, entry, value),
              (error) => this.#fail(key, entry, error),
            ),
          }
        : { is: 'loaded', value: thing };
    const entry: Entry<T> = { state, users: 0, lastUse: 0, idleTimer: undefined };
    this.#entries.set(key, entry);
    return entry;
  }

  #take(key: string, entry: Entry<T>, value: T): void {
    entry.state = { is: 'loaded', value };
    // Room was made, or everything closed, when nobody waited for it any more.
    if (this.#entries.get(key) !== entry) this.#close(value);
  }

  /** Who comes next tries again. */
  #fail(key: string, entry: Entry<T>, error: unknown): void {
    entry.state = { is: 'failed', error };
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  #closeWhenIdle(key: string, entry: Entry<T>): void {
    if (this.#idleMs === undefined || this.#entries.get(key) !== entry) return;
    entry.idleTimer = setTimeout(() => this.#drop(key), this.#idleMs);
    entry.idleTimer.unref();
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    clearTimeout(entry.idleTimer);
    this.#entries.delete(key);
    if (entry.state.is === 'loaded') this.#close(entry.state.value);
  }

  #makeRoom(): void {
    while (this.#entries.size >= this.#capacity) {
      const idle = [...this.#entries].filter(([, entry]) => entry.users === 0);
      const oldest = idle.sort(([, a], [, b]) => a.lastUse - b.lastUse)[0];
      if (!oldest) return;
      this.#drop(oldest[0]);
    }
  }
}

function loadedValue<T>({ state }: Entry<T>): T {
  switch (state.is) {
    case 'loaded':
      return state.value;
    case 'failed':
      throw state.error;
    case 'loading':
      throw new AppError('INTERNAL', 'what is still being loaded was used');
  }
}
