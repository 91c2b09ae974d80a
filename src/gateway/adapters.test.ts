import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectSocket } from '../../test/fixtures/socket-client.js';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { encodeWav } from '../audio/wav.js';
import { createApiKey } from '../tenancy/api-keys.js';
import { SCOPES, type Scope } from '../tenancy/scopes.js';
import { createTenant, setOwnRecordingsAllowed } from '../tenancy/tenants.js';

let gateway: TestGateway;
let tenants = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
});

afterAll(() => gateway.close());

type Answer = Awaited<ReturnType<TestGateway['app']['inject']>>;

interface Client {
  readonly tenant: string;
  readonly secret: string;
  readonly call: (
    method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    body?: Buffer | object,
  ) => Promise<Answer>;
  readonly put: (name: string, content: string, query?: string) => Promise<Answer>;
  /** The audio of one seed, which the scripted engine pitches by the adapter. */
  readonly sound: (fields?: object) => Promise<string>;
}

async function newClient(scopes: readonly Scope[] = ['voices:read', 'voices:write', 'speech']): Promise<Client> {
  const { database } = gateway.platform;
  const { id: tenant } = await createTenant(database, { id: `adapters-${++tenants}` });
  const { secret } = await createApiKey(database, tenant, { name: 'test', scopes, createdBy: 'test' });
  const call: Client['call'] = async (method, url, body) => {
    const headers = {
      authorization: `Bearer ${secret}`,
      ...(Buffer.isBuffer(body) ? { 'content-type': 'application/octet-stream' } : {}),
    };
    return gateway.app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) });
  };
  return {
    tenant,
    secret,
    call,
    put: (name, content, query = '') => call('PUT', `/v1/adapters/${name}${query}`, Buffer.from(content)),
    async sound(fields = {}) {
      const speech = { text: 'hello', speaker_id: 'demo', seed: 7, format: 'pcm', stream: true };
      const answer = await call('POST', '/synthesize', { ...speech, ...fields });
      expect([answer.statusCode, answer.statusCode === 200 ? '' : answer.body]).toEqual([200, '']);
      return answer.rawPayload.toString('base64');
    },
  };
}

async function recorded(tenant: string, type: string): Promise<Record<string, unknown>[]> {
  await gateway.platform.audit.flush();
  const { rows } = await gateway.platform.database.asTenant(tenant, (sql) =>
    sql.query<{ body: string | { details: Record<string, unknown> } }>(
      'SELECT body FROM audit_records WHERE type = $1 ORDER BY seq',
      [type],
    ),
  );
  return rows.map(({ body }) => (typeof body === 'string' ? JSON.parse(body) : body).details);
}

