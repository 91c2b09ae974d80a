import { randomBytes } from 'node:crypto';
import { AppError } from '../errors.js';
import { type Database, sqlState } from '../store/database.js';
import type { ObjectOptions, ObjectStore } from '../store/objects.js';
import { type MasterKeys, unwrapKey, wrapKey } from './master-keys.js';
import { openShards, type ShardKey, sealShards, storedRange } from './shards.js';
import { TenantKeys, unwrapObjectKey, wrapObjectKey } from './tenant-keys.js';

export interface VaultOptions {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly masterKeys: MasterKeys;
}

/** An object as callers know it. */
export interface VaultObject {
  readonly id: string;
  readonly kind: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

export interface OpenObject extends VaultObject {
  /** The plain bytes from `start` to before `end`; all of them by default. Throws `VAULT_CORRUPT` where they are not. */
  read(range?: { readonly start: number; readonly end: number }): AsyncGenerator<Buffer, void, undefined>;
}

interface ObjectRow {
  readonly id: string;
  readonly kind: string;
  readonly size_bytes: number;
  readonly key_version: number;
  readonly wrapped_key: Buffer;
  readonly created_at: Date;
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const COLUMNS = 'id, kind, size_bytes, key_version, wrapped_key, created_at';
/** A tenant's key of that version went away while the object was written: rotated by another server. */
const FOREIGN_KEY_VIOLATION = '23503';
const KIND = /^[a-z][a-z0-9-]{0,39}$/;

/** 130 random bits. */
export function newObjectId(): string {
  return Array.from(randomBytes(26), (byte) => BASE32[byte & 31]).join('');
}

/**
 * Encrypted objects of tenants. Each hangs on a chain of keys: master key → tenant's key → object's key → shards. Cut
 * any link, and what hangs on it is gone for everybody.
 */
export class Vault {
  readonly #database: Database;
  readonly #objects: ObjectStore;
  readonly #keys: TenantKeys;
  readonly #digestKeys = new Map<string, Promise<Buffer>>();

  constructor({ database, objects, masterKeys }: VaultOptions) {
    this.#database = database;
    this.#objects = objects;
    this.#keys = new TenantKeys(database, masterKeys);
  }

  get keys(): TenantKeys {
    return this.#keys;
  }

  /** Encrypts and stores a stream; the object is there when this resolves, and not before. */
  async put(
    tenantId: string,
    kind: string,
    source: AsyncIterable<Uint8Array>,
    options: ObjectOptions = {},
  ): Promise<VaultObject> {
    if (!KIND.test(kind)) throw new Error(`${JSON.stringify(kind)} is no kind of object`);
    const id = newObjectId();
    const key = randomBytes(32);
    let sizeBytes = 0;
    const counted = (async function* () {
      for await (const bytes of source) {
        sizeBytes += bytes.length;
        yield bytes;
      }
    })();
    await this.#objects.put(objectName(tenantId, id), sealShards(counted, shardKey(key, tenantId, id)), options);
    try {
      return await this.#insert(tenantId, { id, kind, sizeBytes, key });
    } catch (error) {
      await this.#objects.remove(objectName(tenantId, id)).catch(() => {});
      throw error;
    }
  }

  /**
   * Encrypts what a row keeps itself, which is small: its key is among those of the objects, by the id that comes with it, and
   * goes with {@link remove} or with that row.
   */
  async sealRow(
    tenantId: string,
    kind: `row-${string}`,
    bytes: Uint8Array,
  ): Promise<{ readonly id: string; readonly sealed: Buffer }> {
    const id = newObjectId();
    const key = randomBytes(32);
    await this.#insert(tenantId, { id, kind, sizeBytes: 0, key });
    return { id, sealed: wrapKey(key, bytes, rowContext(tenantId, id)) };
  }

  /** Throws as {@link open}, and `VAULT_CORRUPT` where it is not as it was sealed. */
  async openRow(tenantId: string, id: string, sealed: Uint8Array): Promise<Buffer> {
    const { key } = await this.#opened(tenantId, id);
    return unwrapKey(key, sealed, rowContext(tenantId, id));
  }

  /** Throws `OBJECT_NOT_FOUND` for what is not the tenant's, `VAULT_SHREDDED` where a key was destroyed. */
  async open(tenantId: string, id: string): Promise<OpenObject> {
    const { row, key: objectKey } = await this.#opened(tenantId, id);
    const key = shardKey(objectKey, tenantId, id);
    const { size_bytes: sizeBytes } = row;
    const objects = this.#objects;
    return {
      ...toObject(row),
      async *read({ start, end } = { start: 0, end: sizeBytes }) {
        const wanted = { sizeBytes, start: Math.max(0, start), end: Math.min(end, sizeBytes) };
        const stored = storedRange(sizeBytes, wanted.start, wanted.end);
        yield* openShards(await objects.get(objectName(tenantId, id), stored), key, wanted);
      },
    };
  }

