import { createHash } from 'node:crypto';
import { AppError } from '../errors.js';
import { whenKnown } from '../recall.js';
import { type Database, type Sql, sqlState, UNIQUE_VIOLATION } from '../store/database.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import { type Caller, principalName } from '../tenancy/caller.js';
import type { Quotas } from '../tenancy/quotas.js';
import type { Vault } from '../vault/vault.js';
import { NewestOfTenants } from './newest-of-tenants.js';
import { readSealed, sealing } from './sealed-objects.js';

/** What an adapter changes, as an engine says; rank 0: nothing of that network. */
export interface AdapterFacts {
  /** The model that it was held against. */
  readonly model: string;
  readonly text2semanticRank: number;
  readonly sovitsRank: number;
  readonly parameterCount: number;
}

/** Where a version's file lies. */
export interface AdapterReference {
  readonly tenant: string;
  /** Of the vault. */
  readonly object: string;
  /** As people call it: `calm@3`. */
  readonly name: string;
  /** SHA-256 of the file, lower-case hex. */
  readonly digest: string;
}

/** A version of a tenant's adapter, without its file. */
export interface AdapterRecord extends AdapterFacts {
  readonly name: string;
  /** From 1; a version never changes. */
  readonly version: number;
  readonly sizeBytes: number;
  /** SHA-256 of the file, lower-case hex. */
  readonly digest: string;
  readonly createdAt: Date;
  readonly createdBy: string;
}

export interface AdapterCatalogOptions {
  readonly database: Database;
  readonly calls: CallLedger;
  readonly quotas: Quotas;
  /** Files are encrypted: they hold what somebody's voice is like. */
  readonly vault: Vault;
}

/** As long as the name of a voice's style, which an adapter may be for. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,96}$/;
/** Rank 16 of both networks in full size, in fp32, is 30 MB. */
export const MAX_ADAPTER_BYTES = 64 * 1024 * 1024;
const MAX_ADAPTERS = 256;
/** Of one adapter; older ones go when new ones come. */
const MAX_VERSIONS = 20;
const COLUMNS =
  'name, version, size_bytes, digest, model, text2semantic_rank, sovits_rank, parameter_count, created_at, created_by';
const KIND = 'adapter';
const MOST_ATTEMPTS = 5;

/** The adapters of tenants: versions whose files lie in the vault, the newest of each name in use from the next request on. */
export class AdapterCatalog {
  readonly #options: AdapterCatalogOptions;
  readonly #newest: NewestOfTenants<AdapterReference>;

