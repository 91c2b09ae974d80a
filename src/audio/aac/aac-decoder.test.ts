import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AppError } from '../../errors.js';
import { concatenate } from '../concatenate.js';
import { decodeAudio } from '../decode.js';
import { AAC_RATES_HZ, AacEncoder } from '../encode/aac.js';
import { createStreamResampler } from '../resample-stream.js';
import { verifyAudio } from '../verify.js';
import { createWatermarker } from '../watermark.js';
import type { AudioClip } from '../wav.js';
import { BitWriter, NO_DIFFERENCE, SCALE_FACTOR_BOOK, SPECTRAL_BOOKS, writeSpectral } from './books.js';
import { BAND_TABLES, RATES_HZ } from './tables.js';

/** Debian's ffmpeg: an encoder and a decoder that are not ours. */
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).error === undefined;
const folder = mkdtempSync(join(tmpdir(), 'timbre-aac-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What ffmpeg makes of frames of ADTS. */
function ffmpegDecode(bytes: Uint8Array, channels: number): Float32Array[] {
  const options = ['-hide_banner', '-v', 'error', '-xerror', '-f', 'aac', '-i', '-', '-f', 'f32le', '-'];
  const { status, stdout, stderr } = spawnSync('ffmpeg', options, { input: bytes, maxBuffer: 1 << 28 });
  expect([status, stderr.toString()]).toEqual([0, '']);
  return apart(stdout, channels);
}

function ffmpegDecodeFile(name: string, channels: number): Float32Array[] {
  // A file of MP4 can only be read where it can be searched.
  const path = join(folder, name);
  const { status, stdout, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-i', path, '-f', 'f32le', '-'], {
    maxBuffer: 1 << 28,
  });
  expect([status, stderr.toString()]).toEqual([0, '']);
  return apart(stdout, channels);
}

function apart(interleaved: Buffer, channels: number): Float32Array[] {
  const all = new Float32Array(
    interleaved.buffer.slice(interleaved.byteOffset, interleaved.byteOffset + interleaved.length),
  );
  const length = all.length / channels;
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length }, (_, i) => all[i * channels + channel]!),
  );
}

/** Sound through ffmpeg's encoder, into a file of a name that says the container. */
function ffmpegEncode(
  channels: readonly Float32Array[],
  rateHz: number,
  options: readonly string[],
  name = 'sound.aac',
): Buffer {
  const interleaved = new Float32Array(channels[0]!.length * channels.length);
  for (const [channel, samples] of channels.entries())
    for (const [i, sample] of samples.entries()) interleaved[i * channels.length + channel] = sample;
  const format = ['-f', 'f32le', '-ar', String(rateHz), '-ac', String(channels.length)];
  const path = join(folder, name);
  const { status, stderr } = spawnSync(
    'ffmpeg',
    ['-hide_banner', '-v', 'error', '-y', ...format, '-i', '-', '-c:a', 'aac', ...options, path],
    { input: Buffer.from(interleaved.buffer), maxBuffer: 1 << 28 },
  );
  expect([status, stderr.toString()]).toEqual([0, '']);
  return readFileSync(path);
}

/** How far the difference is below what was wanted, in decibels; both have the same length. */
function distanceDb(wanted: readonly Float32Array[], got: readonly Float32Array[]): number {
  let [signal, noise] = [0, 1e-30];
  expect(got.map(({ length }) => length)).toEqual(wanted.map(({ length }) => length));
  for (const [channel, samples] of wanted.entries()) {
    for (const [i, sample] of samples.entries()) {
      signal += sample ** 2;
      noise += (sample - got[channel]![i]!) ** 2;
    }
  }
  return 10 * Math.log10(signal / noise);
}

