import { AppError } from '../errors.js';

/** A decoded recording: one array of samples per channel, all of the same length, nominally within [-1, 1]. */
export interface AudioClip {
  readonly channels: readonly Float32Array[];
  readonly sampleRateHz: number;
  /** The file ended before its header said it would; what was there is in `channels`. */
  readonly truncated: boolean;
}

const HEADER_SIZE_BYTES = 44;
const UNKNOWN_SIZE = 0xffffffff;
const MAX_CHANNELS = 64;
const MIN_SAMPLE_RATE_HZ = 1000;
const MAX_SAMPLE_RATE_HZ = 768_000;

const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_ALAW = 6;
const FORMAT_MULAW = 7;
const FORMAT_EXTENSIBLE = 0xfffe;

/**
 * Decodes a WAV file: PCM of 8, 16, 24 or 32 bits, float of 32 or 64 bits, A-law and µ-law, plain or
 * WAVE_FORMAT_EXTENSIBLE, RIFF or RF64. Integers are divided by 2^(bits-1) as libsndfile does. A header whose sizes
 * were never filled in (a stream: 0 or 0xFFFFFFFF) is read to the end of the bytes; a file that ends early gives what
 * it has with `truncated`.
 *
 * @param maxDurationSeconds longer sound is refused before it is decoded
 * @throws AppError `AUDIO_UNREADABLE` (not WAV, damaged, or an encoding we do not read), `AUDIO_EMPTY` (no samples) or
 * `AUDIO_TOO_LONG`.
 */
export function decodeWav(bytes: Uint8Array, maxDurationSeconds = Number.POSITIVE_INFINITY): AudioClip {
  const { format, dataStart, dataEnd, truncated } = parseChunks(bytes);
  const { encoding, channelCount, sampleRateHz, bytesPerSample } = format;
  const frameCount = Math.floor((dataEnd - dataStart) / (bytesPerSample * channelCount));
  if (frameCount === 0) {
    throw new AppError('AUDIO_EMPTY', 'the WAV file holds no samples; record something and send it again');
  }
  if (frameCount > maxDurationSeconds * sampleRateHz) {
    throw new AppError('AUDIO_TOO_LONG', `the recording is longer than the ${maxDurationSeconds} s allowed; cut it`);
  }
  const decode = sampleDecoder(encoding, bytesPerSample);
  // A copy, so that typed arrays of any width are aligned (slice would not copy a Buffer).
  const data = new Uint8Array(bytes.subarray(dataStart, dataStart + frameCount * channelCount * bytesPerSample));
  const interleaved = decode(data);
  return { channels: deinterleave(interleaved, channelCount), sampleRateHz, truncated };
}

/** True where the bytes begin as a WAV file does. */
export function isWav(bytes: Uint8Array): boolean {
  const magic = tag(bytes, 0);
  return (magic === 'RIFF' || magic === 'RF64' || magic === 'RIFX') && tag(bytes, 8) === 'WAVE';
}

/** A mono 16-bit WAV file of the samples, clamped to [-1, 1). */
export function encodeWav(samples: Float32Array, sampleRateHz: number): Uint8Array {
  const sizeBytes = samples.length * 2;
  const file = new Uint8Array(HEADER_SIZE_BYTES + sizeBytes);
  file.set(header(sampleRateHz, sizeBytes));
  file.set(pcm16(samples), HEADER_SIZE_BYTES);
  return file;
}

/**
 * The 44 bytes that open a mono 16-bit WAV stream of unknown length; {@link pcm16} chunks follow. The sizes are
 * 0xFFFFFFFF, which players (ffmpeg, VLC, browsers) read as "until the end".
 */
export function wavStreamHeader(sampleRateHz: number): Uint8Array {
  return header(sampleRateHz, UNKNOWN_SIZE);
}

/** The 44 bytes that open a mono 16-bit WAV file of `sizeBytes` of samples, for files that are written as they grow. */
export function wavFileHeader(sampleRateHz: number, sizeBytes: number): Uint8Array {
  return header(sampleRateHz, sizeBytes);
}

