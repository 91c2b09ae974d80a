import { createHash } from 'node:crypto';
import { AppError } from '../errors.js';
import { whenKnown } from '../recall.js';
import { type Database, type Sql, sqlState, UNIQUE_VIOLATION } from '../store/database.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import { type Caller, principalName } from '../tenancy/caller.js';
import type { Vault } from '../vault/vault.js';
import { NewestOfTenants } from './newest-of-tenants.js';

/** A version of a tenant's lexicon, without its text. */
export interface LexiconRecord {
  readonly name: string;
  /** From 1; a version never changes. */
  readonly version: number;
  readonly entries: number;
  /** SHA-256 of the text, lower-case hex. */
  readonly digest: string;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** Which text a request is to be read with: what the worker needs to hand it to an engine. */
export interface LexiconUse {
  readonly tenant: string;
  readonly lexicon: string;
  readonly version: number;
  readonly digest: string;
}

export interface LexiconCatalogOptions {
  readonly database: Database;
  readonly calls: CallLedger;
  /** Texts are encrypted: who is who at a customer's may stand in them. */
  readonly vault: Pick<Vault, 'sealRow' | 'openRow' | 'remove'>;
}

/** The lexicon that applies to every request of its tenant, beside the one with the voice's own name. */
export const DEFAULT_LEXICON = 'default';
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
export const MAX_LEXICON_BYTES = 4 * 1024 * 1024;
const MAX_LEXICONS = 1000;
/** Of one lexicon; older ones go when new ones come. */
const MAX_VERSIONS = 100;
const COLUMNS = 'name, version, entries, digest, created_at, created_by';

/** The lexicons of tenants: versions in the database, the newest of each name in use from the next request on. */
export class LexiconCatalog {
  readonly #database: Database;
  readonly #calls: CallLedger;
  readonly #vault: LexiconCatalogOptions['vault'];
  readonly #newest: NewestOfTenants<LexiconUse>;

