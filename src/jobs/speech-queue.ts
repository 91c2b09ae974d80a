/**
 * The queue between those who want speech (gateways) and those who make it (workers). `in-process-speech-queue.ts` is
 * the one for a single server; one over a message bus has the same two sides, so everything here is plain data.
 */

/** A tenant's lexicon, by where its text lies; whoever gives it to the engine reads it there. */
export interface SuppliedLexiconReference {
  readonly tenant: string;
  readonly lexicon: string;
  readonly version: number;
  /** SHA-256 of the text, lower-case hex. */
  readonly digest: string;
  /** Of one that lies nowhere. */
  readonly text?: string;
}

/** Where the profile of a voice lies; whoever gives it to the engine reads it there. */
export interface ProfileReference {
  readonly tenant: string;
  readonly object: string;
  /** SHA-256, lower-case hex. */
  readonly digest: string;
}

/** Where a tenant's adapter lies; whoever gives it to the engine reads it there. */
export interface AdapterReference {
  readonly tenant: string;
  readonly object: string;
  /** As people call it: `calm@3`. */
  readonly name: string;
  /** SHA-256, lower-case hex. */
  readonly digest: string;
}

export interface SpeechRequest {
  readonly text: string;
  /** Absent: plain text. */
  readonly inputType?: 'text' | 'ssml';
  /** Whose request it is; absent: one tenant for all who name none. */
  readonly tenant?: string;
  /** `stream`, the default: somebody listens while it is made; `batch`: it is wanted when it is whole. */
  readonly urgency?: 'stream' | 'batch';
  readonly voice: string;
  readonly language:
    | 'auto'
    | 'auto_yue'
    | 'zh'
    | 'en'
    | 'ja'
    | 'ko'
    | 'yue'
    | 'all_zh'
    | 'all_ja'
    | 'all_ko'
    | 'all_yue';
  /** 0.5–2. */
  readonly speed: number;
  /** uint32. */
  readonly seed: number;
  /** What is absent is the model's own. */
  readonly sampling?: {
    readonly topK?: number;
    readonly topP?: number;
    readonly temperature?: number;
    readonly repetitionPenalty?: number;
  };
  /** Pronunciation lexicons, the later before the earlier. */
  readonly suppliedLexicons?: readonly SuppliedLexiconReference[];
  /** The voices that markup may change to, by the name it calls them by; absent: none but the request's own. */
  readonly voices?: Readonly<Record<string, string>>;
  /**
   * Voices that the engine does not keep, by the names it is to call them: where their profiles lie, and their digests.
   * Absent: the voice is one of the engine's own.
   */
  readonly profiles?: Readonly<Record<string, ProfileReference>>;
  /** Beside `profiles`: voices of the engine's own that the request may use as well. */
  readonly poolVoices?: readonly string[];
  /** Adapters by the engine's name of the voice that speaks with them; voices without one speak as their model is. */
  readonly suppliedAdapters?: Readonly<Record<string, AdapterReference>>;
  readonly splitMethod?: 'sentence' | 'chunk30' | 'cut0' | 'cut1' | 'cut2' | 'cut3' | 'cut4' | 'cut5';
  readonly sentencePauseMs?: number;
}

export interface SpeechJob {
  /** The request id of the caller: for logs, not an identity. */
  readonly id: string;
  readonly request: SpeechRequest;
  /** Whose it is: tenants share the machine by weight, however many jobs each brings. */
  readonly tenant?: string;
  /** Against 1, which is also the default. */
  readonly weight?: number;
  /** `batch` waits while somebody listens; the default is `interactive`. */
  readonly priority?: 'interactive' | 'batch';
}

/** When a stretch of the text is heard. */
export interface SpokenSpan {
  /** UTF-16 offsets. */
  readonly start: number;
  readonly end: number;
  readonly startSample: number;
  readonly endSample: number;
  /** Whether a word begins here. */
  readonly startsWord: boolean;
}

/** What becomes of a job, in order: `started` once, then audio; the end of the iteration is its success. */
export type SpeechEvent =
  | { readonly type: 'started' }
  | {
      readonly type: 'audio';
      /** Mono, within [-1, 1]. */
      readonly samples: Float32Array;
      readonly sampleRateHz: number;
      readonly sentenceIndex: number;
      readonly sentenceCount: number;
      /** Marks of the markup that are reached where these samples begin, by their time in the whole speech. */
      readonly marks?: readonly { readonly name: string; readonly timeMs: number }[];
      /** With the last audio of a sentence: when its text is heard in the whole speech. */
      readonly spoken?: readonly SpokenSpan[];
      /** Sentences that the self-check drew again or cut so far; absent: none. */
      readonly faults?: number;
    };

export type AudioEvent = SpeechEvent & { type: 'audio' };

export interface QueueDepth {
  readonly waiting: number;
  readonly running: number;
}

/** The gateway's side. */
export interface SpeechQueue {
  /**
   * Queues a job on the first `next` and yields what becomes of it. Leaving the iteration, or aborting, cancels the job wherever it
   * is. Throws what the worker failed with, `ENGINE_OVERLOADED` when the queue is full, `SHUTTING_DOWN` after `close`.
   */
  submit(job: SpeechJob, options?: { readonly signal?: AbortSignal }): AsyncGenerator<SpeechEvent, void, undefined>;
  readonly depth: QueueDepth;
}

/** A job in the hands of a worker, who ends it with exactly one `finish` or `fail`. */
export interface ClaimedSpeechJob {
  readonly job: SpeechJob;
  /** Aborts when nobody wants the audio any more. */
  readonly signal: AbortSignal;
  /** Resolves when the caller is ready for more; rejects with the signal's reason when it left. */
  publish(event: SpeechEvent): Promise<void>;
  finish(): void;
  fail(error: unknown): void;
}

/** The worker's side. */
export interface SpeechJobSource {
  /** The next job, by fair shares of tenants and then in order of arrival; throws the signal's reason, or `SHUTTING_DOWN` after `close`. */
  claim(options: { readonly signal: AbortSignal }): Promise<ClaimedSpeechJob>;
}
