import { randomUUID } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { readExport, verifyChain } from '../audit/verify.js';
import { runCli } from '../cli/program.js';
import { createApiKey } from '../tenancy/api-keys.js';
import { DEFAULT_TENANT } from '../tenancy/caller.js';
import { ROLE_SCOPES, SCOPES, type Scope } from '../tenancy/scopes.js';

let gateway: TestGateway;
let operator: string;

beforeAll(async () => {
  gateway = await startTestGateway();
  operator = await newKey(DEFAULT_TENANT, SCOPES);
});

afterAll(() => gateway.close());

async function newKey(tenant: string, scopes: readonly Scope[]): Promise<string> {
  const wanted = { name: 'n', scopes, createdBy: 't' };
  return (await createApiKey(gateway.platform.database, tenant, wanted)).secret;
}

async function ask(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, as: string, payload?: object) {
  const answer = await gateway.app.inject({
    method,
    url: `/v1/admin${path}`,
    headers: { authorization: `Bearer ${as}` },
    ...(payload === undefined ? {} : { payload }),
  });
  const json = /^application\/json/.test(String(answer.headers['content-type'])) ? answer.json() : null;
  return { status: answer.statusCode, json, text: answer.body, code: json?.error?.code };
}

async function newTenant(): Promise<string> {
  const id = `adm-${randomUUID().slice(0, 8)}`;
  expect((await ask('POST', '/tenants', operator, { id, name: 'A bank' })).status).toBe(201);
  return id;
}

const speak = (as: string) =>
  gateway.app.inject({ url: '/synthesize?text=ms%3D200&stream=true', headers: { authorization: `Bearer ${as}` } });

