/**
 * What an engine is to the rest of the system: the requests it takes, the audio it yields, the models and voices it
 * keeps. Everything here is plain data that survives a structured clone, since it crosses a process boundary
 * (`protocol.ts`); paths are paths of the machine both processes run on and never come from a network caller.
 */
import type { LanguageMode } from '../text/language.js';
import type { SplitMethod } from '../text/sentences.js';
import type { CacheStatistics } from './bounded-cache.js';
import type { DecodeStatistics } from './decode-tasks.js';
import type { CompareReadingsRequest, ReadingDifference, ReadLexicon } from './lexicon-work.js';
import type { PaceControl } from './pace-control.js';
import type { Precision, QualityReport } from './quality-report.js';
import type { RenderStatistics } from './render-tasks.js';

export type { Precision, QualityReport, SplitMethod };

/** Sampling of semantic tokens; upstream's names and order of application (penalty, top-p, temperature, top-k). */
export interface SamplingOptions {
  readonly topK: number;
  readonly topP: number;
  readonly temperature: number;
  readonly repetitionPenalty: number;
}

export interface SynthesisRequest {
  readonly text: string;
  /** Absent: plain text. */
  readonly inputType?: 'text' | 'ssml';
  /** Whose request it is; caches answer nobody else. Absent: one tenant for all who name none. */
  readonly tenant?: string;
  /** `stream`, the default: somebody listens while it is made; `batch`: it is wanted when it is whole. */
  readonly urgency?: 'stream' | 'batch';
  /** Name of an enrolled voice; the voice names its model. */
  readonly voice: string;
  /** Name of an adapter of the data folder that changes the voice's networks; absent: none. */
  readonly adapter?: string;
  readonly language: LanguageMode;
  /** 0.5–2; 2 is twice as fast. */
  readonly speed: number;
  /** uint32. The same request with the same seed gives the same samples. */
  readonly seed: number;
  /** What is absent is the model's own, which is upstream's where the model says nothing. */
  readonly sampling?: Partial<SamplingOptions>;
  /** Absent: `sentence`. */
  readonly splitMethod?: SplitMethod;
  /** Silence after each piece but the last; absent: longer after a sentence than inside one. */
  readonly sentencePauseMs?: number;
  /** Pronunciation lexicons, the later before the earlier; absent: "default" and the one with the voice's name. */
  readonly lexicons?: readonly LexiconReference[];
  /** Lexicons that the engine does not keep, the later before the earlier; all of them before those of the data folder. */
  readonly suppliedLexicons?: readonly SuppliedLexicon[];
  /**
   * The voices that markup may change to, by the name it calls them by; absent: none but the request's own. A style
   * "sad" of voice "ann" is the voice "ann.sad".
   */
  readonly voices?: Readonly<Record<string, string>>;
  /**
   * Profiles of voices that the engine does not keep, by name; a style of a voice is `name.style`. Absent: voices are those
   * of the data folder. Where it is there, every voice of the request is in it, the request's own too, or in `poolVoices`.
   */
  readonly profiles?: Readonly<Record<string, SuppliedProfile>>;
  /** Beside `profiles`: voices of the data folder that are used as well. */
  readonly poolVoices?: readonly string[];
  /** Adapters that the engine does not keep, by the voice of the request that speaks with them; before `adapter`. */
  readonly suppliedAdapters?: Readonly<Record<string, SuppliedAdapter>>;
}

/** An adapter by its digest, with its bytes where the engine may not have seen them yet. */
export interface SuppliedAdapter {
  /** As messages call it: `calm@3`. */
  readonly name: string;
  /** SHA-256 of the bytes, lower-case hex. */
  readonly digest: string;
  /** Safetensors. Absent: `ADAPTER_NOT_LOADED` is thrown where the engine remembers none of this digest. */
  readonly bytes?: Uint8Array;
}

/** A voice's profile by its digest, with its bytes where the engine may not have seen them yet. */
export interface SuppliedProfile {
  /** SHA-256 of the bytes, lower-case hex. */
  readonly digest: string;
  /** As {@link PreparedVoice} has them. Absent: `VOICE_NOT_LOADED` is thrown where the engine has none of this digest. */
  readonly bytes?: Uint8Array;
}

/** The fields of a request that name something kept, which may be replaced under its name. */
export type SpeechNames = Pick<
  SynthesisRequest,
  'voice' | 'profiles' | 'poolVoices' | 'adapter' | 'suppliedAdapters' | 'lexicons'
>;

/** A lexicon of the data folder; without a version the newest one when the request begins. */
export interface LexiconReference {
  readonly name: string;
  readonly version?: number;
}

