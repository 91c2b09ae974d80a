/** What a cache did so far, and what it holds. */
export interface CacheStatistics {
  readonly hits: number;
  readonly misses: number;
  /** Entries that went to make room. */
  readonly evictions: number;
  readonly entries: number;
  readonly sizeBytes: number;
  readonly maxBytes: number;
}

/**
 * Values by key within a bound of bytes; the least recently used go first. What is larger than the whole bound is not
 * kept; a bound of 0 keeps nothing.
 */
export class BoundedCache<V> {
  readonly #maxBytes: number;
  /** In order of use, the least recent first. */
  readonly #entries = new Map<string, { readonly value: V; readonly sizeBytes: number }>();
  #sizeBytes = 0;
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get statistics(): CacheStatistics {
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      entries: this.#entries.size,
      sizeBytes: this.#sizeBytes,
      maxBytes: this.#maxBytes,
    };
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Keeps `value`, whose `sizeBytes` the caller estimates; the key's own size is added. */
  set(key: string, value: V, sizeBytes: number): void {
    this.delete(key);
    const wholeBytes = sizeBytes + 2 * key.length + ENTRY_BYTES;
    if (wholeBytes > this.#maxBytes) return;
    this.#entries.set(key, { value, sizeBytes: wholeBytes });
    this.#sizeBytes += wholeBytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.#sizeBytes <= this.#maxBytes) break;
      this.#entries.delete(oldest);
      this.#sizeBytes -= entry.sizeBytes;
      this.#evictions += 1;
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#sizeBytes -= entry.sizeBytes;
  }
}

/** Of the map's slot, the entry and the objects around a value. */
const ENTRY_BYTES = 200;
