import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.js';

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
const SWEEP_INTERVAL_MS = 30_000;

/** Finished audio on disk for a while: bounded in time and in bytes, so that it never needs cleaning up after. */
export class AudioStore {
  readonly #folder: string;
  readonly #ttlMs: number;
  readonly #maxBytes: number;
  readonly #now: () => number;
  /** In order of creation. */
  readonly #files = new Map<string, StoredAudio>();
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
    const path = join(this.#folder, fileName);
    const partPath = `${path}.part`;
    const file = await open(partPath, 'wx');
    let sizeBytes = 0;
    let state: 'writing' | 'finished' | 'discarded' = 'writing';

    const write = async (bytes: Uint8Array) => {
      await this.#makeRoom(bytes.length);
      this.#totalBytes += bytes.length;
      sizeBytes += bytes.length;
      await file.appendFile(bytes);
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
        if (header !== null) await file.write(header, 0, undefined, 0);
        await file.close();
        await rename(partPath, path);
        state = 'finished';
        const stored: StoredAudio = { fileName, path, extension, sizeBytes, createdAtMs: this.#now() };
        this.#files.set(fileName, stored);
        return stored;
      },
    };
  }

  /** Throws `AUDIO_NOT_FOUND` for names that never were, or whose time is over. */
  find(fileName: string): StoredAudio {
    const stored = this.#files.get(fileName);
    if (stored === undefined || this.#isOver(stored)) {
      const minutes = Math.round(this.#ttlMs / 60_000);
      throw new AppError(
        'AUDIO_NOT_FOUND',
        `there is no such audio; it is kept for ${minutes} min, or less when space runs out: synthesise again`,
      );
    }
    return stored;
  }

  /** Removes files whose time is over. */
  async sweep(): Promise<void> {
    for (const stored of [...this.#files.values()]) {
      if (this.#isOver(stored)) await this.#remove(stored);
    }
  }

  close(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  #isOver(stored: StoredAudio): boolean {
    return this.#now() - stored.createdAtMs >= this.#ttlMs;
  }

  async #makeRoom(neededBytes: number): Promise<void> {
    for (const stored of [...this.#files.values()]) {
      if (this.#totalBytes + neededBytes <= this.#maxBytes) return;
      await this.#remove(stored);
    }
    if (this.#totalBytes + neededBytes > this.#maxBytes) {
      throw new AppError(
        'AUDIO_TOO_LARGE',
        `the audio does not fit into the ${this.#maxBytes} bytes kept for it; stream it, shorten the text, or raise TIMBRE_AUDIO_MAX_BYTES`,
      );
    }
  }

  async #remove(stored: StoredAudio): Promise<void> {
    if (!this.#files.delete(stored.fileName)) return;
    this.#totalBytes -= stored.sizeBytes;
    await rm(stored.path, { force: true });
  }

  async #adoptFiles(): Promise<void> {
    const found: StoredAudio[] = [];
    for (const fileName of await readdir(this.#folder)) {
      const path = join(this.#folder, fileName);
      if (fileName.endsWith('.part') && FILE_NAME.test(fileName.slice(0, -'.part'.length))) {
        // A younger one may be another server's, on the same folder.
        const { mtimeMs } = await stat(path);
        if (this.#now() - mtimeMs >= this.#ttlMs) await rm(path, { force: true });
      } else if (FILE_NAME.test(fileName)) {
        const { size, mtimeMs } = await stat(path);
        const extension = FILE_NAME.exec(fileName)?.[1] ?? '';
        found.push({ fileName, path, extension, sizeBytes: size, createdAtMs: mtimeMs });
      }
    }
    found.sort((a, b) => a.createdAtMs - b.createdAtMs);
    for (const stored of found) {
      this.#files.set(stored.fileName, stored);
      this.#totalBytes += stored.sizeBytes;
    }
    await this.#makeRoom(0);
  }
}
