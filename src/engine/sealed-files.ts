import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { AppError, errnoCode } from '../errors.js';

const MAGIC = Buffer.from('timbre sealed file 1\n');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The files of a data folder that say something of people (voices with their transcripts, lexicons): encrypted where there
 * is a key, as they are where there is none. AES-256-GCM, bound to the name, so that none passes for another.
 */
export class SealedFiles {
  readonly #key: Uint8Array | null;

  /** `key`: 32 bytes; null reads and writes plain files only. */
  constructor(key: Uint8Array | null) {
    this.#key = key;
  }

  /** What {@link write} wrote under this name. Throws `MASTER_KEY_MISSING`, `VAULT_CORRUPT`, and what reading throws. */
  read(path: string, name: string): Buffer {
    const bytes = readFileSync(path);
    if (!isSealed(bytes)) return bytes;
    if (this.#key === null) {
      throw new AppError(
        'MASTER_KEY_MISSING',
        `${name} is encrypted, and its key is not there; TIMBRE_MASTER_KEY_FILE says where the master key is`,
      );
    }
    const nonceEnd = MAGIC.length + NONCE_BYTES;
    const end = bytes.length - TAG_BYTES;
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(MAGIC.length, nonceEnd))
        .setAAD(Buffer.from(name))
        .setAuthTag(bytes.subarray(end));
      return Buffer.concat([decipher.update(bytes.subarray(nonceEnd, end)), decipher.final()]);
    } catch (cause) {
      throw new AppError('VAULT_CORRUPT', `${name} is not as it was encrypted; restore it from a backup`, { cause });
    }
  }

  /** The file appears whole or not at all. */
  write(path: string, name: string, bytes: Uint8Array): void {
    const part = `${path}.${randomBytes(4).toString('hex')}.part`;
    writeFileSync(part, this.#sealed(name, bytes), { mode: 0o600 });
    renameSync(part, path);
  }

  /** Encrypts a file that was written without a key. @returns whether it was one. */
  sealPlain(path: string, name: string): boolean {
    if (this.#key === null) return false;
    const bytes = readFileSync(path);
    if (isSealed(bytes)) return false;
    this.write(path, name, bytes);
    return true;
  }

  #sealed(name: string, bytes: Uint8Array): Uint8Array {
    if (this.#key === null) return bytes;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(name));
    return Buffer.concat([MAGIC, nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  }
}

function isSealed(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length + NONCE_BYTES + TAG_BYTES && MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

/** Names in a folder; none where there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return [];
    throw error;
  }
}
