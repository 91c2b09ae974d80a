import type { SPEECH_LANGUAGES } from '../api/synthesis.js';

export type SpeechLanguage = (typeof SPEECH_LANGUAGES)[number];

export interface RecordingFile {
  readonly bytes: Uint8Array;
  readonly fileName: string;
}

/** What a voice is made of. */
export interface VoiceSource {
  /** What messages call it. */
  readonly name: string;
  readonly recordings: readonly RecordingFile[];
  /** What the first recording says; null: only its style is used. */
  readonly transcript: string | null;
  readonly language: SpeechLanguage;
  /** Absent: the engine's default one. */
  readonly model?: string;
}

/** One thing that was checked of a recording, and what was found; the engine says which there are. */
export interface RecordingCheck {
  readonly recording: number;
  readonly check: string;
  readonly outcome: 'ok' | 'warning' | 'refused' | 'unchecked';
  readonly message: string;
  readonly value: number | null;
}

export interface MadeVoice {
  readonly summary: { readonly model: string; readonly durationMs: number; readonly warnings: readonly string[] };
  readonly modelDigest: string;
  readonly profile: Uint8Array;
  /** SHA-256 of the profile, lower-case hex. */
  readonly digest: string;
  readonly checks: readonly RecordingCheck[];
}

interface Cancellable {
  readonly signal?: AbortSignal;
}

/** What the catalog needs of an engine, wherever that runs: the engine knows nothing of tenants or consents. */
export interface VoiceMaker {
  checkRecordings(source: VoiceSource, options?: Cancellable): Promise<readonly RecordingCheck[]>;
  /** Throws `AUDIO_…`, `TEXT_…`, `MODEL_NOT_FOUND`, saying what to improve. */
  prepareVoice(source: VoiceSource, options?: Cancellable): Promise<MadeVoice>;
  /** Cosine of the speakers; null where no speaker encoder is there. Throws `AUDIO_…` for a statement that is none. */
  compareSpeakers(
    request: { readonly statement: Uint8Array; readonly recordings: readonly Uint8Array[] },
    options?: Cancellable,
  ): Promise<number | null>;
}
