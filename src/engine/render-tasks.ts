import type { ModelSpec } from '../models/model-spec.js';
import { ADAPTER_GRAPHS, SPEAKING_GRAPHS } from '../models/sovits/sovits.js';
import { changedGraphs } from './adapted-sessions.js';
import type { AdapterSource, AdapterStore } from './adapter-store.js';
import type { ComponentStore } from './component-store.js';
import type { SemanticPiece } from './decode-tasks.js';
import { GraphSessions, whenOpen } from './graph-sessions.js';
import { type Held, LoadedCache, whenLoaded } from './loaded-cache.js';
import type { Runtime } from './onnxruntime.js';
import { fillNormal, RANDOM_STREAM, type RandomKey } from './random.js';
import { type Caller, MAX_UNTAKEN_PIECES, type Task, type TaskMethods, Transfer, Until } from './thread-tasks.js';
import { WaveformDecoder, type WaveformSessions } from './waveform-decoder.js';
import { WaveformStream } from './waveform-stream.js';
import { WindowSchedule } from './window-schedule.js';

/** Models whose waveform graphs stay loaded on the rendering thread. */
const MAX_LOADED_MODELS = 4;

/** A listener with less to hear than this is waiting for the window that is computed. */
const URGENT_HEADROOM_MS = 200;

/** One sentence to render; `component` is the digest of the SoVITS component. */
export interface RenderCall {
  readonly component: string;
  readonly phonemeIds: readonly number[];
  readonly globalEmbedding: Float32Array;
  readonly speed: number;
  readonly key: RandomKey;
  /** When the listener has heard everything that came before (Unix time); null when nothing has come yet. */
  readonly playedOutMs: number | null;
  /** Null: the model as it is. */
  readonly adapter: AdapterSource | null;
}

/** How busy the rendering thread is. */
export interface RenderStatistics {
  /** Sentences being rendered. */
  readonly listeners: number;
  /** Of the listener who runs dry first; null where nobody has heard anything yet. */
  readonly leastHeadroomMs: number | null;
  /** Since the thread began. */
  readonly windowCount: number;
  readonly windowSeconds: number;
  /** Windows that came after their listener had heard everything before them. */
  readonly lateWindowCount: number;
}

/** What comes of a sentence beside its samples, once and before the last of them: see {@link WaveformStream.phonemeStarts}. */
export interface PhonemeTimes {
  readonly phonemeStarts: Float64Array;
}

/** A loaded decoder; the adapters' graphs are opened when the first adapter comes. */
interface Rendering {
  readonly graphs: GraphSessions;
  readonly decoder: WaveformDecoder;
}

/** What is sent to a sentence while it is rendered: its tokens, or another pace. */
export type RenderFeed = SemanticPiece | { readonly speed: number };

/**
 * What the rendering thread does: `render` yields windows of samples as tokens come, and {@link PhonemeTimes}; `load` only
 * makes a model ready, `statistics` tells how busy it is. One window is computed at a time; whose it is follows from when
 * each listener would run dry. `urgentWindows` (shared) counts those that somebody is waiting for.
 */
