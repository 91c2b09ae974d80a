import type { Text2SemanticSettings } from '../models/text2semantic.js';
import type { ComponentStore } from './component-store.js';
import { LoadedCache } from './loaded-cache.js';
import type { Runtime } from './onnxruntime.js';
import { openText2Semantic } from './open-text2semantic.js';
import { type RowEvent, type RowRequest, SemanticDecoder } from './semantic-decoder.js';
import { type Task, type TaskMethods, Until } from './thread-tasks.js';

/** Text-to-semantic models whose graphs and cache stay loaded on the decoding thread. */
const MAX_LOADED_MODELS = 4;

/**
 * What a row is worth to the scheduler: somebody listens to a `stream` while it is made, so its next token has a
 * deadline; a `batch` row takes what is left.
 */
export type RowUrgency = 'stream' | 'batch';

/** One sentence to decode; `component` is the digest of the text-to-semantic component. */
export interface DecodeCall extends RowRequest {
  readonly component: string;
  readonly urgency: RowUrgency;
  /** Whose request it is: among equals, tenants take turns. */
  readonly tenant: string;
  /** Name of an adapter of the store; null: the model as it is. */
  readonly adapter: string | null;
}

/** Tokens as they were decoded. The last piece, and only it, says why the sentence is over; it may hold no tokens. */
export interface SemanticPiece {
  readonly tokens: Int32Array;
  /** `end`: the model ended the sentence; `limit`: it was cut off. */
  readonly finished: 'end' | 'limit' | null;
}

/** A loaded decoder and where the events of its rows go. */
interface Decoding {
  readonly decoder: SemanticDecoder;
  readonly rows: Map<number, (event: RowEvent) => void>;
}

/**
 * What the decoding thread does: `decode` yields a sentence's semantic tokens piece by piece, `load` makes a model ready.
 * `step` is run before each round of turns: one network run for all rows of each model, so that a sentence joins and
 * leaves the batch at any step.
 *
 * A piece holds what was decoded since the last one: one token while the caller keeps up, more when it does not. A row
 * never waits for its caller (its slot is dearer than the at most 1,500 tokens that are kept for it).
 */
export function decodeTasks(
  store: ComponentStore,
  runtime: Runtime,
): { readonly methods: TaskMethods; readonly step: () => boolean } {
  const loaded = new LoadedCache<Decoding>(MAX_LOADED_MODELS, ({ decoder }) => decoder.close());

  function acquire(component: string): { readonly value: Decoding; readonly release: () => void } {
    return loaded.acquire(component, () => {
      const manifest = store.load(component);
      const settings = manifest.settings as Text2SemanticSettings;
      return { decoder: new SemanticDecoder(openText2Semantic(store, manifest, runtime), settings), rows: new Map() };
    });
  }

  return {
    step() {
      let more = false;
      for (const { decoder, rows } of loaded.values()) {
        for (const event of decoder.step()) rows.get(event.row)?.(event);
        more ||= decoder.size > 0;
      }
      return more;
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
          while (decoder.size >= decoder.capacity) yield new Until(() => decoder.size < decoder.capacity);
          let tokens: number[] = [];
          let finished: SemanticPiece['finished'] = null;
          const take = (event: RowEvent): void => {
            // The token beyond the limit belongs to upstream's loop, not to the sentence.
            if (event.token !== null && event.finished !== 'limit') tokens.push(event.token);
            finished = event.finished;
          };
          const first = decoder.addRow(call);
          row = first.row;
          rows.set(row, take);
          take(first);
          const ready = new Until(() => tokens.length > 0 || finished !== null);
          let last: SemanticPiece['finished'];
          do {
            if (!ready.ready()) yield ready;
            last = finished;
            const piece: SemanticPiece = { tokens: Int32Array.from(tokens), finished: last };
            tokens = [];
            yield piece;
          } while (last === null);
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
