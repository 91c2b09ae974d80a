import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { decodeAudio } from '../audio/decode.js';

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await startTestGateway();
});

afterEach(async () => {
  await gateway.close();
});

function speak(payload: object) {
  return gateway.app.inject({ method: 'POST', url: '/v1/audio/speech', payload });
}

const BODY = { model: 'gpt-4o-mini-tts', voice: 'demo', input: 'sentences=2 ms=250' };

describe('POST /v1/audio/speech', () => {
  it('answers in each format with its media type', async () => {
    for (const [format, type] of [
      [undefined, 'audio/mpeg'],
      ['mp3', 'audio/mpeg'],
      ['opus', 'audio/ogg'],
      ['flac', 'audio/flac'],
      ['wav', 'audio/wav'],
    ] as const) {
      const answer = await speak(format === undefined ? BODY : { ...BODY, response_format: format });
      expect([format, answer.statusCode, answer.headers['content-type']]).toEqual([format, 200, type]);
      const { channels, sampleRateHz } = await decodeAudio(answer.rawPayload);
      // mp3 adds the silence of its filters.
      expect((channels[0]?.length ?? 0) / sampleRateHz).toBeCloseTo(0.5, type === 'audio/mpeg' ? 0 : 1);
      expect(answer.rawPayload.includes('AIGC')).toBe(true);
    }
  });

  it('answers in aac: labelled frames of ADTS', async () => {
    const answer = await speak({ ...BODY, response_format: 'aac' });
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'audio/aac']);
    expect(answer.rawPayload.includes('AIGC')).toBe(true);
    // 8,000 samples at 16 kHz, and the frame that a decoder is late by.
    let frames = 0;
    const { rawPayload: bytes } = answer;
    for (let at = bytes.indexOf(Buffer.from([0xff, 0xf1])); at < bytes.length; frames++) {
      at += ((bytes[at + 3]! & 3) << 11) | (bytes[at + 4]! << 3) | (bytes[at + 5]! >> 5);
    }
    expect(frames).toBe(Math.ceil(8000 / 1024) + 1);
  });

  it('answers in pcm at 24 kHz', async () => {
    const answer = await speak({ ...BODY, response_format: 'pcm' });
    expect([answer.headers['content-type'], answer.rawPayload.length]).toEqual(['audio/pcm', 24_000]);
  });

  it('streams events with the audio in base64, and the usage at the end', async () => {
    const answer = await speak({ ...BODY, response_format: 'pcm', stream_format: 'sse' });
    expect(answer.headers['content-type']).toMatch(/^text\/event-stream/);
    const events = answer.body
      .split('\n\n')
      .filter((part) => part !== '')
      .map((part) => JSON.parse(part.replace(/^data: /, '')) as Record<string, unknown>);
    const audio = events
      .filter(({ type }) => type === 'speech.audio.delta')
      .map((event) => Buffer.from(String(event['audio']), 'base64'));
    expect(Buffer.concat(audio)).toHaveLength(24_000);
    expect(audio.length).toBeGreaterThan(1);
    expect(events.at(-1)).toEqual({
      type: 'speech.audio.done',
      usage: { input_tokens: 18, output_tokens: 13, total_tokens: 31 },
    });
  });

  it('tells a failure in the middle of events as an event', async () => {
    const answer = await speak({ ...BODY, input: 'sentences=3 fail-at=1 code=ENGINE_CRASHED', stream_format: 'sse' });
    expect(answer.body).toContain('"type":"error","error":{"message":"scripted ENGINE_CRASHED","type":"server_error"');
  });

  it('takes a voice as an object, and its own voice names as the default voice', async () => {
    for (const voice of [{ id: 'demo-en' }, 'alloy', 'cedar'])
      expect((await speak({ ...BODY, voice })).statusCode).toBe(200);
  });

  it('changes the pace within what the engine does', async () => {
    const lengths = [];
    for (const speed of [0.25, 0.5, 1, 2, 4]) {
      lengths.push((await speak({ ...BODY, response_format: 'pcm', speed })).rawPayload.length);
    }
    expect(lengths).toEqual([48_000, 48_000, 24_000, 12_000, 12_000]);
  });

  const refused: [name: string, body: object, status: number, param: string | null, code: string][] = [
    ['no model', { voice: 'demo', input: 'hi' }, 400, 'model', 'request_invalid'],
    ['no input', { model: 'm', voice: 'demo' }, 400, 'input', 'request_invalid'],
    ['an empty input', { ...BODY, input: '' }, 400, 'input', 'text_empty'],
    ['4,097 characters', { ...BODY, input: '好'.repeat(4097) }, 400, 'input', 'string_above_max_length'],
    ['an unknown voice', { ...BODY, voice: 'nobody' }, 404, null, 'voice_not_found'],
    ['an unknown format', { ...BODY, response_format: 'aiff' }, 400, 'response_format', 'request_invalid'],
    ['too fast', { ...BODY, speed: 4.1 }, 400, 'speed', 'request_invalid'],
    ['an unknown field', { ...BODY, pitch: 1 }, 400, 'pitch', 'request_invalid'],
    ['events for tts-1', { ...BODY, model: 'tts-1', stream_format: 'sse' }, 400, 'stream_format', 'request_invalid'],
  ];
  for (const [name, body, status, param, code] of refused) {
    it(`refuses ${name} in its own shape`, async () => {
      const answer = await speak(body);
      expect([answer.statusCode, answer.json()]).toEqual([
        status,
        { error: { message: expect.any(String), type: 'invalid_request_error', param, code } },
      ]);
    });
  }

  it('refuses broken JSON and unknown paths in its own shape', async () => {
    const broken = await gateway.app.inject({
      method: 'POST',
      url: '/v1/audio/speech',
      headers: { 'content-type': 'application/json' },
      payload: '{"model"',
    });
    expect(broken.json()).toMatchObject({ error: { type: 'invalid_request_error', param: null } });
    expect((await gateway.app.inject('/v1/audio/nothing')).json()).toMatchObject({
      error: { code: 'route_not_found' },
    });
  });
});

describe('lists', () => {
  it('have voices and models as OpenAI’s clients read them', async () => {
    expect((await gateway.app.inject('/v1/audio/voices')).json()).toMatchObject({
      voices: [{ id: 'demo', name: 'demo' }, { id: 'demo-en' }],
    });
    expect((await gateway.app.inject('/v1/models')).json()).toMatchObject({
      object: 'list',
      data: [{ id: 'scripted', object: 'model', created: 1_767_225_600, owned_by: 'timbre' }],
    });
    expect((await gateway.app.inject('/v1/models/scripted')).json()).toMatchObject({ id: 'scripted', object: 'model' });
    expect((await gateway.app.inject('/v1/models/nothing')).statusCode).toBe(404);
  });
});