  async #opened(tenantId: string, id: string): Promise<{ readonly row: ObjectRow; readonly key: Buffer }> {
    const { rows } = await this.#database.asTenant(tenantId, (sql) =>
      sql.query<ObjectRow>(`SELECT ${COLUMNS} FROM vault_objects WHERE tenant_id = $1 AND id = $2`, [tenantId, id]),
    );
    const row = rows[0];
    if (row === undefined)
      throw new AppError('OBJECT_NOT_FOUND', 'there is no such object; it was removed, or never was');
    const tenantKey = await this.#keys.version(tenantId, row.key_version);
    return { row, key: unwrapObjectKey(tenantKey, row.wrapped_key, tenantId, id) };
  }

  async list(tenantId: string, kind?: string): Promise<VaultObject[]> {
    const { rows } = await this.#database.asTenant(tenantId, (sql) =>
      sql.query<ObjectRow>(
        `SELECT ${COLUMNS} FROM vault_objects WHERE tenant_id = $1 AND kind <> 'digest-key' AND kind NOT LIKE 'row-%' AND ($2::text IS NULL OR kind = $2)
         ORDER BY created_at, id`,
        [tenantId, kind ?? null],
      ),
    );
    return rows.map(toObject);
  }

  /** Bytes of all of a tenant's objects, as its storage quota counts them. */
  async storedBytes(tenantId: string): Promise<number> {
    const { rows } = await this.#database.asTenant(tenantId, (sql) =>
      sql.query<{ bytes: number }>(
        'SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes FROM vault_objects WHERE tenant_id = $1',
        [tenantId],
      ),
    );
    return rows[0]?.bytes ?? 0;
  }

  /** Destroys the object's key, then its bytes: copies of these elsewhere can be read by nobody. Harmless when gone. */
  async remove(tenantId: string, id: string): Promise<void> {
    await this.#database.asTenant(tenantId, (sql) =>
      sql.query('DELETE FROM vault_objects WHERE tenant_id = $1 AND id = $2', [tenantId, id]),
    );
    await this.#objects.remove(objectName(tenantId, id));
  }

  /** Removes the bytes of a tenant whose keys are destroyed: they are noise already, and only take room. */
  async sweepTenant(tenantId: string): Promise<void> {
    this.#keys.forget(tenantId);
    this.#digestKeys.delete(tenantId);
    for await (const name of this.#objects.list(`${tenantId}/`)) await this.#objects.remove(name);
  }

  /** The tenant's secret for digests of texts; the same for as long as the tenant lives. */
  digestKey(tenantId: string): Promise<Buffer> {
    let key = this.#digestKeys.get(tenantId);
    if (key === undefined) {
      key = this.#loadDigestKey(tenantId);
      this.#digestKeys.set(tenantId, key);
      key.catch(() => this.#digestKeys.delete(tenantId));
    }
    return key;
  }

  async #loadDigestKey(tenantId: string): Promise<Buffer> {
    const read = async () => {
      const { rows } = await this.#database.asTenant(tenantId, (sql) =>
        sql.query<ObjectRow>(`SELECT ${COLUMNS} FROM vault_objects WHERE tenant_id = $1 AND kind = 'digest-key'`, [
          tenantId,
        ]),
      );
      return rows[0];
    };
    let row = await read();
    if (row === undefined) {
      await this.#insert(tenantId, { id: newObjectId(), kind: 'digest-key', sizeBytes: 0, key: randomBytes(32) });
      row = await read();
    }
    if (row === undefined) throw new Error(`tenant ${tenantId} has no key for digests`);
    const tenantKey = await this.#keys.version(tenantId, row.key_version);
    return unwrapObjectKey(tenantKey, row.wrapped_key, tenantId, row.id);
  }

  async #insert(
    tenantId: string,
    { id, kind, sizeBytes, key }: { id: string; kind: string; sizeBytes: number; key: Uint8Array },
  ): Promise<VaultObject> {
    for (let tries = 1; ; tries++) {
      const { version, key: tenantKey } = await this.#keys.current(tenantId);
      try {
        const { rows } = await this.#database.asTenant(tenantId, (sql) =>
          sql.query<ObjectRow>(
            `INSERT INTO vault_objects (tenant_id, id, kind, size_bytes, key_version, wrapped_key)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
            [tenantId, id, kind, sizeBytes, version, wrapObjectKey(tenantKey, key, tenantId, id)],
          ),
        );
        return rows[0] === undefined ? { id, kind, sizeBytes, createdAt: new Date() } : toObject(rows[0]);
      } catch (error) {
        if (sqlState(error) !== FOREIGN_KEY_VIOLATION || tries === 3) throw error;
        this.#keys.forget(tenantId);
      }
    }
  }
}

function objectName(tenantId: string, id: string): string {
  // Folders with thousands of files are slow to list on some file systems.
  return `${tenantId}/${id.slice(0, 2)}/${id}`;
}

function rowContext(tenantId: string, id: string): string {
  return `timbre row ${tenantId} ${id}`;
}

function shardKey(key: Uint8Array, tenantId: string, id: string): ShardKey {
  return { key, context: `${tenantId} ${id}` };
}

function toObject({ id, kind, size_bytes, created_at }: ObjectRow): VaultObject {
  return { id, kind, sizeBytes: size_bytes, createdAt: created_at };
}
