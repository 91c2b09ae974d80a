import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sovitsAdapterFile } from '../../test/fixtures/sovits-adapter.js';
import { encodeWav, pcm16 } from '../audio/wav.js';
import { writeSafetensors } from '../checkpoint/safetensors-writer.js';
import type { ModelSpec } from '../models/model-spec.js';
import { createEngine } from './engine.js';
import type { AudioChunk, Engine, SpokenSpan, SynthesisRequest } from './engine-types.js';
import { LexiconStore } from './lexicon-store.js';
import { ModelStore } from './model-store.js';
import { PaceControl } from './pace-control.js';

const DEMO = join(import.meta.dirname, '../../demo-voice');

describe('the engine on the demo model', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'timbre-engine-'));
  let engine: Engine;

  beforeAll(async () => {
    // A replay would prove nothing about making the same audio again.
    engine = await createEngine({ dataDir, threads: 2, cacheBytes: { utterances: 0 } });
  });

  afterAll(async () => {
    await engine.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('has the demo model and its two voices after the first start', async () => {
    expect((await engine.listModels()).map(({ name, version, hasBert }) => ({ name, version, hasBert }))).toEqual([
      { name: 'demo', version: 'v2', hasBert: false },
    ]);
    expect((await engine.listVoices()).map((voice) => [voice.name, voice.language])).toEqual([
      ['demo', 'zh'],
      ['demo-en', 'en'],
    ]);
    expect(engine.info).toMatchObject({ defaultVoice: 'demo', defaultModel: 'demo' });
  });

  it.each([
    ['今天天气很好。', 'demo', 'zh'],
    ['The weather is very good today.', 'demo-en', 'en'],
    ['我在Apple公司上班。', 'demo', 'auto'],
  ] as const)('speaks %s for a plausible time, neither silent nor clipped', async (text, voice, language) => {
    const samples = await speak({ text, voice, language });
    expect(samples.length / 16_000).toBeGreaterThan(0.5);
    expect(samples.length / 16_000).toBeLessThan(10);
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    expect(rms).toBeGreaterThan(0.005);
    expect(samples.every((sample) => Math.abs(sample) <= 1)).toBe(true);
  });

  it('gives the same audio for the same seed, alone or among others, and other audio for another seed', async () => {
    const request = { text: '您好，欢迎致电客户服务中心。', seed: 7 };
    const alone = await speak(request);
    const neighbours = Array.from({ length: 9 }, (_, index) => speak({ text: '请您稍等。', seed: index }));
    const [among] = await Promise.all([speak(request), ...neighbours]);
    expect(sameSamples(among, alone)).toBe(true);
    expect(sameSamples(await speak({ ...request, seed: 8 }), alone)).toBe(false);
  });

  it('sounds as each caller’s adapter says, at the same time and with the same tokens', async () => {
    const spec = new ModelStore(dataDir).load('demo').manifests.sovits?.settings as ModelSpec;
    for (const [seed, name] of ['low', 'high'].entries()) {
      const { tensors } = sovitsAdapterFile(spec, { seed, rank: 4, only: /enc_p.proj|flow/ });
      const entries = [...tensors.values()].map(({ name: tensor, shape, readFloat32 }) => {
        return { name: tensor, dtype: 'F32' as const, shape, load: readFloat32 };
      });
      mkdirSync(join(dataDir, 'adapters'), { recursive: true });
      await writeSafetensors(join(dataDir, `adapters/${name}.safetensors`), entries);
    }
    const alone = await speak({});
    const [low, plain, high] = await Promise.all([speak({ adapter: 'low' }), speak({}), speak({ adapter: 'high' })]);
    expect(sameSamples(plain, alone)).toBe(true);
    for (const changed of [low, high]) {
      expect(changed.length).toBe(alone.length);
      expect(sameSamples(changed, alone)).toBe(false);
    }
    expect(sameSamples(low, high)).toBe(false);
    await expect(speak({ adapter: 'nobody' })).rejects.toMatchObject({ code: 'ADAPTER_NOT_FOUND' });

    // The same files as they come with requests: asked for by digest, sent where they are not known, each for its voice.
    const fileOf = (name: string) => {
      const bytes = readFileSync(join(dataDir, `adapters/${name}.safetensors`));
      return { name: `${name}@1`, digest: createHash('sha256').update(bytes).digest('hex'), bytes };
    };
    const [lowFile, highFile] = [fileOf('low'), fileOf('high')];
    const byDigest = { name: lowFile.name, digest: lowFile.digest };
    await expect(speak({ suppliedAdapters: { demo: byDigest } })).rejects.toMatchObject({ code: 'ADAPTER_NOT_LOADED' });
    const wrong = { ...byDigest, bytes: highFile.bytes };
    await expect(speak({ suppliedAdapters: { demo: wrong } })).rejects.toMatchObject({ code: 'ADAPTER_INVALID' });
    expect(sameSamples(await speak({ suppliedAdapters: { demo: lowFile } }), low)).toBe(true);
    expect(sameSamples(await speak({ suppliedAdapters: { demo: byDigest } }), low)).toBe(true);
    expect(sameSamples(await speak({ suppliedAdapters: { 'demo-en': lowFile } }), alone)).toBe(true);
    expect(sameSamples(await speak({ adapter: 'low', suppliedAdapters: { demo: highFile } }), high)).toBe(true);
    const facts = await engine.checkAdapter({ name: 'low', bytes: lowFile.bytes });
    expect(facts).toMatchObject({ model: 'demo', text2semanticRank: 0, sovitsRank: 4 });
    const bytes = lowFile.bytes.subarray(0, 100);
    await expect(engine.checkAdapter({ name: 'low', bytes })).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    await expect(engine.checkAdapter({ name: 'x', bytes, model: 'none' })).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
    });
  });

  it('gives each voice of a document its own adapter', async () => {
    const bytes = readFileSync(join(dataDir, 'adapters/low.safetensors'));
    const low = { name: 'low@1', digest: createHash('sha256').update(bytes).digest('hex'), bytes };
    const text = '<speak>您好。<voice name="other">再见。</voice></speak>';
    const both = { text, inputType: 'ssml', voices: { other: 'demo-en' } } as const;
    const [plain, changed] = [await speak(both), await speak({ ...both, suppliedAdapters: { 'demo-en': low } })];
    expect(changed.length).toBe(plain.length);
    const first = plain.findIndex((sample, at) => sample !== changed[at]);
    // What the first voice says is as it was, the pause behind it too.
    expect(first).toBeGreaterThan(0.3 * 16_000);
    expect(sameSamples(await speak({ ...both, suppliedAdapters: { other: low } }), plain)).toBe(true);
  });

  it('speaks faster and slower as asked', async () => {
    const text = '今天天气很好。';
    const normal = await speak({ text });
    expect((await speak({ text, speed: 2 })).length / normal.length).toBeCloseTo(0.5, 1);
    expect((await speak({ text, speed: 0.5 })).length / normal.length).toBeCloseTo(2, 0);
  });

  it('changes the pace while it speaks', async () => {
    const text = '您好，欢迎致电客户服务中心，请问有什么可以帮您？';
    const normal = await speak({ text });
    const pace = new PaceControl(1);
    let changed = 0;
    for await (const { samples } of engine.synthesize(request({ text }), { pace })) {
      if (changed === 0) pace.set(2);
      changed += samples.length;
    }
    expect(changed / normal.length).toBeLessThan(0.9);
    expect(changed / normal.length).toBeGreaterThan(0.49);
  });

  it('speaks markup: breaks of their length, marks where they are reached, volume and rate', async () => {
    const inputType = 'ssml';
    const plain = await speak({ text: '今天天气很好。' });
    const softer = await speak({ text: '<speak><prosody volume="-6dB">今天天气很好。</prosody></speak>', inputType });
    expect(softer).toHaveLength(plain.length);
    const gain = 10 ** (-6 / 20);
    expect(softer.every((sample, i) => Math.abs(sample - gain * (plain[i] ?? 0)) < 1e-6)).toBe(true);
    const fast = await speak({ text: '<speak><prosody rate="200%">今天天气很好。</prosody></speak>', inputType });
    expect(fast.length / plain.length).toBeCloseTo(0.5, 1);
    const chunks: AudioChunk[] = [];
    const text = '<speak>今天天气很好。<break time="2s"/><mark name="next"/>我们走吧，好吗？<mark name="end"/></speak>';
    for await (const chunk of engine.synthesize(request({ text, inputType }))) chunks.push(chunk);
    const first = chunks.filter(({ sentenceIndex, samples }) => sentenceIndex === 0 && samples.some((s) => s !== 0));
    const spokenMs = first.reduce((sum, { samples }) => sum + samples.length / 16, 0);
    expect(chunks.flatMap(({ marks }) => marks ?? [])).toEqual([
      { name: 'next', timeMs: expect.closeTo(spokenMs + 2000, 3) },
      {
        name: 'end',
        timeMs: expect.closeTo(
          chunks.reduce((sum, { samples }) => sum + samples.length / 16, 0),
          3,
        ),
      },
    ]);
    expect(chunks.find(({ marks }) => marks?.[0]?.name === 'next')?.sentenceIndex).toBe(1);
  });

  it.each([
    ['text', '今天天气很好，我们去公园散步吧。他有3个苹果。', 'demo', 'zh', 1],
    ['text', 'He paid $3 for the brown fox, and left.', 'demo-en', 'en', 0.6],
    ['text', '我在Apple公司上班。', 'demo', 'auto', 1.7],
    ['ssml', '<speak><prosody pitch="+3st">今天天气</prosody>很好。<break time="1s"/>走吧。</speak>', 'demo', 'zh', 1],
  ] as const)('says of %s when which characters are heard: %s', async (inputType, text, voice, language, speed) => {
    let lengthSamples = 0;
    const spans: SpokenSpan[] = [];
    for await (const chunk of engine.synthesize(request({ inputType, text, voice, language, speed }))) {
      lengthSamples += chunk.samples.length;
      spans.push(...(chunk.spoken ?? []));
      // With the last audio of its sentence, which is not yet over.
      if (chunk.spoken) expect(chunk.spoken.at(-1)?.endSample).toBeGreaterThanOrEqual(lengthSamples);
    }
    expect([spans[0]?.startSample, spans.at(-1)?.endSample]).toEqual([0, lengthSamples]);
    let before: SpokenSpan = { start: 0, end: 0, startSample: 0, endSample: 0, startsWord: true };
    for (const span of spans) {
      expect(span.start).toBeGreaterThanOrEqual(before.end);
      expect(span.end).toBeGreaterThan(span.start);
      expect(span.startSample).toBeGreaterThanOrEqual(before.endSample);
      expect(span.endSample).toBeGreaterThanOrEqual(span.startSample);
      before = span;
    }
    const said = spans.map(({ start, end }) => text.slice(start, end)).join('');
    expect(said).toBe(text.replace(/<[^>]*>| /g, ''));
  });

  it('puts the border of two words where a pause says that it is', async () => {
    const text = '今天天气很好，我们去公园散步吧。';
    const samples: number[] = [];
    const spans: SpokenSpan[] = [];
    for await (const chunk of engine.synthesize(request({ text }))) {
      samples.push(...chunk.samples);
      spans.push(...(chunk.spoken ?? []));
    }
    const comma = spans.find(({ start }) => text[start] === '，');
    const level = (from: number, to: number) => {
      const part = samples.slice(from, to);
      return Math.sqrt(part.reduce((sum, sample) => sum + sample * sample, 0) / part.length);
    };
    const { startSample = 0, endSample = 0 } = comma ?? {};
    const middle = Math.floor((startSample + endSample) / 2);
    expect(endSample - startSample).toBeGreaterThan(800);
    expect(level(middle - 320, middle + 320)).toBeLessThan(0.1 * level(0, samples.length));
  });

  it('speaks in the voices that the request allows markup, and no other', async () => {
    const ssml = (name: string) => `<speak><voice name="${name}">今天天气很好。</voice></speak>`;
    const voices = { ann: 'demo-en' };
    const named = await speak({ text: ssml('ann'), inputType: 'ssml', voices });
    expect(sameSamples(named, await speak({ text: '今天天气很好。', voice: 'demo-en' }))).toBe(true);
    for (const name of ['demo-en', 'constructor']) {
      await expect(speak({ text: ssml(name), inputType: 'ssml', voices })).rejects.toMatchObject({
        code: 'VOICE_NOT_FOUND',
      });
    }
    const styled = '<speak><mstts:express-as style="sad">今天天气很好。</mstts:express-as></speak>';
    expect(sameSamples(await speak({ text: styled, inputType: 'ssml' }), await speak({ text: '今天天气很好。' }))).toBe(
      true,
    );
  });

  it('reads words as its lexicons say, from the next request on', async () => {
    const store = new LexiconStore(dataDir);
    const text = '去银行取钱。';
    const before = await speak({ text });
    await store.import('default', '银行,zh,pinyin,yin2 xing2');
    const changed = await speak({ text });
    expect(sameSamples(changed, before)).toBe(false);
    expect(sameSamples(await speak({ text, lexicons: [] }), before)).toBe(true);
    await store.import('default', '银行,zh,pinyin,yin2 hang2');
    expect(sameSamples(await speak({ text }), before)).toBe(true);
    expect(sameSamples(await speak({ text, lexicons: [{ name: 'default', version: 1 }] }), changed)).toBe(true);
    store.remove('default');
    await expect(speak({ text, lexicons: [{ name: 'default' }] })).rejects.toMatchObject({ code: 'LEXICON_NOT_FOUND' });
  });

  it('yields the first sentence before the last is made, and passes over one that cannot be spoken', async () => {
    const chunks: AudioChunk[] = [];
    for await (const chunk of engine.synthesize(
      request({ text: '今天天气很好。😀😀。请您稍等。', splitMethod: 'cut5' }),
    )) {
      chunks.push(chunk);
    }
    const sentences = [...new Set(chunks.map((chunk) => chunk.sentenceIndex))];
    expect(sentences[0]).toBe(0);
    expect(sentences.at(-1)).toBeGreaterThan(0);
    expect(chunks[0]!.samples.length).toBeLessThan(chunks.reduce((sum, chunk) => sum + chunk.samples.length, 0) / 2);
  });

  it('puts the pause that was asked for between sentences', async () => {
    const text = '今天天气很好。您好，欢迎致电客户服务中心。';
    const long = await speak({ text, splitMethod: 'cut3', sentencePauseMs: 1000 });
    const none = await speak({ text, splitMethod: 'cut3', sentencePauseMs: 0 });
    expect(long.length - none.length).toBe(16_000);
  });

  it('stops when the caller aborts, and serves the next one', async () => {
    const abort = new AbortController();
    const chunks = engine.synthesize(request({ text: '今天天气很好。'.repeat(40) }), { signal: abort.signal });
    await chunks.next();
    abort.abort(new Error('the caller left'));
    await expect(drain(chunks)).rejects.toThrow('the caller left');
    await expect(speak({ text: '请您稍等。' })).resolves.toBeDefined();
  });

  it('ends the work of a caller who leaves the loop', async () => {
    for await (const _ of engine.synthesize(request({ text: '今天天气很好。'.repeat(40) }))) break;
    const started = performance.now();
    await speak({ text: '请您稍等。' });
    // 40 sentences would take many seconds; a slot is free within a step or a window.
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it.each([
    [{ text: '' }, 'TEXT_EMPTY'],
    [{ text: '  \n ' }, 'TEXT_EMPTY'],
    [{ text: '😀😀😀' }, 'TEXT_UNREADABLE'],
    [{ voice: 'nobody' }, 'VOICE_NOT_FOUND'],
    [{ voice: '../../etc/passwd' }, 'VOICE_NOT_FOUND'],
  ] as const)('refuses %j with %s', async (overrides, code) => {
    await expect(speak(overrides)).rejects.toMatchObject({ code });
  });

  it('replays an utterance to the tenant that asked before, as the bytes it got then, and to nobody else', async () => {
    const caching = await createEngine({ dataDir, threads: 2 });
    try {
      const say = async (overrides: Partial<SynthesisRequest>): Promise<Uint8Array> => {
        const pieces: Uint8Array[] = [];
        const { text = '请您稍等。', ...rest } = overrides;
        for await (const { samples } of caching.synthesize(request({ text, ...rest }))) pieces.push(pcm16(samples));
        return Buffer.concat(pieces);
      };
      const lookups = () => {
        const { hits, misses } = caching.statistics!().caches.utterances;
        return [hits, misses];
      };
      const first = await say({ tenant: 'a' });
      expect(await say({ tenant: 'a' })).toEqual(first);
      expect(lookups()).toEqual([1, 1]);
      expect(await say({ tenant: 'b' })).toEqual(first);
      await say({ tenant: 'a', seed: 99 });
      expect(lookups()).toEqual([1, 3]);
      expect(caching.statistics!().caches.texts).toMatchObject({ hits: 1, misses: 2 });

      // A document too, marks included, unless one of its voices is another.
      const text = '<speak>稍等。<mark name="m"/><voice name="ann">好的。</voice></speak>';
      const read = async (ann: string) => {
        const chunks: AudioChunk[] = [];
        const asked = request({ text, inputType: 'ssml', voices: { ann } });
        for await (const chunk of caching.synthesize(asked)) chunks.push(chunk);
        return chunks;
      };
      const document = await read('demo-en');
      const [hits = 0] = lookups();
      expect(await read('demo-en')).toEqual(document);
      expect(lookups()[0]).toBe(hits + 1);
      expect(document.flatMap(({ marks }) => marks ?? [])).toEqual([{ name: 'm', timeMs: expect.any(Number) }]);
      await read('demo');
      expect(lookups()[0]).toBe(hits + 1);
    } finally {
      await caching.close();
    }
  });

  it('enrols a voice from bytes with its transcript, speaks with it, refuses the name twice, removes it', async () => {
    const bytes = readFileSync(join(DEMO, 'ref_en.wav'));
    const request = {
      name: 'kathleen',
      recordings: [{ bytes, fileName: 'ref_en.wav' }],
      transcript: 'Their forces were already moving into the north country.',
      language: 'en',
    } as const;
    const summary = await engine.enrolVoice(request);
    expect(summary).toMatchObject({ name: 'kathleen', model: 'demo', language: 'en', warnings: [] });
    expect(summary.durationMs).toBeGreaterThan(3000);
    expect((await speak({ text: 'Good morning to you.', voice: 'kathleen', language: 'en' })).length).toBeGreaterThan(
      8000,
    );
    await expect(engine.enrolVoice(request)).rejects.toMatchObject({ code: 'VOICE_EXISTS' });
    await expect(engine.enrolVoice({ ...request, replace: true })).resolves.toMatchObject({ name: 'kathleen' });
    await engine.removeVoice('kathleen');
    await expect(speak({ voice: 'kathleen' })).rejects.toMatchObject({ code: 'VOICE_NOT_FOUND' });
    await expect(engine.removeVoice('kathleen')).rejects.toMatchObject({ code: 'VOICE_NOT_FOUND' });
  });

  it('averages the style of several recordings', async () => {
    const recordings = ['ref_zh.wav', 'ref_en.wav'].map((name) => ({ path: join(DEMO, name) }));
    const summary = await engine.enrolVoice({ name: 'both', recordings, transcript: null, language: 'zh' });
    expect(summary.durationMs).toBeGreaterThan(6000);
    expect(sameSamples(await speak({ voice: 'both' }), await speak({ voice: 'demo' }))).toBe(false);
    await engine.removeVoice('both');
  });

  it.each([
    ['no bytes', new Uint8Array(0), 'AUDIO_EMPTY'],
    ['text', new TextEncoder().encode('this is no audio, whatever its name says'), 'AUDIO_UNREADABLE'],
    ['silence', encodeWav(new Float32Array(16_000 * 4), 16_000), 'AUDIO_SILENT'],
  ] as const)('refuses a recording of %s', async (_, bytes, code) => {
    const recordings = [{ bytes, fileName: 'reference.wav' }];
    await expect(
      engine.enrolVoice({ name: 'bad', recordings, transcript: null, language: 'zh' }),
    ).rejects.toMatchObject({ code });
  });

  it('says which model and which name are wrong', async () => {
    const recordings = [{ path: join(DEMO, 'ref_zh.wav') }];
    const enrol = (overrides: object) =>
      engine.enrolVoice({ name: 'x', recordings, transcript: null, language: 'zh', ...overrides });
    await expect(enrol({ model: 'missing' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await expect(enrol({ name: '../x' })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await expect(enrol({ recordings: [{ path: join(DEMO, 'missing.wav') }] })).rejects.toMatchObject({
      code: 'AUDIO_NOT_FOUND',
    });
    await expect(engine.inspectModel('missing')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('takes a model apart for people', async () => {
    const details = await engine.inspectModel('demo');
    expect(details.networks.map((network) => network.name).sort()).toEqual(['hubert', 'sovits', 'text2semantic']);
    expect(details.settings['sovits.sampleRateHz']).toBe(16_000);
  });

  it('finds a damaged file of the store', async () => {
    expect((await engine.verify()).every((finding) => finding.level === 'ok')).toBe(true);
    const components = join(dataDir, 'components');
    const weights = join(components, readdirSync(components)[0]!, 'weights.safetensors');
    const original = readFileSync(weights);
    const damaged = Buffer.from(original);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
    writeFileSync(weights, damaged);
    const findings = await engine.verify();
    expect(findings.find((finding) => finding.subject === 'model demo')).toMatchObject({ level: 'error' });
    writeFileSync(weights, original);
  });

  it('starts again from the same folder without importing anything', async () => {
    const steps: string[] = [];
    const second = await createEngine({ dataDir, threads: 2, onProgress: ({ step }) => steps.push(step) });
    expect(steps).toEqual([]);
    expect(sameSamples(await drain(second.synthesize(request({ seed: 3 }))), await speak({ seed: 3 }))).toBe(true);
    await second.close();
  });

  it('tells a voice whose model was replaced to be enrolled again', async () => {
    const record = join(dataDir, 'models/demo.json');
    const original = readFileSync(record, 'utf8');
    writeFileSync(record, original.replace(/"digest": "\w{8}/, '"digest": "00000000'));
    await expect(speak({})).rejects.toMatchObject({ code: 'VOICE_INVALID' });
    expect((await engine.verify()).find((finding) => finding.subject === 'voice demo')).toMatchObject({
      level: 'error',
    });
    const warningsOf = async () => (await engine.listVoices()).find((voice) => voice.name === 'demo')?.warnings;
    expect(await warningsOf()).toEqual([expect.stringContaining('enrol it again')]);
    writeFileSync(record, original);
    expect(await warningsOf()).toEqual([]);
    expect((await speak({})).length).toBeGreaterThan(0);
  });

  function request(overrides: Partial<SynthesisRequest>): SynthesisRequest {
    return { text: '今天天气很好。', voice: 'demo', language: 'zh', speed: 1, seed: 1, ...overrides };
  }

  function speak(overrides: Partial<SynthesisRequest>): Promise<Float32Array> {
    return drain(engine.synthesize(request(overrides)));
  }
});

it('refuses a data folder that cannot be written', async () => {
  const dataDir = join(import.meta.filename, 'inside-a-file');
  await expect(createEngine({ dataDir })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

function sameSamples(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
}

async function drain(chunks: AsyncIterable<AudioChunk>): Promise<Float32Array> {
  const parts: number[] = [];
  for await (const chunk of chunks) for (const sample of chunk.samples) parts.push(sample);
  return Float32Array.from(parts);
}
