import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { AppError } from '../errors.js';
import { AdtsDecoder, findAdts } from './aac/adts.js';
import { concatenate } from './concatenate.js';
import type { DecodedPiece } from './decoded-piece.js';
import { type AudioClip, decodeWav, isWav } from './wav.js';

export interface AudioLimits {
  /** Largest file, as it is stored. */
  readonly maxSizeBytes?: number;
  /** Longest sound, after decoding: a small file can hold hours of silence. */
  readonly maxDurationSeconds?: number;
}

const DEFAULT_MAX_SIZE_BYTES = 50 * 2 ** 20;
const DEFAULT_MAX_DURATION_SECONDS = 600;

/**
 * Decodes a recording by what its bytes are, whatever its name says: WAV, FLAC (also in Ogg), MP3, AAC (ADTS,
 * MP4), Ogg Vorbis, Ogg Opus. Other containers are refused by name. A damaged file gives what could be read, with `truncated`.
 *
 * @throws AppError `AUDIO_EMPTY`, `AUDIO_TOO_LARGE`, `AUDIO_TOO_LONG` or `AUDIO_UNREADABLE`.
 */
export async function decodeAudio(bytes: Uint8Array, limits: AudioLimits = {}): Promise<AudioClip> {
  checkSize(bytes.length, limits);
  const maxDurationSeconds = limits.maxDurationSeconds ?? DEFAULT_MAX_DURATION_SECONDS;
  const format = sniff(bytes);
  if (format === 'wav') return decodeWav(bytes, maxDurationSeconds);
  return decodeCompressed(format, bytes, maxDurationSeconds);
}

/**
 * Reads a recording from disk after looking at its size, so that a file beyond the bound is never read.
 *
 * @throws AppError `AUDIO_NOT_FOUND`, `AUDIO_EMPTY`, `AUDIO_TOO_LARGE`, or `AUDIO_UNREADABLE` (not a file, no access).
 */
export async function readAudioFile(path: string, limits: AudioLimits = {}): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const stats = await file.stat();
      if (!stats.isFile())
        throw new AppError('AUDIO_UNREADABLE', `${path} is not a file; give the path of a recording`);
      checkSize(stats.size, limits);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new AppError('AUDIO_NOT_FOUND', `there is no file ${path}; check the path of the recording`);
    }
    throw new AppError('AUDIO_UNREADABLE', `${path} could not be read: ${(error as Error).message}`, { cause: error });
  }
}

type CompressedFormat = 'flac' | 'mp3' | 'vorbis' | 'opus' | 'aac' | 'm4a';

/** What the decoders have in common; `decode` takes the file piece by piece. */
interface PieceDecoder {
  readonly ready: Promise<void>;
  decode(piece: Uint8Array): DecodedPiece | Promise<DecodedPiece>;
  flush?(): Promise<DecodedPiece>;
  free(): void;
}

/** Small, because a piece's whole output is held at once: 8 KiB of FLAC can be 36 M samples. */
const PIECE_SIZE_BYTES = 8192;
/** Ours takes longer than the others, which are WebAssembly: a quarter of a millisecond a frame. */
const AAC_PIECE_SIZE_BYTES = 1024;

