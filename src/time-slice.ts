import { createRequire } from 'node:module';
import { getPriority } from 'node:os';

/** Slices of a thread that computes. */
export const COMPUTING_SLICE_MS = 3;
/** Slices of a thread that answers: it runs as soon as it has something to do. */
export const ANSWERING_SLICE_MS = 0.5;

/**
 * Asks Linux to run the calling thread, and threads that it starts from now on, in slices of so many milliseconds. Where all
 * processors are busy, a thread that wakes waits for the end of somebody's slice, unless its own slices are shorter; servers'
 * kernels have slices of up to 100 ms, in which a second of speech is decoded before anybody can send its beginning. A thread's
 * share of the processor stays the same. Linux 6.12 and later; without effect elsewhere.
 */
export function setTimeSlice(sliceMs: number): void {
  const call = SCHED_SETATTR[process.arch];
  if (process.platform !== 'linux' || call === undefined) return;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi').default;
    const syscall = koffi.load(null).func('long syscall(long, int, void *, unsigned int)');
    const attributes = Buffer.alloc(48); // struct sched_attr: size, policy (SCHED_OTHER), flags, nice, priority, runtime, …
    attributes.writeUInt32LE(attributes.length, 0);
    attributes.writeInt32LE(getPriority(0), 16);
    attributes.writeBigUInt64LE(BigInt(Math.round(sliceMs * 1e6)), 24);
    syscall(call, 0, attributes, 0);
  } catch {
    // The system's own slices do, only later.
  }
}

/** The number of the system call, by processor. */
const SCHED_SETATTR: Partial<Record<NodeJS.Architecture, number>> = { x64: 314, arm64: 274 };
