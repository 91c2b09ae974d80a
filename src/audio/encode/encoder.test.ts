import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatenate } from '../concatenate.js';
import { decodeAudio } from '../decode.js';
import { createAigcLabel } from '../label.js';
import { createStreamResampler } from '../resample-stream.js';
import { decodeWav, pcm16 } from '../wav.js';
import { createEncoder, ENCODING_FACTS, ENCODINGS, type EncoderOptions, type Encoding } from './encoder.js';
import { BLOCK_SAMPLES } from './flac.js';

const label = createAigcLabel({ producer: '音色', produceId: 'request-1' });

/** Other people's decoders, where the machine has them (`apt-get install ffmpeg flac opus-tools`, as .ci/run does). */
const tools = ['ffmpeg', 'flac', 'opusinfo'].filter((tool) => spawnSync(tool, ['-version']).error === undefined);
const available = new Set(tools);

/** Something like a voice: harmonics of a moving pitch, pauses, a little noise. */
function speechLike(rateHz: number, seconds: number): Float32Array {
  let phase = 0;
  let noise = 1;
  return Float32Array.from({ length: Math.round(rateHz * seconds) }, (_, i) => {
    const t = i / rateHz;
    phase += (2 * Math.PI * (140 + 40 * Math.sin(3 * t))) / rateHz;
    noise = (noise * 1103515245 + 12345) & 0x7fffffff;
    const loud = Math.max(0, Math.sin(2 * Math.PI * 1.5 * t)) * 0.25;
    return (
      loud * (Math.sin(phase) + 0.5 * Math.sin(2 * phase) + 0.3 * Math.sin(5 * phase)) +
      loud * 0.02 * (noise / 2 ** 30 - 1)
    );
  });
}

async function encode(
  samples: Float32Array,
  options: Partial<EncoderOptions> & { encoding: Encoding },
  pieceSamples = 1777,
): Promise<Buffer> {
  const encoder = await createEncoder({ inputHz: 16_000, label, layout: 'stream', ...options });
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset < samples.length; offset += pieceSamples) {
    parts.push(Buffer.from(encoder.encode(samples.subarray(offset, offset + pieceSamples))));
  }
  parts.push(encoder.finish());
  const bytes = Buffer.concat(parts);
  const header = options.layout === 'file' ? encoder.fileHeader() : null;
  if (header !== null) bytes.set(header, 0);
  return bytes;
}

/** Decibels of signal over the difference, after the best alignment within `maxLag` samples. */
function signalToNoise(wanted: Float32Array, got: Float32Array, maxLag: number): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let lag = 0; lag <= maxLag; lag++) {
    let signal = 0;
    let noise = 0;
    for (let i = 0; i + lag < got.length && i < wanted.length; i++) {
      signal += wanted[i]! ** 2;
      noise += (wanted[i]! - got[i + lag]!) ** 2;
    }
    best = Math.max(best, 10 * Math.log10(signal / Math.max(noise, 1e-12)));
  }
  return best;
}

describe.each(ENCODINGS)('%s', (encoding) => {
  it('gives the same bytes however the samples are cut', async () => {
    const samples = speechLike(16_000, 0.7);
    // The serial number of an Ogg stream is drawn, so what is compared is what can be heard.
    const whole = await heard(encoding, await encode(samples, { encoding }, samples.length));
    for (const pieceSamples of [160, 511, 4096]) {
      const cut = await heard(encoding, await encode(samples, { encoding }, pieceSamples));
      expect(cut.length).toBe(whole.length);
      // Vorbis decides on its windows by what it has seen so far.
      const worst = cut.reduce((max, value, i) => Math.max(max, Math.abs(value - whole[i]!)), 0);
      expect(worst).toBeLessThan(encoding === 'vorbis' ? 2e-3 : 1e-9);
    }
  });

  it('gives out nearly everything before the end', async () => {
    const samples = speechLike(16_000, 3);
    const encoder = await createEncoder({ encoding, inputHz: 16_000, label, layout: 'stream' });
    const before = encoder.encode(samples).length;
    const total = before + encoder.finish().length;
    // Vorbis fills pages of 4 KiB; the others hold back less than a quarter of a second.
    expect(before / total).toBeGreaterThan(encoding === 'vorbis' ? 0.4 : 0.88);
  });
});

