import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import type { BertSpec } from '../models/bert.js';
import { bertFeatures } from '../models/bert-features.js';
import { type BertTokenizer, createBertTokenizer } from '../models/bert-tokenizer.js';
import type { ModelSpec } from '../models/model-spec.js';
import type { Text2SemanticSettings } from '../models/text2semantic.js';
import { textToPhonemes } from '../text/frontend.js';
import type { FixedReading, LanguageMode, PhonemeSentence, SymbolVersion } from '../text/language.js';
import type { PolyphonePredictor } from '../text/polyphones.js';
import type { AdapterSource } from './adapter-store.js';
import type {
  BertCall,
  EnrolmentComponents,
  GlobalEmbeddingCall,
  SemanticTokensCall,
  SpeakerVectorCall,
} from './analysis-tasks.js';
import type { ComponentManifest } from './component-store.js';
import type { DecodeCall, RowUrgency, SemanticPiece } from './decode-tasks.js';
import type { SamplingOptions } from './engine-types.js';
import type { EnrolmentNetworks } from './enrol-voice.js';
import type { InferenceThreads } from './inference-threads.js';
import type { ModelStore, StoredModel } from './model-store.js';
import type { PaceControl } from './pace-control.js';
import type { PhonemeTimes, RenderCall, RenderFeed } from './render-tasks.js';
import { checkedTokens, type FaultOutcome, type SpeechFault } from './self-check.js';
import { TextCache } from './text-cache.js';
import type { VoiceProfile } from './voice-profile.js';
import { firstWindowTokens } from './waveform-stream.js';

/** Sampling where neither the request nor the model says otherwise (upstream: api_v2.py). */
const DEFAULT_SAMPLING: SamplingOptions = { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 };

/** Tokens a phoneme may take at most before the sentence counts as run away: 0.4 s, with 2 s for pauses. */
const MAX_TOKENS_PER_PHONEME = 10;
const MAX_PAUSE_TOKENS = 50;

/**
 * Tokens that the self-check may still draw again: those of the first sentence's first window (0.48 s, or 0.32 s), which
 * nobody hears before they are all there; 3 s of a later sentence, which is decoded while the one before it is heard; all of
 * one that nobody listens to yet.
 */
const HELD_OF_LATER_SENTENCES = 75;

/** One sentence for text-to-semantic. */
export interface SemanticInput {
  readonly voice: VoiceProfile;
  readonly phonemes: PhonemeSentence;
  readonly bertFeatures: Float32Array | null;
  readonly sampling: Partial<SamplingOptions> | undefined;
  readonly seed: number;
  readonly sentenceIndex: number;
  /** Absent: `stream`, somebody listens while it is made. */
  readonly urgency?: RowUrgency;
  /** Among equals, tenants take turns. Absent: one tenant for all who name none. */
  readonly tenant?: string;
  /** When the listener has heard everything that came before (Unix time); absent: nothing has come yet. */
  readonly playedOutMs?: number | null;
  /** Absent or null: the model as it is. */
  readonly adapter?: AdapterSource | null;
  /** The draw to begin with; above 0 where earlier ones were found wanting. Absent: 0. */
  readonly firstDraw?: number;
  /** Hears what the self-check found wrong with the sentence, and what was done about it. */
  readonly onFault?: (fault: SpeechFault, outcome: FaultOutcome) => void;
}

/** One sentence for the waveform decoder. */
export interface WaveformInput {
  readonly voice: VoiceProfile;
  readonly phonemes: PhonemeSentence;
  /** As they are decoded; the last piece says so. */
  readonly semanticTokens: AsyncIterable<SemanticPiece>;
  readonly pace: PaceControl;
  readonly seed: number;
  readonly sentenceIndex: number;
  /** When the listener has heard everything that came before (Unix time); null when nothing has come yet. */
  readonly playedOutMs: number | null;
  /** Absent or null: the model as it is. */
  readonly adapter?: AdapterSource | null;
  /** Hears the sample at which each phoneme begins, and at last how many samples there are, before the last samples come. */
  readonly onPhonemes?: (starts: Float64Array) => void;
}

