import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway, WAV_LABEL_BYTES } from '../../test/fixtures/test-gateway.js';
import { decodeWav } from '../audio/wav.js';

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await startTestGateway();
});

afterEach(async () => {
  await gateway.close();
});

function post(payload: unknown, headers: Record<string, string> = {}, url = '/synthesize') {
  return gateway.app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
}

describe('POST /synthesize', () => {
  it('answers with the URL of a WAV file, its duration and the request id', async () => {
    const answer = await post({ text: '你好 sentences=3 ms=100', speaker_id: 'demo' }, { host: 'localhost:1234' });
    expect(answer.statusCode).toBe(200);
    const body = answer.json<{ audio_url: string; duration_ms: number; request_id: string }>();
    expect(Object.keys(body).sort()).toEqual(['audio_url', 'duration_ms', 'request_id']);
    expect(body.duration_ms).toBe(300);
    expect(body.request_id).toBe(answer.headers['x-request-id']);
    expect(body.audio_url).toMatch(/^http:\/\/localhost:1234\/audio\/[\w-]{22}\.wav$/);

    const audio = await gateway.app.inject(new URL(body.audio_url).pathname);
    expect(audio.headers['content-type']).toBe('audio/wav');
    expect(Number(audio.headers['content-length'])).toBe(44 + 300 * 16 * 2 + WAV_LABEL_BYTES);
    const { channels, sampleRateHz, truncated } = decodeWav(audio.rawPayload);
    expect([channels.length, channels[0]?.length, sampleRateHz, truncated]).toEqual([1, 4800, 16_000, false]);
    expect(audio.rawPayload.readUInt32LE(40)).toBe(9600);
    expect(audio.rawPayload.readUInt32LE(4)).toBe(9636 + WAV_LABEL_BYTES);
  });

  it('takes SSML when told so, and answers with the times of its marks', async () => {
    const text = '<speak> sentences=2 ms=100 </speak>';
    const answer = await post({ text, input_type: 'ssml' });
    expect(answer.json()).toMatchObject({
      duration_ms: 200,
      marks: [
        { name: 's0', time_ms: 0 },
        { name: 's1', time_ms: 100 },
      ],
    });
    expect((await post({ text, input_type: 'html' })).json()).toMatchObject({ error: { code: 'REQUEST_INVALID' } });
  });

  it('takes its fields from the query too, and the body wins', async () => {
    const byQuery = await gateway.app.inject({ method: 'POST', url: '/synthesize?text=ms%3D200&speed=2&seed=7' });
    expect(byQuery.json()).toMatchObject({ duration_ms: 100 });
    expect(byQuery.headers['x-timbre-seed']).toBe('7');
    const byGet = await gateway.app.inject('/synthesize?text=ms%3D200&speed=0.5');
    expect(byGet.json()).toMatchObject({ duration_ms: 400 });
    const both = await post({ text: 'ms=50', seed: 1 }, {}, '/synthesize?text=ms%3D200&speed=2&seed=7');
    expect(both.json()).toMatchObject({ duration_ms: 25 });
    expect(both.headers['x-timbre-seed']).toBe('1');
    const emptyBody = await post('', {}, '/synthesize?text=ms%3D30');
    expect(emptyBody.json()).toMatchObject({ duration_ms: 30 });
  });

  it('draws another seed each time, and says which', async () => {
    const seeds = new Set<unknown>();
    for (let i = 0; i < 4; i++) seeds.add((await post({ text: 'hi' })).headers['x-timbre-seed']);
    expect(seeds.size).toBeGreaterThan(1);
  });

  it('keeps raw samples when asked for pcm', async () => {
    const answer = await post({ text: 'ms=100', format: 'pcm' });
    const { audio_url } = answer.json<{ audio_url: string }>();
    const audio = await gateway.app.inject(new URL(audio_url).pathname);
    expect([audio.headers['content-type'], audio.rawPayload.length]).toEqual(['audio/pcm', 3200]);
  });

  it('builds URLs from the public address where one is set', async () => {
    await gateway.close();
    gateway = await startTestGateway({ publicUrl: 'https://voice.example.com/tts/' });
    const { audio_url } = (await post({ text: 'hi' })).json<{ audio_url: string }>();
    expect(audio_url).toMatch(/^https:\/\/voice\.example\.com\/tts\/audio\/[\w-]{22}\.wav$/);
  });

  it('answers with an exact file when audio is accepted and stream=false', async () => {
    const answer = await post({ text: 'ms=100', stream: false }, { accept: 'audio/wav' });
    expect(answer.headers['content-length']).toBe(String(44 + 3200 + WAV_LABEL_BYTES));
    expect(answer.headers['x-timbre-duration-ms']).toBe('100');
    expect(answer.rawPayload.readUInt32LE(40)).toBe(3200);
  });
});

