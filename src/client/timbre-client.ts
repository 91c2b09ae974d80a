/**
 * A client of a Timbre server for Node and browsers: no dependency, and nothing but `fetch` and `WebSocket`, which both
 * have (Node 20 gives a `WebSocket` such as that of the package `ws`).
 */
import type { StreamEvent, StreamMessage } from '../api/stream.js';
import type { SynthesizeFields } from '../api/synthesis.js';

export interface TimbreClientOptions {
  /** `https://voice.example.com` */
  readonly baseUrl: string;
  readonly apiKey?: string;
  /** For Node 20, or for tests. */
  readonly WebSocket?: WebSocketConstructor;
}

export type SpeechOptions = Omit<SynthesizeFields, 'text' | 'stream'> & { readonly signal?: AbortSignal };

/** What a server refused or failed with. */
export class TimbreError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = 'TimbreError';
    this.code = code;
    this.status = status;
  }
}

export interface Speech {
  readonly contentType: string;
  readonly sampleRateHz: number;
  /** Bytes as they are made; leaving the loop cancels the synthesis. */
  readonly audio: AsyncIterable<Uint8Array>;
}

export type StreamItem =
  | StreamEvent
  | { readonly type: 'audio'; readonly context_id: string; readonly bytes: Uint8Array };

/** Text in, audio out, on one WebSocket. */
export interface SpeechStream extends AsyncIterable<StreamItem> {
  send(message: StreamMessage): void;
  close(): void;
}

export class TimbreClient {
  readonly #options: TimbreClientOptions;

  constructor(options: TimbreClientOptions) {
    this.#options = options;
  }

  /** Says a text; resolves with the first audio. Throws {@link TimbreError}. */
  async speak(text: string, { signal, ...fields }: SpeechOptions = {}): Promise<Speech> {
    const { baseUrl, apiKey } = this.#options;
    const response = await fetch(new URL('/synthesize', baseUrl), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify({ ...fields, text, stream: true }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (!response.ok || response.body === null) throw await errorOf(response);
    return {
      contentType: response.headers.get('content-type') ?? '',
      sampleRateHz: Number(response.headers.get('x-timbre-sample-rate')),
      audio: readBody(response.body),
    };
  }

  /** Opens `/v1/stream`; resolves when the connection stands. */
  async openStream(): Promise<SpeechStream> {
    const { baseUrl, apiKey } = this.#options;
    const Constructor =
      this.#options.WebSocket ?? (Reflect.get(globalThis, 'WebSocket') as WebSocketConstructor | undefined);
    if (Constructor === undefined)
      throw new Error('there is no WebSocket here; give one, such as that of the package "ws"');
    const socket = new Constructor(new URL('/v1/stream', baseUrl.replace(/^http/, 'ws')).href);
    socket.binaryType = 'arraybuffer';
    const stream = new QueuedStream(socket, apiKey);
    await stream.opened;
    return stream;
  }
}

/** The part of the standard WebSocket that is used. */
export interface WebSocketLike {
  binaryType: string;
  send(data: string): void;
  close(code?: number): void;
  addEventListener(type: string, listener: (event: { readonly data?: unknown }) => void): void;
}
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** Keeps what was received until it is read. A server sends no faster than it makes speech. */
class QueuedStream implements SpeechStream {
  readonly #socket: WebSocketLike;
  readonly #apiKey: string | undefined;
  readonly #items: StreamItem[] = [];
  readonly opened: Promise<void>;
  #ended = false;
  #signedIn = false;
  #wake = () => {};

  constructor(socket: WebSocketLike, apiKey: string | undefined) {
    this.#socket = socket;
    this.#apiKey = apiKey;
    socket.addEventListener('message', ({ data }) => {
      this.#items.push(typeof data === 'string' ? (JSON.parse(data) as StreamEvent) : audioItem(data as ArrayBuffer));
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.addEventListener('close', end);
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => {
        end();
        reject(new Error('the connection to the server failed'));
      });
    });
  }

  send(message: StreamMessage): void {
    // The key comes with the first message: browsers cannot send headers with a WebSocket.
    if (!this.#signedIn && this.#apiKey !== undefined && message.type === 'text') {
      const { context_id } = message;
      this.send({ type: 'start', ...(context_id === undefined ? {} : { context_id }) });
    }
    const signs = !this.#signedIn && this.#apiKey !== undefined && message.type === 'start';
    this.#signedIn = true;
    this.#socket.send(JSON.stringify(signs ? { ...message, api_key: this.#apiKey } : message));
  }

  close(): void {
    this.#socket.close(1000);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamItem, void, undefined> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) yield item;
        else if (this.#ended) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }
}

function audioItem(data: ArrayBuffer): StreamItem {
  const bytes = new Uint8Array(data);
  const idBytes = bytes[0] ?? 0;
  const context_id = new TextDecoder().decode(bytes.subarray(1, 1 + idBytes));
  return { type: 'audio', context_id, bytes: bytes.subarray(1 + idBytes) };
}

async function errorOf(response: Response): Promise<TimbreError> {
  const body: unknown = await response.json().catch(() => null);
  const error: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'error') : null;
  const field = (name: string) => (typeof error === 'object' && error !== null ? String(Reflect.get(error, name)) : '');
  return new TimbreError(field('code') || 'UNKNOWN', response.status, field('message') || response.statusText);
}

async function* readBody(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}
