import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { AppError } from '../errors.js';
import type { PhonemeSentence, SymbolVersion } from '../text/language.js';
import type { SamplingOptions } from './engine-types.js';
import type { StoredModel } from './model-store.js';
import { TaskThread } from './thread-tasks.js';
import type { VoiceProfile } from './voice-profile.js';

/** One sentence for text-to-semantic. */
export interface SemanticInput {
  readonly voice: VoiceProfile;
  readonly phonemes: PhonemeSentence;
  readonly bertFeatures: Float32Array | null;
  readonly sampling: SamplingOptions | undefined;
  readonly seed: number;
  readonly sentenceIndex: number;
}

/** One sentence's tokens for the waveform decoder. */
export interface WaveformInput {
  readonly voice: VoiceProfile;
  readonly phonemes: PhonemeSentence;
  readonly semanticTokens: Int32Array;
  readonly speed: number;
  readonly seed: number;
  readonly sentenceIndex: number;
}

/** A loaded model: the steps of the main path between phonemes and samples, each of which can be cancelled. */
export interface SpeechModel {
  readonly name: string;
  readonly sampleRateHz: number;
  readonly symbols: SymbolVersion;
  /** Text features of a sentence, or null where the model has no BERT. */
  bertFeatures(phonemes: PhonemeSentence, signal?: AbortSignal): Promise<Float32Array | null>;
  semanticTokens(input: SemanticInput, signal?: AbortSignal): Promise<Int32Array>;
  /** Samples in [-1, 1], window by window without gap or overlap. */
  waveform(input: WaveformInput, signal?: AbortSignal): AsyncGenerator<Float32Array, void, undefined>;
}