async function heard(encoding: Encoding, bytes: Buffer): Promise<Float32Array> {
  if (encoding === 'pcm')
    return Float32Array.from(new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
  // Of AAC there is no decoder here; its frames tell nothing of when they were made.
  if (encoding === 'mulaw' || encoding === 'alaw' || encoding === 'aac') return Float32Array.from(bytes);
  const { channels } = await decodeAudio(bytes);
  return channels[0] ?? new Float32Array();
}

/** Sounds that are hard in different ways: noise, hard edges, clicks in silence, a full-scale tone. */
const HARD_SOUNDS: readonly ((i: number) => number)[] = [
  (i) => ((i * 7919 + ((i * i) % 104_729)) % 65_536) / 32_768 - 1,
  (i) => Math.sign(Math.sin(i * i * 0.001)),
  (i) => (i % 97 === 0 ? ((i * 31) % 200) / 100 - 1 : 0),
  (i) => 1.2 * Math.sin(i * 0.01),
  () => 0,
];

describe('what is lossless', () => {
  it('comes back from FLAC, any samples of any length', async () => {
    for (const [kind, sound] of HARD_SOUNDS.entries()) {
      for (const lengthSamples of [1, 15, 511, 512, 513, 5 * BLOCK_SAMPLES + 300]) {
        const samples = Float32Array.from({ length: lengthSamples }, (_, i) => sound(i));
        const bytes = await encode(samples, { encoding: 'flac', layout: 'file' });
        if (available.has('flac')) {
          // Checks the digest of the samples that we wrote into the header.
          const { status, stderr } = spawnSync('flac', ['-t', '-s', '-'], { input: bytes, encoding: 'utf8' });
          expect([kind, lengthSamples, status, stderr]).toEqual([kind, lengthSamples, 0, '']);
        }
        const wanted = createHash('md5').update(pcm16(samples)).digest('hex');
        expect(bytes.subarray(26, 42).toString('hex')).toBe(wanted);
      }
    }
  });

  it('comes back from FLAC by our own decoder, which divides by 32767', async () => {
    const samples = speechLike(16_000, 1);
    const { channels } = await decodeAudio(await encode(samples, { encoding: 'flac', layout: 'file' }));
    const worst = samples.reduce((max, value, i) => Math.max(max, Math.abs(value - channels[0]![i]!)), 0);
    expect([channels[0]?.length, worst < 1.6 / 32_768]).toEqual([16_000, true]);
  });

  it('takes less than 70 % of WAV for speech in FLAC', async () => {
    const samples = speechLike(16_000, 3);
    const flac = await encode(samples, { encoding: 'flac' });
    expect(flac.length / (samples.length * 2)).toBeLessThan(0.7);
  });

  it('comes back from WAV with the exact length in a file, and to the end of the bytes in a stream', async () => {
    const samples = speechLike(16_000, 0.5);
    for (const layout of ['file', 'stream', 'bare-stream'] as const) {
      const bytes = await encode(samples, { encoding: 'wav', layout });
      const { channels, sampleRateHz, truncated } = decodeWav(bytes);
      expect([layout, channels[0]?.length, sampleRateHz, truncated]).toEqual([layout, 8000, 16_000, false]);
      expect(bytes.includes('AIGC')).toBe(layout !== 'bare-stream');
      if (layout === 'file')
        expect([bytes.readUInt32LE(4), bytes.readUInt32LE(40)]).toEqual([bytes.length - 8, 16_000]);
      if (layout === 'bare-stream') expect([bytes.length, bytes.readUInt32LE(40)]).toEqual([16_044, 0]);
    }
  });
});

describe('what is lossy', () => {
  it('sounds like the original: more than 12 dB over its error in MP3 and Vorbis at speech rates', async () => {
    const samples = speechLike(16_000, 2);
    for (const encoding of ['mp3', 'vorbis'] as const) {
      const { channels, sampleRateHz } = await decodeAudio(await encode(samples, { encoding }));
      expect(sampleRateHz).toBe(16_000);
      expect([encoding, signalToNoise(samples, channels[0]!, 1200) > 12]).toEqual([encoding, true]);
    }
  });

  it('keeps time in Opus: the decoder drops the look-ahead, and the end is cut to the sample', async () => {
    const samples = speechLike(16_000, 1.234);
    const { channels, sampleRateHz, truncated } = await decodeAudio(await encode(samples, { encoding: 'opus' }));
    expect([sampleRateHz, truncated]).toEqual([48_000, false]);
    const decoded = channels[0]!;
    expect(Math.abs(decoded.length - 1.234 * 48_000)).toBeLessThanOrEqual(400);
    const resampler = createStreamResampler(16_000, 48_000);
    const wanted = concatenate([resampler.push(samples), resampler.finish()]);
    expect(signalToNoise(wanted, decoded, 48)).toBeGreaterThan(8);
  });

  it('follows G.711 to the bit: every code decodes to what encodes to it', async () => {
    for (const encoding of ['mulaw', 'alaw'] as const) {
      const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
      const format = encoding === 'mulaw' ? 7 : 6;
      const wav = Buffer.alloc(44 + 256);
      wav.write('RIFF', 0);
      wav.writeUInt32LE(36 + 256, 4);
      wav.write('WAVEfmt ', 8);
      wav.writeUInt32LE(16, 16);
      wav.writeUInt16LE(format, 20);
      wav.writeUInt16LE(1, 22);
      wav.writeUInt32LE(8000, 24);
      wav.writeUInt32LE(8000, 28);
      wav.writeUInt16LE(1, 32);
      wav.writeUInt16LE(8, 34);
      wav.write('data', 36);
      wav.writeUInt32LE(256, 40);
      wav.set(codes, 44);
      const values = decodeWav(wav).channels[0]!;
      const again = await encode(values, { encoding, inputHz: 8000, outputHz: 8000 });
      // µ-law has two zeros; the negative one encodes as the positive one.
      expect([...again].map((code) => (encoding === 'mulaw' && code === 0xff ? 0x7f : code))).toEqual(
        [...codes].map((code) => (encoding === 'mulaw' && code === 0xff ? 0x7f : code)),
      );
    }
  });
});

describe('rates', () => {
  it('are the input’s, the nearest above, or 8 kHz for telephony; others are refused by name', async () => {
    const cases: [Encoding, number, number | undefined, number][] = [
      ['wav', 32_000, undefined, 32_000],
      ['opus', 32_000, undefined, 48_000],
      ['opus', 16_000, undefined, 16_000],
      ['mulaw', 32_000, undefined, 8000],
      ['mp3', 32_000, 44_100, 44_100],
      ['pcm', 16_000, 24_000, 24_000],
    ];
    for (const [encoding, inputHz, wanted, expected] of cases) {
      const options = { encoding, inputHz, label, layout: 'stream' as const };
      const encoder = await createEncoder(wanted === undefined ? options : { ...options, outputHz: wanted });
      expect([encoding, encoder.outputHz]).toEqual([encoding, expected]);
      encoder.discard();
    }
    const refused = createEncoder({ encoding: 'opus', inputHz: 16_000, outputHz: 44_100, label, layout: 'stream' });
    await expect(refused).rejects.toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining('48000') });
  });

  it('turn speech of any model into telephony: half a second is 4,000 bytes', async () => {
    for (const inputHz of [16_000, 24_000, 32_000, 48_000]) {
      expect(await encode(speechLike(inputHz, 0.5), { encoding: 'alaw', inputHz })).toHaveLength(4000);
    }
  });
});

