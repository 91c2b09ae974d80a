/**
 * The official client libraries, installed from their registries, against a server on the real engine and the demo voice.
 * They know nothing of us: what they cannot read fails here.
 */
import { execFile } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeAudio } from '../../src/audio/decode.js';
import { type ServerProcess, startServerProcess } from '../e2e/server-process.js';
import { connectSocket } from '../fixtures/socket-client.js';
import { loadNodeClient, pythonWith, run } from './client-packages.js';

const INSTALL_TIMEOUT_MS = 400_000;
const TEXT = '今天天气很好。';
const RECORDING = fileURLToPath(new URL('../../demo-voice/ref_en.wav', import.meta.url));

let folder: string;
let server: ServerProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-clients-'));
  server = await startServerProcess(folder);
}, INSTALL_TIMEOUT_MS);

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function secondsOf(bytes: Uint8Array): Promise<number> {
  const { channels, sampleRateHz } = await decodeAudio(bytes);
  return (channels[0]?.length ?? 0) / sampleRateHz;
}

/** AAC by ffmpeg, since we have no decoder of it. */
function asWav(bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'ffmpeg',
      ['-v', 'error', '-i', '-', '-f', 'wav', '-'],
      { encoding: 'buffer', maxBuffer: 64 << 20 },
      (error, stdout) => (error === null ? resolve(stdout) : reject(error)),
    );
    child.stdin?.end(bytes);
  });
}

describe('the openai package for Node', () => {
  interface Client {
    audio: {
      speech: { create(body: object): Promise<Response> };
    };
    models: { list(): AsyncIterable<{ id: string }> };
  }
  let client: Client;
  let failure: new () => Error;
  beforeAll(async () => {
    const { OpenAI, NotFoundError } = await loadNodeClient('openai', '6.49.0');
    // The package's own types would be a dependency of ours.
    client = new (OpenAI as new (options: object) => Client)({
      apiKey: 'none',
      baseURL: `${server.url}/v1`,
      maxRetries: 0,
    });
    failure = NotFoundError as new () => Error;
  }, INSTALL_TIMEOUT_MS);

  it('gets speech in every format that can be read back', async () => {
    for (const response_format of ['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm']) {
      const answer = await client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: TEXT, response_format });
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const seconds =
        response_format === 'pcm'
          ? bytes.length / 48_000
          : await secondsOf(response_format === 'aac' ? await asWav(bytes) : bytes);
      expect([response_format, seconds > 0.5 && seconds < 15]).toEqual([response_format, true]);
    }
  });

  it('gets the first bytes before the synthesis has ended', async () => {
    const input = '今天天气很好，我们一起去公园散步。春天来了，花都开了。小朋友们在草地上玩耍。'.repeat(3);
    const answer = await client.audio.speech.create({ model: 'x', voice: 'demo', input, response_format: 'pcm' });
    const reader = answer.body!.getReader();
    const { value } = await reader.read();
    expect(value?.length).toBeGreaterThan(0);
    // The engine says that it is still at it.
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/timbre_queue_depth\{state="running"\} 1/);
    await reader.cancel();
  });

  it('reads its own errors and lists', async () => {
    const unknown = client.audio.speech.create({ model: 'x', voice: 'nobody', input: TEXT });
    await expect(unknown).rejects.toBeInstanceOf(failure);
    await expect(unknown).rejects.toMatchObject({
      status: 404,
      code: 'voice_not_found',
      type: 'invalid_request_error',
    });
    const ids: string[] = [];
    for await (const { id } of client.models.list()) ids.push(id);
    expect(ids).toContain('demo');
  });
});

