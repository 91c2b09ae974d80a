import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { createApiKey } from '../tenancy/api-keys.js';
import { addMember } from '../tenancy/members.js';
import { ROLE_SCOPES } from '../tenancy/scopes.js';
import { createTenant, setOwnRecordingsAllowed } from '../tenancy/tenants.js';

/** What a tenant has that another may not see, change or use. */
interface Belongings {
  readonly tenant: string;
  readonly keyId: string;
  readonly issuer: string;
  readonly subject: string;
  /** Of its own making, with a name that no other voice has. */
  readonly voice: string;
  readonly consent: string;
  readonly lexicon: string;
  readonly adapter: string;
}

interface Attempt {
  readonly url: string;
  readonly payload?: object;
}

/**
 * Requests with ids of another tenant. `no ids`: the route takes none that is a tenant's; `operator`: nobody but the
 * operator may ask, whatever id it is, so that 403 tells nothing of it.
 */
type Row = ((theirs: Belongings) => Attempt | readonly Attempt[]) | 'no ids' | 'operator';

/** What the scripted engine takes for a recording. */
const SPEECH = Buffer.from('RIFF I agree. similarity=0.9').toString('base64');

const admin =
  (rest = '', payload?: object): Row =>
  ({ tenant, keyId, issuer, subject }) => ({
    url: `/v1/admin/tenants/${tenant}${rest
      .replace('KEY', keyId)
      .replace('MEMBER', new URLSearchParams({ issuer, subject }).toString())}`,
    ...(payload === undefined ? {} : { payload }),
  });