/** A lexicon by its digest, with its text where the engine may not have seen it yet. */
export interface SuppliedLexicon {
  /** As explanations call it: `default@3`. */
  readonly name: string;
  /** SHA-256 of the text, lower-case hex. */
  readonly digest: string;
  /** CSV or PLS. Absent: `LEXICON_NOT_LOADED` is thrown where the engine remembers none of this digest. */
  readonly text?: string;
}

/** A stretch of finished audio; chunks follow one another without gap or overlap, pauses included. */
export interface AudioChunk {
  /** Mono, within [-1, 1]. */
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
  /** From 0; several chunks may belong to one sentence. */
  readonly sentenceIndex: number;
  readonly sentenceCount: number;
  /** Sentences that the self-check drew again or cut so far; absent: none. */
  readonly faults?: number;
  /** Marks of the markup that are reached where this chunk begins. */
  readonly marks?: readonly AudioMark[];
  /** With the last audio of a sentence: when its text is heard. Those of all chunks are in order and cover all speech. */
  readonly spoken?: readonly SpokenSpan[];
}

/** The smallest stretch of text whose sound is known apart: a character, a syllable, a word, what is read as a whole. */
export interface SpokenSpan {
  /** In the request's text, as UTF-16 offsets; not empty, and behind that of the span before. */
  readonly start: number;
  readonly end: number;
  /** From the beginning of the speech, pauses included. */
  readonly startSample: number;
  readonly endSample: number;
  /** Whether a word begins here. */
  readonly startsWord: boolean;
}

/** A place in the text that the caller asked to hear of. */
export interface AudioMark {
  readonly name: string;
  /** From the beginning of the speech, pauses included. */
  readonly timeMs: number;
}

/** A recording by path, or its bytes with the name that messages may call it by. */
export type RecordingSource = { readonly path: string } | { readonly bytes: Uint8Array; readonly fileName: string };

export interface EnrolRequest {
  /** 1–64 characters of a–z, A–Z, 0–9, `_`, `-`, `.`, the first one a letter or digit. */
  readonly name: string;
  /** One recording, or several whose style is averaged (the first one is the prompt). */
  readonly recordings: readonly RecordingSource[];
  /** What the first recording says; null enrols a prompt-free voice (style only). */
  readonly transcript: string | null;
  /** The language of the transcript. */
  readonly language: LanguageMode;
  /** Name of an imported model; absent: the default model. */
  readonly model?: string;
  /** Replace a voice of the same name instead of throwing `VOICE_EXISTS`. */
  readonly replace?: boolean;
}

/** A voice that is made but not kept: its caller keeps it. */
export interface PrepareVoiceRequest extends Omit<EnrolRequest, 'recordings' | 'replace'> {
  readonly recordings: readonly { readonly bytes: Uint8Array; readonly fileName: string }[];
}

export interface PreparedVoice {
  readonly summary: VoiceSummary;
  readonly modelDigest: string;
  /** What {@link SynthesisRequest.profiles} takes. */
  readonly profile: Uint8Array;
  /** SHA-256 of the profile, lower-case hex. */
  readonly digest: string;
  readonly checks: readonly RecordingCheck[];
}

/** One thing that was checked of a recording, and what was found. */
export interface RecordingCheck {
  /** Which recording, from 0. */
  readonly recording: number;
  readonly check:
    | 'format'
    | 'length'
    | 'level'
    | 'clipping'
    | 'noise'
    | 'silence'
    | 'bandwidth'
    | 'speaker'
    | 'language'
    | 'transcript';
  readonly outcome: 'ok' | 'warning' | 'refused' | 'unchecked';
  /** What was found, and what to do where that is not good. */
  readonly message: string;
  /** In the unit of the check; null where there is no number. */
  readonly value: number | null;
}

export interface CompareSpeakersRequest {
  /** Somebody who says a statement, up to 5 minutes. */
  readonly statement: Uint8Array;
  readonly recordings: readonly Uint8Array[];
}

export interface VoiceSummary {
  readonly name: string;
  readonly language: LanguageMode;
  /** Null: a prompt-free voice. */
  readonly transcript: string | null;
  readonly model: string;
  /** Of all recordings together. */
  readonly durationMs: number;
  /** ISO 8601. */
  readonly createdAt: string;
  /**
   * What the enrolment found doubtful (too short, too long, clipped, noisy), and why the voice cannot speak any more, as
   * sentences.
   */
  readonly warnings: readonly string[];
}

export type ModelVersion = 'v1' | 'v2' | 'v2Pro' | 'v2ProPlus' | 'v3' | 'v4';

