import { createHash, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { decodeAudio } from '../audio/decode.js';
import { readAigcLabel } from '../audio/read-label.js';
import { readChain } from '../audit/verify.js';
import { AppError } from '../errors.js';
import { createApiKey } from '../tenancy/api-keys.js';
import { createTenant, setLimits, setSuspended } from '../tenancy/tenants.js';
import { readUsage } from '../tenancy/usage.js';
import { SpeechCache } from './speech-cache.js';

let gateway: TestGateway;
let tenant: string;
let key: string;

beforeEach(async () => {
  gateway = await startTestGateway();
  ({ tenant, key } = await newTenant());
});

afterEach(async () => {
  await gateway.close();
});

async function newTenant() {
  const { database } = gateway.platform;
  const { id } = await createTenant(database, { id: `cached-${randomUUID().slice(0, 8)}` });
  const { secret } = await createApiKey(database, id, {
    name: 'n',
    scopes: ['speech', 'voices:read'],
    expiresAt: null,
    createdBy: 't',
  });
  return { tenant: id, key: secret };
}

const stream = (query: string, { id = randomUUID() as string, as = key } = {}) =>
  gateway.app.inject({
    url: `/synthesize?stream=true&${query}`,
    headers: { 'x-request-id': id, authorization: `Bearer ${as}` },
  });

/** How often the engine was asked. */
const made = async () => {
  const text = await gateway.metrics.registry.render();
  return Number(/timbre_first_audio_seconds_count(?:\{\})? (\d+)/.exec(text)?.[1] ?? 0);
};

/** Ogg streams have a random number, in each page and its checksum. */
const withoutSerial = (bytes: Buffer) => {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf('OggS'); at >= 0; at = copy.indexOf('OggS', at + 1)) {
    copy.fill(0, at + 14, at + 18);
    copy.fill(0, at + 22, at + 26);
  }
  return copy;
};

