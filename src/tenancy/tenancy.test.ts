import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { describeDatabases } from '../../test/fixtures/databases.js';
import type { Database } from '../store/database.js';
import { createApiKey, findKeyHolder, hasApiKeys, listApiKeys, revokeApiKey, rotateApiKey } from './api-keys.js';
import { createAuthenticator } from './authenticator.js';
import { requireScope } from './caller.js';
import { addMember, listMembers, removeMember } from './members.js';
import { createPersonVerifier } from './people.js';
import { Quotas } from './quotas.js';
import { createTenant, deleteTenant, getTenant, listTenants, setLimits, setSuspended } from './tenants.js';
import { bookUsage, readUsage, usageCsv } from './usage.js';

let tenants = 0;
const newTenant = async (database: Database) => (await createTenant(database, { id: `ten-${++tenants}` })).id;
const wanted = { name: 'app', scopes: ['speech', 'voices:read'] as const, createdBy: 'test' };
const idOf = (secret: string) => secret.split('_')[1] ?? '';

describeDatabases('tenants', (get) => {
  it('are made once, listed, limited, suspended and let in again', async () => {
    const { database } = get();
    const id = await newTenant(database);
    await expect(createTenant(database, { id })).rejects.toMatchObject({ code: 'TENANT_EXISTS' });
    await expect(createTenant(database, { id: 'Not An Id' })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await expect(getTenant(database, 'nobody')).rejects.toMatchObject({ code: 'TENANT_NOT_FOUND' });
    const limited = await setLimits(database, id, { requestsPerMinute: 5, charactersPerMonth: 1e12, weight: 2.5 });
    expect(limited.limits).toMatchObject({ requestsPerMinute: 5, charactersPerMonth: 1e12, weight: 2.5 });
    expect((await setLimits(database, id, { requestsPerMinute: null })).limits.requestsPerMinute).toBe(null);
    await expect(setLimits(database, id, { weight: 0 })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await expect(setLimits(database, id, { storageBytes: -1 })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    expect((await setSuspended(database, id, true)).state).toBe('suspended');
    expect((await setSuspended(database, id, false)).state).toBe('active');
    expect((await listTenants(database)).map((tenant) => tenant.id)).toContain(id);
  });

  it('leave nothing but usage and audit records when they are deleted, and their id is not used again', async () => {
    const { database } = get();
    const id = await newTenant(database);
    const { secret } = await createApiKey(database, id, wanted);
    await addMember(database, id, { issuer: 'i', subject: 's', role: 'owner', createdBy: 'test' });
    expect((await deleteTenant(database, id)).state).toBe('deleted');
    expect(await findKeyHolder(database, secret)).toBe(null);
    expect(await listApiKeys(database, id)).toEqual([]);
    expect(await listMembers(database, id)).toEqual([]);
    await expect(createTenant(database, { id })).rejects.toMatchObject({ code: 'TENANT_EXISTS' });
    await expect(deleteTenant(database, id)).rejects.toMatchObject({ code: 'TENANT_NOT_FOUND' });
    await expect(createApiKey(database, id, wanted)).rejects.toMatchObject({ code: 'TENANT_NOT_FOUND' });
    await expect(deleteTenant(database, 'default')).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });
});

describeDatabases('API keys', (get) => {
  it('are shown once and stored as hashes that tell nothing', async () => {
    const { database } = get();
    const id = await newTenant(database);
    const { key, secret } = await createApiKey(database, id, wanted);
    expect(secret).toMatch(/^tmb_[a-z2-7]{16}_[\w-]{43}$/);
    expect(await hasApiKeys(database)).toBe(true);
    const { rows } = await database.asTenant(id, (sql) => sql.query('SELECT * FROM api_keys'));
    const stored = JSON.stringify(rows);
    expect(stored).not.toContain(secret.slice(-43));
    expect(stored).not.toContain(Buffer.from(secret).toString('hex'));
    expect(await listApiKeys(database, id)).toEqual([key]);
  });

  it('are held by their tenant until they expire, are revoked, or the tenant is suspended', async () => {
    const { database } = get();
    const id = await newTenant(database);
    const { secret } = await createApiKey(database, id, wanted);
    expect(await findKeyHolder(database, secret)).toMatchObject({ tenantId: id, scopes: ['speech', 'voices:read'] });
    for (const wrong of ['', 'tmb_', secret.slice(0, -1), `${secret}x`, secret.replace(/_[^_]/, '_.')]) {
      expect(await findKeyHolder(database, wrong)).toBe(null);
    }
    await setSuspended(database, id, true);
    expect(await findKeyHolder(database, secret)).toBe(null);
    await setSuspended(database, id, false);
    await database.asTenant(id, (sql) => sql.query(`UPDATE api_keys SET expires_at = now() - interval '1 second'`));
    expect(await findKeyHolder(database, secret)).toBe(null);
    await database.asTenant(id, (sql) => sql.query('UPDATE api_keys SET expires_at = NULL'));
    await revokeApiKey(database, id, idOf(secret));
    expect(await findKeyHolder(database, secret)).toBe(null);
    await expect(revokeApiKey(database, id, idOf(secret))).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  });

  it('are rotated with an overlap in which both work', async () => {
    const { database } = get();
    const id = await newTenant(database);
    const old = await createApiKey(database, id, wanted);
    const rotation = { overlapMs: 3_600_000, createdBy: 'test' };
    const next = await rotateApiKey(database, id, old.key.id, rotation);
    expect(next.key).toMatchObject({ name: 'app', scopes: ['speech', 'voices:read'], expiresAt: null });
    expect(await findKeyHolder(database, old.secret)).not.toBe(null);
    expect(await findKeyHolder(database, next.secret)).not.toBe(null);
    const [first] = await listApiKeys(database, id);
    expect(first).toMatchObject({ id: old.key.id, replacedBy: next.key.id });
    const leftMs = (first?.expiresAt?.getTime() ?? 0) - Date.now();
    expect(leftMs).toBeGreaterThan(3_000_000);
    expect(leftMs).toBeLessThan(3_700_000);
    await expect(rotateApiKey(database, id, old.key.id, rotation)).rejects.toThrow('rotated already');
  });

  it('of one tenant cannot be seen, revoked or rotated by another', async () => {
    const { database } = get();
    const [mine, theirs] = [await newTenant(database), await newTenant(database)];
    const { key, secret } = await createApiKey(database, mine, wanted);
    expect(await listApiKeys(database, theirs)).toEqual([]);
    const rotation = { overlapMs: 0, createdBy: 'test' };
    await expect(revokeApiKey(database, theirs, key.id)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    await expect(rotateApiKey(database, theirs, key.id, rotation)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    expect(await findKeyHolder(database, secret)).not.toBe(null);
  });

  it('need a name, a scope and a time to come', async () => {
    const { database } = get();
    const id = await newTenant(database);
    for (const wrong of [{ name: ' ' }, { scopes: [] }, { expiresAt: new Date(0) }]) {
      await expect(createApiKey(database, id, { ...wanted, ...wrong })).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
      });
    }
  });
});

describeDatabases('people', (get) => {
  it('are recognised by a token of the provider, with the roles of a member, and by nothing else', async () => {
    const { database } = get();
    const [tenant, second] = [await newTenant(database), await newTenant(database)];
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const { privateKey: otherKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
    // An identity provider as far as a verifier sees one: discovery and keys over HTTP.
    const provider = createServer((request, response) => {
      const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
      const discovery = { issuer, jwks_uri: `${issuer}/keys` };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(request.url === '/keys' ? { keys: [jwk] } : discovery));
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    const people = createPersonVerifier({ database, issuer, audience: 'timbre' });
    const authenticator = createAuthenticator({ database, mode: 'required', people });
    const token = (
      claims: Record<string, unknown>,
      key = privateKey,
      expires = '5m',
      audience = 'timbre',
      by = issuer,
    ) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setIssuer(by)
        .setAudience(audience)
        .setSubject('alice')
        .setExpirationTime(expires)
        .sign(key);
    const signIn = (secret: string) => authenticator.authenticate({ secret, local: false });
    try {
      await expect(signIn(await token({}))).rejects.toMatchObject({ code: 'FORBIDDEN' });
      await addMember(database, tenant, { issuer, subject: 'alice', role: 'auditor', createdBy: 'test' });
      const caller = await signIn(await token({}));
      expect(caller).toMatchObject({ tenantId: tenant, principal: { type: 'person', id: 'alice' } });
      requireScope(caller, 'audit:read');
      expect(() => requireScope(caller, 'speech')).toThrow("this person's role does not allow speech");

      for (const wrong of [
        await token({}, otherKey),
        await token({}, privateKey, '-5m'),
        await token({}, privateKey, '5m', 'another service'),
        await token({}, privateKey, '5m', 'timbre', 'http://another.example'),
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"alice"}').toString('base64url')}.`,
      ]) {
        await expect(signIn(wrong)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      }

      await addMember(database, second, { issuer, subject: 'alice', role: 'owner', createdBy: 'test' });
      await expect(signIn(await token({}))).rejects.toThrow('several tenants');
      expect(await signIn(await token({ timbre_tenant: second }))).toMatchObject({ tenantId: second });
      await expect(signIn(await token({ timbre_tenant: 'ten-0' }))).rejects.toMatchObject({ code: 'FORBIDDEN' });
      await removeMember(database, second, { issuer, subject: 'alice' });
      expect(await signIn(await token({}))).toMatchObject({ tenantId: tenant });
    } finally {
      provider.close();
    }
  });
});

describeDatabases('quotas', (get) => {
  const start = Date.UTC(2026, 10, 27, 12);
  const clock = (quotasOf: (now: () => number) => Quotas) => {
    let nowMs = start;
    const quotas = quotasOf(() => nowMs);
    return { quotas, pass: (ms: number) => void (nowMs += ms) };
  };

  it('hold the rate of requests and say when to come again', async () => {
    const { database } = get();
    const id = await newTenant(database);
    await setLimits(database, id, { requestsPerMinute: 2 });
    const { quotas, pass } = clock((now) => new Quotas({ database, now }));
    const first = await quotas.admit(id, { characters: 1 });
    expect(first.headers).toEqual({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': '30s',
    });
    await quotas.admit(id, { characters: 1 });
    await expect(async () => quotas.admit(id, { characters: 1 })).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterSeconds: 30,
      headers: { 'x-ratelimit-remaining-requests': '0' },
    });
    pass(30_000);
    await quotas.admit(id, { characters: 1 });
  });

  it('hold the rate of characters, and let one long text through when nothing else was said', async () => {
    const { database } = get();
    const id = await newTenant(database);
    await setLimits(database, id, { charactersPerMinute: 100 });
    const { quotas, pass } = clock((now) => new Quotas({ database, now }));
    await quotas.admit(id, { characters: 250 });
    await expect(async () => quotas.admit(id, { characters: 10 })).rejects.toMatchObject({ retryAfterSeconds: 96 });
    pass(96_000);
    await quotas.admit(id, { characters: 10 });
  });

  it('hold streams that run at once', async () => {
    const { database } = get();
    const id = await newTenant(database);
    await setLimits(database, id, { concurrentStreams: 1 });
    const quotas = new Quotas({ database });
    const running = await quotas.admit(id, { characters: 1 });
    await expect(async () => quotas.admit(id, { characters: 1 })).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      headers: { 'current-concurrent-requests': '1', 'maximum-concurrent-requests': '1' },
    });
    running.release();
    running.release();
    await quotas.admit(id, { characters: 1 });
  });

  it("hold the month's characters over all servers, running calls included", async () => {
    const { database } = get();
    const id = await newTenant(database);
    await setLimits(database, id, { charactersPerMonth: 100 });
    const { quotas, pass } = clock((now) => new Quotas({ database, now }));
    // Another server's.
    const book = (at: string, characters: number) =>
      database.asTenant(id, (sql) =>
        bookUsage(sql, id, [
          { at, usage: { principal: 'key:k', voice: 'v', characters, audioMs: 1500, failed: false } },
        ]),
      );
    await book('2026-10-31T23:59:59.000Z', 1000);
    await book('2026-11-01T00:00:00.000Z', 60);
    const running = await quotas.admit(id, { characters: 30 });
    await expect(async () => quotas.admit(id, { characters: 11 })).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      retryAfterSeconds: (Date.UTC(2026, 11, 1) - start) / 1000,
    });
    await quotas.admit(id, { characters: 10 });
    running.release();
    pass(2000);
    await expect(async () => quotas.admit(id, { characters: 31 })).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    const usage = await readUsage(database, id, { from: new Date(0), to: new Date(start) });
    expect(usage.map((row) => row.characters)).toEqual([1000, 60]);
    expect(usageCsv(usage).split('\n').slice(0, 2)).toEqual([
      'hour,principal,voice,requests,failures,characters,audio_seconds',
      '2026-10-31T23:00:00.000Z,key:k,v,1,0,1000,1.5',
    ]);
  });

  it('let nobody in for a suspended tenant, within a second', async () => {
    const { database } = get();
    const id = await newTenant(database);
    const { quotas, pass } = clock((now) => new Quotas({ database, now }));
    await quotas.admit(id, { characters: 1 });
    await setSuspended(database, id, true);
    pass(1000);
    await expect(async () => quotas.admit(id, { characters: 1 })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('usage for spreadsheets', () => {
  it('quotes what would break a line', () => {
    const row = { hour: new Date(0), principal: 'person:a,"b"', requests: 1, failures: 0, characters: 2, audioMs: 3 };
    expect(usageCsv([{ ...row, voice: 'x' }])).toContain('"person:a,""b"""');
  });
});
