import { AppError, type ErrorCode } from '../errors.js';
import type { Logger } from '../log.js';
import type { Database, Sql } from '../store/database.js';

/** Why a voice must stop. */
export type StopReason = 'consent_revoked' | 'disabled' | 'deleted' | 'unshared';

export interface VoiceStop {
  /** Whose voice it is. */
  readonly ownerId: string;
  /** The voice, or a consent: then all that speaks under it. */
  readonly subject: string;
  /** Who may not use it any more; null: nobody may. */
  readonly userId: string | null;
  readonly reason: StopReason;
}

/** A use of a voice that ends with the voice. */
export interface WatchedUse {
  /** Aborts with `CONSENT_REVOKED`, `VOICE_DISABLED` or `VOICE_NOT_FOUND` when the voice must stop. */
  readonly signal: AbortSignal;
  release(): void;
}

interface RunningUse {
  readonly userId: string;
  readonly abort: AbortController;
}

/** Every server looks so often: with what a look takes, everything has stopped well within a second. */
const POLL_MS = 150;
/** Stops are looked at for so long, so that one that was committed late is seen all the same. */
const WINDOW_SECONDS = 15;
/** Longer than anything that began before a stop may take to be watched. */
const REMEMBER_MS = 60_000;

/**
 * The voices that speak in this process, and what makes them stop: an act in this process at once, one in another within
 * {@link POLL_MS} through the database.
 */
export class VoiceStops {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #running = new Map<string, Set<RunningUse>>();
  /** When a voice was last stopped, by this process's clock. */
  readonly #stopped = new Map<string, { readonly atMs: number; readonly stop: VoiceStop }[]>();
  readonly #listeners: ((stop: VoiceStop) => void)[] = [];
  readonly #seen = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #polling: Promise<void> | null = null;
  #polledMs = Date.now();
  #closed = false;

  constructor(database: Database, log: Logger) {
    this.#database = database;
    this.#log = log;
    // The embedded database is this process's alone: what is done, is done here.
    if (database.kind === 'postgres') this.#pollSoon();
  }

