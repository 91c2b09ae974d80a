import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { decodeWav, encodeWav, pcm16, wavStreamHeader } from './wav.js';

interface WavParts {
  encoding: number;
  bits: number;
  channels?: number;
  rate?: number;
  data: Uint8Array;
  riffSize?: number;
  dataSize?: number;
  extensible?: boolean;
  before?: Uint8Array;
  after?: Uint8Array;
}

function buildWav(parts: WavParts): Uint8Array {
  const { encoding, bits, channels = 1, rate = 16000, data, extensible = false } = parts;
  const fmt = new DataView(new ArrayBuffer(extensible ? 40 : 16));
  fmt.setUint16(0, extensible ? 0xfffe : encoding, true);
  fmt.setUint16(2, channels, true);
  fmt.setUint32(4, rate, true);
  fmt.setUint32(8, (rate * channels * bits) / 8, true);
  fmt.setUint16(12, (channels * bits) / 8, true);
  fmt.setUint16(14, bits, true);
  if (extensible) fmt.setUint16(24, encoding, true);
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    parts.before ?? Buffer.alloc(0),
    chunk('fmt ', new Uint8Array(fmt.buffer)),
    chunk('data', data, parts.dataSize),
    parts.after ?? Buffer.alloc(0),
  ]);
  const head = Buffer.from('RIFF\0\0\0\0');
  head.writeUInt32LE(parts.riffSize ?? body.length, 4);
  return new Uint8Array(Buffer.concat([head, body]));
}

function chunk(id: string, data: Uint8Array, size = data.length): Uint8Array {
  const head = Buffer.from(`${id}\0\0\0\0`);
  head.writeUInt32LE(size, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length & 1)]);
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return 'no error';
}

const INT16 = new Uint8Array(new Int16Array([0, 16384, -16384, 32767, -32768]).buffer);
const INT16_VALUES = [0, 0.5, -0.5, 32767 / 32768, -1];