/**
 * Samples as little-endian 16-bit integers, rounded and clamped: +1.0 becomes 32767 rather than wrapping round to
 * -32768 as upstream's cast does; a value that is not a number becomes 0.
 */
export function pcm16(samples: Float32Array): Uint8Array {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    // A third of the time that Math.round, Math.max and Math.min take; the same for every float32.
    const value = samples[i]! * 32768;
    out[i] = value >= 32767 ? 32767 : value <= -32768 ? -32768 : Math.floor(value + 0.5);
  }
  return new Uint8Array(out.buffer);
}

interface WavFormat {
  readonly encoding: number;
  readonly channelCount: number;
  readonly sampleRateHz: number;
  readonly bytesPerSample: number;
}

function parseChunks(bytes: Uint8Array): {
  format: WavFormat;
  dataStart: number;
  dataEnd: number;
  truncated: boolean;
} {
  if (!isWav(bytes)) throw unreadable('the bytes are not a WAV file: they do not begin with RIFF … WAVE');
  if (tag(bytes, 0) === 'RIFX') {
    throw unreadable('big-endian WAV (RIFX) is not supported; convert the recording to ordinary WAV or FLAC');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const riffSize = view.getUint32(4, true);
  const sizeUnknown = riffSize === 0 || riffSize === UNKNOWN_SIZE;
  let format: WavFormat | null = null;
  let longDataSize: number | null = null;
  let offset = 12;
  while (offset + 8 <= bytes.length) {
    const id = tag(bytes, offset);
    const size = view.getUint32(offset + 4, true);
    const start = offset + 8;
    if (id === 'ds64' && size >= 16 && start + 16 <= bytes.length) {
      longDataSize = Number(view.getBigUint64(start + 8, true));
    } else if (id === 'fmt ') {
      format = parseFormat(view, start, Math.min(size, bytes.length - start));
    } else if (id === 'data') {
      if (format === null) throw unreadable('the WAV file is damaged: its data comes before its format');
      // A size of 0 with the RIFF size ending here is a header that was written before the sound and never completed.
      const streamed =
        size === UNKNOWN_SIZE ? longDataSize === null : size === 0 && (sizeUnknown || riffSize + 8 <= start);
      const declared = streamed ? bytes.length - start : size === UNKNOWN_SIZE ? (longDataSize ?? 0) : size;
      const dataEnd = Math.min(start + declared, bytes.length);
      return { format, dataStart: start, dataEnd, truncated: dataEnd < start + declared };
    }
    offset = start + size + (size & 1);
  }
  const missing = format === null ? 'format ("fmt ")' : 'sound ("data")';
  throw unreadable(`the WAV file is damaged or cut short: ${bytes.length} bytes without its ${missing} chunk`);
}

function parseFormat(view: DataView, start: number, size: number): WavFormat {
  if (size < 16) throw unreadable(`the WAV file is damaged: its format chunk has ${size} bytes, expected 16 or more`);
  let encoding = view.getUint16(start, true);
  const channelCount = view.getUint16(start + 2, true);
  const sampleRateHz = view.getUint32(start + 4, true);
  const blockSize = view.getUint16(start + 12, true);
  // The true encoding of an extensible header is the first field of its 16-byte sub-format.
  if (encoding === FORMAT_EXTENSIBLE && size >= 26) encoding = view.getUint16(start + 24, true);
  if (channelCount < 1 || channelCount > MAX_CHANNELS) {
    throw unreadable(`the WAV file declares ${channelCount} channels; expected 1 to ${MAX_CHANNELS}`);
  }
  if (sampleRateHz < MIN_SAMPLE_RATE_HZ || sampleRateHz > MAX_SAMPLE_RATE_HZ) {
    throw unreadable(
      `the WAV file declares ${sampleRateHz} Hz; expected ${MIN_SAMPLE_RATE_HZ} to ${MAX_SAMPLE_RATE_HZ} Hz`,
    );
  }
  const bytesPerSample = blockSize / channelCount;
  const widths: Record<number, readonly number[]> = {
    [FORMAT_PCM]: [1, 2, 3, 4],
    [FORMAT_FLOAT]: [4, 8],
    [FORMAT_ALAW]: [1],
    [FORMAT_MULAW]: [1],
  };
  if (!widths[encoding]?.includes(bytesPerSample)) {
    const seen = `0x${encoding.toString(16)} with ${blockSize} bytes a frame of ${channelCount} channels`;
    throw unreadable(
      `the WAV encoding ${seen} is not supported; expected PCM (8 to 32 bits), float, A-law or µ-law: convert the recording to 16-bit PCM or FLAC`,
    );
  }
  return { encoding, channelCount, sampleRateHz, bytesPerSample };
}

function sampleDecoder(encoding: number, bytesPerSample: number): (data: Uint8Array) => Float32Array {
  if (encoding === FORMAT_ALAW) return (data) => Float32Array.from(data, (code) => ALAW[code]!);
  if (encoding === FORMAT_MULAW) return (data) => Float32Array.from(data, (code) => MULAW[code]!);
  if (encoding === FORMAT_FLOAT) {
    return (data) =>
      finite(bytesPerSample === 4 ? new Float32Array(data.buffer) : Float32Array.from(new Float64Array(data.buffer)));
  }
  switch (bytesPerSample) {
    case 1:
      return (data) => Float32Array.from(data, (value) => (value - 128) / 128);
    case 2:
      return (data) => Float32Array.from(new Int16Array(data.buffer), (value) => value / 32768);
    case 3:
      return decodePcm24;
    default:
      return (data) => Float32Array.from(new Int32Array(data.buffer), (value) => value / 2147483648);
  }
}

function decodePcm24(data: Uint8Array): Float32Array {
  const out = new Float32Array(data.length / 3);
  for (let i = 0; i < out.length; i++) {
    const value = (data[3 * i]! << 8) | (data[3 * i + 1]! << 16) | (data[3 * i + 2]! << 24);
    out[i] = value / 2147483648;
  }
  return out;
}

function finite(samples: Float32Array): Float32Array {
  const bad = samples.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw unreadable(`the WAV file is damaged: sample ${bad} is ${samples[bad]}, not a number`);
  return samples;
}

function deinterleave(samples: Float32Array, channelCount: number): Float32Array[] {
  if (channelCount === 1) return [samples];
  const frameCount = samples.length / channelCount;
  return Array.from({ length: channelCount }, (_, channel) => {
    const out = new Float32Array(frameCount);
    for (let i = 0; i < frameCount; i++) out[i] = samples[i * channelCount + channel]!;
    return out;
  });
}

// ITU-T G.711.
const ALAW = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = code ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = ((bits & 15) << 4) | 8;
  const magnitude = exponent === 0 ? mantissa : (mantissa + 256) << (exponent - 1);
  return (bits & 0x80 ? magnitude : -magnitude) / 32768;
});

const MULAW = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 15) << 3) | 0x84) << ((bits >> 4) & 7)) - 0x84;
  return (bits & 0x80 ? -magnitude : magnitude) / 32768;
});

function header(sampleRateHz: number, dataSizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE_BYTES);
  const view = new DataView(bytes.buffer);
  const text = (offset: number, value: string) => {
    for (let i = 0; i < 4; i++) bytes[offset + i] = value.charCodeAt(i);
  };
  text(0, 'RIFF');
  view.setUint32(4, dataSizeBytes === UNKNOWN_SIZE ? UNKNOWN_SIZE : dataSizeBytes + HEADER_SIZE_BYTES - 8, true);
  text(8, 'WAVE');
  text(12, 'fmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, 'data');
  view.setUint32(40, dataSizeBytes, true);
  return bytes;
}

function tag(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}

function unreadable(message: string): AppError {
  return new AppError('AUDIO_UNREADABLE', message);
}