/** A model on the inference threads: the steps between phonemes and samples, each of which can be cancelled. */
export interface SpeechModel {
  readonly name: string;
  readonly digest: string;
  readonly sampleRateHz: number;
  readonly symbols: SymbolVersion;
  /** What enrolling a voice runs. */
  readonly enrolment: EnrolmentNetworks;
  /** Loads what speaking needs, so that the first request does not wait for it. */
  load(): Promise<void>;
  /** The phonemes of a sentence, from the tenant's cache where it was read before. Throws as `textToPhonemes`. */
  phonemes(
    text: string,
    options: { readonly language: LanguageMode; readonly readings?: readonly FixedReading[] },
    tenant?: string,
  ): Promise<PhonemeSentence>;
  /**
   * Text features of a sentence (phonemes, width), or null where the model has no BERT. What the network said about a
   * text is kept for its tenant.
   */
  bertFeatures(phonemes: PhonemeSentence, signal?: AbortSignal, tenant?: string): Promise<Float32Array | null>;
  /**
   * Semantic tokens as they are decoded, one or a few at a time; the last piece says why the sentence is over. Leaving the
   * loop, or the signal, frees the sentence's place in the batch within one step.
   */
  semanticTokens(input: SemanticInput, signal?: AbortSignal): AsyncGenerator<SemanticPiece, void, undefined>;
  /** Samples in [-1, 1], window by window without gap or overlap, while tokens are still coming. */
  waveform(input: WaveformInput, signal?: AbortSignal): AsyncGenerator<Float32Array, void, undefined>;
}

/** Opens a stored model; its networks are loaded by the threads when first used. `texts` may serve several models. */
export function openSpeechModel(
  model: StoredModel,
  store: ModelStore,
  threads: InferenceThreads,
  texts: TextCache = new TextCache(0),
  polyphones: PolyphonePredictor | null = null,
): SpeechModel {
  const t2s = manifestOf(model, 'text2semantic');
  const sovits = manifestOf(model, 'sovits');
  const { bert } = model.manifests;
  const spec = sovits.settings as ModelSpec;
  const { bertWidth } = t2s.settings as Text2SemanticSettings;
  const textFeatures = bert ? bertOf(bert, store, threads, texts) : null;

  const features = async (
    sentence: PhonemeSentence,
    signal?: AbortSignal,
    tenant = '',
  ): Promise<Float32Array | null> => {
    if (!textFeatures) return null;
    const rows = new Float32Array(sentence.phonemeIds.length * bertWidth);
    let phoneme = 0;
    for (const segment of sentence.segments) {
      if (segment.language === 'zh' && segment.word2ph)
        rows.set(await textFeatures(segment.normalizedText, segment.word2ph, tenant, signal), phoneme * bertWidth);
      phoneme += segment.phonemeIds.length;
    }
    return rows;
  };

  const firstTokens = firstWindowTokens(spec);
  return {
    name: model.name,
    digest: model.digest,
    sampleRateHz: spec.sampleRateHz,
    symbols: spec.symbolTable,
    enrolment: { spec, polyphones, bertFeatures: features, ...enrolmentOf(model, sovits.digest, threads) },

    async load() {
      await Promise.all([
        threads.decode.call('load', { component: t2s.digest }),
        threads.render.call('load', { component: sovits.digest }),
        ...(bert ? [threads.analyse.call('load', { component: bert.digest })] : []),
      ]);
    },

    phonemes(text, { language, readings = [] }, tenant = '') {
      const options = { language, symbols: spec.symbolTable, readings };
      return texts.phonemes(tenant, text, options, () => textToPhonemes(text, { ...options, polyphones }));
    },

    bertFeatures: features,

    async *semanticTokens({ voice, phonemes, bertFeatures, sampling, seed, sentenceIndex, ...place }, signal) {
      const { prompt } = voice;
      const { urgency = 'stream' } = place;
      const call: DecodeCall = {
        component: t2s.digest,
        firstWindowTokens: firstTokens,
        phonemeIds: prompt ? [...prompt.phonemeIds, ...phonemes.phonemeIds] : phonemes.phonemeIds,
        bertFeatures: withPrompt(bertFeatures, voice, bertWidth),
        promptSemantic: prompt?.semanticTokens ?? null,
        sampling: { ...DEFAULT_SAMPLING, ...model.sampling, ...sampling },
        seed,
        sentenceKey: sentenceIndex,
        maxNewTokens: MAX_PAUSE_TOKENS + MAX_TOKENS_PER_PHONEME * phonemes.phonemeIds.length,
        urgency,
        tenant: place.tenant ?? '',
        deadlineMs: place.playedOutMs ?? null,
        adapter: place.adapter ?? null,
      };
      const early = sentenceIndex === 0 ? firstTokens : HELD_OF_LATER_SENTENCES;
      yield* checkedTokens(
        (drawSeed) => threads.decode.stream<SemanticPiece, void>('decode', { ...call, seed: drawSeed }, { signal }),
        {
          seed,
          firstDraw: place.firstDraw ?? 0,
          expectation: { phonemeCount: phonemes.phonemeIds.length, prompt },
          heldTokens: urgency === 'stream' ? early : Number.POSITIVE_INFINITY,
          ...(place.onFault && { onFault: place.onFault }),
        },
      );
    },

    async *waveform(
      { voice, phonemes, semanticTokens, pace, seed, sentenceIndex, playedOutMs, adapter = null, onPhonemes },
      signal,
    ) {
      const call: RenderCall = {
        component: sovits.digest,
        phonemeIds: phonemes.phonemeIds,
        globalEmbedding: voice.globalEmbedding,
        speed: pace.speed,
        key: { seed, sentence: sentenceIndex },
        playedOutMs,
        adapter,
      };
      const feed = (send: (item: RenderFeed) => void, fail: (error: unknown) => void): (() => void) => {
        const forward = async (): Promise<void> => {
          for await (const piece of semanticTokens) send(piece);
        };
        forward().catch(fail);
        return pace.subscribe((speed) => send({ speed }));
      };
      const pieces = threads.render.stream<Float32Array | PhonemeTimes, void>('render', call, { signal, feed });
      for await (const piece of pieces) {
        if (piece instanceof Float32Array) yield piece;
        else onPhonemes?.(piece.phonemeStarts);
      }
    },
  };
}

