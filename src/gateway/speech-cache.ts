import { findStreamLabel, type RelabelledStream } from '../audio/relabel.js';
import type { EngineCatalog, SpeechNames } from '../jobs/engine-catalog.js';
import type { SpeechRequest } from '../jobs/speech-queue.js';
import type { CounterSeries, TimbreMetrics } from '../metrics.js';
import { Recall } from '../recall.js';
import type { RecordedOutcome } from '../tenancy/call-ledger.js';
import type { SpeechOutput, SpeechPiece } from './speech.js';
import { withinTime } from './voice-directory.js';

export interface SpeechCacheOptions {
  /** Of all tenants together; 0: nothing is kept. */
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly catalog: Pick<EngineCatalog, 'sourcesDigest'>;
  readonly metrics: Pick<TimbreMetrics, 'cacheLookups' | 'cacheEvictions' | 'cacheBytes'>;
  readonly now?: () => number;
}

/** Encoded speech that was made before, as it may be sent again. */
export interface KeptSpeech {
  readonly contentType: string;
  readonly extension: string;
  readonly inputHz: number;
  readonly outputHz: number;
  readonly lengthSamples: number;
  readonly faults: number;
  /** As it was first sent, with the label of then. */
  readonly stream: Uint8Array;
  /** The stream in parts. */
  readonly pieces: readonly SpeechPiece[];
  readonly label: RelabelledStream;
  /** As the call that made it was recorded. */
  readonly outcome: RecordedOutcome;
}

/** What a request would be kept and found under. */
export interface SpeechKey {
  readonly tenantId: string;
  /** Everything that decides the bytes. */
  readonly wish: string;
  /** What the request's names stood for. */
  readonly sources: string;
}

interface Entry {
  readonly speech: KeptSpeech;
  readonly sizeBytes: number;
  readonly untilMs: number;
}

/** What the engine said that names stand for is believed so long: a replaced voice is heard no longer than that. */
const SOURCES_TTL_MS = 1000;
const MAX_REMEMBERED_SOURCES = 10_000;
/** No more than this share for one stream: a whole book must not push everything else out. */
const MAX_SHARE = 1 / 8;
const ENTRY_OVERHEAD_BYTES = 1024;
const CACHE = { cache: 'encoded' };

/**
 * Encoded streams of requests that name their seed, in the memory of the gateway, by everything that decides their bytes
 * but the label's number of the request, which each answer gets anew. A tenant's answer that tenant only. To make room
 * goes the oldest of whoever has the most.
 */
export class SpeechCache {
  readonly #options: SpeechCacheOptions;
  readonly #now: () => number;
  /** By tenant; each in the order of last use. */
  readonly #tenants = new Map<string, { readonly entries: Map<string, Entry>; sizeBytes: number }>();
  readonly #sources: Recall<string>;
  readonly #hits: CounterSeries;
  readonly #misses: CounterSeries;
  #sizeBytes = 0;

