/**
 * The messages between the server and its engine process, over child_process IPC with the `advanced` serialisation, so
 * that sample arrays pass as they are. Both ends are built from the same source: types suffice, nothing is parsed.
 */
import { AppError, ERROR_CODES, type ErrorPayload } from '../errors.js';
import type {
  AudioChunk,
  CheckAdapterRequest,
  CompareSpeakersRequest,
  EngineInfo,
  EngineOptions,
  EngineStatistics,
  EnrolRequest,
  ImportModelRequest,
  ImportProgress,
  PrepareVoiceRequest,
  SpeechNames,
  SynthesisRequest,
} from './engine-types.js';
import type { CompareReadingsRequest } from './lexicon-work.js';

/** One call of the engine; the names are those of `Engine`. */
export type EngineCall =
  | { readonly method: 'synthesize'; readonly request: SynthesisRequest; readonly credit: number }
  | { readonly method: 'enrolVoice'; readonly request: EnrolRequest }
  | { readonly method: 'checkRecordings'; readonly request: PrepareVoiceRequest }
  | { readonly method: 'prepareVoice'; readonly request: PrepareVoiceRequest }
  | { readonly method: 'compareSpeakers'; readonly request: CompareSpeakersRequest }
  | { readonly method: 'checkAdapter'; readonly request: CheckAdapterRequest }
  | { readonly method: 'listVoices' }
  | { readonly method: 'removeVoice'; readonly name: string }
  | { readonly method: 'listModels' }
  | { readonly method: 'importModel'; readonly request: ImportModelRequest }
  | { readonly method: 'inspectModel'; readonly name: string }
  | { readonly method: 'sourcesDigest'; readonly request: SpeechNames }
  | { readonly method: 'readLexicon'; readonly text: string }
  | {
      readonly method: 'convertLexicon';
      readonly text: string;
      readonly format: 'csv' | 'pls';
      readonly language: string | null;
    }
  | { readonly method: 'compareReadings'; readonly request: CompareReadingsRequest }
  | { readonly method: 'verify' };

/** What the server sends. */
export type HostCommand =
  /** Comes first and once; `engineModule` is the file URL of a module that exports `createEngine`. */
  | { readonly type: 'start'; readonly engineModule: string; readonly options: Omit<EngineOptions, 'onProgress'> }
  | { readonly type: 'call'; readonly id: number; readonly call: EngineCall }
  /** The caller took `count` more chunks, so as many more may be sent. */
  | { readonly type: 'credit'; readonly id: number; readonly count: number }
  /** Another pace for a synthesis under way. */
  | { readonly type: 'pace'; readonly id: number; readonly speed: number }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'ping'; readonly id: number }
  /** Abort what runs, close the engine, exit. */
  | { readonly type: 'close' };

/** What the engine process answers; each call ends with exactly one of `result`, `end` and `error`. */
export type HostEvent =
  | { readonly type: 'progress'; readonly id: number | null; readonly progress: ImportProgress }
  | { readonly type: 'ready'; readonly info: EngineInfo }
  | { readonly type: 'start-failed'; readonly error: RemoteError }
  | { readonly type: 'chunk'; readonly id: number; readonly chunk: AudioChunk }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'end'; readonly id: number }
  | { readonly type: 'error'; readonly id: number; readonly error: RemoteError }
  | {
      readonly type: 'pong';
      readonly id: number;
      readonly rssBytes: number;
      readonly activeCalls: number;
      readonly statistics: EngineStatistics | null;
    };

/** An error on its way to the other process; `stack` is for the log only. */
export interface RemoteError extends ErrorPayload {
  readonly stack: string | null;
}

/** The wire form of whatever was thrown; what is not an `AppError` becomes `fallback`, without its own words. */
export function toRemoteError(error: unknown, fallback: 'INTERNAL' | 'SYNTHESIS_FAILED'): RemoteError {
  if (error instanceof AppError) return { ...error.toJSON(), stack: null };
  return {
    code: fallback,
    message: 'the engine failed unexpectedly; the log of the server says more',
    stack: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

/** The error that {@link toRemoteError} described; the foreign stack becomes its cause. */
export function fromRemoteError(error: RemoteError): AppError {
  const code = error.code in ERROR_CODES ? error.code : 'INTERNAL';
  return new AppError(code, error.message, error.stack === null ? undefined : { cause: new Error(error.stack) });
}
