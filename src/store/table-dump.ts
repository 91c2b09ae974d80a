import { AppError } from '../errors.js';
import { type Database, PLATFORM_ROLE, type Sql, TENANT_ROLE } from './database.js';

/** Rows of one table as they are dumped: JSON of the database's own making, which it reads back to the bit. */
export interface DumpedRows {
  readonly table: string;
  /** Null: rows that the platform's role keeps. */
  readonly tenantId: string | null;
  readonly rows: readonly string[];
}

/** Kept by the platform's role; all others are their tenants' own. */
const PLATFORM_TABLES: ReadonlySet<string> = new Set(['tenants', 'voice_shares']);
/** Of this database alone: how it was made, and what servers tell each other this minute. */
const LEFT_OUT: readonly string[] = ['schema_migrations', 'voice_stops'];
/**
 * Put back as one JSON array, of which the database takes 256 MB, and kept as one string of at most 512 million characters:
 * the text of a lexicon has up to 4 MiB, in JSON of JSON up to seven times as much. With 500, small rows took two thirds of
 * the time.
 */
const BATCH_ROWS = 16;

interface TableFacts {
  readonly name: string;
  /** Rows that name others of the same table go in together. */
  readonly namesItself: boolean;
}

/**
 * All rows of all tenants as they are at one moment, whatever is written meanwhile. `take` is called in an order in which
 * they can be put back.
 */
export async function dumpTables(database: Database, take: (rows: DumpedRows) => Promise<void>): Promise<void> {
  await database.asOwner(async (sql) => {
    await sql.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    const tables = await tablesInOrder(sql);
    await become(sql, PLATFORM_ROLE);
    const { rows: tenants } = await sql.query<{ id: string }>('SELECT id FROM tenants ORDER BY id');
    for (const { name } of tables) {
      const owners = PLATFORM_TABLES.has(name) ? [null] : tenants.map(({ id }) => id);
      for (const tenantId of owners) {
        if (tenantId === null) await become(sql, PLATFORM_ROLE);
        else await become(sql, TENANT_ROLE, tenantId);
        for await (const rows of pages(sql, name)) await take({ table: name, tenantId, rows });
      }
    }
  });
}

async function* pages(sql: Sql, table: string): AsyncGenerator<readonly string[], void, undefined> {
  await sql.query(`DECLARE dumped NO SCROLL CURSOR FOR SELECT to_jsonb(t)::text AS row FROM ${table} t`);
  for (;;) {
    const { rows } = await sql.query<{ row: string }>(`FETCH ${BATCH_ROWS} FROM dumped`);
    if (rows.length > 0) yield rows.map(({ row }) => row);
    if (rows.length < BATCH_ROWS) break;
  }
  await sql.query('CLOSE dumped');
}

/** Puts dumped rows back into empty tables, all or none. Throws `STORE_NOT_EMPTY` when there are tenants already. */
export async function loadTables(database: Database, dumped: AsyncIterable<DumpedRows>): Promise<void> {
  await database.asOwner(async (sql) => {
    const tables = new Map((await tablesInOrder(sql)).map((table) => [table.name, table]));
    await become(sql, PLATFORM_ROLE);
    const { rows } = await sql.query('SELECT 1 FROM tenants LIMIT 1');
    if (rows.length > 0) throw notEmpty('the database has tenants already');
    // Rows that name others of their own table: together, however many there are.
    let waiting: { readonly table: TableFacts; readonly tenantId: string | null; readonly rows: string[] } | null =
      null;
    const insertWaiting = async () => {
      if (waiting !== null) await insert(sql, waiting.table.name, waiting.tenantId, waiting.rows);
      waiting = null;
    };
    for await (const { table: name, tenantId, rows: some } of dumped) {
      const table = tables.get(name);
      if (table === undefined)
        throw new AppError('BACKUP_INVALID', 'the backup has a table that this release does not know');
      if (waiting !== null && (waiting.table.name !== name || waiting.tenantId !== tenantId)) await insertWaiting();
      if (!table.namesItself) await insert(sql, name, tenantId, some);
      else if (waiting === null) waiting = { table, tenantId, rows: [...some] };
      else waiting.rows.push(...some);
    }
    await insertWaiting();
  });
}

export function notEmpty(what: string): AppError {
  return new AppError('STORE_NOT_EMPTY', `${what}: a backup is restored where nothing is; choose another place`);
}

async function insert(sql: Sql, table: string, tenantId: string | null, rows: readonly string[]): Promise<void> {
  if (tenantId === null) await become(sql, PLATFORM_ROLE);
  else await become(sql, TENANT_ROLE, tenantId);
  await sql.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)`, [
    `[${rows.join(',')}]`,
  ]);
}

async function become(sql: Sql, role: string, tenantId = ''): Promise<void> {
  await sql.query(`SET LOCAL ROLE ${role}`);
  await sql.query("SELECT set_config('app.tenant_id', $1, true)", [tenantId]);
}

/** Every table, those that are named before those that name them. */
async function tablesInOrder(sql: Sql): Promise<readonly TableFacts[]> {
  const { rows: names } = await sql.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname`,
  );
  const { rows: references } = await sql.query<{ from: string; to: string }>(
    `SELECT f.relname AS "from", t.relname AS "to" FROM pg_constraint c
     JOIN pg_class f ON f.oid = c.conrelid JOIN pg_class t ON t.oid = c.confrelid WHERE c.contype = 'f'`,
  );
  const left = new Set(names.map(({ name }) => name).filter((name) => !LEFT_OUT.includes(name)));
  const ordered: TableFacts[] = [];
  while (left.size > 0) {
    const free = [...left].filter((name) =>
      references.every(({ from, to }) => from !== name || to === name || !left.has(to)),
    );
    if (free.length === 0) throw new Error('tables name each other in a circle');
    for (const name of free) {
      left.delete(name);
      ordered.push({ name, namesItself: references.some(({ from, to }) => from === name && to === name) });
    }
  }
  return ordered;
}
