import type { FastifyRequest } from 'fastify';
import type { LabelledEncoder } from '../audio/labelled-encoder.js';
import { AppError } from '../errors.js';
import type { AudioEvent, SpeechRequest } from '../jobs/speech-queue.js';
import { type Alignment, alignText, type TimedSpan, timedSpans } from './alignment.js';
import type { GatewayOptions } from './app.js';
import { markupOf } from './markup.js';
import { createSpeechEncoder, type SpeechOutput, type StartedSpeech, startSpeech } from './speech.js';

/** A stretch of text that is spoken at once. Offsets are UTF-16 units of all text that the context was given. */
export interface TextChunk {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly endsSentence: boolean;
}

/** Cuts text that comes in pieces; the engine's side provides it. */
export interface TextSegmenter {
  /** Characters that wait for what comes next. */
  readonly pending: number;
  push(piece: string): TextChunk[];
  /** The waiting is over: what can be said without breaking a word. */
  deadline(): TextChunk[];
  /** The text is over. */
  end(): TextChunk[];
}

/** What becomes of a context, in order. */
export type ContextEvent =
  | { readonly type: 'started'; readonly encoder: LabelledEncoder }
  | { readonly type: 'chunk'; readonly chunk: TextChunk; readonly startSeconds: number }
  /** With the last audio of a chunk, when each of its characters is heard. */
  | { readonly type: 'audio'; readonly bytes: Uint8Array; readonly seconds: number }
  | { readonly type: 'aligned'; readonly chunk: TextChunk; readonly alignment: Alignment }
  /** A mark of the markup, before the audio that it stands before. */
  | { readonly type: 'mark'; readonly name: string; readonly timeSeconds: number }
  | { readonly type: 'flushed' }
  | { readonly type: 'done'; readonly seconds: number };

/** Text that is spoken as a whole, when it has ended: an SSML document. */
export class WholeText implements TextSegmenter {
  #text = '';

  get pending(): number {
    return this.#text.length;
  }

  push(piece: string): TextChunk[] {
    this.#text += piece;
    return [];
  }

  deadline(): TextChunk[] {
    return [];
  }

  end(): TextChunk[] {
    const text = this.#text;
    this.#text = '';
    return text.trim() === '' ? [] : [{ text, start: 0, end: text.length, endsSentence: true }];
  }
}

export interface SpeechContextOptions {
  readonly gateway: GatewayOptions;
  readonly request: FastifyRequest;
  readonly id: string;
  readonly speech: Omit<SpeechRequest, 'text'>;
  readonly output: SpeechOutput;
  readonly segmenter: TextSegmenter;
  /** As in {@link SpeechCall}. */
  readonly adapter?: string | undefined;
  /** Resolves when there is room for more: what holds it back holds back the engine. */
  readonly emit: (event: ContextEvent) => Promise<void>;
  /** The context ended by an error; not called for a cancelled one. */
  readonly fail: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export interface Spoken {
  /** As far as audio was sent, or played where the caller says how much. */
  readonly text: string;
  readonly characters: number;
  readonly seconds: number;
}

/** Text that waits to be spoken, of one context. */
const MAX_WAITING_CHARACTERS = 20_000;
const SENTENCE_PAUSE_SECONDS = 0.3;
const PHRASE_PAUSE_SECONDS = 0.1;

/** Between Latin letters and Chinese characters. */
const SECONDS_A_CHARACTER = 0.1;

interface SpokenChunk {
  readonly chunk: TextChunk;
  readonly startSeconds: number;
  /** Infinite while it is being said. */
  endSeconds: number;
  /** When which part of the chunk is heard, as far as it is known. */
  readonly spans: TimedSpan[];
  /** Which of its units are markup: none, unless it is an SSML document. */
  readonly markup: Uint8Array;
}

interface BegunChunk {
  readonly chunk: TextChunk;
  readonly started: Promise<StartedSpeech>;
}

type Work = { readonly chunk: TextChunk } | 'flushed' | 'done';

/** Text in, piece by piece; audio out, chunk by chunk, the next chunk being begun while one is sent. */
export class SpeechContext {
  readonly #options: SpeechContextOptions;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #work: Work[] = [];
  readonly #spoken: SpokenChunk[] = [];
  #wake: (() => void) | null = null;
  #waitingCharacters = 0;
  #text = '';
  #ended = false;
  #encoder: LabelledEncoder | null = null;
  #seconds = 0;
  #chunkCount = 0;