  constructor(options: SpeechCacheOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#hits = options.metrics.cacheLookups.of({ ...CACHE, result: 'hit' });
    this.#misses = options.metrics.cacheLookups.of({ ...CACHE, result: 'miss' });
    this.#sources = new Recall({ ttlMs: SOURCES_TTL_MS, maxEntries: MAX_REMEMBERED_SOURCES, now: this.#now });
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The key of a request, or null for one that is never kept: files, markup (which may name other voices), no cache. */
  keyOf(tenantId: string, speech: SpeechRequest, output: SpeechOutput): SpeechKey | null | Promise<SpeechKey | null> {
    if (this.#options.maxBytes === 0 || output.layout === 'file' || speech.inputType === 'ssml') return null;
    const keyOf = (sources: string) => ({ tenantId, sources, wish: wishOf(sources, speech, output) });
    const known = this.#sourcesOf(namesOf(speech));
    // What cannot be named cannot be spoken either, which the engine says better.
    return known instanceof Promise ? known.then(keyOf, () => null) : keyOf(known);
  }

  find({ tenantId, wish }: SpeechKey): KeptSpeech | null {
    const tenant = this.#tenants.get(tenantId);
    const entry = tenant?.entries.get(wish);
    if (tenant === undefined || entry === undefined || entry.untilMs <= this.#now()) {
      if (entry !== undefined) this.#remove(tenantId, wish);
      this.#misses.inc();
      return null;
    }
    tenant.entries.delete(wish);
    tenant.entries.set(wish, entry);
    this.#hits.inc();
    return entry.speech;
  }

  /** Bytes that one stream may have, to be kept at all. */
  get maxStreamBytes(): number {
    return this.#options.maxBytes * MAX_SHARE;
  }

  /** Keeps a stream that came to its end, unless what its names stand for has changed since. */
  async keep(
    key: SpeechKey,
    { speech, output }: { readonly speech: SpeechRequest; readonly output: SpeechOutput },
    made: Omit<KeptSpeech, 'label' | 'stream'>,
  ): Promise<void> {
    const now = await withinTime((signal) => this.#options.catalog.sourcesDigest(namesOf(speech), { signal })).catch(
      () => null,
    );
    if (now !== key.sources) return;
    const stream = Buffer.concat(made.pieces.map(({ bytes }) => bytes));
    let end = 0;
    const pieces = made.pieces.map((piece) => {
      const start = end;
      end += piece.bytes.length;
      return { ...piece, bytes: stream.subarray(start, end) };
    });
    const label = findStreamLabel(output.encoding, stream);
    this.#insert(key, { ...made, stream, pieces, label }, stream.length + 2 * key.wish.length + ENTRY_OVERHEAD_BYTES);
  }

  /** Of a tenant that is no more, or may not speak. */
  forget(tenantId: string): void {
    for (const wish of [...(this.#tenants.get(tenantId)?.entries.keys() ?? [])]) this.#remove(tenantId, wish);
  }

  /** Removes what is past its time. */
  sweep(): void {
    const now = this.#now();
    for (const [tenantId, { entries }] of [...this.#tenants]) {
      for (const [wish, { untilMs }] of [...entries]) if (untilMs <= now) this.#remove(tenantId, wish);
    }
  }

  #sourcesOf(names: SpeechNames): string | Promise<string> {
    return this.#sources.get(JSON.stringify(names), () =>
      withinTime((signal) => this.#options.catalog.sourcesDigest(names, { signal })),
    );
  }

  #insert({ tenantId, wish }: SpeechKey, speech: KeptSpeech, sizeBytes: number): void {
    if (sizeBytes > this.maxStreamBytes) return;
    this.#remove(tenantId, wish);
    while (this.#sizeBytes + sizeBytes > this.#options.maxBytes) this.#evict();
    const tenant = this.#tenants.get(tenantId) ?? { entries: new Map<string, Entry>(), sizeBytes: 0 };
    this.#tenants.set(tenantId, tenant);
    tenant.entries.set(wish, { speech, sizeBytes, untilMs: this.#now() + this.#options.ttlMs });
    tenant.sizeBytes += sizeBytes;
    this.#count(sizeBytes);
  }

  #evict(): void {
    const [tenantId, largest] = [...this.#tenants].reduce((most, each) =>
      each[1].sizeBytes > most[1].sizeBytes ? each : most,
    );
    const oldest = largest.entries.keys().next();
    if (oldest.done) throw new Error('the cache counts bytes that nobody has');
    this.#remove(tenantId, oldest.value);
    this.#options.metrics.cacheEvictions.inc(CACHE);
  }

  #remove(tenantId: string, wish: string): void {
    const tenant = this.#tenants.get(tenantId);
    const entry = tenant?.entries.get(wish);
    if (tenant === undefined || entry === undefined) return;
    tenant.entries.delete(wish);
    tenant.sizeBytes -= entry.sizeBytes;
    if (tenant.entries.size === 0) this.#tenants.delete(tenantId);
    this.#count(-entry.sizeBytes);
  }

  #count(addedBytes: number): void {
    this.#sizeBytes += addedBytes;
    this.#options.metrics.cacheBytes.set(this.#sizeBytes, CACHE);
  }
}

/** Voices that the engine does not keep are named by what their profiles are. */
function namesOf({ voice, profiles }: SpeechRequest): SpeechNames {
  if (profiles === undefined) return { voice };
  const digests = Object.entries(profiles).map(([name, { digest }]) => [name, { digest }]);
  return { voice, profiles: Object.fromEntries(digests) };
}

/**
 * What decides the bytes. Whoever asks, and however long he waits: the audio is the same. All that a request may say is
 * here, or it does not compile; in this order, whatever order a route made the request in.
 */
function wishOf(sources: string, speech: SpeechRequest, output: SpeechOutput): string {
  const ofSpeech: Readonly<Record<keyof Omit<SpeechRequest, 'tenant' | 'urgency'>, unknown>> = {
    text: speech.text,
    inputType: speech.inputType,
    voice: speech.voice,
    language: speech.language,
    speed: speech.speed,
    seed: speech.seed,
    sampling: speech.sampling,
    suppliedLexicons: speech.suppliedLexicons,
    suppliedAdapters: speech.suppliedAdapters,
    voices: speech.voices,
    profiles: speech.profiles,
    poolVoices: speech.poolVoices,
    splitMethod: speech.splitMethod,
    sentencePauseMs: speech.sentencePauseMs,
  };
  const ofOutput: Readonly<Record<keyof SpeechOutput, unknown>> = {
    encoding: output.encoding,
    outputHz: output.outputHz,
    bitrateKbps: output.bitrateKbps,
    layout: output.layout,
  };
  return JSON.stringify([sources, ofSpeech, ofOutput]);
}
