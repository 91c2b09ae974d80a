import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { AppError } from '../errors.js';
import type { Database, Sql } from '../store/database.js';
import { isScope, type Scope } from './scopes.js';

export interface ApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly replacedBy: string | null;
}

export interface NewApiKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt?: Date | null;
  readonly createdBy: string;
}

/** A key as it is shown once, when it is made. */
export interface IssuedKey {
  readonly key: ApiKey;
  /** `tmb_ID_SECRET`: 80 bits to find it by, 256 to prove it. */
  readonly secret: string;
}

const FORMAT = /^tmb_([a-z2-7]{16})_([A-Za-z0-9_-]{43})$/;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * What is stored instead of a secret. One hash is enough, where passwords need slow ones: nobody guesses 256 random
 * bits. Keyed by the id, so that equal secrets (there are none) would not look equal.
 */
function hashSecret(id: string, secret: string): Buffer {
  return createHmac('sha256', `timbre api key ${id}`).update(secret).digest();
}

export function randomId(characters: number): string {
  return Array.from(randomBytes(characters), (byte) => BASE32[byte & 31]).join('');
}

/** Makes a key; its secret cannot be shown again. */
export async function createApiKey(database: Database, tenantId: string, wanted: NewApiKey): Promise<IssuedKey> {
  return database.asTenant(tenantId, (sql) => insertKey(sql, tenantId, wanted));
}

async function insertKey(sql: Sql, tenantId: string, wanted: NewApiKey): Promise<IssuedKey> {
  const name = wanted.name.trim();
  if (name === '' || name.length > 200) {
    throw new AppError('REQUEST_INVALID', 'the name of a key has 1 to 200 characters');
  }
  if (wanted.scopes.length === 0) throw new AppError('REQUEST_INVALID', 'a key needs at least one scope');
  if (wanted.expiresAt && wanted.expiresAt.getTime() <= Date.now()) {
    throw new AppError('REQUEST_INVALID', 'the key would have expired already');
  }
  const id = randomId(16);
  const secret = randomBytes(32).toString('base64url');
  const { rows } = await sql.query<KeyRow>(
    `INSERT INTO api_keys (id, tenant_id, name, secret_hash, scopes, created_by, expires_at)
     SELECT $1, id, $3, $4, $5, $6, $7 FROM tenants WHERE id = $2 AND state <> 'deleted' RETURNING *`,
    [
      id,
      tenantId,
      name,
      hashSecret(id, secret),
      [...new Set(wanted.scopes)],
      wanted.createdBy,
      wanted.expiresAt ?? null,
    ],
  );
  if (rows[0] === undefined) throw new AppError('TENANT_NOT_FOUND', 'there is no such tenant');
  return { key: toKey(rows[0]), secret: `tmb_${id}_${secret}` };
}

export async function listApiKeys(database: Database, tenantId: string): Promise<ApiKey[]> {
  const { rows } = await database.asTenant(tenantId, (sql) =>
    sql.query<KeyRow>('SELECT * FROM api_keys ORDER BY created_at, id'),
  );
  return rows.map(toKey);
}

/** Throws `KEY_NOT_FOUND`. */
export async function getApiKey(database: Database, tenantId: string, id: string): Promise<ApiKey> {
  const { rows } = await database.asTenant(tenantId, (sql) =>
    sql.query<KeyRow>('SELECT * FROM api_keys WHERE id = $1', [id]),
  );
  if (rows[0] === undefined) throw keyNotFound();
  return toKey(rows[0]);
}

/** Ends a key at once. Throws `KEY_NOT_FOUND` where there is none, or it is revoked. */
export async function revokeApiKey(database: Database, tenantId: string, id: string): Promise<ApiKey> {
  const { rows } = await database.asTenant(tenantId, (sql) =>
    sql.query<KeyRow>('UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING *', [id]),
  );
  if (rows[0] === undefined) throw keyNotFound();
  return toKey(rows[0]);
}

/**
 * Makes a successor with the same name and scopes; the old key goes on for `overlapMs`, so that applications can change
 * over without a gap.
 */
export async function rotateApiKey(
  database: Database,
  tenantId: string,
  id: string,
  { overlapMs, createdBy }: { readonly overlapMs: number; readonly createdBy: string },
): Promise<IssuedKey> {
  return database.asTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<KeyRow>(
      'SELECT * FROM api_keys WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) FOR UPDATE',
      [id],
    );
    const old = rows[0];
    if (old === undefined) throw keyNotFound();
    if (old.replaced_by !== null) {
      throw new AppError('REQUEST_INVALID', `this key was rotated already; its successor is ${old.replaced_by}`);
    }
    const lifetimeMs = old.expires_at === null ? null : old.expires_at.getTime() - old.created_at.getTime();
    const issued = await insertKey(sql, tenantId, {
      name: old.name,
      scopes: toKey(old).scopes,
      createdBy,
      expiresAt: lifetimeMs === null ? null : new Date(Date.now() + lifetimeMs),
    });
    await sql.query(
      `UPDATE api_keys SET replaced_by = $2,
         expires_at = least(coalesce(expires_at, 'infinity'), now() + make_interval(secs => $3)) WHERE id = $1`,
      [id, issued.key.id, overlapMs / 1000],
    );
    return issued;
  });
}

export interface KeyHolder {
  readonly id: string;
  readonly tenantId: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: Date | null;
}

/** Who holds this secret, or null: unknown, wrong, expired, revoked, or of a tenant that is not active. */
export async function findKeyHolder(database: Database, secret: string): Promise<KeyHolder | null> {
  const [, id, random] = FORMAT.exec(secret) ?? [];
  if (id === undefined || random === undefined) return null;
  const { rows } = await database.asPlatform((sql) =>
    sql.query<KeyRow>(
      `SELECT k.* FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
       WHERE k.id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
         AND t.state = 'active'`,
      [id],
    ),
  );
  const row = rows[0];
  if (row === undefined || !timingSafeEqual(hashSecret(id, random), row.secret_hash)) return null;
  return { id, tenantId: row.tenant_id, scopes: toKey(row).scopes, expiresAt: row.expires_at };
}

/** Whether any key was ever made: the first one closes the door that a new server leaves open to its own machine. */
export async function hasApiKeys(database: Database): Promise<boolean> {
  const { rows } = await database.asPlatform((sql) => sql.query('SELECT 1 FROM api_keys LIMIT 1'));
  return rows.length > 0;
}

interface KeyRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly name: string;
  readonly secret_hash: Buffer;
  readonly scopes: string[];
  readonly created_at: Date;
  readonly created_by: string;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
  readonly replaced_by: string | null;
}

function toKey(row: KeyRow): ApiKey {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    // Scopes of a later release mean nothing here.
    scopes: row.scopes.filter(isScope),
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    replacedBy: row.replaced_by,
  };
}

function keyNotFound(): AppError {
  return new AppError('KEY_NOT_FOUND', 'the tenant has no such key, or it is revoked');
}
