import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { readAudioFile } from '../audio/decode.js';
import { AppError } from '../errors.js';
import type { SpeakerEncoderSpec } from '../models/speaker-encoder.js';
import type { PolyphonePredictor } from '../text/polyphones.js';
import { type Delivery, readSsml } from '../text/ssml.js';
import { type AdaptableNetworks, type AdapterSource, AdapterStore, readAdapter } from './adapter-store.js';
import type { SpeakerEmbeddingCall } from './analysis-tasks.js';
import type { CacheStatistics } from './bounded-cache.js';
import { COMPILER_VERSION } from './component-store.js';
import type { DecodeStatistics } from './decode-tasks.js';
import { DEMO_MODEL, DEMO_VOICE, demoVoiceFolder, ensureDemoVoice } from './demo-voice.js';
import {
  type AdapterFacts,
  type AudioChunk,
  type CacheSizes,
  type Cancellable,
  type CheckAdapterRequest,
  type CompareSpeakersRequest,
  DEFAULT_CACHE_BYTES,
  type Engine,
  type EngineInfo,
  type EngineOptions,
  type EngineStatistics,
  type EnrolRequest,
  type Finding,
  type ImportModelRequest,
  type ImportProgress,
  type PreparedVoice,
  type PrepareVoiceRequest,
  type RecordingSource,
  type SpeechNames,
  type SynthesisOptions,
  type SynthesisRequest,
  type VoiceSummary,
} from './engine-types.js';
import { checkRecordingCount, checkRecordings, enrolVoice } from './enrol-voice.js';
import { type G2pw, g2pwPredictor, readG2pw } from './g2pw.js';
import { type InferenceThreads, startInferenceThread, startInferenceThreads } from './inference-threads.js';
import { LexiconStore } from './lexicon-store.js';
import { type CompareReadingsRequest, compareReadings, convertLexicon, readLexicon } from './lexicon-work.js';
import { ModelStore } from './model-store.js';
import { ONNXRUNTIME_VERSION, openRuntime } from './onnxruntime.js';
import { throwIfRefused } from './recording-checks.js';
import type { RenderStatistics } from './render-tasks.js';
import { SealedFiles } from './sealed-files.js';
import type { FaultOutcome, SpeechFault } from './self-check.js';
import { compareSpeakers, readStatement, type SpeakerEmbedding } from './speaker-comparison.js';
import { openSpeechModel, type SpeechModel } from './speech-model.js';
import { SuppliedAdapters } from './supplied-adapters.js';
import { digestOf, SuppliedProfiles } from './supplied-profiles.js';
import { type CastVoice, type SynthesisControl, synthesize } from './synthesize.js';
import { TextCache } from './text-cache.js';
import { sourcesDigest, UtteranceCache, type UtteranceSources, utteranceKey } from './utterance-cache.js';
import { encodeVoiceProfile, type VoiceProfile } from './voice-profile.js';
import { VoiceStore, voiceSummary } from './voice-store.js';

/** More compute threads than this gain nothing at the batch sizes of speech. */
const MAX_THREADS = 8;

