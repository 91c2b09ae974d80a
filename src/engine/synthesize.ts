import { AppError } from '../errors.js';
import { splitSentences } from '../text/frontend.js';
import type { PhonemeSentence } from '../text/language.js';
import type { SemanticPiece } from './decode-tasks.js';
import type { AudioChunk, SynthesisRequest } from './engine-types.js';
import type { SpeechModel } from './speech-model.js';
import type { VoiceProfile } from './voice-profile.js';

/** Silence after a sentence where the request says nothing (upstream: fragment_interval 0.3 s), and inside one. */
const SENTENCE_PAUSE_MS = 300;
const PHRASE_PAUSE_MS = 100;
const SENTENCE_END = /[。！？.!?…~—][”’"'）)】」』》〉\]}]{0,30}$/u;

/** Sentences whose tokens are made while an earlier one is being rendered or played. */
const SENTENCES_AHEAD = 2;

/**
 * The main job, text in and speech out, in the order it happens: sentences, phonemes, text features, semantic tokens,
 * waveform. Yields audio as it is made; the same request, voice and model give the same samples, whoever else is being
 * served.
 *
 * @throws AppError `TEXT_EMPTY`, `TEXT_UNREADABLE`, `LANGUAGE_UNSUPPORTED`, `SYNTHESIS_FAILED`; `signal.reason` once aborted.
 */
export async function* synthesize(
  request: SynthesisRequest,
  voice: VoiceProfile,
  model: SpeechModel,
  callerSignal?: AbortSignal,
): AsyncGenerator<AudioChunk, void, undefined> {
  const left = new AbortController();
  const signal = callerSignal ? AbortSignal.any([callerSignal, left.signal]) : left.signal;
  const sentences = splitSentences(request.text, {
    method: request.splitMethod ?? 'sentence',
    language: request.language,
    symbols: model.symbols,
  });
  const { sampleRateHz } = model;
  const sentenceCount = sentences.length;
  let previous: number | null = null;

  const speak = async (text: string, sentenceIndex: number): Promise<Utterance | null> => {
    const phonemes = await readableOrNull(text, request, model);
    if (!phonemes) return null;
    const bertFeatures = await model.bertFeatures(phonemes, signal, request.tenant);
    const { sampling, seed } = request;
    const semanticTokens = await collect(
      model.semanticTokens({ voice, phonemes, bertFeatures, sampling, seed, sentenceIndex }, signal),
    );
    return { phonemes, semanticTokens };
  };

  try {
    for await (const { index, result: utterance } of inOrder(sentences, SENTENCES_AHEAD, speak)) {
      if (!utterance) continue;
      if (previous !== null) {
        const samples = pauseAfter(sentences[previous] ?? '', request, sampleRateHz);
        if (samples.length > 0) yield { samples, sampleRateHz, sentenceIndex: previous, sentenceCount };
      }
      const { phonemes, semanticTokens } = utterance;
      const { speed, seed } = request;
      const waveform = model.waveform({ voice, phonemes, semanticTokens, speed, seed, sentenceIndex: index }, signal);
      for await (const samples of waveform) yield { samples, sampleRateHz, sentenceIndex: index, sentenceCount };
      previous = index;
    }
  } finally {
    // The caller may leave in the middle: sentences under way must not go on for nobody.
    left.abort();
  }
  if (previous === null) {
    throw new AppError(
      'TEXT_UNREADABLE',
      'the text holds nothing that can be spoken: no letters, characters or digits',
    );
  }
}

interface Utterance {
  readonly phonemes: PhonemeSentence;
  readonly semanticTokens: Int32Array;
}

async function collect(pieces: AsyncIterable<SemanticPiece>): Promise<Int32Array> {
  const tokens: number[] = [];
  for await (const piece of pieces) tokens.push(...piece.tokens);
  return Int32Array.from(tokens);
}

function pauseAfter(sentence: string, request: SynthesisRequest, sampleRateHz: number): Float32Array {
  const ms = request.sentencePauseMs ?? (SENTENCE_END.test(sentence) ? SENTENCE_PAUSE_MS : PHRASE_PAUSE_MS);
  return new Float32Array(Math.round((ms / 1000) * sampleRateHz));
}

/** A sentence of nothing but symbols is passed over where others can be spoken. */
async function readableOrNull(
  text: string,
  request: SynthesisRequest,
  model: SpeechModel,
): Promise<PhonemeSentence | null> {
  try {
    return await model.phonemes(text, { language: request.language }, request.tenant);
  } catch (error) {
    if (error instanceof AppError && (error.code === 'TEXT_UNREADABLE' || error.code === 'TEXT_EMPTY')) return null;
    throw error;
  }
}

/**
 * Runs `work` over `items`, at most `ahead` beyond the one being consumed, and yields the results in order. Leaving the
 * loop abandons what is under way (its signal is the caller's business).
 */
async function* inOrder<T, R>(
  items: readonly T[],
  ahead: number,
  work: (item: T, index: number) => Promise<R>,
): AsyncGenerator<{ index: number; result: R }, void, undefined> {
  const running: Promise<R>[] = [];
  for (let index = 0; index < items.length; index++) {
    while (running.length <= index + ahead && running.length < items.length) {
      const started = work(items[running.length] as T, running.length);
      // A failure surfaces when its turn comes; until then it must not count as unhandled.
      started.catch(() => {});
      running.push(started);
    }
    yield { index, result: await (running[index] as Promise<R>) };
    running[index] = Promise.resolve(undefined as R);
  }
}
