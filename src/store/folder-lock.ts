import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError, errnoCode } from '../errors.js';

export interface FolderLock {
  release(): Promise<void>;
}

export interface FolderLockOptions {
  readonly signal?: AbortSignal;
  /** A holder on another machine or in another container is believed gone when it gave no sign for so long. */
  readonly silentAfterMs?: number;
}

interface Holder {
  readonly token: string;
  /** Where process ids mean the same. */
  readonly place: string;
  readonly pid: number;
  /** Tells a process from a later one with the same id; null where the platform does not say. */
  readonly started: string | null;
}

const SIGN_EVERY_MS = 5000;
const SILENT_AFTER_MS = 30_000;

/**
 * Takes `folder` for this process, by a file that names it. A holder that has died is replaced: at once where its
 * process id can be looked up, else when its file has not been touched for `silentAfterMs`, for which this waits.
 *
 * Throws `STORE_LOCKED` when another process has it.
 */
export async function lockFolder(
  folder: string,
  { signal, silentAfterMs = SILENT_AFTER_MS }: FolderLockOptions = {},
): Promise<FolderLock> {
  const path = join(folder, 'lock');
  const own: Holder = { token: randomUUID(), place: place(), pid: process.pid, started: startOf(process.pid) };
  const draft = `${path}.${own.token}`;
  await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
  let lastSignMs: number | null = null;
  try {
    for (;;) {
      signal?.throwIfAborted();
      // A hard link appears with its content, or not at all when there is one.
      const taken = await link(draft, path).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (taken) break;
      const held = await readHolder(path);
      if (held === null) continue;
      if (held.holder !== null && held.holder.place === own.place) {
        if (isAlive(held.holder)) throw lockedError(folder, `by the process ${held.holder.pid}`);
      } else if (Date.now() - held.touchedMs < silentAfterMs) {
        if (lastSignMs !== null && held.touchedMs > lastSignMs) throw lockedError(folder, 'on another machine');
        lastSignMs = held.touchedMs;
        await delay(Math.min(500, silentAfterMs / 4), undefined, { signal });
        continue;
      }
      await breakLock(path, held.text, own.token);
    }
  } finally {
    await rm(draft, { force: true });
  }

  const sign = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, SIGN_EVERY_MS);
  sign.unref();
  return {
    async release() {
      clearInterval(sign);
      const held = await readHolder(path);
      if (held?.holder?.token === own.token) await rm(path, { force: true });
    },
  };
}

/** Only one process at a time may remove a dead holder's file, or a slow one would remove its successor's. */
async function breakLock(path: string, expected: string, token: string): Promise<void> {
  const breaking = `${path}.breaking`;
  try {
    await writeFile(breaking, token, { flag: 'wx' });
  } catch {
    const { mtimeMs } = await stat(breaking).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > 10_000) await rm(breaking, { force: true });
    await delay(20);
    return;
  }
  try {
    const held = await readHolder(path);
    if (held?.text === expected) await rm(path, { force: true });
  } finally {
    await rm(breaking, { force: true });
  }
}

async function readHolder(path: string) {
  try {
    const text = await readFile(path, 'utf8');
    const { mtimeMs } = await stat(path);
    return { text, touchedMs: mtimeMs, holder: parseHolder(text) };
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { token, place, pid, started } = value as Partial<Holder>;
    if (typeof token !== 'string' || typeof place !== 'string' || typeof pid !== 'number') return null;
    return { token, place, pid, started: typeof started === 'string' ? started : null };
  } catch {
    return null;
  }
}

/** Two containers may share a folder and a host name, and both call themselves process 1. */
function place(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, under another user.
    if (errnoCode(error) === 'ESRCH') return false;
  }
  return started === null || startOf(pid) === started;
}

/** When a process began, in the kernel's ticks: field 22 of its stat, counted behind the name, which may hold spaces. */
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function lockedError(folder: string, holder: string): AppError {
  return new AppError(
    'STORE_LOCKED',
    `${folder} is in use ${holder}; stop that one, choose another data folder, or use PostgreSQL, which many may share`,
  );
}
