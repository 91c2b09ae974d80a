import { type ComponentStore, MAPPED_WEIGHTS } from './component-store.js';
import { type EnrolmentSessions, enrolmentNetworks, type SessionNetworks } from './enrolment-networks.js';
import { type G2pwCall, openG2pwNetwork, runG2pw } from './g2pw.js';
import { LoadedCache } from './loaded-cache.js';
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

  function bertSession(component: string): { readonly value: Session; readonly release: () => void } {
    return berts.acquire(component, () => {
      const manifest = store.load(component);
      // Int8 weights are packed in 0.5 s of processor time beside the others' loading, and run 1.4 times as fast so.
      return store.createSession(manifest, 'bert', runtime, manifest.precision === 'fp32' ? MAPPED_WEIGHTS : {});
    });
  }

  function withNetworks<T>(components: EnrolmentComponents, use: (networks: SessionNetworks) => T): T {
    const key = JSON.stringify(components);
    const { value, release } = enrolments.acquire(key, () => {
      const open = (digest: string | null, graph: string): Session | null =>
        digest === null ? null : store.createSession(store.load(digest), graph, runtime, MAPPED_WEIGHTS);
      const sovits = store.load(components.sovits);
      const sessions: EnrolmentSessions = {
        hubert: open(components.hubert, 'hubert'),
        quantizer: store.createSession(sovits, 'quantizer', runtime, MAPPED_WEIGHTS),
        style: store.createSession(sovits, 'style', runtime, MAPPED_WEIGHTS),
        speaker: open(components.speaker, 'speaker'),
      };
      return { sessions, networks: enrolmentNetworks(sessions) };
    });
    try {
      return use(value.networks);
    } finally {
      release();
    }
  }

  /** One model of polyphones serves the process; it is opened as the engine starts, where there is one. */
  const polyphones = new LoadedCache<Session>(1, (session) => session.close());
  const polyphoneSession = (path: string): { readonly value: Session; readonly release: () => void } =>
    polyphones.acquire(path, () => openG2pwNetwork(runtime, path));

  return {
    loadPolyphones({ path }: { readonly path: string }): void {
      polyphoneSession(path).release();
    },

    /** Probabilities (queries, labels). */
    polyphones(call: G2pwCall): Float32Array {
      const { value, release } = polyphoneSession(call.path);
      try {
        return runG2pw(value, call);
      } finally {
        release();
      }
    },

    load({ component }: { readonly component: string }): void {
      bertSession(component).release();
    },

    /** Hidden states (tokens, width). */
    bert({ component, ids }: BertCall): Float32Array {
      const { value, release } = bertSession(component);
      try {
        const feeds = { input_ids: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)) };
        return output(value.run(feeds), 'hidden_minus3', 'float32').data;
      } finally {
        release();
      }
    },

    semanticTokens({ components, wave16k }: SemanticTokensCall): Int32Array | null {
      return withNetworks(components, (networks) => networks.semanticTokens?.(wave16k) ?? null);
    },

    globalEmbedding({ components, spectrogram, frames, speakerVector }: GlobalEmbeddingCall): Float32Array {
      return withNetworks(components, (networks) => networks.globalEmbedding(spectrogram, frames, speakerVector));
    },

    speakerVector({ components, fbank, frames }: SpeakerVectorCall): Float32Array | null {
      return withNetworks(components, (networks) => networks.speakerVector?.(fbank, frames) ?? null);
    },

    /** Who speaks, as a direction. */
    speakerEmbedding({ component, fbank, frames }: SpeakerEmbeddingCall): Float32Array {
      const { value, release } = speakers.acquire(component, () =>
        store.createSession(store.load(component), 'speaker', runtime, MAPPED_WEIGHTS),
      );
      try {
        const features = tensor('float32', [frames, fbank.length / frames], fbank);
        return output(value.run({ fbank: features }, {}, ['embedding']), 'embedding', 'float32').data;
      } finally {
        release();
      }
    },
  };
}

interface Enrolment {
  readonly sessions: EnrolmentSessions;
  readonly networks: SessionNetworks;
}