describe('a stream that was made before', () => {
  it('is sent again in every format, with the bytes that making it anew gives, under its own number', async () => {
    const fresh = await startTestGateway({}, { cacheBytes: 0 });
    for (const format of ['wav', 'pcm', 'mp3', 'opus', 'aac', 'flac', 'vorbis', 'mulaw', 'alaw']) {
      const query = `text=sentences%3D3+ms%3D300&seed=7&format=${format}`;
      const first = await stream(query, { id: 'first' });
      const count = await made();
      await expect.poll(async () => (await stream(query)).headers['content-length']).toBeDefined();
      const again = await stream(query, { id: 'the-second-one' });
      const anew = await fresh.app.inject({
        url: `/synthesize?stream=true&${query}`,
        headers: { 'x-request-id': 'the-second-one', authorization: `Bearer ${key}` },
      });
      expect([format, anew.statusCode, await made()]).toEqual([format, 200, count]);
      expect(again.headers).toMatchObject({
        'content-type': first.headers['content-type'],
        'x-timbre-seed': '7',
        'x-timbre-sample-rate': first.headers['x-timbre-sample-rate'],
        'x-request-id': 'the-second-one',
      });
      expect(withoutSerial(again.rawPayload).equals(withoutSerial(anew.rawPayload))).toBe(true);
      if (['pcm', 'mulaw', 'alaw'].includes(format)) continue;
      expect(readAigcLabel(again.rawPayload)?.ProduceID).toBe('the-second-one');
      const [a, b] = [await decodeAudio(first.rawPayload), await decodeAudio(again.rawPayload)];
      expect(Buffer.from(a.channels[0]!.buffer).equals(Buffer.from(b.channels[0]!.buffer))).toBe(true);
    }
    await fresh.close();
  });

  it('is let in, on record and counted like the first', async () => {
    const text = 'ms=400 twice';
    const query = `text=${encodeURIComponent(text)}&seed=1&format=pcm`;
    const first = await stream(query, { id: 'one' });
    await expect.poll(async () => (await stream(query, { id: 'two' })).headers['content-length']).toBeDefined();
    const { database, audit } = gateway.platform;
    await audit.flush();
    const records: { readonly type: string; readonly details: Record<string, unknown> }[] = [];
    for await (const { body } of (await readChain(database, tenant)).records()) records.push(JSON.parse(body));
    const detailsOf = (wanted: string) => records.flatMap(({ type, details }) => (type === wanted ? [details] : []));
    const [started, ended, served] = ['speech.started', 'speech.ended', 'speech.served'].map(detailsOf);
    const calls = [...(started ?? []), ...(served ?? [])];
    expect(ended?.length).toBe(started?.length);
    expect(new Set(calls.map((details) => details['text_digest'])).size).toBe(1);
    expect(served?.at(-1)).toMatchObject({
      request: 'two',
      route: '/synthesize',
      voice: 'demo',
      characters: 12,
      outcome: 'ok',
      audio_ms: 400,
      audio_digest: ended?.[0]?.['audio_digest'],
    });
    expect(first.rawPayload.length).toBe(400 * 32);
    const now = Date.now();
    const usage = await readUsage(database, tenant, { from: new Date(now - 7_200_000), to: new Date(now + 7_200_000) });
    expect(usage.reduce((sum, row) => sum + row.characters, 0)).toBe(12 * calls.length);

    await setLimits(database, tenant, { charactersPerMonth: 12 });
    await expect.poll(async () => (await stream(query)).statusCode, { timeout: 5000 }).toBe(429);
    await setLimits(database, tenant, { charactersPerMonth: null });
    await setSuspended(database, tenant, true);
    await expect.poll(async () => (await stream(query)).statusCode, { timeout: 5000 }).toBe(401);
  });

  it('answers no other tenant, no other wish, and nobody who leaves the seed to chance', async () => {
    const other = await newTenant();
    const base = { text: 'ms=50', seed: '3', format: 'pcm' };
    const ask = (wish: object, as = key) => stream(new URLSearchParams({ ...base, ...wish }).toString(), { as });
    await ask({});
    await expect.poll(async () => (await ask({})).headers['content-length']).toBeDefined();
    const isMade = async (answer: ReturnType<typeof stream>) => (await answer).headers['content-length'] === undefined;
    expect(await isMade(ask({}, other.key))).toBe(true);
    const wishes = [
      { text: 'ms=51' },
      { seed: '4' },
      { format: 'wav' },
      { sample_rate: '8000' },
      { speed: '1.5' },
      { speaker_id: 'demo-en' },
      { language: 'en' },
      { top_k: '3' },
      { sentence_pause_ms: '10' },
    ];
    for (const wish of wishes) expect([wish, await isMade(ask(wish))]).toEqual([wish, true]);
    const { seed: _, ...unseeded } = base;
    for (let n = 0; n < 2; n++) {
      expect(await isMade(stream(new URLSearchParams(unseeded).toString()))).toBe(true);
    }
  });

  it('is refused to a request that another would be refused to as well', async () => {
    // A header X-Timbre-Priority that is not understood was refused only where the speech had to be made.
    const ask = (priority: string) =>
      gateway.app.inject({
        url: '/synthesize?stream=true&text=sentences%3D2&seed=4',
        headers: { authorization: `Bearer ${key}`, 'x-timbre-priority': priority },
      });
    await ask('batch');
    await expect.poll(async () => (await ask('batch')).headers['content-length']).toBeDefined();
    const refused = await ask('urgent');
    expect([refused.statusCode, refused.json().error.code]).toEqual([400, 'REQUEST_INVALID']);
  });

  it('is not sent when its record can be kept nowhere', async () => {
    const query = 'text=ms%3D60&seed=9&format=pcm';
    await stream(query);
    await expect.poll(async () => (await stream(query)).headers['content-length']).toBeDefined();
    const { audit } = gateway.platform;
    const append = audit.append;
    // As the log does when neither database nor disk takes a record.
    audit.append = () => Promise.reject(new AppError('AUDIT_UNAVAILABLE', 'kept nowhere'));
    const refused = await stream(query);
    audit.append = append;
    expect([refused.statusCode, refused.json().error.code]).toEqual([503, 'AUDIT_UNAVAILABLE']);
  });

  it('carries events and times like the first', async () => {
    const speak = () =>
      gateway.app.inject({
        method: 'POST',
        url: '/v1/audio/speech',
        headers: { authorization: `Bearer ${key}` },
        payload: { model: 'm', voice: 'demo', input: 'sentences=2 ms=200', seed: 2, stream_format: 'sse' },
      });
    const sounds = (body: string) =>
      createHash('sha256')
        .update(
          Buffer.concat(
            [...body.matchAll(/"audio":"([^"]*)"/g)].map(([, audio]) => Buffer.from(audio!, 'base64')),
          ).subarray(600),
        )
        .digest('hex');
    const first = await speak();
    const count = await made();
    await expect
      .poll(async () => {
        const before = await made();
        await speak();
        return (await made()) - before;
      })
      .toBe(0);
    const again = await speak();
    expect(again.body.split('\n\n').length).toBe(first.body.split('\n\n').length);
    expect(again.body.split('\n\n').at(-2)).toBe(first.body.split('\n\n').at(-2));
    expect(sounds(again.body)).toBe(sounds(first.body));
    expect(count).toBeGreaterThan(0);
  });
});

