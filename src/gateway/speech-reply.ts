import type { OutgoingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { AppError } from '../errors.js';
import type { SpokenSpan } from '../jobs/speech-queue.js';
import type { GatewayOptions } from './app.js';
import { addRateHeaders } from './authentication.js';
import { toAppError } from './error-answers.js';
import type { OpenSpeech, SpeechPiece } from './speech.js';

export interface ReplyCancel {
  /**
   * Aborts when the caller leaves, when the time is over, or when a reader takes nothing for too long. Made when it is asked
   * for, and its timer with it: speech that was made before needs neither.
   */
  readonly signal: AbortSignal;
  /** Encoded audio between the queue and a slow reader. */
  readonly bufferBytes: number;
  /** The synthesis is over: its time no longer counts. */
  done(): void;
  /** Starts the reader's time; the function it returns ends it. */
  whileReaderWaits(): () => void;
}

export function cancelWhenGone(reply: FastifyReply, config: GatewayOptions['config']): ReplyCancel {
  return new GoneCancel(reply, config);
}

class GoneCancel implements ReplyCancel {
  readonly #reply: FastifyReply;
  readonly #config: GatewayOptions['config'];
  readonly #askedMs = performance.now();
  #abort: AbortController | null = null;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(reply: FastifyReply, config: GatewayOptions['config']) {
    this.#reply = reply;
    this.#config = config;
  }

  get signal(): AbortSignal {
    this.#abort ??= this.#listen(new AbortController());
    return this.#abort.signal;
  }

  get bufferBytes(): number {
    return this.#config.audioBufferBytes;
  }

  done(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  whileReaderWaits(): () => void {
    const stalled = setTimeout(() => {
      this.#abort?.abort(new AppError('REQUEST_TIMEOUT', 'the reader of the stream took nothing for too long'));
      this.#reply.raw.destroy();
    }, this.#config.readerTimeoutMs);
    return () => clearTimeout(stalled);
  }

  #listen(abort: AbortController): AbortController {
    const { raw } = this.#reply;
    const gone = () => {
      this.done();
      if (!raw.writableFinished) abort.abort(new AppError('REQUEST_CANCELLED', 'the caller left before the end'));
    };
    // He may have left before anybody asked.
    if (raw.closed) gone();
    else raw.on('close', gone);
    if (!this.#over) {
      const { requestTimeoutMs } = this.#config;
      const leftMs = this.#askedMs + requestTimeoutMs - performance.now();
      this.#timer = setTimeout(() => this.#outOfTime(abort, requestTimeoutMs / 1000), Math.max(0, leftMs));
    }
    return abort;
  }

  #outOfTime(abort: AbortController, seconds: number): void {
    abort.abort(new AppError('REQUEST_TIMEOUT', `the synthesis took longer than ${seconds} s; send a shorter text`));
    // A stream has begun its answer: all that is left to say is that it ends here.
    if (this.#reply.raw.headersSent) this.#reply.raw.destroy();
  }
}

/** How the pieces of a stream are written. */
export interface PieceWriter {
  readonly piece: (piece: SpeechPiece) => Uint8Array | string;
  /** After the last piece. */
  readonly end?: () => string;
  /** What a reader is told when the synthesis fails in the middle; without it the connection breaks. */
  readonly failure?: (error: AppError) => string;
}

/** Answers with the audio as it is made. */
export function sendSpeech(reply: FastifyReply, open: OpenSpeech, cancel: ReplyCancel): FastifyReply {
  reply.type(open.contentType);
  if (open.whole !== undefined) {
    cancel.done();
    return sendWhole(speechHeaders(reply, open), open.whole);
  }
  return sendPieces(reply, open, cancel, { piece: ({ bytes }) => bytes });
}

/**
 * One write of the parts as they lie in memory. Joined for Fastify to send, each answer would be an allocation of its own
 * size, for which V8 collects all garbage every second, and which pushes everything else out of the processor's cache.
 */
function sendWhole(reply: FastifyReply, parts: readonly Uint8Array[]): FastifyReply {
  addRateHeaders(reply);
  const lengthBytes = parts.reduce((sum, part) => sum + part.length, 0);
  reply.hijack().header('content-length', String(lengthBytes));
  // Typed for what a request may have as well; an answer's are text and numbers.
  reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
  for (const part of parts) reply.raw.write(part);
  reply.raw.end();
  return reply;
}

/** Answers with what `writer` makes of each piece as it is made. */
export function sendPieces(
  reply: FastifyReply,
  open: OpenSpeech,
  cancel: ReplyCancel,
  writer: PieceWriter,
): FastifyReply {
  return speechHeaders(reply, open).send(
    Readable.from(writePieces(open, cancel, writer), { objectMode: false, highWaterMark: cancel.bufferBytes }),
  );
}

function speechHeaders(reply: FastifyReply, open: OpenSpeech): FastifyReply {
  return reply
    .header('x-timbre-sample-rate', String(open.outputHz))
    .header('x-timbre-faults', String(open.faults))
    .header('x-accel-buffering', 'no');
}

async function* writePieces(
  open: OpenSpeech,
  cancel: ReplyCancel,
  writer: PieceWriter,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = cancel;
  let stopTimer = () => {};
  const taken = async function* (written: Uint8Array | string) {
    if (written.length === 0) return;
    stopTimer = cancel.whileReaderWaits();
    yield typeof written === 'string' ? Buffer.from(written) : written;
    stopTimer();
  };
  try {
    for await (const piece of open.pieces) yield* taken(writer.piece(piece));
    yield* taken(writer.end?.() ?? '');
  } catch (error) {
    if (writer.failure === undefined || signal.aborted) throw error;
    yield* taken(writer.failure(toAppError(error)));
  } finally {
    stopTimer();
    await open.pieces.return();
  }
}

/** All of it at once, for answers that hold the audio in JSON or say how long it is, and when its text is heard. */
export async function collectSpeech(
  open: OpenSpeech,
): Promise<{ readonly bytes: Buffer; readonly lengthSamples: number; readonly spoken: readonly SpokenSpan[] }> {
  const parts: Uint8Array[] = [];
  const spoken: SpokenSpan[] = [];
  let lengthSamples = 0;
  for await (const piece of open.pieces) {
    parts.push(piece.bytes);
    spoken.push(...(piece.spoken ?? []));
    lengthSamples += piece.lengthSamples;
  }
  const bytes = Buffer.concat(parts);
  const header = open.fileHeader();
  if (header !== null) bytes.set(header, 0);
  return { bytes, lengthSamples, spoken };
}