  constructor(options: AdapterCatalogOptions) {
    this.#options = options;
    this.#newest = new NewestOfTenants(async (tenantId) => {
      const rows = await this.#newestRows(tenantId);
      return new Map(rows.map((row) => [row.name, referenceTo(tenantId, row)]));
    });
  }

  /** The newest version of each. */
  async list(tenantId: string): Promise<AdapterRecord[]> {
    return (await this.#newestRows(tenantId)).map(toRecord);
  }

  /** All that are kept of one, the newest first. Throws `ADAPTER_NOT_FOUND`. */
  async versions(tenantId: string, name: string): Promise<AdapterRecord[]> {
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<AdapterRow>(`SELECT ${COLUMNS} FROM adapter_versions WHERE name = $1 ORDER BY version DESC`, [name]),
    );
    if (rows.length === 0) throw notFound();
    return rows.map(toRecord);
  }

  /** Keeps a file as the next version; an engine has read it before. Throws `REQUEST_INVALID`, `QUOTA_EXCEEDED`. */
  async store(caller: Caller, name: string, bytes: Uint8Array, facts: AdapterFacts): Promise<AdapterRecord> {
    checkAdapterName(name);
    const { calls, quotas, vault } = this.#options;
    const { tenantId } = caller;
    await quotas.checkStorage(tenantId, await vault.storedBytes(tenantId), bytes.length);
    const digest = createHash('sha256').update(bytes).digest('hex');
    const details = { adapter: name, digest, model: facts.model };
    return calls.act(
      caller,
      'adapter.stored',
      details,
      async () => {
        const by = principalName(caller.principal);
        const record = await sealing(vault, tenantId, async (seal) => {
          const objectId = await seal(KIND, bytes);
          // Two that came at the same moment see each other's objects here.
          await quotas.checkStorage(tenantId, await vault.storedBytes(tenantId), 0);
          return this.#insert(tenantId, { name, objectId, sizeBytes: bytes.length, digest, facts, by });
        });
        this.#newest.forget(tenantId);
        return record;
      },
      ({ version }) => ({ version }),
    );
  }

  /** Removes an adapter with all its versions. Throws `ADAPTER_NOT_FOUND`. */
  async remove(caller: Caller, name: string): Promise<void> {
    const { calls, database } = this.#options;
    const { tenantId } = caller;
    await calls.act(caller, 'adapter.removed', { adapter: name }, async () => {
      const objects = await database.asTenant(tenantId, (sql) => removeVersions(sql, 'name = $1', [name]));
      this.#newest.forget(tenantId);
      if (objects.length === 0) throw notFound();
      await this.#removeObjects(tenantId, objects);
    });
  }

  /** The adapter of a voice for requests that name none: that with its name, or with the name of the voice it is a style of. */
  usualFor(tenantId: string, voice: string): AdapterReference | null | Promise<AdapterReference | null> {
    return whenKnown(this.#newest.of(tenantId), (newest) => {
      if (newest.size === 0) return null;
      const dot = voice.lastIndexOf('.');
      return newest.get(voice) ?? (dot > 0 ? (newest.get(voice.slice(0, dot)) ?? null) : null);
    });
  }

  /** The adapter that a request names, `calm` or `calm@3`. Throws `ADAPTER_NOT_FOUND`. */
  async named(tenantId: string, written: string): Promise<AdapterReference> {
    const [, name = '', version] = /^([^@]*)(?:@(\d{1,9}))?$/.exec(written) ?? [];
    const current = (await this.#newest.of(tenantId)).get(name);
    if (current === undefined) throw notFound();
    if (version === undefined || current.name === written) return current;
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<AdapterRow>(`SELECT object_id, ${COLUMNS} FROM adapter_versions WHERE name = $1 AND version = $2`, [
        name,
        Number(version),
      ]),
    );
    const [row] = rows;
    if (row === undefined) throw notFound();
    return referenceTo(tenantId, row);
  }

  /** The bytes of an adapter, for the engine. Throws `ADAPTER_NOT_LOADED` where it was removed meanwhile. */
  async load({ tenant, object }: AdapterReference): Promise<Uint8Array> {
    try {
      return await readSealed(this.#options.vault, tenant, object);
    } catch (cause) {
      if (!(cause instanceof AppError) || cause.code !== 'OBJECT_NOT_FOUND') throw cause;
      throw new AppError('ADAPTER_NOT_LOADED', 'the adapter is not there; it may have been removed', { cause });
    }
  }

  async #newestRows(tenantId: string): Promise<AdapterRow[]> {
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<AdapterRow>(
        `SELECT DISTINCT ON (name) object_id, ${COLUMNS} FROM adapter_versions
         ORDER BY name, version DESC LIMIT ${MAX_ADAPTERS}`,
      ),
    );
    return rows;
  }

  async #insert(
    tenantId: string,
    adapter: {
      readonly name: string;
      readonly objectId: string;
      readonly sizeBytes: number;
      readonly digest: string;
      readonly facts: AdapterFacts;
      readonly by: string;
    },
  ): Promise<AdapterRecord> {
    const { name, objectId, sizeBytes, digest, facts, by } = adapter;
    const { model, text2semanticRank, sovitsRank, parameterCount } = facts;
    for (let attempt = 1; ; attempt++) {
      try {
        const { record, objects } = await this.#options.database.asTenant(tenantId, async (sql) => {
          await requireRoom(sql, name);
          const { rows } = await sql.query<AdapterRow>(
            `INSERT INTO adapter_versions (tenant_id, name, version, object_id, size_bytes, digest, model,
               text2semantic_rank, sovits_rank, parameter_count, created_by)
             SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10
             FROM adapter_versions WHERE name = $2 RETURNING ${COLUMNS}`,
            [tenantId, name, objectId, sizeBytes, digest, model, text2semanticRank, sovitsRank, parameterCount, by],
          );
          const inserted = toRecord(rows[0]!); // one row was inserted
          const last = inserted.version - MAX_VERSIONS;
          return {
            record: inserted,
            objects: await removeVersions(sql, 'name = $1 AND version <= $2', [name, last]),
          };
        });
        await this.#removeObjects(tenantId, objects);
        return record;
      } catch (error) {
        // Somebody stored the same version at the same time.
        if (sqlState(error) !== UNIQUE_VIOLATION || attempt >= MOST_ATTEMPTS) throw error;
      }
    }
  }

  async #removeObjects(tenantId: string, objects: readonly string[]): Promise<void> {
    for (const object of objects) await this.#options.vault.remove(tenantId, object);
  }
}