/**
 * Opens the engine over a data folder: starts the inference threads, imports the embedded demo model on the first use of
 * the folder, checks the runtime and loads the default model (see {@link EngineOptions.ready} for when).
 *
 * @throws AppError `ENGINE_RUNTIME` where ONNX Runtime cannot be used here, `CONFIG_INVALID` where the folder cannot.
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { dataDir } = options;
  makeDataFolder(dataDir);
  const g2pw = options.g2pwFolder === undefined ? null : readG2pw(options.g2pwFolder);
  const count = options.threads ?? Math.min(availableParallelism(), MAX_THREADS);
  const threads = startInferenceThreads(dataDir, count);
  const polyphones = g2pw === null ? null : askedOn(threads, g2pw);
  const cacheBytes = { ...DEFAULT_CACHE_BYTES, ...options.cacheBytes };
  let engine: LocalEngine;
  try {
    engine = new LocalEngine(dataDir, count, threads, cacheBytes, new SealedFiles(options.fileKey ?? null), polyphones);
  } catch (error) {
    await threads.close();
    throw error;
  }
  try {
    const ready = options.ready ?? 'loaded';
    // Meanwhile the threads start on other processors.
    if (ready === 'loaded') openRuntime({ threads: count }).selfCheck();
    if (g2pw !== null) await threads.analyse.call('loadPolyphones', { path: g2pw.path });
    const demo = options.importDemo === false ? null : demoVoiceFolder();
    if (demo && !engine.hasCurrent(DEMO_MODEL)) await ensureDemoVoice(engine, demo, options.onProgress);
    const loading = engine.loadDefault();
    if (ready === 'loaded') await Promise.all([threads.ready(), loading]);
    // Who speaks hears of it too.
    else loading.catch(() => {});
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** A model of g2pW whose network runs where text features are made. */
function askedOn(threads: InferenceThreads, model: G2pw): PolyphonePredictor {
  return g2pwPredictor(model, (call) => threads.analyse.call<Float32Array>('polyphones', call));
}

type SynthesisNames = SpeechNames & Pick<SynthesisRequest, 'suppliedLexicons'>;

class LocalEngine implements Engine {
  #decode: DecodeStatistics | null = null;
  #render: RenderStatistics | null = null;
  readonly #dataDir: string;
  readonly #models: ModelStore;
  readonly #voices: VoiceStore;
  readonly #supplied: SuppliedProfiles;
  readonly #lexicons: LexiconStore;
  readonly #adapters: AdapterStore;
  readonly #suppliedAdapters: SuppliedAdapters;
  readonly #computeThreads: number;
  readonly #threads: InferenceThreads;
  readonly #texts: TextCache;
  readonly #utterances: UtteranceCache;
  readonly #polyphones: PolyphonePredictor | null;
  readonly #faults: Record<string, number> = {};
  /** Opened models by digest: a model that is imported again under its name is another one. */
  readonly #opened = new Map<string, SpeechModel>();

  constructor(
    dataDir: string,
    computeThreads: number,
    threads: InferenceThreads,
    cacheBytes: CacheSizes,
    files: SealedFiles,
    polyphones: PolyphonePredictor | null,
  ) {
    this.#polyphones = polyphones;
    this.#dataDir = dataDir;
    this.#models = new ModelStore(dataDir);
    // Half of the bytes for each kind of voice.
    this.#voices = new VoiceStore(dataDir, cacheBytes.voices / 2, files);
    this.#supplied = new SuppliedProfiles(cacheBytes.voices / 2);
    this.#lexicons = new LexiconStore(dataDir, files);
    this.#adapters = new AdapterStore(dataDir);
    this.#suppliedAdapters = new SuppliedAdapters(cacheBytes.adapters);
    this.#texts = new TextCache(cacheBytes.texts);
    this.#utterances = new UtteranceCache(cacheBytes.utterances);
    this.#computeThreads = computeThreads;
    this.#threads = threads;
  }

  get info(): EngineInfo {
    const models = this.#models.names();
    const voices = this.#voices.names();
    return {
      runtime: `onnxruntime ${ONNXRUNTIME_VERSION} (C API)`,
      threads: this.#computeThreads,
      defaultModel: models.includes(DEMO_MODEL) ? DEMO_MODEL : (models[0] ?? null),
      defaultVoice: voices.includes(DEMO_VOICE) ? DEMO_VOICE : (voices[0] ?? null),
    };
  }

