import { createHash } from 'node:crypto';
import { BoundedCache, type CacheStatistics } from './bounded-cache.js';
import type { AudioChunk, SynthesisRequest } from './engine-types.js';
import type { VoiceProfile } from './voice-profile.js';

/** No more than this share of the cache for one utterance: a whole book must not push everything else out. */
const MAX_SHARE = 1 / 8;
/** Of a chunk, its samples aside, and of a stretch of text that it says. */
const CHUNK_BYTES = 100;
const SPAN_BYTES = 50;

/**
 * Whole utterances by everything that decides their samples. Kept as the very samples that were made: what is done to
 * them afterwards (a watermark, another rate) then comes out the same for a replay as for what was heard first, which
 * 16-bit samples did not give. Not encrypted: it is the memory of a process that has the text, the audio and no key.
 */
export class UtteranceCache {
  readonly #entries: BoundedCache<readonly AudioChunk[]>;
  readonly #maxUtteranceBytes: number;

  constructor(maxBytes: number) {
    this.#entries = new BoundedCache(maxBytes);
    this.#maxUtteranceBytes = maxBytes * MAX_SHARE;
  }

  get statistics(): CacheStatistics {
    return this.#entries.statistics;
  }

  /**
   * The cached audio of a request, or that of `make`, which is kept once it has come to its end as `isWhole` says: an
   * utterance that was left, failed, or changed on its way is not.
   */
  async *replayOr(
    key: string,
    make: () => AsyncGenerator<AudioChunk, void, undefined>,
    isWhole: () => boolean = () => true,
  ): AsyncGenerator<AudioChunk, void, undefined> {
    const kept = this.#entries.get(key);
    if (kept) {
      for (const chunk of kept) yield copyOf(chunk);
      return;
    }
    let made: AudioChunk[] | null = [];
    let sizeBytes = 0;
    for await (const chunk of make()) {
      if (made) {
        sizeBytes += chunk.samples.byteLength + CHUNK_BYTES + SPAN_BYTES * (chunk.spoken?.length ?? 0);
        // What would not be kept is not collected either.
        if (sizeBytes > this.#maxUtteranceBytes) made = null;
        else made.push(copyOf(chunk));
      }
      yield chunk;
    }
    if (made && isWhole()) this.#entries.set(key, made, sizeBytes);
  }
}

/** What a request's names stand for now: each may come to mean something else under the same name. */
export interface UtteranceSources {
  readonly voice: VoiceProfile;
  /** Digest of the model. */
  readonly model: string;
  /** Digest of what the lexicons say. */
  readonly lexicon: string;
  /** Which files the adapters are, by the voice that speaks with them; empty: none. */
  readonly adapters: Readonly<Record<string, string>>;
  /** Voices that markup changes to, in the order they speak. */
  readonly cast: readonly VoiceProfile[];
}

/**
 * The key of an utterance: a digest over what the request's names stand for and every field of the request, the tenant
 * among them, so that a field added later is part of it too.
 */
export function utteranceKey(request: SynthesisRequest, sources: UtteranceSources): string {
  const {
    voice: _,
    lexicons: __,
    profiles: ___,
    suppliedLexicons: ____,
    suppliedAdapters: _____,
    ...parameters
  } = request;
  return createHash('sha256')
    .update(`${sourcesDigest(sources)}\0${canonical(parameters)}`)
    .digest('hex');
}

/** A digest of what a request's names stand for. */
export function sourcesDigest({ voice, cast, ...facts }: UtteranceSources): string {
  return createHash('sha256')
    .update(`${[voice, ...cast].map(voiceDigest).join()}\0${canonical(facts)}`)
    .digest('hex');
}

const voiceDigests = new WeakMap<VoiceProfile, string>();

/** A digest of what a voice sounds like, computed once for each profile in memory. */
function voiceDigest(voice: VoiceProfile): string {
  let digest = voiceDigests.get(voice);
  if (digest === undefined) {
    const hash = createHash('sha256');
    const { globalEmbedding, prompt, ...facts } = voice;
    hash.update(canonical(facts));
    for (const array of [globalEmbedding, prompt?.semanticTokens, prompt?.phonemeIds, prompt?.bertFeatures]) {
      hash.update(`\0${array?.length ?? -1}\0`);
      if (array) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    }
    digest = hash.digest('hex');
    voiceDigests.set(voice, digest);
  }
  return digest;
}

/** JSON whose keys are in one order, whatever order the object was made in. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** With samples of its own: whoever gets a chunk may change them. */
function copyOf(chunk: AudioChunk): AudioChunk {
  return { ...chunk, samples: chunk.samples.slice() };
}