export function renderTasks(
  store: ComponentStore,
  runtime: Runtime,
  adapters: AdapterStore,
  urgentWindows: Int32Array,
): TaskMethods {
  const loaded = new LoadedCache<Rendering>(MAX_LOADED_MODELS, ({ decoder, graphs }) => {
    decoder.close();
    graphs.close();
  });
  const schedule = new WindowSchedule();
  const spent = { windowCount: 0, windowSeconds: 0, lateWindowCount: 0 };

  function acquire(component: string): Held<Rendering> {
    return loaded.acquire(component, () => load(component));
  }

  async function load(component: string): Promise<Rendering> {
    const graphs = new GraphSessions(store, component, runtime);
    try {
      const spec = store.load(component).settings as ModelSpec;
      await graphs.open(SPEAKING_GRAPHS);
      const sessions = SPEAKING_GRAPHS.map((graph) => [graph, graphs.session(graph)]);
      const decoder = new WaveformDecoder(
        spec,
        Object.fromEntries(sessions) as unknown as WaveformSessions, // one session for each name of SPEAKING_GRAPHS
        { openAdapted: (graph) => graphs.session(ADAPTER_GRAPHS[graph]) },
      );
      return { graphs, decoder };
    } catch (error) {
      graphs.close();
      throw error;
    }
  }

  /** The decoder for a call: changed by its adapter, if it has one. */
  function* decoderFor(
    { decoder, graphs }: Rendering,
    { adapter }: RenderCall,
  ): Generator<Promise<void>, WaveformDecoder> {
    if (adapter === null) return decoder;
    const changes = adapters.loadSovits(adapter, decoder.spec);
    if (changes === null) return decoder;
    const changed = changedGraphs(changes, decoder.spec);
    yield* whenOpen(
      graphs,
      changed.map((graph) => ADAPTER_GRAPHS[graph]),
    );
    return decoder.adapted(changes);
  }

  function* renderWith(decoder: WaveformDecoder, call: RenderCall, caller: Caller): Task {
    const { sampleRateHz } = decoder.spec;
    const stream = new WaveformStream(decoder, {
      phonemeIds: call.phonemeIds,
      globalEmbedding: call.globalEmbedding,
      speed: call.speed,
      // Noise belongs to the frame: the same frame has the same noise however the audio is cut.
      noise: (frame, out) => fillNormal(out, call.key, frame, RANDOM_STREAM.waveform),
    });
    const place = schedule.enter(call.playedOutMs, () => {
      readFeed(stream, caller.sent as RenderFeed[]);
      return stream.ready && caller.untaken < MAX_UNTAKEN_PIECES;
    });
    const turn = new Until(() => stream.over || place.isNext());
    let placed = false;
    try {
      // While the first tokens are being drawn this thread has nothing else to do for the sentence.
      stream.prepare();
      for (;;) {
        if (!turn.ready()) yield turn;
        if (stream.over) return;
        const windows = stream.nextWindow();
        for (;;) {
          const startedMs = performance.now();
          const urgent = (place.headroomMs() ?? 0) < URGENT_HEADROOM_MS;
          if (urgent) Atomics.add(urgentWindows, 0, 1);
          let window: IteratorResult<Float32Array, void>;
          try {
            window = windows.next();
          } finally {
            if (urgent && Atomics.sub(urgentWindows, 0, 1) === 1) Atomics.notify(urgentWindows, 0);
          }
          if (window.done) break;
          const tookMs = performance.now() - startedMs;
          spent.windowCount += 1;
          spent.windowSeconds += tookMs / 1000;
          if ((place.headroomMs() ?? 0) < 0) spent.lateWindowCount += 1;
          place.gave((1000 * window.value.length) / sampleRateHz, tookMs);
          const { phonemeStarts } = stream;
          if (phonemeStarts !== null && !placed) {
            placed = true;
            yield { phonemeStarts } satisfies PhonemeTimes;
          }
          yield new Transfer(window.value, [window.value.buffer as ArrayBuffer]);
          if (!place.isNext()) yield new Until(() => place.isNext());
        }
      }
    } finally {
      place.leave();
    }
  }

  return {
    *load({ component }: { readonly component: string }): Task {
      const held = acquire(component);
      try {
        yield* whenLoaded(held);
      } finally {
        held.release();
      }
    },

    statistics(): RenderStatistics {
      return { listeners: schedule.size, leastHeadroomMs: schedule.leastHeadroomMs, ...spent };
    },

    *render(call: RenderCall, _signal: AbortSignal, caller: Caller): Task {
      const held = acquire(call.component);
      try {
        const rendering = yield* whenLoaded(held);
        yield* renderWith(yield* decoderFor(rendering, call), call, caller);
      } finally {
        held.release();
      }
    },
  };
}

function readFeed(stream: WaveformStream, sent: RenderFeed[]): void {
  for (let item = sent.shift(); item !== undefined; item = sent.shift()) {
    if ('speed' in item) stream.speed = item.speed;
    else {
      stream.push(item.tokens);
      if (item.finished !== null) stream.end();
    }
  }
}