async function decodeCompressed(
  format: CompressedFormat,
  bytes: Uint8Array,
  maxDurationSeconds: number,
): Promise<AudioClip> {
  const pieces: DecodedPiece[] = [];
  let lengthSamples = 0;
  let errors = 0;
  const take = (piece: DecodedPiece): void => {
    errors += piece.errors.length;
    if (piece.samplesDecoded === 0) return;
    const first = pieces[0];
    // A chained file may change its format in the middle; only the part like the beginning is one recording.
    if (first && (first.sampleRate !== piece.sampleRate || first.channelData.length !== piece.channelData.length)) {
      errors += 1;
      return;
    }
    pieces.push(piece);
    lengthSamples += piece.samplesDecoded;
    checkDuration(lengthSamples, piece.sampleRate, maxDurationSeconds);
  };
  try {
    for await (const piece of decodePieces(format, bytes)) {
      take(piece);
      // The decoders compute in this thread; others get their turn between two pieces.
      await setImmediate();
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    // Some decoders throw at damage in the middle: what came before it is still a recording.
    errors += 1;
    if (pieces.length === 0) throw unreadable(format, error);
  }
  const first = pieces[0];
  if (!first) throw unreadable(format);
  const channels = first.channelData.map((_, channel) =>
    concatenate(
      pieces.map((piece) => piece.channelData[channel]?.subarray(0, piece.samplesDecoded) ?? new Float32Array()),
    ),
  );
  return {
    channels,
    sampleRateHz: first.sampleRate,
    truncated: errors > 0 || endsEarly(format, bytes, lengthSamples),
  };
}

async function* decodePieces(format: CompressedFormat, bytes: Uint8Array): AsyncGenerator<DecodedPiece> {
  // The samples of an MP4 file lie where its tables say.
  if (format === 'm4a') return yield* (await import('./aac/mp4.js')).decodeMp4(bytes);
  const decoder = await createDecoder(format);
  try {
    await decoder.ready;
    const start = format === 'aac' ? afterId3(bytes) : 0;
    const step = format === 'aac' ? AAC_PIECE_SIZE_BYTES : PIECE_SIZE_BYTES;
    for (let offset = start; offset < bytes.length; offset += step) {
      yield await decoder.decode(bytes.subarray(offset, offset + step));
    }
    if (decoder.flush) yield await decoder.flush();
  } finally {
    decoder.free();
  }
}

/** The decoders hold WebAssembly of megabytes and are loaded when first needed: together they cost a start 40 ms. */
async function createDecoder(format: Exclude<CompressedFormat, 'm4a'>): Promise<PieceDecoder> {
  switch (format) {
    case 'flac':
      return new (await import('@wasm-audio-decoders/flac')).FLACDecoder();
    case 'mp3':
      return new (await import('mpg123-decoder')).MPEGDecoder();
    case 'vorbis':
      return new (await import('@wasm-audio-decoders/ogg-vorbis')).OggVorbisDecoder();
    case 'opus':
      return new (await import('ogg-opus-decoder')).OggOpusDecoder();
    case 'aac':
      return new AdtsDecoder();
  }
}

/** Formats people send that we do not decode, by their first bytes, so that the message can name them. */
const REFUSED: readonly (readonly [offset: number, magic: string, name: string])[] = [
  [0, '\x1aE\xdf\xa3', 'a WebM or Matroska file'],
  [0, 'FORM', 'an AIFF file'],
  [0, 'caff', 'a Core Audio file'],
  [0, '#!AMR', 'an AMR file'],
  [0, '0&\xb2u', 'a Windows Media file'],
  [0, 'RIFF', 'a RIFF file without sound (AVI, WebP or another)'],
];

function sniff(bytes: Uint8Array): 'wav' | CompressedFormat {
  if (isWav(bytes)) return 'wav';
  const start = afterId3(bytes);
  if (startsWith(bytes, start, 'fLaC')) return 'flac';
  if (startsWith(bytes, 0, 'OggS')) {
    const packet = 27 + (bytes[26] ?? 0);
    if (startsWith(bytes, packet, 'OpusHead')) return 'opus';
    if (startsWith(bytes, packet, '\x01vorbis')) return 'vorbis';
    if (startsWith(bytes, packet, '\x7fFLAC')) return 'flac';
    throw notSupported('an Ogg file without Opus, Vorbis or FLAC sound');
  }
  for (const [offset, magic, name] of REFUSED) {
    if (startsWith(bytes, offset, magic)) throw notSupported(name);
  }
  if (startsWith(bytes, 4, 'ftyp') || startsWith(bytes, 4, 'moov')) return 'm4a';
  if (findAdts(bytes, start, 1) >= 0) return 'aac';
  if (hasMpegFrames(bytes, start)) return 'mp3';
  // A stream that was joined in the middle of a frame.
  if (findAdts(bytes, start, 8192) >= 0) return 'aac';
  throw notSupported('not a recording we know');
}

/** Length of the ID3v2 tag at the beginning, 0 for none. */
function afterId3(bytes: Uint8Array): number {
  if (!startsWith(bytes, 0, 'ID3') || bytes.length < 10) return 0;
  const size = ((bytes[6]! & 127) << 21) | ((bytes[7]! & 127) << 14) | ((bytes[8]! & 127) << 7) | (bytes[9]! & 127);
  return 10 + size + (bytes[5]! & 0x10 ? 10 : 0);
}

// Layer III bit rates in kbit/s by index, and sampling rates, of MPEG-1 and of MPEG-2 and 2.5.
const BITRATES_V1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BITRATES_V2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const RATES_V1_HZ = [44100, 48000, 32000];

/** True where, within the first 4 KiB, one MPEG layer III frame is followed by another (or by the end). */
function hasMpegFrames(bytes: Uint8Array, start: number): boolean {
  for (let offset = start; offset < Math.min(start + 4096, bytes.length - 4); offset++) {
    const size = mpegFrameSize(bytes, offset);
    if (size === 0) continue;
    if (offset + size >= bytes.length || mpegFrameSize(bytes, offset + size) > 0) return true;
  }
  return false;
}

function mpegFrameSize(bytes: Uint8Array, offset: number): number {
  if (bytes[offset] !== 0xff) return 0;
  const second = bytes[offset + 1] ?? 0;
  const third = bytes[offset + 2] ?? 0;
  const version = (second >> 3) & 3; // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
  const layer = (second >> 1) & 3; // 1: layer III
  if (second >> 5 !== 7 || version === 1 || layer !== 1) return 0;
  const bitrate = (version === 3 ? BITRATES_V1 : BITRATES_V2)[third >> 4] ?? 0;
  const baseHz = RATES_V1_HZ[(third >> 2) & 3] ?? 0;
  const rateHz = version === 3 ? baseHz : version === 2 ? baseHz / 2 : baseHz / 4;
  if (bitrate === 0 || rateHz === 0) return 0;
  const samples = version === 3 ? 1152 : 576;
  return Math.floor((samples / 8) * ((bitrate * 1000) / rateHz)) + ((third >> 1) & 1);
}

/** True where the container says that more was to come. */
function endsEarly(format: CompressedFormat, bytes: Uint8Array, lengthSamples: number): boolean {
  if (format === 'mp3' || format === 'aac' || format === 'm4a') return false;
  const start = afterId3(bytes);
  if (startsWith(bytes, start, 'fLaC')) {
    // STREAMINFO: 36 bits of total samples, 0 where the encoder did not know.
    const at = start + 8 + 13;
    const total = ((bytes[at] ?? 0) & 15) * 2 ** 32 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 1);
    return lengthSamples < total;
  }
  const lastPage = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).lastIndexOf('OggS');
  const endOfStream = 4;
  return ((bytes[lastPage + 5] ?? 0) & endOfStream) === 0 || oggPageEnd(bytes, lastPage) > bytes.length;
}

