import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { decodeAudio } from '../audio/decode.js';
import { encodeWav } from '../audio/wav.js';

let gateway: TestGateway;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-reference-'));
  mkdirSync(join(folder, 'recordings/sub'), { recursive: true });
  const wav = encodeWav(new Float32Array(64_000).fill(0.1), 16_000);
  writeFileSync(join(folder, 'recordings/a.wav'), wav);
  writeFileSync(
    join(folder, 'recordings/sub/b.wav'),
    wav.map((byte, i) => (i > 44 ? byte ^ 1 : byte)),
  );
  writeFileSync(join(folder, 'outside.wav'), wav);
  symlinkSync(join(folder, 'outside.wav'), join(folder, 'recordings/link.wav'));
  gateway = await startTestGateway({ referenceFolder: join(folder, 'recordings') });
});

afterEach(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

const GOOD = { text: 'ms=200', text_lang: 'zh', ref_audio_path: 'a.wav', prompt_text: '你好', prompt_lang: 'zh' };

function post(payload: object | string, url = '/tts') {
  return gateway.app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json' },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
}

function get(values: Record<string, string>, url = '/tts') {
  return gateway.app.inject(`${url}?${new URLSearchParams(values)}`);
}

describe('the checks of /tts', () => {
  /** Each row has the mistakes of all rows below it that its order allows: the first check in line complains. */
  const replay: [name: string, body: object, message: string][] = [
    ['nothing at all', {}, 'ref_audio_path is required'],
    ['an empty recording', { ...GOOD, ref_audio_path: '', text: '' }, 'ref_audio_path is required'],
    ['a null recording', { ...GOOD, ref_audio_path: null }, 'ref_audio_path is required'],
    ['no text', { ref_audio_path: 'a.wav' }, 'text is required'],
    ['an empty text', { ...GOOD, text: '', text_lang: '' }, 'text is required'],
    ['no language', { ref_audio_path: 'a.wav', text: 'x' }, 'text_lang is required'],
    [
      'an unknown language',
      { ...GOOD, text_lang: 'fr', prompt_lang: '' },
      'text_lang: fr is not supported in version v2',
    ],
    ['no prompt language', { ...GOOD, prompt_lang: '', media_type: 'x' }, 'prompt_lang is required'],
    ['no prompt language without a prompt', { ...GOOD, prompt_text: '', prompt_lang: null }, 'prompt_lang is required'],
    [
      'an unknown prompt language',
      { ...GOOD, prompt_lang: 'de', media_type: 'x' },
      'prompt_lang: de is not supported in version v2',
    ],
    [
      'an unknown media type',
      { ...GOOD, media_type: 'mp3', text_split_method: 'x' },
      'media_type: mp3 is not supported',
    ],
    [
      'an unknown way to cut',
      { ...GOOD, text_split_method: 'cut9', streaming_mode: 7 },
      'text_split_method:cut9 is not supported',
    ],
    [
      'an unknown streaming mode',
      { ...GOOD, streaming_mode: 4 },
      'the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)',
    ],
  ];
  for (const [name, body, message] of replay) {
    it(`answer ${name} as the reference does`, async () => {
      const byPost = await post(body);
      expect([byPost.statusCode, byPost.json()]).toEqual([400, { message }]);
      const values = Object.entries(body).filter(([, value]) => value !== null);
      const byGet = await get(Object.fromEntries(values.map(([key, value]) => [key, String(value)])));
      expect([byGet.statusCode, byGet.json()]).toEqual([400, { message }]);
    });
  }

  it('take languages in any case, by GET and by POST', async () => {
    expect((await post({ ...GOOD, text_lang: 'ZH', prompt_lang: 'Zh' })).statusCode).toBe(200);
    expect((await get({ ...GOOD, text_lang: 'ALL_ZH' })).statusCode).toBe(200);
    expect((await get({ ...GOOD, text_lang: 'FR' })).json()).toEqual({
      message: 'text_lang: fr is not supported in version v2',
    });
  });

  it('answer values of the wrong type with 422, as its framework does', async () => {
    const answer = await post({ ...GOOD, top_k: 'many' });
    expect([answer.statusCode, answer.json()]).toMatchObject([422, { detail: [{ loc: ['query', 'top_k'] }] }]);
    expect((await get({ ...GOOD, streaming_mode: 'maybe' })).statusCode).toBe(422);
  });

  it('pass a failure of the synthesis as an error, never as a second of silence', async () => {
    const answer = await post({ ...GOOD, text: 'fail-at=0 code=SYNTHESIS_FAILED' });
    expect([answer.statusCode, answer.json()]).toEqual([
      500,
      { message: 'tts failed', Exception: 'scripted SYNTHESIS_FAILED' },
    ]);
  });
});

describe('the audio of /tts', () => {
  it('is a WAV file of exact length, raw samples, or Ogg Vorbis', async () => {
    const wav = await post({ ...GOOD });
    expect(wav.headers['content-type']).toBe('audio/wav');
    expect([wav.rawPayload.readUInt32LE(40), wav.rawPayload.readUInt32LE(24)]).toEqual([6400, 16_000]);
    const raw = await post({ ...GOOD, media_type: 'raw' });
    expect([raw.headers['content-type'], raw.rawPayload.length]).toEqual(['audio/raw', 6400]);
    const ogg = await post({ ...GOOD, media_type: 'ogg', streaming_mode: true });
    expect(ogg.headers['content-type']).toBe('audio/ogg');
    const { channels, sampleRateHz } = await decodeAudio(ogg.rawPayload);
    expect([channels[0]?.length, sampleRateHz]).toEqual([3200, 16_000]);
    const aac = await post({ ...GOOD, media_type: 'aac' });
    expect([aac.statusCode, aac.headers['content-type']]).toEqual([200, 'audio/aac']);
    expect(aac.rawPayload.includes(Buffer.from([0xff, 0xf1]))).toBe(true);
  });

  it('streams behind a header of 44 bytes that says 0, in every streaming mode', async () => {
    for (const mode of [true, 1, 2, 3]) {
      const answer = await post({ ...GOOD, streaming_mode: mode });
      expect([mode, answer.rawPayload.length, answer.rawPayload.readUInt32LE(40)]).toEqual([mode, 6444, 0]);
    }
    expect((await get({ ...GOOD, streaming_mode: 'true' })).rawPayload.length).toBe(6444);
  });

  it('takes what the reference takes and clamps what ours cannot do', async () => {
    const answer = await post({
      ...GOOD,
      speed_factor: 5,
      top_k: 5000,
      top_p: 3,
      temperature: 9,
      seed: -1,
      batch_size: 20,
    });
    expect([answer.statusCode, answer.rawPayload.readUInt32LE(40)]).toEqual([200, 3200]);
  });
});

describe('recordings', () => {
  it('are found inside the folder, and make one voice for all who use them', async () => {
    for (const path of ['a.wav', './a.wav', join(folder, 'recordings/a.wav'), 'sub/b.wav']) {
      expect([path, (await post({ ...GOOD, ref_audio_path: path })).statusCode]).toEqual([path, 200]);
    }
    const voices = (await gateway.app.inject('/v1/voices')).json<{ voices: { name: string }[] }>().voices;
    expect(voices.map(({ name }) => name)).toEqual(['demo', 'demo-en']);
  });

  it('may be the name of an enrolled voice', async () => {
    expect((await post({ ...GOOD, ref_audio_path: 'demo' })).statusCode).toBe(200);
  });

  it('outside the folder are as if they were not there, however they are named', async () => {
    const message = (await post({ ...GOOD, ref_audio_path: 'nothing.wav' })).json<{ Exception: string }>().Exception;
    for (const path of [
      '../outside.wav',
      join(folder, 'outside.wav'),
      'link.wav',
      '/etc/passwd',
      'a.wav\0',
      '.',
      '..',
    ]) {
      const answer = await post({ ...GOOD, ref_audio_path: path });
      expect([path, answer.statusCode, answer.json()]).toEqual([
        path,
        400,
        { message: 'tts failed', Exception: message },
      ]);
    }
  });

  it('that do not exist are left out where they are only auxiliary', async () => {
    const aux_ref_audio_paths = ['sub/b.wav', 'nothing.wav'];
    expect((await post({ ...GOOD, aux_ref_audio_paths })).statusCode).toBe(200);
  });
});

describe('the settings', () => {
  it('answer as the reference does', async () => {
    const cases: [url: string, status: number, body: object][] = [
      [
        '/set_model?gpt_model_path=GPT/scripted.ckpt&sovits_model_path=scripted.pth',
        200,
        { code: 0, message: 'Success' },
      ],
      [
        '/set_model?gpt_model_path=scripted.ckpt',
        400,
        { code: 400, message: 'gpt_model_path and sovits_model_path are both required' },
      ],
      [
        '/set_model?gpt_model_path=scripted.ckpt&sovits_model_path=/etc/passwd',
        400,
        { code: 400, message: expect.stringContaining('no model has the name of this file') },
      ],
      ['/set_gpt_weights', 400, { message: 'gpt weight path is required' }],
      ['/set_sovits_weights?weights_path=', 400, { message: 'sovits weight path is required' }],
      ['/set_gpt_weights?weights_path=GPT_weights/scripted.ckpt', 200, { message: 'success' }],
      ['/set_sovits_weights?weights_path=scripted', 200, { message: 'success' }],
      [
        '/set_gpt_weights?weights_path=/etc/passwd',
        400,
        { message: 'change gpt weight failed', Exception: expect.stringContaining('import') },
      ],
      [
        '/set_sovits_weights?weights_path=x.pth',
        400,
        { message: 'change sovits weight failed', Exception: expect.any(String) },
      ],
      ['/set_refer_audio?refer_audio_path=a.wav', 200, { message: 'success' }],
      [
        '/set_refer_audio?refer_audio_path=../outside.wav',
        400,
        { message: 'set refer audio failed', Exception: expect.any(String) },
      ],
      ['/set_refer_audio', 400, { message: 'set refer audio failed', Exception: expect.any(String) }],
      ['/control', 400, { message: 'command is required' }],
      ['/control?command=exit', 403, { message: expect.stringContaining('TIMBRE_REFERENCE_CONTROL') }],
    ];
    for (const [url, status, body] of cases) {
      const answer = await gateway.app.inject(url);
      expect([url, answer.statusCode, answer.json()]).toEqual([url, status, body]);
    }
  });
});

describe('the older server', () => {
  it('speaks with the recording of the request, or with the one that was set', async () => {
    const none = await get({ text: 'ms=100', text_language: 'zh' }, '/');
    expect([none.statusCode, none.json()]).toEqual([400, { code: 400, message: '未指定参考音频且接口无预设' }]);
    const own = { refer_wav_path: 'a.wav', prompt_text: '你好', prompt_language: '中文' };
    const byGet = await get({ ...own, text: 'ms=100', text_language: '中英混合', cut_punc: '，。' }, '/');
    expect([byGet.statusCode, byGet.headers['content-type'], byGet.rawPayload.readUInt32LE(40)]).toEqual([
      200,
      'audio/wav',
      3200,
    ]);
    expect((await get({ refer_wav_path: 'a.wav' }, '/change_refer')).json()).toEqual({
      code: 400,
      message: '缺少任意一项以下参数: "path", "text", "language"',
    });
    expect((await post(own, '/change_refer')).json()).toEqual({ code: 0, message: 'Success' });
    const byPost = await post({ text: 'ms=100', text_language: 'en', speed: 2, inp_refs: ['sub/b.wav'] }, '/');
    expect([byPost.statusCode, byPost.rawPayload.readUInt32LE(40)]).toEqual([200, 1600]);
  });
});
