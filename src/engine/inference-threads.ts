import { Worker } from 'node:worker_threads';
import { threadEntry } from '../thread-entry.js';
import type { InferenceThreadData } from './inference-thread.js';
import { TaskThread } from './thread-tasks.js';

/** The threads that run networks; see `inference-thread.ts` for what each does. */
export interface InferenceThreads {
  readonly decode: TaskThread;
  readonly render: TaskThread;
  /** Started when it is first asked for: small models speak without it. */
  readonly analyse: TaskThread;
  /** Resolves when those that are started serve; throws why one cannot. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts the inference threads over the components of a data folder, with `threads` compute threads for all. They take
 * calls at once, and carry them out when they serve.
 */
export function startInferenceThreads(dataDir: string, threads: number): InferenceThreads {
  const urgentWindows = new Int32Array(new SharedArrayBuffer(4));
  const start = (role: InferenceThreadData['role']) => startInferenceThread(role, dataDir, threads, urgentWindows);
  const [decode, render] = [start('decode'), start('render')];
  let analyse: TaskThread | null = null;
  let closed = false;
  const started = () => [decode, render, ...(analyse === null ? [] : [analyse])];
  return {
    decode,
    render,
    get analyse() {
      if (analyse === null && !closed) analyse = start('analyse');
      // After the end it refuses as the others do.
      return analyse ?? decode;
    },
    async ready() {
      await Promise.all(started().map((thread) => thread.ready));
    },
    async close() {
      closed = true;
      await Promise.all(started().map((thread) => thread.close()));
    },
  };
}

/** Starts one inference thread; see {@link startInferenceThreads} for those that live as long as the engine. */
export function startInferenceThread(
  role: InferenceThreadData['role'],
  dataDir: string,
  threads: number,
  urgentWindows = new Int32Array(new SharedArrayBuffer(4)),
): TaskThread {
  const workerData: InferenceThreadData = { role, dataDir, threads, urgentWindows };
  return new TaskThread(new Worker(threadEntry(import.meta.url, 'inference-thread'), { workerData }));
}
