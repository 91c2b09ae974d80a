import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ElevenLabsStreamMessage } from '../../api/elevenlabs.js';
import { AppError } from '../../errors.js';
import type { Alignment } from '../alignment.js';
import type { GatewayOptions } from '../app.js';
import { signIn } from '../authentication.js';
import { compileFields } from '../check-fields.js';
import { renderError } from '../dialects.js';
import { toAppError } from '../error-answers.js';
import { CLOSE_INTERNAL, CLOSE_NORMAL, CLOSE_POLICY, Socket } from '../socket.js';
import type { SpeechOutput } from '../speech.js';
import { type ContextEvent, SpeechContext } from '../speech-context.js';
import { chooseSeed } from '../synthesis-input.js';
import { resolveVoice, voiceNamesOf } from '../voice-directory.js';
import { clampSpeed, ELEVENLABS_CONFIG, languageOfCode, locatedLexicons, parseOutputFormat } from './elevenlabs.js';

const MAX_CONTEXTS = 16;
const ONLY_CONTEXT = 'default';
const DEFAULT_INACTIVITY_SECONDS = 20;
const MAX_INACTIVITY_SECONDS = 180;

const messages = compileFields(ElevenLabsStreamMessage, ['text', 'xi-api-key', 'xi_api_key', 'authorization']);

type StreamRequest = FastifyRequest<{ Params: { voice_id: string }; Querystring: Record<string, unknown> }>;

/** ElevenLabs's WebSockets: one text on a connection (`stream-input`), or several contexts (`multi-stream-input`). */
export function registerElevenLabsWebSockets(app: FastifyInstance, gateway: GatewayOptions): void {
  for (const [path, multi] of [
    ['stream-input', false],
    ['multi-stream-input', true],
  ] as const) {
    app.get<{ Params: { voice_id: string }; Querystring: Record<string, unknown> }>(
      `/v1/text-to-speech/:voice_id/${path}`,
      { websocket: true, exposeHeadRoute: false, config: { ...ELEVENLABS_CONFIG, access: 'late' } },
      (socket, request) => {
        const asked = Number(request.query['inactivity_timeout'] ?? DEFAULT_INACTIVITY_SECONDS);
        const seconds = Math.min(MAX_INACTIVITY_SECONDS, Math.max(1, asked || DEFAULT_INACTIVITY_SECONDS));
        new ElevenLabsConnection(gateway, request, multi, (onMessage) => {
          const { readerTimeoutMs } = gateway.config;
          const { draining } = gateway;
          return new Socket(socket, { readerTimeoutMs, idleTimeoutMs: seconds * 1000, draining, onMessage });
        });
      },
    );
  }
}

interface OpenContext {
  readonly context: SpeechContext;
  /** Where the last chunk of text ended in the audio: times of the next one count from there. */
  alignedSeconds: number;
}

class ElevenLabsConnection {
  readonly #gateway: GatewayOptions;
  readonly #request: StreamRequest;
  readonly #multi: boolean;
  readonly #socket: Socket;
  readonly #contexts = new Map<string, OpenContext>();
  #handled: Promise<void> = Promise.resolve();
  #contextCount = 0;
  /** Of the first message that had any: it may come before the one that opens the context. */
  #locators: ElevenLabsStreamMessage['pronunciation_dictionary_locators'] = null;
  #closing = false;

  constructor(
    gateway: GatewayOptions,
    request: StreamRequest,
    multi: boolean,
    open: (onMessage: (message: unknown) => void) => Socket,
  ) {
    this.#gateway = gateway;
    this.#request = request;
    this.#multi = multi;
    this.#socket = open((message) => {
      this.#handled = this.#handled
        .then(() => this.#handle(message))
        .catch((error: unknown) => this.#fail(null, error));
    });
  }

