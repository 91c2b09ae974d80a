import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectSocket } from '../../test/fixtures/socket-client.js';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { createApiKey } from '../tenancy/api-keys.js';
import type { Scope } from '../tenancy/scopes.js';
import { createTenant } from '../tenancy/tenants.js';

let gateway: TestGateway;
let tenants = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
});

afterAll(() => gateway.close());

interface Client {
  readonly tenant: string;
  readonly secret: string;
  readonly call: (
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    url: string,
    body?: string | object,
    type?: string,
  ) => Promise<Awaited<ReturnType<TestGateway['app']['inject']>>>;
}

async function newClient(scopes: readonly Scope[] = ['lexicons:write', 'speech'], of?: string): Promise<Client> {
  const { database } = gateway.platform;
  const tenant = of ?? (await createTenant(database, { id: `lexicons-${++tenants}` })).id;
  const { secret } = await createApiKey(database, tenant, { name: 'test', scopes, createdBy: 'test' });
  const call: Client['call'] = async (method, url, body, type = 'text/csv') => {
    const headers = {
      authorization: `Bearer ${secret}`,
      ...(typeof body === 'string' ? { 'content-type': type } : {}),
    };
    return gateway.app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) });
  };
  return { tenant, secret, call };
}

const CSV = 'word,language,alphabet,reading\n银行,zh,pinyin,yin2 xing2\nAI,zh,replacement,人工智能\n';

/** The audio of one seed, which the scripted engine pitches by what the lexicons say. */
async function sound({ call }: Client, fields: object = {}): Promise<string> {
  const speech = { text: 'hello', speaker_id: 'demo', seed: 7, format: 'pcm', stream: true };
  const answer = await call('POST', '/synthesize', { ...speech, ...fields });
  expect(answer.statusCode).toBe(200);
  return answer.rawPayload.toString('base64');
}