describe('an encoder that was used before', () => {
  it('makes of the next stream what a new one makes of it', async () => {
    const sound = speechLike(32_000, 0.7);
    const options = { encoding: 'mp3', inputHz: 32_000 } as const;
    const first = await encode(sound, options);
    const abandoned = await createEncoder({ ...options, inputHz: 16_000, label, layout: 'stream' });
    abandoned.encode(speechLike(16_000, 0.3));
    abandoned.discard();
    // Two at once share nothing.
    const [one, other] = await Promise.all([encode(sound, options), encode(sound, options)]);
    expect([one.equals(first), other.equals(first)]).toEqual([true, true]);
  });
});

describe('other decoders', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'timbre-encode-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function file(encoding: Encoding, layout: EncoderOptions['layout'] = 'file'): Promise<string> {
    const path = join(folder, `${layout}.${ENCODING_FACTS[encoding].extension}`);
    writeFileSync(path, await encode(speechLike(32_000, 1.3), { encoding, inputHz: 32_000, layout }));
    return path;
  }

  it.runIf(available.has('ffmpeg'))(
    'ffmpeg reads every container without a complaint and shows the label',
    async () => {
      for (const encoding of ['wav', 'mp3', 'opus', 'aac', 'flac', 'vorbis'] as const) {
        const path = await file(encoding);
        const { status, stderr } = spawnSync('ffmpeg', ['-hide_banner', '-xerror', '-i', path, '-f', 'null', '-'], {
          encoding: 'utf8',
        });
        expect([encoding, status]).toEqual([encoding, 0]);
        expect(stderr).toContain('"ContentProducer":"音色"');
        expect(stderr).not.toMatch(/invalid|corrupt|error/i);
      }
    },
  );

  it.runIf(available.has('flac'))('flac verifies the digest of the sound', async () => {
    const { status, stderr } = spawnSync('flac', ['-t', await file('flac')], { encoding: 'utf8' });
    expect([status, /WARNING|ERROR/.test(stderr)]).toEqual([0, false]);
  });

  it.runIf(available.has('opusinfo'))('opusinfo finds nothing wrong with the pages', async () => {
    const { stdout, stderr } = spawnSync('opusinfo', [await file('opus')], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`).not.toMatch(/warning|error/i);
    expect(stdout).toMatch(/Playback length: 0m:01\.(299|300)s/);
  });
});
