import type { Text2SemanticSettings } from '../models/text2semantic.js';
import type { AdapterSource, AdapterStore } from './adapter-store.js';
import type { ComponentStore } from './component-store.js';
import { DEFAULT_LIMITS, DecodeScheduler, type RowUrgency, type WaitingSentence } from './decode-scheduler.js';
import { GraphSessions, whenOpen } from './graph-sessions.js';
import { type Held, LoadedCache, whenLoaded } from './loaded-cache.js';
import type { Runtime } from './onnxruntime.js';
import { openText2Semantic, text2SemanticGraphs } from './open-text2semantic.js';
import { type RowEvent, type RowRequest, SemanticDecoder } from './semantic-decoder.js';
import { type Task, type TaskMethods, Until } from './thread-tasks.js';

export type { RowUrgency };

/** Text-to-semantic models whose graphs and cache stay loaded on the decoding thread. */
const MAX_LOADED_MODELS = 4;

/** At 25 tokens a second of speech, rows that wait so long before each step still keep up twice. */
const MOST_GIVEN_WAY_MS = 15;

/** One sentence to decode; `component` is the digest of the text-to-semantic component. */
export interface DecodeCall extends RowRequest, WaitingSentence {
  readonly component: string;
  /** Tokens that the first sound takes. */
  readonly firstWindowTokens: number;
  /** Null: the model as it is. */
  readonly adapter: AdapterSource | null;
}

/** Tokens as they were decoded. The last piece, and only it, says why the sentence is over; it may hold no tokens. */
export interface SemanticPiece {
  readonly tokens: Int32Array;
  /** `end`: the model ended the sentence; `limit`: it was cut off. */
  readonly finished: 'end' | 'limit' | null;
}

/** How busy the decoding thread is. */
export interface DecodeStatistics {
  readonly rows: number;
  /** Rows allowed now; follows the time that steps take. */
  readonly rowLimit: number;
  readonly waiting: number;
  /** Of the sentence that has waited longest. */
  readonly queueAgeMs: number;
  /** Recent steps, smoothed. */
  readonly stepMs: number;
  /** Since the thread began. */
  readonly stepCount: number;
  readonly tokenCount: number;
  readonly stepSeconds: number;
  readonly prefillSeconds: number;
}

/** A sentence under way: waiting, being prefilled, or in a row. */
interface Sentence extends WaitingSentence {
  readonly call: DecodeCall;
  tokens: number[];
  tokenCount: number;
  finished: SemanticPiece['finished'];
  /** What its prefill threw; its own task throws it. */
  error: unknown;
  row: number | null;
}

/** A loaded decoder, who waits for its rows and who has them. */
interface Decoding {
  readonly graphs: GraphSessions;
  readonly decoder: SemanticDecoder;
  readonly scheduler: DecodeScheduler<Sentence>;
  readonly rows: Map<number, Sentence>;
  prefilling: Sentence | null;
}

/**
 * What the decoding thread does: `decode` yields a sentence's semantic tokens piece by piece, `load` makes a model ready,
 * `statistics` tells how busy it is. `step` is run before each round of turns, for each model: at most one piece of a
 * prefill, then one network run for all rows, so that a sentence joins and leaves the batch at any step, and those who are
 * being listened to wait for a piece at most.
 *
 * A piece of tokens holds what was decoded since the last one: one token while the caller keeps up, more when it does not.
 * A row never waits for its caller (its slot is dearer than the at most 1,500 tokens that are kept for it).
 */
