import { AppError } from '../errors.js';
import { readText, type SpokenText } from '../text/frontend.js';
import type { PhonemeSentence } from '../text/language.js';
import type { CompiledLexicon } from '../text/lexicon.js';
import type { Delivery } from '../text/ssml.js';
import type { AdapterSource } from './adapter-store.js';
import type { SemanticPiece } from './decode-tasks.js';
import { deliveryEffects } from './delivery-effects.js';
import type { AudioChunk, AudioMark, SpokenSpan, SynthesisRequest } from './engine-types.js';
import { PaceControl } from './pace-control.js';
import { type Line, Script } from './script.js';
import { audibleWindows, type FaultOutcome, MAX_DRAWS, type SpeechFault } from './self-check.js';
import type { SpeechModel } from './speech-model.js';
import { spokenSpans } from './spoken-spans.js';
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
  readonly lexicon?: CompiledLexicon | null | undefined;
  /** The voice that markup asks for, of the same model; absent: markup cannot change the voice. */
  readonly voiceFor?: ((delivery: Delivery) => Promise<CastVoice>) | undefined;
  /** Hears what the self-check found wrong with a sentence, and what was done about it. */
  readonly onFault?: ((fault: SpeechFault, outcome: FaultOutcome) => void) | undefined;
}

/** A voice, with the adapter that it speaks with; null: as its model is. */
export interface CastVoice {
  readonly profile: VoiceProfile;
  readonly adapter: AdapterSource | null;
}

/**
 * The main job, text in and speech out, in the order it happens: sentences, phonemes, text features, semantic tokens,
 * waveform. Yields audio while tokens are still being decoded; the same request, voice and model give the same samples,
 * whoever else is being served (unless the pace is changed on the way).
 *
 * @throws AppError `TEXT_EMPTY`, `TEXT_UNREADABLE`, `LANGUAGE_UNSUPPORTED`, `SSML_INVALID`, `SYNTHESIS_FAILED`; `signal.reason` once aborted.
 */