  constructor(options: SpeechContextOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#abort.signal]);
    this.#signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    void this.#run();
  }

  /** More text. Throws `TEXT_TOO_LONG` when more waits than may, `REQUEST_INVALID` after the end. */
  push(text: string): void {
    if (this.#ended)
      throw new AppError('REQUEST_INVALID', 'this context has ended and takes no more text; open another');
    const waiting = this.#waitingCharacters + this.#options.segmenter.pending + text.length;
    if (waiting > MAX_WAITING_CHARACTERS) {
      throw new AppError(
        'TEXT_TOO_LONG',
        `${waiting} characters would wait to be spoken; at most ${MAX_WAITING_CHARACTERS} may: send text as it is heard`,
      );
    }
    this.#text += text;
    this.#add(this.#options.segmenter.push(text));
  }

  /** Says now what can be said of the text so far. */
  flush(): void {
    if (this.#ended) return;
    this.#add(this.#options.segmenter.deadline());
    this.#queue('flushed');
  }

  /** Says now all of the text so far, whether a word ends there or not, and goes on. */
  flushAll(): void {
    if (this.#ended) return;
    this.#add(this.#options.segmenter.end());
    this.#queue('flushed');
  }

  /** No more text: `done` follows the last audio. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#add(this.#options.segmenter.end());
    this.#queue('done');
  }

  /** Stops at once and says what was spoken, up to `playedSeconds` where the caller knows that it played less. */
  cancel(playedSeconds = Number.POSITIVE_INFINITY): Spoken {
    this.#ended = true;
    this.#abort.abort(new AppError('REQUEST_CANCELLED', 'the context was cancelled'));
    const seconds = Math.min(playedSeconds, this.#seconds);
    let characters = 0;
    for (const { chunk, startSeconds, endSeconds, spans, markup } of this.#spoken) {
      if (seconds >= endSeconds) characters = chunk.end;
      else if (seconds > startSeconds) {
        // Of a chunk that is still being made the length is not known yet.
        const guess = Math.max(this.#seconds, startSeconds + chunk.text.length * SECONDS_A_CHARACTER);
        const end = Number.isFinite(endSeconds) ? endSeconds : guess;
        const { endSeconds: ends } = alignText(chunk.text, { startSeconds, endSeconds: end }, spans, { markup });
        const heard = [...chunk.text].slice(0, ends.filter((ended) => ended <= seconds).length).join('').length;
        characters = Math.max(characters, Math.min(chunk.end, chunk.start + heard));
      }
    }
    return { text: this.#text.slice(0, characters), characters, seconds };
  }

  #add(chunks: readonly TextChunk[]): void {
    for (const chunk of chunks) {
      this.#waitingCharacters += chunk.text.length;
      this.#queue({ chunk });
    }
  }

  #queue(work: Work): void {
    this.#work.push(work);
    this.#wake?.();
  }

  async #run(): Promise<void> {
    try {
      let ahead: BegunChunk | null = null;
      for (;;) {
        const begun: BegunChunk | null = ahead;
        const work: Work = begun ?? (await this.#next());
        ahead = null;
        if (work === 'done') return await this.#finish();
        if (work === 'flushed') {
          await this.#options.emit({ type: 'flushed' });
          continue;
        }
        const starting = begun !== null ? begun.started : this.#start(work.chunk);
        const started = await readableOrNull(starting);
        // The next chunk is begun now, so that it is ready when this one has been heard.
        const next = this.#work[0];
        if (typeof next === 'object') {
          this.#work.shift();
          ahead = { chunk: next.chunk, started: this.#start(next.chunk) };
          ahead.started.catch(() => {});
        }
        if (started !== null) await this.#speak(work.chunk, started);
      }
    } catch (error) {
      if (!this.#signal.aborted) this.#options.fail(error);
    } finally {
      this.#ended = true;
      this.#abort.abort(new AppError('REQUEST_CANCELLED', 'the context has ended'));
      this.#encoder?.discard();
    }
  }

  async #next(): Promise<Work> {
    for (;;) {
      this.#signal.throwIfAborted();
      const work = this.#work.shift();
      if (work !== undefined) return work;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }

  #start(chunk: TextChunk): Promise<StartedSpeech> {
    const { gateway, request, id, speech, adapter } = this.#options;
    return startSpeech(gateway, {
      request,
      id: `${id}.${++this.#chunkCount}`,
      speech: { ...speech, text: chunk.text },
      textCharacters: [...chunk.text].length,
      adapter,
      cancel: { signal: this.#signal },
    });
  }

  async #speak(chunk: TextChunk, { first, rest }: StartedSpeech): Promise<void> {
    const { emit } = this.#options;
    try {
      const inputHz = first.sampleRateHz;
      if (this.#encoder === null) {
        const { gateway, id, output } = this.#options;
        this.#encoder = await createSpeechEncoder(gateway, { id, inputHz, output });
        await emit({ type: 'started', encoder: this.#encoder });
        this.#seconds = this.#encoder.leadSamples / inputHz;
      }
      // After a phrase its pause was sent already; a sentence has a longer one.
      if (this.#spoken.at(-1)?.chunk.endsSentence)
        await this.#silence(SENTENCE_PAUSE_SECONDS - PHRASE_PAUSE_SECONDS, inputHz);
      this.#waitingCharacters -= chunk.text.length;
      const isDocument = this.#options.speech.inputType === 'ssml';
      const markup = isDocument ? markupOf(chunk.text) : new Uint8Array(chunk.text.length);
      const entry = { chunk, startSeconds: this.#seconds, endSeconds: Number.POSITIVE_INFINITY, spans: [], markup };
      this.#spoken.push(entry);
      await emit({ type: 'chunk', chunk, startSeconds: this.#seconds });
      await this.#hear(first, entry);
      for await (const event of rest) await this.#hear(event, entry);
      entry.endSeconds = this.#seconds;
      await emit({ type: 'aligned', chunk, alignment: alignText(chunk.text, entry, entry.spans, { markup }) });
      // At once, so that the end of the speech, of which encoders hold a moment back, is heard before more text comes.
      if (this.#work[0] !== 'done') await this.#silence(PHRASE_PAUSE_SECONDS, inputHz);
    } finally {
      await rest.return();
    }
  }

  /** Audio of a chunk, after the marks that stand before it. */
  async #hear(
    { samples, sampleRateHz, marks = [], spoken = [] }: AudioEvent,
    { startSeconds, spans }: SpokenChunk,
  ): Promise<void> {
    spans.push(...timedSpans(spoken, sampleRateHz, startSeconds));
    for (const { name, timeMs } of marks) {
      await this.#options.emit({ type: 'mark', name, timeSeconds: startSeconds + timeMs / 1000 });
    }
    await this.#sound(samples, sampleRateHz);
  }

  async #silence(seconds: number, sampleRateHz: number): Promise<void> {
    await this.#sound(new Float32Array(Math.round(seconds * sampleRateHz)), sampleRateHz);
  }

  async #sound(samples: Float32Array, sampleRateHz: number): Promise<void> {
    this.#signal.throwIfAborted();
    const bytes = this.#encoder?.push(samples) ?? new Uint8Array();
    const seconds = samples.length / sampleRateHz;
    if (bytes.length > 0) await this.#options.emit({ type: 'audio', bytes, seconds });
    this.#seconds += seconds;
  }

  async #finish(): Promise<void> {
    const bytes = this.#encoder?.finish() ?? new Uint8Array();
    if (bytes.length > 0) await this.#options.emit({ type: 'audio', bytes, seconds: 0 });
    await this.#options.emit({ type: 'done', seconds: this.#seconds });
  }
}

/** A chunk of nothing but marks is passed over: a model may write one between two sentences. */
async function readableOrNull(started: Promise<StartedSpeech>): Promise<StartedSpeech | null> {
  try {
    return await started;
  } catch (error) {
    if (error instanceof AppError && (error.code === 'TEXT_UNREADABLE' || error.code === 'TEXT_EMPTY')) return null;
    throw error;
  }
}