describe('streaming', () => {
  const cases: [name: string, url: string, accept: string, type: string, header: number][] = [
    ['stream=true', '/synthesize?stream=true', '*/*', 'audio/wav', 44 + WAV_LABEL_BYTES],
    ['stream=1', '/synthesize?stream=1', 'application/json', 'audio/wav', 44 + WAV_LABEL_BYTES],
    ['Accept: audio/wav', '/synthesize', 'audio/wav', 'audio/wav', 44 + WAV_LABEL_BYTES],
    ['Accept: audio/*', '/synthesize', 'audio/*;q=0.8, */*;q=0.1', 'audio/wav', 44 + WAV_LABEL_BYTES],
    ['Accept: audio/pcm', '/synthesize', 'audio/pcm', 'audio/pcm', 0],
    ['format=pcm', '/synthesize?stream=true&format=pcm', '*/*', 'audio/pcm', 0],
  ];
  for (const [name, url, accept, type, headerBytes] of cases) {
    it(`is chosen by ${name}`, async () => {
      const answer = await post({ text: 'sentences=3 ms=100' }, { accept }, url);
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, type]);
      expect(answer.headers['content-length']).toBeUndefined();
      expect(answer.headers['x-timbre-sample-rate']).toBe('16000');
      expect(answer.rawPayload.length).toBe(headerBytes + 9600);
      if (headerBytes > 0) {
        expect(answer.rawPayload.readUInt32LE(headerBytes - 4)).toBe(0xffffffff);
        expect(decodeWav(answer.rawPayload).channels[0]).toHaveLength(4800);
      }
    });
  }

  it('is not chosen by what browsers and curl send', async () => {
    for (const accept of ['*/*', 'text/html,application/xhtml+xml,*/*;q=0.8', 'application/json, audio/wav']) {
      expect((await post({ text: 'hi' }, { accept })).headers['content-type']).toMatch(/json/);
    }
  });

  it('answers errors before the first audio as JSON', async () => {
    const answer = await post({ text: 'fail-at=0 code=TEXT_UNREADABLE' }, { accept: 'audio/wav' });
    expect([answer.statusCode, answer.json()]).toMatchObject([400, { error: { code: 'TEXT_UNREADABLE' } }]);
  });
});

