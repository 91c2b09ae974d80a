import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AppError } from '../errors.js';

/** Of the plain bytes in each shard but the last. */
export const SHARD_BYTES = 64 * 1024;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const SHARD_OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;
const STORED_SHARD_BYTES = SHARD_BYTES + SHARD_OVERHEAD_BYTES;

/** A key for one object alone, and what the object is called: shards of another one, or of another place, do not fit. */
export interface ShardKey {
  readonly key: Uint8Array;
  /** Tenant and object. */
  readonly context: string;
}

/** How many bytes an object takes when it is encrypted. */
export function storedSize(sizeBytes: number): number {
  return sizeBytes + shardCount(sizeBytes) * SHARD_OVERHEAD_BYTES;
}

/** An empty object has one shard as well, so that it cannot be taken for one that was cut short. */
export function shardCount(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / SHARD_BYTES));
}

/**
 * Encrypts a stream: shard after shard of nonce, ciphertext and tag (AES-256-GCM), bound to the object, to the place
 * among the others, and to being the last one.
 */
export async function* sealShards(
  source: AsyncIterable<Uint8Array>,
  key: ShardKey,
): AsyncGenerator<Buffer, void, undefined> {
  let index = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of source) {
    pending.push(chunk);
    pendingBytes += chunk.length;
    // A full shard waits until it is known that it is not the last.
    while (pendingBytes > SHARD_BYTES) {
      const bytes = Buffer.concat(pending);
      yield sealShard(bytes.subarray(0, SHARD_BYTES), key, index++, false);
      pending = [bytes.subarray(SHARD_BYTES)];
      pendingBytes -= SHARD_BYTES;
    }
  }
  yield sealShard(Buffer.concat(pending), key, index, true);
}

/** Which stored bytes hold the plain bytes from `start` to before `end`. */
export function storedRange(sizeBytes: number, start: number, end: number) {
  const firstShard = Math.min(Math.floor(start / SHARD_BYTES), shardCount(sizeBytes) - 1);
  const lastShard = Math.max(firstShard, Math.ceil(end / SHARD_BYTES) - 1);
  return {
    firstShard,
    start: firstShard * STORED_SHARD_BYTES,
    end: Math.min((lastShard + 1) * STORED_SHARD_BYTES, storedSize(sizeBytes)),
  };
}

/**
 * Decrypts the plain bytes from `start` to before `end` out of the stored bytes that {@link storedRange} names.
 *
 * Throws `VAULT_CORRUPT` at the first shard that was changed, moved, taken from another object or cut short; nothing of
 * it is given out.
 */
export async function* openShards(
  stored: AsyncIterable<Uint8Array>,
  key: ShardKey,
  { sizeBytes, start, end }: { readonly sizeBytes: number; readonly start: number; readonly end: number },
): AsyncGenerator<Buffer, void, undefined> {
  const last = shardCount(sizeBytes) - 1;
  const range = storedRange(sizeBytes, start, end);
  let index = range.firstShard;
  let expectedBytes = range.end - range.start;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const take = function* (bytes: Buffer) {
    const plain = openShard(bytes, key, index, index === last);
    const shardStart = index * SHARD_BYTES;
    index++;
    const wanted = plain.subarray(Math.max(0, start - shardStart), Math.max(0, end - shardStart));
    if (wanted.length > 0) yield wanted;
  };
  for await (const chunk of stored) {
    pending.push(chunk);
    pendingBytes += chunk.length;
    if (pendingBytes > expectedBytes) throw corrupt('longer than it was');
    while (pendingBytes >= STORED_SHARD_BYTES) {
      const bytes = Buffer.concat(pending);
      yield* take(bytes.subarray(0, STORED_SHARD_BYTES));
      pending = [bytes.subarray(STORED_SHARD_BYTES)];
      pendingBytes -= STORED_SHARD_BYTES;
      expectedBytes -= STORED_SHARD_BYTES;
    }
  }
  if (pendingBytes !== expectedBytes) throw corrupt('cut short');
  if (pendingBytes > 0) yield* take(Buffer.concat(pending));
}

/** One shard, for whoever writes them out of order. */
export function sealShard(plain: Uint8Array, { key, context }: ShardKey, index: number, last: boolean): Buffer {
  // Random, not counted: an object written again under its key (a cache's) must not use a nonce twice.
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(associated(context, index, last));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function openShard(stored: Buffer, { key, context }: ShardKey, index: number, last: boolean): Buffer {
  if (stored.length < SHARD_OVERHEAD_BYTES) throw corrupt('cut short');
  const end = stored.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, stored.subarray(0, NONCE_BYTES))
      .setAAD(associated(context, index, last))
      .setAuthTag(stored.subarray(end));
    return Buffer.concat([decipher.update(stored.subarray(NONCE_BYTES, end)), decipher.final()]);
  } catch (error) {
    throw corrupt('not as it was written', error);
  }
}

function associated(context: string, index: number, last: boolean): Buffer {
  return Buffer.from(`timbre shard 1\0${context}\0${index}\0${last ? 'last' : 'more'}`);
}

function corrupt(how: string, cause?: unknown): AppError {
  return new AppError('VAULT_CORRUPT', `an encrypted object is ${how}; restore it from a backup`, { cause });
}
