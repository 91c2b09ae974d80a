import { AppError } from '../errors.js';
import { Recall, whenKnown } from '../recall.js';
import type { Database } from '../store/database.js';
import { getTenant, type Tenant } from './tenants.js';
import { charactersSince } from './usage.js';

export interface Admission {
  /** What clients read to pace themselves. */
  readonly headers: Readonly<Record<string, string>>;
  /** Share of the machine under load. */
  readonly weight: number;
  /** The call is over and booked: its place among the tenant's streams is free. */
  release(): void;
}

export interface QuotaOptions {
  readonly database: Database;
  readonly now?: () => number;
}

interface TenantState {
  readonly requests: Bucket;
  readonly characters: Bucket;
  running: number;
  runningCharacters: number;
  /** Characters of calls that ended since the month's sum was last read. */
  endedCharacters: number;
}

interface Facts {
  readonly tenant: Tenant;
  readonly charactersThisMonth: number;
}

/** Changed limits, a suspension and the month's sum are seen after at most so long. */
const FACTS_TTL_MS = 1000;
const MAX_REMEMBERED_FACTS = 10_000;
const MINUTE_MS = 60_000;

/**
 * What a tenant may use. Rates and streams are counted by each server for itself, the month's characters over all of
 * them (a second late): a limit of a hundred requests a minute is a hundred on each server behind a balancer.
 */
export class Quotas {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #states = new Map<string, TenantState>();
  readonly #facts: Recall<Facts>;

  constructor({ database, now = Date.now }: QuotaOptions) {
    this.#database = database;
    this.#now = now;
    this.#facts = new Recall({ ttlMs: FACTS_TTL_MS, maxEntries: MAX_REMEMBERED_FACTS, now });
  }

  /**
   * Takes a call of so many characters in, at once where the tenant's limits were read a moment ago. Throws, or rejects with,
   * `RATE_LIMITED` or `QUOTA_EXCEEDED`, saying when to come again, and `UNAUTHENTICATED` for a tenant that is no longer active.
   */
  admit(tenantId: string, { characters }: { readonly characters: number }): Admission | Promise<Admission> {
    const state = this.#state(tenantId);
    return whenKnown(this.#factsOf(tenantId, state), (facts) => this.#admit(state, facts, characters));
  }

  #admit(state: TenantState, { tenant, charactersThisMonth }: Facts, characters: number): Admission {
    if (tenant.state !== 'active') throw new AppError('UNAUTHENTICATED', 'this tenant is suspended or deleted');
    const { limits } = tenant;
    const nowMs = this.#now();

    if (limits.concurrentStreams !== null && state.running >= limits.concurrentStreams) {
      throw limited(`${limits.concurrentStreams} streams run at once, which is all this tenant may`, 1, {
        'current-concurrent-requests': state.running,
        'maximum-concurrent-requests': limits.concurrentStreams,
      });
    }
    const month = limits.charactersPerMonth;
    const used = charactersThisMonth + state.runningCharacters + state.endedCharacters;
    if (month !== null && used + characters > month) {
      throw new AppError(
        'QUOTA_EXCEEDED',
        `${used} of this month's ${month} characters are used, and this is ${characters} more`,
        {
          retryAfterSeconds: Math.ceil((nextMonth(nowMs) - nowMs) / 1000),
        },
      );
    }
    const headers: Record<string, string> = {};
    if (limits.requestsPerMinute !== null) {
      const waitMs = state.requests.take(1, limits.requestsPerMinute, nowMs);
      Object.assign(headers, rateHeaders('requests', state.requests, limits.requestsPerMinute));
      if (waitMs > 0) throw limited(`more than ${limits.requestsPerMinute} requests a minute`, waitMs / 1000, headers);
    }
    if (limits.charactersPerMinute !== null) {
      const waitMs = state.characters.take(characters, limits.charactersPerMinute, nowMs);
      Object.assign(headers, rateHeaders('tokens', state.characters, limits.charactersPerMinute));
      if (waitMs > 0) {
        throw limited(`more than ${limits.charactersPerMinute} characters a minute`, waitMs / 1000, headers);
      }
    }
    state.running++;
    state.runningCharacters += characters;
    let released = false;
    return {
      headers,
      weight: limits.weight,
      release: () => {
        if (released) return;
        released = true;
        state.running--;
        state.runningCharacters -= characters;
        state.endedCharacters += characters;
      },
    };
  }

