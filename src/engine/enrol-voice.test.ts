import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeWav } from '../audio/wav.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { AppError } from '../errors.js';
import { buildHubert, readHubertSpec } from '../models/hubert.js';
import { type ModelSpec, readModelSpec } from '../models/model-spec.js';
import { buildQuantizer } from '../models/sovits/quantizer.js';
import { buildStyleEncoder } from '../models/sovits/style-encoder.js';
import { buildSpeakerEncoder, readSpeakerEncoderSpec } from '../models/speaker-encoder.js';
import type { GraphModel } from '../onnx/graph.js';
import { encodeModel } from '../onnx/model-file.js';
import { type EnrolmentNetworks, enrolVoice, type VoiceToEnrol } from './enrol-voice.js';
import { enrolmentNetworks } from './enrolment-networks.js';
import { openRuntime, type Session } from './onnxruntime.js';
import { decodeVoiceProfile, encodeVoiceProfile } from './voice-profile.js';

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const DEMO = join(REPOSITORY, 'demo-voice');
const REFERENCE = process.env['TIMBRE_REFERENCE'] ?? resolve(REPOSITORY, '../shared/reference');

const sessions: Session[] = [];
const folder = mkdtempSync(join(tmpdir(), 'timbre-enrol-'));
afterAll(() => {
  for (const session of sessions) session.close();
  rmSync(folder, { recursive: true });
});

function sessionOf(path: string, build: (checkpoint: Checkpoint) => GraphModel): Session {
  const checkpoint = openCheckpoint(path);
  try {
    const session = openRuntime().createSession(encodeModel(build(checkpoint), null));
    sessions.push(session);
    return session;
  } finally {
    checkpoint.close();
  }
}

interface ModelFiles {
  readonly sovits: string;
  readonly hubertFolder: string | null;
  readonly speaker?: string;
}

/** The enrolment networks of a model, straight from its checkpoints. */
function networksOf({ sovits, hubertFolder, speaker }: ModelFiles): EnrolmentNetworks & { readonly spec: ModelSpec } {
  const checkpoint = openCheckpoint(sovits);
  const spec = readModelSpec(checkpoint);
  checkpoint.close();
  const hubert = hubertFolder
    ? sessionOf(join(hubertFolder, 'model.safetensors'), (weights) => {
        const config: unknown = JSON.parse(readFileSync(join(hubertFolder, 'config.json'), 'utf8'));
        return buildHubert(weights, readHubertSpec(weights, config));
      })
    : null;
  return {
    spec,
    ...enrolmentNetworks({
      hubert,
      quantizer: sessionOf(sovits, (weights) => buildQuantizer(weights, spec)),
      style: sessionOf(sovits, (weights) => buildStyleEncoder(weights, spec)),
      speaker: speaker
        ? sessionOf(speaker, (weights) => buildSpeakerEncoder(weights, readSpeakerEncoderSpec(weights)))
        : null,
    }),
    bertFeatures: () => null,
  };
}

