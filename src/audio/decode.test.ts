import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { decodeAudio, readAudioFile } from './decode.js';
import { encodeWav } from './wav.js';

/**
 * Half a second (Vorbis: two, so that it has several pages) of a sine of 440 Hz at 0.5 (left) and of 660 Hz at 0.25 (right),
 * written with libsndfile 1.2.2; AAC and M4A with ffmpeg 5.1.9.
 */
const FIXTURES = new URL('./fixtures/', import.meta.url);
const fixture = (name: string): Uint8Array => readFileSync(new URL(name, FIXTURES));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return 'no error';
}

/** Amplitude of a sine of `hz` in the samples, by projection, leaving out the ends where codecs ring. */
function amplitude(samples: Float32Array, hz: number, sampleRateHz: number): number {
  const middle = samples.subarray(samples.length * 0.2, samples.length * 0.8);
  let re = 0;
  let im = 0;
  for (const [i, value] of middle.entries()) {
    re += value * Math.cos((2 * Math.PI * hz * i) / sampleRateHz);
    im += value * Math.sin((2 * Math.PI * hz * i) / sampleRateHz);
  }
  return (2 * Math.hypot(re, im)) / middle.length;
}

describe('decodeAudio', () => {
  it.each([
    ['tone.flac', 44100, 22050, 0],
    ['tone-vorbis.ogg', 44100, 88200, 0],
    ['tone.opus', 48000, 24000, 0],
    // The encoder adds up to two frames of padding, which its tag may or may not let us cut off.
    ['tone.mp3', 44100, 22050, 2400],
    // The encoder puts a frame before the sound, which only the container says.
    ['tone.aac', 44100, 22050, 2048],
    ['tone.m4a', 44100, 22050, 1023],
  ])('decodes %s to both its channels', async (name, sampleRateHz, lengthSamples, slack) => {
    const clip = await decodeAudio(fixture(name));
    expect(clip.sampleRateHz).toBe(sampleRateHz);
    expect(clip.truncated).toBe(false);
    expect(clip.channels).toHaveLength(2);
    const [left, right] = clip.channels as [Float32Array, Float32Array];
    expect(left.length).toBeGreaterThanOrEqual(lengthSamples);
    expect(left.length).toBeLessThanOrEqual(lengthSamples + slack);
    expect(right).toHaveLength(left.length);
    expect(amplitude(left, 440, sampleRateHz)).toBeCloseTo(0.5, 1);
    expect(amplitude(right, 660, sampleRateHz)).toBeCloseTo(0.25, 1);
    expect(amplitude(left, 660, sampleRateHz)).toBeLessThan(0.05);
  });

  it('goes by the bytes: MP3 and AAC behind an ID3 tag, a WAV of any name', async () => {
    const tag = new Uint8Array(10 + 300);
    tag.set([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 2, 44]);
    for (const name of ['tone.mp3', 'tone.aac']) {
      const tagged = await decodeAudio(Buffer.concat([tag, fixture(name)]));
      expect([tagged.channels.length, tagged.truncated]).toEqual([2, false]);
    }
    const wav = await decodeAudio(encodeWav(new Float32Array(100), 8000));
    expect(wav).toMatchObject({ sampleRateHz: 8000, truncated: false });
  });

  it.each(['tone.flac', 'tone-vorbis.ogg', 'tone.opus', 'tone.mp3', 'tone.aac', 'tone.m4a'])(
    'reads the first part of %s cut short',
    async (name) => {
      const whole = fixture(name);
      const clip = await decodeAudio(whole.subarray(0, Math.floor(whole.length * 0.7)));
      expect(clip.channels[0]?.length).toBeGreaterThan(2000);
      if (name !== 'tone.mp3') expect(clip.truncated).toBe(true);
    },
  );

  it.each<[string, Uint8Array, string]>([
    ['no bytes', new Uint8Array(0), 'AUDIO_EMPTY'],
    ['text', Buffer.from('Dear colleague, please find my voice attached. '.repeat(50)), 'AUDIO_UNREADABLE'],
    ['zeros', new Uint8Array(5000), 'AUDIO_UNREADABLE'],
    ['a picture', Buffer.from('\x89PNG\r\n\x1a\n'.padEnd(500, 'x'), 'latin1'), 'AUDIO_UNREADABLE'],
    ['M4A', Buffer.from('\0\0\0\x20ftypM4A '.padEnd(500, '\0'), 'latin1'), 'AUDIO_UNREADABLE'],
    ['WebM', Buffer.from('\x1aE\xdf\xa3'.padEnd(500, '\0'), 'latin1'), 'AUDIO_UNREADABLE'],
    ['only the header of FLAC', fixture('tone.flac').subarray(0, 60), 'AUDIO_UNREADABLE'],
    ['only the header of Opus', fixture('tone.opus').subarray(0, 60), 'AUDIO_UNREADABLE'],
    ['only the header of Vorbis', fixture('tone-vorbis.ogg').subarray(0, 60), 'AUDIO_UNREADABLE'],
  ])('refuses %s', async (_, bytes, code) => {
    expect(await codeOf(decodeAudio(bytes))).toBe(code);
  });

  it('names a format it does not decode', async () => {
    const amr = Buffer.from('#!AMR\n'.padEnd(500, '\0'), 'latin1');
    await expect(decodeAudio(amr)).rejects.toThrow(/an AMR file.*expected WAV, FLAC, MP3, AAC, M4A/);
    const m4a = Buffer.from('\0\0\0\x20ftypM4A '.padEnd(500, '\0'), 'latin1');
    await expect(decodeAudio(m4a)).rejects.toThrow(/MP4 file has no table/);
  });

  it('holds the bounds on size and on decoded length', async () => {
    expect(await codeOf(decodeAudio(fixture('tone.flac'), { maxSizeBytes: 1000 }))).toBe('AUDIO_TOO_LARGE');
    for (const name of ['tone.flac', 'tone-vorbis.ogg', 'tone.opus', 'tone.mp3', 'tone.aac', 'tone.m4a']) {
      expect(await codeOf(decodeAudio(fixture(name), { maxDurationSeconds: 0.1 }))).toBe('AUDIO_TOO_LONG');
    }
    const wav = encodeWav(new Float32Array(8000), 8000);
    expect(await codeOf(decodeAudio(wav, { maxDurationSeconds: 0.5 }))).toBe('AUDIO_TOO_LONG');
  });

  it.each(['tone.flac', 'tone-vorbis.ogg', 'tone.opus', 'tone.mp3', 'tone.aac', 'tone.m4a'])(
    'answers damage in %s with samples or an AUDIO error',
    async (name) => {
      const whole = fixture(name);
      for (let seed = 1; seed <= 25; seed++) {
        const damaged = Uint8Array.from(whole);
        for (let i = 0; i < 20; i++) damaged[(seed * 7919 + i * i * 104729) % damaged.length]! ^= 1 << (i % 8);
        const code = await codeOf(decodeAudio(damaged));
        expect(code === 'no error' || code.startsWith('AUDIO_'), code).toBe(true);
      }
    },
  );
});

describe('readAudioFile', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-audio-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string): string => join(folder, name);

  it('reads a file', async () => {
    writeFileSync(file('a.wav'), encodeWav(new Float32Array(10), 8000));
    expect(await readAudioFile(file('a.wav'))).toHaveLength(64);
  });

  it('refuses 2 GB without reading them', async () => {
    writeFileSync(file('large.wav'), '');
    truncateSync(file('large.wav'), 2 ** 31);
    const before = process.resourceUsage().maxRSS; // kilobytes
    expect(await codeOf(readAudioFile(file('large.wav')))).toBe('AUDIO_TOO_LARGE');
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(200_000);
  });

  it.each([
    ['an empty file', 'empty.wav', 'AUDIO_EMPTY'],
    ['a missing file', 'missing.wav', 'AUDIO_NOT_FOUND'],
    ['a folder', '.', 'AUDIO_UNREADABLE'],
  ])('refuses %s', async (_, name, code) => {
    writeFileSync(file('empty.wav'), '');
    expect(await codeOf(readAudioFile(file(name)))).toBe(code);
  });
});