  /** Hears of every stop, those of other processes too. */
  onStop(listener: (stop: VoiceStop) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Watches a use of a voice that was found to be allowed at `checkedMs`: a stop since then ends it at once.
   * `untilMs`: when the consent ends, which ends it too.
   */
  watch(use: {
    readonly ownerId: string;
    readonly voiceId: string;
    readonly consentId: string | null;
    readonly userId: string;
    readonly checkedMs: number;
    readonly untilMs: number | null;
  }): WatchedUse {
    const { ownerId, voiceId, consentId } = use;
    const keys = [voiceId, ...(consentId === null ? [] : [consentId])].map((subject) => keyOf({ ownerId, subject }));
    const running: RunningUse = { userId: use.userId, abort: new AbortController() };
    const timer = use.untilMs === null ? null : abortAt(use.untilMs, running.abort);
    for (const key of keys) {
      const uses = this.#running.get(key) ?? new Set();
      this.#running.set(key, uses.add(running));
      for (const { atMs, stop } of this.#stopped.get(key) ?? []) {
        if (atMs >= use.checkedMs && concerns(stop, running)) running.abort.abort(stopError(stop.reason));
      }
    }
    return {
      signal: running.abort.signal,
      release: () => {
        if (timer !== null) clearTimeout(timer);
        for (const key of keys) {
          const uses = this.#running.get(key);
          uses?.delete(running);
          if (uses?.size === 0) this.#running.delete(key);
        }
      },
    };
  }

  /**
   * Ends what speaks, here at once and on all servers within {@link POLL_MS} of one short commit: ahead of the act that
   * makes it so, which waits for its audit record. That act has to {@link announce} it again, for what begins meanwhile.
   */
  async stopAhead(stop: VoiceStop): Promise<void> {
    this.stopHere(stop);
    try {
      await this.#database.asTenant(stop.ownerId, (sql) => this.announce(sql, stop));
    } catch (error) {
      this.#log.warn({ err: error }, 'other servers hear of a stopped voice only when the act itself is written');
    }
  }

  /** Tells all servers, as part of the transaction that makes it so; {@link stopHere} tells this one, once that is committed. */
  async announce(sql: Sql, { ownerId, subject, userId, reason }: VoiceStop): Promise<void> {
    const { rows } = await sql.query<{ id: number }>(
      'INSERT INTO voice_stops (tenant_id, voice_id, user_id, reason) VALUES ($1, $2, $3, $4) RETURNING id',
      [ownerId, subject, userId, reason],
    );
    // It is no news here: what begins after it must not end when the next look finds it.
    for (const { id } of rows) this.#seen.set(String(id), Date.now());
  }

  stopHere(stop: VoiceStop): void {
    const key = keyOf(stop);
    const nowMs = Date.now();
    const recent = (this.#stopped.get(key) ?? []).filter(({ atMs }) => nowMs - atMs < REMEMBER_MS);
    this.#stopped.set(key, [...recent, { atMs: nowMs, stop }]);
    for (const listener of this.#listeners) listener(stop);
    for (const use of this.#running.get(key) ?? []) {
      if (concerns(stop, use)) use.abort.abort(stopError(stop.reason));
    }
  }

  /** Looks now for what others have stopped, or what was done to the tables themselves. */
  async look(): Promise<void> {
    await this.#poll();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#polling;
  }

  #pollSoon(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#polling = this.#poll()
        .catch((error: unknown) => this.#log.warn({ err: error }, 'stopped voices cannot be looked for; trying again'))
        .finally(() => this.#pollSoon());
    }, POLL_MS);
    this.#timer.unref();
  }

  async #poll(): Promise<void> {
    const startedMs = Date.now();
    // After the database was away, everything since then.
    const seconds = WINDOW_SECONDS + (startedMs - this.#polledMs) / 1000;
    const { rows } = await this.#database.asPlatform((sql) =>
      sql.query<{ id: number; tenant_id: string; voice_id: string; user_id: string | null; reason: StopReason }>(
        `SELECT id, tenant_id, voice_id, user_id, reason FROM voice_stops
         WHERE stopped_at > now() - make_interval(secs => $1) ORDER BY id`,
        [seconds],
      ),
    );
    this.#polledMs = startedMs;
    for (const row of rows) {
      if (this.#seen.has(String(row.id))) continue;
      this.#seen.set(String(row.id), startedMs);
      this.stopHere({ ownerId: row.tenant_id, subject: row.voice_id, userId: row.user_id, reason: row.reason });
    }
    this.#forgetOld(startedMs);
  }

  #forgetOld(nowMs: number): void {
    for (const [id, atMs] of this.#seen) if (nowMs - atMs > 2 * REMEMBER_MS) this.#seen.delete(id);
    for (const [key, stops] of this.#stopped) {
      if (stops.every(({ atMs }) => nowMs - atMs > REMEMBER_MS)) this.#stopped.delete(key);
    }
  }
}

/** Removes what every server has long seen. */
export async function pruneStops(database: Database): Promise<void> {
  await database.asPlatform((sql) => sql.query("DELETE FROM voice_stops WHERE stopped_at < now() - interval '1 day'"));
}

function keyOf({ ownerId, subject }: { readonly ownerId: string; readonly subject: string }): string {
  return `${ownerId}/${subject}`;
}

function concerns(stop: VoiceStop, use: RunningUse): boolean {
  return stop.userId === null || stop.userId === use.userId;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

function abortAt(untilMs: number, abort: AbortController): NodeJS.Timeout | null {
  const leftMs = untilMs - Date.now();
  // No synthesis lasts for weeks.
  if (leftMs > LONGEST_TIMER_MS) return null;
  const timer = setTimeout(
    () => abort.abort(new AppError('CONSENT_EXPIRED', "the speaker's consent has ended just now")),
    Math.max(0, leftMs),
  );
  timer.unref();
  return timer;
}

const STOP_ERRORS: Readonly<Record<StopReason, { readonly code: ErrorCode; readonly message: string }>> = {
  consent_revoked: { code: 'CONSENT_REVOKED', message: "the speaker's consent was revoked: the voice speaks no more" },
  disabled: { code: 'VOICE_DISABLED', message: 'the voice was switched off by its owner' },
  deleted: { code: 'VOICE_NOT_FOUND', message: 'the voice was deleted' },
  unshared: { code: 'VOICE_NOT_FOUND', message: 'the voice is no longer shared with this tenant' },
};

export function stopError(reason: StopReason): AppError {
  const { code, message } = STOP_ERRORS[reason];
  return new AppError(code, message);
}
