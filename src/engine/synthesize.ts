import { AppError } from '../errors.js';
import { splitSentences } from '../text/frontend.js';
import type { PhonemeSentence } from '../text/language.js';
import type { SemanticPiece } from './decode-tasks.js';
import type { AudioChunk, SynthesisRequest } from './engine-types.js';
import { PaceControl } from './pace-control.js';
import type { SpeechModel } from './speech-model.js';
import type { VoiceProfile } from './voice-profile.js';

/** Silence after a sentence where the request says nothing (upstream: fragment_interval 0.3 s), and inside one. */
const SENTENCE_PAUSE_MS = 300;
const PHRASE_PAUSE_MS = 100;
const SENTENCE_END = /[。！？.!?…~—][”’"'）)】」』》〉\]}]{0,30}$/u;

/** Sentences whose tokens are made while an earlier one is heard; none before the first one is, so that it comes soon. */
const SENTENCES_AHEAD = 2;

export interface SynthesisControl {
  readonly signal?: AbortSignal | undefined;
  /** Changes the pace while the synthesis runs; absent: it stays that of the request. */
  readonly pace?: PaceControl | undefined;
}

/**
 * The main job, text in and speech out, in the order it happens: sentences, phonemes, text features, semantic tokens,
 * waveform. Yields audio while tokens are still being decoded; the same request, voice and model give the same samples,
 * whoever else is being served (unless the pace is changed on the way).
 *
 * @throws AppError `TEXT_EMPTY`, `TEXT_UNREADABLE`, `LANGUAGE_UNSUPPORTED`, `SYNTHESIS_FAILED`; `signal.reason` once aborted.
 */
export async function* synthesize(
  request: SynthesisRequest,
  voice: VoiceProfile,
  model: SpeechModel,
  control: SynthesisControl = {},
): AsyncGenerator<AudioChunk, void, undefined> {
  const left = new AbortController();
  const signal = control.signal ? AbortSignal.any([control.signal, left.signal]) : left.signal;
  const pace = control.pace ?? new PaceControl(request.speed);
  const { sampling, seed } = request;
  const { sampleRateHz } = model;
  const sentences = splitSentences(request.text, {
    method: request.splitMethod ?? 'sentence',
    language: request.language,
    symbols: model.symbols,
  });
  const heard = new HeardClock(sampleRateHz);
  const chunk = (samples: Float32Array, sentenceIndex: number): AudioChunk => {
    heard.add(samples.length);
    return { samples, sampleRateHz, sentenceIndex, sentenceCount: sentences.length };
  };

  const prepare = async (text: string, sentenceIndex: number): Promise<Utterance | null> => {
    const phonemes = await readableOrNull(text, request, model);
    if (!phonemes) return null;
    const bertFeatures = await model.bertFeatures(phonemes, signal, request.tenant);
    const input = { voice, phonemes, bertFeatures, sampling, seed, sentenceIndex };
    return { phonemes, semanticTokens: startReading(model.semanticTokens(input, signal)) };
  };
  const utterances = new WorkAhead(sentences, prepare);

  let previous: number | null = null;
  try {
    for (const sentenceIndex of sentences.keys()) {
      const utterance = await utterances.take(sentenceIndex);
      if (!utterance) continue;
      if (previous !== null) {
        const pause = pauseAfter(sentences[previous] ?? '', request, sampleRateHz);
        if (pause.length > 0) yield chunk(pause, previous);
      }
      const waveform = model.waveform(
        { voice, ...utterance, pace, seed, sentenceIndex, playedOutMs: heard.playedOutMs },
        signal,
      );
      for await (const samples of waveform) {
        utterances.startThrough(sentenceIndex + SENTENCES_AHEAD);
        yield chunk(samples, sentenceIndex);
      }
      previous = sentenceIndex;
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
  readonly semanticTokens: AsyncIterable<SemanticPiece>;
}

/** When a caller who listens as audio comes has heard all of it. */
class HeardClock {
  readonly #sampleRateHz: number;
  /** Unix time; null before the first audio. */
  playedOutMs: number | null = null;

  constructor(sampleRateHz: number) {
    this.#sampleRateHz = sampleRateHz;
  }

  add(lengthSamples: number): void {
    const nowMs = Date.now();
    this.playedOutMs = Math.max(this.playedOutMs ?? nowMs, nowMs) + (1000 * lengthSamples) / this.#sampleRateHz;
  }
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

/** Starts `work` on items in order, each one once; nothing starts by itself but what is taken. */
class WorkAhead<T, R> {
  readonly #items: readonly T[];
  readonly #work: (item: T, index: number) => Promise<R>;
  readonly #running: (Promise<R> | null)[] = [];

  constructor(items: readonly T[], work: (item: T, index: number) => Promise<R>) {
    this.#items = items;
    this.#work = work;
  }

  startThrough(index: number): void {
    const last = Math.min(index, this.#items.length - 1);
    while (this.#running.length <= last) {
      const started = this.#work(this.#items[this.#running.length] as T, this.#running.length); // in range
      // A failure surfaces when its turn comes; until then it must not count as unhandled.
      started.catch(() => {});
      this.#running.push(started);
    }
  }

  /** The result of an item, which is let go. */
  async take(index: number): Promise<R> {
    this.startThrough(index);
    const result = await (this.#running[index] as Promise<R>); // started above
    this.#running[index] = null;
    return result;
  }
}

/**
 * Reads a sentence's tokens at once, whenever they are wanted; a sentence has at most 1,500. A failure surfaces where
 * they are read.
 */
function startReading(pieces: AsyncIterable<SemanticPiece>): AsyncIterable<SemanticPiece> {
  const read: SemanticPiece[] = [];
  let failure: { readonly error: unknown } | null = null;
  let over = false;
  let wake = (): void => {};
  void (async () => {
    try {
      for await (const piece of pieces) {
        read.push(piece);
        wake();
      }
    } catch (error) {
      failure = { error };
    }
    over = true;
    wake();
  })();
  return {
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const piece = read.shift();
        if (piece) yield piece;
        else if (failure) throw failure.error;
        else if (over) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    },
  };
}