/** Removes the rows of the adapters that are of a voice or one of its styles. @returns the objects that are nobody's then. */
export function removeAdaptersOf(sql: Sql, voiceId: string): Promise<string[]> {
  return removeVersions(sql, "name = $1 OR starts_with(name, $1 || '.')", [voiceId]);
}

/** @returns the objects of the versions that are gone. */
async function removeVersions(sql: Sql, condition: string, values: readonly unknown[]): Promise<string[]> {
  const { rows } = await sql.query<{ object_id: string }>(
    `DELETE FROM adapter_versions WHERE ${condition} RETURNING object_id`,
    [...values],
  );
  return rows.map(({ object_id: id }) => id);
}

async function requireRoom(sql: Sql, name: string): Promise<void> {
  const { rows } = await sql.query<{ others: number }>(
    'SELECT count(DISTINCT name)::integer AS others FROM adapter_versions WHERE name <> $1',
    [name],
  );
  if ((rows[0]?.others ?? 0) < MAX_ADAPTERS) return;
  throw new AppError(
    'REQUEST_INVALID',
    `the tenant has ${MAX_ADAPTERS} adapters, which is all it may have; remove one`,
  );
}

/** Throws `REQUEST_INVALID`. */
export function checkAdapterName(name: string): void {
  if (NAME.test(name)) return;
  throw new AppError(
    'REQUEST_INVALID',
    'the name of an adapter is 1 to 97 letters, digits, "_", "-" and ".", the first one a letter or digit; the name of a ' +
      'voice makes it that voice’s',
  );
}

function notFound(): AppError {
  return new AppError(
    'ADAPTER_NOT_FOUND',
    'there is no such adapter or version; GET /v1/adapters lists those there are',
  );
}

interface AdapterRow {
  readonly name: string;
  readonly version: number;
  readonly object_id: string;
  readonly size_bytes: number | bigint | string;
  readonly digest: string;
  readonly model: string;
  readonly text2semantic_rank: number;
  readonly sovits_rank: number;
  readonly parameter_count: number | bigint | string;
  readonly created_at: Date;
  readonly created_by: string;
}

function referenceTo(tenant: string, { name, version, object_id: object, digest }: AdapterRow): AdapterReference {
  return { tenant, object, name: `${name}@${version}`, digest };
}

function toRecord(row: AdapterRow): AdapterRecord {
  return {
    name: row.name,
    version: row.version,
    sizeBytes: Number(row.size_bytes),
    digest: row.digest,
    model: row.model,
    text2semanticRank: row.text2semantic_rank,
    sovitsRank: row.sovits_rank,
    parameterCount: Number(row.parameter_count),
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