  /** Throws `QUOTA_EXCEEDED` when a tenant that stores `storedBytes` may not add so many. */
  async checkStorage(tenantId: string, storedBytes: number, addedBytes: number): Promise<void> {
    const { tenant } = await this.#factsOf(tenantId, this.#state(tenantId));
    const limit = tenant.limits.storageBytes;
    if (limit === null || storedBytes + addedBytes <= limit) return;
    throw new AppError('QUOTA_EXCEEDED', `${storedBytes} of ${limit} bytes are stored, and this is ${addedBytes} more`);
  }

  #state(tenantId: string): TenantState {
    let state = this.#states.get(tenantId);
    if (state === undefined) {
      state = {
        requests: new Bucket(),
        characters: new Bucket(),
        running: 0,
        runningCharacters: 0,
        endedCharacters: 0,
      };
      this.#states.set(tenantId, state);
    }
    return state;
  }

  #factsOf(tenantId: string, state: TenantState): Facts | Promise<Facts> {
    return this.#facts.get(tenantId, async () => {
      const endedBefore = state.endedCharacters;
      const monthMs = startOfMonth(this.#now());
      const tenant = await getTenant(this.#database, tenantId);
      const perMonth = tenant.limits.charactersPerMonth;
      const charactersThisMonth = perMonth === null ? 0 : await charactersSince(this.#database, tenantId, monthMs);
      state.endedCharacters -= endedBefore;
      return { tenant, charactersThisMonth };
    });
  }
}

/** So much a minute, evenly: what was not used within a minute is lost. */
class Bucket {
  #level = Number.NaN;
  #atMs = 0;
  #perMinute = 0;

  /** @returns 0 when it was taken, else in how many milliseconds there is so much. */
  take(amount: number, perMinute: number, nowMs: number): number {
    if (Number.isNaN(this.#level) || perMinute !== this.#perMinute) this.#level = perMinute;
    else this.#level = Math.min(perMinute, this.#level + ((nowMs - this.#atMs) * perMinute) / MINUTE_MS);
    this.#perMinute = perMinute;
    this.#atMs = nowMs;
    // One call larger than a minute's worth goes through when the bucket is full, and empties it beyond zero.
    if (this.#level >= Math.min(amount, perMinute) && perMinute > 0) {
      this.#level -= amount;
      return 0;
    }
    return perMinute === 0 ? MINUTE_MS : ((Math.min(amount, perMinute) - this.#level) / perMinute) * MINUTE_MS;
  }

  get remaining(): number {
    return Math.max(0, Math.floor(this.#level));
  }

  get fullInSeconds(): number {
    return this.#perMinute === 0 ? 60 : ((this.#perMinute - this.#level) / this.#perMinute) * 60;
  }
}

function rateHeaders(what: 'requests' | 'tokens', bucket: Bucket, limit: number): Record<string, string> {
  return {
    [`x-ratelimit-limit-${what}`]: String(limit),
    [`x-ratelimit-remaining-${what}`]: String(bucket.remaining),
    [`x-ratelimit-reset-${what}`]: `${Math.ceil(bucket.fullInSeconds)}s`,
  };
}

function limited(what: string, waitSeconds: number, headers: Record<string, string | number>): AppError {
  const retryAfterSeconds = Math.max(1, Math.ceil(waitSeconds));
  return new AppError('RATE_LIMITED', `${what}; try again in ${retryAfterSeconds} s`, {
    retryAfterSeconds,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
  });
}

function startOfMonth(ms: number): Date {
  const date = new Date(ms);
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1));
}

function nextMonth(ms: number): number {
  const date = new Date(ms);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