describe('the openai package for Python', () => {
  let python: string;
  beforeAll(async () => {
    python = await pythonWith('openai==3.57.0');
  }, INSTALL_TIMEOUT_MS);

  it('streams speech, reads events and errors', async () => {
    const script = `
import sys, json, openai
client = openai.OpenAI(api_key="none", base_url=sys.argv[1] + "/v1", max_retries=0)
out = {}
with client.audio.speech.with_streaming_response.create(model="gpt-4o-mini-tts", voice="alloy", input=${JSON.stringify(TEXT)}, response_format="pcm") as answer:
    out["chunks"] = sum(1 for _ in answer.iter_bytes(4096))
    out["type"] = answer.headers["content-type"]
try:
    client.audio.speech.create(model="tts-1", voice="alloy", input="")
except openai.BadRequestError as error:
    out["error"] = [error.status_code, error.code, error.param]
out["models"] = [model.id for model in client.models.list()]
print(json.dumps(out))
`;
    const { stdout } = await run(python, ['-c', script, server.url]);
    const out = JSON.parse(stdout) as { chunks: number; type: string; error: unknown[]; models: string[] };
    expect(out.chunks).toBeGreaterThan(5);
    expect(out).toMatchObject({ type: 'audio/pcm', error: [400, 'text_empty', 'input'] });
    expect(out.models).toContain('demo');
  });
});

describe('the openai package for Python, with voices of its own', () => {
  it('uploads a consent and a sample, speaks in the voice, renames and takes the consent back', async () => {
    const python = await pythonWith('openai==3.57.0');
    const script = `
import sys, json, openai
client = openai.OpenAI(api_key="none", base_url=sys.argv[1] + "/v1", max_retries=0)
consents = client.audio.voice_consents
out = {}
consent = consents.create(name="Anna", language="en-US", recording=open(sys.argv[2], "rb"))
out["consent"] = [consent.object, consent.language]
try:
    client.audio.voices.create(name="Anna", audio_sample=open(sys.argv[2], "rb"), consent=consent.id)
except openai.UnprocessableEntityError as error:
    out["unmatched"] = error.code
voice = client.audio.voices.create(name="Anna", audio_sample=open(sys.argv[2], "rb"), consent=consent.id, type="audio_sample", extra_body={"attested_by": "Bob"})
out["voice"] = [voice.object, voice.name]
say = lambda: client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="Hello there.", response_format="pcm")
out["bytes"] = len(say().content)
out["renamed"] = consents.update(consent.id, name="Anna II").name
out["listed"] = [each.name for each in consents.list()]
out["deleted"] = consents.delete(consent.id).deleted
try:
    say()
except openai.PermissionDeniedError as error:
    out["revoked"] = error.code
try:
    consents.retrieve(consent.id)
except openai.NotFoundError as error:
    out["gone"] = error.code
print(json.dumps(out))
`;
    const { stdout } = await run(python, ['-c', script, server.url, RECORDING]);
    const out = JSON.parse(stdout) as { bytes: number };
    expect(out.bytes).toBeGreaterThan(10_000);
    expect(out).toMatchObject({
      consent: ['audio.voice_consent', 'en-US'],
      unmatched: 'consent_mismatch',
      voice: ['audio.voice', 'Anna'],
      renamed: 'Anna II',
      listed: ['Anna II'],
      deleted: true,
      revoked: 'consent_revoked',
      gone: 'consent_not_found',
    });
  });
});