  /** Whether the store has a model of this name that this release can run. */
  hasCurrent(name: string): boolean {
    if (!this.#models.has(name)) return false;
    try {
      this.#models.load(name);
      return true;
    } catch {
      return false;
    }
  }

  async sourcesDigest(request: SpeechNames): Promise<string> {
    const voice = await this.#voiceOf(request, request.voice);
    return sourcesDigest((await this.#sources(request, voice, this.#modelOf(voice))).facts);
  }

  async loadDefault(): Promise<void> {
    const { defaultModel } = this.info;
    if (defaultModel) await this.#model(defaultModel).load();
  }

  async *synthesize(request: SynthesisRequest, options: SynthesisOptions = {}) {
    options.signal?.throwIfAborted();
    const voice = await this.#voiceOf(request, request.voice);
    const model = this.#modelOf(voice);
    const { lexicon, facts } = await this.#sources(request, voice, model);
    const cast = request.inputType === 'ssml' ? await this.#cast(request, voice) : null;
    const key = utteranceKey(request, { ...facts, cast: cast?.voices.map(({ profile }) => profile) ?? [] });
    let samePace = true;
    const unsubscribe = options.pace?.subscribe(() => {
      samePace = false;
    });
    try {
      const voiceFor = cast?.voiceFor;
      const own = { profile: voice, adapter: this.#adapterFor(request, request.voice) };
      const make = () => this.#speak(request, own, model, { ...options, lexicon, voiceFor });
      yield* this.#utterances.replayOr(key, make, () => samePace);
    } finally {
      unsubscribe?.();
    }
  }

  /** What the request's names stand for now. */
  async #sources(request: SynthesisNames, voice: VoiceProfile, model: SpeechModel) {
    const { voice: name, adapter, lexicons, suppliedLexicons, profiles } = request;
    // A lexicon with a voice's name is for the voice of the data folder.
    const usual = this.#lexicons.usualFor(profiles === undefined ? name : null);
    const lexicon = await this.#lexicons.load(lexicons ?? usual, suppliedLexicons);
    const supplied = Object.entries(request.suppliedAdapters ?? {}).map(
      ([speaker, given]) => [speaker, this.#suppliedAdapters.take(given).digest] as const,
    );
    const facts: UtteranceSources = {
      voice,
      model: model.digest,
      lexicon: lexicon?.digest ?? '',
      adapters: {
        ...(adapter === undefined ? {} : { '': this.#adapters.version(adapter) }),
        ...Object.fromEntries(supplied),
      },
      cast: [],
    };
    return { lexicon, facts };
  }

  /** Synthesises, and says with the audio how often the self-check had to act. */
  async *#speak(
    request: SynthesisRequest,
    voice: CastVoice,
    model: SpeechModel,
    options: SynthesisControl,
  ): AsyncGenerator<AudioChunk, void, undefined> {
    let faults = 0;
    const onFault = (fault: SpeechFault, outcome: FaultOutcome): void => {
      faults += 1;
      this.#faults[`${fault} ${outcome}`] = (this.#faults[`${fault} ${outcome}`] ?? 0) + 1;
    };
    for await (const chunk of synthesize(request, voice, model, { ...options, onFault })) {
      yield faults === 0 ? chunk : { ...chunk, faults };
    }
  }

  /** A voice of the data folder, or one whose profile came with the request, now or earlier. */
  async #voiceOf({ profiles, poolVoices }: SpeechNames, name: string): Promise<VoiceProfile> {
    if (profiles === undefined || poolVoices?.includes(name)) return this.#voices.load(name);
    const supplied = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
    if (supplied !== undefined) return this.#supplied.take(name, supplied);
    throw new AppError('VOICE_NOT_FOUND', `there is no voice "${name.slice(0, 80)}" among those of the request`);
  }

  /**
   * All voices that a document asks for, loaded before any of it is said: what it sounds like is decided by them, and one
   * that may not be used is refused before the first word.
   */
  async #cast(request: SynthesisRequest, voice: VoiceProfile) {
    const casting = this.#casting(request, voice);
    const cast = new Map<string, CastVoice>();
    const roleOf = (delivery: Delivery): string => JSON.stringify([delivery.voice, delivery.style]);
    // What is wrong with an empty document is said where it is read.
    const parts = request.text.trim() === '' ? [] : await readSsml(request.text, request.language);
    for (const part of parts) {
      if (part.type !== 'text' || cast.has(roleOf(part.delivery))) continue;
      cast.set(roleOf(part.delivery), await casting(part.delivery));
    }
    const own = { profile: voice, adapter: this.#adapterFor(request, request.voice) };
    const voiceFor = async (delivery: Delivery) => cast.get(roleOf(delivery)) ?? own;
    return { voices: [...cast.values()], voiceFor };
  }

  /** The voices that markup asks for: names by what the request allows, styles by the voices called voice.style. */
  #casting(request: SynthesisRequest, voice: VoiceProfile): (delivery: Delivery) => Promise<CastVoice> {
    const { voices = {}, profiles, poolVoices = [] } = request;
    const load = async (name: string): Promise<CastVoice> => {
      const other = name === request.voice ? voice : await this.#voiceOf(request, name);
      if (other.modelDigest === voice.modelDigest) {
        return { profile: other, adapter: this.#adapterFor(request, name) };
      }
      const advice = 'enrol it with that model, or send its part as a request of its own';
      throw new AppError('VOICE_INVALID', `voice "${name}" speaks with another model than "${voice.name}"; ${advice}`);
    };
    return async ({ voice: named, style }) => {
      const own = named === null || named === request.voice;
      const name = own ? request.voice : Object.hasOwn(voices, named) ? voices[named] : undefined;
      if (name === undefined) {
        const shown = named?.slice(0, 80);
        throw new AppError('VOICE_NOT_FOUND', `the markup asks for voice "${shown}", which the request does not allow`);
      }
      const styled = `${name}.${style}`;
      const inFolder = profiles === undefined || poolVoices.includes(name);
      const has = inFolder ? this.#voices.names().includes(styled) : Object.hasOwn(profiles, styled);
      if (style !== null && has) return load(styled);
      return load(name);
    };
  }

  /** What a voice of the request speaks with: an adapter of its own, or that of the whole request. */
  #adapterFor({ adapter, suppliedAdapters = {} }: SpeechNames, voice: string): AdapterSource | null {
    const own = Object.hasOwn(suppliedAdapters, voice) ? suppliedAdapters[voice] : undefined;
    return own === undefined ? (adapter ?? null) : this.#suppliedAdapters.take(own);
  }

  async checkAdapter({ name, bytes, model: wanted }: CheckAdapterRequest): Promise<AdapterFacts> {
    const model = wanted ?? this.info.defaultModel;
    if (!model)
      throw new AppError('MODEL_NOT_FOUND', 'there is no model that the adapter could change; import one first');
    const { manifests } = this.#models.load(model);
    const networks = { text2semantic: manifests.text2semantic?.settings, sovits: manifests.sovits?.settings };
    const { text2semantic, sovits } = readAdapter({ name, bytes, digest: '' }, networks as AdaptableNetworks);
    const parts = [text2semantic, sovits].flatMap((part) => part ?? []);
    return {
      model,
      text2semanticRank: text2semantic?.rank ?? 0,
      sovitsRank: sovits?.rank ?? 0,
      parameterCount: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes / 4, 0),
    };
  }

  async enrolVoice(request: EnrolRequest, { signal }: Cancellable = {}) {
    this.#voices.checkFree(request.name, request.replace ?? false);
    checkRecordingCount(request.recordings.length);
    const recordings = await Promise.all(request.recordings.map(readRecording));
    const profile = await this.#enrol(request, recordings, signal);
    await this.#voices.save(profile, request.replace ?? false);
    return voiceSummary(profile);
  }

  async checkRecordings(request: PrepareVoiceRequest, { signal }: Cancellable = {}) {
    const { enrolment } = this.#modelToEnrolWith(request.model);
    return checkRecordings(request, { spec: enrolment.spec, speakerEmbedding: this.#speakerEmbedding(signal), signal });
  }

  async prepareVoice(request: PrepareVoiceRequest, { signal }: Cancellable = {}): Promise<PreparedVoice> {
    const { digest: modelDigest } = this.#modelToEnrolWith(request.model);
    checkRecordingCount(request.recordings.length);
    const checks = await this.checkRecordings(request, signal ? { signal } : {});
    throwIfRefused(checks, request.recordings.length);
    const recordings = request.recordings.map(({ bytes }) => bytes);
    const voice = await this.#enrol(request, recordings, signal);
    const profile = await encodeVoiceProfile(voice);
    return { summary: voiceSummary(voice), modelDigest, profile, digest: digestOf(profile), checks };
  }

  async compareSpeakers({ statement, recordings }: CompareSpeakersRequest, { signal }: Cancellable = {}) {
    const embedding = this.#speakerEmbedding(signal);
    if (embedding !== null) return compareSpeakers(statement, recordings, embedding, signal);
    // What is no statement is refused all the same.
    await readStatement(statement);
    return null;
  }

  #modelToEnrolWith(wanted: string | undefined): SpeechModel {
    const name = wanted ?? this.info.defaultModel;
    if (!name) throw new AppError('MODEL_NOT_FOUND', 'there is no model to enrol a voice with; import one first');
    return this.#model(name);
  }

  #enrol(
    request: Omit<EnrolRequest, 'recordings'>,
    recordings: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<VoiceProfile> {
    const model = this.#modelToEnrolWith(request.model);
    const { version } = this.#models.record(model.name);
    const { name, transcript, language } = request;
    const made = { name: model.name, digest: model.digest, version };
    return enrolVoice({ name, recordings, transcript, language, model: made }, model.enrolment, { signal });
  }

  /** Of any model that came with a speaker encoder; null where none did. */
  #speakerEmbedding(signal: AbortSignal | undefined): SpeakerEmbedding | null {
    for (const name of this.#models.names()) {
      const manifest = this.#models.load(name).manifests['speaker-encoder'];
      // Compiled by an earlier release, it may lack the embedding.
      const width = (manifest?.settings as Partial<SpeakerEncoderSpec> | undefined)?.embeddingWidth ?? null;
      if (manifest === undefined || width === null) continue;
      const { digest: component } = manifest;
      return (fbank, frames) => {
        const call: SpeakerEmbeddingCall = { component, fbank, frames };
        return this.#threads.analyse.call<Float32Array>('speakerEmbedding', call, signal ? { signal } : {});
      };
    }
    return null;
  }

  async listVoices() {
    return Promise.all(this.#voices.names().map(async (name) => this.#summaryOf(await this.#voices.load(name))));
  }

  removeVoice(name: string): Promise<void> {
    return this.#voices.remove(name);
  }

  async listModels() {
    return this.#models.names().map((name) => this.#models.summary(this.#models.load(name)));
  }

  async importModel(
    request: ImportModelRequest,
    options: Cancellable & { readonly onProgress?: (progress: ImportProgress) => void } = {},
  ) {
    const thread = startInferenceThread('import', this.#dataDir, this.#computeThreads);
    try {
      for await (const progress of thread.stream<ImportProgress, void>('importModel', request, options)) {
        options.onProgress?.(progress);
      }
    } finally {
      await thread.close();
    }
    return this.#models.summary(this.#models.load(request.name));
  }

  async inspectModel(name: string) {
    return this.#models.details(this.#models.load(name));
  }

  async verify({ signal }: Cancellable = {}): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    openRuntime({ threads: this.#computeThreads }).selfCheck();
    findings.push({
      level: 'ok',
      subject: 'runtime',
      message: `${this.info.runtime} computes the test graph`,
      advice: null,
    });
    for (const name of this.#models.names()) {
      signal?.throwIfAborted();
      findings.push(this.#verifyModel(name));
    }
    for (const name of this.#voices.names()) {
      signal?.throwIfAborted();
      findings.push(await this.#verifyVoice(name));
    }
    return findings;
  }

  readLexicon(text: string) {
    return readLexicon(text);
  }

  async convertLexicon(text: string, format: 'csv' | 'pls', language: string | null) {
    return convertLexicon(text, format, language);
  }

  compareReadings(request: CompareReadingsRequest) {
    return compareReadings(request, this.#polyphones);
  }

  statistics(): EngineStatistics {
    // Asked for now, told with the next ping: the thread answers between two network runs.
    this.#threads.decode
      .call<DecodeStatistics>('statistics', {})
      .then((statistics) => {
        this.#decode = statistics;
      })
      .catch(() => {}); // a thread that has ended has nothing to tell
    this.#threads.render
      .call<RenderStatistics>('statistics', {})
      .then((statistics) => {
        this.#render = statistics;
      })
      .catch(() => {});
    return {
      decode: this.#decode,
      render: this.#render,
      caches: {
        voices: addStatistics(this.#voices.statistics, this.#supplied.statistics),
        texts: this.#texts.statistics,
        utterances: this.#utterances.statistics,
        adapters: this.#suppliedAdapters.statistics,
      },
      faults: this.#faults,
    };
  }

  async close(): Promise<void> {
    await this.#threads.close();
  }

  #verifyModel(name: string): Finding {
    const subject = `model ${name}`;
    const advice = `import it again: timbre model import FILES --name ${name} --replace`;
    try {
      const model = this.#models.load(name);
      const problems = Object.values(model.manifests).flatMap((manifest) => this.#models.components.verify(manifest));
      if (problems.length > 0) return { level: 'error', subject, message: problems.join('; '), advice };
      return { level: 'ok', subject, message: `${model.version}, all files as imported`, advice: null };
    } catch (error) {
      return { level: 'error', subject, message: error instanceof Error ? error.message : String(error), advice };
    }
  }

  async #verifyVoice(name: string): Promise<Finding> {
    const subject = `voice ${name}`;
    try {
      const voice = await this.#voices.load(name);
      this.#modelOf(voice);
      return { level: 'ok', subject, message: `speaks with model ${voice.model}`, advice: null };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { level: 'error', subject, message, advice: `enrol it again: timbre voice add ${name} RECORDING` };
    }
  }

  /** Says among its warnings that a voice cannot speak. */
  #summaryOf(voice: VoiceProfile): VoiceSummary {
    const summary = voiceSummary(voice);
    try {
      this.#modelOf(voice);
      return summary;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { ...summary, warnings: [...summary.warnings, error.message] };
    }
  }

  /** The model a voice was enrolled with; throws `VOICE_INVALID` where that is gone or was replaced. */
  #modelOf(voice: VoiceProfile): SpeechModel {
    const holds = (name: string): boolean => this.#models.record(name).digest === voice.modelDigest;
    const exists = this.#models.has(voice.model);
    if (exists && holds(voice.model)) return this.#model(voice.model);
    // The same networks under another name compute the same.
    const twin = this.#models.names().find(holds);
    if (twin) return this.#model(twin);
    throw new AppError(
      'VOICE_INVALID',
      `voice "${voice.name}" was enrolled with model "${voice.model}", which ${exists ? 'has been replaced since' : 'is no longer there'}; enrol it again from its recording`,
    );
  }

  #model(name: string): SpeechModel {
    const stored = this.#models.load(name);
    let model = this.#opened.get(stored.digest);
    if (!model) {
      model = openSpeechModel(stored, this.#models, this.#threads, this.#texts, this.#polyphones);
      this.#opened.set(stored.digest, model);
    }
    return model;
  }
}

function addStatistics(a: CacheStatistics, b: CacheStatistics): CacheStatistics {
  return {
    hits: a.hits + b.hits,
    misses: a.misses + b.misses,
    evictions: a.evictions + b.evictions,
    entries: a.entries + b.entries,
    sizeBytes: a.sizeBytes + b.sizeBytes,
    maxBytes: a.maxBytes + b.maxBytes,
  };
}

async function readRecording(source: RecordingSource): Promise<Uint8Array> {
  return 'bytes' in source ? source.bytes : readAudioFile(source.path);
}

function makeDataFolder(dataDir: string): void {
  const probe = join(dataDir, `.probe-${randomUUID()}`);
  try {
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(probe, `${COMPILER_VERSION}`);
    rmSync(probe);
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `the data folder "${dataDir}" cannot be written; choose another with --data`, {
      cause,
    });
  }
}