export function decodeTasks(
  store: ComponentStore,
  runtime: Runtime,
  adapters: AdapterStore,
  urgentWindows: Int32Array,
): { readonly methods: TaskMethods; readonly step: () => boolean } {
  const loaded = new LoadedCache<Decoding>(MAX_LOADED_MODELS, ({ decoder, graphs }) => {
    decoder.close();
    graphs.close();
  });
  const spent = { stepCount: 0, tokenCount: 0, stepSeconds: 0, prefillSeconds: 0 };

  function acquire(component: string): Held<Decoding> {
    return loaded.acquire(component, () => load(component));
  }

  async function load(component: string): Promise<Decoding> {
    const manifest = store.load(component);
    const graphs = new GraphSessions(store, component, runtime);
    try {
      await graphs.open(text2SemanticGraphs(manifest));
      const sessions = openText2Semantic(store, manifest, runtime, (graph) => graphs.session(graph));
      const settings = manifest.settings as Text2SemanticSettings;
      return {
        graphs,
        decoder: new SemanticDecoder(sessions, settings, { rows: DEFAULT_LIMITS.mostRows }),
        scheduler: new DecodeScheduler<Sentence>(),
        rows: new Map(),
        prefilling: null,
      };
    } catch (error) {
      graphs.close();
      throw error;
    }
  }

  function prefillOnce(decoding: Decoding): void {
    const { decoder, scheduler, rows } = decoding;
    const startedMs = performance.now();
    let sentence = decoding.prefilling;
    try {
      if (!sentence) {
        sentence = scheduler.next();
        if (!sentence) return;
        const { adapter } = sentence.call;
        const adapterWeights = adapter === null ? null : adapters.loadText2Semantic(adapter, decoder.settings);
        decoder.beginRow({ ...sentence.call, adapterWeights });
        decoding.prefilling = sentence;
      }
      const event = decoder.prefill();
      if (event) {
        decoding.prefilling = null;
        sentence.row = event.row;
        rows.set(event.row, sentence);
        take(decoding, event);
      }
    } catch (error) {
      decoding.prefilling = null;
      if (!sentence) throw error;
      sentence.error = error;
      scheduler.remove(sentence);
    }
    spent.prefillSeconds += (performance.now() - startedMs) / 1000;
  }

  /** Leaves the processors to a window that somebody is waiting for, where all rows have made what their first one takes. */
  function giveWay(decoding: Decoding): void {
    const urgent = Atomics.load(urgentWindows, 0);
    if (urgent === 0 || decoding.prefilling !== null || decoding.scheduler.waiting > 0) return;
    for (const { tokenCount, call } of decoding.rows.values()) if (tokenCount < call.firstWindowTokens) return;
    Atomics.wait(urgentWindows, 0, urgent, MOST_GIVEN_WAY_MS);
  }

  function stepOnce(decoding: Decoding): void {
    const { decoder, scheduler } = decoding;
    const count = decoder.size;
    if (count === 0) return;
    const startedMs = performance.now();
    try {
      for (const event of decoder.step()) take(decoding, event);
    } catch (error) {
      // The run belongs to all rows, and so does its failure; the thread goes on for those who come next.
      for (const sentence of [...decoding.rows.values()]) {
        sentence.error = error;
        leave(decoding, sentence);
      }
      return;
    }
    const tookMs = performance.now() - startedMs;
    scheduler.observeStep(count, tookMs);
    spent.stepCount += 1;
    spent.tokenCount += count;
    spent.stepSeconds += tookMs / 1000;
  }

  function take({ rows, scheduler }: Decoding, event: RowEvent): void {
    const sentence = rows.get(event.row);
    if (!sentence) return;
    // The token beyond the limit belongs to upstream's loop, not to the sentence.
    if (event.token !== null && event.finished !== 'limit') {
      sentence.tokens.push(event.token);
      sentence.tokenCount += 1;
    }
    if (event.finished === null) return;
    sentence.finished = event.finished;
    rows.delete(event.row);
    scheduler.remove(sentence);
  }

  function leave(decoding: Decoding, sentence: Sentence): void {
    const { decoder, scheduler, rows } = decoding;
    scheduler.remove(sentence);
    if (decoding.prefilling === sentence) {
      decoding.prefilling = null;
      decoder.cancelPrefill();
    }
    if (sentence.row === null) return;
    decoder.removeRow(sentence.row);
    rows.delete(sentence.row);
  }

  function* decodeWith(decoding: Decoding, call: DecodeCall): Task {
    const { urgency, tenant, deadlineMs } = call;
    const sentence: Sentence = {
      urgency,
      tenant,
      deadlineMs,
      call,
      tokens: [],
      tokenCount: 0,
      finished: null,
      error: null,
      row: null,
    };
    try {
      decoding.scheduler.add(sentence, Date.now());
      const ready = new Until(
        () => sentence.tokens.length > 0 || sentence.finished !== null || sentence.error !== null,
      );
      let last: SemanticPiece['finished'];
      do {
        if (!ready.ready()) yield ready;
        if (sentence.error !== null) throw sentence.error;
        last = sentence.finished;
        const piece: SemanticPiece = { tokens: Int32Array.from(sentence.tokens), finished: last };
        sentence.tokens = [];
        yield piece;
      } while (last === null);
    } finally {
      leave(decoding, sentence);
    }
  }

  return {
    step() {
      let more = false;
      for (const decoding of loaded.values()) {
        prefillOnce(decoding);
        giveWay(decoding);
        stepOnce(decoding);
        more ||= decoding.decoder.size > 0 || decoding.prefilling !== null || decoding.scheduler.waiting > 0;
      }
      return more;
    },

    methods: {
      *load({ component }: { readonly component: string }): Task {
        const held = acquire(component);
        try {
          yield* whenLoaded(held);
        } finally {
          held.release();
        }
      },

      statistics(): DecodeStatistics {
        const schedulers = loaded.values().map(({ scheduler }) => scheduler);
        const sum = (of: (scheduler: DecodeScheduler<Sentence>) => number) =>
          schedulers.reduce((total, scheduler) => total + of(scheduler), 0);
        const most = (of: (scheduler: DecodeScheduler<Sentence>) => number) => Math.max(0, ...schedulers.map(of));
        const nowMs = Date.now();
        return {
          rows: sum((scheduler) => scheduler.rows),
          rowLimit: sum((scheduler) => scheduler.limit),
          waiting: sum((scheduler) => scheduler.waiting),
          queueAgeMs: most((scheduler) => scheduler.queueAgeMs(nowMs)),
          stepMs: most((scheduler) => scheduler.stepMs),
          ...spent,
        };
      },

      *decode(call: DecodeCall): Task {
        const held = acquire(call.component);
        try {
          const decoding = yield* whenLoaded(held);
          if (call.adapter !== null)
            yield* whenOpen(decoding.graphs, text2SemanticGraphs(store.load(call.component), true));
          yield* decodeWith(decoding, call);
        } finally {
          held.release();
        }
      },
    },
  };
}
