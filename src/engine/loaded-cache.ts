/** A loaded thing that several tasks use at once and that is closed when room is needed and nobody uses it. */
interface Entry<T> {
  readonly value: T;
  users: number;
  lastUse: number;
}

/**
 * Keeps up to `capacity` loaded things (sessions of a model) by key; the least recently used that no task holds is
 * closed first. More may be loaded while tasks hold them all.
 */
export class LoadedCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #capacity: number;
  readonly #close: (value: T) => void;
  #clock = 0;

  constructor(capacity: number, close: (value: T) => void) {
    this.#capacity = capacity;
    this.#close = close;
  }

  /** The thing under `key`, loaded if need be; `release` must be called once when the task is done with it. */
  acquire(key: string, load: () => T): { readonly value: T; readonly release: () => void } {
    let entry = this.#entries.get(key);
    if (!entry) {
      this.#makeRoom();
      entry = { value: load(), users: 0, lastUse: 0 };
      this.#entries.set(key, entry);
    }
    const held = entry;
    held.users += 1;
    held.lastUse = ++this.#clock;
    let released = false;
    return {
      value: held.value,
      release: () => {
        if (released) return;
        released = true;
        held.users -= 1;
      },
    };
  }

  values(): T[] {
    return [...this.#entries.values()].map((entry) => entry.value);
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#close(entry.value);
    this.#entries.clear();
  }

  #makeRoom(): void {
    while (this.#entries.size >= this.#capacity) {
      const idle = [...this.#entries].filter(([, entry]) => entry.users === 0);
      const oldest = idle.sort(([, a], [, b]) => a.lastUse - b.lastUse)[0];
      if (!oldest) return;
      this.#entries.delete(oldest[0]);
      this.#close(oldest[1].value);
    }
  }
}
