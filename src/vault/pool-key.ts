import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import { readKeyFile, writeKeyFile } from './key-file.js';
import type { MasterKeys } from './master-keys.js';

/** In the data folder: the key of the operator's own voices and lexicons, wrapped by the master key. */
export const POOL_KEY_FILE = 'pool-key.json';
const CONTEXT = 'timbre pool key';

interface PoolKeyFile {
  readonly master_key: string;
  readonly wrapped: string;
}

export function hasPoolKey(dataDir: string): boolean {
  return existsSync(join(dataDir, POOL_KEY_FILE));
}

/**
 * The key of a data folder's own files, made where there is none; wrapped anew where the master key was rotated. Throws
 * `MASTER_KEY_MISSING`, `VAULT_CORRUPT`.
 */
export async function openPoolKey(dataDir: string, masterKeys: MasterKeys): Promise<Buffer> {
  const path = join(dataDir, POOL_KEY_FILE);
  const kept = await readPoolKey(path);
  if (kept === null) {
    const made = randomBytes(32);
    // Another process may have made one at the same moment: that one counts.
    if (await write(path, made, masterKeys, { replace: false })) return made;
    return await openPoolKey(dataDir, masterKeys);
  }
  const { master_key: masterKey, wrapped } = kept;
  const key = await masterKeys.unwrap({ masterKey, wrapped: Buffer.from(wrapped, 'base64') }, CONTEXT);
  if (masterKey !== masterKeys.currentId) await write(path, key, masterKeys, { replace: true });
  return key;
}

/** Under the current master key, where there is one to wrap. */
export async function rewrapPoolKey(dataDir: string, masterKeys: MasterKeys): Promise<void> {
  if (hasPoolKey(dataDir)) await openPoolKey(dataDir, masterKeys);
}

async function readPoolKey(path: string): Promise<PoolKeyFile | null> {
  try {
    const text = await readKeyFile(path);
    if (text === null) return null;
    const { master_key, wrapped } = JSON.parse(text) as Partial<PoolKeyFile>;
    if (typeof master_key === 'string' && typeof wrapped === 'string') return { master_key, wrapped };
  } catch (error) {
    throw damaged(path, error);
  }
  throw damaged(path);
}

function damaged(path: string, cause?: unknown): AppError {
  return new AppError('VAULT_CORRUPT', `the file ${path} is not as it was written; restore it from a backup`, {
    cause,
  });
}

/** @returns false where another process has made it first. */
async function write(
  path: string,
  key: Uint8Array,
  masterKeys: MasterKeys,
  options: { readonly replace: boolean },
): Promise<boolean> {
  const { masterKey, wrapped } = await masterKeys.wrap(key, CONTEXT);
  const file: PoolKeyFile = { master_key: masterKey, wrapped: wrapped.toString('base64') };
  return await writeKeyFile(path, `${JSON.stringify(file)}\n`, options);
}
