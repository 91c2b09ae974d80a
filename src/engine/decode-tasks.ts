import type { Text2SemanticSettings } from '../models/text2semantic.js';
import type { ComponentStore } from './component-store.js';
import { LoadedCache } from './loaded-cache.js';
import type { Runtime } from './onnxruntime.js';
import { type RowEvent, type RowRequest, SemanticDecoder } from './semantic-decoder.js';
import { GIVE_WAY, type Task, type TaskMethods, Transfer } from './thread-tasks.js';

/** Text-to-semantic models whose graphs and cache stay loaded on the decoding thread. */
const MAX_LOADED_MODELS = 4;

/** One sentence to decode; `component` is the digest of the text-to-semantic component. */
export interface DecodeCall extends RowRequest {
  readonly component: string;
}

/** A loaded decoder and where the events of its rows go. */
interface Decoding {
  readonly decoder: SemanticDecoder;
  readonly rows: Map<number, (event: RowEvent) => void>;
}

/**
 * What the decoding thread does: `decode` yields a sentence's semantic tokens (one Int32Array), `load` makes a model
 * ready. `step` is run before each round of turns: one network run for all rows of each model, so that a sentence joins
 * and leaves the batch at any step.
 */
export function decodeTasks(
  store: ComponentStore,
  runtime: Runtime,
): { readonly methods: TaskMethods; readonly step: () => void } {
  const loaded = new LoadedCache<Decoding>(MAX_LOADED_MODELS, ({ decoder }) => decoder.close());

  function acquire(component: string): { readonly value: Decoding; readonly release: () => void } {
    return loaded.acquire(component, () => {
      const manifest = store.load(component);
      const session = store.createSession(manifest, 'text2semantic', runtime);
      return { decoder: new SemanticDecoder(session, manifest.settings as Text2SemanticSettings), rows: new Map() };
    });
  }

  return {
    step() {
      for (const { decoder, rows } of loaded.values()) {
        for (const event of decoder.step()) rows.get(event.row)?.(event);
      }
    },

    methods: {
      load({ component }: { readonly component: string }): void {
        acquire(component).release();
      },

      *decode(call: DecodeCall): Task {
        const { value, release } = acquire(call.component);
        const { decoder, rows } = value;
        let row: number | null = null;
        try {
          while (decoder.size >= decoder.capacity) yield GIVE_WAY;
          const tokens: number[] = [];
          let over = false;
          const take = (event: RowEvent): void => {
            // The token beyond the limit belongs to upstream's loop, not to the sentence.
            if (event.token !== null && event.finished !== 'limit') tokens.push(event.token);
            over = event.finished !== null;
          };
          const first = decoder.addRow(call);
          row = first.row;
          rows.set(row, take);
          take(first);
          while (!over) yield GIVE_WAY;
          const result = Int32Array.from(tokens);
          yield new Transfer(result, [result.buffer]);
        } finally {
          if (row !== null) {
            decoder.removeRow(row);
            rows.delete(row);
          }
          release();
        }
      },
    },
  };
}
