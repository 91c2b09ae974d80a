import { AppError } from '../../errors.js';
import { type AigcLabel, id3Tag, riffInfoChunk, vorbisComments } from '../label.js';
import { createStreamResampler, type StreamResampler } from '../resample-stream.js';
import { pcm16, wavFileHeader, wavStreamHeader } from '../wav.js';
import { AAC_RATES_HZ, AacEncoder } from './aac.js';
import { FlacEncoder } from './flac.js';
import { encodeAlaw, encodeMulaw } from './g711.js';

/** `opus` and `vorbis` come in Ogg; `pcm`, `mulaw` and `alaw` have no header and so nowhere to write a label. */
export const ENCODINGS = ['wav', 'pcm', 'mp3', 'opus', 'aac', 'flac', 'vorbis', 'mulaw', 'alaw'] as const;
export type Encoding = (typeof ENCODINGS)[number];

export interface EncoderOptions {
  readonly encoding: Encoding;
  /** Of the samples that come. */
  readonly inputHz: number;
  /** Of the audio that goes out; absent: the input's, or the nearest rate above it that the encoding has. */
  readonly outputHz?: number;
  /** For mp3, opus and aac; absent: what speech needs at the rate. */
  readonly bitrateKbps?: number;
  readonly label: AigcLabel | null;
  /**
   * `stream`: the header says "until the end" and the label precedes the sound. `bare-stream`: as the reference
   * implementation begins a WAV stream, 44 bytes that say 0 for the size, without room for a label. `file`: a WAV label follows the sound, and
   * {@link AudioEncoder.fileHeader} has the header to write over the first one.
   */
  readonly layout: 'stream' | 'bare-stream' | 'file';
}

/** Samples in, bytes out as soon as they can be; holds back at most one frame of its encoding and half a filter. */
export interface AudioEncoder {
  readonly outputHz: number;
  encode(samples: Float32Array): Uint8Array;
  /** What was held back, and the end of the container; frees what the encoder holds. */
  finish(): Uint8Array;
  /** After `finish`: what the file should begin with, now that its length is known; null where it already does. */
  fileHeader(): Uint8Array | null;
  /** Frees without finishing; harmless after `finish`. */
  discard(): void;
}

/** One encoding at one rate: what a file of `codec` needs, without resampling. */
export interface Codec {
  encode(samples: Float32Array): Uint8Array[];
  finish(): Uint8Array[];
  fileHeader?(): Uint8Array;
  discard?(): void;
}

interface CodecOptions {
  readonly sampleRateHz: number;
  readonly bitrateKbps: number | undefined;
  readonly label: AigcLabel | null;
  readonly layout: EncoderOptions['layout'];
}

const MP3_RATES_HZ = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];
const OPUS_RATES_HZ = [8000, 12000, 16000, 24000, 48000];

interface EncodingFacts {
  readonly contentType: string;
  readonly extension: string;
  /** Absent: any from 8 to 48 kHz. */
  readonly ratesHz?: readonly number[];
  readonly defaultHz?: number;
  create(options: CodecOptions): Promise<Codec>;
}

/** WebAssembly encoders are loaded when first used: together they are a megabyte. */
export const ENCODING_FACTS: Readonly<Record<Encoding, EncodingFacts>> = {
  wav: { contentType: 'audio/wav', extension: 'wav', create: async (options) => wavCodec(options) },
  pcm: { contentType: 'audio/pcm', extension: 'pcm', create: async () => plainCodec(pcm16) },
  mp3: {
    contentType: 'audio/mpeg',
    extension: 'mp3',
    ratesHz: MP3_RATES_HZ,
    create: async (options) => {
      const { createMp3Codec } = await import('./mp3.js');
      return createMp3Codec({ ...options, tag: options.label === null ? null : id3Tag(options.label) });
    },
  },
  opus: {
    contentType: 'audio/ogg',
    extension: 'opus',
    ratesHz: OPUS_RATES_HZ,
    create: async (options) => {
      const { OpusCodec } = await import('./opus.js');
      return new OpusCodec({ ...options, comments: vorbisComments(options.label) });
    },
  },
  aac: {
    contentType: 'audio/aac',
    extension: 'aac',
    ratesHz: AAC_RATES_HZ,
    create: async (options) => aacCodec(options),
  },
  flac: { contentType: 'audio/flac', extension: 'flac', create: async (options) => flacCodec(options) },
  vorbis: {
    contentType: 'audio/ogg',
    extension: 'ogg',
    create: async (options) => {
      const { createVorbisCodec } = await import('./vorbis.js');
      return createVorbisCodec({ ...options, comments: vorbisComments(options.label) });
    },
  },
  mulaw: {
    contentType: 'audio/basic',
    extension: 'ulaw',
    defaultHz: 8000,
    create: async () => plainCodec(encodeMulaw),
  },
  alaw: {
    contentType: 'audio/x-alaw-basic',
    extension: 'alaw',
    defaultHz: 8000,
    create: async () => plainCodec(encodeAlaw),
  },
};