describe('bad input', () => {
  const long = (length: number) => '好'.repeat(length);
  const cases: [name: string, body: unknown, status: number, code: string, message: RegExp][] = [
    ['no text', {}, 400, 'TEXT_EMPTY', /send \{"text"/],
    ['empty text', { text: '' }, 400, 'TEXT_EMPTY', /empty/],
    ['blank text', { text: ' \n\t　' }, 400, 'TEXT_EMPTY', /empty/],
    ['5,001 characters', { text: long(5001) }, 400, 'TEXT_TOO_LONG', /5001 characters; at most 5000/],
    ['100,000 characters', { text: long(100_000) }, 400, 'TEXT_TOO_LONG', /100000 characters/],
    ['100,000 escaped emoji', `{"text":"${'\\ud83d\\ude00'.repeat(100_000)}"}`, 400, 'TEXT_TOO_LONG', /100000/],
    ['5 MB of text', { text: 'x'.repeat(5_000_000) }, 413, 'REQUEST_TOO_LARGE', /4 MiB/],
    ['only emoji', { text: '😀🎉👨‍👩‍👧' }, 400, 'TEXT_UNREADABLE', /emoji/],
    ['only control characters', { text: '\u0001\u0002\u0007' }, 400, 'TEXT_UNREADABLE', /control/],
    ['only punctuation', { text: '。，！…' }, 400, 'TEXT_UNREADABLE', /punctuation/],
    ['half a surrogate pair', '{"text":"a\\ud800b"}', 400, 'TEXT_UNREADABLE', /surrogate/],
    ['an unknown speaker', { text: 'hi', speaker_id: 'nobody' }, 404, 'VOICE_NOT_FOUND', /no such voice/],
    ['text as a number', { text: 5 }, 400, 'REQUEST_INVALID', /^text is a number|^text is 5; expected a string/],
    ['text as a list', { text: ['a'] }, 400, 'REQUEST_INVALID', /text is an array; expected a string/],
    ['text as null', { text: null }, 400, 'REQUEST_INVALID', /text is null/],
    ['an empty speaker', { text: 'hi', speaker_id: '' }, 400, 'REQUEST_INVALID', /speaker_id is a string of 0/],
    [
      'speed as text',
      { text: 'hi', speed: '1' },
      400,
      'REQUEST_INVALID',
      /speed is "1"; expected a number from 0.5 to 2/,
    ],
    ['too fast', { text: 'hi', speed: 2.1 }, 400, 'REQUEST_INVALID', /speed is 2.1/],
    ['too slow', { text: 'hi', speed: 0.49 }, 400, 'REQUEST_INVALID', /speed is 0.49/],
    ['a negative seed', { text: 'hi', seed: -1 }, 400, 'REQUEST_INVALID', /seed is -1; expected a whole number/],
    ['a fractional seed', { text: 'hi', seed: 1.5 }, 400, 'REQUEST_INVALID', /seed is 1.5/],
    ['a seed of 33 bits', { text: 'hi', seed: 2 ** 32 }, 400, 'REQUEST_INVALID', /seed is 4294967296/],
    [
      'an unknown language',
      { text: 'hi', language: 'fr' },
      400,
      'REQUEST_INVALID',
      /language is "fr"; expected one of auto/,
    ],
    [
      'an unknown format',
      { text: 'hi', format: 'aiff' },
      400,
      'REQUEST_INVALID',
      /format is "aiff"; expected one of wav, pcm, mp3/,
    ],
    [
      'an unknown field',
      { text: 'hi', speaker: 'demo' },
      400,
      'REQUEST_INVALID',
      /no field "speaker"; the fields are text, .*speaker_id/,
    ],
    ['a field of Object.prototype', '{"text":"hi","constructor":1}', 400, 'REQUEST_INVALID', /no field "constructor"/],
    ['a poisoned prototype', '{"text":"hi","__proto__":{"a":1}}', 400, 'REQUEST_NOT_JSON', /JSON/],
    ['a list', [1], 400, 'REQUEST_INVALID', /body is an array/],
    ['a bare string', '"hi"', 400, 'REQUEST_INVALID', /body is a string/],
    ['bad JSON', '{"text": "hi"', 400, 'REQUEST_NOT_JSON', /not valid JSON/],
    ['single quotes', "{'text':'hi'}", 400, 'REQUEST_NOT_JSON', /not valid JSON/],
  ];
  for (const [name, body, status, code, message] of cases) {
    it(`refuses ${name} with ${code}`, async () => {
      const answer = await post(body);
      const { error } = answer.json<{ error: { code: string; message: string; request_id: string } }>();
      expect([answer.statusCode, error.code]).toEqual([status, code]);
      expect(error.message).toMatch(message);
      expect(error.request_id).toBe(answer.headers['x-request-id']);
    });
  }

  it('refuses bodies that are not JSON and says which header is missing', async () => {
    const answer = await post('{"text":"hi"}', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(answer.statusCode).toBe(415);
    expect(answer.json()).toMatchObject({ error: { code: 'MEDIA_TYPE_UNSUPPORTED', message: /Content-Type: app/ } });
  });

  it('refuses to answer in an audio type it cannot make', async () => {
    const answer = await post({ text: 'hi' }, { accept: 'audio/midi' });
    expect(answer.json()).toMatchObject({ error: { code: 'MEDIA_TYPE_UNSUPPORTED', message: /audio\/wav/ } });
  });

  it('checks query values as it checks the body', async () => {
    for (const [query, message] of [
      ['speed=fast', /speed is "fast"; expected a number/],
      ['seed=1e3', /seed is "1e3"/],
      ['stream=maybe', /stream is "maybe"; expected true or false/],
      ['text=a&text=b', /text is an array/],
    ] as const) {
      const answer = await gateway.app.inject(`/synthesize?text=hi&${query}`);
      expect(answer.statusCode).toBe(400);
      expect(answer.json<{ error: { message: string } }>().error.message).toMatch(message);
    }
  });

  it('answers unknown routes, bad URLs and unknown audio as JSON', async () => {
    for (const [url, status, code] of [
      ['/nothing?text=secret', 404, 'ROUTE_NOT_FOUND'],
      ['/synthesize%', 400, 'REQUEST_INVALID'],
      ['/audio/AAAAAAAAAAAAAAAAAAAAAA.wav', 404, 'AUDIO_NOT_FOUND'],
      ['/audio/..%2F..%2Fetc%2Fpasswd', 404, 'AUDIO_NOT_FOUND'],
    ] as const) {
      const answer = await gateway.app.inject(url);
      expect([url, answer.statusCode, answer.json()]).toMatchObject([url, status, { error: { code } }]);
      expect(answer.body).not.toContain('secret');
    }
  });
});

describe('failures of the engine', () => {
  it('pass with their code; unexpected ones hide their words from the caller and show them in the log', async () => {
    const known = await post({ text: 'fail-at=1 sentences=2 code=ENGINE_CRASHED' });
    expect([known.statusCode, known.json()]).toMatchObject([503, { error: { code: 'ENGINE_CRASHED' } }]);
    expect(known.headers['retry-after']).toBe('1');
    const unknown = await post({ text: 'fail-at=0' });
    expect([unknown.statusCode, unknown.json()]).toMatchObject([500, { error: { code: 'INTERNAL' } }]);
    expect(unknown.body).not.toContain('scripted');
    expect(gateway.logLines.join('')).toContain('scripted plain failure');
  });

  it('leave no file behind', async () => {
    await post({ text: 'fail-at=1 sentences=2' });
    expect(gateway.audioStore.totalBytes).toBe(0);
  });

  it('become REQUEST_TIMEOUT when the time is over', async () => {
    await gateway.close();
    gateway = await startTestGateway({ requestTimeoutMs: 50 });
    const answer = await post({ text: 'sentences=1000 every=20' });
    expect([answer.statusCode, answer.json()]).toMatchObject([504, { error: { code: 'REQUEST_TIMEOUT' } }]);
  });

  it('become ENGINE_OVERLOADED when too many wait', async () => {
    await gateway.close();
    gateway = await startTestGateway({}, { concurrency: 1, maxWaiting: 1 });
    const answers = await Promise.all([1, 2, 3].map(() => post({ text: 'sentences=10 every=50' })));
    expect(answers.map((answer) => answer.statusCode).sort()).toEqual([200, 200, 503]);
    const refused = answers.find((answer) => answer.statusCode === 503);
    expect(refused?.json()).toMatchObject({ error: { code: 'ENGINE_OVERLOADED' } });
  });
});

describe('request ids', () => {
  it('are the caller’s where plain, and new ones otherwise', async () => {
    const given = await post({ text: 'hi' }, { 'x-request-id': 'order-17' });
    expect(given.json()).toMatchObject({ request_id: 'order-17' });
    for (const bad of ['a b', 'x'.repeat(200), '<script>']) {
      const answer = await post({ text: 'hi' }, { 'x-request-id': bad });
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe('voices and models', () => {
  it('are listed', async () => {
    const voices = await gateway.app.inject('/v1/voices');
    expect(voices.json()).toMatchObject({
      default_voice: 'demo',
      voices: [{ name: 'demo', language: 'zh', duration_ms: 3000 }, { name: 'demo-en' }],
    });
    const models = await gateway.app.inject('/v1/models');
    expect(models.json()).toMatchObject({ models: [{ name: 'scripted', sample_rate_hz: 16_000, has_bert: false }] });
  });

  it('name the default voice of the configuration, which requests without a speaker get', async () => {
    await gateway.close();
    gateway = await startTestGateway({ defaultVoice: 'nobody' });
    expect((await gateway.app.inject('/v1/voices')).json()).toMatchObject({ default_voice: 'nobody' });
    expect((await post({ text: 'hi' })).json()).toMatchObject({ error: { code: 'VOICE_NOT_FOUND' } });
  });
});

describe('health', () => {
  it('answers whether the process lives and whether it can synthesise', async () => {
    expect((await gateway.app.inject('/healthz')).json()).toEqual({ status: 'ok' });
    const ready = await gateway.app.inject('/readyz');
    expect([ready.statusCode, ready.json()]).toEqual([200, { status: 'ready', engine: 'ready', reason: null }]);
    gateway.setStatus({ state: 'restarting', reason: 'no model', rssBytes: 0 });
    const broken = await gateway.app.inject('/readyz');
    expect([broken.statusCode, broken.json()]).toMatchObject([503, { status: 'not_ready', reason: 'no model' }]);
    expect((await gateway.app.inject('/healthz')).statusCode).toBe(200);
  });

  it('is not ready and takes no syntheses while shutting down', async () => {
    gateway.draining.abort();
    expect((await gateway.app.inject('/readyz')).statusCode).toBe(503);
    const refused = await post({ text: 'hi' });
    expect([refused.statusCode, refused.json()]).toMatchObject([503, { error: { code: 'SHUTTING_DOWN' } }]);
    expect(refused.headers['connection']).toBe('close');
    expect((await gateway.app.inject('/healthz')).statusCode).toBe(200);
  });

  it('publishes metrics', async () => {
    await post({ text: 'ms=500' });
    await post({ text: '' });
    const { body, headers } = await gateway.app.inject('/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    for (const line of [
      'timbre_http_requests_total{route="/synthesize",method="POST",status="200"} 1',
      'timbre_http_requests_total{route="/synthesize",method="POST",status="400"} 1',
      'timbre_syntheses_total{outcome="ok"} 1',
      'timbre_audio_seconds_total 0.5',
      'timbre_first_audio_seconds_count 1',
      'timbre_queue_depth{state="running"} 0',
      `timbre_stored_audio_bytes ${16_044 + WAV_LABEL_BYTES}`,
    ]) {
      expect(body).toContain(`${line}\n`);
    }
  });
});

describe('the log', () => {
  it('has a line for every request and never the text, wherever it was', async () => {
    await post({ text: 'topsecret', speaker_id: 'secretvoice' });
    await gateway.app.inject('/synthesize?text=topsecret&speed=99');
    await gateway.app.inject('/topsecret?text=topsecret');
    await post('{"text": "topsecret');
    const log = gateway.logLines.join('');
    expect(log).toContain('"route":"/synthesize"');
    expect(log).toContain('"status":404');
    expect(log).not.toMatch(/topsecret|secretvoice/);
  });
});
