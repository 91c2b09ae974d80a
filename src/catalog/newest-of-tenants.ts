import { Recall } from '../recall.js';

/** A change on another server is seen after so long; on this one at once. */
const TTL_MS = 500;
const MAX_REMEMBERED = 10_000;

/** What requests use of a tenant's kept things, by name: the newest version of each, believed for half a second. */
export class NewestOfTenants<T> {
  readonly #read: (tenantId: string) => Promise<ReadonlyMap<string, T>>;
  readonly #known = new Recall<ReadonlyMap<string, T>>({ ttlMs: TTL_MS, maxEntries: MAX_REMEMBERED });

  constructor(read: (tenantId: string) => Promise<ReadonlyMap<string, T>>) {
    this.#read = read;
  }

  of(tenantId: string): ReadonlyMap<string, T> | Promise<ReadonlyMap<string, T>> {
    return this.#known.get(tenantId, () => this.#read(tenantId));
  }

  /** Something of the tenant's has changed here. */
  forget(tenantId: string): void {
    this.#known.forget(tenantId);
  }
}
