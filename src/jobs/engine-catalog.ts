/** What gateways may ask about the engines behind the queue; a worker answers, here or elsewhere. */

import type { SpeechRequest } from './speech-queue.js';

export interface VoiceRecord {
  readonly name: string;
  readonly language: string;
  readonly transcript: string | null;
  readonly model: string;
  readonly durationMs: number;
  readonly createdAt: string;
  readonly warnings: readonly string[];
}

export interface ModelRecord {
  readonly name: string;
  readonly version: string;
  readonly sampleRateHz: number;
  readonly sizeBytes: number;
  readonly digest: string;
  readonly precision: string;
  readonly hasBert: boolean;
  readonly createdAt: string;
  readonly warnings: readonly string[];
}

/** A voice to be made of recordings that the gateway has received or read. */
export interface EnrolVoiceRequest {
  readonly name: string;
  readonly recordings: readonly { readonly bytes: Uint8Array; readonly fileName: string }[];
  readonly transcript: string | null;
  readonly language: SpeechRequest['language'];
  readonly model?: string;
  readonly replace?: boolean;
}

/** A lexicon file as an import reads it. */
export interface ReadLexicon {
  readonly entries: readonly {
    readonly word: string;
    readonly language: string | null;
    readonly alphabet: string;
    readonly value: string;
    readonly line: number;
  }[];
  readonly problems: readonly { readonly line: number; readonly message: string }[];
}

export interface CompareReadingsRequest {
  readonly text: string;
  readonly language: SpeechRequest['language'];
  readonly before: readonly { readonly name: string; readonly text: string }[];
  readonly after: readonly { readonly name: string; readonly text: string }[];
}

export interface ReadingDifference {
  readonly written: string;
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
  readonly rule: string;
}

export type PrepareVoiceRequest = Omit<EnrolVoiceRequest, 'replace'>;

export interface RecordingCheck {
  readonly recording: number;
  readonly check: string;
  readonly outcome: 'ok' | 'warning' | 'refused' | 'unchecked';
  readonly message: string;
  readonly value: number | null;
}

export interface PreparedVoice {
  readonly summary: VoiceRecord;
  readonly modelDigest: string;
  readonly profile: Uint8Array;
  readonly digest: string;
  readonly checks: readonly RecordingCheck[];
}

/** The names of a request that may come to mean something else; of profiles, what they are, not where. */
export interface SpeechNames {
  readonly voice: string;
  readonly profiles?: Readonly<Record<string, { readonly digest: string }>>;
}

/** What an adapter changes; rank 0: nothing of that network. */
export interface AdapterFacts {
  /** The model that it was held against. */
  readonly model: string;
  readonly text2semanticRank: number;
  readonly sovitsRank: number;
  readonly parameterCount: number;
}

export interface EngineStatus {
  readonly state: 'starting' | 'ready' | 'restarting' | 'draining' | 'closed';
  /** Why the engine is not ready, for operators. */
  readonly reason: string | null;
  readonly rssBytes: number;
}

export interface EngineCatalog {
  readonly defaultVoice: string | null;
  listVoices(options?: { readonly signal?: AbortSignal }): Promise<readonly VoiceRecord[]>;
  listModels(options?: { readonly signal?: AbortSignal }): Promise<readonly ModelRecord[]>;
  /** Throws `VOICE_EXISTS`, `VOICE_INVALID`, `AUDIO_*`, `TEXT_*`, `MODEL_NOT_FOUND`. */
  enrolVoice(request: EnrolVoiceRequest, options?: { readonly signal?: AbortSignal }): Promise<VoiceRecord>;
  /**
   * A digest of what the names stand for now (voice, its model, lexicons). With a request's own fields it decides every
   * sample of plain text. Throws `VOICE_NOT_FOUND`.
   */
  sourcesDigest(names: SpeechNames, options?: { readonly signal?: AbortSignal }): Promise<string>;
  /** Throws `LEXICON_INVALID` for a file that is none at all. */
  readLexicon(text: string, options?: { readonly signal?: AbortSignal }): Promise<ReadLexicon>;
  convertLexicon(
    text: string,
    format: 'csv' | 'pls',
    language: string | null,
    options?: { readonly signal?: AbortSignal },
  ): Promise<string>;
  /** Throws `TEXT_*`, `LANGUAGE_UNSUPPORTED`, `LEXICON_INVALID`. */
  compareReadings(
    request: CompareReadingsRequest,
    options?: { readonly signal?: AbortSignal },
  ): Promise<readonly ReadingDifference[]>;
  /** What is good and what is not of recordings, before a voice is made of them. Throws `TEXT_*`, `MODEL_NOT_FOUND`. */
  checkRecordings(
    request: PrepareVoiceRequest,
    options?: { readonly signal?: AbortSignal },
  ): Promise<readonly RecordingCheck[]>;
  /** Makes a voice that the caller keeps. Throws as `enrolVoice`, and `AUDIO_UNFIT`. */
  prepareVoice(request: PrepareVoiceRequest, options?: { readonly signal?: AbortSignal }): Promise<PreparedVoice>;
  /** How alike the speakers are; null where no speaker encoder is there. Throws `AUDIO_*`. */
  compareSpeakers(
    request: { readonly statement: Uint8Array; readonly recordings: readonly Uint8Array[] },
    options?: { readonly signal?: AbortSignal },
  ): Promise<number | null>;
  /** What an adapter file changes of a model, the default one where none is named. Throws `CHECKPOINT_*`, `MODEL_NOT_FOUND`. */
  checkAdapter(
    request: { readonly name: string; readonly bytes: Uint8Array; readonly model?: string },
    options?: { readonly signal?: AbortSignal },
  ): Promise<AdapterFacts>;
  status(): EngineStatus;
}