describe('what is kept', () => {
  const speech = { text: 't', voice: 'v', language: 'en', speed: 1, seed: 1 } as const;
  const output = { encoding: 'pcm', layout: 'stream' } as const;
  const pieces = (sizeBytes: number) => [
    { bytes: new Uint8Array(sizeBytes), lengthSamples: 1, sentenceIndex: 0, sentenceCount: 1 },
  ];
  const facts = {
    contentType: 'audio/pcm',
    extension: 'pcm',
    inputHz: 8000,
    outputHz: 8000,
    lengthSamples: 1,
    faults: 0,
    outcome: { outcome: 'ok', audioMs: 1, audioDigest: null, textDigest: '' },
  };
  let sources = 'a';
  let nowMs = 0;
  const open = (maxBytes: number) =>
    new SpeechCache({
      maxBytes,
      ttlMs: 10_000,
      catalog: { sourcesDigest: async () => sources },
      metrics: gateway.metrics,
      now: () => nowMs,
    });
  const keep = async (cache: SpeechCache, tenantId: string, seed: number, sizeBytes: number) => {
    const key = await cache.keyOf(tenantId, { ...speech, seed }, output);
    if (key === null) throw new Error('no key');
    await cache.keep(key, { speech: { ...speech, seed }, output }, { ...facts, pieces: pieces(sizeBytes) });
    return key;
  };

  it('stays within its bytes and its time, and who has the most gives way', async () => {
    const cache = open(100_000);
    const small = await keep(cache, 'small', 1, 2000);
    for (let seed = 0; seed < 50; seed++) await keep(cache, 'large', seed, 9000);
    expect(cache.sizeBytes).toBeLessThanOrEqual(100_000);
    expect(cache.find(small)).not.toBeNull();
    const huge = await keep(cache, 'small', 2, 20_000);
    expect(cache.find(huge)).toBeNull();
    nowMs += 10_001;
    expect(cache.find(small)).toBeNull();
    cache.sweep();
    expect(cache.sizeBytes).toBe(0);
    await keep(cache, 'gone', 1, 100);
    cache.forget('gone');
    expect(cache.sizeBytes).toBe(0);
  });

  it('is not what a name stands for no more, also when it changed while the speech was made', async () => {
    const cache = open(100_000);
    const before = await keep(cache, 't', 1, 100);
    expect(cache.find(before)).not.toBeNull();
    sources = 'b';
    nowMs += 1001;
    const after = await cache.keyOf('t', speech, output);
    expect(after === null ? null : cache.find(after)).toBeNull();
    sources = 'c';
    const late = await keep(cache, 't', 1, 100);
    expect(cache.find(late)).toBeNull();
  });
});
