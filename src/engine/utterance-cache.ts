import { createHash } from 'node:crypto';
import { pcm16 } from '../audio/wav.js';
import { BoundedCache, type CacheStatistics } from './bounded-cache.js';
import type { AudioChunk, SynthesisRequest } from './engine-types.js';
import type { VoiceProfile } from './voice-profile.js';

/**
 * Protects what the cache holds. `seal` and `open` are given the tenant whose request it was (nothing of one tenant
 * answers another) and the entry's key, to be bound to the bytes. `open` throws, or gives null, where the tenant's key is
 * gone: then the entry is one that never was.
 */
export interface UtteranceCipher {
  seal(tenant: string, key: string, bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
  open(tenant: string, key: string, bytes: Uint8Array): Uint8Array | null | Promise<Uint8Array | null>;
}

/** In memory of a process that has the text and the audio anyway, bytes are as safe as those. */
const PLAIN: UtteranceCipher = { seal: (_tenant, _key, bytes) => bytes, open: (_tenant, _key, bytes) => bytes };

/** No more than this share of the cache for one utterance: a whole book must not push everything else out. */
const MAX_SHARE = 1 / 8;

/**
 * Whole utterances by everything that decides their samples. Kept as the 16-bit samples that leave the server: a replay
 * encodes to the same bytes as what was heard first, in half the room.
 */
export class UtteranceCache {
  readonly #entries: BoundedCache<Uint8Array>;
  readonly #maxUtteranceBytes: number;
  readonly #cipher: UtteranceCipher;

  constructor(maxBytes: number, cipher: UtteranceCipher = PLAIN) {
    this.#entries = new BoundedCache(maxBytes);
    this.#maxUtteranceBytes = maxBytes * MAX_SHARE;
    this.#cipher = cipher;
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
    tenant: string,
    make: () => AsyncGenerator<AudioChunk, void, undefined>,
    isWhole: () => boolean = () => true,
  ): AsyncGenerator<AudioChunk, void, undefined> {
    const kept = await this.#find(key, tenant);
    if (kept) {
      yield* kept;
      return;
    }
    let made: StoredChunk[] | null = [];
    let sizeBytes = 0;
    for await (const chunk of make()) {
      if (made) {
        sizeBytes += 2 * chunk.samples.length;
        // What would not be kept is not collected either.
        if (sizeBytes > this.#maxUtteranceBytes) made = null;
        else made.push(storedChunk(chunk));
      }
      yield chunk;
    }
    if (made && isWhole()) await this.#keep(key, tenant, made);
  }

  async #find(key: string, tenant: string): Promise<AudioChunk[] | null> {
    const sealed = this.#entries.get(key);
    if (!sealed) return null;
    try {
      const bytes = await this.#cipher.open(tenant, key, sealed);
      if (bytes) return decodeChunks(bytes);
    } catch {
      // A key that was destroyed: the entry can never be read again.
    }
    this.#entries.delete(key);
    return null;
  }

  async #keep(key: string, tenant: string, chunks: readonly StoredChunk[]): Promise<void> {
    const sealed = await this.#cipher.seal(tenant, key, encodeChunks(chunks));
    this.#entries.set(key, sealed, sealed.byteLength);
  }
}

/**
 * The key of an utterance: a digest over tenant, model, the voice's contents (not its name, which may be enrolled anew) and
 * every field of the request, so that a field added later is part of it too.
 */
export function utteranceKey(
  request: SynthesisRequest & { readonly lexiconDigest?: string },
  voice: VoiceProfile,
  modelDigest: string,
): string {
  // What a lexicon says counts, not what it is called.
  const { voice: _, lexicons: __, ...parameters } = request;
  return createHash('sha256')
    .update(`${modelDigest}\0${voiceDigest(voice)}\0${canonical(parameters)}`)
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

/** A chunk with its samples as little-endian 16-bit integers. */
interface StoredChunk {
  readonly facts: Omit<AudioChunk, 'samples'>;
  readonly pcm: Uint8Array;
}

function storedChunk({ samples, ...facts }: AudioChunk): StoredChunk {
  return { facts, pcm: pcm16(samples) };
}

/** A line of JSON about all chunks, then their samples. */
function encodeChunks(chunks: readonly StoredChunk[]): Uint8Array {
  const head = chunks.map(({ facts, pcm }) => ({ ...facts, sizeBytes: pcm.byteLength }));
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...chunks.map(({ pcm }) => pcm)]);
}

function decodeChunks(bytes: Uint8Array): AudioChunk[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf('\n');
  const head = JSON.parse(buffer.toString('utf8', 0, end)) as (StoredChunk['facts'] & { sizeBytes: number })[];
  let at = end + 1;
  return head.map(({ sizeBytes, ...facts }) => {
    const samples = new Float32Array(sizeBytes / 2);
    for (let index = 0; index < samples.length; index++) samples[index] = buffer.readInt16LE(at + 2 * index) / 32768;
    at += sizeBytes;
    return { ...facts, samples };
  });
}