class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 up to but not 1. */
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 32;
  }

  /** One of `count` whole numbers from 0. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(part: number): boolean {
    return this.next() < part;
  }
}

const SECONDS = 1;

/** Sounds that make an encoder take its different ways. */
function soundsAt(rateHz: number): Readonly<Record<string, Float32Array>> {
  const random = new Random(rateHz);
  const sound = (at: (seconds: number, i: number) => number) =>
    Float32Array.from({ length: SECONDS * rateHz }, (_, i) => at(i / rateHz, i));
  return {
    tones: sound((t) => 0.3 * Math.sin(2 * Math.PI * 440 * t) + 0.2 * Math.sin(2 * Math.PI * 1234 * t)),
    // A hum with formants whose loudness goes up and down like syllables.
    voice: sound((t) => {
      let sum = 0;
      const f0 = 120 + 20 * Math.sin(2 * Math.PI * 0.7 * t);
      for (let k = 1; k < 25; k++)
        sum += (Math.exp(-(((k * f0 - 600) / 300) ** 2)) + 0.1) * Math.sin(2 * Math.PI * k * f0 * t);
      return 0.1 * sum * Math.max(0, Math.sin(2 * Math.PI * 3 * t));
    }),
    clicks: sound((_, i) => (i % Math.round(rateHz / 9) < 20 ? 0.8 * (random.next() - 0.5) : 0.002 * random.next())),
    noise: sound((t) => 0.3 * (random.next() - 0.5) * (1 + Math.sin(2 * Math.PI * t))),
    sweep: sound((t) => 0.5 * Math.sin(2 * Math.PI * (100 * t + (rateHz / 10) * t * t))),
  };
}

interface RandomWindow {
  readonly short: boolean;
  readonly sequence: number;
  readonly shape: number;
  readonly widths: readonly number[];
  readonly groups: readonly number[];
  readonly bands: number;
}

/** ADTS frames that are random sequences of what AAC-LC can say: every tool, as no encoder uses them. */
class RandomStream {
  readonly #random: Random;
  readonly #rateIndex: number;
  readonly #channels: 1 | 2;
  #sequence = 0;

  constructor(seed: number, rateIndex: number, channels: 1 | 2) {
    this.#random = new Random(seed);
    this.#rateIndex = rateIndex;
    this.#channels = channels;
  }

