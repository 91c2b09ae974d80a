import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { AppError, errnoCode } from '../errors.js';
import { OBJECT_NAME, type ObjectOptions, type ObjectRange, type ObjectStore } from './objects.js';

/** Objects as files of a folder: synced before they get their name, so that a name always leads to the whole object. */
export class FolderObjects implements ObjectStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, { signal }: ObjectOptions = {}): Promise<void> {
    const path = this.#path(name);
    const folder = dirname(path);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = join(folder, `.${randomUUID()}.part`);
    try {
      const file = await open(draft, 'wx', 0o600);
      try {
        for await (const bytes of source) {
          signal?.throwIfAborted();
          await file.appendFile(bytes);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      const directory = await open(folder, 'r');
      await directory.sync().finally(() => directory.close());
    } catch (error) {
      await rm(draft, { force: true });
      const code = errnoCode(error);
      if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EROFS') throw error;
      throw new AppError('STORE_UNAVAILABLE', `the object storage takes nothing (${code}); give it space`, {
        cause: error,
      });
    }
  }

  async get(name: string, range?: ObjectRange, { signal }: ObjectOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    if (range !== undefined && range.end <= range.start) return (async function* () {})();
    try {
      const file = await open(this.#path(name), 'r');
      return createReadStream('', {
        fd: file,
        ...(range === undefined ? {} : { start: range.start, end: range.end - 1 }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
      throw new AppError('OBJECT_NOT_FOUND', 'there is no such object; it was removed, or its storage is another one', {
        cause: error,
      });
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
  }

  async *list(prefix: string): AsyncGenerator<string> {
    const entries = await readdir(this.#folder, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const name = relative(this.#folder, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join('/');
      if (entry.isFile() && name.startsWith(prefix) && OBJECT_NAME.test(name)) yield name;
    }
  }

  #path(name: string): string {
    if (!OBJECT_NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of an object`);
    return join(this.#folder, ...name.split('/'));
  }
}
