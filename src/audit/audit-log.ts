import { AppError } from '../errors.js';
import type { Logger } from '../log.js';
import { type Database, type Sql, sqlState, UNIQUE_VIOLATION } from '../store/database.js';
import { type AuditEntry, appendToChain, type WrittenEntry, writeEntry } from './chain.js';
import { Spool, type SpooledEntry } from './spool.js';

export interface AuditLogOptions {
  readonly database: Database;
  readonly spoolFolder: string;
  readonly spoolMaxBytes?: number;
  /**
   * When an entry counts as safe: once the `database` has committed it (the spool is for when that is away), or once
   * the `spool` has it, which is later brought into the database. By default the spool for the embedded database.
   */
  readonly safeIn?: 'database' | 'spool';
  /** Done in the transaction that adds the entries, and for each of them once. */
  readonly alsoBook?: (sql: Sql, tenantId: string, added: readonly WrittenEntry[]) => Promise<void>;
  readonly log: Logger;
  readonly retryMs?: number;
}

interface Pending {
  readonly entry: WrittenEntry;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Entries that may wait in memory for a commit; more means that neither database nor disk keeps up. */
const MAX_PENDING = 20_000;
const MAX_BATCH = 500;
const SPOOL_MAX_BYTES = 256 * 1024 * 1024;
const RETRY_MS = 1000;
/** The spool has them: many that come within a moment cost the database little more than one. */
const SOON_MS = 200;

/**
 * The writer of audit records. Entries that arrive while one commit is under way share the next one, so that a
 * thousand callers wait for a few commits and not for a thousand.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #safeIn: 'database' | 'spool';
  readonly #spool: Spool;
  /** Safe in the spool, on their way to the database, in order. */
  #spooled: SpooledEntry[];
  #pending: Pending[] = [];
  #writing: Promise<void> | null = null;
  #draining: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;
  /** The last attempt to hand over brought something into the database. */
  #progress = false;

  private constructor(options: AuditLogOptions, spool: Spool, left: SpooledEntry[]) {
    this.#options = options;
    this.#safeIn = options.safeIn ?? (options.database.kind === 'pglite' ? 'spool' : 'database');
    this.#spool = spool;
    this.#spooled = left;
  }

  /** Opens the spool and begins to hand over what an earlier run left in it. */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const { spool, left } = await Spool.open({
      folder: options.spoolFolder,
      maxBytes: options.spoolMaxBytes ?? SPOOL_MAX_BYTES,
    });
    const log = new AuditLog(options, spool, left);
    if (left.length > 0) {
      options.log.info({ entries: left.length }, 'audit records of an earlier run are brought into the database');
      log.#drain();
    }
    return log;
  }

  /** Entries that the database does not have yet. */
  get waiting(): number {
    return this.#pending.length + this.#spooled.length;
  }

  /** Resolves when the entry is safe. Throws `AUDIT_UNAVAILABLE` when it can be kept nowhere. */
  append(entry: AuditEntry): Promise<void> {
    if (this.#closed || this.#pending.length >= MAX_PENDING) {
      return Promise.reject(unavailable(new Error(this.#closed ? 'the log is closed' : 'too many entries wait')));
    }
    return new Promise((resolve, reject) => {
      this.#pending.push({ entry: writeEntry(entry), resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** Resolves when the database has everything that was safe before the call, or cannot be reached. */
  async flush(): Promise<void> {
    await this.#writing;
    do {
      this.#drain();
      await this.#draining;
    } while (this.#progress && this.#spooled.length > 0);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.flush();
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#spool.close();
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      // Entries of the same turn of the event loop go together; a promise would be there before the next request is read.
      await new Promise((resolve) => setImmediate(resolve));
      const batch = this.#pending.slice(0, MAX_BATCH);
      this.#pending = this.#pending.slice(MAX_BATCH);
      await this.#writeBatch(batch);
    }
    this.#writing = null;
  }

  async #writeBatch(batch: readonly Pending[]): Promise<void> {
    let rest = batch;
    // While the spool drains, later entries queue behind it: a call's end must not come before its start.
    if (this.#safeIn === 'database' && this.#spooled.length === 0) {
      rest = await this.#commit(batch);
      if (rest.length === 0) return;
    }
    try {
      const spooled = await this.#spool.append(rest.map(({ entry }) => entry));
      // Only now: what was handed over meanwhile is another list.
      this.#spooled.push(...spooled);
      for (const { resolve } of rest) resolve();
      this.#drainSoon();
    } catch (error) {
      this.#options.log.error({ err: error, entries: rest.length }, 'audit records could not be kept');
      for (const { reject } of rest) reject(unavailable(error));
    }
  }

  /** @returns those that the database did not take. */
  async #commit(batch: readonly Pending[]): Promise<Pending[]> {
    const failed: Pending[] = [];
    for (const [tenantId, ofTenant] of groupBy(batch, ({ entry }) => entry.tenantId)) {
      try {
        await this.#book(
          tenantId,
          ofTenant.map(({ entry }) => entry),
        );
        for (const { resolve } of ofTenant) resolve();
      } catch (error) {
        this.#options.log.warn({ err: error, entries: ofTenant.length }, 'audit records go to the spool');
        failed.push(...ofTenant);
      }
    }
    return failed;
  }

  async #book(tenantId: string, entries: readonly WrittenEntry[]): Promise<void> {
    const { database, alsoBook } = this.#options;
    const book = (checked: boolean) =>
      database.asTenant(tenantId, async (sql) => {
        const added = await appendToChain(sql, tenantId, entries, { checked });
        if (added.length > 0) await alsoBook?.(sql, tenantId, added);
      });
    try {
      await book(false);
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
      // Some of them are there: their commit's answer was lost, or the process died behind it.
      await book(true);
    }
  }

  #drainSoon(): void {
    if (this.#draining === null && this.#retry === null && !this.#closed) this.#drainAfter(SOON_MS);
  }

  #drainAfter(ms: number): void {
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#drain();
    }, ms);
    this.#retry.unref();
  }

  #drain(): void {
    if (this.#draining !== null || this.#spooled.length === 0) return;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#draining = this.#handOver().finally(() => {
      this.#draining = null;
      if (this.#spooled.length === 0 || this.#closed) return;
      // What came meanwhile waits for a moment, so that commits are shared.
      this.#drainAfter(this.#progress ? SOON_MS : (this.#options.retryMs ?? RETRY_MS));
    });
  }

  async #handOver(): Promise<void> {
    this.#progress = false;
    for (const [tenantId, ofTenant] of groupBy(this.#spooled, ({ entry }) => entry.tenantId)) {
      for (let start = 0; start < ofTenant.length; start += MAX_BATCH) {
        const batch = ofTenant.slice(start, start + MAX_BATCH);
        try {
          await this.#book(
            tenantId,
            batch.map(({ entry }) => entry),
          );
        } catch (error) {
          this.#options.log.warn({ err: error, waiting: this.#spooled.length }, 'the database takes no audit records');
          if (error instanceof AppError && error.code === 'STORE_UNAVAILABLE') return;
          // Something is wrong with this tenant's; the others' go on.
          break;
        }
        this.#progress = true;
        const done = new Set(batch);
        this.#spooled = this.#spooled.filter((spooled) => !done.has(spooled));
        await this.#spool.release(batch);
      }
    }
  }
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

function unavailable(cause: unknown): AppError {
  return new AppError(
    'AUDIT_UNAVAILABLE',
    'the call was not carried out, because its audit record can be kept nowhere just now; try again',
    { cause },
  );
}
