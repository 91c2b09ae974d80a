import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Compile } from 'typebox/compile';
import { type StreamEvent, StreamMessage } from '../../api/stream.js';
import { AppError } from '../../errors.js';
import type { GatewayOptions } from '../app.js';
import { callerOf, signIn } from '../authentication.js';
import { toAppError } from '../error-answers.js';
import { CLOSE_NORMAL, CLOSE_POLICY, Socket } from '../socket.js';
import { type ContextEvent, SpeechContext, WholeText } from '../speech-context.js';
import { chooseSeed } from '../synthesis-input.js';
import { defaultVoice, resolveVoice, voiceNamesOf } from '../voice-directory.js';

/** Contexts that one connection may have open at once. */
const MAX_CONTEXTS = 16;
const IDLE_TIMEOUT_MS = 300_000;
const DEFAULT_CONTEXT = 'default';

const messages = Compile(StreamMessage);

/** `/v1/stream`: our own WebSocket. docs/API.md describes its messages. */
export function registerStreamRoute(app: FastifyInstance, gateway: GatewayOptions): void {
  app.get('/v1/stream', { websocket: true, exposeHeadRoute: false, config: { access: 'late' } }, (socket, request) => {
    new StreamConnection(gateway, request, (onMessage) => {
      const { readerTimeoutMs } = gateway.config;
      return new Socket(socket, {
        readerTimeoutMs,
        idleTimeoutMs: IDLE_TIMEOUT_MS,
        draining: gateway.draining,
        onMessage,
      });
    });
  });
}

class StreamConnection {
  readonly #gateway: GatewayOptions;
  readonly #request: FastifyRequest;
  readonly #socket: Socket;
  readonly #contexts = new Map<string, SpeechContext>();
  /** Messages are handled one after another, though some wait for the catalog. */
  #handled: Promise<void> = Promise.resolve();
  #contextCount = 0;

