import { Worker } from 'node:worker_threads';
import { threadEntry } from '../thread-entry.js';
import type { InferenceThreadData } from './inference-thread.js';
import { TaskThread } from './thread-tasks.js';

/** The three threads that run networks; see `inference-thread.ts` for what each does. */
export interface InferenceThreads {
  readonly decode: TaskThread;
  readonly render: TaskThread;
  readonly analyse: TaskThread;
  close(): Promise<void>;
}

/** Starts the inference threads over the components of a data folder, with `threads` compute threads for all. */
export async function startInferenceThreads(dataDir: string, threads: number): Promise<InferenceThreads> {
  const urgentWindows = new Int32Array(new SharedArrayBuffer(4));
  const start = (role: InferenceThreadData['role']) => startInferenceThread(role, dataDir, threads, urgentWindows);
  const [decode, render, analyse] = await Promise.all([start('decode'), start('render'), start('analyse')]);
  return {
    decode,
    render,
    analyse,
    async close() {
      await Promise.all([decode.close(), render.close(), analyse.close()]);
    },
  };
}

/** Starts one inference thread; see {@link startInferenceThreads} for those that live as long as the engine. */
export function startInferenceThread(
  role: InferenceThreadData['role'],
  dataDir: string,
  threads: number,
  urgentWindows = new Int32Array(new SharedArrayBuffer(4)),
): Promise<TaskThread> {
  const workerData: InferenceThreadData = { role, dataDir, threads, urgentWindows };
  return TaskThread.start(new Worker(threadEntry(import.meta.url, 'inference-thread'), { workerData }));
}
