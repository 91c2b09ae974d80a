import { randomBytes } from 'node:crypto';
import type { Codec } from './encoder.js';
import { OggStream, oggChecksum, vorbisCommentPacket } from './ogg.js';
import { createWasmEncoder, keepWasmEncoder } from './wasm-encoders.js';

/** About 64 kbit/s for speech at 32 kHz. */
const QUALITY = 2;
const PIECE_SAMPLES = 48_000;

/** Vorbis in Ogg by libvorbis in WebAssembly, with our comments in place of the encoder's own. */
export async function createVorbisCodec({
  sampleRateHz,
  comments,
}: {
  readonly sampleRateHz: number;
  readonly comments: Uint8Array;
}): Promise<Codec> {
  const encoder = await createWasmEncoder('audio/ogg');
  const serial = randomBytes(4).readUInt32LE();
  encoder.configure({ channels: 1, sampleRate: sampleRateHz, vbrQuality: QUALITY, oggSerialNo: serial | 0 });
  const rewriter = new CommentRewriter(comments);
  return {
    encode(samples) {
      const pages: Uint8Array[] = [];
      for (let offset = 0; offset < samples.length; offset += PIECE_SAMPLES) {
        pages.push(...rewriter.push(encoder.encode([samples.subarray(offset, offset + PIECE_SAMPLES)])));
      }
      return pages;
    },
    finish() {
      const rest = rewriter.push(encoder.finalize());
      keepWasmEncoder('audio/ogg', encoder);
      return rest;
    },
    discard: () => keepWasmEncoder('audio/ogg', encoder),
  };
}

/** Passes an Ogg Vorbis stream on, with another comment header and the pages numbered anew. */
class CommentRewriter {
  readonly #comments: Uint8Array;
  #buffer: Buffer = Buffer.alloc(0);
  #stream: OggStream | null = null;
  #headerPackets: Buffer[] = [];
  #partial: Buffer = Buffer.alloc(0);
  #pagesOut = 0;

  constructor(comments: Uint8Array) {
    this.#comments = comments;
  }

  push(bytes: Uint8Array): Uint8Array[] {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
    const out: Uint8Array[] = [];
    for (;;) {
      const page = this.#nextPage();
      if (page === null) return out;
      out.push(...this.#rewrite(page));
    }
  }

  #nextPage(): Buffer | null {
    if (this.#buffer.length < 27) return null;
    const segments = this.#buffer[26]!;
    if (this.#buffer.length < 27 + segments) return null;
    let size = 27 + segments;
    for (let i = 0; i < segments; i++) size += this.#buffer[27 + i]!;
    if (this.#buffer.length < size) return null;
    const page = Buffer.from(this.#buffer.subarray(0, size));
    this.#buffer = this.#buffer.subarray(size);
    return page;
  }

  #rewrite(page: Buffer): Uint8Array[] {
    if (this.#headerPackets.length >= 3) return [this.#renumber(page)];
    this.#stream ??= new OggStream(page.readUInt32LE(14));
    this.#collectPackets(page);
    const [identification, , setup] = this.#headerPackets;
    if (identification === undefined || setup === undefined) return [];
    const comment = vorbisCommentPacket(this.#comments);
    const pages = [this.#stream.page([identification], 0n, { first: true }), this.#stream.page([comment, setup], 0n)];
    this.#pagesOut = pages.length;
    return pages;
  }

  #collectPackets(page: Buffer): void {
    const segments = page[26]!;
    let offset = 27 + segments;
    for (let i = 0; i < segments; i++) {
      const length = page[27 + i]!;
      this.#partial = Buffer.concat([this.#partial, page.subarray(offset, offset + length)]);
      offset += length;
      if (length < 255) {
        this.#headerPackets.push(this.#partial);
        this.#partial = Buffer.alloc(0);
      }
    }
  }

  #renumber(page: Buffer): Buffer {
    page.writeUInt32LE(this.#pagesOut++, 18);
    page.writeUInt32LE(0, 22);
    page.writeUInt32LE(oggChecksum(page), 22);
    return page;
  }
}
