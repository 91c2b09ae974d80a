import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { createApiKey, revokeApiKey } from '../tenancy/api-keys.js';
import type { Scope } from '../tenancy/scopes.js';
import { createTenant } from '../tenancy/tenants.js';

let gateway: TestGateway;
let tenants = 0;

beforeEach(async () => {
  gateway = await startTestGateway();
});

afterEach(() => gateway.close());

async function newTenant(): Promise<string> {
  return (await createTenant(gateway.platform.database, { id: `auth-${++tenants}` })).id;
}

async function newKey(scopes: readonly Scope[], tenantId?: string): Promise<string> {
  const tenant = tenantId ?? (await newTenant());
  const wanted = { name: 'test', scopes, createdBy: 'test' };
  return (await createApiKey(gateway.platform.database, tenant, wanted)).secret;
}

const get = (url: string, headers: Record<string, string> = {}) => gateway.app.inject({ url, headers });

describe('authentication', () => {
  it('lets callers on this machine in without a key until the first key is made, and nobody else', async () => {
    expect((await get('/v1/voices')).statusCode).toBe(200);
    // What client libraries send when they insist on a key.
    expect((await get('/v1/voices', { authorization: 'Bearer none' })).statusCode).toBe(200);
    for (const headers of [{ 'x-forwarded-for': '10.0.0.1' }, { via: '1.1 proxy' }, { host: 'evil.example' }]) {
      const answer = await get('/v1/voices', headers as Record<string, string>);
      expect([answer.statusCode, answer.json().error.code]).toEqual([401, 'UNAUTHENTICATED']);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
    const elsewhere = await gateway.app.inject({ url: '/v1/voices', remoteAddress: '192.0.2.7' });
    expect(elsewhere.statusCode).toBe(401);

    await newKey(['speech']);
    await expect.poll(async () => (await get('/v1/voices')).statusCode, { timeout: 5000 }).toBe(401);
  });

  it('takes a key in each of the headers that clients send', async () => {
    const secret = await newKey(['voices:read']);
    const headers = [{ authorization: `Bearer ${secret}` }, { 'xi-api-key': secret }, { 'x-api-key': secret }];
    for (const each of headers) {
      expect((await get('/v1/voices', each as Record<string, string>)).statusCode).toBe(200);
    }
  });

  it('refuses what is no key, a changed one, and another scheme', async () => {
    const secret = await newKey(['voices:read']);
    const changed = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'Q' : 'A'}`;
    for (const authorization of [`Bearer ${changed}`, 'Bearer tmb_x', `Basic ${secret}`, secret]) {
      expect((await get('/v1/voices', { authorization })).statusCode).toBe(401);
    }
  });

  it('says which scope a key lacks', async () => {
    const secret = await newKey(['voices:read']);
    const answer = await get('/synthesize?text=hi', { 'x-api-key': secret });
    expect(answer.statusCode).toBe(403);
    expect(answer.json().error).toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('speech') });
  });

  it('ends a revoked key within a second', async () => {
    const tenant = await newTenant();
    const secret = await newKey(['voices:read'], tenant);
    expect((await get('/v1/voices', { 'x-api-key': secret })).statusCode).toBe(200);
    await revokeApiKey(gateway.platform.database, tenant, secret.split('_')[1] ?? '');
    await expect.poll(async () => (await get('/v1/voices', { 'x-api-key': secret })).statusCode).toBe(401);
  });

  it('leaves health, metrics and audio with secret names to anyone, and answers unknown paths as such', async () => {
    await newKey(['speech']);
    await expect.poll(async () => (await get('/v1/voices')).statusCode, { timeout: 5000 }).toBe(401);
    for (const url of ['/healthz', '/readyz', '/metrics']) expect((await get(url)).statusCode).toBe(200);
    expect((await get('/audio/AAAAAAAAAAAAAAAAAAAAAA.wav')).json().error.code).toBe('AUDIO_NOT_FOUND');
    expect((await get('/nothing')).json().error.code).toBe('ROUTE_NOT_FOUND');
  });

  it('refuses to serve a route that does not say who may call it', () => {
    expect(() => gateway.app.get('/open-door', async () => 'hello')).toThrow('does not say who may call it');
  });
});

describe('a call on record', () => {
  it('is there before its answer, with its end, its use, and without its text', async () => {
    const tenant = await newTenant();
    const secret = await newKey(['speech'], tenant);
    const headers = { 'x-api-key': secret, 'x-request-id': 'req-1' };
    const answer = await get('/synthesize?text=a+secret+message+ms%3D100&stream=true', headers);
    expect(answer.statusCode).toBe(200);
    await gateway.platform.audit.flush();
    const { database } = gateway.platform;
    const records = await database.asTenant(tenant, (sql) =>
      sql.query<{ type: string; body: string }>('SELECT type, body FROM audit_records ORDER BY seq'),
    );
    expect(records.rows.map((row) => row.type)).toEqual(['speech.started', 'speech.ended']);
    const [started, ended] = records.rows.map((row) => JSON.parse(row.body));
    expect(started).toMatchObject({
      actor: `key:${secret.split('_')[1]}`,
      tenant,
      details: { request: 'req-1', route: '/synthesize', voice: 'demo', characters: 23 },
    });
    expect(started.details.text_digest).toMatch(/^[0-9a-f]{64}$/);
    expect(ended.details).toMatchObject({ call: started.id, outcome: 'ok', audio_ms: 100 });
    expect(ended.details.audio_digest).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(records.rows)).not.toContain('secret message');
    const usage = await database.asTenant(tenant, (sql) =>
      sql.query('SELECT principal, voice, requests, failures, characters, audio_ms FROM usage_hours'),
    );
    expect(usage.rows).toEqual([
      {
        principal: `key:${secret.split('_')[1]}`,
        voice: 'demo',
        requests: 1,
        failures: 0,
        characters: 23,
        audio_ms: 100,
      },
    ]);
  });
});
