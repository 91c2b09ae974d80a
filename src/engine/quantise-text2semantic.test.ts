import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { randomText2Semantic } from '../../test/fixtures/random-text2semantic.js';
import { readText2SemanticSettings } from '../models/text2semantic.js';
import { columnWeightsFor } from './column-weights.js';
import { layOutStepImage } from './kernels/step-image.js';
import { openRuntime } from './onnxruntime.js';
import { worstLoss } from './quality-report.js';
import { klDivergence, quantiseText2Semantic } from './quantise-text2semantic.js';

describe('quantising text-to-semantic', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-quantise-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const checkpoint = randomText2Semantic(256, 8, 2, 0);
  const settings = readText2SemanticSettings(checkpoint, { positions: 512 });
  const runtime = openRuntime({ threads: 1 });
  // Random weights hardly prefer one token to another, so that the likeliest one changes easily.
  const quantise = (worthIt: number) =>
    quantiseText2Semantic(checkpoint, settings, { precision: 'int8', runtime, folder, maxLoss: 0.2, worthIt })!;

  it('measures the loss on sentences of our own, and leaves nothing behind', () => {
    const { report, graphs, files } = quantise(Number.POSITIVE_INFINITY);
    expect(report.measures.map((measure) => measure.name)).toEqual([
      'greedy token agreement',
      'per-step KL divergence',
      'speed of a step by ONNX Runtime against our kernel (taken: our kernel)',
    ]);
    expect(worstLoss(report.measures)).toBeLessThan(0.2);
    expect(report.measures[1]!.value).toBeLessThan(0.01);
    expect(Number.parseInt(report.measures[0]!.over, 10)).toBeGreaterThan(300);
    expect(files['step.kernel']?.length).toBe(layOutStepImage(settings).sizeBytes);
    expect(graphs['prefill']?.weights.filter((weight) => weight.type === columnWeightsFor(runtime))).toHaveLength(
      2 * 4 + 1,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves steps to ONNX Runtime where that is faster', () => {
    const { report, graphs, files } = quantise(0);
    expect(report.measures[2]!.name).toContain('taken: ONNX Runtime');
    expect(report.measures[2]!.value).toBeGreaterThan(0);
    expect(worstLoss(report.measures)).toBeLessThan(0.2);
    expect(Object.keys(files)).toEqual([]);
    expect(Object.keys(graphs).sort()).toEqual(['prefill', 'prefill-adapters', 'step', 'step-adapters']);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('measures the divergence of two distributions in nats', () => {
    const [p, q] = [Float32Array.of(0, Math.log(3)), Float32Array.of(1, 1)];
    expect(klDivergence(p, q)).toBeCloseTo(0.25 * Math.log(0.5) + 0.75 * Math.log(1.5), 6);
    expect(klDivergence(p, p)).toBe(0);
  });
});
