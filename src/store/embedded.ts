import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError } from '../errors.js';
import { threadEntry } from '../thread-entry.js';
import { type Connection, type Database, type SqlResult, TransactionalDatabase } from './database.js';
import type { EmbeddedReply, EmbeddedRequest, EmbeddedThreadData } from './embedded-thread.js';
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
 * transactions run one after the other, and a thread, so that nobody waits for them who asked nothing of it.
 *
 * It does not call fsync: what was committed survives the end of the process, however it ends, but not always the end
 * of the machine. What must survive that goes through a journal first (audit/).
 *
 * Throws `STORE_LOCKED` when another process has the folder.
 */
export async function openEmbedded({ folder, signal }: EmbeddedOptions): Promise<Database> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(folder, signal === undefined ? {} : { signal });
  try {
    const db = await DatabaseThread.start({ folder: join(folder, 'pg'), pgliteWasmModule: await compiled() });
    return new TransactionalDatabase('pglite', singleConnection(db, lock));
  } catch (error) {
    await lock.release();
    throw new AppError('STORE_UNAVAILABLE', `the embedded database in ${folder} does not open; restore a backup`, {
      cause: error,
    });
  }
}

let compiling: Promise<WebAssembly.Module> | null = null;

function compiled(): Promise<WebAssembly.Module> {
  const entry = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  compiling ??= readFile(join(dirname(entry), 'pglite.wasm')).then((bytes) => WebAssembly.compile(bytes));
  return compiling;
}

interface Waiting {
  readonly resolve: (reply: EmbeddedReply) => void;
  readonly reject: (error: unknown) => void;
}

/** The caller's side of `embedded-thread.ts`. */
class DatabaseThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #failure: Error | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (reply: EmbeddedReply) => {
      this.#waiting.shift()?.resolve(reply);
      // A command that is done ends, whether or not it closed the database.
      if (this.#waiting.length === 0) worker.unref();
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the thread of the embedded database has ended')));
  }

  /** Resolves when the database is open. Throws what opening it failed with. */
  static async start(workerData: EmbeddedThreadData): Promise<DatabaseThread> {
    const thread = new DatabaseThread(new Worker(threadEntry(import.meta.url, 'embedded-thread'), { workerData }));
    await thread.#reply();
    return thread;
  }

  async query<Row>(text: string, values: readonly unknown[]): Promise<SqlResult<Row>> {
    const reply = await this.#ask({ type: 'query', text, values });
    if (reply.type !== 'rows') throw new Error(`the embedded database answered a statement with ${reply.type}`);
    // Buffers arrive as plain arrays of bytes.
    for (const row of reply.rows) for (const [name, value] of Object.entries(row)) row[name] = bufferOf(value);
    return { rows: reply.rows as Row[], count: reply.count };
  }

  async run(script: string): Promise<void> {
    await this.#ask({ type: 'run', script });
  }

  async close(): Promise<void> {
    await this.#ask({ type: 'close' });
    await this.#worker.terminate();
  }

  async #ask(request: EmbeddedRequest): Promise<EmbeddedReply> {
    if (this.#failure !== null) throw this.#failure;
    this.#worker.postMessage(request);
    this.#worker.ref();
    return this.#reply();
  }

  async #reply(): Promise<EmbeddedReply> {
    const reply = await new Promise<EmbeddedReply>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    if (reply.type === 'failed') throw Object.assign(new Error(reply.message), reply.fields);
    return reply;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function bufferOf(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
}

function singleConnection(db: DatabaseThread, lock: FolderLock) {
  let tail = Promise.resolve();
  let waiting = 0;
  let closed = false;
  const connection = (release: () => void): Connection => ({
    query: <Row>(text: string, values: readonly unknown[] = []) => db.query<Row>(text, values),
    run: (script) => db.run(script),
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
