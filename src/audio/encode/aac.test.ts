import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SCALE_FACTOR_BOOK, SPECTRAL_BOOKS } from '../aac/books.js';
import { BAND_TABLES, RATES_HZ } from '../aac/tables.js';
import { concatenate } from '../concatenate.js';
import { decodeAudio } from '../decode.js';
import { createInverseMdct, createMdct } from '../mdct.js';
import { logMel, melDistance } from '../mel-distance.js';
import { createStreamResampler } from '../resample-stream.js';
import { createWatermarker } from '../watermark.js';
import { detectWatermark } from '../watermark-detector.js';
import { AAC_FRAME_SAMPLES, AAC_RATES_HZ, AacEncoder } from './aac.js';

/** Debian's ffmpeg (`apt-get install ffmpeg`, as .ci/run does): a decoder that is not ours. */
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).error === undefined;

function encode(samples: Float32Array, sampleRateHz: number, bitrateKbps?: number): Buffer {
  const encoder = new AacEncoder({ sampleRateHz, bitrateKbps });
  return Buffer.concat([...encoder.encode(samples), ...encoder.finish()]);
}

/** What ffmpeg hears, without what a decoder is late by; it must not complain. */
function decode(bytes: Uint8Array): Float32Array {
  const options = ['-hide_banner', '-v', 'warning', '-xerror', '-f', 'aac', '-i', '-', '-f', 'f32le', '-'];
  const { status, stdout, stderr } = spawnSync('ffmpeg', options, { input: bytes, maxBuffer: 1 << 28 });
  // ADTS says nowhere how long it is.
  const complaints = stderr
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !/Estimating duration/.test(line));
  expect([status, complaints]).toEqual([0, []]);
  return new Float32Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length)).subarray(
    AAC_FRAME_SAMPLES,
  );
}

/** Headers of ADTS frames: their places, and how many bytes there are. */
function framesOf(bytes: Buffer): { readonly bytes: number; readonly rateIndex: number }[] {
  const frames: { bytes: number; rateIndex: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    expect(bytes.readUInt16BE(at) & 0xfff6).toBe(0xfff0);
    const length = ((bytes[at + 3]! & 3) << 11) | (bytes[at + 4]! << 3) | (bytes[at + 5]! >> 5);
    frames.push({ bytes: length, rateIndex: (bytes[at + 2]! >> 2) & 15 });
    at += length;
  }
  return frames;
}

async function speechAt(language: 'en' | 'zh', rateHz: number): Promise<Float32Array> {
  const file = readFileSync(join(import.meta.dirname, `../fixtures/demo-speech-${language}.flac`));
  const { channels, sampleRateHz } = await decodeAudio(file);
  const resampler = createStreamResampler(sampleRateHz, rateHz);
  return concatenate([resampler.push(channels[0] ?? new Float32Array()), resampler.finish()]);
}

function signalToNoise(wanted: Float32Array, got: Float32Array): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    signal += wanted[i]! ** 2;
    noise += (wanted[i]! - (got[i] ?? 0)) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

describe('the tables', () => {
  it('are prefix codes that leave nothing out, over every entry', () => {
    for (const book of [...SPECTRAL_BOOKS.slice(1), SCALE_FACTOR_BOOK]) {
      const { lengths } = book!;
      expect(lengths.reduce((sum, length) => sum + 2 ** -length, 0)).toBeCloseTo(1, 9);
      expect(lengths.every((length) => length > 0)).toBe(true);
    }
    expect(SPECTRAL_BOOKS.slice(1).map((book) => book!.lengths.length)).toEqual([
      81, 81, 81, 81, 81, 81, 64, 64, 169, 169, 289,
    ]);
  });

  it('have bands for all of a window at every rate', () => {
    expect(BAND_TABLES.flatMap(({ ratesHz }) => ratesHz)).toEqual(RATES_HZ);
    const total = (widths: readonly number[]) => widths.reduce((sum, width) => sum + width, 0);
    for (const { long, short } of BAND_TABLES) expect([total(long), total(short)]).toEqual([1024, 128]);
  });
});

it('transforms as the definition says', () => {
  const lines = 8;
  const samples = Float64Array.from({ length: 16 }, (_, n) => Math.sin(n * n + 1));
  const out = new Float64Array(lines);
  createMdct(lines)(samples, out);
  for (let k = 0; k < lines; k++) {
    let sum = 0;
    for (let n = 0; n < 16; n++) sum += 2 * samples[n]! * Math.cos(((2 * Math.PI) / 16) * (n + 4.5) * (k + 0.5));
    expect(out[k]).toBeCloseTo(sum, 9);
  }
});

it('transforms back as the definition says', () => {
  const lines = 8;
  const spectrum = Float64Array.from({ length: lines }, (_, k) => Math.sin(k * k + 1));
  const out = new Float64Array(2 * lines);
  createInverseMdct(lines)(spectrum, out);
  for (let n = 0; n < 2 * lines; n++) {
    let sum = 0;
    for (let k = 0; k < lines; k++) sum += spectrum[k]! * Math.cos(((2 * Math.PI) / 16) * (n + 4.5) * (k + 0.5));
    expect(out[n]).toBeCloseTo((2 / 16) * sum, 9);
  }
});