describe('decodeWav', () => {
  it.each<[string, number, number, Uint8Array, number[]]>([
    ['8-bit PCM', 1, 8, new Uint8Array([128, 192, 64, 255, 0]), [0, 0.5, -0.5, 127 / 128, -1]],
    ['16-bit PCM', 1, 16, INT16, INT16_VALUES],
    ['24-bit PCM', 1, 24, new Uint8Array([0, 0, 0, 0, 0, 0x40, 0, 0, 0xc0, 0, 0, 0x80]), [0, 0.5, -0.5, -1]],
    ['32-bit PCM', 1, 32, new Uint8Array(new Int32Array([0, 2 ** 30, -(2 ** 31)]).buffer), [0, 0.5, -1]],
    ['32-bit float', 3, 32, new Uint8Array(new Float32Array([0.25, -1.5]).buffer), [0.25, -1.5]],
    ['64-bit float', 3, 64, new Uint8Array(new Float64Array([0.25, -1.5]).buffer), [0.25, -1.5]],
    // The ends and the smallest steps of the G.711 tables.
    ['A-law', 6, 8, new Uint8Array([0xd5, 0x55, 0xaa, 0x2a]), [8 / 32768, -8 / 32768, 0.984375, -0.984375]],
    ['µ-law', 7, 8, new Uint8Array([0xff, 0x7f, 0x80, 0x00]), [0, 0, 32124 / 32768, -32124 / 32768]],
  ])('reads %s, plain and extensible', (_, encoding, bits, data, expected) => {
    for (const extensible of [false, true]) {
      const clip = decodeWav(buildWav({ encoding, bits, data, extensible }));
      // + 0 turns the negative zero of µ-law into zero.
      expect(Array.from(clip.channels[0] ?? [], (value) => value + 0)).toEqual(expected.map(Math.fround));
      expect(clip).toMatchObject({ sampleRateHz: 16000, truncated: false });
    }
  });

  it('separates channels', () => {
    const data = new Uint8Array(new Int16Array([1, 2, 3, 4, 5, 6]).buffer);
    const clip = decodeWav(buildWav({ encoding: 1, bits: 16, channels: 2, data }));
    expect(clip.channels.map((channel) => Array.from(channel, (value) => value * 32768))).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ]);
  });

  it('skips other chunks, of odd length too, before and after the sound', () => {
    const before = Buffer.concat([chunk('LIST', new Uint8Array(7)), chunk('bext', new Uint8Array(602))]);
    const clip = decodeWav(
      buildWav({ encoding: 1, bits: 16, data: INT16, before, after: chunk('id3 ', new Uint8Array(9)) }),
    );
    expect(Array.from(clip.channels[0] ?? [])).toEqual(INT16_VALUES);
  });

  it.each([
    ['all sizes 0xFFFFFFFF', { riffSize: 0xffffffff, dataSize: 0xffffffff }],
    ['all sizes 0', { riffSize: 0, dataSize: 0 }],
    ['the sizes of an empty file', { riffSize: 36, dataSize: 0 }],
  ])('reads a stream whose header has %s to its end', (_, sizes) => {
    const clip = decodeWav(buildWav({ encoding: 1, bits: 16, data: INT16, ...sizes }));
    expect(Array.from(clip.channels[0] ?? [])).toEqual(INT16_VALUES);
    expect(clip.truncated).toBe(false);
  });

  it('reads what is there of a file cut short, and says so', () => {
    const whole = buildWav({ encoding: 1, bits: 16, data: INT16 });
    const clip = decodeWav(whole.subarray(0, whole.length - 3));
    expect(Array.from(clip.channels[0] ?? [])).toEqual(INT16_VALUES.slice(0, 3));
    expect(clip.truncated).toBe(true);
  });

  it('takes a view into a larger buffer at an odd offset', () => {
    const padded = new Uint8Array(200);
    const file = buildWav({ encoding: 1, bits: 16, data: INT16 });
    padded.set(file, 3);
    expect(decodeWav(padded.subarray(3, 3 + file.length)).channels[0]).toHaveLength(5);
  });

  it.each([
    ['an empty data chunk', buildWav({ encoding: 1, bits: 16, data: new Uint8Array(0) }), 'AUDIO_EMPTY'],
    ['zero bytes', new Uint8Array(0), 'AUDIO_UNREADABLE'],
    ['text', new TextEncoder().encode('this is not a recording at all'), 'AUDIO_UNREADABLE'],
    ['only the first header', buildWav({ encoding: 1, bits: 16, data: INT16 }).subarray(0, 20), 'AUDIO_UNREADABLE'],
    ['no channel', buildWav({ encoding: 1, bits: 16, channels: 0, data: INT16 }), 'AUDIO_UNREADABLE'],
    ['ADPCM', buildWav({ encoding: 2, bits: 4, channels: 2, data: INT16 }), 'AUDIO_UNREADABLE'],
    ['a rate of 0 Hz', buildWav({ encoding: 1, bits: 16, rate: 0, data: INT16 }), 'AUDIO_UNREADABLE'],
    [
      'a sample that is not a number',
      buildWav({ encoding: 3, bits: 32, data: new Uint8Array(new Float32Array([0, Number.NaN]).buffer) }),
      'AUDIO_UNREADABLE',
    ],
  ])('refuses %s', (_, bytes, code) => {
    expect(codeOf(() => decodeWav(bytes))).toBe(code);
  });

  it('answers any damaged file with samples or an AUDIO error, never anything else', () => {
    const file = buildWav({ encoding: 1, bits: 16, channels: 2, data: new Uint8Array(64) });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(file.length),
        (edits, length) => {
          const damaged = file.slice(0, length);
          for (const [at, value] of edits) if (at < length) damaged[at] = value;
          const code = codeOf(() => decodeWav(damaged));
          return code === 'no error' || code.startsWith('AUDIO_');
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('encodeWav', () => {
  it('round-trips 16-bit samples exactly', () => {
    const samples = Float32Array.from({ length: 65536 }, (_, i) => (i - 32768) / 32768);
    const clip = decodeWav(encodeWav(samples, 24000));
    expect(clip.sampleRateHz).toBe(24000);
    expect(clip.channels[0]).toEqual(samples);
  });

  it('clamps what is too loud and silences what is not a number', () => {
    const bytes = pcm16(Float32Array.of(1, 1.5, -1.5, Number.NaN, Number.POSITIVE_INFINITY));
    expect(Array.from(new Int16Array(bytes.buffer))).toEqual([32767, 32767, -32768, 0, 32767]);
  });
});

describe('wavStreamHeader', () => {
  it('opens a stream that decodeWav reads back', () => {
    const samples = Float32Array.of(0, 0.5, -0.5);
    const file = Buffer.concat([wavStreamHeader(32000), pcm16(samples)]);
    expect(decodeWav(file)).toEqual({ channels: [samples], sampleRateHz: 32000, truncated: false });
  });
});
