import type { FileHandle } from 'node:fs/promises';
import { openShards, SHARD_BYTES, SHARD_OVERHEAD_BYTES, type ShardKey, sealShard, storedRange } from './shards.js';

const STORED_SHARD_BYTES = SHARD_BYTES + SHARD_OVERHEAD_BYTES;

/** Of a file of {@link SealedFileWriter}, from how large it is on the disk. */
export function plainSize(storedBytes: number): number {
  return Math.max(0, storedBytes - Math.ceil(storedBytes / STORED_SHARD_BYTES) * SHARD_OVERHEAD_BYTES);
}

/**
 * Encrypts a file as it is written, whose beginning is known last (the header of a WAV file says its length): the first
 * shard stays in memory until the end.
 */
export class SealedFileWriter {
  readonly #file: FileHandle;
  readonly #key: ShardKey;
  /** The first shard's plain bytes. */
  #first = Buffer.alloc(0);
  /** What came after it and is no whole shard yet. */
  #rest = Buffer.alloc(0);
  #index = 1;

  constructor(file: FileHandle, key: ShardKey) {
    this.#file = file;
    this.#key = key;
  }

  async append(bytes: Uint8Array): Promise<void> {
    let left = bytes;
    if (this.#first.length < SHARD_BYTES) {
      const taken = left.subarray(0, SHARD_BYTES - this.#first.length);
      this.#first = Buffer.concat([this.#first, taken]);
      left = left.subarray(taken.length);
    }
    if (left.length === 0) return;
    this.#rest = Buffer.concat([this.#rest, left]);
    // A full shard waits until it is known that it is not the last.
    while (this.#rest.length > SHARD_BYTES) {
      await this.#write(this.#rest.subarray(0, SHARD_BYTES), this.#index++, false);
      this.#rest = this.#rest.subarray(SHARD_BYTES);
    }
  }

  /** Writes what is left; `header` replaces as many bytes at the beginning. */
  async finish(header: Uint8Array | null): Promise<void> {
    if (header !== null) this.#first.set(header.subarray(0, this.#first.length), 0);
    if (this.#rest.length > 0) await this.#write(this.#rest, this.#index, true);
    await this.#write(this.#first, 0, this.#rest.length === 0);
  }

  async #write(plain: Uint8Array, index: number, last: boolean): Promise<void> {
    const stored = sealShard(plain, this.#key, index, last);
    await this.#file.write(stored, 0, stored.length, index * STORED_SHARD_BYTES);
  }
}

/** Plain bytes from `start` to before `end`. Throws `VAULT_CORRUPT`. */
export async function* readSealedFile(
  file: FileHandle,
  key: ShardKey,
  range: { readonly sizeBytes: number; readonly start: number; readonly end: number },
): AsyncGenerator<Buffer, void, undefined> {
  const stored = storedRange(range.sizeBytes, range.start, range.end);
  const source = file.createReadStream({ start: stored.start, end: stored.end - 1, autoClose: false });
  yield* openShards(source, key, range);
}
