import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { PGlite, types } from '@electric-sql/pglite';
import { AppError } from '../errors.js';
import { type Connection, type Database, type SqlResult, TransactionalDatabase } from './database.js';
import { type FolderLock, lockFolder } from './folder-lock.js';

export interface EmbeddedOptions {
  /** Made when missing; one process at a time has it. */
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/** As the pool of PostgreSQL: beyond it waiting only adds to the wait. */
const MAX_WAITING = 1000;

/**
 * PostgreSQL compiled to WebAssembly, in a folder: the default that needs no other service. It has one connection, so
 * transactions run one after the other.
 *
 * It does not call fsync: what was committed survives the end of the process, however it ends, but not always the end
 * of the machine. What must survive that goes through a journal first (audit/).
 *
 * Throws `STORE_LOCKED` when another process has the folder.
 */
export async function openEmbedded({ folder, signal }: EmbeddedOptions): Promise<Database> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(folder, signal === undefined ? {} : { signal });
  let db: PGlite;
  try {
    const dataDir = join(folder, 'pg');
    const cluster = existsSync(join(dataDir, 'PG_VERSION')) ? null : await emptyCluster();
    db = await PGlite.create({
      dataDir,
      parsers: { [types.INT8]: Number, [types.BYTEA]: parseBytes },
      ...(cluster === null ? {} : { loadDataDir: cluster }),
    });
  } catch (error) {
    await lock.release();
    throw new AppError('STORE_UNAVAILABLE', `the embedded database in ${folder} does not open; restore a backup`, {
      cause: error,
    });
  }
  return new TransactionalDatabase('pglite', singleConnection(db, lock));
}

/** A new database is unpacked, which takes a second; making it would take eight, and 800 MB of memory. */
async function emptyCluster(): Promise<Blob | null> {
  const folder = new URL('data/', import.meta.url);
  const name = (await readdir(folder)).find((file) => /^embedded-cluster-[\d.]+\.br$/.test(file));
  if (name === undefined) return null;
  return new Blob([await promisify(brotliDecompress)(await readFile(new URL(name, folder)))]);
}

function parseBytes(hex: string): Buffer {
  return Buffer.from(hex.slice('\\x'.length), 'hex');
}

function singleConnection(db: PGlite, lock: FolderLock) {
  let tail = Promise.resolve();
  let waiting = 0;
  let closed = false;
  const connection = (release: () => void): Connection => ({
    async query<Row>(text: string, values: readonly unknown[] = []) {
      const result = await db.query<Row>(text, [...values]);
      return { rows: result.rows, count: result.affectedRows ?? result.rows.length } satisfies SqlResult<Row>;
    },
    async run(script) {
      await db.exec(script);
    },
    release,
  });
  return {
    async connect(signal?: AbortSignal): Promise<Connection> {
      if (closed) throw new AppError('STORE_UNAVAILABLE', 'the embedded database is closed');
      if (waiting >= MAX_WAITING) {
        throw new AppError('STORE_UNAVAILABLE', 'too many calls wait for the database; try again shortly');
      }
      const before = tail;
      let release = () => {};
      tail = new Promise((resolve) => {
        release = resolve;
      });
      waiting++;
      await before;
      waiting--;
      if (signal?.aborted || closed) {
        release();
        signal?.throwIfAborted();
        throw new AppError('STORE_UNAVAILABLE', 'the embedded database is closed');
      }
      return connection(release);
    },
    async close() {
      if (closed) return;
      closed = true;
      await tail;
      await db.close();
      await lock.release();
    },
  };
}
