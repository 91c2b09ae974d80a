import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectSocket } from '../../test/fixtures/socket-client.js';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { encodeWav } from '../audio/wav.js';
import { createApiKey } from '../tenancy/api-keys.js';
import { SCOPES, type Scope } from '../tenancy/scopes.js';
import { createTenant, setOwnRecordingsAllowed } from '../tenancy/tenants.js';

let gateway: TestGateway;
let folder: string;
let url: string;
let tenants = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-voices-'));
  mkdirSync(join(folder, 'recordings'));
  writeFileSync(join(folder, 'recordings/a.wav'), encodeWav(new Float32Array(64_000).fill(0.1), 16_000));
  gateway = await startTestGateway({ referenceFolder: join(folder, 'recordings') }, { concurrency: 8, maxWaiting: 32 });
  url = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Client {
  readonly tenant: string;
  readonly key: string;
  json(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Response>;
  form(path: string, fields: Record<string, string>, files: Record<string, string | string[]>): Promise<Response>;
}

async function newClient({
  own = true,
  scopes = SCOPES,
}: {
  own?: boolean;
  scopes?: readonly Scope[];
} = {}): Promise<Client> {
  const { database } = gateway.platform;
  const { id: tenant } = await createTenant(database, { id: `voices-${++tenants}` });
  if (own) await setOwnRecordingsAllowed(database, tenant, true);
  return clientOf(tenant, scopes);
}

async function clientOf(tenant: string, scopes: readonly Scope[]): Promise<Client> {
  const { secret: key } = await createApiKey(gateway.platform.database, tenant, { name: 't', scopes, createdBy: 't' });
  const authorization = `Bearer ${key}`;
  return {
    tenant,
    key,
    json: (method, path, body, headers = {}) =>
      fetch(`${url}${path}`, {
        method,
        headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    form(path, fields, files) {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.set(name, value);
      for (const [name, contents] of Object.entries(files)) {
        for (const content of [contents].flat()) form.append(name, new Blob([content], { type: 'audio/wav' }), 'a.wav');
      }
      return fetch(`${url}${path}`, { method: 'POST', headers: { authorization }, body: form });
    },
  };
}

async function codeOf(answer: Response): Promise<unknown> {
  const { error } = (await answer.json()) as { error: { code: string } };
  return [answer.status, error.code];
}

/** A voice in one request, and what it is called. */
async function voiceOf(client: Client, fields: Record<string, string> = {}): Promise<string> {
  const answer = await client.form('/v1/voices', { name: 'Anna', ...fields }, { recordings: 'speech' });
  const body = (await answer.json()) as { id: string };
  expect([answer.status, body]).toEqual([201, expect.objectContaining({ status: 'ready' })]);
  return body.id;
}

async function consentOf(client: Client): Promise<string> {
  const answer = await client.form(
    '/v1/consents',
    { name: 'Anna 2026', language: 'en', text: 'I agree.', speaker: 'Anna Example' },
    { recording: 'RIFF I agree. similarity=0.9' },
  );
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { id: string }).id;
}

describe('/v1/voices', () => {
  it('makes a voice of a form or of JSON, lists, reads, renames and deletes it', async () => {
    const client = await newClient();
    const answer = await client.form(
      '/v1/voices',
      { id: 'anna', name: 'Anna', language: 'en', transcript: 'Hello.', labels: '{"accent":"northern"}' },
      { recordings: ['one', 'two'] },
    );
    expect(answer.headers.get('location')).toBe('/v1/voices/anna');
    expect(await answer.json()).toMatchObject({
      id: 'anna',
      name: 'Anna',
      status: 'ready',
      version: 1,
      source: 'own',
      labels: { accent: 'northern' },
    });
    const recordings = [Buffer.from('three').toString('base64')];
    const other = await client.json('POST', '/v1/voices', { id: 'bob', recordings, language: 'zh' });
    expect([other.status, await other.json()]).toMatchObject([201, { id: 'bob', name: 'bob', voice_id: 'bob' }]);
    const list = (await (await client.json('GET', '/v1/voices')).json()) as {
      voices: { id: string; source: string }[];
    };
    expect(list.voices.map(({ id, source }) => [id, source])).toEqual([
      ['anna', 'own'],
      ['bob', 'own'],
      ['demo', 'pool'],
      ['demo-en', 'pool'],
    ]);
    const renamed = await client.json('PATCH', '/v1/voices/anna', { name: 'Annabelle' });
    expect(await renamed.json()).toMatchObject({ id: 'anna', name: 'Annabelle' });
    expect(await (await client.json('GET', '/v1/voices/anna')).json()).toMatchObject({ name: 'Annabelle' });
    const recording = await client.json('GET', '/v1/voices/anna/recording?position=1');
    expect([await recording.text(), recording.headers.get('content-disposition')]).toEqual(['two', 'attachment']);
    expect(await (await client.json('DELETE', '/v1/voices/anna')).json()).toMatchObject({
      status: 'ok',
      deleted: true,
    });
    expect(await codeOf(await client.json('GET', '/v1/voices/anna'))).toEqual([404, 'VOICE_NOT_FOUND']);
  });

  it('says of recordings what to improve, before and when a voice is made', async () => {
    const client = await newClient();
    const checked = await client.form('/v1/voices/check', {}, { recordings: ['clear', 'noisy'] });
    expect(await checked.json()).toMatchObject({
      accepted: false,
      checks: [
        { recording: 0, check: 'noise', outcome: 'ok' },
        { recording: 1, check: 'noise', outcome: 'refused', message: expect.stringContaining('quiet room') },
      ],
    });
    const refused = await client.form('/v1/voices', { name: 'x' }, { recordings: 'noisy' });
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    expect([refused.status, error.code]).toEqual([422, 'AUDIO_UNFIT']);
    expect(error.message).toContain('record in a quiet room');
  });

  it('adds styles and versions, and lets them be heard', async () => {
    const client = await newClient();
    const id = await voiceOf(client);
    const added = await client.form(`/v1/voices/${id}/versions`, { style: 'calm' }, { recordings: 'calm speech' });
    expect(await added.json()).toMatchObject({ version: 2, styles: ['calm'] });
    for (const body of [{}, { style: 'calm', text: 'ms=100', format: 'mp3' }]) {
      const preview = await client.json('POST', `/v1/voices/${id}/preview`, body);
      expect([preview.status, (await preview.arrayBuffer()).byteLength > 100]).toEqual([200, true]);
    }
    const versions = await (await client.json('GET', `/v1/voices/${id}/versions`)).json();
    expect(versions).toMatchObject({
      versions: [
        { version: 2, current: true, speaker_match: { method: 'own_recordings' }, styles: ['calm', 'default'] },
        { version: 1, current: false },
      ],
    });
    expect(await (await client.json('PATCH', `/v1/voices/${id}`, { version: 1 })).json()).toMatchObject({ version: 1 });
  });

  it('lets markup change to the voices that its caller may use, and to no other', async () => {
    const [client, stranger] = [await newClient(), await newClient()];
    const [own, theirs] = [await voiceOf(client), await voiceOf(stranger)];
    const say = (speaker_id: string, names: readonly string[]) => {
      const parts = names.map((name) => `<voice xml:lang="en-US" name="${name}">hello</voice>`);
      const text = `<speak> ms=100 ${parts.join(' ').replaceAll(' xml:lang="en-US"', '')}</speak>`;
      return client.json('POST', '/synthesize', { text, input_type: 'ssml', speaker_id, seed: 1 });
    };
    for (const [voice, names] of [
      ['demo', ['demo-en']],
      ['demo', [own]],
      [own, ['demo', own, 'demo-en']],
    ] as const) {
      expect((await say(voice, names)).status).toBe(200);
    }
    for (const name of [theirs, 'nobody', 'constructor']) {
      expect(await codeOf(await say('demo', [own, name]))).toEqual([404, 'VOICE_NOT_FOUND']);
    }
    await client.json('PATCH', `/v1/voices/${own}`, { disabled: true });
    expect(await codeOf(await say('demo', [own]))).toEqual([403, 'VOICE_DISABLED']);
  });

  it('does a request with an Idempotency-Key once', async () => {
    const client = await newClient();
    const body = { name: 'Anna', recordings: [Buffer.from('speech').toString('base64')] };
    const make = () => client.json('POST', '/v1/voices', body, { 'idempotency-key': 'k1' });
    const ids = await Promise.all([1, 2].map(async (_, index) => (index === 0 ? (await make()).json() : null)));
    expect(((await (await make()).json()) as { id: string }).id).toBe((ids[0] as { id: string }).id);
  });

  it.each([
    ['no recording', (client: Client) => client.form('/v1/voices', { name: 'x' }, {}), [400, 'REQUEST_INVALID']],
    [
      'an unknown field',
      (client: Client) => client.form('/v1/voices', { name: 'x', nonsense: '1' }, { recordings: 'a' }),
      [400, 'REQUEST_INVALID'],
    ],
    [
      'a file of another name',
      (client: Client) => client.form('/v1/voices', { name: 'x' }, { audio: 'a' }),
      [400, 'REQUEST_INVALID'],
    ],
    [
      'what is not base64',
      (client: Client) => client.json('POST', '/v1/voices', { name: 'x', recordings: ['!!'] }),
      [400, 'REQUEST_INVALID'],
    ],
    [
      'a language that is none',
      (client: Client) => client.form('/v1/voices', { name: 'x', language: 'xx' }, { recordings: 'a' }),
      [400, 'REQUEST_INVALID'],
    ],
    [
      'the name of a voice of the pool',
      (client: Client) => client.form('/v1/voices', { id: 'demo' }, { recordings: 'a' }),
      [409, 'VOICE_EXISTS'],
    ],
    [
      '18 recordings',
      (client: Client) =>
        client.form('/v1/voices', { name: 'x' }, { recordings: Array.from({ length: 18 }, () => 'a') }),
      [413, 'REQUEST_TOO_LARGE'],
    ],
    [
      'a file of 21 MiB',
      (client: Client) => client.form('/v1/voices', { name: 'x' }, { recordings: 'x'.repeat(21 * 2 ** 20) }),
      [413, 'REQUEST_TOO_LARGE'],
    ],
  ])('refuses %s', async (_name, send, expected) => {
    expect(await codeOf(await send(await newClient()))).toEqual(expected);
  });

  it('refuses a form that is cut short, and one without a boundary', async () => {
    const client = await newClient();
    const send = (type: string, body: string) =>
      fetch(`${url}/v1/voices`, {
        method: 'POST',
        headers: { authorization: `Bearer ${client.key}`, 'content-type': type },
        body,
      });
    const half = '--b\r\nContent-Disposition: form-data; name="recordings"; filename="a.wav"\r\n\r\nabc';
    expect(await codeOf(await send('multipart/form-data; boundary=b', half))).toEqual([400, 'REQUEST_INVALID']);
    expect(await codeOf(await send('multipart/form-data', half))).toEqual([400, 'REQUEST_INVALID']);
  });

  it('tells what is wrong with a form to those who are still sending it', async () => {
    const client = await newClient();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const recording = '--b\r\nContent-Disposition: form-data; name="recordings"; filename="a.wav"\r\n\r\nabc\r\n';
    const count = 40;
    socket.write(
      `POST /v1/voices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${client.key}\r\n` +
        `Content-Type: multipart/form-data; boundary=b\r\nContent-Length: ${recording.length * count + 5}\r\n\r\n`,
    );
    let answers = '';
    let failure: Error | undefined;
    socket.on('data', (chunk) => {
      answers += String(chunk);
    });
    socket.on('error', (error) => {
      failure = error;
    });
    for (let i = 0; i < count; i++) {
      socket.write(recording);
      await setTimeout(2);
    }
    socket.write('--b--');
    socket.end('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await once(socket, 'close');
    expect(failure).toBeUndefined();
    expect(answers).toMatch(/^HTTP\/1\.1 413 .*17 files.*HTTP\/1\.1 200 /s);
  });

  it('lets only a few bodies with files in at once, as forms or as JSON, and others when these are done', async () => {
    const client = await newClient();
    const { port } = new URL(url);
    let refused = 0;
    const held = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async () => {
        const socket = connect(Number(port), '127.0.0.1');
        await once(socket, 'connect');
        socket.once('data', (answer) => {
          if (/^HTTP\/1\.1 503 .*ENGINE_OVERLOADED/s.test(String(answer))) refused++;
        });
        const head = `POST /v1/voices HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer ${client.key}\r\n`;
        const type = 'content-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n';
        socket.write(`${head}${type}--b\r\n`);
        return socket;
      }),
    );
    await expect.poll(() => refused, { timeout: 10_000 }).toBe(2);
    const send = () => client.form('/v1/voices', { name: 'x' }, { recordings: 'a' });
    expect(await codeOf(await send())).toEqual([503, 'ENGINE_OVERLOADED']);
    const large = { name: 'x', recordings: [Buffer.alloc(300_000).toString('base64')] };
    expect(await codeOf(await client.json('POST', '/v1/voices', large))).toEqual([503, 'ENGINE_OVERLOADED']);
    // What has no files waits for nobody.
    expect((await client.json('PATCH', '/v1/voices/nobody', { name: 'x' })).status).toBe(404);
    for (const socket of held) socket.destroy();
    await expect.poll(async () => (await send()).status, { timeout: 10_000 }).toBe(201);
  });

  it('asks for the scope to write voices before it reads a form', async () => {
    const { tenant } = await newClient();
    const reader = await clientOf(tenant, ['speech', 'voices:read']);
    const answer = await reader.form('/v1/voices', { name: 'x' }, { recordings: 'a' });
    expect(await codeOf(answer)).toEqual([403, 'FORBIDDEN']);
  });
});

describe('a voice of another tenant', () => {
  it('cannot be spoken with, read, changed or heard of by any route', async () => {
    const [owner, other] = [await newClient(), await newClient()];
    const id = await voiceOf(owner);
    const attempts: [name: string, answer: () => Promise<Response>, status: number][] = [
      ['/synthesize', () => other.json('POST', '/synthesize', { text: 'hi', speaker_id: id }), 404],
      [
        'OpenAI',
        () =>
          other.json('POST', '/v1/audio/speech', { model: 'tts-1', input: 'hi', voice: id, response_format: 'wav' }),
        404,
      ],
      ['ElevenLabs', () => other.json('POST', `/v1/text-to-speech/${id}`, { text: 'hi' }), 404],
      [
        'the reference',
        () => other.json('POST', '/tts', { text: 'hi', text_lang: 'en', ref_audio_path: id, prompt_lang: 'en' }),
        400,
      ],
      ['preview', () => other.json('POST', `/v1/voices/${id}/preview`, {}), 404],
      ['read', () => other.json('GET', `/v1/voices/${id}`), 404],
      ['versions', () => other.json('GET', `/v1/voices/${id}/versions`), 404],
      ['recording', () => other.json('GET', `/v1/voices/${id}/recording`), 404],
      ['change', () => other.json('PATCH', `/v1/voices/${id}`, { disabled: true }), 404],
      ['delete', () => other.json('DELETE', `/v1/voices/${id}`), 404],
      ['share', () => other.json('POST', `/v1/voices/${id}/shares`, { tenant: other.tenant }), 404],
    ];
    for (const [name, answer, status] of attempts) expect([name, (await answer()).status]).toEqual([name, status]);
    for (const path of ['/v1/voices', '/v2/voices', '/v1/audio/voices']) {
      expect(await (await other.json('GET', path)).text()).not.toContain(id);
    }
    const socket = await connectSocket(`${url}/v1/stream`);
    socket.send({ type: 'start', voice: id, api_key: other.key });
    socket.send({ type: 'text', text: 'Hello there. ' });
    socket.send({ type: 'end' });
    expect(await socket.next(({ type }) => type === 'error')).toMatchObject({ code: 'VOICE_NOT_FOUND' });
    socket.socket.close();
    const eleven = await connectSocket(`${url}/v1/text-to-speech/${id}/stream-input`);
    eleven.send({ text: 'Hello there. ', 'xi-api-key': other.key, flush: true });
    expect(await eleven.next((message) => 'error' in message)).toMatchObject({ error: 'voice_not_found' });
    eleven.socket.close();
    expect((await owner.json('POST', '/synthesize', { text: 'ms=50', speaker_id: id })).status).toBe(200);
  });

  it('speaks on every route of its own tenant, and is on its record with version and model', async () => {
    const owner = await newClient();
    const id = await voiceOf(owner);
    const speech = { model: 'tts-1', input: 'ms=50', voice: { id }, response_format: 'wav' };
    const reference = { text: 'ms=50', text_lang: 'en', ref_audio_path: id, prompt_lang: 'en' };
    for (const answer of [
      await owner.json('POST', '/synthesize', { text: 'ms=50', speaker_id: id }),
      await owner.json('POST', '/synthesize', { text: '<speak> ms=50 </speak>', input_type: 'ssml', speaker_id: id }),
      await owner.json('POST', '/v1/audio/speech', speech),
      await owner.json('POST', `/v1/text-to-speech/${id}`, { text: 'ms=50' }),
      await owner.json('POST', '/tts', reference),
    ]) {
      expect([answer.status, (await answer.arrayBuffer()).byteLength > 50]).toEqual([200, true]);
    }
    const { audit, database } = gateway.platform;
    await audit.flush();
    const { rows } = await database.asTenant(owner.tenant, (sql) =>
      sql.query<{ body: string }>("SELECT body FROM audit_records WHERE type = 'speech.started' ORDER BY seq"),
    );
    expect(rows.map(({ body }) => JSON.parse(body).details)).toEqual(
      Array.from({ length: 5 }, () => expect.objectContaining({ voice: id, voice_version: 1, model: 'scripted' })),
    );
  });

  it('is not made of the folder of recordings for a tenant that needs consents', async () => {
    const body = { text: 'ms=50', text_lang: 'en', ref_audio_path: 'a.wav', prompt_lang: 'en' };
    const allowed = await newClient();
    expect((await allowed.json('POST', '/tts', body)).status).toBe(200);
    const strict = await newClient({ own: false });
    const refused = await strict.json('POST', '/tts', body);
    expect([refused.status, await refused.json()]).toEqual([
      400,
      { message: 'tts failed', Exception: expect.stringContaining("speaker's consent") },
    ]);
  });
});

describe('/v1/consents', () => {
  it('keeps a consent with who speaks and what was said, for those who check', async () => {
    const client = await newClient({ own: false });
    const id = await consentOf(client);
    expect(await (await client.json('GET', `/v1/consents/${id}`)).json()).toMatchObject({
      id,
      kind: 'recording',
      state: 'active',
      sharing: false,
      media_type: 'audio/wav',
      speaker: 'Anna Example',
      text: 'I agree.',
    });
    const designer = await clientOf(client.tenant, ['voices:read', 'voices:write']);
    const seen = await (await designer.json('GET', `/v1/consents/${id}`)).json();
    expect([seen, 'speaker' in (seen as object)]).toEqual([expect.objectContaining({ id }), false]);
    expect((await designer.json('GET', `/v1/consents/${id}/evidence`)).status).toBe(403);
    const evidence = await client.json('GET', `/v1/consents/${id}/evidence`);
    expect(await evidence.text()).toBe('RIFF I agree. similarity=0.9');
    const stranger = await newClient();
    for (const path of [`/v1/consents/${id}`, `/v1/consents/${id}/evidence`]) {
      expect(await codeOf(await stranger.json('GET', path))).toEqual([404, 'CONSENT_NOT_FOUND']);
    }
    expect(await codeOf(await stranger.json('POST', `/v1/consents/${id}/revoke`, {}))).toEqual([
      404,
      'CONSENT_NOT_FOUND',
    ]);
  });

  it('is what a voice needs, and its revocation ends what is being said, over HTTP and WebSockets', async () => {
    const client = await newClient({ own: false });
    expect(await codeOf(await client.form('/v1/voices', { name: 'x' }, { recordings: 'a' }))).toEqual([
      403,
      'CONSENT_REQUIRED',
    ]);
    const consent = await consentOf(client);
    const id = await voiceOf(client, { consent });
    const text = 'sentences=200 ms=200 every=100';
    const stream = await client.json('POST', '/synthesize', { text, speaker_id: id, stream: true, format: 'pcm' });
    const reader = stream.body!.getReader();
    expect((await reader.read()).value?.length).toBeGreaterThan(0);
    const sse = await client.json('POST', '/v1/audio/speech', {
      model: 'gpt-4o-mini-tts',
      input: text,
      voice: id,
      response_format: 'pcm',
      stream_format: 'sse',
    });
    const events = sse.text();
    const socket = await connectSocket(`${url}/v1/stream`);
    socket.send({ type: 'start', voice: id, api_key: client.key });
    socket.send({ type: 'text', text: `${text}. More text. ` });
    await socket.next(({ type }) => type === 'started');
    // A waited-for answer ends as an ordinary error.
    const waiting = client.json('POST', '/synthesize', { text, speaker_id: id });
    await expect.poll(() => gateway.queue.depth.running, { timeout: 10_000 }).toBe(4);

    const revoked = await client.json('POST', `/v1/consents/${consent}/revoke`, { reason: 'asked' });
    expect(await revoked.json()).toMatchObject({ state: 'revoked', revoke_reason: 'asked' });
    expect(await socket.next(({ type }) => type === 'error')).toMatchObject({ code: 'CONSENT_REVOKED' });
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow();
    expect(await events).toMatch(/"type":"error".*"code":"consent_revoked"/);
    expect(await codeOf(await waiting)).toEqual([403, 'CONSENT_REVOKED']);
    await expect.poll(() => gateway.queue.depth.running, { timeout: 10_000 }).toBe(0);
    socket.socket.close();

    expect(await codeOf(await client.json('POST', '/synthesize', { text: 'hi', speaker_id: id }))).toEqual([
      403,
      'CONSENT_REVOKED',
    ]);
    const eleven = await client.json('POST', `/v1/text-to-speech/${id}`, { text: 'hi' });
    expect([eleven.status, await eleven.json()]).toMatchObject([403, { detail: { status: 'consent_revoked' } }]);
    await gateway.platform.audit.flush();
    const { rows } = await gateway.platform.database.asTenant(client.tenant, (sql) =>
      sql.query<{ body: string }>("SELECT body FROM audit_records WHERE type = 'speech.ended' ORDER BY seq"),
    );
    expect(rows.map(({ body }) => JSON.parse(body).details.outcome)).toEqual(Array(4).fill('CONSENT_REVOKED'));
  });
});

describe("OpenAI's voices and consents", () => {
  it('are made, listed, renamed and deleted as its clients do it', async () => {
    const client = await newClient({ own: false });
    const fields = { name: 'Anna', language: 'en-US' };
    const made = await client.form('/v1/audio/voice_consents', fields, { recording: 'RIFF similarity=0.8' });
    const consent = (await made.json()) as { id: string };
    expect(consent).toEqual({
      object: 'audio.voice_consent',
      id: expect.stringMatching(/^cons_/),
      created_at: expect.any(Number),
      ...fields,
    });
    const voice = await client.form(
      '/v1/audio/voices',
      { name: 'Anna', consent: consent.id },
      { audio_sample: 'speech' },
    );
    expect(await voice.json()).toEqual({
      object: 'audio.voice',
      id: expect.stringMatching(/^voice_/),
      name: 'Anna',
      created_at: expect.any(Number),
    });
    await client.form('/v1/audio/voice_consents', { name: 'Bob', language: 'zh-CN' }, { recording: 'RIFF' });
    const path = '/v1/audio/voice_consents';
    const first = (await (await client.json('GET', `${path}?limit=1`)).json()) as {
      last_id: string;
      has_more: boolean;
    };
    expect(first).toMatchObject({ object: 'list', has_more: true, data: [{ name: 'Bob' }] });
    expect(await (await client.json('GET', `${path}?limit=1&after=${first.last_id}`)).json()).toMatchObject({
      has_more: false,
      data: [{ id: consent.id }],
    });
    const renamed = await client.json('POST', `${path}/${consent.id}`, { name: 'Anna II' });
    expect(await renamed.json()).toMatchObject({ id: consent.id, name: 'Anna II' });
    expect(await (await client.json('DELETE', `${path}/${consent.id}`)).json()).toEqual({
      object: 'audio.voice_consent',
      id: consent.id,
      deleted: true,
    });
    const gone = await client.json('GET', `${path}/${consent.id}`);
    expect([gone.status, await gone.json()]).toMatchObject([
      404,
      { error: { code: 'consent_not_found', type: 'invalid_request_error' } },
    ]);
  });

  it('say in their own shape that a consent is missing', async () => {
    const client = await newClient({ own: false });
    const answer = await client.form('/v1/audio/voices', { name: 'Anna' }, { audio_sample: 'speech' });
    expect([answer.status, await answer.json()]).toMatchObject([
      403,
      { error: { code: 'consent_required', type: 'permission_error', param: null } },
    ]);
  });
});

describe("ElevenLabs's voices", () => {
  it('are added and deleted as its clients do it', async () => {
    const client = await newClient();
    const added = await client.form(
      '/v1/voices/add',
      { name: 'Anna', labels: '{"age":"young"}' },
      { files: ['a', 'b'] },
    );
    const { voice_id } = (await added.json()) as { voice_id: string };
    expect(await (await client.json('GET', `/v1/voices/${voice_id}`)).json()).toMatchObject({
      voice_id,
      name: 'Anna',
      is_owner: true,
      labels: { age: 'young' },
    });
    expect((await client.json('POST', `/v1/text-to-speech/${voice_id}`, { text: 'ms=50' })).status).toBe(200);
    expect(await (await client.json('DELETE', `/v1/voices/${voice_id}`)).json()).toMatchObject({ status: 'ok' });
  });
});

describe('shared voices', () => {
  it('are let to other tenants by the operator alone, and end at once', async () => {
    const [owner, user] = [await newClient(), await newClient()];
    const id = await voiceOf(owner);
    const developer = await clientOf(
      owner.tenant,
      SCOPES.filter((scope) => scope !== 'platform:admin'),
    );
    const share = { tenant: user.tenant };
    expect(await codeOf(await developer.json('POST', `/v1/voices/${id}/shares`, share))).toEqual([403, 'FORBIDDEN']);
    expect((await owner.json('POST', `/v1/voices/${id}/shares`, share)).status).toBe(201);
    expect(await (await owner.json('GET', `/v1/voices/${id}/shares`)).json()).toMatchObject({
      shares: [{ tenant: user.tenant, voice: id }],
    });
    expect(await (await user.json('GET', `/v1/voices/${id}`)).json()).toMatchObject({ id, source: 'shared' });
    const text = 'sentences=200 ms=200 every=100';
    const stream = await user.json('POST', '/synthesize', { text, speaker_id: id, stream: true });
    const reader = stream.body!.getReader();
    await reader.read();
    expect((await owner.json('DELETE', `/v1/voices/${id}/shares/${user.tenant}`)).status).toBe(200);
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow();
    expect(await codeOf(await user.json('POST', '/synthesize', { text: 'hi', speaker_id: id }))).toEqual([
      404,
      'VOICE_NOT_FOUND',
    ]);
  });
});
