import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { AdapterStore } from './adapter-store.js';
import { analysisTasks } from './analysis-tasks.js';
import { ComponentStore } from './component-store.js';
import { decodeTasks } from './decode-tasks.js';
import { importSteps } from './import-model.js';
import { ModelStore } from './model-store.js';
import { openRuntime, type Runtime } from './onnxruntime.js';
import { renderTasks } from './render-tasks.js';
import { refuseTasks, serveTasks } from './thread-tasks.js';

/**
 * Entry of an inference thread. Network runs are synchronous, so each kind of work has a thread of its own, over one
 * pool of compute threads: `decode` steps text-to-semantic for all sentences at once, `render` makes waveforms, and
 * `analyse` runs what comes before (text features) or once a voice (enrolment). A thread that lives for one import does
 * `import`, so that nobody waits while a gigabyte is compiled.
 */
export interface InferenceThreadData {
  readonly role: 'decode' | 'render' | 'analyse' | 'import';
  readonly dataDir: string;
  readonly threads: number;
  /** Shared: windows being computed for listeners who have nothing to hear, or soon have not. */
  readonly urgentWindows: Int32Array;
}

const { role, dataDir, threads, urgentWindows } = workerData as InferenceThreadData;
const port = parentPort as MessagePort; // this module only runs as a worker
try {
  await serve(new ComponentStore(dataDir), openRuntime({ threads }));
} catch (error) {
  refuseTasks(port, error);
}

async function serve(store: ComponentStore, runtime: Runtime): Promise<void> {
  switch (role) {
    case 'decode': {
      const { methods, step } = decodeTasks(store, runtime, new AdapterStore(dataDir), urgentWindows);
      return serveTasks(port, methods, step);
    }
    case 'render':
      return serveTasks(port, renderTasks(store, runtime, new AdapterStore(dataDir), urgentWindows));
    case 'analyse':
      return serveTasks(port, analysisTasks(store, runtime));
    case 'import':
      return serveTasks(port, { importModel: (request) => importSteps(request, new ModelStore(dataDir), runtime) });
  }
}
