import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Checkpoint, CheckpointTensor } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { openRuntime, output, tensor } from '../engine/onnxruntime.js';
import { AppError } from '../errors.js';
import { encodeModel } from '../onnx/model-file.js';
import { buildBert, readBertSpec } from './bert.js';
import { buildHubert, readHubertSpec } from './hubert.js';
import { buildSpeakerEncoder, readSpeakerEncoderSpec } from './speaker-encoder.js';

/**
 * A HuBERT in the shape of the large models (norms after each convolution and before each sublayer, biases, odd
 * positional kernel, names under `hubert.`), made with transformers 5.23: HubertConfig(hidden_size=16,
 * num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, feat_extract_norm="layer",
 * do_stable_layer_norm=True, conv_bias=True, conv_dim=(6,)*7, num_conv_pos_embeddings=9,
 * num_conv_pos_embedding_groups=4), seed 0, noise of 0.1 added to the vectors.
 */
const PRENORM = new URL('./fixtures/hubert-prenorm/', import.meta.url);
const DEMO_ENCODER = new URL('../../demo-voice/token-encoder/', import.meta.url);

function open(folder: URL): { checkpoint: Checkpoint; config: Record<string, unknown> } {
  const checkpoint = openCheckpoint(fileURLToPath(new URL('model.safetensors', folder)));
  return { checkpoint, config: JSON.parse(readFileSync(new URL('config.json', folder), 'utf8')) };
}

/** A checkpoint of nothing but names and shapes. */
function shapesOnly(shapes: Record<string, readonly number[]>): Checkpoint {
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, shape] of Object.entries(shapes)) {
    const length = shape.reduce((product, size) => product * size, 1);
    tensors.set(name, {
      name,
      dtype: 'F32',
      shape,
      length,
      readFloat32: () => new Float32Array(length),
      readInt32: () => new Int32Array(length),
    });
  }
  return { path: 'shapes.bin', format: 'torch-zip', header: 'PK', tensors, data: {}, close: () => {} };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('HuBERT', () => {
  it('reads its sizes from the weights and the config', () => {
    const { checkpoint, config } = open(DEMO_ENCODER);
    expect(readHubertSpec(checkpoint, config)).toMatchObject({
      width: 192,
      layerCount: 4,
      headCount: 4,
      convNorm: 'group',
      preNorm: false,
      positionKernel: 64,
      samplesPerStep: 320,
      minSamples: 400,
    });
    checkpoint.close();
  });

  it('computes what transformers computes in the shape of the large models', () => {
    const { checkpoint, config } = open(PRENORM);
    const spec = readHubertSpec(checkpoint, config);
    expect(spec).toMatchObject({ width: 16, convNorm: 'layer', preNorm: true, positionKernel: 9 });
    const expected = openCheckpoint(fileURLToPath(new URL('expected.safetensors', PRENORM)));
    const wave = expected.tensors.get('wave16k')?.readFloat32() ?? new Float32Array();
    const golden = expected.tensors.get('last_hidden_state')?.readFloat32() ?? new Float32Array();
    const session = openRuntime().createSession(encodeModel(buildHubert(checkpoint, spec), null));
    const results = session.run({ wave16k: tensor('float32', [1, wave.length], wave) });
    const actual = output(results, 'last_hidden_state', 'float32').data;
    expect(actual).toHaveLength(golden.length);
    for (const [index, value] of golden.entries()) expect(actual[index]).toBeCloseTo(value, 4);
    session.close();
    expected.close();
    checkpoint.close();
  });

  it.each([
    ['another number of strides', { conv_stride: [5, 2] }],
    ['an unknown norm', { feat_extract_norm: 'batch' }],
    ['a batch norm before the positional convolution', { conv_pos_batch_norm: true }],
    ['a count that is no number', { num_attention_heads: 'four' }],
    ['a fraction of a head', { num_attention_heads: 1.5 }],
    ['strides that are no list', { conv_stride: 5 }],
    ['a flag that is no flag', { do_stable_layer_norm: 'yes' }],
    ['a name that is no text', { hidden_act: 3 }],
  ])('refuses %s', (_, changes) => {
    const { checkpoint, config } = open(DEMO_ENCODER);
    expect(codeOf(() => readHubertSpec(checkpoint, { ...config, ...changes }))).toBe('CHECKPOINT_UNSUPPORTED');
    checkpoint.close();
  });

  it.each([
    ['heads that do not divide the width', { num_attention_heads: 5 }],
    ['an unknown activation', { hidden_act: 'swish' }],
  ])('refuses to build %s', (_, changes) => {
    const { checkpoint, config } = open(DEMO_ENCODER);
    const spec = readHubertSpec(checkpoint, { ...config, ...changes });
    expect(codeOf(() => buildHubert(checkpoint, spec))).toBe('CHECKPOINT_UNSUPPORTED');
    checkpoint.close();
  });

  it('refuses a config that is no object, and weights of something else', () => {
    const { checkpoint } = open(DEMO_ENCODER);
    expect(codeOf(() => readHubertSpec(checkpoint, []))).toBe('CHECKPOINT_UNSUPPORTED');
    expect(codeOf(() => readHubertSpec(shapesOnly({ a: [1] }), {}))).toBe('CHECKPOINT_UNSUPPORTED');
    checkpoint.close();
  });
});

describe('BERT', () => {
  const shapes = {
    'bert.embeddings.word_embeddings.weight': [100, 8],
    'bert.embeddings.position_embeddings.weight': [64, 8],
    'bert.encoder.layer.0.attention.self.query.weight': [8, 8],
    'bert.encoder.layer.1.attention.self.query.weight': [8, 8],
    'bert.encoder.layer.2.attention.self.query.weight': [8, 8],
  };

  it('leaves out the last two layers, whose results nobody reads', () => {
    expect(readBertSpec(shapesOnly(shapes), { num_attention_heads: 2 })).toMatchObject({
      width: 8,
      layerCount: 1,
      vocabularySize: 100,
      maxTokens: 64,
      layerNormEpsilon: 1e-12,
    });
  });

  it('refuses other position embeddings, too few layers and missing tensors', () => {
    const relative = { position_embedding_type: 'relative_key' };
    expect(codeOf(() => readBertSpec(shapesOnly(shapes), relative))).toBe('CHECKPOINT_UNSUPPORTED');
    const { 'bert.encoder.layer.1.attention.self.query.weight': _, ...oneLayer } = shapes;
    expect(codeOf(() => readBertSpec(shapesOnly(oneLayer), {}))).toBe('CHECKPOINT_UNSUPPORTED');
    const spec = readBertSpec(shapesOnly(shapes), { num_attention_heads: 2 });
    expect(codeOf(() => buildBert(shapesOnly(shapes), spec))).toBe('CHECKPOINT_UNSUPPORTED');
  });
});

describe('speaker encoder', () => {
  it('refuses weights of something else', () => {
    expect(codeOf(() => readSpeakerEncoderSpec(shapesOnly({ 'conv1.weight': [8, 1, 3, 3] })))).toBe(
      'CHECKPOINT_UNSUPPORTED',
    );
    const spec = { bands: 80, blockCounts: [1, 1, 1, 1], width: 80, embeddingWidth: null };
    expect(codeOf(() => buildSpeakerEncoder(shapesOnly({}), spec))).toBe('CHECKPOINT_UNSUPPORTED');
  });
});
