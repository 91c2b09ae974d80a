/** A loaded thing that several tasks use at once and that is closed when room is needed and nobody uses it. */
interface Entry<T> {
  readonly value: T;
  users: number;
  lastUse: number;
  idleTimer: NodeJS.Timeout | undefined;
}

export interface LoadedCacheOptions {
  /** How long a thing that no task holds stays loaded; absent: until its room is needed. */
  readonly idleMs?: number;
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

  /** The thing under `key`, loaded if need be; `release` must be called once when the task is done with it. */
  acquire(key: string, load: () => T): { readonly value: T; readonly release: () => void } {
    let entry = this.#entries.get(key);
    if (!entry) {
      this.#makeRoom();
      entry = { value: load(), users: 0, lastUse: 0, idleTimer: undefined };
      this.#entries.set(key, entry);
    }
    const held = entry;
    clearTimeout(held.idleTimer);
    held.users += 1;
    held.lastUse = ++this.#clock;
    let released = false;
    return {
      value: held.value,
      release: () => {
        if (released) return;
        released = true;
        held.users -= 1;
        if (held.users === 0) this.#closeWhenIdle(key, held);
      },
    };
  }

  values(): T[] {
    return [...this.#entries.values()].map((entry) => entry.value);
  }

  close(): void {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
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
    this.#close(entry.value);
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
