import { AppError } from '../errors.js';

/** What SQL gives back. Eight-byte integers arrive as numbers, `bytea` as bytes, `timestamptz` as dates, on both kinds. */
export interface SqlResult<Row> {
  readonly rows: Row[];
  /** Rows that a statement touched. */
  readonly count: number;
}

/** An open transaction: statements run one after the other, under the role and tenant it was opened for. */
export interface Sql {
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<SqlResult<Row>>;
}

export interface WorkOptions {
  readonly signal?: AbortSignal;
}

/**
 * The platform's state in SQL. There is no way to a statement but a transaction under one of two roles that cannot
 * bypass row-level security: a tenant's, which sees the rows of that tenant, and the platform's, which sees the few
 * tables that are looked up before a tenant is known.
 */
export interface Database {
  readonly kind: 'postgres' | 'pglite';
  /** Commits when `work` resolves, rolls back when it throws. Throws `STORE_UNAVAILABLE` when the database is away. */
  asTenant<T>(tenantId: string, work: (sql: Sql) => Promise<T>, options?: WorkOptions): Promise<T>;
  asPlatform<T>(work: (sql: Sql) => Promise<T>, options?: WorkOptions): Promise<T>;
  /** As the owner of the tables: for migrations and backups only. */
  asOwner<T>(work: (sql: Sql) => Promise<T>, options?: WorkOptions): Promise<T>;
  close(): Promise<void>;
}

/** One connection, held for one transaction. */
export interface Connection extends Sql {
  /** Several statements without values. */
  run(script: string): Promise<void>;
  /** `broken`: its state is unknown and it must not be used again. */
  release(broken: boolean): void;
}

export const TENANT_ROLE = 'timbre_tenant';
export const PLATFORM_ROLE = 'timbre_platform';
export const TENANT_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The transactions of {@link Database} over connections of either kind. */
export class TransactionalDatabase implements Database {
  readonly kind: Database['kind'];
  readonly #connect: (signal?: AbortSignal) => Promise<Connection>;
  readonly #close: () => Promise<void>;

  constructor(
    kind: Database['kind'],
    driver: { connect(signal?: AbortSignal): Promise<Connection>; close(): Promise<void> },
  ) {
    this.kind = kind;
    this.#connect = (signal) => driver.connect(signal);
    this.#close = () => driver.close();
  }

  async asTenant<T>(tenantId: string, work: (sql: Sql) => Promise<T>, options: WorkOptions = {}): Promise<T> {
    // The id stands in the script below as it is, so that a transaction costs no further round trip.
    if (!TENANT_ID.test(tenantId)) throw new AppError('TENANT_NOT_FOUND', 'there is no such tenant');
    return this.#transaction(
      `BEGIN; SET LOCAL ROLE ${TENANT_ROLE}; SET LOCAL app.tenant_id = '${tenantId}'`,
      work,
      options,
    );
  }

  async asPlatform<T>(work: (sql: Sql) => Promise<T>, options: WorkOptions = {}): Promise<T> {
    return this.#transaction(`BEGIN; SET LOCAL ROLE ${PLATFORM_ROLE}; SET LOCAL app.tenant_id = ''`, work, options);
  }

  async asOwner<T>(work: (sql: Sql) => Promise<T>, options: WorkOptions = {}): Promise<T> {
    return this.#transaction('BEGIN', work, options);
  }

  close(): Promise<void> {
    return this.#close();
  }

  async #transaction<T>(begin: string, work: (sql: Sql) => Promise<T>, { signal }: WorkOptions): Promise<T> {
    signal?.throwIfAborted();
    const connection = await this.#connect(signal);
    let broken = true;
    let open = true;
    let failure: { readonly error: unknown } | null = null;
    const sql: Sql = {
      async query(text, values) {
        if (!open) throw new Error('the transaction has ended: a statement was not awaited inside it');
        signal?.throwIfAborted();
        try {
          return await connection.query(text, values);
        } catch (error) {
          failure ??= { error };
          throw error;
        }
      },
    };
    try {
      await connection.run(begin);
      const result = await work(sql);
      open = false;
      // PostgreSQL answers COMMIT after a failed statement with a rollback and no error.
      if (failure !== null) throw (failure as { readonly error: unknown }).error;
      await connection.run('COMMIT');
      broken = false;
      return result;
    } catch (error) {
      open = false;
      // A rollback that fails leaves a connection nobody may use again.
      broken = await connection.run('ROLLBACK').then(
        () => false,
        () => true,
      );
      throw asStoreError(error);
    } finally {
      connection.release(broken);
    }
  }
}

/** SQLSTATE of a row whose key another one has. */
export const UNIQUE_VIOLATION = '23505';
/** SQLSTATE of text with a zero character, which PostgreSQL does not hold: it is the caller's. */
const NOT_TEXT_STATE = '22021';
/** SQLSTATE classes of a database that is away or has no room: connection lost, shutting down, out of resources. */
const UNAVAILABLE_STATE = /^(08|53|57P0|58)/;
const UNAVAILABLE_CODE = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;

/** SQLSTATE of an error that the database reported, or undefined. */
export function sqlState(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AppError) return error;
  if (sqlState(error) === NOT_TEXT_STATE) {
    return new AppError(
      'REQUEST_INVALID',
      'the request holds a character that cannot be stored (U+0000); leave it out',
      {
        cause: error,
      },
    );
  }
  const code = 'code' in error ? String(error.code) : '';
  const lost = /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection/;
  if (!UNAVAILABLE_STATE.test(sqlState(error) ?? '') && !UNAVAILABLE_CODE.test(code) && !lost.test(error.message)) {
    return error;
  }
  return new AppError('STORE_UNAVAILABLE', 'the database cannot be reached; the call was not carried out, try again', {
    cause: error,
  });
}