/** Every route there is: a new one has to say here what of another tenant it could be asked for. */
const ROUTES: Readonly<Record<string, Row>> = {
  'GET /openapi.json': 'no ids',
  'GET /docs': 'no ids',
  'GET /healthz': 'no ids',
  'GET /readyz': 'no ids',
  'GET /metrics': 'no ids',
  // Its id is a secret of 128 bits: who was given the address may hear it.
  'GET /audio/{file}': () => ({ url: `/audio/${'A'.repeat(22)}.wav` }),
  'GET /v1/voices': 'no ids',
  'GET /v2/voices': 'no ids',
  'GET /v1/voices/{voice}': voice(''),
  'POST /v1/voices': newVoice('/v1/voices', { language: 'en', recordings: [SPEECH] }),
  'POST /v1/voices/check': 'no ids',
  'PATCH /v1/voices/{voice}': voice('', { name: 'mine now' }),
  'DELETE /v1/voices/{voice}': voice(''),
  'GET /v1/voices/{voice}/recording': voice('/recording'),
  'GET /v1/voices/{voice}/versions': voice('/versions'),
  'POST /v1/voices/{voice}/versions': voice('/versions', { recordings: [SPEECH], language: 'en' }),
  'POST /v1/voices/{voice}/preview': voice('/preview', { text: 'x' }),
  'GET /v1/voices/{voice}/shares': 'operator',
  'POST /v1/voices/{voice}/shares': 'operator',
  'DELETE /v1/voices/{voice}/shares/{tenant}': 'operator',
  'POST /v1/voices/add': 'no ids',
  'POST /v1/audio/voices': newVoice('/v1/audio/voices', { audio_sample: SPEECH }),
  'GET /v1/consents': 'no ids',
  'POST /v1/consents': 'no ids',
  'GET /v1/consents/{consent}': consent('/v1/consents'),
  'GET /v1/consents/{consent}/evidence': consent('/v1/consents', '/evidence'),
  'PATCH /v1/consents/{consent}': consent('/v1/consents', '', { name: 'mine now' }),
  'POST /v1/consents/{consent}/revoke': consent('/v1/consents', '/revoke', { reason: 'x' }),
  'DELETE /v1/consents/{consent}': consent('/v1/consents'),
  'GET /v1/audio/voice_consents': 'no ids',
  'POST /v1/audio/voice_consents': 'no ids',
  'GET /v1/audio/voice_consents/{consent}': consent('/v1/audio/voice_consents'),
  'POST /v1/audio/voice_consents/{consent}': consent('/v1/audio/voice_consents', '', { name: 'mine now' }),
  'DELETE /v1/audio/voice_consents/{consent}': consent('/v1/audio/voice_consents'),
  'GET /v1/adapters': 'no ids',
  'GET /v1/adapters/{name}/versions': ({ adapter }) => ({ url: `/v1/adapters/${adapter}/versions` }),
  // A name is a tenant's own: this makes one of that name here.
  'PUT /v1/adapters/{name}': 'no ids',
  'DELETE /v1/adapters/{name}': ({ adapter }) => ({ url: `/v1/adapters/${adapter}` }),
  'GET /v1/lexicons': 'no ids',
  'POST /v1/lexicons/preview': 'no ids',
  'GET /v1/lexicons/{name}': ({ lexicon }) => ({ url: `/v1/lexicons/${lexicon}` }),
  'GET /v1/lexicons/{name}/versions': ({ lexicon }) => ({ url: `/v1/lexicons/${lexicon}/versions` }),
  // A name is a tenant's own: this makes one of that name here.
  'PUT /v1/lexicons/{name}': 'no ids',
  'DELETE /v1/lexicons/{name}': ({ lexicon }) => ({ url: `/v1/lexicons/${lexicon}` }),
  'GET /v1/models': 'no ids',
  'GET /v1/models/{model}': ({ tenant }) => ({ url: `/v1/models/${tenant}` }),
  'POST /synthesize': ({ voice }) => ({ url: '/synthesize', payload: { text: 'x', speaker_id: voice } }),
  'GET /synthesize': ({ voice }) => ({ url: `/synthesize?text=x&speaker_id=${voice}` }),
  'POST /v1/audio/speech': ({ voice }) => ({
    url: '/v1/audio/speech',
    payload: { model: 'm', input: 'x', voice },
  }),
  'GET /v1/audio/voices': 'no ids',
  'POST /v1/text-to-speech/{voice_id}': elevenLabs(''),
  'POST /v1/text-to-speech/{voice_id}/stream': elevenLabs('/stream'),
  'POST /v1/text-to-speech/{voice_id}/with-timestamps': elevenLabs('/with-timestamps'),
  'POST /v1/text-to-speech/{voice_id}/stream/with-timestamps': elevenLabs('/stream/with-timestamps'),
  // Voices of WebSockets go the same way, after the upgrade.
  'GET /v1/text-to-speech/{voice_id}/stream-input': 'no ids',
  'GET /v1/text-to-speech/{voice_id}/multi-stream-input': 'no ids',
  'GET /v1/stream': 'no ids',
  'POST /v1/verify': 'no ids',
  // Paths of the configured folder, and names of voices, whose answers are 400 in the words of the reference.
  'GET /tts': 'no ids',
  'POST /tts': 'no ids',
  'GET /': 'no ids',
  'POST /': 'no ids',
  'GET /set_gpt_weights': 'no ids',
  'GET /set_sovits_weights': 'no ids',
  'GET /set_refer_audio': 'no ids',
  'GET /control': 'no ids',
  'POST /control': 'no ids',
  'GET /change_refer': 'no ids',
  'POST /change_refer': 'no ids',
  'GET /set_model': 'no ids',
  'POST /set_model': 'no ids',
  'GET /v1/admin/tenants': 'no ids',
  'POST /v1/admin/tenants': 'no ids',
  'GET /v1/admin/encryption-keys': 'no ids',
  'GET /v1/admin/tenants/{tenant}': admin(),
  'PATCH /v1/admin/tenants/{tenant}': admin('', { state: 'suspended' }),
  'DELETE /v1/admin/tenants/{tenant}': admin(),
  'GET /v1/admin/tenants/{tenant}/keys': admin('/keys'),
  'POST /v1/admin/tenants/{tenant}/keys': admin('/keys', { name: 'mine' }),
  'POST /v1/admin/tenants/{tenant}/keys/{key}/rotate': bothWays('/keys/KEY/rotate'),
  'DELETE /v1/admin/tenants/{tenant}/keys/{key}': bothWays('/keys/KEY'),
  'GET /v1/admin/tenants/{tenant}/members': admin('/members'),
  'PUT /v1/admin/tenants/{tenant}/members': admin('/members', { issuer: 'i', subject: 'me', role: 'owner' }),
  'DELETE /v1/admin/tenants/{tenant}/members': bothWays('/members?MEMBER'),
  'GET /v1/admin/tenants/{tenant}/usage': admin('/usage'),
  'GET /v1/admin/tenants/{tenant}/audit': admin('/audit'),
  'GET /v1/admin/tenants/{tenant}/audit/verify': admin('/audit/verify'),
  'POST /v1/admin/tenants/{tenant}/encryption-key/rotate': admin('/encryption-key/rotate'),
};

function voice(rest: string, payload?: object): Row {
  return ({ voice: id }) => ({ url: `/v1/voices/${id}${rest}`, ...(payload === undefined ? {} : { payload }) });
}

function consent(base: string, rest = '', payload?: object): Row {
  return ({ consent: id }) => ({ url: `${base}/${id}${rest}`, ...(payload === undefined ? {} : { payload }) });
}

/** With the consent of somebody else's speaker. */
function newVoice(url: string, fields: object): Row {
  return ({ consent: id }) => ({ url, payload: { name: 'mine', consent: id, ...fields } });
}

function elevenLabs(rest: string): Row {
  return ({ voice }) => ({ url: `/v1/text-to-speech/${voice}${rest}`, payload: { text: 'x' } });
}

/** Under the other tenant's address, and its id under one's own. */
function bothWays(rest: string): Row {
  return (theirs) => {
    const attempt = admin(rest);
    if (typeof attempt === 'string') throw new Error('an administrative route has ids');
    return [attempt(theirs), attempt({ ...theirs, tenant: mine.tenant })].flat();
  };
}

let gateway: TestGateway;
let mine: Belongings & { readonly secret: string };
let theirs: Belongings & { readonly secret: string };

