import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { AppError, errnoCode } from '../errors.js';
import type { Database } from './database.js';
import { MIGRATIONS, migrate } from './migrations.js';
import type { ObjectStore } from './objects.js';
import { type DumpedRows, dumpTables, loadTables, notEmpty } from './table-dump.js';

/** What a backup is made of, in `backup.json`, which is written last. */
export interface BackupManifest {
  readonly format: 'timbre backup 1';
  readonly createdAt: string;
  /** The release's tables: an older backup is migrated after it was put back. */
  readonly migrations: readonly string[];
  readonly rows: Readonly<Record<string, number>>;
  readonly objects: number;
  /** Master keys without which nothing of it can be read; they are not in the backup. */
  readonly masterKeys: readonly string[];
  /** SHA-256 of every file, by its path in the backup. */
  readonly files: Readonly<Record<string, string>>;
}

/** Folders of the data folder that are plain files, names before what they name: models before their components. */
export const BACKED_UP_FOLDERS = ['voices', 'adapters', 'lexicons', 'models', 'components', 'audit-anchors'] as const;

/** The key of the plain folders' files, encrypted: see vault/pool-key.ts. */
const POOL_KEY = 'pool-key.json';

const MANIFEST = 'backup.json';
const TABLES = 'tables.jsonl.gz';
/** An object that is deleted while the backup is made is in the tables of then: they are read again. */
const TRIES = 5;

export interface BackupSource {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly dataDir: string;
  readonly signal?: AbortSignal;
}

/** Writes everything into a folder that is new or empty, beside a server that goes on. Throws `STORE_NOT_EMPTY`. */
export async function writeBackup(folder: string, source: BackupSource): Promise<BackupManifest> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length > 0) throw notEmpty(`the folder ${folder} is not empty`);
  const files: Record<string, string> = {};
  for (const name of BACKED_UP_FOLDERS) {
    for (const path of await filesIn(source.dataDir, name)) {
      source.signal?.throwIfAborted();
      files[path] = await copyFile(join(source.dataDir, path), join(folder, path));
    }
  }
  const poolMasterKey = await copyPoolKey(source.dataDir, folder, files);
  for (let tries = 1; ; tries++) {
    const { rows, objects, masterKeys, digest } = await writeTables(join(folder, TABLES), source.database);
    files[TABLES] = digest;
    if (!(await copyObjects(objects, folder, files, source))) {
      if (tries < TRIES) continue;
      throw new AppError('STORE_UNAVAILABLE', 'objects went away while they were copied; make the backup again');
    }
    const manifest: BackupManifest = {
      format: 'timbre backup 1',
      createdAt: new Date().toISOString(),
      migrations: MIGRATIONS.map(({ name }) => name),
      rows,
      objects: objects.length,
      masterKeys: [...new Set([...masterKeys, ...poolMasterKey])].sort(),
      // Objects of an earlier try that are not in the tables of the last one would only lie there.
      files,
    };
    const file = await open(join(folder, MANIFEST), 'wx', 0o600);
    await file.writeFile(`${JSON.stringify(manifest, null, 1)}\n`);
    await file.sync();
    await file.close();
    return manifest;
  }
}

/** Reads and checks a backup: every file is there and as it was written. Throws `BACKUP_INVALID`. */
export async function checkBackup(folder: string): Promise<BackupManifest> {
  let manifest: BackupManifest;
  try {
    manifest = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8'));
    if (manifest.format !== 'timbre backup 1') throw new Error('another format');
  } catch (error) {
    const what = `${folder} is no whole backup (${MANIFEST} is written last)`;
    throw new AppError('BACKUP_INVALID', `${what}; choose another one`, { cause: error });
  }
  for (const [path, digest] of Object.entries(manifest.files)) {
    if (path.split('/').includes('..')) throw damaged(path);
    const found = await digestOf(join(folder, path)).catch(() => null);
    if (found !== digest) throw damaged(path);
  }
  for (const [index, name] of manifest.migrations.entries()) {
    if (MIGRATIONS[index]?.name === name) continue;
    throw new AppError('STORE_INCOMPATIBLE', 'the backup is of a later release; restore it with that one');
  }
  return manifest;
}

/** Puts a checked backup back. Throws `STORE_NOT_EMPTY` where there is anything already, before anything is written. */
export async function readBackup(folder: string, manifest: BackupManifest, target: BackupSource): Promise<void> {
  const { database, objects, dataDir } = target;
  for (const name of BACKED_UP_FOLDERS) {
    if ((await filesIn(dataDir, name)).length > 0) throw notEmpty(`the folder ${join(dataDir, name)} is not empty`);
  }
  if ((await namesIn(dataDir)).includes(POOL_KEY)) throw notEmpty(`the folder ${dataDir} has a ${POOL_KEY}`);
  for await (const name of objects.list('')) throw notEmpty(`the object storage has ${name} already`);
  // The tables as they were then, and those of this release after it.
  await migrate(database, MIGRATIONS.slice(0, manifest.migrations.length));
  await loadTables(database, dumpedIn(join(folder, TABLES)));
  await migrate(database);
  for (const path of Object.keys(manifest.files)) {
    target.signal?.throwIfAborted();
    if (path.startsWith('objects/')) {
      await objects.put(path.slice('objects/'.length), createReadStream(join(folder, path)));
    } else if (path !== TABLES) await copyFile(join(folder, path), join(dataDir, path));
  }
}

