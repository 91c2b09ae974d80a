import type { WebSocket } from 'ws';
import { AppError } from '../errors.js';

export interface SocketOptions {
  /** A reader who takes nothing for so long is disconnected. */
  readonly readerTimeoutMs: number;
  /** Without a message from the other side for so long the connection ends. */
  readonly idleTimeoutMs: number;
  readonly draining: AbortSignal;
  onMessage(message: unknown): void;
}

/** Bytes that may wait in the socket before the engine is held back. */
const HIGH_WATER_BYTES = 256 * 1024;
const LOW_WATER_POLL_MS = 10;
const HEARTBEAT_MS = 15_000;
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Messages that may come in one second: text in words is fifty. */
const MAX_MESSAGES_A_SECOND = 500;

/** Close codes of RFC 6455. */
export const CLOSE_NORMAL = 1000;
export const CLOSE_GOING_AWAY = 1001;
export const CLOSE_POLICY = 1008;
export const CLOSE_INTERNAL = 1011;

/**
 * A WebSocket with bounds: JSON in, JSON and bytes out, a heartbeat that ends dead connections, and a `send` that waits
 * while its reader is behind.
 */
export class Socket {
  readonly #socket: WebSocket;
  readonly #options: SocketOptions;
  readonly #abort = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  #idle: NodeJS.Timeout;
  #answered = true;
  #secondStartedMs = performance.now();
  #messages = 0;

  constructor(socket: WebSocket, options: SocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#idle = this.#startIdle();
    socket.on('pong', () => {
      this.#answered = true;
    });
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('error', () => socket.terminate());
    socket.once('close', () => this.#ended());
    const goAway = () => this.close(CLOSE_GOING_AWAY, 'the server is shutting down');
    options.draining.addEventListener('abort', goAway, { once: true });
    socket.once('close', () => options.draining.removeEventListener('abort', goAway));
  }

  /** Aborts when the connection is gone. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Resolves when there is room for more; rejects when the connection is gone, or its reader takes nothing. */
  async send(data: object | Uint8Array): Promise<void> {
    this.#abort.signal.throwIfAborted();
    this.#socket.send(data instanceof Uint8Array ? data : JSON.stringify(data));
    if (this.#socket.bufferedAmount <= HIGH_WATER_BYTES) return;
    let lastBytes = this.#socket.bufferedAmount;
    let lastProgressMs = performance.now();
    while (this.#socket.bufferedAmount > HIGH_WATER_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, LOW_WATER_POLL_MS));
      this.#abort.signal.throwIfAborted();
      if (this.#socket.bufferedAmount < lastBytes) {
        lastBytes = this.#socket.bufferedAmount;
        lastProgressMs = performance.now();
      } else if (performance.now() - lastProgressMs > this.#options.readerTimeoutMs) {
        this.terminate();
        throw new AppError('REQUEST_TIMEOUT', 'the reader of the connection took nothing for too long');
      }
    }
  }

  /** Says something to a reader who may be gone or behind: what does not fit is dropped. */
  tell(data: object): void {
    if (this.#socket.readyState !== this.#socket.OPEN || this.#socket.bufferedAmount > HIGH_WATER_BYTES) return;
    this.#socket.send(JSON.stringify(data));
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
    // Who does not answer a close within a moment is cut off.
    const timer = setTimeout(() => this.#socket.terminate(), 2000);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #receive(data: unknown, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    clearTimeout(this.#idle);
    this.#idle = this.#startIdle();
    if (!this.#withinRate()) {
      this.close(CLOSE_POLICY, `more than ${MAX_MESSAGES_A_SECOND} messages in a second`);
      return;
    }
    const text = String(data);
    if (isBinary || text.length > MAX_MESSAGE_BYTES) {
      this.#options.onMessage(new AppError('REQUEST_INVALID', 'a binary message was received; expected JSON as text'));
      return;
    }
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch (error) {
      message = new AppError('REQUEST_NOT_JSON', 'the message is not valid JSON', { cause: error });
    }
    this.#options.onMessage(message);
  }

  #withinRate(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#secondStartedMs >= 1000) {
      this.#secondStartedMs = nowMs;
      this.#messages = 0;
    }
    return ++this.#messages <= MAX_MESSAGES_A_SECOND;
  }

  #startIdle(): NodeJS.Timeout {
    return setTimeout(() => this.close(CLOSE_NORMAL, 'nothing was received for too long'), this.#options.idleTimeoutMs);
  }

  #beat(): void {
    if (!this.#answered) {
      this.terminate();
      return;
    }
    this.#answered = false;
    this.#socket.ping();
  }

  #ended(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#idle);
    this.#abort.abort(new AppError('REQUEST_CANCELLED', 'the connection was closed'));
  }
}

export const WEBSOCKET_OPTIONS = { options: { maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false } };
