/** A change on another server is seen after so long; on this one at once. */
const TTL_MS = 500;
const MAX_REMEMBERED = 10_000;

/** What requests use of a tenant's kept things, by name: the newest version of each, believed for half a second. */
export class NewestOfTenants<T> {
  readonly #read: (tenantId: string) => Promise<ReadonlyMap<string, T>>;
  readonly #known = new Map<string, { readonly untilMs: number; readonly newest: Promise<ReadonlyMap<string, T>> }>();

  constructor(read: (tenantId: string) => Promise<ReadonlyMap<string, T>>) {
    this.#read = read;
  }

  of(tenantId: string): Promise<ReadonlyMap<string, T>> {
    const nowMs = Date.now();
    const known = this.#known.get(tenantId);
    if (known !== undefined && known.untilMs > nowMs) return known.newest;
    const newest = this.#read(tenantId);
    this.#known.delete(tenantId);
    const oldest = this.#known.keys().next();
    if (this.#known.size >= MAX_REMEMBERED && !oldest.done) this.#known.delete(oldest.value);
    this.#known.set(tenantId, { untilMs: nowMs + TTL_MS, newest });
    newest.catch(() => {
      if (this.#known.get(tenantId)?.newest === newest) this.#known.delete(tenantId);
    });
    return newest;
  }

  /** Something of the tenant's has changed here. */
  forget(tenantId: string): void {
    this.#known.delete(tenantId);
  }
}
