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

function speak(path: string, payload: object) {
  return gateway.app.inject({ method: 'POST', url: `/v1/text-to-speech/${path}`, payload });
}

const TEXT = { text: 'sentences=2 ms=250' };

describe('POST /v1/text-to-speech/{voice_id}', () => {
  it('answers in mp3 at 44.1 kHz unless told otherwise, whole or as a stream', async () => {
    for (const path of ['demo', 'demo/stream']) {
      const answer = await speak(path, {
        ...TEXT,
        model_id: 'eleven_multilingual_v2',
        voice_settings: { stability: 0.5 },
      });
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'audio/mpeg']);
      const { sampleRateHz } = await decodeAudio(answer.rawPayload);
      expect(sampleRateHz).toBe(44_100);
    }
  });

  it('answers in every output format', async () => {
    const cases: [string, string, number | null][] = [
      ['pcm_16000', 'audio/pcm', 16_000],
      ['pcm_44100', 'audio/pcm', 44_100],
      ['ulaw_8000', 'audio/basic', 4000],
      ['alaw_8000', 'audio/x-alaw-basic', 4000],
      ['opus_48000_64', 'audio/ogg', null],
      ['mp3_22050_32', 'audio/mpeg', null],
    ];
    for (const [format, type, bytes] of cases) {
      const answer = await speak(`demo?output_format=${format}`, TEXT);
      expect([format, answer.statusCode, answer.headers['content-type']]).toEqual([format, 200, type]);
      if (bytes !== null) expect([format, answer.rawPayload.length]).toEqual([format, bytes]);
    }
  });

  it('gives every character its time, that of the whole being the audio’s', async () => {
    const answer = await speak('demo/with-timestamps?output_format=pcm_16000', TEXT);
    const body = answer.json<{ audio_base64: string; alignment: Record<string, unknown[]> }>();
    expect(Buffer.from(body.audio_base64, 'base64')).toHaveLength(16_000);
    expect(body.alignment['characters']?.join('')).toBe(TEXT.text);
    const starts = body.alignment['character_start_times_seconds'] as number[];
    const ends = body.alignment['character_end_times_seconds'] as number[];
    expect([starts[0], ends.at(-1)]).toEqual([0, 0.5]);
    for (let i = 0; i < starts.length; i++) {
      expect(ends[i]).toBeGreaterThanOrEqual(starts[i] ?? 0);
      if (i > 0) expect(starts[i]).toBe(ends[i - 1]);
    }
  });

  it('gives characters the times at which the engine says them, wherever the sentences end', async () => {
    const text = 'sentences=2 ms=400 spoken=yes 好';
    const told = await speak('demo/with-timestamps?output_format=pcm_16000', { text });
    const { alignment } = told.json<{ alignment: Record<string, number[]> }>();
    const starts = alignment['character_start_times_seconds'] ?? [];
    expect([0, 12, 19, text.length - 1].map((at) => starts[at])).toEqual([0, 0.3, 0.4, 0.7]);
    expect(alignment['character_end_times_seconds']?.at(-1)).toBe(0.8);

    const streamed = await speak('demo/stream/with-timestamps?output_format=pcm_16000', { text });
    const lines = streamed.body
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { alignment: null | Record<string, (string | number)[]> }).alignment)
      .filter((aligned) => aligned !== null);
    expect(lines).toHaveLength(2);
    for (const [name, values] of Object.entries(alignment)) {
      expect(lines.flatMap((line) => line[name] ?? [])).toEqual(values);
    }
    // What is sent again has its times again.
    const path = 'demo/stream/with-timestamps?output_format=pcm_16000';
    const first = (await speak(path, { text, seed: 7 })).body;
    await expect.poll(async () => (await speak(path, { text, seed: 7 })).body).toBe(first);
  });

  it('counts times from the beginning of the audio, a cue before the speech included', async () => {
    await gateway.close();
    gateway = await startTestGateway({ audibleCue: 'start' });
    const text = 'sentences=2 ms=400 spoken=yes';
    const told = await speak('demo/with-timestamps?output_format=pcm_16000', { text });
    const body = told.json<{ audio_base64: string; alignment: Record<string, number[]> }>();
    const seconds = Buffer.from(body.audio_base64, 'base64').length / 32_000;
    expect(body.alignment['character_end_times_seconds']?.at(-1)).toBeCloseTo(seconds, 2);
    const start = body.alignment['character_start_times_seconds']?.[0];
    expect(start).toBeCloseTo(seconds - 0.8, 2);
    const streamed = await speak('demo/stream/with-timestamps?output_format=pcm_16000', { text });
    const first = streamed.body.split('\n').find((line) => line.includes('"characters"')) ?? '{}';
    const { alignment } = JSON.parse(first) as typeof body;
    expect(alignment['character_start_times_seconds']?.[0]).toBe(start);
  });

  it('streams audio and times as lines of JSON', async () => {
    const answer = await speak('demo/stream/with-timestamps?output_format=pcm_16000', TEXT);
    const lines = answer.body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { audio_base64: string; alignment: null | { characters: string[] } });
    expect(Buffer.concat(lines.map(({ audio_base64 }) => Buffer.from(audio_base64, 'base64')))).toHaveLength(16_000);
    expect(lines.at(-1)?.alignment?.characters.join('')).toBe(TEXT.text);
  });

  it('refuses in its own shape', async () => {
    const unknown = await speak('nobody', TEXT);
    expect([unknown.statusCode, unknown.json()]).toEqual([
      404,
      { detail: { status: 'voice_not_found', message: expect.any(String) } },
    ]);
    const long = await speak('demo', { text: '好'.repeat(5001) });
    expect([long.statusCode, long.json()]).toMatchObject([400, { detail: { status: 'max_character_limit_exceeded' } }]);
    const wrong = await speak('demo', { text: 'hi', voice_settings: { stability: 2 } });
    expect([wrong.statusCode, wrong.json()]).toMatchObject([
      422,
      { detail: [{ loc: ['body', 'voice_settings', 'stability'], type: 'value_error' }] },
    ]);
    const missing = await speak('demo', {});
    expect(missing.json()).toMatchObject({ detail: [{ loc: ['body', 'text'] }] });
    expect((await speak('demo?output_format=mp3_1', TEXT)).statusCode).toBe(400);
  });
});

describe('GET /v1/voices', () => {
  it('has voices as ElevenLabs’s clients read them', async () => {
    expect((await gateway.app.inject('/v1/voices')).json()).toMatchObject({
      voices: [
        { voice_id: 'demo', name: 'demo', category: 'cloned', labels: { language: 'zh' } },
        { voice_id: 'demo-en' },
      ],
    });
    expect((await gateway.app.inject('/v2/voices?page_size=1')).json()).toMatchObject({
      voices: [{ voice_id: 'demo' }],
      has_more: true,
      total_count: 2,
      next_page_token: '1',
    });
    expect((await gateway.app.inject('/v1/voices/demo')).json()).toMatchObject({ voice_id: 'demo' });
    const models = await gateway.app.inject({ url: '/v1/models', headers: { 'xi-api-key': 'k' } });
    expect(models.json()).toMatchObject([{ model_id: 'scripted', can_do_text_to_speech: true }]);
  });
});