describe('/v1/lexicons', () => {
  it('keeps versions, and lists, reads, exports and removes them', async () => {
    const { call, tenant } = await newClient();
    const stored = await call('PUT', '/v1/lexicons/default', CSV);
    expect([stored.statusCode, stored.json()]).toEqual([
      201,
      { name: 'default', version: 1, entries: 2, problems: [] },
    ]);
    await call('PUT', '/v1/lexicons/default', { entries: [{ word: '行', language: 'zh', reading: 'hang2' }] });
    const listed = (await call('GET', '/v1/lexicons')).json();
    expect(listed.lexicons).toMatchObject([{ name: 'default', version: 2, entries: 1 }]);
    expect((await call('GET', '/v1/lexicons/default/versions')).json().versions).toMatchObject([
      { version: 2 },
      { version: 1, entries: 2 },
    ]);
    expect((await call('GET', '/v1/lexicons/default')).json()).toMatchObject({
      version: 2,
      entries: [{ word: '行', language: 'zh', alphabet: 'pinyin', reading: 'hang2', line: 1 }],
    });
    const csv = await call('GET', '/v1/lexicons/default?version=1&format=csv');
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8');
    expect(csv.body).toBe(CSV);
    const pls = await call('GET', '/v1/lexicons/default?version=1&format=pls&language=zh');
    expect(pls.body).toContain('<grapheme>银行</grapheme><phoneme alphabet="x-pinyin">yin2 xing2</phoneme>');
    const again = await call('PUT', '/v1/lexicons/again', pls.body, 'application/pls+xml');
    expect(again.json()).toMatchObject({ version: 1, entries: 2 });

    expect((await call('DELETE', '/v1/lexicons/default')).statusCode).toBe(204);
    for (const url of ['/v1/lexicons/default', '/v1/lexicons/default/versions', '/v1/lexicons/again?version=9']) {
      const gone = await call('GET', url);
      expect([gone.statusCode, gone.json().error.code]).toEqual([404, 'LEXICON_NOT_FOUND']);
    }
    expect((await call('DELETE', '/v1/lexicons/default')).statusCode).toBe(404);
    const recorded = async () => {
      const { rows } = await gateway.platform.database.asTenant(tenant, (sql) =>
        sql.query<{ type: string }>("SELECT type FROM audit_records WHERE type LIKE 'lexicon.%' ORDER BY seq"),
      );
      return rows.map(({ type }) => type);
    };
    await expect
      .poll(recorded, { timeout: 10_000 })
      .toEqual([
        ...Array.from({ length: 3 }, () => ['lexicon.stored.started', 'lexicon.stored.ended']).flat(),
        ...Array.from({ length: 2 }, () => ['lexicon.removed.started', 'lexicon.removed.ended']).flat(),
      ]);
  });

  it('names the lines that cannot be read or contradict each other, and stores nothing', async () => {
    const { call } = await newClient();
    const bad = 'AI,zh,pinyin,xyz9\n行,zh,pinyin,hang2\n行,zh,pinyin,xing2\na,b\n';
    const refused = await call('PUT', '/v1/lexicons/words', bad);
    expect([refused.statusCode, refused.json().error.code]).toEqual([400, 'LEXICON_INVALID']);
    expect(refused.json().error.message).toMatch(
      /line 1: .*; line 3: .* line 2; remove one; line 4: expected 4 fields/,
    );
    const checked = await call('PUT', '/v1/lexicons/words?check=true', bad);
    expect([checked.statusCode, checked.json().version]).toEqual([200, null]);
    expect(checked.json().problems.map((problem: { line: number }) => problem.line)).toEqual([1, 3, 4]);
    expect((await call('GET', '/v1/lexicons')).json()).toEqual({ lexicons: [] });
    const skipped = await call('PUT', '/v1/lexicons/words?skip_invalid=true', bad);
    expect([skipped.statusCode, skipped.json().version]).toEqual([201, 1]);
    const xml = await call('PUT', '/v1/lexicons/words', '<!DOCTYPE x><lexicon/>', 'application/pls+xml');
    expect(xml.json().error.message).toContain('document types and entity declarations are not accepted');
    for (const name of ['-x', 'a%20b', '%2e%2e%2fx', 'x'.repeat(65)]) {
      expect((await call('PUT', `/v1/lexicons/${name}`, CSV)).statusCode).toBe(400);
    }
    const fields = await call('PUT', '/v1/lexicons/words', { entries: [{ word: 'a\nb', reading: 'c' }] });
    expect(fields.json().error.message).toMatch(/^entries\.0\.word|^entries/);
  });

  it('is used from the next request on: that of the tenant, that of the voice, those a request names', async () => {
    const client = await newClient();
    const without = await sound(client);
    await client.call('PUT', '/v1/lexicons/default', 'AI,,replacement,first');
    const first = await sound(client);
    await client.call('PUT', '/v1/lexicons/default', 'AI,,replacement,second');
    const second = await sound(client);
    await client.call('PUT', '/v1/lexicons/demo', 'AI,,replacement,of the voice');
    const voice = await sound(client);
    expect(new Set([without, first, second, voice]).size).toBe(4);
    expect(await sound(client, { speaker_id: 'demo-en' })).toBe(second);
    expect(await sound(client, { lexicons: ['default@1'] })).toBe(first);
    expect(await sound(client, { lexicons: [] })).toBe(without);
    const missing = { text: 'x', speaker_id: 'demo', lexicons: ['nothing'] };
    expect((await client.call('POST', '/synthesize', missing)).json().error.code).toBe('LEXICON_NOT_FOUND');
    await client.call('DELETE', '/v1/lexicons/demo');
    await client.call('DELETE', '/v1/lexicons/default');
    expect(await sound(client)).toBe(without);
  });

  it('of one tenant is not another’s', async () => {
    const [ours, theirs] = [await newClient(), await newClient()];
    const without = await sound(theirs);
    await ours.call('PUT', '/v1/lexicons/default', CSV);
    expect((await theirs.call('GET', '/v1/lexicons')).json()).toEqual({ lexicons: [] });
    expect((await theirs.call('GET', '/v1/lexicons/default')).statusCode).toBe(404);
    expect((await theirs.call('DELETE', '/v1/lexicons/default')).statusCode).toBe(404);
    expect(await sound(theirs)).toBe(without);
    const named = { text: 'x', speaker_id: 'demo', lexicons: ['default'] };
    expect((await theirs.call('POST', '/synthesize', named)).statusCode).toBe(404);
  });

  it('is for keys that may write lexicons, and a preview with sound for those that may speak too', async () => {
    const { call } = await newClient(['speech', 'voices:read']);
    for (const [method, url] of [
      ['GET', '/v1/lexicons'],
      ['PUT', '/v1/lexicons/default'],
      ['DELETE', '/v1/lexicons/default'],
      ['POST', '/v1/lexicons/preview'],
    ] as const) {
      expect((await call(method, url, method === 'GET' ? undefined : {})).statusCode).toBe(403);
    }
    const mute = await newClient(['lexicons:write']);
    const preview = { text: '去银行', content: CSV, language: 'zh' };
    expect((await mute.call('POST', '/v1/lexicons/preview', preview)).statusCode).toBe(403);
    expect((await mute.call('POST', '/v1/lexicons/preview', { ...preview, audio: false })).statusCode).toBe(200);
  });

  it('previews what it changes, with both sounds, stored or not', async () => {
    const client = await newClient();
    await client.call('PUT', '/v1/lexicons/default', '行长,zh,pinyin,hang2 zhang3\n');
    const text = '银行行长用AI';
    const body = { text, language: 'zh', content: CSV, seed: 1, speaker_id: 'demo' };
    const preview = (await client.call('POST', '/v1/lexicons/preview', body)).json();
    expect(preview.differences).toEqual([
      { text: '银行', start: 0, end: 2, before: 'yin2 hang2', after: 'yin2 xing2', rule: 'lexicon preview, line 2' },
      expect.objectContaining({ text: 'AI', after: 'ren2 gong1 zhi4 neng2' }),
    ]);
    const audio = async (url: string) => (await client.call('GET', new URL(url).pathname)).rawPayload;
    const [before, after] = [await audio(preview.before_audio_url), await audio(preview.after_audio_url)];
    expect(before.equals(after)).toBe(false);
    expect(before.length).toBe(after.length);

    await client.call('PUT', '/v1/lexicons/other', CSV);
    const named = { text, language: 'zh', name: 'other', audio: false };
    const stored = (await client.call('POST', '/v1/lexicons/preview', named)).json();
    expect(stored.differences[0].rule).toBe('lexicon other@1, line 2');
    expect([stored.before_audio_url, stored.after_audio_url]).toEqual([null, null]);
    expect((await client.call('POST', '/v1/lexicons/preview', { text })).json().error.message).toContain(
      'expected name',
    );
  });

  it('is named on the stream as well', async () => {
    const client = await newClient();
    await client.call('PUT', '/v1/lexicons/medical', 'AI,,replacement,doctor');
    const url = `${await gateway.app.listen({ host: '127.0.0.1', port: 0 })}/v1/stream`;
    const heard = async (start: object): Promise<string> => {
      const socket = await connectSocket(url, { authorization: `Bearer ${client.secret}` });
      socket.send({ type: 'start', seed: 7, voice: 'demo', ...start });
      socket.send({ type: 'text', text: 'hello.' });
      socket.send({ type: 'end' });
      await socket.next(({ type }) => type === 'done');
      socket.socket.close();
      return Buffer.concat(socket.received.filter((message) => Buffer.isBuffer(message))).toString('base64');
    };
    expect(await heard({ lexicons: ['medical'] })).not.toBe(await heard({}));
  });

  it('is what ElevenLabs’s clients locate as a pronunciation dictionary', async () => {
    const client = await newClient();
    await client.call('PUT', '/v1/lexicons/default', 'hello,,replacement,usual');
    await client.call('PUT', '/v1/lexicons/medical', 'AI,,replacement,doctor');
    await client.call('PUT', '/v1/lexicons/medical', 'AI,,replacement,physician');
    await client.call('PUT', '/v1/lexicons/legal', 'AI,,replacement,lawyer');
    const speak = (locators?: unknown) =>
      client.call('POST', '/v1/text-to-speech/demo?output_format=pcm_16000', {
        text: 'hello',
        seed: 7,
        ...(locators === undefined ? {} : { pronunciation_dictionary_locators: locators }),
      });
    const heard = async (locators?: unknown) => (await speak(locators)).rawPayload.toString('base64');
    const locate = (id: string, version?: string | null) => ({ pronunciation_dictionary_id: id, version_id: version });
    const ours = (fields: object) => sound(client, { sample_rate: 16_000, ...fields });
    expect(await heard()).toBe(await ours({}));
    expect(await heard([])).toBe(await heard());
    expect(await heard([locate('medical')])).toBe(await ours({ lexicons: ['medical'] }));
    expect(await heard([locate('medical', null)])).toBe(await heard([locate('medical', '2')]));
    expect(await heard([locate('medical', '1')])).toBe(await ours({ lexicons: ['medical@1'] }));
    expect(await heard([locate('medical', '1')])).not.toBe(await heard([locate('medical')]));
    // the first of theirs decides, and the last of ours
    expect(await heard([locate('medical'), locate('legal')])).toBe(await ours({ lexicons: ['legal', 'medical'] }));

    for (const missing of [locate('nothing'), locate('medical', '9'), locate('medical', 'abc')]) {
      const answer = await speak([missing]);
      expect([answer.statusCode, answer.json()]).toEqual([
        404,
        { detail: { status: 'pronunciation_dictionary_not_found', message: expect.any(String) } },
      ]);
    }
    const theirs = await newClient();
    expect(
      (
        await theirs.call('POST', '/v1/text-to-speech/demo', {
          text: 'hello',
          pronunciation_dictionary_locators: [locate('medical')],
        })
      ).statusCode,
    ).toBe(404);
    expect((await speak(['medical'])).json()).toMatchObject({
      detail: [{ loc: ['body', 'pronunciation_dictionary_locators'], type: 'value_error' }],
    });
  });

  it('is located on ElevenLabs’s WebSockets by the first message', async () => {
    const client = await newClient();
    await client.call('PUT', '/v1/lexicons/medical', 'AI,,replacement,doctor');
    const { port } = gateway.app.server.address() as { port: number };
    const url = `http://127.0.0.1:${port}/v1/text-to-speech/demo/stream-input?output_format=pcm_16000&seed=7`;
    const heard = async (first: object) => {
      const socket = await connectSocket(url, { authorization: `Bearer ${client.secret}` });
      socket.send({ text: ' ', ...first });
      socket.send({ text: 'hello.' });
      socket.send({ text: '' });
      await socket.closed;
      return JSON.stringify(socket.received.map((message) => (Buffer.isBuffer(message) ? null : message['audio'])));
    };
    const located = { pronunciation_dictionary_locators: [{ pronunciation_dictionary_id: 'medical' }] };
    expect(await heard(located)).not.toBe(await heard({}));
    const socket = await connectSocket(url, { authorization: `Bearer ${client.secret}` });
    socket.send({ text: 'hello', pronunciation_dictionary_locators: [{ pronunciation_dictionary_id: 'nothing' }] });
    expect(await socket.next(({ error }) => error !== undefined)).toMatchObject({
      error: 'pronunciation_dictionary_not_found',
    });
    expect((await socket.closed).code).toBe(1008);
  });
});
