import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint, CheckpointTensor, PlainValue } from './checkpoint.js';
import { detectCheckpointKind } from './checkpoint-kind.js';
import { detectSovitsVersion, detectT2sVersion } from './model-version.js';
import { openCheckpoint } from './open-checkpoint.js';

const CHECKPOINTS = join(process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference'), 'checkpoints');

/** A checkpoint of which only names and shapes matter. */
function buildCheckpoint(
  shapes: Readonly<Record<string, readonly number[]>>,
  options: { readonly header?: string; readonly config?: PlainValue } = {},
): Checkpoint {
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
  const data = options.config === undefined ? {} : { config: options.config };
  return { path: 'model.pth', format: 'torch-zip', header: options.header ?? 'PK', tensors, data, close() {} };
}

const V2 = { 'enc_p.text_embedding.weight': [732, 192], 'dec.conv_pre.weight': [512, 192, 7] };
const PRO = { ...V2, 'sv_emb.weight': [1024, 20_480], 'ge_to512.weight': [512, 1024] };
const V3 = { 'enc_p.text_embedding.weight': [732, 192], 'cfm.estimator.proj_out.weight': [100, 1024] };
const LORA = { 'cfm.base_model.model.estimator.transformer_blocks.0.attn.to_q.lora_A.default.weight': [4, 1024] };

describe('version of a SoVITS model', () => {
  it.each([
    ['s2_v1.pth', 'v1', 'v1', false],
    ['s2_v2.pth', 'v2', 'v2', false],
    ['s2_v2Pro.pth', 'v2Pro', 'v2', false],
    ['s2_v2ProPlus.pth', 'v2ProPlus', 'v2', false],
    ['s2_v3.pth', 'v3', 'v2', false],
    ['s2_v4.pth', 'v4', 'v2', false],
    ['s2_v3_lora.pth', 'v3', 'v2', true],
    ['s2_v4_lora.pth', 'v4', 'v2', true],
  ])('is told from the contents of %s', (file, version, symbols, isLora) => {
    const checkpoint = openCheckpoint(join(CHECKPOINTS, file));
    expect(detectSovitsVersion(checkpoint)).toEqual({ version, symbols, isLora });
    checkpoint.close();
  });

  it('needs no header tag and no configuration to tell v2Pro from v2ProPlus', () => {
    const kernel = (size: number) => buildCheckpoint({ ...PRO, 'dec.ups.0.weight_v': [512, 256, size] });
    expect(detectSovitsVersion(kernel(16)).version).toBe('v2Pro');
    expect(detectSovitsVersion(kernel(20)).version).toBe('v2ProPlus');
  });

  it('follows the header tag before the configuration', () => {
    const config = { model: { version: 'v2Pro' } };
    expect(detectSovitsVersion(buildCheckpoint(PRO, { header: '06', config })).version).toBe('v2ProPlus');
  });

  it('follows the configuration where shapes cannot tell', () => {
    expect(detectSovitsVersion(buildCheckpoint(V3, { config: { model: { version: 'v4' } } })).version).toBe('v4');
  });

  it('believes the rows of the text embedding rather than a configuration that contradicts them', () => {
    expect(detectSovitsVersion(buildCheckpoint(V2, { config: { model: { version: 'v1' } } })).version).toBe('v2');
  });

  it('takes a v3 header for a full v3 model', () => {
    expect(detectSovitsVersion(buildCheckpoint(V3, { header: '02' }))).toMatchObject({ version: 'v3', isLora: false });
  });

  it('asks for the version where nothing tells v3 from v4', () => {
    expect(() => detectSovitsVersion(buildCheckpoint(V3))).toThrow(/give the version/);
    expect(detectSovitsVersion(buildCheckpoint(V3), 'v4').version).toBe('v4');
  });

  it('lets an override decide among the versions that the shapes allow', () => {
    expect(detectSovitsVersion(buildCheckpoint(PRO, { header: '05' }), 'v2ProPlus').version).toBe('v2ProPlus');
  });

  it.each([
    [V2, 'v1', /732 rows.*expected v2/],
    [V2, 'v2Pro', /neither a speaker vector/],
    [PRO, 'v2', /takes a speaker vector/],
    [V3, 'v2', /flow matching.*expected v3 or v4/],
  ] as const)('refuses an override that contradicts the shapes', (shapes, override, message) => {
    const error = thrown(() => detectSovitsVersion(buildCheckpoint(shapes), override));
    expect(error).toMatchObject({ code: 'CHECKPOINT_UNSUPPORTED', message: expect.stringMatching(message) });
  });

  it.each([
    [V2, '05'],
    [PRO, '03'],
    [LORA, '02'],
    [V3, '04'],
  ])('refuses a header tag that contradicts the shapes', (shapes, header) => {
    const error = thrown(() => detectSovitsVersion(buildCheckpoint(shapes, { header })));
    expect(error).toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it('refuses an embedding that fits neither phoneme table', () => {
    const odd = buildCheckpoint({ 'enc_p.text_embedding.weight': [400, 192] });
    expect(() => detectSovitsVersion(odd)).toThrow(/400 rows.*322 \(v1\) or 732/);
  });

  it('says what a file is that is no SoVITS model', () => {
    const checkpoint = openCheckpoint(join(CHECKPOINTS, 's1_v2.ckpt'));
    const error = thrown(() => detectSovitsVersion(checkpoint));
    expect(error).toMatchObject({
      code: 'CHECKPOINT_UNSUPPORTED',
      message: expect.stringMatching(/is a GPT \(text-to-semantic, s1\) model; expected a SoVITS/),
    });
    checkpoint.close();
  });
});

describe('version of a T2S model', () => {
  it('is told by the rows of its text embedding', () => {
    const rows = (count: number) => buildCheckpoint({ 'model.ar_text_embedding.word_embeddings.weight': [count, 512] });
    expect(detectT2sVersion(rows(512))).toEqual({ symbols: 'v1' });
    expect(detectT2sVersion(rows(732))).toEqual({ symbols: 'v2' });
    expect(() => detectT2sVersion(rows(600))).toThrow(/600 rows/);
  });
});

describe('kind of a checkpoint', () => {
  it.each([
    ['s1_v1.ckpt', 't2s'],
    ['s2_v1.pth', 'sovits'],
    ['s2_v4_lora.pth', 'sovits'],
    ['hubert/pytorch_model.bin', 'hubert'],
    ['hubert/model.safetensors', 'hubert'],
    ['roberta/pytorch_model.legacy.bin', 'roberta'],
    ['sv/pretrained_eres2netv2w24s4ep4.ckpt', 'speaker-encoder'],
    ['vocoder_v4/vocoder.pth', 'vocoder'],
    ['bigvgan/bigvgan_generator.pt', 'bigvgan'],
  ])('of %s is %s', (file, kind) => {
    const checkpoint = openCheckpoint(join(CHECKPOINTS, file));
    expect(detectCheckpointKind(checkpoint)).toBe(kind);
    checkpoint.close();
  });

  it.each([
    [{ 'discriminators.0.convs.0.weight_g': [1] }, 'discriminator'],
    [{ 'model.enc_p.ssl_proj.weight': [1], 'optimizer.state.0.exp_avg': [1] }, 'training-state'],
    [{ 'something.else': [1] }, 'unknown'],
  ])('is told for what inference does not read', (shapes, kind) => {
    expect(detectCheckpointKind(buildCheckpoint(shapes))).toBe(kind);
  });
});

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('expected a refusal');
}
