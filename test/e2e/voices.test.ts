import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeAudio } from '../../src/audio/decode.js';
import { mixToMono } from '../../src/audio/level.js';
import { encodeWav } from '../../src/audio/wav.js';
import { type ServerProcess, startServerProcess } from './server-process.js';

/** Voices of a tenant over HTTP on the real engine and the demo model, which has no speaker encoder. */

const RECORDING = readFileSync(fileURLToPath(new URL('../../demo-voice/ref_en.wav', import.meta.url)));
const TRANSCRIPT = 'Their forces were already moving into the north country.';
const LONG = '今天天气很好，我们一起去公园散步。春天来了，花都开了。小朋友们在草地上玩耍。'.repeat(12);

let folder: string;
let server: ServerProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-e2e-voices-'));
  server = await startServerProcess(join(folder, 'data'));
}, 180_000);

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function send(path: string, fields: Record<string, string>, files: Record<string, Uint8Array>): Promise<Response> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  for (const [name, bytes] of Object.entries(files)) form.set(name, new Blob([Uint8Array.from(bytes)]), `${name}.wav`);
  return fetch(`${server.url}${path}`, { method: 'POST', body: form });
}

const json = (method: string, path: string, body?: object) =>
  fetch(`${server.url}${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });

async function say(voice: string, more: object = {}): Promise<Float32Array> {
  const answer = await json('POST', '/synthesize', {
    text: 'Hello there.',
    speaker_id: voice,
    language: 'en',
    seed: 5,
    stream: true,
    ...more,
  });
  if (answer.status !== 200) throw new Error(await answer.text());
  return mixToMono((await decodeAudio(new Uint8Array(await answer.arrayBuffer()))).channels);
}

/** The recording under a fan. */
async function noisy(): Promise<Uint8Array> {
  const { channels, sampleRateHz } = await decodeAudio(RECORDING);
  let state = 1;
  const noise = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647 - 0.5;
  };
  return encodeWav(
    mixToMono(channels).map((value) => Math.max(-1, Math.min(1, value + 0.35 * noise()))),
    sampleRateHz,
  );
}

describe('a voice made over HTTP', () => {
  it('speaks with its recording as the prompt, in its styles, the same again after a restart', async () => {
    const fields = { id: 'anna', language: 'en', transcript: TRANSCRIPT };
    const made = await send('/v1/voices', fields, { recordings: RECORDING });
    expect([made.status, await made.json()]).toMatchObject([201, { id: 'anna', status: 'ready', model: 'demo' }]);
    expect((await send('/v1/voices/anna/versions', { style: 'calm' }, { recordings: RECORDING })).status).toBe(201);
    const usual = await say('anna');
    expect(usual.length).toBeGreaterThan(3000);
    const calm = await say('anna.calm');
    expect(Buffer.from(calm.buffer).equals(Buffer.from(usual.buffer))).toBe(false);
    const marked = (markup: string) => say('anna', { text: `<speak>${markup}</speak>`, input_type: 'ssml' });
    const styled = await marked('<mstts:express-as style="calm">Hello there.</mstts:express-as>');
    expect(styled.length).toBe(calm.length);

    expect(await server.stop()).toBe(0);
    server = await startServerProcess(join(folder, 'data'));
    expect((await say('anna')).length).toBe(usual.length);
  });

  it('leaves nothing readable of recording and transcript in the data folder', async () => {
    const files = readdirSync(join(folder, 'data'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.sock'))
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
    const secrets = [Buffer.from(TRANSCRIPT), RECORDING.subarray(4000, 4064)];
    expect(files.length).toBeGreaterThan(20);
    for (const file of files) {
      const bytes = readFileSync(file);
      expect([file, secrets.some((secret) => bytes.includes(secret))]).toEqual([file, false]);
    }
  });

  it('is refused with what to improve', async () => {
    const bytes = await noisy();
    const refused = await send('/v1/voices', { name: 'x', language: 'en' }, { recordings: bytes });
    expect([refused.status, await refused.json()]).toMatchObject([
      422,
      { error: { code: 'AUDIO_UNFIT', message: expect.stringMatching(/noise: .*record in a quiet room/) } },
    ]);
    const checked = await send(
      '/v1/voices/check',
      { language: 'zh', transcript: TRANSCRIPT },
      { recordings: RECORDING },
    );
    const { accepted, checks } = (await checked.json()) as {
      accepted: boolean;
      checks: { check: string; outcome: string }[];
    };
    expect(accepted).toBe(false);
    expect(Object.fromEntries(checks.map(({ check, outcome }) => [check, outcome]))).toEqual({
      length: 'ok',
      level: 'ok',
      clipping: 'ok',
      noise: expect.stringMatching(/ok|warning/),
      silence: 'ok',
      bandwidth: 'ok',
      speaker: 'unchecked',
      language: 'refused',
      transcript: 'ok',
    });
  });
});

describe('a consent', () => {
  it('needs a person who compared the speakers where no speaker encoder is there; its end ends a stream', async () => {
    const made = await send('/v1/consents', { name: 'Anna', language: 'en' }, { recording: RECORDING });
    const { id: consent } = (await made.json()) as { id: string };
    const fields = { id: 'bound', language: 'en', transcript: TRANSCRIPT, consent };
    const unmatched = await send('/v1/voices', fields, { recordings: RECORDING });
    expect([unmatched.status, await unmatched.json()]).toMatchObject([
      422,
      { error: { code: 'CONSENT_MISMATCH', message: expect.stringContaining('attested_by') } },
    ]);
    const attested = await send('/v1/voices', { ...fields, attested_by: 'Bob Checker' }, { recordings: RECORDING });
    expect(attested.status).toBe(201);
    const stream = await json('POST', '/synthesize', { text: LONG, speaker_id: 'bound', stream: true });
    const reader = stream.body!.getReader();
    expect((await reader.read()).value?.length).toBeGreaterThan(0);
    expect(await (await json('POST', `/v1/consents/${consent}/revoke`, {})).json()).toMatchObject({ state: 'revoked' });
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow();
    expect(await (await json('POST', '/synthesize', { text: 'Hello.', speaker_id: 'bound' })).json()).toMatchObject({
      error: { code: 'CONSENT_REVOKED' },
    });
    await expect
      .poll(async () =>
        (await (await fetch(`${server.url}/metrics`)).text()).includes('timbre_queue_depth{state="running"} 0'),
      )
      .toBe(true);
    expect((await json('DELETE', '/v1/voices/bound')).status).toBe(200);
  });

  it('is an audio file of somebody who says something', async () => {
    const silence = encodeWav(new Float32Array(16_000 * 4), 16_000);
    const answer = await send('/v1/consents', { name: 'x', language: 'en' }, { recording: silence });
    expect(await answer.json()).toMatchObject({ error: { code: 'AUDIO_SILENT' } });
  });
});