export interface ImportModelRequest {
  readonly name: string;
  /**
   * Checkpoint files and folders in any order; what each one is follows from its contents: text-to-semantic `.ckpt`,
   * SoVITS `.pth`, CN-HuBERT, RoBERTa and speaker-vector files or folders.
   */
  readonly paths: readonly string[];
  /** Overrides the version found in the contents. */
  readonly version?: ModelVersion;
  /**
   * Number format of the weights; absent: int8 for the networks that gain by it. Layers that would lose too much stay in a
   * higher one; `inspectModel` tells which.
   */
  readonly precision?: Precision;
  /** Sampling for requests that ask for none; absent: upstream's. */
  readonly sampling?: SamplingOptions;
  /** Replace a model of the same name instead of throwing `MODEL_EXISTS`. */
  readonly replace?: boolean;
}

export interface ModelSummary {
  readonly name: string;
  readonly version: ModelVersion;
  readonly sampleRateHz: number;
  /** Of everything the store keeps for the model. */
  readonly sizeBytes: number;
  /** SHA-256 over the imported contents, lower-case hex. */
  readonly digest: string;
  /** Of the served weights: `fp32`, or what the model was compiled to. */
  readonly precision: string;
  /** Whether Chinese text gets BERT features. */
  readonly hasBert: boolean;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly warnings: readonly string[];
}

/** A model taken apart for people: networks with their sizes, and the settings found in the files. */
export interface ModelDetails extends ModelSummary {
  readonly networks: readonly {
    readonly name: string;
    readonly parameterCount: number;
    readonly source: string;
  }[];
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
  /** What quantising cost, by network. */
  readonly quality: readonly QualityReport[];
}

export interface ImportProgress {
  /** What is being done, in words for the terminal: `reading s1v3.ckpt`, `compiling the step graph`. */
  readonly step: string;
  /** 0–1 over the whole import. */
  readonly fraction: number;
}

/** One thing that was checked, for `timbre doctor`. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'error';
  /** What was checked: `model demo`, `onnxruntime`. */
  readonly subject: string;
  readonly message: string;
  /** What to do about it; null when all is well. */
  readonly advice: string | null;
}

export interface EngineInfo {
  /** The inference library and its version: `onnxruntime 1.30.0 (C API)`. */
  readonly runtime: string;
  readonly threads: number;
  /** The voice used where a caller names none. */
  readonly defaultVoice: string | null;
  readonly defaultModel: string | null;
}

/** Bounds of the engine's caches; see docs/OPERATIONS.md for what each holds. */
export interface CacheSizes {
  readonly voices: number;
  readonly texts: number;
  readonly utterances: number;
  /** Files of adapters that came with requests. */
  readonly adapters: number;
}

/** What an engine counts about itself; read with every ping. */
export interface EngineStatistics {
  readonly caches: Readonly<Record<keyof CacheSizes, CacheStatistics>>;
  /** What the self-check found, by `fault outcome`: `loop redrawn`. */
  readonly faults: Readonly<Record<string, number>>;
  /** How busy the decoding thread was a ping ago; null before the first answer. */
  readonly decode: DecodeStatistics | null;
  /** The same of the rendering thread. */
  readonly render: RenderStatistics | null;
}

export interface EngineOptions {
  /** Folder of models, voices and caches; made when missing. */
  readonly dataDir: string;
  /** Threads of the one global inference pool; absent: the processor's cores, at most 8. */
  readonly threads?: number;
  /** In bytes; absent: {@link DEFAULT_CACHE_BYTES}. */
  readonly cacheBytes?: Partial<CacheSizes>;
  /** 32 bytes that voices and lexicons of the data folder are encrypted with, those written without it too. Absent: plain files. */
  readonly fileKey?: Uint8Array;
  /** Folder of a g2pW model, which then decides the polyphones of Chinese; absent: our own model does. */
  readonly g2pwFolder?: string;
  /** False: the embedded model is not imported on first use. Absent: true. */
  readonly importDemo?: boolean;
  /**
   * When the engine is given out: `loaded`, with the runtime checked and the default model in memory (as a server needs
   * it), or `at-once`, while threads and model are still being loaded; what fails then is told by the first call that
   * needs it. Absent: `loaded`.
   */
  readonly ready?: 'loaded' | 'at-once';
  /** Hears of the first import, which takes seconds. */
  readonly onProgress?: (progress: ImportProgress) => void;
}

export const DEFAULT_CACHE_BYTES: CacheSizes = {
  voices: 64 << 20,
  texts: 64 << 20,
  utterances: 64 << 20,
  adapters: 256 << 20,
};