describe('/v1/adapters', () => {
  it('keeps versions, and lists and removes them', async () => {
    const { call, put } = await newClient();
    const stored = await put('calm', 'first');
    const facts = { model: 'scripted', text2semantic_rank: 4, sovits_rank: 0, parameters: 5, size_bytes: 5 };
    expect([stored.statusCode, stored.json()]).toMatchObject([201, { name: 'calm', version: 1, ...facts }]);
    expect((await put('calm', 'second')).json()).toMatchObject({ version: 2 });
    expect((await put('other', 'third', '?check=true')).json()).toMatchObject({ version: null });
    expect((await call('GET', '/v1/adapters')).json().adapters).toMatchObject([{ name: 'calm', version: 2 }]);
    expect((await call('GET', '/v1/adapters/calm/versions')).json().versions).toMatchObject([
      { version: 2, size_bytes: 6 },
      { version: 1, ...facts },
    ]);
    expect((await call('DELETE', '/v1/adapters/calm')).statusCode).toBe(204);
    expect((await call('DELETE', '/v1/adapters/calm')).statusCode).toBe(404);
    expect((await call('GET', '/v1/adapters/calm/versions')).json().error.code).toBe('ADAPTER_NOT_FOUND');
  });

  it('refuses what no model takes, other bodies, and other names, and keeps nothing of them', async () => {
    const { call, put } = await newClient();
    expect((await put('calm', 'unfit')).json().error).toMatchObject({ code: 'CHECKPOINT_UNSUPPORTED' });
    expect((await call('PUT', '/v1/adapters/calm', {})).statusCode).toBe(415);
    expect((await put('calm', '')).statusCode).toBe(415);
    for (const name of ['-x', '%20', 'a'.repeat(98)]) expect((await put(name, 'x')).statusCode).toBe(400);
    expect((await put('calm', 'x', '?model=')).statusCode).toBe(400);
    expect((await call('GET', '/v1/adapters')).json()).toEqual({ adapters: [] });
  });

  it('changes a voice that has its name from the next request on, and what names it, and the record says so', async () => {
    const client = await newClient();
    const { sound, put, call, tenant } = client;
    const plain = await sound();
    await put('demo', 'of the voice');
    const usual = await sound();
    expect(usual).not.toBe(plain);
    await put('demo', 'of the voice, better');
    const better = await sound();
    expect(better).not.toBe(usual);
    await put('calm', 'another');
    const calm = await sound({ adapter: 'calm' });
    expect(new Set([plain, usual, better, calm]).size).toBe(4);
    expect(await sound({ adapter: '' })).toBe(plain);
    expect(await sound({ adapter: 'demo@1' })).toBe(usual);
    // Once more, out of the cache of speech that was made before.
    expect(await sound({ adapter: 'calm' })).toBe(calm);
    expect(await sound()).toBe(better);
    const missing = { text: 'x', speaker_id: 'demo' };
    for (const adapter of ['nothing', 'demo@9', '@']) {
      const answer = await call('POST', '/synthesize', { ...missing, adapter });
      expect([answer.statusCode, answer.json().error.code]).toEqual([404, 'ADAPTER_NOT_FOUND']);
    }
    const types = ['speech.started', 'speech.served'];
    const adapters = await Promise.all(types.map((type) => recorded(tenant, type)));
    const names = adapters.map((all) => all.map(({ adapter }) => adapter));
    expect(names.flat().sort()).toEqual(
      [null, null, 'calm@1', 'calm@1', 'demo@1', 'demo@1', 'demo@2', 'demo@2'].sort(),
    );
    expect((await recorded(tenant, 'adapter.stored.started')).map(({ adapter }) => adapter)).toEqual([
      'demo',
      'demo',
      'calm',
    ]);
  });

  it('changes what comes in the words of others, over HTTP and over our WebSocket', async () => {
    const { put, call, secret } = await newClient();
    const speech = { model: 'm', input: 'hello', voice: 'demo', seed: 7, response_format: 'pcm' };
    const openAi = async (fields: object = {}) =>
      (await call('POST', '/v1/audio/speech', { ...speech, ...fields })).rawPayload.toString('base64');
    const elevenLabs = async () => {
      const url = '/v1/text-to-speech/demo?output_format=pcm_16000';
      return (await call('POST', url, { text: 'hello', seed: 7 })).rawPayload.toString('base64');
    };
    const url = `${await gateway.app.listen({ host: '127.0.0.1', port: 0 })}/v1/stream`;
    const stream = async (fields: object = {}) => {
      const socket = await connectSocket(url, { authorization: `Bearer ${secret}` });
      socket.send({ type: 'start', voice: 'demo', seed: 7, ...fields });
      socket.send({ type: 'text', text: 'hello.' });
      socket.send({ type: 'end' });
      await socket.next(({ type }) => type === 'done');
      socket.socket.close();
      return Buffer.concat(socket.received.filter((message) => Buffer.isBuffer(message))).toString('base64');
    };
    const before = [await openAi(), await elevenLabs(), await stream()];
    await put('demo', 'of the voice');
    await put('calm', 'another');
    const after = [await openAi(), await elevenLabs(), await stream()];
    for (const [i, sound] of after.entries()) expect(sound).not.toBe(before[i]);
    const named = [await openAi({ adapter: 'calm' }), await stream({ adapter: 'calm' })];
    expect(new Set([...before, ...after, ...named]).size).toBe(8);
    expect(await openAi({ adapter: '' })).toBe(before[0]);
    expect(await stream({ adapter: '' })).toBe(before[2]);
  });

  it('goes with a voice that is shared, and is its owner’s', async () => {
    const [owner, user] = [await newClient(SCOPES), await newClient()];
    await setOwnRecordingsAllowed(gateway.platform.database, owner.tenant, true);
    const recording = Buffer.from(encodeWav(new Float32Array(64_000).fill(0.1), 16_000)).toString('base64');
    const voice = { id: 'anna', name: 'Anna', language: 'en', recordings: [recording] };
    expect((await owner.call('POST', '/v1/voices', voice)).statusCode).toBe(201);
    expect((await owner.call('POST', '/v1/voices/anna/shares', { tenant: user.tenant })).statusCode).toBe(201);
    const anna = { speaker_id: 'anna' };
    const plain = await user.sound(anna);
    await user.put('anna', 'the user’s');
    expect(await user.sound(anna)).toBe(plain);
    await owner.put('anna', 'the owner’s');
    const adapted = await owner.sound(anna);
    expect(adapted).not.toBe(plain);
    expect(await user.sound(anna)).toBe(adapted);
    expect(await user.sound({ ...anna, adapter: 'anna' })).not.toBe(adapted);
  });

  it('is of the voice that has its name: it ends and goes with that, whoever speaks with it', async () => {
    const { call, put, sound, tenant } = await newClient(SCOPES);
    await setOwnRecordingsAllowed(gateway.platform.database, tenant, true);
    const recordings = [Buffer.from(encodeWav(new Float32Array(64_000).fill(0.1), 16_000)).toString('base64')];
    await call('POST', '/v1/voices', { id: 'bea', name: 'Bea', language: 'en', recordings });
    for (const name of ['bea', 'bea.sad', 'beatrice']) await put(name, name);
    const plain = await sound();
    expect(await sound({ adapter: 'bea' })).not.toBe(plain);
    const long = { text: 'sentences=200 ms=100 every=20', speaker_id: 'demo', adapter: 'bea', stream: true };
    const stopped = call('POST', '/synthesize', long).then(
      ({ rawPayload }) => rawPayload.length,
      () => 0,
    );
    await expect.poll(async () => (await recorded(tenant, 'speech.started')).length).toBe(3);
    expect((await call('PATCH', '/v1/voices/bea', { disabled: true })).statusCode).toBe(200);
    expect(await stopped).toBeLessThan(200 * 1600 * 2);
    for (const adapter of ['bea', 'bea@1', 'bea.sad']) {
      const refused = await call('POST', '/synthesize', { text: 'x', speaker_id: 'demo', adapter });
      expect(refused.json().error.code).toBe('VOICE_DISABLED');
    }
    expect((await call('DELETE', '/v1/voices/bea')).statusCode).toBe(200);
    const left = (await call('GET', '/v1/adapters')).json().adapters.map(({ name }: { name: string }) => name);
    expect(left).toEqual(['beatrice']);
  });

  it('is for a tenant’s own requests, and for keys that may read and write voices', async () => {
    const [ours, theirs] = [await newClient(), await newClient()];
    const plain = await theirs.sound();
    await ours.put('demo', 'ours');
    expect(await theirs.sound()).toBe(plain);
    const foreign = await theirs.call('POST', '/synthesize', { text: 'x', speaker_id: 'demo', adapter: 'demo' });
    expect(foreign.statusCode).toBe(404);
    const mute = await newClient(['speech']);
    expect((await mute.put('demo', 'x')).statusCode).toBe(403);
    expect((await mute.call('GET', '/v1/adapters')).statusCode).toBe(403);
    const reader = await newClient(['voices:read']);
    expect((await reader.call('GET', '/v1/adapters')).statusCode).toBe(200);
    expect((await reader.call('DELETE', '/v1/adapters/demo')).statusCode).toBe(403);
  });
});
