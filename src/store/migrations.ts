import { createHash } from 'node:crypto';
import { AppError } from '../errors.js';
import { type Database, PLATFORM_ROLE, type Sql, sqlState, TENANT_ROLE } from './database.js';
import { tenancy } from './migrations/0001-tenancy.js';
import { audit } from './migrations/0002-audit.js';
import { vault } from './migrations/0003-vault.js';
import { catalog } from './migrations/0004-catalog.js';
import { lexicons } from './migrations/0005-lexicons.js';
import { sealedLexicons } from './migrations/0006-sealed-lexicons.js';
import { ownStops } from './migrations/0007-own-stops.js';
import { adapters } from './migrations/0008-adapters.js';
import { auditInserts } from './migrations/0009-audit-inserts.js';

export interface Migration {
  readonly name: string;
  readonly script: string;
}

/** Forward only: a released one is never changed, the next one is added. */
export const MIGRATIONS: readonly Migration[] = [
  tenancy,
  audit,
  vault,
  catalog,
  lexicons,
  sealedLexicons,
  ownStops,
  adapters,
  auditInserts,
];

/** Any number; it only has to be the same in every release. */
const LOCK = 7_214_650_331;

/**
 * Brings the tables to what this release needs, in one transaction; servers that start together wait for each other.
 *
 * @returns the names of the migrations that were applied.
 * Throws `STORE_INCOMPATIBLE` when an applied migration is not the one of this release, or comes from a later one.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[] = MIGRATIONS,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<string[]> {
  await createRoles(database);
  return database.asOwner(
    async (sql) => {
      await sql.query('SELECT pg_advisory_xact_lock($1::bigint)', [LOCK]);
      await sql.query(
        `CREATE TABLE IF NOT EXISTS schema_migrations (
           position integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
           applied_at timestamptz NOT NULL DEFAULT now())`,
      );
      const { rows } = await sql.query<{ name: string; checksum: string }>(
        'SELECT name, checksum FROM schema_migrations ORDER BY position',
      );
      checkApplied(rows, migrations);
      const pending = migrations.slice(rows.length);
      for (const [index, migration] of pending.entries()) {
        await runScript(sql, migration.script);
        await sql.query('INSERT INTO schema_migrations (position, name, checksum) VALUES ($1, $2, $3)', [
          rows.length + index + 1,
          migration.name,
          checksum(migration),
        ]);
      }
      return pending.map((migration) => migration.name);
    },
    signal === undefined ? {} : { signal },
  );
}

function checkApplied(applied: readonly { name: string; checksum: string }[], known: readonly Migration[]): void {
  for (const [index, row] of applied.entries()) {
    const migration = known[index];
    if (migration === undefined) {
      throw new AppError(
        'STORE_INCOMPATIBLE',
        `the database was migrated by a later release (it has "${row.name}"); run that release, or restore a backup`,
      );
    }
    if (migration.name !== row.name || checksum(migration) !== row.checksum) {
      throw new AppError(
        'STORE_INCOMPATIBLE',
        `migration ${index + 1} in the database ("${row.name}") is not the one of this release ("${migration.name}"); ` +
          'the tables were changed by something else: restore a backup',
      );
    }
  }
}

export function checksum({ script }: Migration): string {
  return createHash('sha256').update(script).digest('hex');
}

/** Statements are separated by a semicolon at the end of a line; bodies in dollar quotes keep theirs. */
async function runScript(sql: Sql, script: string): Promise<void> {
  let body = '';
  let quoted = false;
  for (const line of script.split('\n')) {
    body += `${line}\n`;
    if ((line.split('$$').length - 1) % 2 === 1) quoted = !quoted;
    if (quoted || !/;\s*$/.test(line)) continue;
    await sql.query(body);
    body = '';
  }
  if (body.trim() !== '') await sql.query(body);
}

/**
 * The two roles that transactions run under. Roles belong to the whole server, so an operator may have made them; then
 * the connecting user only has to be a member.
 */
async function createRoles(database: Database): Promise<void> {
  for (const role of [TENANT_ROLE, PLATFORM_ROLE]) {
    const exists = await database.asOwner(async (sql) => {
      const { rows } = await sql.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
      return rows.length > 0;
    });
    if (!exists) {
      try {
        await database.asOwner((sql) => sql.query(`CREATE ROLE ${role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT`));
      } catch (error) {
        // Another server of the same cluster was faster: unique_violation or duplicate_object.
        if (!['23505', '42710'].includes(sqlState(error) ?? '')) throw roleError(role, error);
      }
    }
    try {
      await database.asOwner(async (sql) => {
        const { rows } = await sql.query<{ member: boolean }>(
          `SELECT EXISTS (SELECT 1 FROM pg_auth_members m
             WHERE m.roleid = $1::regrole AND m.member = current_user::regrole
               AND coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)) AS member`,
          [role],
        );
        if (rows[0]?.member !== true) await sql.query(`GRANT ${role} TO CURRENT_USER`);
      });
    } catch (error) {
      throw roleError(role, error);
    }
  }
}

function roleError(role: string, error: unknown): unknown {
  // insufficient_privilege
  if (sqlState(error) !== '42501') return error;
  return new AppError(
    'CONFIG_INVALID',
    `the database user may not make or use the role "${role}"; let it (ALTER ROLE … CREATEROLE), or make the role: ` +
      `CREATE ROLE ${role} NOLOGIN; GRANT ${role} TO …`,
    { cause: error },
  );
}
