import type { Database } from '../store/database.js';
import type { MasterKeys } from './master-keys.js';
import { TenantKeys, tenantKeyContext, unwrapObjectKey, wrapObjectKey } from './tenant-keys.js';

export interface RotationReport {
  readonly tenantId: string;
  /** The version that is current now. */
  readonly version: number;
  readonly rewrappedObjects: number;
  /** Old versions that nothing is encrypted under any more. */
  readonly destroyedVersions: number;
}

export interface KeyStatus {
  readonly tenantId: string;
  readonly version: number;
  readonly createdAt: Date;
  readonly ageDays: number;
  readonly masterKey: string;
  /** Objects whose keys the current version does not wrap yet. */
  readonly behind: number;
  /** Versions that are still kept. */
  readonly versions: number;
}

/** No key of a tenant encrypts new objects for longer; servers rotate earlier, so that this holds when one was down. */
export const MAX_KEY_AGE_DAYS = 90;
const ROTATE_AT_DAYS = 80;
const DAY_MS = 86_400_000;
const BATCH = 200;
/**
 * A retired version is kept for longer than any server remembers it as the current one, and than files encrypted under
 * it outside of SQL (audio that was just made) live.
 */
const KEEP_RETIRED_MS = 25 * 3_600_000;

/**
 * Gives a tenant a new key and wraps all object keys again, in small batches beside running reads and writes. Objects
 * themselves are not touched: only what opens them changes.
 */
export async function rotateTenantKey(
  database: Database,
  masterKeys: MasterKeys,
  tenantId: string,
  { keys = new TenantKeys(database, masterKeys), now = Date.now() }: { keys?: TenantKeys; now?: number } = {},
): Promise<RotationReport> {
  // The first key is made when it is needed; a tenant without one has nothing to rotate, and gets it here.
  await keys.current(tenantId);
  const version = await database.asTenant(tenantId, (sql) => keys.rotate(sql, tenantId));
  keys.forget(tenantId);
  return { tenantId, version, ...(await finishRotation(database, masterKeys, tenantId, { keys, now })) };
}

/** Wraps again what is not under the current version, and destroys versions that nothing needs: also after a crash. */
export async function finishRotation(
  database: Database,
  masterKeys: MasterKeys,
  tenantId: string,
  { keys = new TenantKeys(database, masterKeys), now = Date.now() }: { keys?: TenantKeys; now?: number } = {},
): Promise<{ rewrappedObjects: number; destroyedVersions: number }> {
  const current = await keys.current(tenantId);
  let rewrappedObjects = 0;
  for (;;) {
    const count = await database.asTenant(tenantId, async (sql) => {
      const { rows } = await sql.query<{ id: string; key_version: number; wrapped_key: Buffer }>(
        `SELECT id, key_version, wrapped_key FROM vault_objects WHERE tenant_id = $1 AND key_version < $2
         ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
        [tenantId, current.version],
      );
      for (const { id, key_version, wrapped_key } of rows) {
        const old = await keys.version(tenantId, key_version);
        const key = unwrapObjectKey(old, wrapped_key, tenantId, id);
        await sql.query(
          'UPDATE vault_objects SET key_version = $3, wrapped_key = $4 WHERE tenant_id = $1 AND id = $2',
          [tenantId, id, current.version, wrapObjectKey(current.key, key, tenantId, id)],
        );
      }
      return rows.length;
    });
    rewrappedObjects += count;
    if (count < BATCH) break;
  }
  await rewrapUnderMasterKey(database, masterKeys, tenantId);
  const { count: destroyedVersions } = await database.asTenant(tenantId, (sql) =>
    sql.query(
      `DELETE FROM tenant_keys k WHERE tenant_id = $1 AND retired_at < $2
         AND NOT EXISTS (SELECT 1 FROM vault_objects o WHERE o.tenant_id = k.tenant_id AND o.key_version = k.version)`,
      [tenantId, new Date(now - KEEP_RETIRED_MS)],
    ),
  );
  return { rewrappedObjects, destroyedVersions };
}

/** After the master key was rotated: the tenant's keys under the new one. */
async function rewrapUnderMasterKey(database: Database, masterKeys: MasterKeys, tenantId: string): Promise<void> {
  await database.asTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<{ version: number; master_key: string; wrapped: Buffer }>(
      'SELECT version, master_key, wrapped FROM tenant_keys WHERE tenant_id = $1 AND master_key <> $2 FOR UPDATE',
      [tenantId, masterKeys.currentId],
    );
    for (const { version, master_key, wrapped } of rows) {
      const context = tenantKeyContext(tenantId, version);
      const key = await masterKeys.unwrap({ masterKey: master_key, wrapped }, context);
      const again = await masterKeys.wrap(key, context);
      await sql.query('UPDATE tenant_keys SET master_key = $3, wrapped = $4 WHERE tenant_id = $1 AND version = $2', [
        tenantId,
        version,
        again.masterKey,
        again.wrapped,
      ]);
    }
  });
}

export async function keyStatus(database: Database, { now = Date.now() } = {}): Promise<KeyStatus[]> {
  const { rows } = await database.asPlatform((sql) =>
    sql.query<{ tenant_id: string; version: number; created_at: Date; master_key: string; versions: number }>(
      `SELECT DISTINCT ON (tenant_id) tenant_id, version, created_at, master_key,
         count(*) OVER (PARTITION BY tenant_id)::int AS versions
       FROM tenant_keys ORDER BY tenant_id, version DESC`,
    ),
  );
  const status: KeyStatus[] = [];
  for (const row of rows) {
    const { rows: counts } = await database.asTenant(row.tenant_id, (sql) =>
      sql.query<{ behind: number }>(
        'SELECT count(*)::int AS behind FROM vault_objects WHERE tenant_id = $1 AND key_version < $2',
        [row.tenant_id, row.version],
      ),
    );
    status.push({
      tenantId: row.tenant_id,
      version: row.version,
      createdAt: row.created_at,
      ageDays: Math.floor((now - row.created_at.getTime()) / DAY_MS),
      masterKey: row.master_key,
      behind: counts[0]?.behind ?? 0,
      versions: row.versions,
    });
  }
  return status;
}

/**
 * What a server does every hour: rotates keys that get old, and finishes rotations that were interrupted. A tenant whose
 * keys cannot be opened is told about, and does not keep the others from it.
 */
export async function rotateDueKeys(
  database: Database,
  masterKeys: MasterKeys,
  {
    keys = new TenantKeys(database, masterKeys),
    now = Date.now(),
    onFailure,
  }: { keys?: TenantKeys; now?: number; onFailure?: (tenantId: string, error: unknown) => void } = {},
): Promise<RotationReport[]> {
  const reports: RotationReport[] = [];
  for (const { tenantId, ageDays, behind, versions, masterKey } of await keyStatus(database, { now })) {
    try {
      if (ageDays >= ROTATE_AT_DAYS) {
        reports.push(await rotateTenantKey(database, masterKeys, tenantId, { keys, now }));
      } else if (behind > 0 || versions > 1 || masterKey !== masterKeys.currentId) {
        await finishRotation(database, masterKeys, tenantId, { keys, now });
      }
    } catch (error) {
      onFailure?.(tenantId, error);
    }
  }
  return reports;
}
