import type { Encoding } from './encode/encoder.js';
import { OggStream, opusCommentPacket, vorbisCommentPacket } from './encode/ogg.js';
import { type AigcLabel, id3Tag, riffInfoChunk, vorbisComments } from './label.js';

/** A finished stream of `createLabelledEncoder`, whose label can be another's. */
export interface RelabelledStream {
  /** What the stream begins with, the label in it; empty where the encoding has no room for one. */
  readonly headBytes: number;
  /** The same beginning with another label: what an encoder of that label would have begun this sound with. */
  head(label: AigcLabel): Uint8Array;
}

const RIFF_LABEL_AT = 36;
const RIFF_DATA_HEADER_BYTES = 8;
const FLAC_COMMENT_AT = 42;

/** Finds the label at the head of a stream (layout `stream` or `bare-stream`), so that the sound can be used again. */
export function findStreamLabel(encoding: Encoding, stream: Uint8Array): RelabelledStream {
  const bytes = Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength);
  switch (encoding) {
    case 'wav': {
      // A bare stream has no label.
      if (bytes.toString('latin1', RIFF_LABEL_AT, RIFF_LABEL_AT + 4) !== 'LIST') return UNLABELLED;
      const dataAt = RIFF_LABEL_AT + 8 + bytes.readUInt32LE(RIFF_LABEL_AT + 4);
      const format = Buffer.from(bytes.subarray(0, RIFF_LABEL_AT));
      const data = Buffer.from(bytes.subarray(dataAt, dataAt + RIFF_DATA_HEADER_BYTES));
      return {
        headBytes: dataAt + RIFF_DATA_HEADER_BYTES,
        head: (label) => Buffer.concat([format, riffInfoChunk(label), data]),
      };
    }
    case 'mp3':
    case 'aac': {
      if (bytes.toString('latin1', 0, 3) !== 'ID3') return UNLABELLED;
      const size = [6, 7, 8, 9].reduce((sum, at) => sum * 128 + bytes.readUInt8(at), 0);
      return { headBytes: 10 + size, head: id3Tag };
    }
    case 'flac': {
      const info = Buffer.from(bytes.subarray(0, FLAC_COMMENT_AT));
      const type = bytes.subarray(FLAC_COMMENT_AT, FLAC_COMMENT_AT + 1);
      const size = bytes.readUIntBE(FLAC_COMMENT_AT + 1, 3);
      return {
        headBytes: FLAC_COMMENT_AT + 4 + size,
        head(label) {
          const comments = vorbisComments(label);
          const length = Buffer.alloc(3);
          length.writeUIntBE(comments.length, 0, 3);
          return Buffer.concat([info, type, length, comments]);
        },
      };
    }
    case 'opus':
    case 'vorbis': {
      const first = oggPage(bytes, 0);
      const second = oggPage(bytes, first.endAt);
      const identification = Buffer.from(bytes.subarray(0, first.endAt));
      const serial = identification.readUInt32LE(14);
      // Of Vorbis the second page also has the setup, after the comments.
      const rest = second.packets.slice(1);
      const comment = encoding === 'opus' ? opusCommentPacket : vorbisCommentPacket;
      return {
        headBytes: second.endAt,
        head: (label) =>
          Buffer.concat([identification, new OggStream(serial, 1).page([comment(vorbisComments(label)), ...rest], 0n)]),
      };
    }
    case 'pcm':
    case 'mulaw':
    case 'alaw':
      return UNLABELLED;
  }
}

const UNLABELLED: RelabelledStream = { headBytes: 0, head: () => new Uint8Array() };

/** The page at `at`, with copies of its packets, all of which end on it. */
function oggPage(bytes: Buffer, at: number): { readonly endAt: number; readonly packets: readonly Buffer[] } {
  const segments = bytes.readUInt8(at + 26);
  const packets: Buffer[] = [];
  let endAt = at + 27 + segments;
  let startAt = endAt;
  for (let i = 0; i < segments; i++) {
    const size = bytes.readUInt8(at + 27 + i);
    endAt += size;
    if (size === 255) continue;
    packets.push(Buffer.from(bytes.subarray(startAt, endAt)));
    startAt = endAt;
  }
  return { endAt, packets };
}
