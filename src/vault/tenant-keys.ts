import { randomBytes } from 'node:crypto';
import { AppError } from '../errors.js';
import type { Database, Sql } from '../store/database.js';
import { type MasterKeys, unwrapKey, wrapKey } from './master-keys.js';

export interface TenantKey {
  readonly version: number;
  readonly key: Buffer;
}

interface KeyRow {
  readonly version: number;
  readonly master_key: string;
  readonly wrapped: Buffer;
}

interface Remembered {
  readonly untilMs: number;
  readonly current: number;
  readonly keys: ReadonlyMap<number, Buffer>;
}

/** How long unwrapped keys stay in memory: as long as a deleted tenant's objects may still be read by this server. */
const TTL_MS = 30_000;
const MAX_REMEMBERED = 1000;

/** The keys of tenants, unwrapped for a while. A tenant's first key is made when it is first needed. */
export class TenantKeys {
  readonly #database: Database;
  readonly #masterKeys: MasterKeys;
  readonly #remembered = new Map<string, Promise<Remembered>>();

  constructor(database: Database, masterKeys: MasterKeys) {
    this.#database = database;
    this.#masterKeys = masterKeys;
  }

  /** The key that wraps new objects. */
  async current(tenantId: string): Promise<TenantKey> {
    const { current, keys } = await this.#load(tenantId);
    const key = keys.get(current);
    if (key === undefined) throw new Error(`tenant ${tenantId} has no key of version ${current}`);
    return { version: current, key };
  }

  /** Throws `VAULT_SHREDDED` when that version was destroyed. */
  async version(tenantId: string, version: number): Promise<Buffer> {
    let key = (await this.#load(tenantId)).keys.get(version);
    if (key === undefined) {
      // Rotated by another server meanwhile.
      this.forget(tenantId);
      key = (await this.#load(tenantId)).keys.get(version);
    }
    if (key === undefined) throw new AppError('VAULT_SHREDDED', 'the key of this object was destroyed');
    return key;
  }

  /** Makes a new current key, in the caller's transaction; objects under older ones are to be wrapped again. */
  async rotate(sql: Sql, tenantId: string): Promise<number> {
    const { rows } = await sql.query<{ version: number }>(
      'SELECT version FROM tenant_keys WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1 FOR UPDATE',
      [tenantId],
    );
    const version = (rows[0]?.version ?? 0) + 1;
    await sql.query('UPDATE tenant_keys SET retired_at = now() WHERE tenant_id = $1 AND retired_at IS NULL', [
      tenantId,
    ]);
    await this.#insert(sql, tenantId, version);
    return version;
  }

  forget(tenantId: string): void {
    this.#remembered.delete(tenantId);
  }

  #load(tenantId: string): Promise<Remembered> {
    const known = this.#remembered.get(tenantId);
    if (known === undefined) return this.#remember(tenantId);
    return known.then((remembered) => {
      if (remembered.untilMs > Date.now()) return remembered;
      const now = this.#remembered.get(tenantId);
      return now === known || now === undefined ? this.#remember(tenantId) : now;
    });
  }

  #remember(tenantId: string): Promise<Remembered> {
    const loading = this.#read(tenantId);
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const oldest = this.#remembered.keys().next();
      if (!oldest.done) this.#remembered.delete(oldest.value);
    }
    this.#remembered.set(tenantId, loading);
    loading.catch(() => {
      if (this.#remembered.get(tenantId) === loading) this.#remembered.delete(tenantId);
    });
    return loading;
  }

  async #read(tenantId: string): Promise<Remembered> {
    const rows = await this.#database.asTenant(tenantId, async (sql) => {
      const select = 'SELECT version, master_key, wrapped FROM tenant_keys WHERE tenant_id = $1 ORDER BY version';
      const found = await sql.query<KeyRow>(select, [tenantId]);
      if (found.rows.length > 0) return found.rows;
      const { rows: tenants } = await sql.query<{ state: string }>('SELECT state FROM tenants WHERE id = $1', [
        tenantId,
      ]);
      if (tenants[0] === undefined) throw new AppError('TENANT_NOT_FOUND', `there is no tenant "${tenantId}"`);
      if (tenants[0].state === 'deleted') throw new AppError('VAULT_SHREDDED', "the tenant's keys were destroyed");
      await this.#insert(sql, tenantId, 1);
      return (await sql.query<KeyRow>(select, [tenantId])).rows;
    });
    const keys = new Map<number, Buffer>();
    for (const { version, master_key, wrapped } of rows) {
      keys.set(
        version,
        await this.#masterKeys.unwrap({ masterKey: master_key, wrapped }, tenantKeyContext(tenantId, version)),
      );
    }
    return { untilMs: Date.now() + TTL_MS, current: Math.max(...keys.keys()), keys };
  }

  async #insert(sql: Sql, tenantId: string, version: number): Promise<void> {
    const { masterKey, wrapped } = await this.#masterKeys.wrap(randomBytes(32), tenantKeyContext(tenantId, version));
    await sql.query(
      `INSERT INTO tenant_keys (tenant_id, version, master_key, wrapped) VALUES ($1, $2, $3, $4)
       ON CONFLICT DO NOTHING`,
      [tenantId, version, masterKey, wrapped],
    );
  }
}

export function tenantKeyContext(tenantId: string, version: number): string {
  return `timbre tenant key ${tenantId} ${version}`;
}

/** Wraps an object's own key under a tenant's. */
export function wrapObjectKey(tenantKey: Uint8Array, key: Uint8Array, tenantId: string, objectId: string): Buffer {
  return wrapKey(tenantKey, key, `timbre object key ${tenantId} ${objectId}`);
}

export function unwrapObjectKey(
  tenantKey: Uint8Array,
  wrapped: Uint8Array,
  tenantId: string,
  objectId: string,
): Buffer {
  return unwrapKey(tenantKey, wrapped, `timbre object key ${tenantId} ${objectId}`);
}
