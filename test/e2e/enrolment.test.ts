import { copyFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeWav } from '../../src/audio/wav.js';
import type { EnrolRequest } from '../../src/engine/engine-types.js';
import { EnginePool } from '../../src/engine/pool.js';

/** Voices and models on the real engine, good ones and every kind of bad file. */

const RECORDING = fileURLToPath(new URL('../../demo-voice/ref_en.wav', import.meta.url));

let folder: string;
let pool: EnginePool;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-enrolment-'));
  pool = await EnginePool.start({ engine: { dataDir: join(folder, 'data') } });
});

afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

function enrol(name: string, path: string, more: Partial<EnrolRequest> = {}) {
  return pool.enrolVoice({ name, recordings: [{ path }], transcript: null, language: 'en', ...more });
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** A voice-like hum: harmonics of 120 Hz that swell twice a second. */
function hum(seconds: number, gain = 0.3): Uint8Array {
  const samples = Float32Array.from({ length: seconds * 16_000 }, (_, i) => {
    const t = i / 16_000;
    const swell = 0.5 + 0.5 * Math.sin(2 * Math.PI * 2 * t);
    return gain * swell * [1, 2, 3, 4].reduce((sum, k) => sum + Math.sin(2 * Math.PI * 120 * k * t) / (2 * k), 0);
  });
  return encodeWav(samples, 16_000);
}

describe('a new voice', () => {
  it('speaks at once, and survives a restart of the engine', async () => {
    const summary = await enrol('anna', RECORDING, {
      transcript: 'Their forces were already moving into the north country.',
    });
    expect(summary).toMatchObject({ name: 'anna', model: 'demo', language: 'en' });
    expect(summary.durationMs).toBeGreaterThan(2000);
    process.kill(pool.status.enginePid ?? 0, 'SIGKILL');
    expect((await pool.listVoices()).map((voice) => voice.name)).toEqual(
      expect.arrayContaining(['anna', 'demo', 'demo-en']),
    );
    let lengthSamples = 0;
    const request = { text: 'Hello there.', voice: 'anna', language: 'en', speed: 1, seed: 1 } as const;
    for await (const { samples } of pool.synthesize(request)) lengthSamples += samples.length;
    expect(lengthSamples).toBeGreaterThan(3000);
    await expect(enrol('anna', RECORDING)).rejects.toMatchObject({ code: 'VOICE_EXISTS' });
    expect(await enrol('anna', RECORDING, { replace: true })).toMatchObject({ transcript: null });
    await pool.removeVoice('anna');
    await expect(pool.removeVoice('anna')).rejects.toMatchObject({ code: 'VOICE_NOT_FOUND' });
  });

  it('is warned about when its recording is shorter than it should be', async () => {
    const summary = await enrol('short', file('2s.wav', hum(2)));
    expect(summary.warnings.join(' ')).toMatch(/short|3/);
    await pool.removeVoice('short');
  });
});

describe('a bad recording', () => {
  const cases: [name: string, make: () => string, code: string][] = [
    ['no file', () => join(folder, 'nothing.wav'), 'AUDIO_NOT_FOUND'],
    ['a folder', () => folder, 'AUDIO_UNREADABLE'],
    ['zero bytes', () => file('zero.wav', ''), 'AUDIO_EMPTY'],
    ['a header without samples', () => file('empty.wav', encodeWav(new Float32Array(0), 16_000)), 'AUDIO_EMPTY'],
    ['text', () => file('text.wav', 'this is not audio at all, whatever its name says'), 'AUDIO_UNREADABLE'],
    ['silence', () => file('silent.wav', encodeWav(new Float32Array(16_000 * 5), 16_000)), 'AUDIO_SILENT'],
    ['a blink', () => file('blink.wav', hum(0.3)), 'AUDIO_TOO_SHORT'],
    ['one second', () => file('second.wav', hum(1)), 'AUDIO_TOO_SHORT'],
    ['a minute', () => file('minute.wav', hum(60)), 'AUDIO_TOO_LONG'],
    [
      '2 GB',
      () => {
        const path = file('huge.wav', hum(5));
        truncateSync(path, 2 ** 31);
        return path;
      },
      'AUDIO_TOO_LARGE',
    ],
  ];
  for (const [name, make, code] of cases) {
    it(`is refused with ${code}: ${name}`, async () => {
      await expect(enrol('bad', make())).rejects.toMatchObject({ code });
      expect((await pool.listVoices()).map((voice) => voice.name)).not.toContain('bad');
    });
  }

  it('has a name that cannot leave the store', async () => {
    for (const name of ['', '../x', 'a/b', '.hidden', 'x'.repeat(65), 'a b']) {
      await expect(enrol(name, RECORDING)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    }
  });
});

describe('a bad checkpoint', () => {
  const cases: [name: string, make: () => string, code: RegExp][] = [
    ['no file', () => join(folder, 'nothing.ckpt'), /^CHECKPOINT_NOT_FOUND$/],
    ['zero bytes', () => file('zero.ckpt', ''), /^CHECKPOINT_CORRUPT$/],
    ['text', () => file('text.ckpt', 'hello '.repeat(100)), /^CHECKPOINT_(CORRUPT|UNSUPPORTED)$/],
    [
      'code in a pickle',
      () => file('code.pth', Buffer.from('\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.', 'latin1')),
      /^CHECKPOINT_/,
    ],
    [
      'a recording',
      () => {
        copyFileSync(RECORDING, join(folder, 'recording.pth'));
        return join(folder, 'recording.pth');
      },
      /^CHECKPOINT_(CORRUPT|UNSUPPORTED)$/,
    ],
  ];
  for (const [name, make, code] of cases) {
    it(`is refused: ${name}`, async () => {
      await expect(pool.importModel({ name: 'bad', paths: [make()] })).rejects.toMatchObject({
        code: expect.stringMatching(code),
      });
      expect((await pool.listModels()).map((model) => model.name)).toEqual(['demo']);
    });
  }

  it('is refused when something is missing, or when the name is taken', async () => {
    const s1 = fileURLToPath(new URL('../../demo-voice/s1.ckpt', import.meta.url));
    await expect(pool.importModel({ name: 'half', paths: [s1] })).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    await expect(pool.importModel({ name: 'demo', paths: [s1] })).rejects.toMatchObject({ code: 'MODEL_EXISTS' });
    await expect(pool.importModel({ name: '../x', paths: [s1] })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });
});

describe('the store', () => {
  it('is found intact', async () => {
    const findings = await pool.verify();
    expect(findings.filter((finding) => finding.level !== 'ok')).toEqual([]);
    expect(findings.length).toBeGreaterThan(2);
  });
});
