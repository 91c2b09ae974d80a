import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chineseVocabulary, VOCABULARY_SIZE } from './chinese-vocabulary.js';
import {
  hubertWeights,
  robertaWeights,
  sovitsWeights,
  speakerEncoderWeights,
  t2sWeights,
  type Weights,
} from './full-size-models.js';
import { RandomWeights } from './random-weights.js';

const REFERENCE = process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference');
const random = new RandomWeights(1);

/** Name pattern (numbers as #) and rank of every tensor: what does not depend on a model's size. */
function patterns(tensors: Iterable<readonly [string, number, string]>): string[] {
  const found = [...tensors].map(([name, rank, dtype]) => `${name.replace(/\.\d+(?=\.)/g, '.#')} ${rank} ${dtype}`);
  return [...new Set(found)].sort();
}

function referencePatterns(file: string): string[] {
  const path = join(REFERENCE, 'checkpoints.json');
  if (!existsSync(path)) throw new Error(`reference data is missing: no ${path}; set TIMBRE_REFERENCE to its folder`);
  const facts = JSON.parse(readFileSync(path, 'utf8')) as {
    files: Record<string, { tensors: Record<string, [string, number[]]> }>;
  };
  const short: Record<string, string> = { float16: 'F16', float32: 'F32', int64: 'I64' };
  const tensors = Object.entries(facts.files[`checkpoints/${file}`]?.tensors ?? {});
  return patterns(
    tensors.map(([name, [dtype, shape]]) => [name.replace(/^weight\./, ''), shape.length, short[dtype] ?? dtype]),
  );
}

describe('full-size models', () => {
  it.each<[string, () => Weights]>([
    ['s1_v1.ckpt', () => t2sWeights(random, 'v1')],
    ['s1_v2.ckpt', () => t2sWeights(random, 'v2')],
    ['s2_v1.pth', () => sovitsWeights(random, 'v1')],
    ['s2_v2.pth', () => sovitsWeights(random, 'v2')],
    ['s2_v2Pro.pth', () => sovitsWeights(random, 'v2Pro')],
    ['s2_v2ProPlus.pth', () => sovitsWeights(random, 'v2ProPlus')],
    ['hubert/pytorch_model.bin', () => hubertWeights(random)],
    ['roberta/pytorch_model.bin', () => robertaWeights(random, 21_128)],
    ['sv/pretrained_eres2netv2w24s4ep4.ckpt', () => speakerEncoderWeights(random)],
  ])('have the tensors that %s has', (file, build) => {
    const built = [...build()].map(([name, tensor]) => [name, tensor.shape.length, tensor.dtype] as const);
    expect(patterns(built)).toEqual(referencePatterns(file));
  });

  it('have as many parameters as the official ones', () => {
    const millions = (weights: Weights) =>
      [...new Set(weights.values())].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) / 1e6;
    expect(millions(t2sWeights(random, 'v2'))).toBeCloseTo(77.6, 1);
    expect(millions(hubertWeights(random))).toBeCloseTo(94.4, 1);
    expect(millions(robertaWeights(random, VOCABULARY_SIZE))).toBeCloseTo(325.6, 0);
  });

  it('depend on nothing but the seed', () => {
    const draw = (seed: number) => new RandomWeights(seed).normal('a', [1001], 1, 'F32').load();
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
    const values = [...(new RandomWeights(5).normal('a', [100_000], 2, 'F32', 3).load() as Float32Array)];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(mean).toBeCloseTo(3, 1);
    expect(Math.sqrt(variance)).toBeCloseTo(2, 1);
  });
});

describe('the vocabulary', () => {
  it('has the official size, the official special tokens and the common characters once', () => {
    const tokens = chineseVocabulary();
    expect(tokens.length).toBe(VOCABULARY_SIZE);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect([0, 100, 101, 102, 103].map((id) => tokens[id])).toEqual(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']);
    for (const token of ['音', '色', '，', '。', 'a', '7', '##国']) expect(tokens).toContain(token);
  });
});
