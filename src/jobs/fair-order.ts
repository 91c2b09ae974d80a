/** Whose turn it is, and what the turn costs. */
export interface FairShare {
  readonly tenant: string;
  /** Of the tenant, against 1. */
  readonly weight: number;
  readonly priority: 'interactive' | 'batch';
  readonly characters: number;
}

interface Place<T> {
  readonly item: T;
  /** Virtual time at which it begins. */
  readonly start: number;
}

interface Flow<T> {
  readonly tenant: string;
  readonly places: Place<T>[];
  /** Virtual time at which its newest item ends. */
  end: number;
}

/** Somebody listens to the one; the other still gets its tenth, so that it ends. */
const PRIORITY_WEIGHT = { interactive: 1, batch: 0.1 } as const;
/** What a job costs besides its characters: a short text takes its prefill all the same. */
const JOB_COST_CHARACTERS = 20;

/**
 * An order of waiting that gives tenants their share of characters, by weight, however many jobs each of them brings
 * (start-time fair queueing): a tenant that floods waits behind itself, and one that comes now and then is next.
 */
export class FairOrder<T> {
  readonly #flows = new Map<string, Flow<T>>();
  #size = 0;
  /** Virtual time: the start of what was taken last. */
  #now = 0;

  get length(): number {
    return this.#size;
  }

  push(item: T, share: FairShare): void {
    const name = `${share.priority} ${share.tenant}`;
    let flow = this.#flows.get(name);
    if (flow === undefined) {
      flow = { tenant: share.tenant, places: [], end: this.#now };
      this.#flows.set(name, flow);
    }
    const start = Math.max(this.#now, flow.end);
    const weight = Math.max(share.weight, 1e-6) * PRIORITY_WEIGHT[share.priority];
    flow.end = start + (share.characters + JOB_COST_CHARACTERS) / weight;
    flow.places.push({ item, start });
    this.#size++;
  }

  /** The next one, or undefined. */
  shift(): T | undefined {
    let next: Flow<T> | null = null;
    let start = Number.POSITIVE_INFINITY;
    for (const [name, flow] of this.#flows) {
      const head = flow.places[0];
      // A tenant that has waited for nothing since before now has no claim on what it did not use.
      if (head === undefined) {
        if (flow.end <= this.#now) this.#flows.delete(name);
      } else if (head.start < start) {
        next = flow;
        start = head.start;
      }
    }
    const place = next?.places.shift();
    if (place === undefined) return undefined;
    this.#now = place.start;
    this.#size--;
    return place.item;
  }

  remove(item: T): boolean {
    for (const { places } of this.#flows.values()) {
      const index = places.findIndex((place) => place.item === item);
      if (index < 0) continue;
      places.splice(index, 1);
      this.#size--;
      return true;
    }
    return false;
  }

  /** How many of a tenant's wait. */
  waitingOf(tenant: string): number {
    let count = 0;
    for (const flow of this.#flows.values()) if (flow.tenant === tenant) count += flow.places.length;
    return count;
  }

  /** The newest item of the tenant with the most waiting, if that has more than `tenant` would with one more. */
  excessOver(tenant: string): T | undefined {
    const counts = new Map<string, number>();
    for (const { tenant: each, places } of this.#flows.values()) {
      counts.set(each, (counts.get(each) ?? 0) + places.length);
    }
    const [most, count] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0] as [string, number]);
    if (most === tenant || count <= this.waitingOf(tenant) + 1) return undefined;
    const ofMost = [...this.#flows.values()].filter((flow) => flow.tenant === most && flow.places.length > 0);
    return ofMost.map((flow) => flow.places.at(-1)).reduce((a, b) => ((b?.start ?? 0) > (a?.start ?? 0) ? b : a))?.item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const { places } of this.#flows.values()) for (const { item } of places) yield item;
  }
}
