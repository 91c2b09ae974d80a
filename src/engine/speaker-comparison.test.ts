import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatenate } from '../audio/concatenate.js';
import { decodeAudio } from '../audio/decode.js';
import { kaldiFilterBank } from '../audio/fbank.js';
import { mixToMono } from '../audio/level.js';
import { encodeWav } from '../audio/wav.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { buildSpeakerEncoder, readSpeakerEncoderSpec } from '../models/speaker-encoder.js';
import { encodeModel } from '../onnx/model-file.js';
import { cosine } from './cosine.js';
import { createEngine } from './engine.js';
import type { Engine } from './engine-types.js';
import { openRuntime, output, tensor } from './onnxruntime.js';
import { checkSingleSpeaker, similarityOfGroups } from './speaker-comparison.js';

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const REFERENCE = process.env['TIMBRE_REFERENCE'] ?? resolve(REPOSITORY, '../shared/reference');
const CHECKPOINTS = join(REFERENCE, 'checkpoints');
const SPEAKER = join(CHECKPOINTS, 'sv/pretrained_eres2netv2w24s4ep4.ckpt');

beforeAll(() => {
  if (!existsSync(SPEAKER)) throw new Error(`no reference data at ${REFERENCE}; set TIMBRE_REFERENCE`);
});

const recording = (name: string) => readFileSync(join(REFERENCE, 'audio', name));

describe('the speaker embedding', () => {
  it('is mean and deviation over time of the fused map through the linear layer', async () => {
    const checkpoint = openCheckpoint(SPEAKER);
    const spec = readSpeakerEncoderSpec(checkpoint);
    const model = encodeModel(buildSpeakerEncoder(checkpoint, spec, { expose: ['fused'] }), null);
    const session = openRuntime().createSession(model);
    const { channels, sampleRateHz } = await decodeAudio(recording('ref_a.wav'));
    const { data, frames, bands } = kaldiFilterBank(mixToMono(channels).subarray(0, 2 * sampleRateHz), sampleRateHz);
    const results = session.run({ fbank: tensor('float32', [frames, bands], data) });
    const fused = output(results, 'fused', 'float32');
    const steps = fused.dims.at(-1) ?? 0;
    const rows = fused.data.length / steps;
    const means: number[] = [];
    const deviations: number[] = [];
    for (let row = 0; row < rows; row++) {
      const values = [...fused.data.subarray(row * steps, (row + 1) * steps)];
      const mean = values.reduce((sum, value) => sum + value, 0) / steps;
      means.push(mean);
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (steps - 1);
      deviations.push(Math.sqrt(variance + 1e-8));
    }
    const statistics = [...means, ...deviations];
    const weight = checkpoint.tensors.get('seg_1.weight')?.readFloat32() ?? new Float32Array();
    const bias = checkpoint.tensors.get('seg_1.bias')?.readFloat32() ?? new Float32Array();
    const expected = [...bias].map((start, to) =>
      statistics.reduce((sum, value, from) => sum + value * weight[to * statistics.length + from]!, start),
    );
    checkpoint.close();
    session.close();
    const actual = output(results, 'embedding', 'float32').data;
    expect(spec.embeddingWidth).toBe(expected.length);
    // float32 sums of 5120 products.
    for (const [index, value] of expected.entries()) expect(Math.abs(actual[index]! - value)).toBeLessThan(1e-4);
  });
});

describe('an engine that has a model with a speaker encoder', () => {
  let folder: string;
  let engine: Engine;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'timbre-speaker-'));
    engine = await createEngine({ dataDir: folder, threads: 2, importDemo: false });
    await engine.importModel({
      name: 'pro',
      paths: ['s1_v2.ckpt', 's2_v2Pro.pth', 'hubert'].map((path) => join(CHECKPOINTS, path)).concat(SPEAKER),
    });
  }, 120_000);
  afterAll(async () => {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('compares a statement with recordings: the least alike counts', async () => {
    const [a, b] = [recording('ref_a.wav'), recording('ref_c_loud24k.wav')];
    expect(await engine.compareSpeakers({ statement: a, recordings: [a] })).toBeCloseTo(1, 5);
    const other = await engine.compareSpeakers({ statement: a, recordings: [b] });
    expect(other).toBeLessThan(0.9999);
    expect(await engine.compareSpeakers({ statement: a, recordings: [a, b] })).toBeCloseTo(other ?? 0, 5);
    const blink = encodeWav(new Float32Array(8000).fill(0.1), 16_000);
    await expect(engine.compareSpeakers({ statement: blink, recordings: [a] })).rejects.toMatchObject({
      code: 'AUDIO_TOO_SHORT',
    });
  });

  it('looks whether one person speaks in a recording', async () => {
    const checks = await engine.checkRecordings({
      name: 'x',
      recordings: [{ bytes: recording('ref_a.wav'), fileName: 'a.wav' }],
      transcript: null,
      language: 'zh',
    });
    const speaker = checks.find(({ check }) => check === 'speaker');
    expect(speaker).toMatchObject({ outcome: 'ok', value: expect.any(Number) });
  });
});

describe('parts of a recording', () => {
  /** An encoder whose direction is the pitch's: what the network does with voices. */
  const byLevel = async (fbank: Float32Array, frames: number) => {
    const mean = (from: number, to: number) => {
      let sum = 0;
      for (let frame = 0; frame < frames; frame++) {
        for (let band = from; band < to; band++) sum += fbank[frame * 80 + band]!;
      }
      return sum / frames / (to - from);
    };
    return Float32Array.from([mean(0, 40) - mean(0, 80), mean(40, 80) - mean(0, 80)]);
  };
  const voice = (seconds: number, pitchHz: number) =>
    Float32Array.from({ length: seconds * 16_000 }, (_, i) => 0.3 * Math.sin((2 * Math.PI * pitchHz * i) / 16_000));

  it('of one speaker are alike, those of two are not', async () => {
    const one = { samples: voice(8, 300), sampleRateHz: 16_000 };
    expect(await checkSingleSpeaker(one, byLevel)).toMatchObject({ outcome: 'ok' });
    const two = { samples: concatenate([voice(4, 300), voice(4, 5000)]), sampleRateHz: 16_000 };
    expect(await checkSingleSpeaker(two, byLevel)).toMatchObject({
      outcome: 'refused',
      message: expect.stringContaining('more than one person'),
    });
    expect(await checkSingleSpeaker(two, null)).toMatchObject({ outcome: 'unchecked' });
  });

  it('fall into the two groups around the least alike', () => {
    const [x, y] = [Float32Array.of(1, 0), Float32Array.of(0, 1)];
    expect(similarityOfGroups([x, y, x, y])).toBe(0);
    expect(similarityOfGroups([x, x, x])).toBe(1);
    expect(cosine(x, Float32Array.of(-2, 0))).toBe(-1);
  });
});
