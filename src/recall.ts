export interface RecallOptions {
  /** What was asked is believed for so long. */
  readonly ttlMs: number;
  /** The oldest goes to make room. */
  readonly maxEntries: number;
  readonly now?: () => number;
}

interface Entry<T> {
  readonly untilMs: number;
  readonly asked: Promise<T>;
  /** Once it is there. */
  found: { readonly value: T } | null;
  refreshing: boolean;
}

/**
 * Goes on with what is known at once, else when it is: a promise for each step would be a tenth of what a short answer costs.
 */
export function whenKnown<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** From this share of its time on, an answer is asked for anew while it still serves. */
const REFRESH_SHARE = 0.75;

/**
 * Remembers for a moment what a database or an engine said, so that it costs nothing. What is in use is asked for anew ahead
 * of its end: else all requests of a tenant would wait, several times a second, for one of them to ask. A failure is not
 * remembered.
 */
export class Recall<T> {
  readonly #ttlMs: number;
  readonly #maxEntries: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry<T>>();

  constructor({ ttlMs, maxEntries, now = Date.now }: RecallOptions) {
    this.#ttlMs = ttlMs;
    this.#maxEntries = maxEntries;
    this.#now = now;
  }

  /** What is known under `key`, at once where it is; else what `load` says. Rejects with what `load` rejects with. */
  get(key: string, load: () => Promise<T>): T | Promise<T> {
    const entry = this.#entries.get(key);
    const nowMs = this.#now();
    if (entry === undefined || entry.untilMs <= nowMs) return this.#ask(key, load, nowMs).asked;
    if (entry.found === null) return entry.asked;
    if (!entry.refreshing && entry.untilMs - nowMs <= (1 - REFRESH_SHARE) * this.#ttlMs)
      this.#refresh(key, entry, load);
    return entry.found.value;
  }

  /** What is being asked for just now is forgotten as well: it may be of before. */
  forget(key: string): void {
    this.#entries.delete(key);
  }

  forgetWhere(concerned: (key: string) => boolean): void {
    for (const key of this.#entries.keys()) if (concerned(key)) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  #ask(key: string, load: () => Promise<T>, nowMs: number): Entry<T> {
    const entry = this.#entryOf(load(), nowMs);
    this.#entries.delete(key);
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, entry);
    entry.asked.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    });
    return entry;
  }

  #refresh(key: string, known: Entry<T>, load: () => Promise<T>): void {
    known.refreshing = true;
    const fresh = this.#entryOf(load(), this.#now());
    fresh.asked.then(
      () => {
        if (this.#entries.get(key) === known) this.#entries.set(key, fresh);
      },
      () => {
        known.refreshing = false;
      },
    );
  }

  #entryOf(asked: Promise<T>, nowMs: number): Entry<T> {
    const entry: Entry<T> = { untilMs: nowMs + this.#ttlMs, asked, found: null, refreshing: false };
    asked.then(
      (value) => {
        entry.found = { value };
      },
      () => {},
    );
    return entry;
  }
}
