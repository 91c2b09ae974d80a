import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type AuditEntry, type WrittenEntry, writeEntry } from './chain.js';

export interface SpoolOptions {
  readonly folder: string;
  /** Of all entries that wait for the database; more are refused. */
  readonly maxBytes: number;
}

interface Segment {
  readonly number: number;
  readonly path: string;
  sizeBytes: number;
  /** Entries in it that the database does not have yet. */
  waiting: number;
}

/**
 * An entry in the spool, as it was written: hundreds wait for the database at any time, and as they came each would be forty
 * objects for V8 to move about.
 */
export interface SpooledEntry {
  readonly entry: WrittenEntry;
  readonly segment: Segment;
}

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants;
/** A write is on the disk when it returns: one call instead of two. Windows has no such flag, and Node no name for it. */
const O_DSYNC = (constants as Partial<typeof constants>).O_DSYNC ?? 0;
const SEGMENT_BYTES = 8 * 1024 * 1024;

/**
 * Audit entries on disk, one JSON line each, synced before anyone goes on: where they are safe while the database is
 * away, or (with the embedded one, which does not sync) until it has them.
 */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #segments: Segment[] = [];
  #file: { readonly handle: FileHandle; readonly segment: Segment } | null = null;
  #nextNumber = 1;
  #sizeBytes = 0;

  private constructor(options: SpoolOptions) {
    this.#options = options;
  }

  /** Opens the folder; `left` is what an earlier run could not hand over. */
  static async open(options: SpoolOptions): Promise<{ spool: Spool; left: SpooledEntry[] }> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const spool = new Spool(options);
    const left: SpooledEntry[] = [];
    const names = (await readdir(options.folder)).filter((name) => /^\d{10}\.jsonl$/.test(name)).sort();
    for (const name of names) {
      const path = join(options.folder, name);
      const text = await readFile(path, 'utf8');
      const segment: Segment = { number: Number.parseInt(name, 10), path, sizeBytes: text.length, waiting: 0 };
      for (const line of text.split('\n')) {
        const entry = parseLine(line);
        if (entry === null) continue;
        segment.waiting++;
        left.push({ entry: writeEntry(entry), segment });
      }
      spool.#nextNumber = segment.number + 1;
      if (segment.waiting === 0) await rm(path, { force: true });
      else {
        spool.#segments.push(segment);
        spool.#sizeBytes += segment.sizeBytes;
      }
    }
    return { spool, left };
  }

  /** Resolves when the entries are on the disk. Throws when they do not fit, or cannot be written. */
  async append(entries: readonly WrittenEntry[]): Promise<SpooledEntry[]> {
    let lines = '';
    for (const entry of entries) lines += lineOf(entry);
    const bytes = Buffer.from(lines);
    if (this.#sizeBytes + bytes.length > this.#options.maxBytes) {
      throw new Error(`the spool of audit records holds ${this.#sizeBytes} bytes, which is all it may`);
    }
    const { handle, segment } = await this.#reserve(entries.length, bytes.length);
    try {
      await writeAll(handle, bytes);
      if (O_DSYNC === 0) await handle.datasync();
    } catch (error) {
      segment.waiting -= entries.length;
      // A line cut short must not swallow the next one: what comes goes to a new file.
      this.#file = null;
      await handle.close().catch(() => {});
      throw error;
    }
    return entries.map((entry) => ({ entry, segment }));
  }

  /** The database has these: files with nothing else are removed. */
  async release(entries: readonly SpooledEntry[]): Promise<void> {
    for (const { segment } of entries) segment.waiting--;
    for (const segment of this.#segments.filter((each) => each.waiting === 0)) {
      const current = this.#file?.segment === segment;
      if (current && segment.sizeBytes < SEGMENT_BYTES / 8) continue;
      await this.#remove(segment);
    }
  }

  async close(): Promise<void> {
    for (const segment of this.#segments.filter((each) => each.waiting === 0)) await this.#remove(segment);
    await this.#file?.handle.close();
    this.#file = null;
  }

  /** Counts what is about to be written before it is: a file with nothing waiting in it may be removed at any moment. */
  async #reserve(entries: number, bytes: number): Promise<{ handle: FileHandle; segment: Segment }> {
    for (;;) {
      const current = await this.#current();
      if (this.#file?.segment !== current.segment) continue;
      current.segment.waiting += entries;
      current.segment.sizeBytes += bytes;
      this.#sizeBytes += bytes;
      return current;
    }
  }

  async #remove(segment: Segment): Promise<void> {
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    this.#sizeBytes -= segment.sizeBytes;
    if (this.#file?.segment === segment) {
      const { handle } = this.#file;
      this.#file = null;
      await handle.close();
    }
    await rm(segment.path, { force: true });
  }

  async #current(): Promise<{ handle: FileHandle; segment: Segment }> {
    if (this.#file !== null && this.#file.segment.sizeBytes < SEGMENT_BYTES) return this.#file;
    await this.#file?.handle.close();
    const number = this.#nextNumber++;
    const path = join(this.#options.folder, `${String(number).padStart(10, '0')}.jsonl`);
    const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_DSYNC, 0o600);
    // The file's name is synced as well, or the file could be gone after a crash.
    const folder = await open(this.#options.folder, 'r');
    await folder.sync().finally(() => folder.close());
    const segment: Segment = { number, path, sizeBytes: 0, waiting: 0 };
    this.#segments.push(segment);
    this.#file = { handle, segment };
    return this.#file;
  }
}

/** The line of an {@link AuditEntry}. */
function lineOf({ head, tenantId, type, usage }: WrittenEntry): string {
  const rest = `,"tenantId":${JSON.stringify(tenantId)},"type":${JSON.stringify(type)}`;
  return usage === undefined ? `${head}${rest}}\n` : `${head}${rest},"usage":${JSON.stringify(usage)}}\n`;
}

/** As `appendFile`, which goes through three more promises. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.length; ) start += (await handle.write(bytes, start)).bytesWritten;
}

/** A last line that was cut short by a crash was never acknowledged, and is none. */
function parseLine(line: string): AuditEntry | null {
  if (line === '') return null;
  try {
    // Only this class writes these files.
    return JSON.parse(line) as AuditEntry;
  } catch {
    return null;
  }
}