  constructor({ database, calls, vault }: LexiconCatalogOptions) {
    this.#database = database;
    this.#calls = calls;
    this.#vault = vault;
    this.#newest = new NewestOfTenants(async (tenant) => {
      const records = await this.list(tenant);
      return new Map(records.map(({ name, version, digest }) => [name, { tenant, lexicon: name, version, digest }]));
    });
  }

  /** Encrypts the texts that an earlier release kept as they were. @returns how many there were. */
  async sealPlain(): Promise<number> {
    const { rows } = await this.#database.asPlatform((sql) =>
      sql.query<{ tenant_id: string }>('SELECT DISTINCT tenant_id FROM lexicon_versions WHERE sealed IS NULL'),
    );
    let count = 0;
    for (const { tenant_id: tenantId } of rows) {
      const { rows: versions } = await this.#database.asTenant(tenantId, (sql) =>
        sql.query<{ name: string; version: number }>('SELECT name, version FROM lexicon_versions WHERE sealed IS NULL'),
      );
      for (const version of versions) count += await this.#sealVersion(tenantId, version);
    }
    // Rows that went away stay readable in the table's file until that is written anew.
    if (count > 0)
      await this.#database.asOwner((sql) => sql.query('CLUSTER lexicon_versions USING lexicon_versions_pkey'));
    return count;
  }

  async #sealVersion(tenantId: string, { name, version }: { name: string; version: number }): Promise<number> {
    const { text } = await this.read(tenantId, name, version);
    const { id, sealed } = await this.#vault.sealRow(tenantId, ROW_KIND, Buffer.from(text));
    // A version never changes, so its row is replaced; of servers that start together one finds it.
    const replaced = await this.#database.asTenant(tenantId, async (sql) => {
      const { rows } = await sql.query<LexiconRow>(
        `DELETE FROM lexicon_versions WHERE name = $1 AND version = $2 AND sealed IS NULL RETURNING ${COLUMNS}`,
        [name, version],
      );
      const [row] = rows;
      if (row === undefined) return 0;
      const { digest, entries, created_at, created_by } = row;
      const kept = [tenantId, name, version, id, sealed, digest, entries, created_at, created_by];
      await sql.query(
        `INSERT INTO lexicon_versions (tenant_id, name, version, seal, sealed, digest, entries, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        kept,
      );
      return 1;
    });
    if (replaced === 0) await this.#vault.remove(tenantId, id);
    return replaced;
  }

  /** The newest version of each. */
  async list(tenantId: string): Promise<LexiconRecord[]> {
    const { rows } = await this.#database.asTenant(tenantId, (sql) =>
      sql.query<LexiconRow>(
        `SELECT DISTINCT ON (name) ${COLUMNS} FROM lexicon_versions ORDER BY name, version DESC LIMIT ${MAX_LEXICONS}`,
      ),
    );
    return rows.map(toRecord);
  }

  /** All that are kept of one, the newest first. Throws `LEXICON_NOT_FOUND`. */
  async versions(tenantId: string, name: string): Promise<LexiconRecord[]> {
    const { rows } = await this.#database.asTenant(tenantId, (sql) =>
      sql.query<LexiconRow>(`SELECT ${COLUMNS} FROM lexicon_versions WHERE name = $1 ORDER BY version DESC`, [name]),
    );
    if (rows.length === 0) throw notFound();
    return rows.map(toRecord);
  }

  /** A version, or the newest, with its text as it was sent. Throws `LEXICON_NOT_FOUND`. */
  async read(
    tenantId: string,
    name: string,
    version: number | null = null,
  ): Promise<LexiconRecord & { readonly text: string }> {
    const { rows } = await this.#database.asTenant(tenantId, (sql) =>
      sql.query<LexiconRow & { body: string | null; seal: string | null; sealed: Buffer | null }>(
        `SELECT ${COLUMNS}, body, seal, sealed FROM lexicon_versions
         WHERE name = $1 AND ($2::integer IS NULL OR version = $2) ORDER BY version DESC LIMIT 1`,
        [name, version],
      ),
    );
    const [row] = rows;
    if (row === undefined) throw notFound();
    const { body, seal, sealed } = row;
    if (seal === null || sealed === null) return { ...toRecord(row), text: body ?? '' };
    try {
      return { ...toRecord(row), text: (await this.#vault.openRow(tenantId, seal, sealed)).toString('utf8') };
    } catch (error) {
      // Removed between the two looks.
      if (error instanceof AppError && error.code === 'OBJECT_NOT_FOUND') throw notFound();
      throw error;
    }
  }

  /** The text that a request is read with, for the engine. Throws `LEXICON_NOT_FOUND` where it was removed meanwhile. */
  async load({ tenant, lexicon, version }: LexiconUse): Promise<string> {
    return (await this.read(tenant, lexicon, version)).text;
  }

  /** Keeps a text as the next version. It has been read before. Throws `REQUEST_INVALID`, `REQUEST_TOO_LARGE`. */
  async store(caller: Caller, name: string, text: string, entries: number): Promise<LexiconRecord> {
    checkLexiconName(name);
    const sizeBytes = Buffer.byteLength(text);
    if (sizeBytes > MAX_LEXICON_BYTES) {
      throw new AppError(
        'REQUEST_TOO_LARGE',
        `the lexicon has ${sizeBytes} bytes; expected at most ${MAX_LEXICON_BYTES}`,
      );
    }
    const { tenantId } = caller;
    const digest = createHash('sha256').update(text).digest('hex');
    const details = { lexicon: name, entries, digest };
    return this.#calls.act(
      caller,
      'lexicon.stored',
      details,
      async () => {
        const record = await this.#insert(tenantId, {
          name,
          text,
          digest,
          entries,
          by: principalName(caller.principal),
        });
        this.#newest.forget(tenantId);
        return record;
      },
      ({ version }) => ({ version }),
    );
  }

  /** Removes a lexicon with all its versions. Throws `LEXICON_NOT_FOUND`. */
  async remove(caller: Caller, name: string): Promise<void> {
    const { tenantId } = caller;
    await this.#calls.act(caller, 'lexicon.removed', { lexicon: name }, async () => {
      const count = await this.#database.asTenant(tenantId, (sql) => removeVersions(sql, 'name = $1', [name]));
      this.#newest.forget(tenantId);
      if (count === 0) throw notFound();
    });
  }

  /** The lexicons of a request that names none: the tenant's, and those of the voice and of its style. */
  usualFor(tenantId: string, voice: string): readonly LexiconUse[] | Promise<readonly LexiconUse[]> {
    return whenKnown(this.#newest.of(tenantId), (newest) => {
      if (newest.size === 0) return [];
      const dot = voice.lastIndexOf('.');
      const names = [DEFAULT_LEXICON, ...(dot > 0 ? [voice.slice(0, dot)] : []), voice];
      return [...new Set(names)].flatMap((name) => newest.get(name) ?? []);
    });
  }

  /** The lexicons that a request names, `medical` or `medical@3`. Throws `LEXICON_NOT_FOUND`, `REQUEST_INVALID`. */
  async named(tenantId: string, names: readonly string[]): Promise<LexiconUse[]> {
    const newest = await this.#newest.of(tenantId);
    return Promise.all(
      names.map(async (written) => {
        const [, name = '', version] = /^([^@]*)(?:@(\d{1,9}))?$/.exec(written) ?? [];
        const current = newest.get(name);
        if (current === undefined) throw notFound();
        if (version === undefined || Number(version) === current.version) return current;
        const { digest } = await this.read(tenantId, name, Number(version));
        return { tenant: tenantId, lexicon: name, version: Number(version), digest };
      }),
    );
  }

  async #insert(
    tenantId: string,
    lexicon: {
      readonly name: string;
      readonly text: string;
      readonly digest: string;
      readonly entries: number;
      readonly by: string;
    },
  ): Promise<LexiconRecord> {
    const { name, text, digest, entries, by } = lexicon;
    const { id, sealed } = await this.#vault.sealRow(tenantId, ROW_KIND, Buffer.from(text));
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#database.asTenant(tenantId, async (sql) => {
          await requireRoom(sql, name);
          const { rows } = await sql.query<LexiconRow>(
            `INSERT INTO lexicon_versions (tenant_id, name, version, seal, sealed, digest, entries, created_by)
             SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7 FROM lexicon_versions WHERE name = $2
             RETURNING ${COLUMNS}`,
            [tenantId, name, id, sealed, digest, entries, by],
          );
          const record = toRecord(rows[0]!); // one row was inserted
          await removeVersions(sql, 'name = $1 AND version <= $2', [name, record.version - MAX_VERSIONS]);
          return record;
        });
      } catch (error) {
        // Somebody stored the same version at the same time.
        if (sqlState(error) === UNIQUE_VIOLATION && attempt < MOST_ATTEMPTS) continue;
        await this.#vault.remove(tenantId, id).catch(() => {});
        throw error;
      }
    }
  }
}

const MOST_ATTEMPTS = 5;
/** Of the keys of lexicons' texts. */
const ROW_KIND = 'row-lexicon';

/** Versions with their keys. @returns how many there were. */
async function removeVersions(sql: Sql, condition: string, values: readonly unknown[]): Promise<number> {
  const { rows } = await sql.query<{ seal: string | null }>(
    `DELETE FROM lexicon_versions WHERE ${condition} RETURNING seal`,
    [...values],
  );
  const seals = rows.flatMap(({ seal }) => seal ?? []);
  if (seals.length > 0) await sql.query('DELETE FROM vault_objects WHERE id = ANY($1::text[])', [seals]);
  return rows.length;
}

async function requireRoom(sql: Sql, name: string): Promise<void> {
  const { rows } = await sql.query<{ others: number }>(
    'SELECT count(DISTINCT name)::integer AS others FROM lexicon_versions WHERE name <> $1',
    [name],
  );
  if ((rows[0]?.others ?? 0) < MAX_LEXICONS) return;
  throw new AppError(
    'REQUEST_INVALID',
    `the tenant has ${MAX_LEXICONS} lexicons, which is all it may have; remove one`,
  );
}

/** Throws `REQUEST_INVALID`. */
export function checkLexiconName(name: string): void {
  if (NAME.test(name)) return;
  throw new AppError(
    'REQUEST_INVALID',
    'the name of a lexicon is 1 to 64 letters, digits, "_", "-" and ".", the first one a letter or digit; ' +
      '"default" applies to all requests, the name of a voice to those with that voice',
  );
}

function notFound(): AppError {
  return new AppError(
    'LEXICON_NOT_FOUND',
    'there is no such lexicon or version; GET /v1/lexicons lists those there are',
  );
}

interface LexiconRow {
  readonly name: string;
  readonly version: number;
  readonly entries: number;
  readonly digest: string;
  readonly created_at: Date;
  readonly created_by: string;
}

function toRecord(row: LexiconRow): LexiconRecord {
  const { name, version, entries, digest, created_at: createdAt, created_by: createdBy } = row;
  return { name, version, entries, digest, createdAt, createdBy };
}