/** The media type of a file by the ending that we gave it. */
export function contentTypeOf(extension: string): string {
  const facts = Object.values(ENCODING_FACTS).find((known) => known.extension === extension);
  return facts?.contentType ?? 'application/octet-stream';
}

export const MIN_OUTPUT_HZ = 8000;
export const MAX_OUTPUT_HZ = 48_000;

/**
 * An encoder for one stream of mono audio.
 *
 * Throws `REQUEST_INVALID` for a rate that the encoding does not have, naming those it has.
 */
export async function createEncoder(options: EncoderOptions): Promise<AudioEncoder> {
  const facts = ENCODING_FACTS[options.encoding];
  const outputHz = chooseRate(options);
  const codec = await facts.create({
    sampleRateHz: outputHz,
    bitrateKbps: options.bitrateKbps,
    label: options.label,
    layout: options.layout,
  });
  const resampler: StreamResampler = createStreamResampler(options.inputHz, outputHz);
  let finished = false;
  return {
    outputHz,
    encode: (samples) => joinBytes(codec.encode(resampler.push(samples))),
    finish() {
      finished = true;
      const last = resampler.finish();
      return joinBytes([...(last.length > 0 ? codec.encode(last) : []), ...codec.finish()]);
    },
    fileHeader: () => codec.fileHeader?.() ?? null,
    discard() {
      if (!finished) codec.discard?.();
      finished = true;
    },
  };
}

/** The rate that comes out; see {@link EncoderOptions.outputHz}. */
export function chooseRate({
  encoding,
  inputHz,
  outputHz,
}: Pick<EncoderOptions, 'encoding' | 'inputHz' | 'outputHz'>): number {
  const { ratesHz, defaultHz } = ENCODING_FACTS[encoding];
  const wanted = outputHz ?? defaultHz ?? inputHz;
  const known = ratesHz === undefined ? wanted >= MIN_OUTPUT_HZ && wanted <= MAX_OUTPUT_HZ : ratesHz.includes(wanted);
  if (known) return wanted;
  if (outputHz === undefined) return ratesHz?.find((rate) => rate >= wanted) ?? MAX_OUTPUT_HZ;
  const expected = ratesHz === undefined ? `${MIN_OUTPUT_HZ} to ${MAX_OUTPUT_HZ}` : `one of ${ratesHz.join(', ')}`;
  throw new AppError(
    'REQUEST_INVALID',
    `a sample rate of ${outputHz} Hz is not made in ${encoding}; expected ${expected}`,
  );
}

/** ADTS, whose frames anyone may begin with, behind a tag. */
function aacCodec({ sampleRateHz, bitrateKbps, label }: CodecOptions): Codec {
  const encoder = new AacEncoder({ sampleRateHz, bitrateKbps });
  let head = label === null ? [] : [id3Tag(label)];
  const behindTag = (frames: Uint8Array[]): Uint8Array[] => {
    const parts = [...head, ...frames];
    head = [];
    return parts;
  };
  return { encode: (samples) => behindTag(encoder.encode(samples)), finish: () => behindTag(encoder.finish()) };
}

function plainCodec(encode: (samples: Float32Array) => Uint8Array): Codec {
  return { encode: (samples) => [encode(samples)], finish: () => [] };
}

function wavCodec({ sampleRateHz, label, layout }: CodecOptions): Codec {
  const chunk = label === null ? null : riffInfoChunk(label);
  let begun = false;
  let soundBytes = 0;
  const header = (): Uint8Array[] => {
    begun = true;
    if (layout === 'bare-stream') return [wavFileHeader(sampleRateHz, 0)];
    if (layout === 'file' || chunk === null) return [wavStreamHeader(sampleRateHz)];
    const plain = wavStreamHeader(sampleRateHz);
    // The label goes between the format and the sound.
    return [plain.subarray(0, WAV_DATA_CHUNK), chunk, plain.subarray(WAV_DATA_CHUNK)];
  };
  return {
    encode(samples) {
      const bytes = pcm16(samples);
      soundBytes += bytes.length;
      return begun ? [bytes] : [...header(), bytes];
    },
    finish() {
      const start = begun ? [] : header();
      return layout === 'file' && chunk !== null ? [...start, chunk] : start;
    },
    fileHeader() {
      const bytes = wavFileHeader(sampleRateHz, soundBytes);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (chunk !== null) view.setUint32(4, view.getUint32(4, true) + chunk.length, true);
      return bytes;
    },
  };
}

/** Where the data chunk begins in a plain header. */
const WAV_DATA_CHUNK = 36;

function flacCodec({ sampleRateHz, label }: CodecOptions): Codec {
  const encoder = new FlacEncoder(sampleRateHz, vorbisComments(label));
  let begun = false;
  const start = () => {
    const header = begun ? [] : [encoder.header(false)];
    begun = true;
    return header;
  };
  return {
    encode(samples) {
      const bytes = pcm16(samples);
      return [...start(), ...encoder.encode(new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2))];
    },
    finish: () => [...start(), ...encoder.finish()],
    fileHeader: () => encoder.header(true),
  };
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const only = parts[0];
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}