/** The features of the prompt's phonemes, then the sentence's; null where neither has any. */
function withPrompt(sentence: Float32Array | null, voice: VoiceProfile, width: number): Float32Array | null {
  const { prompt } = voice;
  if (!sentence || !prompt) return sentence;
  const rows = new Float32Array(prompt.phonemeIds.length * width + sentence.length);
  if (prompt.bertFeatures) rows.set(prompt.bertFeatures);
  rows.set(sentence, prompt.phonemeIds.length * width);
  return rows;
}

function bertOf(
  manifest: ComponentManifest,
  store: ModelStore,
  threads: InferenceThreads,
  texts: TextCache,
): (text: string, word2ph: readonly number[], tenant: string, signal?: AbortSignal) => Promise<Float32Array> {
  const { width, maxTokens } = manifest.settings as BertSpec;
  const folder = store.components.folderOf(manifest.digest);
  let tokenizer: BertTokenizer | null = null;
  return (text, word2ph, tenant, signal) => {
    tokenizer ??= createBertTokenizer({
      ...textFile(folder, 'tokenizer.json', 'tokenizerJson'),
      ...textFile(folder, 'vocab.txt', 'vocabulary'),
      ...textFile(folder, 'tokenizer_config.json', 'tokenizerConfig'),
    });
    const run = (ids: readonly number[]): Promise<Float32Array> =>
      texts.hiddenStates(tenant, manifest.digest, ids, () =>
        threads.analyse.call<Float32Array>('bert', { component: manifest.digest, ids } satisfies BertCall, { signal }),
      );
    return bertFeatures(text, word2ph, { tokenizer, width, maxTokens, run });
  };
}

function enrolmentOf(
  model: StoredModel,
  sovits: string,
  threads: InferenceThreads,
): Omit<EnrolmentNetworks, 'spec' | 'polyphones' | 'bertFeatures'> {
  const components: EnrolmentComponents = {
    sovits,
    hubert: model.manifests.hubert?.digest ?? null,
    speaker: model.manifests['speaker-encoder']?.digest ?? null,
  };
  return {
    semanticTokens: components.hubert
      ? (wave16k) =>
          threads.analyse.call<Int32Array>('semanticTokens', { components, wave16k } satisfies SemanticTokensCall)
      : null,
    globalEmbedding: (spectrogram, frames, speakerVector) =>
      threads.analyse.call<Float32Array>('globalEmbedding', {
        components,
        spectrogram,
        frames,
        speakerVector,
      } satisfies GlobalEmbeddingCall),
    speakerVector: components.speaker
      ? (fbank, frames) =>
          threads.analyse.call<Float32Array>('speakerVector', { components, fbank, frames } satisfies SpeakerVectorCall)
      : null,
  };
}

function manifestOf(model: StoredModel, kind: 'text2semantic' | 'sovits'): ComponentManifest {
  const manifest = model.manifests[kind];
  if (!manifest) {
    throw new AppError('MODEL_STORE_CORRUPT', `model "${model.name}" lacks its ${kind} component; import it again`);
  }
  return manifest;
}

/** The text of a file under `key`, or nothing where there is no such file. */
function textFile<K extends string>(folder: string, name: string, key: K): { readonly [key in K]?: string } {
  const path = join(folder, name);
  return existsSync(path) ? ({ [key]: readFileSync(path, 'utf8') } as { readonly [key in K]: string }) : {};
}