describe('the elevenlabs package for Node', () => {
  interface Client {
    textToSpeech: {
      convert(voice: string, body: object): Promise<AsyncIterable<Uint8Array>>;
      stream(voice: string, body: object): Promise<AsyncIterable<Uint8Array>>;
      convertWithTimestamps(
        voice: string,
        body: object,
      ): Promise<{ audioBase64: string; alignment?: { characters: string[]; characterEndTimesSeconds: number[] } }>;
      streamWithTimestamps(
        voice: string,
        body: object,
      ): Promise<AsyncIterable<{ audioBase64: string; alignment?: { characters: string[] } }>>;
    };
    voices: {
      getAll(): Promise<{ voices: { voiceId: string; name: string }[] }>;
      search(): Promise<{ voices: unknown[]; hasMore: boolean }>;
      get(voice: string): Promise<{ voiceId: string; name: string; labels: Record<string, string> }>;
      delete(voice: string): Promise<{ status: string }>;
      ivc: { create(body: object): Promise<{ voiceId: string; requiresVerification: boolean }> };
    };
    models: { list(): Promise<{ modelId: string }[]> };
  }
  let client: Client;
  beforeAll(async () => {
    const { ElevenLabsClient } = await loadNodeClient('@elevenlabs/elevenlabs-js', '2.73.0');
    client = new (ElevenLabsClient as new (options: object) => Client)({
      apiKey: 'none',
      baseUrl: server.url,
      environment: { base: server.url, wss: server.url.replace('http', 'ws') },
    });
  }, INSTALL_TIMEOUT_MS);

  const collect = async (parts: AsyncIterable<Uint8Array>) => {
    const chunks: Uint8Array[] = [];
    for await (const part of parts) chunks.push(part);
    return Buffer.concat(chunks);
  };

  it('gets speech, whole and as a stream', async () => {
    const options = { text: TEXT, modelId: 'eleven_multilingual_v2', voiceSettings: { stability: 0.4, speed: 1 } };
    const whole = await collect(
      await client.textToSpeech.convert('demo', { ...options, outputFormat: 'mp3_44100_128' }),
    );
    expect(await secondsOf(whole)).toBeGreaterThan(0.5);
    const stream = await collect(await client.textToSpeech.stream('demo', { ...options, outputFormat: 'ulaw_8000' }));
    expect(stream.length).toBeGreaterThan(4000);
  });

  it('gets times of characters, whole and as a stream', async () => {
    const timed = await client.textToSpeech.convertWithTimestamps('demo', { text: TEXT, outputFormat: 'pcm_16000' });
    expect(timed.alignment?.characters.join('')).toBe(TEXT);
    expect(timed.alignment?.characterEndTimesSeconds.at(-1)).toBeCloseTo(
      Buffer.from(timed.audioBase64, 'base64').length / 32_000,
      3,
    );
    let characters = '';
    for await (const item of await client.textToSpeech.streamWithTimestamps('demo', {
      text: TEXT,
      outputFormat: 'pcm_16000',
    })) {
      characters += item.alignment?.characters.join('') ?? '';
    }
    expect(characters).toBe(TEXT);
  });

  it('adds a voice, speaks with it, and deletes it', async () => {
    const files = [createReadStream(RECORDING)];
    const labels = JSON.stringify({ accent: 'american' });
    const { voiceId } = await client.voices.ivc.create({ name: 'Anna', files, labels });
    expect(await client.voices.get(voiceId)).toMatchObject({ voiceId, name: 'Anna', labels: { accent: 'american' } });
    expect(await secondsOf(await collect(await client.textToSpeech.convert(voiceId, { text: TEXT })))).toBeGreaterThan(
      0.3,
    );
    expect(await client.voices.delete(voiceId)).toMatchObject({ status: 'ok' });
    await expect(client.voices.get(voiceId)).rejects.toMatchObject({ statusCode: 404 });
  });

  it('reads voices, models and errors', async () => {
    const { voices } = await client.voices.getAll();
    expect(voices.map(({ voiceId }) => voiceId)).toContain('demo');
    expect(await client.voices.search()).toMatchObject({ hasMore: false });
    expect((await client.models.list()).map(({ modelId }) => modelId)).toContain('demo');
    await expect(client.textToSpeech.convert('nobody', { text: TEXT })).rejects.toMatchObject({
      statusCode: 404,
      body: { detail: { status: 'voice_not_found' } },
    });
  });
});

/**
 * ElevenLabs's packages for Node (`@elevenlabs/elevenlabs-js` 2.73.0, and `elevenlabs` 1.59.0 before it) have no WebSocket
 * for text-to-speech; the one for Python has, and speaks TLS only. Nothing of it is patched.
 */