export interface Cancellable {
  /** Aborting makes the call throw `signal.reason` soon (at most one network run later) and frees what it held. */
  readonly signal?: AbortSignal;
}

export interface SynthesisOptions extends Cancellable {
  /** Changes the pace while the synthesis runs; absent: it stays that of the request. */
  readonly pace?: PaceControl;
}

export interface CheckAdapterRequest {
  readonly name: string;
  /** Safetensors in PEFT's layout. */
  readonly bytes: Uint8Array;
  readonly model?: string;
}

/** What an adapter changes; rank 0: nothing of that network. */
export interface AdapterFacts {
  /** The model that it was held against. */
  readonly model: string;
  readonly text2semanticRank: number;
  readonly sovitsRank: number;
  readonly parameterCount: number;
}

/** Text in, audio out. Several calls may run at once. */
export interface Engine {
  readonly info: EngineInfo;
  /** Throws `VOICE_NOT_FOUND`, `TEXT_*`, `LANGUAGE_UNSUPPORTED`, `SYNTHESIS_FAILED`, `ENGINE_RUNTIME` on the first `next`, or later. */
  synthesize(request: SynthesisRequest, options?: SynthesisOptions): AsyncGenerator<AudioChunk, void, undefined>;
  /** Throws `VOICE_EXISTS`, `VOICE_INVALID`, `AUDIO_*`, `TEXT_*`, `MODEL_NOT_FOUND`. */
  enrolVoice(request: EnrolRequest, options?: Cancellable): Promise<VoiceSummary>;
  /**
   * Checks recordings as {@link prepareVoice} does, and says all it finds. Throws `MODEL_NOT_FOUND`, `TEXT_*`,
   * `LANGUAGE_UNSUPPORTED`.
   */
  checkRecordings(request: PrepareVoiceRequest, options?: Cancellable): Promise<readonly RecordingCheck[]>;
  /** Makes a voice that the caller keeps. Throws `AUDIO_UNFIT` with what to improve, and what `enrolVoice` throws. */
  prepareVoice(request: PrepareVoiceRequest, options?: Cancellable): Promise<PreparedVoice>;
  /**
   * How alike the speaker of a statement is to those of the recordings: the least cosine of their speaker embeddings; null
   * where no imported model has a speaker encoder. Throws `AUDIO_*` for a statement that is none.
   */
  compareSpeakers(request: CompareSpeakersRequest, options?: Cancellable): Promise<number | null>;
  /** What an adapter file changes of a model, the default one where none is named. Throws `CHECKPOINT_*`, `MODEL_NOT_FOUND`. */
  checkAdapter(request: CheckAdapterRequest): Promise<AdapterFacts>;
  listVoices(): Promise<readonly VoiceSummary[]>;
  /** Throws `VOICE_NOT_FOUND`. */
  removeVoice(name: string): Promise<void>;
  listModels(): Promise<readonly ModelSummary[]>;
  /** Throws `MODEL_EXISTS`, `MODEL_INVALID`, `CHECKPOINT_*`. */
  importModel(
    request: ImportModelRequest,
    options?: Cancellable & { readonly onProgress?: (progress: ImportProgress) => void },
  ): Promise<ModelSummary>;
  /** Throws `MODEL_NOT_FOUND`. */
  inspectModel(name: string): Promise<ModelDetails>;
  /**
   * A digest of what a request's names stand for now: voice, model, adapter, lexicons. With the request's own fields it
   * decides every sample, markup aside. Throws `VOICE_NOT_FOUND`, `VOICE_NOT_LOADED`,
   * `ADAPTER_NOT_FOUND`, `ADAPTER_NOT_LOADED`, `LEXICON_NOT_FOUND`.
   */
  sourcesDigest(request: SpeechNames): Promise<string>;
  /** Checks the runtime and what the store holds against its digests. */
  verify(options?: Cancellable): Promise<readonly Finding[]>;
  /** Throws `LEXICON_INVALID` for a file that is none at all. */
  readLexicon(text: string): Promise<ReadLexicon>;
  /** Throws `LEXICON_INVALID`. */
  convertLexicon(text: string, format: 'csv' | 'pls', language: string | null): Promise<string>;
  /** Throws `TEXT_*`, `LANGUAGE_UNSUPPORTED`, `LEXICON_INVALID`. */
  compareReadings(request: CompareReadingsRequest): Promise<readonly ReadingDifference[]>;
  /** Counts for metrics. */
  statistics?(): EngineStatistics;
  close(): Promise<void>;
}

/** `engine.ts` exports one as `createEngine`; so do the scripted engines of the tests. */
export type CreateEngine = (options: EngineOptions) => Promise<Engine>;