  async #handle(received: unknown): Promise<void> {
    if (this.#closing) return;
    if (received instanceof AppError) throw received;
    const message = messages.check(received);
    // Clients send their key with the first message, in the query, or in a header.
    if (this.#request.caller === null) {
      const key = message['xi-api-key'] ?? message.xi_api_key ?? message.authorization;
      const secret = key ?? textOf(this.#request.query['authorization']);
      await signIn(this.#request, 'speech', secret === '' ? null : (secret?.replace(/^Bearer +/i, '') ?? null));
    }
    this.#locators ??= message.pronunciation_dictionary_locators ?? null;
    const id = this.#multi ? (message.context_id ?? ONLY_CONTEXT) : ONLY_CONTEXT;
    if (message.close_socket) {
      this.#closing = true;
      for (const { context } of this.#contexts.values()) context.end();
      this.#closeWhenDone();
      return;
    }
    if (message.close_context) {
      this.#contexts.get(id)?.context.end();
      return;
    }
    const text = message.text ?? null;
    if (text === '' && !this.#multi) {
      // A text that ends before it began is an answer without audio.
      const { context } = this.#contexts.get(id) ?? (await this.#open(id, message));
      this.#closing = true;
      context.end();
      return;
    }
    if ((text === null || text === '') && !message.flush) return;
    const { context } = this.#contexts.get(id) ?? (await this.#open(id, message));
    if (text !== null) context.push(text);
    if (message.flush) context.flushAll();
    else if (message.try_trigger_generation) context.flush();
  }

  async #open(id: string, first: ElevenLabsStreamMessage): Promise<OpenContext> {
    if (this.#contexts.size >= MAX_CONTEXTS) {
      throw new AppError(
        'REQUEST_INVALID',
        `${MAX_CONTEXTS} contexts are open, which is all that one connection may have`,
      );
    }
    const { config, createSegmenter } = this.#gateway;
    const { query, params } = this.#request;
    const output: SpeechOutput = { ...parseOutputFormat(textOf(query['output_format'])), layout: 'stream' };
    const voice = await resolveVoice(params.voice_id, voiceNamesOf(this.#gateway, this.#request));
    const lexicons = await locatedLexicons(
      this.#gateway,
      this.#request,
      first.pronunciation_dictionary_locators ?? this.#locators,
    );
    const seed = Number(query['seed']);
    const opened: OpenContext = {
      alignedSeconds: 0,
      context: new SpeechContext({
        gateway: this.#gateway,
        request: this.#request,
        id: `${this.#request.id}.${++this.#contextCount}`,
        speech: {
          voice,
          language: languageOfCode(textOf(query['language_code'])),
          speed: clampSpeed(first.voice_settings?.speed),
          seed: chooseSeed(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32 ? seed : null, config),
          ...lexicons,
        },
        output,
        segmenter: createSegmenter(),
        emit: (event) => this.#emit(id, opened, event),
        fail: (error) => this.#fail(id, error),
        signal: this.#socket.signal,
      }),
    };
    this.#contexts.set(id, opened);
    return opened;
  }

  async #emit(id: string, opened: OpenContext, event: ContextEvent): Promise<void> {
    const named = this.#multi ? { contextId: id } : {};
    if (event.type === 'audio') {
      const audio = Buffer.from(event.bytes).toString('base64');
      await this.#socket.send({ audio, isFinal: null, normalizedAlignment: null, alignment: null, ...named });
    } else if (event.type === 'aligned') {
      const alignment = renderAlignment(event.alignment, opened.alignedSeconds);
      opened.alignedSeconds = event.alignment.endSeconds.at(-1) ?? opened.alignedSeconds;
      await this.#socket.send({ audio: '', isFinal: null, normalizedAlignment: alignment, alignment, ...named });
    } else if (event.type === 'done') {
      if (this.#contexts.get(id) === opened) this.#contexts.delete(id);
      await this.#socket.send({ audio: null, isFinal: true, is_final: true, ...named });
      this.#closeWhenDone();
    }
  }

  #closeWhenDone(): void {
    if (this.#closing && this.#contexts.size === 0) this.#socket.close(CLOSE_NORMAL, '');
  }

  /** Says what went wrong; the connection ends, unless only one of several contexts is meant. */
  #fail(id: string | null, error: unknown): void {
    const appError = toAppError(error);
    if (appError.code === 'INTERNAL') this.#request.log.error({ err: error }, 'a stream failed');
    const { body } = renderError(appError, this.#request.id, 'elevenlabs');
    const detail: unknown = Reflect.get(body as object, 'detail');
    const status: unknown = Array.isArray(detail) ? 'invalid_request' : Reflect.get(detail as object, 'status');
    const code = appError.status >= 500 ? CLOSE_INTERNAL : CLOSE_POLICY;
    const named = this.#multi && id !== null ? { contextId: id } : {};
    this.#socket.tell({ message: appError.message, error: status, code, ...named });
    if (this.#multi && id !== null) this.#contexts.delete(id);
    else {
      this.#closing = true;
      this.#socket.close(code, String(status));
    }
  }
}

/** Times in whole milliseconds from the end of the chunk before; the SDK and the documentation spell one field differently. */
function renderAlignment({ characters, startSeconds, endSeconds }: Alignment, fromSeconds: number) {
  const starts = startSeconds.map((seconds) => Math.round((seconds - fromSeconds) * 1000));
  const durations = endSeconds.map((seconds, i) => Math.round((seconds - fromSeconds) * 1000) - (starts[i] ?? 0));
  return { charStartTimesMs: starts, charDurationsMs: durations, charsDurationsMs: durations, chars: characters };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
