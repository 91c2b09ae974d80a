import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoCode } from '../errors.js';

/** A small file of keys; null where there is none. Throws what reading throws. */
export async function readKeyFile(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Writes a file that its owner alone may read, synced, and there whole or not at all.
 *
 * @returns false where it was not to be replaced and another process made it first: that one counts.
 */
export async function writeKeyFile(
  path: string,
  text: string,
  { replace }: { readonly replace: boolean },
): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const target = replace ? `${path}.${randomBytes(4).toString('hex')}.new` : path;
  try {
    const handle = await open(target, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (replace) await rename(target, path);
    return true;
  } catch (error) {
    if (!replace && errnoCode(error) === 'EEXIST') return false;
    if (replace) await rm(target, { force: true });
    throw error;
  }
}
