/** A stream's place among those that want windows computed. */
export interface SchedulePlace {
  /** Whether its next window comes before everybody else's. False while it has none to compute. */
  isNext(): boolean;
  /** Says that a window of `audioMs` was computed in `costMs` and sent. */
  gave(audioMs: number, costMs: number): void;
  /** Audio the listener has not heard yet, if it listens as it comes; null before the first. */
  headroomMs(): number | null;
  leave(): void;
}

interface Entry {
  readonly ready: () => boolean;
  readonly enteredMs: number;
  /** When the listener has heard everything given so far; null before the first. */
  playedOutMs: number | null;
}

/** A listener who would run dry within so many windows' time is served before one who waits for the first sound. */
const WINDOWS_OF_SAFETY = 3;
/** What one window is taken to cost before any has been measured. */
const FIRST_COST_MS = 30;

/**
 * Whose window is computed next: first a listener about to run dry, then one who has heard nothing yet, then the one
 * who runs dry first. Listeners are taken to listen as audio comes.
 */
export class WindowSchedule {
  readonly #entries = new Set<Entry>();
  #costMs = FIRST_COST_MS;

  get size(): number {
    return this.#entries.size;
  }

  /** What the listener with the least has still to hear, below 0 when it hears nothing; null where nobody has heard anything. */
  get leastHeadroomMs(): number | null {
    let least: number | null = null;
    for (const { playedOutMs } of this.#entries) {
      if (playedOutMs !== null && (least === null || playedOutMs < least)) least = playedOutMs;
    }
    return least === null ? null : least - Date.now();
  }

  /** `playedOutMs` (Unix time): for a stream that goes on, when what came before has been heard. */
  enter(playedOutMs: number | null, ready: () => boolean): SchedulePlace {
    const entry: Entry = { ready, enteredMs: Date.now(), playedOutMs };
    this.#entries.add(entry);
    return {
      isNext: () => this.#next() === entry,
      gave: (audioMs, costMs) => {
        const nowMs = Date.now();
        entry.playedOutMs = Math.max(entry.playedOutMs ?? nowMs, nowMs) + audioMs;
        this.#costMs += 0.2 * (costMs - this.#costMs);
      },
      headroomMs: () => (entry.playedOutMs === null ? null : entry.playedOutMs - Date.now()),
      leave: () => this.#entries.delete(entry),
    };
  }

  #next(): Entry | null {
    const safeMs = Date.now() + WINDOWS_OF_SAFETY * this.#costMs;
    let first: Entry | null = null;
    for (const entry of this.#entries) {
      if (entry.ready() && (first === null || this.#before(entry, first, safeMs))) first = entry;
    }
    return first;
  }

  #before(a: Entry, b: Entry, safeMs: number): boolean {
    const [rankA, rankB] = [rank(a, safeMs), rank(b, safeMs)];
    if (rankA !== rankB) return rankA < rankB;
    return (a.playedOutMs ?? a.enteredMs) < (b.playedOutMs ?? b.enteredMs);
  }
}

function rank({ playedOutMs }: Entry, safeMs: number): number {
  if (playedOutMs === null) return 1;
  return playedOutMs < safeMs ? 0 : 2;
}
