import type { DecodedPiece } from '../decoded-piece.js';
import { AacFault, BitReader } from './bit-reader.js';
import { checkKind } from './config.js';
import { FRAME } from './filterbank.js';
import { FrameDecoder } from './frame.js';
import { RATES_HZ } from './tables.js';

interface AdtsHeader {
  readonly headerBytes: number;
  readonly frameBytes: number;
  readonly objectType: number;
  readonly rateIndex: number;
  /** 0: a frame says it itself. */
  readonly channels: number;
  /** Blocks of 1,024 samples. */
  readonly blocks: number;
  readonly checksums: boolean;
}

const HEADER_BYTES = 7;
/** One after another, without a frame that can be read: then there is none, or the tables of a file go in circles. */
export const MOST_FAULTS = 1000;

/** The header of an ADTS frame at `at` (ISO/IEC 14496-3, 1.A.2.2), or null where there is none. */
export function adtsHeader(bytes: Uint8Array, at: number): AdtsHeader | null {
  if (bytes[at] !== 0xff || (bytes[at + 1]! & 0xf6) !== 0xf0 || at + HEADER_BYTES > bytes.length) return null;
  const [b1 = 0, b2 = 0, b3 = 0, b4 = 0, b5 = 0, b6 = 0] = bytes.subarray(at + 1, at + HEADER_BYTES);
  const checksums = (b1 & 1) === 0;
  const rateIndex = (b2 >> 2) & 15;
  const blocks = (b6 & 3) + 1;
  const frameBytes = ((b3 & 3) << 11) | (b4 << 3) | (b5 >> 5);
  const headerBytes = HEADER_BYTES + (checksums ? 2 * blocks : 0);
  if (rateIndex >= RATES_HZ.length || frameBytes < headerBytes) return null;
  const channels = ((b2 & 1) << 2) | (b3 >> 6);
  return { headerBytes, frameBytes, objectType: (b2 >> 6) + 1, rateIndex, channels, blocks, checksums };
}

/** Where the first of two frames of one stream begins, within `reach` bytes of `start`; −1: there is none. */
export function findAdts(bytes: Uint8Array, start: number, reach: number): number {
  for (let at = start; at < Math.min(start + reach, bytes.length - HEADER_BYTES); at++) {
    const header = adtsHeader(bytes, at);
    if (!header) continue;
    const next = at + header.frameBytes;
    // A file cut short, or of one frame.
    if (next >= bytes.length ? at === start : sameStream(header, adtsHeader(bytes, next))) return at;
  }
  return -1;
}

function sameStream(one: AdtsHeader | null, other: AdtsHeader | null): boolean {
  return (
    one?.rateIndex === other?.rateIndex && one?.channels === other?.channels && one?.objectType === other?.objectType
  );
}

/** AAC-LC in ADTS, piece by piece. The first frame says the rate and how many channels there are. */
export class AdtsDecoder {
  readonly ready = Promise.resolve();
  #left = new Uint8Array();
  #faults = 0;
  /** Whether a frame has just ended where the next one should begin. */
  #inStep = false;
  #stream: { readonly header: AdtsHeader; readonly decoder: FrameDecoder } | null = null;

  decode(piece: Uint8Array): DecodedPiece {
    return this.#decode(piece, false);
  }

  async flush(): Promise<DecodedPiece> {
    return this.#decode(new Uint8Array(), true);
  }

  free(): void {}

  #decode(piece: Uint8Array, last: boolean): DecodedPiece {
    const bytes = Buffer.concat([this.#left, piece]);
    const frames: Float32Array[][] = [];
    const errors: unknown[] = [];
    let at = 0;
    while (at + HEADER_BYTES <= bytes.length) {
      const header = adtsHeader(bytes, at);
      const end = at + (header?.frameBytes ?? 0);
      const mayBegin = header !== null && sameStream(this.#stream?.header ?? header, header);
      // Where the frame before did not lead, only the next one says that this is one.
      if (mayBegin && !this.#inStep && end + HEADER_BYTES > bytes.length && !last) break;
      const next =
        end + HEADER_BYTES > bytes.length ? end === bytes.length : sameStream(header, adtsHeader(bytes, end));
      if (!mayBegin || (!this.#inStep && !next)) {
        // Something else between the frames (a tag, damage): on to where they go on.
        if (this.#inStep || (this.#stream === null && this.#faults === 0 && errors.length === 0))
          errors.push(new AacFault('no frame where one should begin'));
        this.#inStep = false;
        at += 1;
        continue;
      }
      if (end > bytes.length) break;
      this.#inStep = true;
      this.#stream ??= { header, decoder: decoderOf(header) };
      frames.push(...blocksOf(bytes.subarray(at, end), header, this.#stream.decoder, errors));
      at = end;
    }
    if (last && at < bytes.length) errors.push(new AacFault('the last frame is cut short'));
    this.#faults = frames.length > 0 ? 0 : this.#faults + errors.length;
    if (this.#faults > MOST_FAULTS) throw new AacFault('more damage than sound');
    this.#left = Uint8Array.from(bytes.subarray(at));
    return joined(frames, RATES_HZ[this.#stream?.header.rateIndex ?? 0] ?? 0, errors);
  }
}

function blocksOf(bytes: Uint8Array, header: AdtsHeader, decoder: FrameDecoder, errors: unknown[]): Float32Array[][] {
  const bits = new BitReader(bytes);
  bits.skip(8 * header.headerBytes);
  const blocks: Float32Array[][] = [];
  for (let block = 0; block < header.blocks; block++) {
    const channels = decoder.decode(bits, errors);
    if (channels) blocks.push(channels);
    // Each block has its own where there are several.
    if (header.checksums && header.blocks > 1 && bits.left >= 16) bits.skip(16);
  }
  return blocks;
}

function decoderOf({ objectType, rateIndex, channels }: AdtsHeader): FrameDecoder {
  checkKind({ objectType, rateIndex, rateHz: RATES_HZ[rateIndex] ?? 0, channels, frameSamples: FRAME });
  return new FrameDecoder(rateIndex);
}

/** Frames one after another. */
export function joined(
  frames: readonly Float32Array[][],
  sampleRate: number,
  errors: readonly unknown[],
): DecodedPiece {
  const channelData = (frames[0] ?? []).map((_, channel) => {
    const samples = new Float32Array(FRAME * frames.length);
    for (const [i, frame] of frames.entries()) samples.set(frame[channel]!, FRAME * i);
    return samples;
  });
  return { channelData, samplesDecoded: FRAME * frames.length, sampleRate, errors };
}
