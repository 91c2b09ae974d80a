import { AppError } from '../errors.js';
import { type Database, sqlState, TENANT_ID, UNIQUE_VIOLATION } from '../store/database.js';
import { DEFAULT_TENANT } from './caller.js';

export interface Limits {
  /** Share of the machine under load, against other tenants. */
  readonly weight: number;
  /** Null: no limit. */
  readonly requestsPerMinute: number | null;
  readonly charactersPerMinute: number | null;
  readonly charactersPerMonth: number | null;
  readonly concurrentStreams: number | null;
  readonly storageBytes: number | null;
}

export interface Tenant {
  readonly id: string;
  readonly displayName: string;
  readonly state: 'active' | 'suspended' | 'deleted';
  readonly createdAt: Date;
  readonly deletedAt: Date | null;
  readonly limits: Limits;
  /** Voices may be made from recordings without a consent record. */
  readonly ownRecordingsAllowed: boolean;
  /** Which voices of the operator's pool the tenant may use: all, or those that were shared with it. */
  readonly poolVoices: 'all' | 'chosen';
}

/** The columns of limits, by their names here. */
const LIMIT_COLUMNS = {
  weight: 'weight',
  requestsPerMinute: 'requests_per_minute',
  charactersPerMinute: 'characters_per_minute',
  charactersPerMonth: 'characters_per_month',
  concurrentStreams: 'concurrent_streams',
  storageBytes: 'storage_bytes',
} as const satisfies Record<keyof Limits, string>;

/** Throws `TENANT_EXISTS`; ids of deleted tenants are not used again while their audit records are kept. */
export async function createTenant(
  database: Database,
  { id, displayName }: { readonly id: string; readonly displayName?: string },
): Promise<Tenant> {
  if (!TENANT_ID.test(id)) {
    throw new AppError(
      'REQUEST_INVALID',
      'the id of a tenant has 1 to 63 of a-z, 0-9 and "-", and begins with a letter or digit',
    );
  }
  try {
    const { rows } = await database.asPlatform((sql) =>
      sql.query<TenantRow>('INSERT INTO tenants (id, display_name) VALUES ($1, $2) RETURNING *', [
        id,
        displayName ?? id,
      ]),
    );
    return toTenant(rows[0]);
  } catch (error) {
    if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
    throw new AppError('TENANT_EXISTS', `there is, or was, a tenant "${id}"; choose another id`, { cause: error });
  }
}

/** The tenant of a server that nobody divided; its operator's own recordings need no consent record. */
export async function ensureDefaultTenant(database: Database): Promise<void> {
  await database.asPlatform((sql) =>
    sql.query(
      `INSERT INTO tenants (id, display_name, own_recordings_allowed) VALUES ($1, 'Default', true)
       ON CONFLICT DO NOTHING`,
      [DEFAULT_TENANT],
    ),
  );
}

export async function listTenants(database: Database): Promise<Tenant[]> {
  const { rows } = await database.asPlatform((sql) => sql.query<TenantRow>('SELECT * FROM tenants ORDER BY id'));
  return rows.map(toTenant);
}

/** Throws `TENANT_NOT_FOUND`; deleted tenants are found too. */
export async function getTenant(database: Database, id: string): Promise<Tenant> {
  const { rows } = await database.asPlatform((sql) =>
    sql.query<TenantRow>('SELECT * FROM tenants WHERE id = $1', [id]),
  );
  if (rows[0] === undefined) throw notFound(id);
  return toTenant(rows[0]);
}

export async function setLimits(database: Database, id: string, limits: Partial<Limits>): Promise<Tenant> {
  const names = (Object.keys(LIMIT_COLUMNS) as (keyof Limits)[]).filter((name) => limits[name] !== undefined);
  for (const name of names) {
    const value = limits[name];
    const fits = value === null ? name !== 'weight' : typeof value === 'number' && value >= 0 && value <= 2 ** 50;
    if (!fits || (name === 'weight' && !(Number(value) > 0 && Number(value) <= 1000))) {
      throw new AppError('REQUEST_INVALID', `${name} is ${value}; expected a number that is not negative, or no limit`);
    }
  }
  const columns = names.map((name, index) => `${LIMIT_COLUMNS[name]} = $${index + 2}`);
  return update(
    database,
    id,
    columns,
    names.map((name) => limits[name]),
  );
}

