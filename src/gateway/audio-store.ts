import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import { plainSize, readSealedFile, SealedFileWriter } from '../vault/sealed-file.js';
import type { ShardKey } from '../vault/shards.js';

export interface AudioStoreOptions {
  /** Made when missing. Files of earlier runs are kept until their time is over. */
  readonly folder: string;
  readonly ttlMs: number;
  /** Of all files together, those being written included; the oldest finished ones make room. */
  readonly maxBytes: number;
  readonly now?: () => number;
}

export interface StoredAudio {
  /** `ID.wav`, `ID.mp3`, …, where the id is 128 random bits: who knows it may fetch the audio. */
  readonly fileName: string;
  readonly path: string;
  readonly extension: string;
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  /** The bytes from `start` to before `end`. */
  read(range: { readonly start: number; readonly end: number }): AsyncGenerator<Buffer, void, undefined>;
}

/** A file as the store itself knows it: not by its name. */
interface KeptFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly createdAtMs: number;
}

/** A file that grows as audio is made; nobody sees it before `finish`. */
export interface AudioWriter {
  append(bytes: Uint8Array): Promise<void>;
  /** Publishes the file; a header replaces as many bytes at its beginning. */
  finish(header: Uint8Array | null): Promise<StoredAudio>;
  /** Removes what was written; harmless after `finish`. */
  discard(): Promise<void>;
}

const FILE_NAME = /^[A-Za-z0-9_-]{22}\.([a-z0-9]{3,5})$/;
/** What the file of {@link FILE_NAME} is called on the disk. */
const DISK_NAME = /^[A-Za-z0-9_-]{43}\.sealed$/;
const SWEEP_INTERVAL_MS = 30_000;

/**
 * Finished audio on disk for a while: bounded in time and in bytes, so that it never needs cleaning up after. A file is
 * encrypted under a key that follows from its name, and called by a hash of that on the disk: who was given the name can
 * hear it, and who takes the folder has neither.
 */
export class AudioStore {
  readonly #folder: string;
  readonly #ttlMs: number;
  readonly #maxBytes: number;
  readonly #now: () => number;
  /** By their names on the disk, in order of creation. */
  readonly #files = new Map<string, KeptFile>();
  #totalBytes = 0;
  #sweeper: NodeJS.Timeout | null = null;

  private constructor(options: AudioStoreOptions) {
    this.#folder = options.folder;
    this.#ttlMs = options.ttlMs;
    this.#maxBytes = options.maxBytes;
    this.#now = options.now ?? Date.now;
  }

  static async open(options: AudioStoreOptions): Promise<AudioStore> {
    const store = new AudioStore(options);
    await mkdir(options.folder, { recursive: true });
    await store.#adoptFiles();
    await store.sweep();
    store.#sweeper = setInterval(() => void store.sweep().catch(() => {}), SWEEP_INTERVAL_MS);
    store.#sweeper.unref();
    return store;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Opens a new file. */
  async create(extension: string): Promise<AudioWriter> {
    const fileName = `${randomBytes(16).toString('base64url')}.${extension}`;
    const diskName = diskNameOf(fileName);
    const path = join(this.#folder, diskName);
    const partPath = `${path}.part`;
    const file = await open(partPath, 'wx', 0o600);
    const sealed = new SealedFileWriter(file, keyOf(fileName));
    let sizeBytes = 0;
    let state: 'writing' | 'finished' | 'discarded' = 'writing';

    const write = async (bytes: Uint8Array) => {
      await this.#makeRoom(bytes.length);
      this.#totalBytes += bytes.length;
      sizeBytes += bytes.length;
      await sealed.append(bytes);
    };
    const discard = async () => {
      if (state !== 'writing') return;
      state = 'discarded';
      this.#totalBytes -= sizeBytes;
      // Closed already where `finish` failed after it.
      await file.close().catch(() => {});
      await rm(partPath, { force: true });
    };
    return {
      append: write,
      discard,
      finish: async (header) => {
        await sealed.finish(header);
        await file.close();
        await rename(partPath, path);
        state = 'finished';
        const kept: KeptFile = { path, sizeBytes, createdAtMs: this.#now() };
        this.#files.set(diskName, kept);
        return toStored(fileName, kept);
      },
    };
  }

  /** Throws `AUDIO_NOT_FOUND` for names that never were, or whose time is over. */
  find(fileName: string): StoredAudio {
    const stored = FILE_NAME.test(fileName) ? this.#files.get(diskNameOf(fileName)) : undefined;
    if (stored === undefined || this.#isOver(stored)) {
      const minutes = Math.round(this.#ttlMs / 60_000);
      throw new AppError(
        'AUDIO_NOT_FOUND',
        `there is no such audio; it is kept for ${minutes} min, or less when space runs out: synthesise again`,
      );
    }
    return toStored(fileName, stored);
  }

  /** Removes files whose time is over. */
  async sweep(): Promise<void> {
    for (const [diskName, kept] of [...this.#files]) {
      if (this.#isOver(kept)) await this.#remove(diskName, kept);
    }
  }

  close(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  #isOver(stored: KeptFile): boolean {
    return this.#now() - stored.createdAtMs >= this.#ttlMs;
  }

  async #makeRoom(neededBytes: number): Promise<void> {
    for (const [diskName, kept] of [...this.#files]) {
      if (this.#totalBytes + neededBytes <= this.#maxBytes) return;
      await this.#remove(diskName, kept);
    }
    if (this.#totalBytes + neededBytes > this.#maxBytes) {
      throw new AppError(
        'AUDIO_TOO_LARGE',
        `the audio does not fit into the ${this.#maxBytes} bytes kept for it; stream it, shorten the text, or raise TIMBRE_AUDIO_MAX_BYTES`,
      );
    }
  }

  async #remove(diskName: string, kept: KeptFile): Promise<void> {
    if (!this.#files.delete(diskName)) return;
    this.#totalBytes -= kept.sizeBytes;
    await rm(kept.path, { force: true });
  }

  async #adoptFiles(): Promise<void> {
    const found: [diskName: string, kept: KeptFile][] = [];
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      if (name.endsWith('.part') && DISK_NAME.test(name.slice(0, -'.part'.length))) {
        // A younger one may be another server's, on the same folder.
        const { mtimeMs } = await stat(path);
        if (this.#now() - mtimeMs >= this.#ttlMs) await rm(path, { force: true });
      } else if (DISK_NAME.test(name)) {
        const { size, mtimeMs } = await stat(path);
        found.push([name, { path, sizeBytes: plainSize(size), createdAtMs: mtimeMs }]);
      }
    }
    found.sort(([, a], [, b]) => a.createdAtMs - b.createdAtMs);
    for (const [diskName, kept] of found) {
      this.#files.set(diskName, kept);
      this.#totalBytes += kept.sizeBytes;
    }
    await this.#makeRoom(0);
  }
}

function diskNameOf(fileName: string): string {
  return `${createHash('sha256').update(`timbre audio name ${fileName}`).digest('base64url')}.sealed`;
}

function keyOf(fileName: string): ShardKey {
  const key = Buffer.from(hkdfSync('sha256', fileName, '', 'timbre audio file', 32));
  return { key, context: diskNameOf(fileName) };
}

function toStored(fileName: string, kept: KeptFile): StoredAudio {
  return {
    ...kept,
    fileName,
    extension: FILE_NAME.exec(fileName)?.[1] ?? '',
    async *read({ start, end }) {
      const file = await open(kept.path, 'r');
      try {
        yield* readSealedFile(file, keyOf(fileName), { sizeBytes: kept.sizeBytes, start, end });
      } finally {
        await file.close();
      }
    },
  };
}
