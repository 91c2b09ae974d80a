import { AppError } from '../errors.js';
import type { AdapterBytes } from './adapter-store.js';
import { BoundedCache, type CacheStatistics } from './bounded-cache.js';
import type { SuppliedAdapter } from './engine-types.js';
import { digestOf } from './supplied-profiles.js';

/** Adapters that came with requests, by digest, in memory that the inference threads share; as {@link SuppliedProfiles}. */
export class SuppliedAdapters {
  readonly #known: BoundedCache<AdapterBytes>;

  constructor(maxBytes: number) {
    this.#known = new BoundedCache(maxBytes);
  }

  get statistics(): CacheStatistics {
    return this.#known.statistics;
  }

  /** Throws `ADAPTER_NOT_LOADED` for an unknown digest without bytes, `ADAPTER_INVALID` for bytes that are not the digest's. */
  take({ name, digest, bytes }: SuppliedAdapter): AdapterBytes {
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    if (bytes === undefined) {
      throw new AppError('ADAPTER_NOT_LOADED', `adapter "${name.slice(0, 80)}" was not sent to the engine`);
    }
    if (digestOf(bytes) !== digest) {
      throw new AppError('ADAPTER_INVALID', `adapter "${name.slice(0, 80)}" is not the one that was meant`);
    }
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    const adapter = { name, digest, bytes: shared };
    this.#known.set(digest, adapter, bytes.length);
    return adapter;
  }
}