async function newTenant() {
  const { database } = gateway.platform;
  const { id: tenant } = await createTenant(database, { id: `iso-${randomUUID().slice(0, 8)}` });
  const wanted = { name: `key of ${tenant}`, scopes: ROLE_SCOPES.owner, createdBy: 't' };
  const { key, secret } = await createApiKey(database, tenant, wanted);
  const [issuer, subject] = ['https://issuer.example.com', `person-of-${tenant}`];
  await addMember(database, tenant, { issuer, subject, role: 'owner', createdBy: 't' });
  await setOwnRecordingsAllowed(database, tenant, true);
  const post = async (url: string, payload: object) => {
    const answer = await gateway.app.inject({
      method: 'POST',
      url,
      payload,
      headers: { authorization: `Bearer ${secret}` },
    });
    expect([url, answer.statusCode, answer.body]).toEqual([url, 201, answer.body]);
    return answer.json<{ id: string }>().id;
  };
  const voice = await post('/v1/voices', {
    id: `voice-of-${tenant}`,
    name: tenant,
    language: 'en',
    recordings: [SPEECH],
  });
  const consent = await post('/v1/consents', { name: tenant, language: 'en', text: 'I agree.', recording: SPEECH });
  const lexicon = `words-of-${tenant}`;
  const stored = await gateway.app.inject({
    method: 'PUT',
    url: `/v1/lexicons/${lexicon}`,
    payload: { entries: [{ word: tenant, reading: 'a bank' }] },
    headers: { authorization: `Bearer ${secret}` },
  });
  expect([stored.statusCode, stored.body]).toEqual([expect.toBeOneOf([200, 201]), stored.body]);
  const adapter = `adapter-of-${tenant}`;
  const kept = await gateway.app.inject({
    method: 'PUT',
    url: `/v1/adapters/${adapter}`,
    payload: Buffer.from(`an adapter of ${tenant}`),
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/octet-stream' },
  });
  expect([kept.statusCode, kept.body]).toEqual([201, kept.body]);
  return { tenant, keyId: key.id, issuer, subject, voice, consent, lexicon, adapter, secret };
}

beforeAll(async () => {
  gateway = await startTestGateway();
  [mine, theirs] = [await newTenant(), await newTenant()];
});

afterAll(() => gateway.close());

async function operations(): Promise<string[]> {
  const { paths } = (await gateway.app.inject('/openapi.json')).json<{ paths: Record<string, object> }>();
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

it('has a row for every route, and no row without one', async () => {
  expect((await operations()).sort()).toEqual(Object.keys(ROUTES).sort());
});

it('answers 404, never 403, for whatever is of another tenant, and tells and changes nothing of it', async () => {
  const before = await stateOf(theirs);
  for (const [operation, row] of Object.entries(ROUTES)) {
    if (typeof row === 'string') continue;
    const method = operation.split(' ')[0] as 'GET';
    for (const { url, payload } of [row(theirs)].flat()) {
      const answer = await gateway.app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${mine.secret}` },
        ...(payload === undefined ? {} : { payload }),
      });
      expect([operation, url, answer.statusCode]).toEqual([operation, url, 404]);
      for (const secret of [theirs.secret, theirs.subject, `key of ${theirs.tenant}`]) {
        expect([operation, answer.body.includes(secret)]).toEqual([operation, false]);
      }
    }
  }
  expect(await stateOf(theirs)).toEqual(before);
});

it("answers what is the operator's alone the same, whatever id it is asked for", async () => {
  for (const [operation, row] of Object.entries(ROUTES)) {
    if (row !== 'operator') continue;
    const [method, path = ''] = operation.split(' ');
    const answers = [mine, theirs, { ...theirs, voice: 'nobody' }].map((whose) =>
      gateway.app.inject({
        method: method as 'GET',
        url: path.replace('{voice}', whose.voice).replace('{tenant}', whose.tenant),
        headers: { authorization: `Bearer ${mine.secret}` },
        ...(method === 'POST' ? { payload: { tenant: mine.tenant } } : {}),
      }),
    );
    const seen = (await Promise.all(answers)).map(({ statusCode, json }) => [statusCode, json().error.code]);
    expect([operation, ...seen]).toEqual([operation, ...seen.map(() => [403, 'FORBIDDEN'])]);
  }
});

it('shows nothing of another tenant where no id is asked for', async () => {
  for (const operation of await operations()) {
    const [method, path] = operation.split(' ');
    if (method !== 'GET' || path?.includes('{') || ROUTES[operation] !== 'no ids') continue;
    const { body } = await gateway.app.inject({ url: path ?? '', headers: { authorization: `Bearer ${mine.secret}` } });
    expect([operation, body.includes(theirs.tenant) || body.includes(theirs.keyId)]).toEqual([operation, false]);
  }
});

/** As the tenant itself sees it. */
async function stateOf({ tenant, secret }: typeof theirs) {
  const ask = (rest: string) =>
    gateway.app.inject({ url: `/v1/admin/tenants/${tenant}${rest}`, headers: { authorization: `Bearer ${secret}` } });
  const answers = [await ask(''), await ask('/keys'), await ask('/members'), await ask('/audit/verify')];
  return answers.map((answer) => [answer.statusCode, answer.json()]);
}