export async function* synthesize(
  request: SynthesisRequest,
  voice: CastVoice,
  model: SpeechModel,
  control: SynthesisControl = {},
): AsyncGenerator<AudioChunk, void, undefined> {
  const left = new AbortController();
  const signal = control.signal ? AbortSignal.any([control.signal, left.signal]) : left.signal;
  const pace = control.pace ?? new PaceControl(request.speed);
  const { sampling, seed, tenant = '', urgency = 'stream' } = request;
  const { onFault = () => {} } = control;
  const { sampleRateHz } = model;
  const script = new Script(
    readText(request.text, {
      inputType: request.inputType ?? 'text',
      method: request.splitMethod ?? 'sentence',
      language: request.language,
      symbols: model.symbols,
      lexicon: control.lexicon ?? null,
    }),
    signal,
  );
  const heard = new HeardClock(sampleRateHz);
  const marks: AudioMark[] = [];
  const spans: SpokenSpan[] = [];
  const chunk = (samples: Float32Array, sentenceIndex: number): AudioChunk => {
    const reached = marks.splice(0);
    const spoken = spans.splice(0);
    heard.add(samples.length);
    return {
      samples,
      sampleRateHz,
      sentenceIndex,
      sentenceCount: script.sentenceCount,
      ...(reached.length === 0 ? {} : { marks: reached }),
      ...(spoken.length === 0 ? {} : { spoken }),
    };
  };

  const prepare = async ({ text }: Line, sentenceIndex: number): Promise<Utterance | null> => {
    if (text === null) return null;
    const phonemes = await readableOrNull(text, model, tenant);
    if (!phonemes) return null;
    const spokenBy = (await control.voiceFor?.(text.delivery)) ?? voice;
    const bertFeatures = await model.bertFeatures(phonemes, signal, tenant);
    const { playedOutMs } = heard;
    const place = { seed, sentenceIndex, tenant, urgency, adapter: spokenBy.adapter, playedOutMs };
    const input = { voice: spokenBy.profile, phonemes, bertFeatures, sampling, onFault, ...place };
    const draw = (firstDraw: number) => startReading(model.semanticTokens({ ...input, firstDraw }, signal));
    return { voice: spokenBy, phonemes, semanticTokens: draw(0), drawAgain: draw };
  };
  const utterances = new WorkAhead(script, prepare);

  let previous: SpokenText | null = null;
  let previousIndex = 0;
  try {
    for (let sentenceIndex = 0; ; sentenceIndex++) {
      const line = await script.at(sentenceIndex);
      if (line === null) break;
      const utterance = await utterances.take(sentenceIndex);
      const breakMs = line.before.reduce((sum, item) => sum + (item.type === 'break' ? item.durationMs : 0), 0);
      if (previous !== null && breakMs === 0 && utterance) {
        const pause = pauseAfter(previous, request, sampleRateHz);
        if (pause.length > 0) yield chunk(pause, previousIndex);
      }
      for (const item of line.before) {
        if (item.type === 'break') yield chunk(silence(item.durationMs, sampleRateHz), previousIndex);
        else marks.push({ name: item.name, timeMs: heard.lengthMs });
      }
      if (!utterance || line.text === null) continue;
      const effects = deliveryEffects(line.text.delivery);
      const ownPace = effects.paceFactor === 1 ? pace : pace.scaled(effects.paceFactor);
      const { voice: spokenBy, phonemes } = utterance;
      const { text } = line.text;
      const startSample = heard.lengthSamples;
      const onPhonemes = (starts: Float64Array): void => {
        const heardAt = starts.map((start) => startSample + effects.lengthOf(start));
        spans.splice(0, spans.length, ...spokenSpans(phonemes, text, heardAt));
      };
      const { profile, adapter } = spokenBy;
      const sentence = { voice: profile, phonemes, pace: ownPace, seed, sentenceIndex, adapter, onPhonemes };
      const waveform = (semanticTokens: AsyncIterable<SemanticPiece>) =>
        model.waveform({ ...sentence, semanticTokens, playedOutMs: heard.playedOutMs }, signal);
      for await (const samples of audible(utterance, waveform, sampleRateHz, onFault)) {
        utterances.startThrough(sentenceIndex + SENTENCES_AHEAD);
        const delivered = effects.apply(samples);
        if (delivered.length > 0) yield chunk(delivered, sentenceIndex);
      }
      const held = effects.finish();
      if (held.length > 0) yield chunk(held, sentenceIndex);
      if (ownPace !== pace) ownPace.release();
      previous = line.text;
      previousIndex = sentenceIndex;
    }
    if (marks.length > 0 && previous !== null) yield chunk(new Float32Array(), previousIndex);
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
  readonly voice: CastVoice;
  readonly phonemes: PhonemeSentence;
  readonly semanticTokens: AsyncIterable<SemanticPiece>;
  /** Other tokens of the same sentence, from the n-th draw on. */
  readonly drawAgain: (firstDraw: number) => AsyncIterable<SemanticPiece>;
}

/** A sentence's samples, drawn again where nothing of them can be heard. */
async function* audible(
  { semanticTokens, drawAgain }: Utterance,
  waveform: (tokens: AsyncIterable<SemanticPiece>) => AsyncIterable<Float32Array>,
  sampleRateHz: number,
  onFault: (fault: SpeechFault, outcome: FaultOutcome) => void,
): AsyncGenerator<Float32Array, void, undefined> {
  for (let draw = 0; draw < MAX_DRAWS - 1; draw++) {
    const windows = waveform(draw === 0 ? semanticTokens : drawAgain(draw));
    if ((yield* audibleWindows(windows, sampleRateHz)) === 'audible') return;
    onFault('silent', 'redrawn');
  }
  yield* waveform(drawAgain(MAX_DRAWS - 1));
}

/** When a caller who listens as audio comes has heard all of it. */
class HeardClock {
  readonly #sampleRateHz: number;
  /** How much there is to hear so far. */
  lengthSamples = 0;
  /** Unix time; null before the first audio. */
  playedOutMs: number | null = null;

  constructor(sampleRateHz: number) {
    this.#sampleRateHz = sampleRateHz;
  }

  get lengthMs(): number {
    return (1000 * this.lengthSamples) / this.#sampleRateHz;
  }

  add(lengthSamples: number): void {
    if (lengthSamples === 0) return;
    this.lengthSamples += lengthSamples;
    const nowMs = Date.now();
    this.playedOutMs = Math.max(this.playedOutMs ?? nowMs, nowMs) + (1000 * lengthSamples) / this.#sampleRateHz;
  }
}

function pauseAfter(sentence: SpokenText, request: SynthesisRequest, sampleRateHz: number): Float32Array {
  if (sentence.continues) return new Float32Array();
  const usual = SENTENCE_END.test(sentence.text.text) ? SENTENCE_PAUSE_MS : PHRASE_PAUSE_MS;
  return silence(request.sentencePauseMs ?? usual, sampleRateHz);
}

function silence(durationMs: number, sampleRateHz: number): Float32Array {
  return new Float32Array(Math.round((durationMs / 1000) * sampleRateHz));
}

/** A sentence of nothing but symbols is passed over where others can be spoken. */
async function readableOrNull(
  { text, readings, delivery }: SpokenText,
  model: SpeechModel,
  tenant: string,
): Promise<PhonemeSentence | null> {
  // By their places in the sentence, which may have been said before somewhere else.
  const placed = readings.map((reading) => {
    const [start, end] = text.unitsFrom(reading.start, reading.end);
    return { ...reading, start, end };
  });
  try {
    return await model.phonemes(text.text, { language: delivery.language, readings: placed }, tenant);
  } catch (error) {
    if (error instanceof AppError && (error.code === 'TEXT_UNREADABLE' || error.code === 'TEXT_EMPTY')) return null;
    throw error;
  }
}

/** Starts `work` on the lines of a script in order, each one once; nothing starts by itself but what is taken. */
class WorkAhead<R> {
  readonly #script: Script;
  readonly #work: (line: Line, index: number) => Promise<R>;
  readonly #running: (Promise<R | null> | null)[] = [];

  constructor(script: Script, work: (line: Line, index: number) => Promise<R>) {
    this.#script = script;
    this.#work = work;
  }

  startThrough(last: number): void {
    for (let index = this.#running.length; index <= last; index++) {
      const started = this.#script.at(index).then((line) => (line === null ? null : this.#work(line, index)));
      // A failure surfaces when its turn comes; until then it must not count as unhandled.
      started.catch(() => {});
      this.#running.push(started);
    }
  }

  /** The result of a line, which is let go; null behind the last one. */
  async take(index: number): Promise<R | null> {
    this.startThrough(index);
    const result = await (this.#running[index] as Promise<R | null>); // started above
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