describe('a stream', () => {
  it('is frames that stand for themselves, within their bounds, at the bit rate that was asked for', async () => {
    const speech = await speechAt('zh', 32_000);
    for (const kbps of [32, 64, 96, 128]) {
      const bytes = encode(speech, 32_000, kbps);
      const frames = framesOf(bytes);
      expect(frames).toHaveLength(Math.ceil(speech.length / AAC_FRAME_SAMPLES) + 1);
      for (const frame of frames) expect(8 * frame.bytes).toBeLessThanOrEqual(6144);
      const seconds = speech.length / 32_000;
      expect((8 * bytes.length) / seconds / 1000).toBeLessThan(kbps + 4);
      expect((8 * bytes.length) / seconds / 1000).toBeGreaterThan(kbps - 4);
    }
  });

  it('is empty without samples, and takes next to nothing for silence', () => {
    expect(encode(new Float32Array(), 32_000)).toHaveLength(0);
    const frames = framesOf(encode(new Float32Array(32_000), 32_000));
    expect(frames.every(({ bytes }) => bytes < 16)).toBe(true);
  });
});

describe.runIf(hasFfmpeg)('ffmpeg', () => {
  it.each([
    [8000, 20, 1.5],
    [11_025, 20, 1.2],
    [12_000, 22, 1.1],
    [16_000, 20, 1.1],
    [22_050, 25, 0.8],
    [24_000, 25, 0.8],
    [32_000, 30, 0.5],
    [44_100, 32, 0.5],
    [48_000, 32, 0.5],
  ])(
    'hears speech at %d Hz as it was: %d dB over the error, less than %d dB of mel bands off',
    async (rateHz, least, most) => {
      for (const language of ['en', 'zh'] as const) {
        const speech = await speechAt(language, rateHz);
        const bytes = encode(speech, rateHz);
        expect(framesOf(bytes)[0]?.rateIndex).toBe(11 - AAC_RATES_HZ.indexOf(rateHz));
        const heard = decode(bytes);
        expect(heard.length).toBeGreaterThanOrEqual(speech.length);
        const aligned = heard.subarray(0, speech.length);
        expect(signalToNoise(speech, aligned)).toBeGreaterThan(least);
        expect(melDistance(logMel(speech, rateHz), logMel(aligned, rateHz))).toBeLessThan(most);
      }
    },
  );

  it('hears silence, one sample, full-scale noise, square waves and clicks, at the fewest bits and the most', () => {
    let state = 1;
    const noise = () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state / 2 ** 31 - 1;
    };
    const sounds: readonly Float32Array[] = [
      new Float32Array(5000),
      Float32Array.of(1),
      Float32Array.from({ length: 8000 }, noise),
      Float32Array.from({ length: 8000 }, () => (noise() > 0 ? 1 : -1)),
      Float32Array.from({ length: 8000 }, (_, i) => (i % 200 < 100 ? 1.5 : -1.5)),
      Float32Array.from({ length: 8000 }, (_, i) => (i % 1301 === 0 ? 1 : 0)),
      Float32Array.from({ length: 8000 }, (_, i) => (i > 4500 ? Math.sin(i) : 1e-5 * noise())),
      Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.5),
    ];
    for (const rateHz of [8000, 32_000, 48_000]) {
      for (const kbps of [8, undefined, 256]) {
        // Frames stand for themselves: one after another they are a stream as well.
        const streams = sounds.map((sound) => encode(sound, rateHz, kbps));
        const frames = streams.flatMap(framesOf);
        for (const frame of frames) expect(8 * frame.bytes).toBeLessThanOrEqual(6144);
        expect(decode(Buffer.concat(streams))).toHaveLength((frames.length - 1) * AAC_FRAME_SAMPLES);
      }
    }
    expect(decode(encode(new Float32Array(5000), 32_000)).every((sample) => sample === 0)).toBe(true);
    expect(signalToNoise(sounds[2]!, decode(encode(sounds[2]!, 8000, 256)))).toBeGreaterThan(20);
  });

  it('hears no echo before a sound that begins suddenly', () => {
    const rateHz = 32_000;
    const samples = Float32Array.from({ length: rateHz }, (_, i) => 0.001 * Math.sin(i * 0.05));
    const attacks = Array.from({ length: 9 }, (_, n) => 3000 + n * 3200 + n * 97);
    for (const at of attacks)
      for (let i = 0; i < 1200; i++) samples[at + i]! += 0.5 * Math.sin(i * i) * Math.exp(-i / 400);
    const heard = decode(encode(samples, rateHz));
    const errorDb = (from: number, to: number) => {
      let sum = 0;
      for (let i = from; i < to; i++) sum += (samples[i]! - heard[i]!) ** 2;
      return 10 * Math.log10(sum / (to - from));
    };
    // 8 ms before it, and earlier: long windows would spread the error of the sound, some −40 dB, over 32 ms.
    for (const at of attacks) expect(errorDb(at - 640, at - 256)).toBeLessThan(-65);
  });

  it('leaves the watermark where it was', async () => {
    for (const language of ['en', 'zh'] as const) {
      const rateHz = 32_000;
      const speech = await speechAt(language, rateHz);
      const watermarker = createWatermarker(rateHz);
      const marked = concatenate([watermarker.push(concatenate([speech, speech])), watermarker.finish()]);
      for (const kbps of [48, undefined]) {
        expect(detectWatermark(decode(encode(marked, rateHz, kbps)), rateHz).found).toBe(true);
      }
      expect(detectWatermark(decode(encode(concatenate([speech, speech]), rateHz)), rateHz).found).toBe(false);
    }
  });
});
