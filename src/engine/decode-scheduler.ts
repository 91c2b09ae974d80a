import { AppError } from '../errors.js';

/**
 * What a row is worth to the scheduler: somebody listens to a `stream` while it is made, so its tokens have a deadline; a
 * `batch` row takes what is left.
 */
export type RowUrgency = 'stream' | 'batch';

/** A sentence that waits for a row. */
export interface WaitingSentence {
  readonly urgency: RowUrgency;
  /** Whose it is: among equals, the tenant with the fewest rows goes first. */
  readonly tenant: string;
  /** When its listener has heard everything that came before (Unix time); null where nothing was heard yet. */
  readonly deadlineMs: number | null;
}

export interface SchedulerLimits {
  /** Rows that are always allowed, and most rows ever. */
  readonly fewestRows: number;
  readonly mostRows: number;
  /** Sentences that may wait; more are refused. */
  readonly mostWaiting: number;
  /** The limit of rows rises while a step of that many takes less than this, and falls while it takes twice as long. */
  readonly stepMs: number;
}

/**
 * A token is 40 ms of speech. At 20 ms a step every stream still gains on its listener, which leaves the other half of the
 * time to waveforms and prefills.
 */
export const DEFAULT_LIMITS: SchedulerLimits = { fewestRows: 8, mostRows: 32, mostWaiting: 256, stepMs: 20 };

/** How soon the first audio of a stream is wanted: its deadline while nothing was heard. */
const FIRST_AUDIO_MS = 150;

/** Deadlines this close are equal, so that tenants take turns. */
const DEADLINE_GRAIN_MS = 100;

/** The part of the rows that batch jobs leave to streams that may come. */
const KEPT_FOR_STREAMS = 0.25;

interface Entry<T extends WaitingSentence> {
  readonly sentence: T;
  readonly arrivedMs: number;
}

/**
 * Decides which sentence gets the next free row of a batch, and how many rows there are. Streams go before batch jobs;
 * among streams the one whose listener runs dry first; among equals the tenant with the fewest rows; then whoever came
 * first. Knows no network and no clock: times are given.
 */
export class DecodeScheduler<T extends WaitingSentence> {
  readonly #limits: SchedulerLimits;
  readonly #waiting: Entry<T>[] = [];
  readonly #rows = new Set<T>();
  #limit: number;
  #stepMs = 0;

  constructor(limits: SchedulerLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
    this.#limit = limits.fewestRows;
  }

  /** Rows allowed now. */
  get limit(): number {
    return this.#limit;
  }

  get rows(): number {
    return this.#rows.size;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** How long the oldest sentence has waited. */
  queueAgeMs(nowMs: number): number {
    return Math.max(0, ...this.#waiting.map((entry) => nowMs - entry.arrivedMs));
  }

  /** Recent steps, smoothed. */
  get stepMs(): number {
    return this.#stepMs;
  }

  /** Throws `ENGINE_OVERLOADED` where too many wait already. */
  add(sentence: T, nowMs: number): void {
    if (this.#waiting.length >= this.#limits.mostWaiting) {
      throw new AppError(
        'ENGINE_OVERLOADED',
        `${this.#waiting.length} sentences wait for the decoder already; try again later`,
      );
    }
    this.#waiting.push({ sentence, arrivedMs: nowMs });
  }

  /** Forgets a sentence, whether it waits, has a row or has left already. */
  remove(sentence: T): void {
    this.#rows.delete(sentence);
    const index = this.#waiting.findIndex((entry) => entry.sentence === sentence);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** Gives the next free row away; null where none is free or nobody may have it. */
  next(): T | null {
    if (this.#rows.size >= this.#limit) return null;
    const places = [...this.#waiting.keys()].sort((a, b) => this.#before(this.#waiting[a]!, this.#waiting[b]!));
    for (const place of places) {
      const { sentence } = this.#waiting[place]!;
      if (sentence.urgency === 'batch' && !this.#hasRoomForBatch()) return null; // all that follow are batch jobs too
      this.#waiting.splice(place, 1);
      this.#rows.add(sentence);
      return sentence;
    }
    return null;
  }

  /** Learns from a step of so many rows, and moves the limit by at most one row. */
  observeStep(rows: number, tookMs: number): void {
    this.#stepMs = this.#stepMs === 0 ? tookMs : this.#stepMs + 0.1 * (tookMs - this.#stepMs);
    const { fewestRows, mostRows, stepMs } = this.#limits;
    if (this.#stepMs > 2 * stepMs) this.#limit = Math.max(fewestRows, this.#limit - 1);
    else if (rows >= this.#limit && this.#stepMs < stepMs) this.#limit = Math.min(mostRows, this.#limit + 1);
  }

  #hasRoomForBatch(): boolean {
    const batch = [...this.#rows].filter((row) => row.urgency === 'batch').length;
    return batch < Math.max(1, Math.floor(this.#limit * (1 - KEPT_FOR_STREAMS)));
  }

  #before(a: Entry<T>, b: Entry<T>): number {
    if (a.sentence.urgency !== b.sentence.urgency) return a.sentence.urgency === 'stream' ? -1 : 1;
    if (a.sentence.urgency === 'stream') {
      const grains = (entry: Entry<T>) =>
        Math.floor((entry.sentence.deadlineMs ?? entry.arrivedMs + FIRST_AUDIO_MS) / DEADLINE_GRAIN_MS);
      const difference = grains(a) - grains(b);
      if (difference !== 0) return difference;
    }
    return this.#rowsOf(a.sentence.tenant) - this.#rowsOf(b.sentence.tenant) || a.arrivedMs - b.arrivedMs;
  }

  #rowsOf(tenant: string): number {
    let count = 0;
    for (const row of this.#rows) if (row.tenant === tenant) count += 1;
    return count;
  }
}