/** Ends all calls of a tenant, or lets them in again; its data stay. */
export async function setSuspended(database: Database, id: string, suspended: boolean): Promise<Tenant> {
  return update(database, id, ['state = $2'], [suspended ? 'suspended' : 'active']);
}

/** Whether voices may be made without a consent record: an operator's own recordings. */
export async function setOwnRecordingsAllowed(database: Database, id: string, allowed: boolean): Promise<Tenant> {
  return update(database, id, ['own_recordings_allowed = $2'], [allowed]);
}

/** Which voices of the operator's pool the tenant may use. */
export async function setPoolVoices(database: Database, id: string, which: Tenant['poolVoices']): Promise<Tenant> {
  return update(database, id, ['pool_voices = $2'], [which]);
}

/** Tables of a tenant's rows that go with it; usage and audit records stay, which is what they are for. */
const DELETED_TABLES = [
  'adapter_versions',
  'lexicon_versions',
  'voice_shares',
  'voices',
  'voice_consents',
  'vault_objects',
  'tenant_keys',
  'api_keys',
  'members',
];

/**
 * Deletes a tenant: its encryption keys first, so that whatever is left of its objects anywhere, backups of object
 * storage included, can be read by nobody; then everything else but its usage and its audit records.
 */
export async function deleteTenant(database: Database, id: string): Promise<Tenant> {
  if (id === DEFAULT_TENANT) throw new AppError('REQUEST_INVALID', 'the default tenant cannot be deleted');
  const tenant = await update(database, id, ["state = 'deleted'", 'deleted_at = now()'], []);
  await database.asTenant(id, async (sql) => {
    // Servers see these and end what is being said, by those too with whom a voice was shared.
    await sql.query(
      "INSERT INTO voice_stops (tenant_id, voice_id, reason) SELECT tenant_id, id, 'deleted' FROM voices WHERE tenant_id = $1",
      [id],
    );
    for (const table of DELETED_TABLES) await sql.query(`DELETE FROM ${table}`);
  });
  await database.asPlatform((sql) => sql.query('DELETE FROM voice_shares WHERE owner_id = $1', [id]));
  return tenant;
}

async function update(
  database: Database,
  id: string,
  assignments: readonly string[],
  values: readonly unknown[],
): Promise<Tenant> {
  if (assignments.length === 0) return getTenant(database, id);
  const { rows } = await database.asPlatform((sql) =>
    sql.query<TenantRow>(
      `UPDATE tenants SET ${assignments.join(', ')} WHERE id = $1 AND state <> 'deleted' RETURNING *`,
      [id, ...values],
    ),
  );
  if (rows[0] === undefined) throw notFound(id);
  return toTenant(rows[0]);
}

interface TenantRow {
  readonly id: string;
  readonly display_name: string;
  readonly state: Tenant['state'];
  readonly created_at: Date;
  readonly deleted_at: Date | null;
  readonly weight: number;
  readonly requests_per_minute: number | null;
  readonly characters_per_minute: number | null;
  readonly characters_per_month: number | null;
  readonly concurrent_streams: number | null;
  readonly storage_bytes: number | null;
  readonly own_recordings_allowed: boolean;
  readonly pool_voices: Tenant['poolVoices'];
}

function toTenant(row: TenantRow | undefined): Tenant {
  if (row === undefined) throw new Error('a statement that returns a tenant returned none');
  return {
    id: row.id,
    displayName: row.display_name,
    state: row.state,
    createdAt: row.created_at,
    deletedAt: row.deleted_at,
    limits: {
      weight: row.weight,
      requestsPerMinute: row.requests_per_minute,
      charactersPerMinute: row.characters_per_minute,
      charactersPerMonth: row.characters_per_month,
      concurrentStreams: row.concurrent_streams,
      storageBytes: row.storage_bytes,
    },
    ownRecordingsAllowed: row.own_recordings_allowed,
    poolVoices: row.pool_voices,
  };
}

function notFound(id: string): AppError {
  return new AppError('TENANT_NOT_FOUND', `there is no tenant "${id.slice(0, 63)}"`);
}