function voiceOf(recordings: readonly Uint8Array[], changes: Partial<VoiceToEnrol> = {}): VoiceToEnrol {
  return {
    name: 'anna',
    recordings,
    transcript: 'Their forces were already moving into the north country.',
    language: 'en',
    model: { name: 'demo', digest: 'd'.repeat(64), version: 'v2' },
    ...changes,
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return 'no error';
}

function buzz(seconds: number, amplitude = 0.3, sampleRateHz = 16_000): Float32Array {
  return Float32Array.from({ length: Math.round(seconds * sampleRateHz) }, (_, i) => {
    const t = i / sampleRateHz;
    return amplitude * Math.sin(2 * Math.PI * 150 * t) * (0.6 + 0.4 * Math.sin(2 * Math.PI * 4 * t));
  });
}

describe('enrolVoice with the starter model', () => {
  const recording = readFileSync(join(DEMO, 'ref_en.wav'));
  let networks: EnrolmentNetworks & { readonly spec: ModelSpec };
  beforeAll(() => {
    networks = networksOf({ sovits: join(DEMO, 's2.pth'), hubertFolder: join(DEMO, 'token-encoder') });
  });

  it('makes a prompt and a style of a recording and its transcript', async () => {
    const profile = await enrolVoice(voiceOf([recording]), networks);
    expect(profile).toMatchObject({ name: 'anna', version: 'v2', sampleRateHz: 16_000, warnings: [] });
    expect(profile.recordings).toEqual([{ sha256: expect.stringMatching(/^[0-9a-f]{64}$/), durationMs: 3137 }]);
    expect(profile.globalEmbedding).toHaveLength(networks.spec.globalEmbeddingWidth);
    // 3.14 s and 0.3 s of appended silence at 25 tokens a second.
    expect(profile.prompt?.semanticTokens.length).toBe(85);
    expect(profile.prompt?.phonemeIds.length).toBeGreaterThan(30);
  });

  it('writes and reads the profile without loss', async () => {
    const profile = await enrolVoice(voiceOf([recording]), networks);
    const withFeatures = {
      ...profile,
      prompt: profile.prompt && {
        ...profile.prompt,
        bertFeatures: Float32Array.from({ length: 3 * profile.prompt.phonemeIds.length }, (_, i) => i / 7),
      },
    };
    for (const [name, original] of Object.entries({ plain: profile, withFeatures })) {
      expect(decodeVoiceProfile(await encodeVoiceProfile(original), name)).toEqual(original);
    }
  });

  it('averages the style of several recordings and takes the prompt of the first', async () => {
    const other = readFileSync(join(DEMO, 'ref_zh.wav'));
    const [both, first, second] = await Promise.all([
      enrolVoice(voiceOf([recording, other]), networks),
      enrolVoice(voiceOf([recording]), networks),
      enrolVoice(voiceOf([other], { transcript: null }), networks),
    ]);
    for (const [index, value] of both.globalEmbedding.entries()) {
      const expected = ((first.globalEmbedding[index] ?? 0) + (second.globalEmbedding[index] ?? 0)) / 2;
      expect(value).toBeCloseTo(expected, 6);
    }
    expect(both.prompt).toEqual(first.prompt);
    expect(both.recordings).toHaveLength(2);
  });

  it('hears the same in stereo and at another rate, nearly', async () => {
    const mono = buzz(4, 0.3, 44_100);
    const profile = await enrolVoice(voiceOf([encodeWav(mono, 44_100)], { transcript: null }), networks);
    const same = await enrolVoice(voiceOf([encodeWav(buzz(4), 16_000)], { transcript: null }), networks);
    for (const [index, value] of profile.globalEmbedding.entries()) {
      expect(Math.abs(value - (same.globalEmbedding[index] ?? 0))).toBeLessThan(0.01);
    }
  });

  it('enrols prompt-free without a transcript, and without HuBERT, saying so', async () => {
    const free = await enrolVoice(voiceOf([recording], { transcript: null }), networks);
    expect(free).toMatchObject({ prompt: null, transcript: null, warnings: [] });
    const without = await enrolVoice(voiceOf([recording]), { ...networks, semanticTokens: null });
    expect(without).toMatchObject({ prompt: null, transcript: null });
    expect(without.warnings).toEqual([expect.stringContaining('no HuBERT')]);
  });

  it.each([
    ['1 s', encodeWav(buzz(1), 16_000), 'AUDIO_TOO_SHORT'],
    ['60 s', encodeWav(buzz(60), 16_000), 'AUDIO_TOO_LONG'],
    ['silence', encodeWav(new Float32Array(64_000), 16_000), 'AUDIO_SILENT'],
    ['a whisper of noise below hearing', encodeWav(buzz(4, 0.0005), 16_000), 'AUDIO_SILENT'],
    ['no bytes', new Uint8Array(0), 'AUDIO_EMPTY'],
    ['text', Buffer.from('not a recording'.repeat(99)), 'AUDIO_UNREADABLE'],
  ])('refuses %s', async (_, bytes, code) => {
    expect(await codeOf(enrolVoice(voiceOf([bytes]), networks))).toBe(code);
  });

  it.each([
    ['2.5 s', encodeWav(buzz(2.5), 16_000), /2\.5 s long; 3 to 10 s/],
    ['12 s', encodeWav(buzz(12), 16_000), /12\.0 s long; 3 to 10 s/],
    ['a quiet one', encodeWav(buzz(4, 0.004), 16_000), /very quiet/],
    [
      'a clipped one',
      encodeWav(
        buzz(4, 3).map((v) => Math.max(-1, Math.min(1, v))),
        16_000,
      ),
      /clipped/,
    ],
    ['a telephone', encodeWav(buzz(4, 0.3, 8000), 8000), /8000 samples a second/],
    ['one cut short', encodeWav(buzz(4), 16_000).subarray(0, 100_000), /cut short/],
    [
      'one with little in it',
      encodeWav(Float32Array.from([...buzz(1), ...new Float32Array(64_000)]), 16_000),
      /mostly silence/,
    ],
  ])('warns about %s', async (_, bytes, warning) => {
    const profile = await enrolVoice(voiceOf([bytes], { transcript: null }), networks);
    expect(profile.warnings.join('\n')).toMatch(warning);
  });

  it('warns about a transcript that is much too long or short for the recording', async () => {
    const long = 'Their forces were already moving into the north country. '.repeat(6);
    const profile = await enrolVoice(voiceOf([recording], { transcript: long }), networks);
    expect(profile.warnings).toEqual([expect.stringContaining('hardly fits')]);
  });

  it.each([
    ['no recordings', [], {}, 'VOICE_INVALID'],
    ['17 recordings', Array.from({ length: 17 }, () => recording), {}, 'VOICE_INVALID'],
    ['an empty transcript', [recording], { transcript: '  ' }, 'TEXT_EMPTY'],
    ['an endless transcript', [recording], { transcript: 'word '.repeat(300) }, 'TEXT_TOO_LONG'],
  ])('refuses %s', async (_, recordings, changes, code) => {
    expect(await codeOf(enrolVoice(voiceOf(recordings, changes), networks))).toBe(code);
  });

  it('stops when cancelled', async () => {
    const controller = new AbortController();
    controller.abort(new Error('the caller left'));
    const { signal } = controller;
    await expect(enrolVoice(voiceOf([recording]), networks, { signal })).rejects.toThrow('the caller left');
  });

  it('needs the speaker encoder of a model that takes a speaker vector', async () => {
    const spec = { ...networks.spec, speakerVectorWidth: 20480 };
    expect(await codeOf(enrolVoice(voiceOf([recording]), { ...networks, spec }))).toBe('MODEL_INVALID');
  });
});

describe('enrolVoice with the reference checkpoints', () => {
  it.each([
    ['v1', 'v1_parallel', 'ref_a.wav'],
    ['v2', 'v2_naive_speed', 'ref_b_stereo44k.wav'],
    ['v2', 'v2_promptfree', 'ref_c_loud24k.wav'],
    ['v2Pro', 'v2Pro_parallel', 'ref_a.wav'],
    ['v2ProPlus', 'v2ProPlus_stream', 'ref_b_stereo44k.wav'],
  ])('finds the prompt tokens of the reference implementation: %s, %s', async (version, testCase, wav) => {
    if (!existsSync(REFERENCE)) throw new Error(`no reference data at ${REFERENCE}; set TIMBRE_REFERENCE`);
    const checkpoints = join(REFERENCE, 'checkpoints');
    const networks = networksOf({
      sovits: join(checkpoints, `s2_${version}.pth`),
      hubertFolder: join(checkpoints, 'hubert'),
      speaker: join(checkpoints, 'sv/pretrained_eres2netv2w24s4ep4.ckpt'),
    });
    const recording = readFileSync(join(REFERENCE, 'audio', wav));
    const voice = voiceOf([recording], { transcript: '参考音频的文字内容。', language: 'zh' });
    const profile = await enrolVoice(voice, networks);
    const golden = openCheckpoint(join(REFERENCE, 'cases/e2e', `${testCase}.safetensors`));
    const expected = golden.tensors.get('prompt_semantic')?.readInt32();
    golden.close();
    expect(Array.from(profile.prompt?.semanticTokens ?? [])).toEqual(Array.from(expected ?? []));
    expect(profile.prompt?.phonemeIds).toHaveLength(19);
  });
});

describe('decodeVoiceProfile', () => {
  it('refuses what is not a profile', async () => {
    for (const name of ['token-encoder/model.safetensors', 'ref_en.wav']) {
      const decoding = async () => decodeVoiceProfile(readFileSync(join(DEMO, name)), name);
      expect(await codeOf(decoding())).toBe('VOICE_INVALID');
    }
  });
});
