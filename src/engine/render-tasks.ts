import type { ModelSpec } from '../models/model-spec.js';
import { SPEAKING_GRAPHS } from '../models/sovits/sovits.js';
import type { ComponentStore } from './component-store.js';
import { LoadedCache } from './loaded-cache.js';
import type { Runtime } from './onnxruntime.js';
import { fillNormal, RANDOM_STREAM, type RandomKey } from './random.js';
import { type Task, type TaskMethods, Transfer } from './thread-tasks.js';
import { WaveformDecoder, type WaveformSessions } from './waveform-decoder.js';

/** Models whose waveform graphs stay loaded on the rendering thread. */
const MAX_LOADED_MODELS = 4;

/** One sentence to render; `component` is the digest of the SoVITS component. */
export interface RenderCall {
  readonly component: string;
  readonly semanticTokens: Int32Array;
  readonly phonemeIds: readonly number[];
  readonly globalEmbedding: Float32Array;
  readonly speed: number;
  readonly key: RandomKey;
}

/** What the rendering thread does: `render` yields windows of samples, `load` only makes a model ready. */
export function renderTasks(store: ComponentStore, runtime: Runtime): TaskMethods {
  const loaded = new LoadedCache<WaveformDecoder>(MAX_LOADED_MODELS, (decoder) => decoder.close());

  function acquire(component: string): { readonly value: WaveformDecoder; readonly release: () => void } {
    return loaded.acquire(component, () => {
      const manifest = store.load(component);
      const sessions = SPEAKING_GRAPHS.map((graph) => [graph, store.createSession(manifest, graph, runtime)]);
      return new WaveformDecoder(
        manifest.settings as ModelSpec,
        Object.fromEntries(sessions) as unknown as WaveformSessions, // one session for each name of SPEAKING_GRAPHS
      );
    });
  }

  return {
    load({ component }: { readonly component: string }): void {
      acquire(component).release();
    },

    *render(call: RenderCall): Task {
      const decoder = acquire(call.component);
      try {
        const windows = decoder.value.decodeSentence({
          semanticTokens: call.semanticTokens,
          phonemeIds: call.phonemeIds,
          globalEmbedding: call.globalEmbedding,
          speed: call.speed,
          // Noise belongs to the frame: the same frame has the same noise however the audio is cut.
          noise: (frame, out) => fillNormal(out, call.key, frame, RANDOM_STREAM.waveform),
        });
        for (const samples of windows) yield new Transfer(samples, [samples.buffer as ArrayBuffer]);
      } finally {
        decoder.release();
      }
    },
  };
}