function oggPageEnd(bytes: Uint8Array, page: number): number {
  const segments = bytes[page + 26] ?? 0;
  const lengths = bytes.subarray(page + 27, page + 27 + segments);
  return lengths.reduce((end, length) => end + length, page + 27 + segments);
}

function startsWith(bytes: Uint8Array, offset: number, magic: string): boolean {
  for (let i = 0; i < magic.length; i++) if (bytes[offset + i] !== magic.charCodeAt(i)) return false;
  return true;
}

function checkSize(sizeBytes: number, limits: AudioLimits): void {
  const maxSizeBytes = limits.maxSizeBytes ?? DEFAULT_MAX_SIZE_BYTES;
  if (sizeBytes === 0) throw new AppError('AUDIO_EMPTY', 'the recording has 0 bytes; record it and send it again');
  if (sizeBytes > maxSizeBytes) {
    throw new AppError(
      'AUDIO_TOO_LARGE',
      `the recording has ${sizeBytes} bytes, more than the ${maxSizeBytes} allowed; cut it, or send it as FLAC or MP3`,
    );
  }
}

function checkDuration(lengthSamples: number, sampleRateHz: number, maxSeconds: number): void {
  if (lengthSamples > maxSeconds * sampleRateHz) {
    throw new AppError('AUDIO_TOO_LONG', `the recording is longer than the ${maxSeconds} s allowed; cut it`);
  }
}

function notSupported(what: string): AppError {
  return new AppError(
    'AUDIO_UNREADABLE',
    `the bytes are ${what}; expected WAV, FLAC, MP3, AAC, M4A, Ogg Vorbis or Ogg Opus: convert the recording to one of these`,
  );
}

function unreadable(format: CompressedFormat, cause?: unknown): AppError {
  return new AppError(
    'AUDIO_UNREADABLE',
    `the bytes begin like ${format} but hold no sound that can be decoded; the recording is damaged or cut short`,
    { cause },
  );
}