  frame({ noise = false, fill = false } = {}): Uint8Array {
    const random = this.#random;
    const out = new BitWriter();
    // After a long window comes one like it or one that falls steeply, after short ones one that rises steeply.
    const following = [[0, 1], [2], [2, 3], [0, 1]][this.#sequence]!;
    this.#sequence = following[random.below(following.length)]!;
    if (random.chance(0.2)) this.#data(out);
    if (this.#channels === 1) {
      out.write(0, 3);
      out.write(0, 4);
      this.#channel(out, null, { noise, right: false });
    } else {
      out.write(1, 3);
      out.write(0, 4);
      const common = random.chance(0.7) ? this.#window() : null;
      out.write(common ? 1 : 0, 1);
      // 2 would mean something else for intensity in ffmpeg than in the standard.
      const present = common ? random.below(3) : 0;
      if (common) {
        this.#writeWindow(out, common);
        out.write(present, 2);
        if (present === 1) for (let i = 0; i < common.groups.length * common.bands; i++) out.write(random.below(2), 1);
      }
      this.#channel(out, common, { noise, right: false });
      this.#channel(out, common, { noise, right: common !== null && present !== 2 });
    }
    if (fill) this.#highBands(out);
    out.write(7, 3);
    return this.#packed(out.bytes());
  }

  #window(): RandomWindow {
    const random = this.#random;
    const short = this.#sequence === 2;
    const table = BAND_TABLES.find(({ ratesHz }) => ratesHz.includes(RATES_HZ[this.#rateIndex]!))!;
    const widths = short ? table.short : table.long;
    const groups = [1];
    for (let window = 1; short && window < 8; window++) {
      if (random.chance(0.6)) groups[groups.length - 1]! += 1;
      else groups.push(1);
    }
    return {
      short,
      sequence: this.#sequence,
      shape: random.below(2),
      widths,
      groups,
      bands: random.between(0, widths.length),
    };
  }

  #writeWindow(out: BitWriter, { short, sequence, shape, groups, bands }: RandomWindow): void {
    out.write(0, 1);
    out.write(sequence, 2);
    out.write(shape, 1);
    out.write(bands, short ? 4 : 6);
    if (!short) out.write(0, 1);
    for (const bit of groups.flatMap((length) => Array.from({ length }, (_, i) => (i > 0 ? 1 : 0))).slice(1))
      out.write(bit, 1);
  }

  #channel(
    out: BitWriter,
    common: RandomWindow | null,
    { noise, right }: { readonly noise: boolean; readonly right: boolean },
  ): void {
    const random = this.#random;
    const window = common ?? this.#window();
    const { short, widths, groups, bands } = window;
    const gain = random.between(85, 105);
    out.write(gain, 8);
    if (!common) this.#writeWindow(out, window);
    const books: number[] = [];
    for (let group = 0; group < groups.length; group++) {
      for (let band = 0; band < bands; ) {
        const length = random.between(1, Math.min(bands - band, short ? 9 : 40));
        const choices = [...Array(12).keys(), ...(noise ? [13, 13] : []), ...(right ? [14, 15] : [])];
        const book = choices[random.below(choices.length)]!;
        const lengthBits = short ? 3 : 5;
        const longest = 2 ** lengthBits - 1;
        out.write(book, 4);
        let left = length;
        for (; left >= longest; left -= longest) out.write(longest, lengthBits);
        out.write(left, lengthBits);
        for (let i = 0; i < length; i++) books.push(book);
        band += length;
      }
    }
    let [scaleFactor, position, firstNoise] = [gain, 0, true];
    const difference = (value: number) =>
      out.write(SCALE_FACTOR_BOOK.codes[NO_DIFFERENCE + value]!, SCALE_FACTOR_BOOK.lengths[NO_DIFFERENCE + value]!);
    for (const book of books) {
      if (book === 0) continue;
      if (book >= 14) {
        const next = random.between(-12, 12);
        difference(next - position);
        position = next;
      } else if (book === 13) {
        if (firstNoise) out.write(256 + random.between(20, 40), 9);
        else difference(random.between(-1, 1));
        firstNoise = false;
      } else {
        const next = random.between(80, 108);
        difference(next - scaleFactor);
        scaleFactor = next;
      }
    }
    const pulses = !short && bands > 0 && random.chance(0.3);
    out.write(pulses ? 1 : 0, 1);
    if (pulses) {
      const count = random.below(4);
      const band = random.below(Math.ceil(bands / 2));
      out.write(count, 2);
      out.write(band, 6);
      let line = widths.slice(0, band).reduce((sum, width) => sum + width, 0);
      const last = widths.slice(0, bands).reduce((sum, width) => sum + width, 0) - 1;
      for (let i = 0; i <= count; i++) {
        const step = Math.min(31, random.below(last - line + 1));
        line += step;
        out.write(step, 5);
        out.write(random.below(16), 4);
      }
    }
    const shaped = random.chance(0.4);
    out.write(shaped ? 1 : 0, 1);
    if (shaped) this.#shaping(out, short, widths.length);
    out.write(0, 1);
    this.#lines(out, books, window);
  }

  #shaping(out: BitWriter, short: boolean, bands: number): void {
    const random = this.#random;
    for (let window = 0; window < (short ? 8 : 1); window++) {
      const count = random.below(short ? 2 : 4);
      out.write(count, short ? 1 : 2);
      if (count === 0) continue;
      const resolution = random.below(2);
      out.write(resolution, 1);
      for (let i = 0; i < count; i++) {
        out.write(random.below(Math.min(bands, short ? 16 : 64)), short ? 4 : 6);
        const order = random.between(0, short ? 7 : 12);
        out.write(order, short ? 3 : 5);
        if (order === 0) continue;
        const compressed = random.below(2);
        out.write(random.below(2), 1);
        out.write(compressed, 1);
        const width = 3 + resolution - compressed;
        // Mostly small ones: a filter that rings for ever tells nothing.
        for (let k = 0; k < order; k++) out.write((random.between(-2, 1) + 2 ** width) % 2 ** width, width);
      }
    }
  }