describe('/v1/admin', () => {
  it('makes a tenant, lets it speak, shows what it used and what is on record, and ends it', async () => {
    const id = await newTenant();
    const made = await ask('POST', `/tenants/${id}/keys`, operator, {
      name: 'app',
      scopes: ['speech', 'tenant:admin'],
    });
    expect([made.status, made.json.key.scopes, made.json.key.created_by]).toEqual([
      201,
      ['speech', 'tenant:admin'],
      expect.stringMatching(/^key:/),
    ]);
    const { secret } = made.json;
    expect((await speak(secret)).statusCode).toBe(200);

    // Recorded when its last byte was made, which the answer does not wait for.
    await expect
      .poll(async () => (await ask('GET', `/tenants/${id}/usage`, operator)).json.usage)
      .toMatchObject([{ voice: 'demo', requests: 1, failures: 0, characters: 6, audio_seconds: 0.2 }]);
    const csv = await ask('GET', `/tenants/${id}/usage?format=csv`, operator);
    expect(csv.text.split('\n')[1]).toContain(',demo,1,0,6,0.2');
    expect((await ask('GET', `/tenants/${id}/usage?from=never`, operator)).status).toBe(400);

    expect((await ask('GET', `/tenants/${id}/audit/verify`, operator)).json).toMatchObject({
      tenant: id,
      intact: true,
      problem: null,
      first_seq: 1,
    });
    const exported = await ask('GET', `/tenants/${id}/audit`, operator);
    const { source, publicKey } = await readExport(Readable.from(exported.text.trim().split('\n')));
    expect((await verifyChain(source, [publicKey])).records).toBeGreaterThan(4);
    for (const type of ['tenant.created', 'key.create.started', 'key.create.ended', 'speech.ended', 'audit.exported']) {
      expect(exported.text).toContain(`\\"type\\":\\"${type}\\"`);
    }
    expect(exported.text).not.toContain(secret);

    expect((await ask('POST', `/tenants/${id}/encryption-key/rotate`, operator)).json).toMatchObject({
      tenant: id,
      version: 2,
    });
    const keys = (await ask('GET', '/encryption-keys', operator)).json;
    expect(keys.tenants).toContainEqual(expect.objectContaining({ tenant: id, version: 2, behind: 0 }));

    const limited = await ask('PATCH', `/tenants/${id}`, operator, { limits: { requests_per_minute: 0 } });
    expect(limited.json.limits).toMatchObject({ requests_per_minute: 0, weight: 1, storage_bytes: null });
    await expect.poll(async () => (await speak(secret)).statusCode, { timeout: 5000 }).toBe(429);
    await ask('PATCH', `/tenants/${id}`, operator, { limits: { requests_per_minute: null }, state: 'suspended' });
    await expect.poll(async () => (await speak(secret)).statusCode, { timeout: 5000 }).toBe(401);
    expect((await ask('PATCH', `/tenants/${id}`, operator, { state: 'active' })).json.state).toBe('active');

    expect((await ask('DELETE', `/tenants/${id}`, operator)).json.state).toBe('deleted');
    expect((await ask('DELETE', `/tenants/${id}`, operator)).code).toBe('TENANT_NOT_FOUND');
    expect((await ask('POST', `/tenants/${id}/keys`, operator, { name: 'late' })).code).toBe('TENANT_NOT_FOUND');
  });

  it('lets a tenant look after its own keys and people, and rotates a key with an overlap', async () => {
    const id = await newTenant();
    const owner = await newKey(id, ROLE_SCOPES.owner);
    const { key, secret } = (await ask('POST', `/tenants/${id}/keys`, owner, { name: 'app', expires_in_days: 30 }))
      .json;
    expect(key.scopes).toEqual(['speech', 'voices:read', 'models:read']);
    const rotated = await ask('POST', `/tenants/${id}/keys/${key.id}/rotate`, owner, { overlap_hours: 1 });
    expect([rotated.status, rotated.json.key.name]).toEqual([201, 'app']);
    for (const each of [secret, rotated.json.secret]) expect((await speak(each)).statusCode).toBe(200);
    const listed = (await ask('GET', `/tenants/${id}/keys`, owner)).json.keys;
    expect(listed.find((each: { id: string }) => each.id === key.id).replaced_by).toBe(rotated.json.key.id);
    expect((await ask('POST', `/tenants/${id}/keys/${key.id}/rotate`, owner)).status).toBe(400);
    expect((await ask('DELETE', `/tenants/${id}/keys/${key.id}`, owner)).json.revoked_at).not.toBeNull();
    expect((await ask('DELETE', `/tenants/${id}/keys/${key.id}`, owner)).code).toBe('KEY_NOT_FOUND');

    const person = { issuer: 'https://login.example.com', subject: 'ann' };
    expect((await ask('PUT', `/tenants/${id}/members`, owner, { ...person, role: 'auditor' })).status).toBe(204);
    expect((await ask('PUT', `/tenants/${id}/members`, owner, { ...person, role: 'king' })).status).toBe(400);
    expect((await ask('GET', `/tenants/${id}/members`, owner)).json.members).toMatchObject([
      { ...person, role: 'auditor' },
    ]);
    const query = new URLSearchParams(person).toString();
    expect((await ask('DELETE', `/tenants/${id}/members?${query}`, owner)).status).toBe(204);
    expect((await ask('DELETE', `/tenants/${id}/members?${query}`, owner)).code).toBe('MEMBER_NOT_FOUND');

    // What is the operator's stays the operator's, also about oneself.
    expect((await ask('GET', `/tenants/${id}`, owner)).json.id).toBe(id);
    expect((await ask('PATCH', `/tenants/${id}`, owner, { limits: { weight: 1000 } })).code).toBe('FORBIDDEN');
    expect((await ask('DELETE', `/tenants/${id}`, owner)).code).toBe('FORBIDDEN');
    expect((await ask('GET', '/tenants', owner)).code).toBe('FORBIDDEN');
  });

  it('lets nobody give what he lacks, by a new key, a rotated one, or a role', async () => {
    const id = await newTenant();
    const mighty = (await ask('POST', `/tenants/${id}/keys`, operator, { name: 'all', scopes: [...SCOPES] })).json.key;
    const clerk = await newKey(id, ['tenant:admin', 'speech']);
    const give = (scopes: string[]) => ask('POST', `/tenants/${id}/keys`, clerk, { name: 'n', scopes });
    expect((await give(['speech'])).status).toBe(201);
    for (const scope of ['audit:read', 'platform:admin']) expect((await give([scope])).code).toBe('FORBIDDEN');
    expect((await give(['everything'])).code).toBe('REQUEST_INVALID');
    expect((await ask('POST', `/tenants/${id}/keys/${mighty.id}/rotate`, clerk)).code).toBe('FORBIDDEN');
    const member = { issuer: 'https://i', subject: 'me', role: 'owner' };
    expect((await ask('PUT', `/tenants/${id}/members`, clerk, member)).code).toBe('FORBIDDEN');
    const speaker = await newKey(id, ['speech']);
    expect((await ask('GET', `/tenants/${id}/keys`, speaker)).code).toBe('FORBIDDEN');
  });

  it('has for every operation a command, and no command of tenants and records is without one', async () => {
    const { paths } = (await gateway.app.inject('/openapi.json')).json<{ paths: Record<string, object> }>();
    const operations = Object.entries(paths)
      .filter(([path]) => path.startsWith('/v1/admin/'))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.slice(9)}`));
    expect(operations.sort()).toEqual([...new Set(Object.values(ROUTES_OF_COMMANDS).flat())].sort());
    for (const command of Object.keys(ROUTES_OF_COMMANDS)) {
      let help = '';
      const output = new Writable({
        write(bytes, _encoding, done) {
          help += String(bytes);
          done();
        },
      });
      const signal = new AbortController().signal;
      const signals = { on: () => {}, exit: () => {} };
      const context = {
        version: '0',
        stdout: output,
        stderr: output,
        stdin: Readable.from([]),
        env: {},
        signal,
        signals,
      };
      await runCli([...command.split(' '), '--help'], context);
      expect(help).toContain(`timbre ${command}`);
    }
  });
});

/** What does the same on the command line. Retiring and making master keys is of the machine that has their file. */
const ROUTES_OF_COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'admin tenant list': ['GET /tenants', 'GET /tenants/{tenant}'],
  'admin tenant create': ['POST /tenants'],
  'admin tenant limits': ['PATCH /tenants/{tenant}'],
  'admin tenant policy': ['PATCH /tenants/{tenant}'],
  'admin tenant suspend': ['PATCH /tenants/{tenant}'],
  'admin tenant resume': ['PATCH /tenants/{tenant}'],
  'admin tenant delete': ['DELETE /tenants/{tenant}'],
  'admin key create': ['POST /tenants/{tenant}/keys'],
  'admin key list': ['GET /tenants/{tenant}/keys'],
  'admin key rotate': ['POST /tenants/{tenant}/keys/{key}/rotate'],
  'admin key revoke': ['DELETE /tenants/{tenant}/keys/{key}'],
  'admin member add': ['PUT /tenants/{tenant}/members'],
  'admin member list': ['GET /tenants/{tenant}/members'],
  'admin member remove': ['DELETE /tenants/{tenant}/members'],
  'admin usage': ['GET /tenants/{tenant}/usage'],
  'audit export': ['GET /tenants/{tenant}/audit'],
  'audit verify': ['GET /tenants/{tenant}/audit/verify'],
  'keys status': ['GET /encryption-keys'],
  'keys rotate': ['POST /tenants/{tenant}/encryption-key/rotate'],
};
