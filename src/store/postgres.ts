import pg from 'pg';
import { AppError } from '../errors.js';
import type { Logger } from '../log.js';
import { asStoreError, type Connection, type Database, type SqlResult, TransactionalDatabase } from './database.js';

export interface PostgresOptions {
  /** `postgres://user:password@host/database`, with `sslmode` as libpq has it. */
  readonly url: string;
  readonly maxConnections?: number;
  readonly connectTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly log: Logger;
}

/** Callers that may wait for a connection; beyond it the database is too slow, and waiting would only add to it. */
const MAX_WAITING_FOR_CONNECTION = 1000;
const INT8 = 20;

/**
 * A pool of connections to a PostgreSQL server.
 *
 * Throws `STORE_UNAVAILABLE` when the server cannot be reached, `CONFIG_INVALID` when the connecting user could bypass
 * row-level security.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5000,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    idle_in_transaction_session_timeout: 60_000,
    application_name: 'timbre',
    keepAlive: true,
    types: {
      // Counters and sequences stay far below 2^53.
      getTypeParser: ((oid: number, format?: 'text') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  });
  // An idle connection that dies is replaced by the next caller; without a listener it would end the process.
  pool.on('error', (error) => options.log.warn({ err: error }, 'an idle database connection was lost'));
  // One that dies between two statements of a transaction tells so on itself; the next statement fails then.
  pool.on('connect', (client) => void client.on('error', () => {}));
  const database = new TransactionalDatabase('postgres', {
    async connect() {
      if (pool.waitingCount >= MAX_WAITING_FOR_CONNECTION) {
        throw new AppError('STORE_UNAVAILABLE', 'too many calls wait for the database; try again shortly');
      }
      try {
        return toConnection(await pool.connect());
      } catch (error) {
        throw asStoreError(error);
      }
    },
    close: () => pool.end(),
  });
  try {
    await refusePrivileged(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

async function refusePrivileged(database: Database): Promise<void> {
  const { rows } = await database.asOwner((sql) =>
    sql.query<{ name: string; privileged: boolean }>(
      'SELECT rolname AS name, rolsuper OR rolbypassrls AS privileged FROM pg_roles WHERE rolname = current_user',
    ),
  );
  if (rows[0]?.privileged === false) return;
  throw new AppError(
    'CONFIG_INVALID',
    `the database user "${rows[0]?.name ?? '?'}" could bypass row-level security; connect as a plain one: ` +
      'CREATE ROLE timbre LOGIN CREATEROLE PASSWORD …; CREATE DATABASE timbre OWNER timbre',
  );
}

function toConnection(client: pg.PoolClient): Connection {
  return {
    async query<Row>(text: string, values: readonly unknown[] = []) {
      const result = await client.query({ text, values: [...values] });
      return { rows: result.rows, count: result.rowCount ?? 0 } as SqlResult<Row>;
    },
    async run(script) {
      await client.query(script);
    },
    release: (broken) => client.release(broken),
  };
}