  #lines(out: BitWriter, books: readonly number[], { widths, groups, bands }: RandomWindow): void {
    const random = this.#random;
    for (const [group, windows] of groups.entries()) {
      for (let band = 0; band < bands; band++) {
        const book = SPECTRAL_BOOKS[books[group * bands + band]!];
        if (!book) continue;
        const most = Math.min(book.most, 20);
        const values = Int32Array.from({ length: widths[band]! * windows }, () =>
          book.most > 20 && random.chance(0.001) ? random.between(-8191, 8191) : random.between(-most, most),
        );
        writeSpectral(out, book, values, 0, values.length);
      }
    }
  }

  /** What other programs keep between the sounds. */
  #data(out: BitWriter): void {
    out.write(4, 3);
    out.write(3, 4);
    out.write(0, 1);
    out.write(5, 8);
    for (let i = 0; i < 5; i++) out.write(this.#random.below(256), 8);
  }

  /** What HE-AAC has: a fill element with spectral band replication, of nonsense. */
  #highBands(out: BitWriter): void {
    out.write(6, 3);
    out.write(15, 4);
    out.write(6, 8);
    out.write(13, 4);
    for (let i = 0; i < 19; i++) out.write(this.#random.below(256), 8);
    out.write(0, 4);
  }

  #packed(body: Uint8Array): Uint8Array {
    const out = new BitWriter();
    out.write(0xfff1, 16);
    out.write(1, 2);
    out.write(this.#rateIndex, 4);
    out.write(0, 1);
    out.write(this.#channels, 3);
    out.write(0, 4);
    out.write(body.length + 7, 13);
    out.write(0x7ff, 11);
    out.write(0, 2);
    return Buffer.concat([out.bytes(), body]);
  }
}