async function writeTables(path: string, database: Database) {
  const rows: Record<string, number> = {};
  const objects: string[] = [];
  const masterKeys = new Set<string>();
  const gzip = createGzip();
  const written = pipeline(gzip, createWriteStream(path, { mode: 0o600 }));
  // A disk that is full is told by `written`, which is awaited after the tables.
  written.catch(() => {});
  await dumpTables(database, async (dumped) => {
    rows[dumped.table] = (rows[dumped.table] ?? 0) + dumped.rows.length;
    for (const row of dumped.rows) {
      if (dumped.table === 'vault_objects') {
        const { tenant_id, id, kind } = JSON.parse(row) as { tenant_id: string; id: string; kind: string };
        // A key for digests, or of what a row keeps itself, has no bytes.
        if (kind !== 'digest-key' && !kind.startsWith('row-')) objects.push(`${tenant_id}/${id.slice(0, 2)}/${id}`);
      } else if (dumped.table === 'tenant_keys') {
        masterKeys.add((JSON.parse(row) as { master_key: string }).master_key);
      }
    }
    if (!gzip.write(`${JSON.stringify(dumped)}\n`)) {
      await Promise.race([new Promise((resolve) => gzip.once('drain', resolve)), written]);
    }
  });
  gzip.end();
  await written;
  return { rows, objects, masterKeys: [...masterKeys].sort(), digest: await digestOf(path) };
}

async function* dumpedIn(path: string): AsyncGenerator<DumpedRows, void, undefined> {
  const lines = createInterface({
    input: createReadStream(path).pipe(createGunzip()),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  // Its digest was checked: it is as it was written.
  for await (const line of lines) yield JSON.parse(line) as DumpedRows;
}

/** @returns which master key it is wrapped by, where there is one. */
async function copyPoolKey(dataDir: string, folder: string, files: Record<string, string>): Promise<string[]> {
  if (!(await namesIn(dataDir)).includes(POOL_KEY)) return [];
  files[POOL_KEY] = await copyFile(join(dataDir, POOL_KEY), join(folder, POOL_KEY));
  return [(JSON.parse(await readFile(join(folder, POOL_KEY), 'utf8')) as { master_key: string }).master_key];
}

/** @returns false when one is no longer there. */
async function copyObjects(
  names: readonly string[],
  folder: string,
  files: Record<string, string>,
  { objects, signal }: BackupSource,
): Promise<boolean> {
  const wanted = new Set(names.map((name) => `objects/${name}`));
  for (const path of Object.keys(files)) if (path.startsWith('objects/') && !wanted.has(path)) delete files[path];
  for (const name of names) {
    signal?.throwIfAborted();
    const path = `objects/${name}`;
    // Objects never change.
    if (files[path] !== undefined) continue;
    try {
      files[path] = await writeFileFrom(await objects.get(name), join(folder, path));
    } catch (error) {
      if (error instanceof AppError && error.code === 'OBJECT_NOT_FOUND') return false;
      throw error;
    }
  }
  return true;
}

function copyFile(from: string, to: string): Promise<string> {
  return writeFileFrom(createReadStream(from), to);
}

/** @returns the SHA-256 of what was written. */
async function writeFileFrom(source: AsyncIterable<Uint8Array>, to: string): Promise<string> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  const hash = createHash('sha256');
  const digest = new Transform({
    transform(bytes, _encoding, done) {
      hash.update(bytes);
      done(null, bytes);
    },
  });
  await pipeline(source, digest, createWriteStream(to, { mode: 0o600 }));
  return hash.digest('hex');
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path)) hash.update(bytes);
  return hash.digest('hex');
}

/**
 * Paths below `root` of all files in its folder `name`, and of those that links in it lead to; drafts of writers, whose names
 * begin with a dot, are none.
 */
async function filesIn(root: string, name: string): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await namesIn(join(root, name))) {
    const path = `${name}/${entry}`;
    const facts = await stat(join(root, path));
    if (facts.isDirectory()) paths.push(...(await filesIn(root, path)));
    else if (facts.isFile() && !entry.startsWith('.')) paths.push(path);
  }
  return paths;
}

/** None where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function damaged(path: string): AppError {
  return new AppError('BACKUP_INVALID', `the file ${path} of the backup is not as it was written; choose another one`);
}