  constructor(
    gateway: GatewayOptions,
    request: FastifyRequest,
    open: (onMessage: (message: unknown) => void) => Socket,
  ) {
    this.#gateway = gateway;
    this.#request = request;
    this.#socket = open((message) => {
      this.#handled = this.#handled.then(() => this.#handle(message));
    });
  }

  async #handle(received: unknown): Promise<void> {
    let contextId: string | null = null;
    try {
      const message = parseMessage(received);
      await this.#signIn(message);
      if ('context_id' in message) contextId = message.context_id ?? DEFAULT_CONTEXT;
      await this.#act(message, contextId ?? DEFAULT_CONTEXT);
    } catch (error) {
      this.#tellError(contextId, error);
    }
  }

  /** With the first message, which may bring the key: browsers cannot send headers. */
  async #signIn(message: StreamMessage): Promise<void> {
    if (this.#request.caller !== null) return;
    try {
      await signIn(this.#request, 'speech', message.type === 'start' ? (message.api_key ?? null) : null);
    } catch (error) {
      this.#tellError(null, error);
      this.#socket.close(CLOSE_POLICY, 'not signed in');
      throw error;
    }
  }

  async #act(message: StreamMessage, id: string): Promise<void> {
    switch (message.type) {
      case 'start':
        await this.#open(id, message);
        return;
      case 'text': {
        const context = this.#contexts.get(id) ?? (await this.#open(id, { type: 'start' }));
        context.push(message.text);
        return;
      }
      case 'flush':
        this.#contextOf(id).flush();
        return;
      case 'end':
        this.#contextOf(id).end();
        return;
      case 'cancel': {
        const played = message.played_ms === undefined ? undefined : message.played_ms / 1000;
        const spoken = this.#contextOf(id).cancel(played);
        this.#contexts.delete(id);
        await this.#send({
          type: 'cancelled',
          context_id: id,
          spoken_text: spoken.text,
          spoken_text_end: spoken.characters,
          spoken_ms: Math.round(spoken.seconds * 1000),
        });
        return;
      }
      case 'ping':
        await this.#send({ type: 'pong' });
        return;
      case 'close':
        for (const context of this.#contexts.values()) context.cancel();
        this.#socket.close(CLOSE_NORMAL, '');
        return;
      default:
        message satisfies never;
    }
  }

  #contextOf(id: string): SpeechContext {
    const context = this.#contexts.get(id);
    if (context !== undefined) return context;
    throw new AppError('REQUEST_INVALID', 'there is no such context; "start" or "text" opens one');
  }

  async #open(id: string, start: StreamMessage & { type: 'start' }): Promise<SpeechContext> {
    if (this.#contexts.has(id))
      throw new AppError('REQUEST_INVALID', 'this context is open already; end or cancel it first');
    if (this.#contexts.size >= MAX_CONTEXTS) {
      throw new AppError(
        'REQUEST_INVALID',
        `${MAX_CONTEXTS} contexts are open, which is all that one connection may have`,
      );
    }
    const { config, createSegmenter, lexicons } = this.#gateway;
    const names = voiceNamesOf(this.#gateway, this.#request);
    const voice = start.voice === undefined ? defaultVoice(names) : await resolveVoice(start.voice, names);
    const seed = chooseSeed(start.seed, config);
    const { tenantId } = callerOf(this.#request);
    const suppliedLexicons = start.lexicons && (await lexicons.named(tenantId, start.lexicons));
    const context = new SpeechContext({
      gateway: this.#gateway,
      request: this.#request,
      id: `${this.#request.id}.${++this.#contextCount}`,
      speech: {
        voice,
        language: start.language ?? 'auto',
        speed: start.speed ?? 1,
        seed,
        ...(start.input_type === undefined ? {} : { inputType: start.input_type }),
        ...(suppliedLexicons === undefined ? {} : { suppliedLexicons }),
      },
      output: {
        encoding: start.format ?? 'pcm',
        layout: 'stream',
        ...(start.sample_rate === undefined ? {} : { outputHz: start.sample_rate }),
        ...(start.bitrate_kbps === undefined ? {} : { bitrateKbps: start.bitrate_kbps }),
      },
      adapter: start.adapter,
      segmenter: start.input_type === 'ssml' ? new WholeText() : createSegmenter(),
      emit: (event) => this.#emit(id, context, { voice, seed }, event),
      fail: (error) => {
        if (this.#contexts.get(id) === context) this.#contexts.delete(id);
        this.#tellError(id, error);
      },
      signal: this.#socket.signal,
    });
    this.#contexts.set(id, context);
    return context;
  }

  async #emit(
    id: string,
    context: SpeechContext,
    { voice, seed }: { readonly voice: string; readonly seed: number },
    event: ContextEvent,
  ): Promise<void> {
    switch (event.type) {
      case 'started': {
        const { contentType: content_type, outputHz: sample_rate } = event.encoder;
        return await this.#send({ type: 'started', context_id: id, voice, seed, content_type, sample_rate });
      }
      case 'chunk': {
        const { start: text_start, end: text_end } = event.chunk;
        return await this.#send({
          type: 'chunk',
          context_id: id,
          text_start,
          text_end,
          start_ms: toMs(event.startSeconds),
        });
      }
      case 'audio':
        return await this.#socket.send(audioMessage(id, event.bytes));
      case 'aligned': {
        const { characters, startSeconds, endSeconds, words } = event.alignment;
        return await this.#send({
          type: 'alignment',
          context_id: id,
          text_start: event.chunk.start,
          characters,
          start_ms: startSeconds.map(toMs),
          end_ms: endSeconds.map(toMs),
          words: words.map((word) => ({
            text_start: event.chunk.start + word.start,
            text_end: event.chunk.start + word.end,
            start_ms: toMs(word.startSeconds),
            end_ms: toMs(word.endSeconds),
          })),
        });
      }
      case 'mark': {
        const { name, timeSeconds } = event;
        return await this.#send({ type: 'mark', context_id: id, name, time_ms: toMs(timeSeconds) });
      }
      case 'flushed':
        return await this.#send({ type: 'flushed', context_id: id });
      case 'done':
        // Before the message, so that whoever reads it may open the context again.
        if (this.#contexts.get(id) === context) this.#contexts.delete(id);
        return await this.#send({ type: 'done', context_id: id, duration_ms: toMs(event.seconds) });
      default:
        event satisfies never;
    }
  }

  async #send(event: StreamEvent): Promise<void> {
    await this.#socket.send(event);
  }

  #tellError(contextId: string | null, error: unknown): void {
    const { code, message } = toAppError(error);
    if (code === 'INTERNAL') this.#request.log.error({ err: error }, 'a stream failed');
    this.#socket.tell({ type: 'error', context_id: contextId, code, message } satisfies StreamEvent);
  }
}

function parseMessage(received: unknown): StreamMessage {
  if (received instanceof AppError) throw received;
  if (messages.Check(received)) return received;
  const type = typeof received === 'object' && received !== null ? Reflect.get(received, 'type') : undefined;
  throw new AppError(
    'REQUEST_INVALID',
    typeof type === 'string' && /^(start|text|flush|end|cancel|ping|close)$/.test(type)
      ? `the fields of this ${type} message are not those it may have; docs/API.md lists them`
      : 'the message has no known type; expected one of start, text, flush, end, cancel, ping, close',
  );
}

/** A byte with the length of the context's id, the id in UTF-8, then the audio. */
function audioMessage(contextId: string, bytes: Uint8Array): Uint8Array {
  const id = Buffer.from(contextId, 'utf8');
  return Buffer.concat([Buffer.from([id.length]), id, bytes]);
}

function toMs(seconds: number): number {
  return Math.round(seconds * 1000);
}
