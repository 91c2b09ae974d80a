import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { stat } from 'node:fs/promises';
import { AppError } from '../errors.js';
import { readKeyFile, writeKeyFile } from './key-file.js';

/** A key, encrypted by another. */
export interface WrappedKey {
  /** Which master key wrapped it. */
  readonly masterKey: string;
  readonly wrapped: Buffer;
}

/**
 * What wraps tenants' keys: a file here, a key management service elsewhere. It never gives its keys out, and `context`
 * (which tenant, which version) must be the same for wrapping and unwrapping.
 */
export interface MasterKeys {
  readonly currentId: string;
  /** All that it holds. */
  readonly ids: readonly string[];
  wrap(key: Uint8Array, context: string): Promise<WrappedKey>;
  /** Throws `MASTER_KEY_MISSING` when it does not have that master key. */
  unwrap(key: WrappedKey, context: string): Promise<Buffer>;
  /** Signs the daily anchors of audit chains (Ed25519). */
  readonly signingKey: KeyObject;
  /** What anchors of any age verify with: the public halves of all signing keys there were, retired ones too. */
  readonly verifyingKeys: readonly KeyObject[];
}

interface KeyFile {
  readonly current: string;
  readonly keys: readonly { readonly id: string; readonly key: string; readonly created_at: string }[];
  /** Of keys that were removed: what the anchors they signed verify with (SPKI, base64). */
  readonly retired?: readonly { readonly id: string; readonly public_key: string }[];
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts a key with a key: AES-256-GCM, bound to its context. */
export function wrapKey(wrapping: Uint8Array, key: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
}

/** Throws `VAULT_CORRUPT` when it is not what {@link wrapKey} made with the same key and context. */
export function unwrapKey(wrapping: Uint8Array, wrapped: Uint8Array, context: string): Buffer {
  const end = wrapped.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv('aes-256-gcm', wrapping, wrapped.subarray(0, NONCE_BYTES))
      .setAAD(Buffer.from(context))
      .setAuthTag(wrapped.subarray(end));
    return Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, end)), decipher.final()]);
  } catch (error) {
    throw new AppError('VAULT_CORRUPT', 'an encrypted key is not as it was written; restore it from a backup', {
      cause: error,
    });
  }
}

/** Master keys in a file that only this user may read; made with one key when it is not there and `create` says so. */
export async function openMasterKeyFile(path: string, { create }: { readonly create: boolean }): Promise<MasterKeys> {
  if (create && (await readKeys(path)) === null) {
    await writeKeys(path, addKey({ current: '', keys: [] }), { replace: false });
  }
  const keys = new FileMasterKeys(path);
  await keys.refresh();
  return keys;
}

/** Adds a key and makes it the current one; the older stay, for what they wrapped. Servers see it at once. */
export async function rotateMasterKeyFile(path: string): Promise<void> {
  await writeKeys(path, addKey(await readExisting(path)), { replace: true });
}

/** Removes all keys but the current one; to be called when nothing is wrapped by them any more. */
export async function retireOldMasterKeys(path: string): Promise<void> {
  const { current, keys, retired = [] } = await readExisting(path);
  const leaving = keys
    .filter(({ id }) => id !== current)
    .map(({ id, key }) => ({ id, public_key: publicKeyOf(Buffer.from(key, 'base64')) }));
  const kept = keys.filter((key) => key.id === current);
  await writeKeys(path, { current, keys: kept, retired: [...retired, ...leaving] }, { replace: true });
}