async function refusal(bytes: Uint8Array): Promise<string> {
  try {
    await decodeAudio(bytes);
  } catch (error) {
    if (error instanceof AppError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'no error';
}

const closeTo = (clip: AudioClip, wanted: readonly Float32Array[]) => distanceDb(wanted, clip.channels);

describe.runIf(hasFfmpeg)('beside ffmpeg', () => {
  it.each([8000, 16_000, 24_000, 32_000, 44_100, 48_000, 64_000, 96_000])(
    'hears the same in what its encoder makes at %d Hz',
    async (rateHz) => {
      const sounds = soundsAt(rateHz);
      const pairs: readonly (readonly [string, string | null])[] = [
        ['voice', null],
        ['clicks', null],
        ['noise', null],
        ['voice', 'tones'],
        ['clicks', 'sweep'],
      ];
      for (const [i, [one, other]] of pairs.entries()) {
        const channels = other === null ? [sounds[one]!] : [sounds[one]!, sounds[other]!];
        const kbps = [16, 32, 64, 96][i % 4]! * channels.length;
        const bytes = ffmpegEncode(channels, rateHz, ['-b:a', `${kbps}k`, '-aac_pns', '0']);
        const clip = await decodeAudio(bytes);
        expect(clip).toMatchObject({ sampleRateHz: rateHz, truncated: false });
        // Of single precision there and of double here: measured 130 and more.
        expect(closeTo(clip, ffmpegDecode(bytes, channels.length))).toBeGreaterThan(100);
      }
    },
    60_000,
  );

  it('hears the same in what our encoder makes, at every rate', async () => {
    for (const rateHz of AAC_RATES_HZ) {
      const { voice, clicks } = soundsAt(rateHz);
      const encoder = new AacEncoder({ sampleRateHz: rateHz });
      const bytes = Buffer.concat([...encoder.encode(concatenate([voice!, clicks!])), ...encoder.finish()]);
      const clip = await decodeAudio(bytes);
      expect(clip).toMatchObject({ sampleRateHz: rateHz, truncated: false });
      expect(closeTo(clip, ffmpegDecode(bytes, 1))).toBeGreaterThan(100);
    }
  }, 60_000);

  it.each([1, 2] as const)(
    'hears the same in all that can be said in %d channels',
    async (channels) => {
      for (const [rateIndex, rateHz] of RATES_HZ.entries()) {
        const stream = new RandomStream(1000 * channels + rateIndex, rateIndex, channels);
        const bytes = Buffer.concat(Array.from({ length: 150 }, () => stream.frame()));
        const clip = await decodeAudio(bytes);
        expect(clip).toMatchObject({ sampleRateHz: rateHz, truncated: false });
        expect([rateHz, closeTo(clip, ffmpegDecode(bytes, channels))]).toEqual([
          rateHz,
          expect.toSatisfy((db) => db > 80),
        ]);
      }
    },
    60_000,
  );

  it('makes noise as loud as it is said to be', async () => {
    for (const channels of [1, 2] as const) {
      const stream = new RandomStream(5, 4, channels);
      const bytes = Buffer.concat(Array.from({ length: 300 }, () => stream.frame({ noise: true })));
      const { channels: ours, truncated } = await decodeAudio(bytes);
      expect(truncated).toBe(false);
      for (const [channel, theirs] of ffmpegDecode(bytes, channels).entries()) {
        const power = (samples: Float32Array) => samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length;
        expect(10 * Math.log10(power(ours[channel]!) / power(theirs))).toBeCloseTo(0, 0);
      }
    }
  });

  it('hears the same in MP4: as phones write it, with its table first, in fragments, in QuickTime', async () => {
    const { voice, clicks } = soundsAt(44_100);
    const sound = [concatenate([voice!, clicks!]), concatenate([clicks!, voice!])];
    const fragments = '+frag_keyframe+empty_moov+default_base_moof';
    for (const [name, options] of [
      ['sound.m4a', []],
      ['first.mp4', ['-movflags', '+faststart']],
      ['fragments.mp4', ['-movflags', fragments, '-frag_duration', '300000']],
      ['offsets.mp4', ['-movflags', '+frag_keyframe+empty_moov', '-frag_duration', '300000']],
      ['sound.mov', []],
    ] as const) {
      for (const channels of [sound.slice(0, 1), sound]) {
        const bytes = ffmpegEncode(channels, 44_100, ['-b:a', '96k', '-aac_pns', '0', ...options], name);
        const clip = await decodeAudio(bytes);
        expect(clip).toMatchObject({ sampleRateHz: 44_100, truncated: false });
        expect(closeTo(clip, ffmpegDecodeFile(name, channels.length))).toBeGreaterThan(100);
        // A file written at once says what the encoder put before the sound.
        if (/fragments|offsets/.test(name)) continue;
        const heard = clip.channels.map((samples) => samples.subarray(0, sound[0]!.length));
        expect([name, distanceDb(channels, heard)]).toEqual([name, expect.toSatisfy((db) => db > 8)]);
      }
    }
  }, 60_000);

  it('names what else an MP4 file can hold', async () => {
    const { voice } = soundsAt(16_000);
    const lossless = ffmpegEncode([voice!], 16_000, ['-c:a', 'alac'], 'lossless.m4a');
    expect(await refusal(lossless)).toMatch(/^AUDIO_UNREADABLE .*"alac"; expected AAC/);
    const whole = ffmpegEncode([voice!], 16_000, [], 'whole.m4a');
    expect(await refusal(whole.subarray(0, whole.length / 2))).toMatch(/^AUDIO_UNREADABLE .*moov/);
    const surround = ffmpegEncode(new Array(6).fill(voice), 16_000, ['-ac', '6'], 'surround.m4a');
    expect(await refusal(surround)).toMatch(/^AUDIO_UNREADABLE .*channel layout 6; expected AAC-LC/);
  });

  it('finds the watermark in AAC at 64 kbit/s, in MP4 as well', async () => {
    const rateHz = 32_000;
    const file = readFileSync(join(import.meta.dirname, '../fixtures/demo-speech-zh.flac'));
    const { channels, sampleRateHz } = await decodeAudio(file);
    const resampler = createStreamResampler(sampleRateHz, rateHz);
    const speech = concatenate([resampler.push(channels[0]!), resampler.finish()]);
    const watermarker = createWatermarker(rateHz);
    const marked = concatenate([watermarker.push(concatenate([speech, speech])), watermarker.finish()]);
    for (const [name, sound, found] of [
      ['marked.aac', marked, true],
      ['marked.m4a', marked, true],
      ['plain.aac', concatenate([speech, speech]), false],
    ] as const) {
      const { watermark } = await verifyAudio(ffmpegEncode([sound], rateHz, ['-b:a', '64k'], name));
      expect([name, watermark.found]).toEqual([name, found]);
    }
  });
});

describe('an AAC stream', () => {
  const streamOf = (frames: number, channels: 1 | 2 = 2, options = {}) => {
    const stream = new RandomStream(77, 5, channels);
    return Array.from({ length: frames }, () => stream.frame(options));
  };

  it('of HE-AAC is its core', async () => {
    const clip = await decodeAudio(Buffer.concat(streamOf(40, 1, { fill: true })));
    expect(clip).toMatchObject({ sampleRateHz: 32_000, truncated: false });
    expect(clip.channels.map(({ length }) => length)).toEqual([40 * 1024]);
  });

  it('goes on where its frames go on', async () => {
    const frames = streamOf(40);
    const whole = await decodeAudio(Buffer.concat(frames));
    const junk = Buffer.from('ID3 or whatever else \xff\xf1 stands between frames', 'latin1');
    const joined = await decodeAudio(Buffer.concat([...frames.slice(0, 20), junk, ...frames.slice(20)]));
    expect(joined.truncated).toBe(true);
    expect(joined.channels).toEqual(whole.channels);
    // Joined in the middle of a frame.
    const late = await decodeAudio(Buffer.concat(frames).subarray(100));
    expect(late.channels[0]).toHaveLength(39 * 1024);
    expect(late.channels[0]!.subarray(2048)).toEqual(whole.channels[0]!.subarray(3 * 1024));
  });

  it('keeps its time where a frame cannot be read', async () => {
    const frames = streamOf(40);
    const whole = await decodeAudio(Buffer.concat(frames));
    frames[20] = frames[20]!.map((byte, i) => (i < 7 ? byte : 0xff));
    const damaged = await decodeAudio(Buffer.concat(frames));
    expect(damaged.truncated).toBe(true);
    for (const [from, to] of [
      [0, 20 * 1024],
      [22 * 1024, 40 * 1024],
    ]) {
      expect(damaged.channels[1]!.subarray(from, to)).toEqual(whole.channels[1]!.subarray(from, to));
    }
  });

  it('gives samples within bounds or an AUDIO error, whatever its bytes are', async () => {
    const random = new Random(9);
    const frames = Buffer.concat(streamOf(12, 2, { noise: true }));
    for (let round = 0; round < 60; round++) {
      const damaged = Uint8Array.from(frames);
      for (let i = 0; i < 1 + (round % 30); i++) damaged[random.below(damaged.length)] = random.below(256);
      const answer = await decodeAudio(damaged).catch((error: unknown) => error);
      if (answer instanceof AppError) expect(answer.code).toBe('AUDIO_UNREADABLE');
      else
        for (const samples of (answer as AudioClip).channels) expect(samples.every((x) => Math.abs(x) <= 8)).toBe(true);
    }
  });

  it('is refused where it is not LC, with its name', async () => {
    const main = streamOf(3).map((frame) => frame.map((byte, i) => (i === 2 ? byte & 0x3f : byte)));
    expect(await refusal(Buffer.concat(main))).toMatch(/^AUDIO_UNREADABLE .*AAC Main; expected AAC-LC/);
  });

  it('of frames without anything is refused, and ends', async () => {
    const empty = Buffer.from([0xff, 0xf1, 0x50, 0x40, 0, 0xff, 0xfc]);
    expect(await refusal(Buffer.concat(new Array(100_000).fill(empty)))).toMatch(/^AUDIO_UNREADABLE/);
  });
});

describe('a damaged MP4 file', () => {
  const box = (type: string, ...content: readonly Uint8Array[]) => {
    const body = Buffer.concat(content);
    const header = Buffer.alloc(8);
    header.writeUInt32BE(body.length + 8);
    header.write(type, 4, 'latin1');
    return Buffer.concat([header, body]);
  };
  const words = (...values: readonly number[]) => {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i);
    return bytes;
  };
  /** AudioSpecificConfig: LC, 32 kHz, one channel. */
  const LC = [0x12, 0x88];
  const file = (
    frames: readonly Uint8Array[],
    tables: readonly Uint8Array[],
    config: readonly number[] = LC,
    ...more: readonly Uint8Array[]
  ) => {
    const descriptor = Buffer.from([
      3,
      19 + config.length,
      0,
      0,
      0,
      4,
      14 + config.length,
      0x40,
      ...new Array(11).fill(0),
      0,
    ]);
    const esds = box('esds', words(0), descriptor, Buffer.from([5, config.length, ...config]));
    const entry = box('mp4a', Buffer.alloc(28), esds);
    const table = box('stbl', box('stsd', words(0, 1), entry), ...tables);
    const media = box('mdia', box('hdlr', words(0, 0), Buffer.from('soun')), box('minf', table));
    return Buffer.concat([
      box('ftyp', Buffer.from('M4A ')),
      box('mdat', ...frames),
      box('moov', box('trak', media, ...more)),
    ]);
  };
  const FIRST = 8 + 4 + 8;
  const stream = new RandomStream(3, 5, 1);
  const frames = Array.from({ length: 10 }, () => stream.frame().subarray(7));
  const sizes = box('stsz', words(0, 0, 10, ...frames.map(({ length }) => length)));
  const oneChunk = [box('stsc', words(0, 1, 1, 10, 1)), box('stco', words(0, 1, FIRST))];

  it('is whole before', async () => {
    const clip = await decodeAudio(file(frames, [sizes, ...oneChunk]));
    expect(clip).toMatchObject({ sampleRateHz: 32_000, truncated: false });
    expect(clip.channels.map(({ length }) => length)).toEqual([10 * 1024]);
  });

  it('and HE-AAC that says so is its core', async () => {
    // Types 5 (SBR, twice the rate) and 29 (with parametric stereo), then LC.
    for (const type of [5, 29]) {
      const out = new BitWriter();
      for (const [value, bits] of [
        [type, 5],
        [5, 4],
        [1, 4],
        [2, 4],
        [2, 5],
        [0, 3],
      ] as const)
        out.write(value, bits);
      const clip = await decodeAudio(file(frames, [sizes, ...oneChunk], [...out.bytes()]));
      expect(clip).toMatchObject({ sampleRateHz: 32_000, truncated: false });
      expect(clip.channels[0]).toHaveLength(10 * 1024);
    }
  });

  it.each<[string, readonly Uint8Array[], string]>([
    ['frames of no bytes without end', [box('stsz', words(0, 0, -1)), ...oneChunk], 'AUDIO_UNREADABLE'],
    [
      'the same byte without end',
      [
        box('stsz', words(0, 1, -1)),
        box('stsc', words(0, 1, 1, 1, 1)),
        box('stco', words(0, -1, ...new Array(50_000).fill(FIRST))),
      ],
      'AUDIO_UNREADABLE',
    ],
    [
      'frames behind the end',
      [sizes, box('stsc', words(0, 1, 1, 10, 1)), box('stco', words(0, 1, -1))],
      'AUDIO_UNREADABLE',
    ],
    ['no tables', [], 'AUDIO_UNREADABLE'],
    [
      'the same frame for hours',
      [
        box('stsz', words(0, frames[0]!.length, -1)),
        box('stsc', words(0, 1, 1, 1, 1)),
        box('stco', words(0, -1, ...new Array(50_000).fill(FIRST))),
      ],
      'AUDIO_TOO_LONG',
    ],
  ])('of %s is refused, and ends', async (_, tables, code) => {
    expect(await refusal(file(frames, tables))).toContain(code);
  });

  it('that would have hours passed over before the sound is refused, and ends', async () => {
    const same = [
      box('stsz', words(0, frames[0]!.length, -1)),
      box('stsc', words(0, 1, 1, 1, 1)),
      box('stco', words(0, -1, ...new Array(50_000).fill(FIRST))),
    ];
    const edits = box('edts', box('elst', words(0, 1, -2, -2, 1)));
    expect(await refusal(file(frames, same, LC, edits))).toContain('AUDIO_TOO_LONG');
  });

  it('gives samples or an AUDIO error, whatever its tables say', async () => {
    const random = new Random(4);
    const whole = file(frames, [sizes, ...oneChunk]);
    const tablesAt = whole.indexOf('moov');
    for (let round = 0; round < 300; round++) {
      const damaged = Uint8Array.from(whole);
      for (let i = 0; i < 1 + (round % 8); i++)
        damaged[tablesAt + random.below(damaged.length - tablesAt)] = random.chance(0.5)
          ? random.below(256)
          : 255 * random.below(2);
      const cut = round % 3 === 0 ? damaged.subarray(0, random.below(damaged.length)) : damaged;
      if (cut.length === 0) continue;
      expect(await refusal(cut)).toMatch(/^no error|^AUDIO_/);
    }
  });
});