describe('the elevenlabs package for Python, over its WebSocket', () => {
  let secure: ServerProcess;
  let python: string;
  let certificate: string;
  let ownFolder: string;
  beforeAll(async () => {
    ownFolder = mkdtempSync(join(tmpdir(), 'timbre-clients-tls-'));
    certificate = join(ownFolder, 'certificate.pem');
    const key = join(ownFolder, 'key.pem');
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    await run('openssl', [...made, ...name, '-keyout', key, '-out', certificate]);
    python = await pythonWith('elevenlabs==2.78.0');
    secure = await startServerProcess(join(ownFolder, 'data'), { TIMBRE_TLS_CERT: certificate, TIMBRE_TLS_KEY: key });
  }, INSTALL_TIMEOUT_MS);

  afterAll(async () => {
    await secure.stop();
    rmSync(ownFolder, { recursive: true, force: true });
  });

  const ask = async (body: string): Promise<Record<string, unknown>> => {
    const script = `
import sys, json, base64
from elevenlabs import VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
client = ElevenLabs(api_key="none", base_url=sys.argv[1])
out = {}
${body}
print(json.dumps(out))
`;
    const env = { ...process.env, SSL_CERT_FILE: certificate };
    const { stdout } = await run(python, ['-c', script, secure.url], { env, maxBuffer: 64 << 20 });
    return JSON.parse(stdout) as Record<string, unknown>;
  };

  it('hears text that is still being written, from the first sentence on', async () => {
    const out = await ask(`
def words():
    for piece in ["The weather is ", "fine today. ", "We will go ", "to the park, ", "and come home", " late."]:
        yield piece
audio = []
settings = VoiceSettings(stability=0.4, similarity_boost=0.8, speed=1.0)
for part in client.text_to_speech.convert_realtime("demo-en", text=words(), model_id="eleven_multilingual_v2", output_format="pcm_16000", voice_settings=settings):
    audio.append(part)
out["parts"] = len(audio)
out["audio"] = base64.b64encode(b"".join(audio)).decode()
mp3 = client.text_to_speech.convert_realtime("demo-en", text=iter(["The weather is fine today."]))
out["mp3"] = base64.b64encode(b"".join(mp3)).decode()
`);
    const seconds = Buffer.from(String(out['audio']), 'base64').length / 32_000;
    expect(out['parts']).toBeGreaterThan(3);
    expect(seconds).toBeGreaterThan(2);
    expect(seconds).toBeLessThan(15);
    expect(await secondsOf(Buffer.from(String(out['mp3']), 'base64'))).toBeGreaterThan(0.8);
  });

  it('hears in its own error what is wrong', async () => {
    const out = await ask(`
try:
    list(client.text_to_speech.convert_realtime("nobody", text=iter(["Hello there."])))
except ApiError as error:
    out["status"] = error.status_code
    out["body"] = error.body
`);
    expect(out).toMatchObject({ status: 1008, body: { error: 'voice_not_found', message: expect.any(String) } });
  });
});

describe('a WebSocket client of /v1/stream on the real engine', () => {
  it('hears the first sentence before the text has ended', async () => {
    const client = await connectSocket(`${server.url}/v1/stream`);
    client.send({ type: 'start', voice: 'demo', seed: 7 });
    for (const piece of ['今天天气', '很好。我们', '一起去公园。']) client.send({ type: 'text', text: piece });
    await client.next(({ type }) => type === 'started');
    await client.next(({ type }) => type === 'alignment');
    client.send({ type: 'text', text: '再见。' });
    client.send({ type: 'end' });
    expect(await client.next(({ type }) => type === 'done')).toMatchObject({ duration_ms: expect.any(Number) });
    const texts = client.received.filter((message) => !Buffer.isBuffer(message) && message['type'] === 'alignment');
    expect(texts.length).toBeGreaterThanOrEqual(2);
    client.socket.close();
  });
});