class FileMasterKeys implements MasterKeys {
  readonly #path: string;
  #version = '';
  #currentId = '';
  #keys: ReadonlyMap<string, Buffer> = new Map();
  #retired: readonly KeyObject[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  get currentId(): string {
    return this.#currentId;
  }

  get ids(): readonly string[] {
    return [...this.#keys.keys()];
  }

  get signingKey(): KeyObject {
    return signingKeyOf(this.#current());
  }

  get verifyingKeys(): readonly KeyObject[] {
    return [...[...this.#keys.values()].map((key) => createPublicKey(signingKeyOf(key))), ...this.#retired];
  }

  async wrap(key: Uint8Array, context: string): Promise<WrappedKey> {
    await this.refresh();
    return { masterKey: this.#currentId, wrapped: wrapKey(this.#current(), key, context) };
  }

  async unwrap({ masterKey, wrapped }: WrappedKey, context: string): Promise<Buffer> {
    await this.refresh();
    const key = this.#keys.get(masterKey);
    if (key === undefined) throw missing(`${this.#path} does not hold the master key "${masterKey}"`);
    return unwrapKey(key, wrapped, context);
  }

  /** Reads the file again when it has changed: a rotation by another process must not leave this one behind. */
  async refresh(): Promise<void> {
    const { mtimeMs, ino } = await stat(this.#path).catch((error: unknown) => {
      throw missing(`the file ${this.#path} with the master key is not there`, error);
    });
    const version = `${ino} ${mtimeMs}`;
    if (version === this.#version) return;
    const file = await readExisting(this.#path);
    const keys = new Map(file.keys.map(({ id, key }) => [id, Buffer.from(key, 'base64')]));
    if (!keys.has(file.current) || [...keys.values()].some((key) => key.length !== 32)) {
      throw new AppError(
        'CONFIG_INVALID',
        `the file ${this.#path} holds no usable master key; restore it from its backup`,
      );
    }
    this.#keys = keys;
    this.#retired = (file.retired ?? []).map((key) => readPublicKey(key.public_key));
    this.#currentId = file.current;
    this.#version = version;
  }

  #current(): Buffer {
    const key = this.#keys.get(this.#currentId);
    if (key === undefined) throw new Error('the master keys were not read yet');
    return key;
  }
}

async function readExisting(path: string): Promise<KeyFile> {
  const file = await readKeys(path);
  if (file === null) throw missing(`the file ${path} with the master key is not there`);
  return file;
}

/**
 * An Ed25519 key that follows from the master key, in the form (RFC 8410) that Node reads. After a rotation of
 * the master key there is another; the old one's public half stays in the file when it is retired.
 */
function signingKeyOf(masterKey: Uint8Array): KeyObject {
  const seed = Buffer.from(hkdfSync('sha256', masterKey, '', 'timbre audit anchors', 32));
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function publicKeyOf(masterKey: Uint8Array): string {
  return createPublicKey(signingKeyOf(masterKey)).export({ format: 'der', type: 'spki' }).toString('base64');
}

function readPublicKey(base64: string): KeyObject {
  return createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' });
}

function addKey(file: KeyFile): KeyFile {
  const id = `m${randomBytes(4).toString('hex')}`;
  const key = { id, key: randomBytes(32).toString('base64'), created_at: new Date().toISOString() };
  return { ...file, current: id, keys: [...file.keys, key] };
}

async function readKeys(path: string): Promise<KeyFile | null> {
  const text = await readKeyFile(path).catch((error: unknown) => {
    throw missing(`the file ${path} with the master key cannot be read`, error);
  });
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<KeyFile>;
    const keys = value.keys ?? [];
    if (typeof value.current === 'string' && keys.every((key) => typeof key.id + typeof key.key === 'stringstring')) {
      return { current: value.current, keys, ...(value.retired === undefined ? {} : { retired: value.retired }) };
    }
  } catch {
    // Not JSON: as below.
  }
  throw new AppError('CONFIG_INVALID', `the file ${path} is no file of master keys; restore it from its backup`);
}

async function writeKeys(path: string, file: KeyFile, options: { readonly replace: boolean }): Promise<void> {
  try {
    await writeKeyFile(path, `${JSON.stringify(file, null, 2)}\n`, options);
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `the file ${path} with the master key cannot be written`, { cause });
  }
}

function missing(what: string, cause?: unknown): AppError {
  return new AppError('MASTER_KEY_MISSING', `${what}; without it encrypted data cannot be read by anyone`, { cause });
}
