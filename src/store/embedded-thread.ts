import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { brotliDecompress } from 'node:zlib';
import { PGlite, types } from '@electric-sql/pglite';

/** What the thread is started with. */
export interface EmbeddedThreadData {
  /** Of the database's files; made when missing. */
  readonly folder: string;
  /** The database, compiled: once for all threads of a process. */
  readonly pgliteWasmModule: WebAssembly.Module;
}

/** A statement with values, a script without, or the end. */
export type EmbeddedRequest =
  | { readonly type: 'query'; readonly text: string; readonly values: readonly unknown[] }
  | { readonly type: 'run'; readonly script: string }
  | { readonly type: 'close' };

/** Answers come in the order of the requests. */
export type EmbeddedReply =
  | { readonly type: 'rows'; readonly rows: readonly Record<string, unknown>[]; readonly count: number }
  | { readonly type: 'done' }
  /** An error of the database with its fields (SQLSTATE and where), which a copied Error would lose. */
  | { readonly type: 'failed'; readonly message: string; readonly fields: Readonly<Record<string, string>> };

/**
 * Entry of the thread of the embedded database: its statements take milliseconds each, for which a server's own thread
 * would answer nobody.
 */
const { folder, pgliteWasmModule } = workerData as EmbeddedThreadData;
const port = parentPort as MessagePort; // this module only runs as a worker
const cluster = existsSync(join(folder, 'PG_VERSION')) ? null : await emptyCluster();
const db = await PGlite.create({
  dataDir: folder,
  pgliteWasmModule,
  parsers: { [types.INT8]: Number, [types.BYTEA]: parseBytes },
  ...(cluster === null ? {} : { loadDataDir: cluster }),
});
let tail = Promise.resolve();
port.on('message', (request: EmbeddedRequest) => {
  tail = tail.then(async () => port.postMessage(await answer(request)));
});
port.postMessage({ type: 'done' } satisfies EmbeddedReply);

async function answer(request: EmbeddedRequest): Promise<EmbeddedReply> {
  try {
    switch (request.type) {
      case 'query': {
        const { rows, affectedRows } = await db.query<Record<string, unknown>>(request.text, [...request.values]);
        return { type: 'rows', rows, count: affectedRows ?? rows.length };
      }
      case 'run':
        await db.exec(request.script);
        return { type: 'done' };
      case 'close':
        await db.close();
        return { type: 'done' };
    }
  } catch (error) {
    const facts = Object.entries(error instanceof Error ? error : {});
    const fields = facts.filter((fact): fact is [string, string] => typeof fact[1] === 'string');
    return {
      type: 'failed',
      message: error instanceof Error ? error.message : String(error),
      fields: Object.fromEntries(fields),
    };
  }
}

/** A new database is unpacked, which takes a second; making it would take eight, and 800 MB of memory. */
async function emptyCluster(): Promise<Blob | null> {
  const data = new URL('data/', import.meta.url);
  const name = (await readdir(data)).find((file) => /^embedded-cluster-[\d.]+\.br$/.test(file));
  if (name === undefined) return null;
  return new Blob([await promisify(brotliDecompress)(await readFile(new URL(name, data)))]);
}

function parseBytes(hex: string): Buffer {
  return Buffer.from(hex.slice('\\x'.length), 'hex');
}
