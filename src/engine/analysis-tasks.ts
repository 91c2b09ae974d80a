import { type ComponentStore, MAPPED_WEIGHTS } from './component-store.js';
import { type EnrolmentSessions, enrolmentNetworks, type SessionNetworks } from './enrolment-networks.js';
import { type G2pwCall, openG2pwNetwork, runG2pw } from './g2pw.js';
import { LoadedCache, withLoaded } from './loaded-cache.js';
import { output, type Runtime, type Session, tensor } from './onnxruntime.js';
import type { TaskMethods } from './thread-tasks.js';

/** BERTs that stay loaded on the analysis thread; most installations have one. */
const MAX_LOADED_BERTS = 2;

/** Voices are enrolled one after the other or not at all: what that takes (1 GB at full size) is let go soon after. */
const ENROLMENT_IDLE_MS = 30_000;

/** The components that enrolment needs, by digest; null where the model has no such network. */
export interface EnrolmentComponents {
  readonly sovits: string;
  readonly hubert: string | null;
  readonly speaker: string | null;
}

/** Token ids for BERT. */
export interface BertCall {
  readonly component: string;
  readonly ids: readonly number[];
}

export interface SemanticTokensCall {
  readonly components: EnrolmentComponents;
  readonly wave16k: Float32Array;
}

export interface GlobalEmbeddingCall {
  readonly components: EnrolmentComponents;
  readonly spectrogram: Float32Array;
  readonly frames: number;
  readonly speakerVector: Float32Array | null;
}

export interface SpeakerVectorCall {
  readonly components: EnrolmentComponents;
  readonly fbank: Float32Array;
  readonly frames: number;
}

export interface SpeakerEmbeddingCall {
  /** Of a speaker encoder that has the embedding. */
  readonly component: string;
  readonly fbank: Float32Array;
  readonly frames: number;
}

/**
 * What the analysis thread does: `bert` for text features, and the networks of enrolment, of which one model's stay
 * loaded for a while. In float32 all of them run on mapped weights. RoBERTa (1.2 GB) opens so in 0.03 s of processor time instead
 * of 1.5 s, and takes 0.44 s instead of 0.31 s for 30 characters, 3 % of what speaking them takes; HuBERT opens in
 * 0.02 s instead of 0.4 s and runs 0.06 s longer, once a recording.
 */
export function analysisTasks(store: ComponentStore, runtime: Runtime): TaskMethods {
  const berts = new LoadedCache<Session>(MAX_LOADED_BERTS, (session) => session.close());
  const closeEnrolment = ({ sessions }: Enrolment): void => {
    for (const session of Object.values(sessions)) session?.close();
  };
  const enrolments = new LoadedCache(1, closeEnrolment, { idleMs: ENROLMENT_IDLE_MS });

  const speakers = new LoadedCache<Session>(1, (session) => session.close(), { idleMs: ENROLMENT_IDLE_MS });

  function withBert<T>(component: string, use: (session: Session) => T): Promise<T> {
    return withLoaded(
      berts.acquire(component, () => {
        const manifest = store.load(component);
        // Int8 weights are packed in 0.5 s of processor time beside the others' loading, and run 1.4 times as fast so.
        return store.openSession(manifest, 'bert', runtime, manifest.precision === 'fp32' ? MAPPED_WEIGHTS : {});
      }),
      use,
    );
  }

  function withNetworks<T>(components: EnrolmentComponents, use: (networks: SessionNetworks) => T): Promise<T> {
    const held = enrolments.acquire(JSON.stringify(components), () => openEnrolment(components));
    return withLoaded(held, ({ networks }) => use(networks));
  }

  async function openEnrolment(components: EnrolmentComponents): Promise<Enrolment> {
    const { hubert, sovits, speaker } = components;
    const opened: Session[] = [];
    const open = async (digest: string, graph: string): Promise<Session> => {
      const session = await store.openSession(store.load(digest), graph, runtime, MAPPED_WEIGHTS);
      opened.push(session);
      return session;
    };
    try {
      const sessions: EnrolmentSessions = {
        hubert: hubert === null ? null : await open(hubert, 'hubert'),
        quantizer: await open(sovits, 'quantizer'),
        style: await open(sovits, 'style'),
        speaker: speaker === null ? null : await open(speaker, 'speaker'),
      };
      return { sessions, networks: enrolmentNetworks(sessions) };
    } catch (error) {
      for (const session of opened) session.close();
      throw error;
    }
  }

  /** One model of polyphones serves the process; it is opened as the engine starts, where there is one. */
  const polyphones = new LoadedCache<Session>(1, (session) => session.close());
  const withPolyphones = <T>(path: string, use: (session: Session) => T): Promise<T> =>
    withLoaded(
      polyphones.acquire(path, () => openG2pwNetwork(runtime, path)),
      use,
    );

  return {
    loadPolyphones({ path }: { readonly path: string }): Promise<void> {
      return withPolyphones(path, () => {});
    },

    /** Probabilities (queries, labels). */
    polyphones(call: G2pwCall): Promise<Float32Array> {
      return withPolyphones(call.path, (session) => runG2pw(session, call));
    },

    load({ component }: { readonly component: string }): Promise<void> {
      return withBert(component, () => {});
    },

    /** Hidden states (tokens, width). */
    bert({ component, ids }: BertCall): Promise<Float32Array> {
      return withBert(component, (session) => {
        const feeds = { input_ids: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)) };
        return output(session.run(feeds), 'hidden_minus3', 'float32').data;
      });
    },

    semanticTokens({ components, wave16k }: SemanticTokensCall): Promise<Int32Array | null> {
      return withNetworks(components, (networks) => networks.semanticTokens?.(wave16k) ?? null);
    },

    globalEmbedding({ components, spectrogram, frames, speakerVector }: GlobalEmbeddingCall): Promise<Float32Array> {
      return withNetworks(components, (networks) => networks.globalEmbedding(spectrogram, frames, speakerVector));
    },

    speakerVector({ components, fbank, frames }: SpeakerVectorCall): Promise<Float32Array | null> {
      return withNetworks(components, (networks) => networks.speakerVector?.(fbank, frames) ?? null);
    },

    /** Who speaks, as a direction. */
    speakerEmbedding({ component, fbank, frames }: SpeakerEmbeddingCall): Promise<Float32Array> {
      const held = speakers.acquire(component, () =>
        store.openSession(store.load(component), 'speaker', runtime, MAPPED_WEIGHTS),
      );
      return withLoaded(held, (session) => {
        const features = tensor('float32', [frames, fbank.length / frames], fbank);
        return output(session.run({ fbank: features }, {}, ['embedding']), 'embedding', 'float32').data;
      });
    },
  };
}

interface Enrolment {
  readonly sessions: EnrolmentSessions;
  readonly networks: SessionNetworks;
}
