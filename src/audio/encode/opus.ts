import { randomBytes } from 'node:crypto';
// The WebAssembly build: the package's native one would bring a crash of libopus into the server's own process.
import { Encoder } from '@evan/opus/wasm/index.mjs';
import { pcm16 } from '../wav.js';
import type { Codec } from './encoder.js';
import { OggStream, opusCommentPacket } from './ogg.js';

const GRANULE_HZ = 48_000;
const FRAME_MS = 20;
/** A page of 200 ms: small enough to be heard at once, large enough that its header is 2 % of it. */
const FRAMES_A_PAGE = 10;
const DEFAULT_BITRATE_KBPS = 32;

const SET_BITRATE = 4002;
const SET_COMPLEXITY = 4010;
const GET_LOOKAHEAD = 4027;
/** 10 is libopus's default; 6 takes a third of the time, and speech at these rates sounds the same. */
const COMPLEXITY = 6;

/** Opus in Ogg (RFC 7845) by libopus in WebAssembly. */
export class OpusCodec implements Codec {
  readonly #encoder: Encoder;
  readonly #stream = new OggStream(randomBytes(4).readUInt32LE());
  readonly #frameSamples: number;
  readonly #scale: number;
  readonly #lookAhead: number;
  readonly #comments: Uint8Array;
  readonly #inputHz: number;
  #pending = new Float32Array(0);
  #packets: Uint8Array[] = [];
  #framesOut = 0;
  #received = 0;
  #begun = false;
  #firstPage = true;

  constructor({
    sampleRateHz,
    bitrateKbps,
    comments,
  }: {
    readonly sampleRateHz: number;
    readonly bitrateKbps: number | undefined;
    readonly comments: Uint8Array;
  }) {
    // Not `voip`: its high-pass filter shifts speech by 4.6 ms against the stream's own clock (measured at 16 kHz).
    this.#encoder = new Encoder({ channels: 1, application: 'audio', sample_rate: sampleRateHz });
    this.#encoder.ctl(SET_BITRATE, (bitrateKbps ?? DEFAULT_BITRATE_KBPS) * 1000);
    this.#encoder.ctl(SET_COMPLEXITY, COMPLEXITY);
    this.#inputHz = sampleRateHz;
    this.#frameSamples = (sampleRateHz * FRAME_MS) / 1000;
    this.#scale = GRANULE_HZ / sampleRateHz;
    this.#lookAhead = this.#encoder.ctl(GET_LOOKAHEAD);
    this.#comments = comments;
  }

  encode(samples: Float32Array): Uint8Array[] {
    const pages = this.#headers();
    this.#received += samples.length;
    let offset = 0;
    const all = new Float32Array(this.#pending.length + samples.length);
    all.set(this.#pending);
    all.set(samples, this.#pending.length);
    for (; offset + this.#frameSamples <= all.length; offset += this.#frameSamples) {
      this.#encodeFrame(all.subarray(offset, offset + this.#frameSamples));
      // The first page goes out after three frames: a player can begin.
      if (this.#packets.length >= (this.#firstPage ? 3 : FRAMES_A_PAGE) + 1) pages.push(this.#page(false));
    }
    this.#pending = all.slice(offset);
    return pages;
  }

  finish(): Uint8Array[] {
    const pages = this.#headers();
    // The codec lags by its look-ahead: silence pushes out the end.
    const needed = this.#received + this.#lookAhead;
    while (this.#framesOut * this.#frameSamples < needed || this.#packets.length === 0) {
      const frame = new Float32Array(this.#frameSamples);
      frame.set(this.#pending);
      this.#pending = new Float32Array(0);
      this.#encodeFrame(frame);
    }
    pages.push(this.#page(true));
    this.discard();
    return pages;
  }

  discard(): void {
    this.#encoder.drop();
  }

  #encodeFrame(frame: Float32Array): void {
    this.#packets.push(this.#encoder.encode(pcm16(frame)));
    this.#framesOut++;
  }

  /** All packets but the newest, which may have to end the stream; with `last`, all, cut to the length of the sound. */
  #page(last: boolean): Uint8Array {
    const packets = last ? this.#packets : this.#packets.slice(0, -1);
    this.#packets = last ? [] : this.#packets.slice(-1);
    this.#firstPage = false;
    const complete = (this.#framesOut - this.#packets.length) * this.#frameSamples * this.#scale;
    const granule = last ? (this.#received + this.#lookAhead) * this.#scale : complete;
    return this.#stream.page(packets, BigInt(Math.round(granule)), { last });
  }

  #headers(): Uint8Array[] {
    if (this.#begun) return [];
    this.#begun = true;
    const head = Buffer.alloc(19);
    head.write('OpusHead', 0, 'latin1');
    head[8] = 1;
    head[9] = 1;
    head.writeUInt16LE(Math.round(this.#lookAhead * this.#scale), 10);
    head.writeUInt32LE(this.#inputHz, 12);
    const tags = opusCommentPacket(this.#comments);
    return [this.#stream.page([head], 0n, { first: true }), this.#stream.page([tags], 0n)];
  }
}
