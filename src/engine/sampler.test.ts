import { describe, expect, it } from 'vitest';
import { argMax, createSampler, type SamplingParameters, TokenHistory } from './sampler.js';

const PLAIN: SamplingParameters = { topK: null, topP: null, temperature: 1, repetitionPenalty: 1 };

function history(columns: number, ...tokens: number[]): TokenHistory {
  const result = new TokenHistory(columns);
  for (const token of tokens) result.add(token);
  return result;
}

function probabilities(
  logits: readonly number[],
  parameters: Partial<SamplingParameters>,
  ...seen: number[]
): number[] {
  const sampler = createSampler(logits.length);
  return [
    ...sampler.probabilities(Float32Array.from(logits), history(logits.length, ...seen), { ...PLAIN, ...parameters }),
  ];
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [index, value] of actual.entries())
    expect(Math.abs(value - (expected[index] ?? Number.NaN))).toBeLessThan(1e-6);
}

describe('probabilities', () => {
  it('are the softmax of the logits when nothing is asked for', () => {
    expectClose(probabilities([0, Math.log(2), Math.log(5)], {}), [1 / 8, 2 / 8, 5 / 8]);
  });

  it('are penalised once for each distinct token, and the logits keep the penalty', () => {
    const logits = Float32Array.of(2, -2, 1);
    createSampler(3).probabilities(logits, history(3, 0, 1, 0, 1), { ...PLAIN, repetitionPenalty: 2 });
    expect([...logits]).toEqual([1, -4, 1]);
  });

  it('ignore a penalised token whose column is cut off', () => {
    const logits = Float32Array.of(2, 1);
    createSampler(3).probabilities(logits, history(3, 2), { ...PLAIN, repetitionPenalty: 2 });
    expect([...logits]).toEqual([2, 1]);
  });

  it('lose the token that crosses top-p, but never the first', () => {
    const logits = [0.5, 0.3, 0.2].map(Math.log);
    expectClose(probabilities(logits, { topP: 0.6 }), [1, 0, 0]);
    expectClose(probabilities(logits, { topP: 0.85 }), [5 / 8, 3 / 8, 0]);
    expectClose(probabilities(logits, { topP: 0.01 }), [1, 0, 0]);
    expectClose(probabilities(logits, { topP: 1 }), [0.5, 0.3, 0.2]);
  });

  it('keep the lower tokens of those that tie at the end of top-p', () => {
    // Even chances of a fifth: 0.7 lets three of them through.
    expectClose(probabilities([1, 1, 1, 1, 1], { topP: 0.7 }), [1 / 3, 1 / 3, 1 / 3, 0, 0]);
  });

  it('apply top-p before the temperature', () => {
    // At temperature 10 the three are nearly even, and 0.85 would keep two of them in either order of operations;
    // at temperature 1 it keeps two, so a third one would show the wrong order.
    const kept = probabilities([0.5, 0.3, 0.2].map(Math.log), { topP: 0.85, temperature: 10 });
    expect(kept.map((value) => value > 0)).toEqual([true, true, false]);
    expect(Math.abs((kept[0] ?? 0) - 0.5)).toBeLessThan(0.02);
  });

  it('keep every token that ties with the last of top-k', () => {
    expectClose(probabilities([1, 3, 3, 3, 0], { topK: 2 }), [0, 1 / 3, 1 / 3, 1 / 3, 0]);
    expectClose(probabilities([1, 3, 2], { topK: 1 }), [0, 1, 0]);
    expectClose(probabilities([1, 1], { topK: 50 }), [0.5, 0.5]);
  });

  it('are the same for a top-k found by insertion and by sorting', () => {
    const logits = Float32Array.from({ length: 500 }, (_, index) => Math.sin(index * 12.9898) * 4);
    const ranked = [...logits].sort((a, b) => b - a);
    for (const topK of [1, 15, 64, 65, 400]) {
      const kept = probabilities([...logits], { topK }).filter((value) => value > 0).length;
      expect(kept).toBe([...logits].filter((value) => value >= (ranked[topK - 1] ?? 0)).length);
    }
  });

  it('survive a temperature of zero', () => {
    expectClose(probabilities([1, 2, 1.99], { temperature: 0 }), [0, 1, 0]);
  });
});

describe('a draw', () => {
  it('takes the largest probability over noise', () => {
    const sampler = createSampler(3);
    const noise = [1, 0.1, 5];
    const draw = () => sampler.sample(Float32Array.of(1, 0, 2), history(3), PLAIN, (token) => noise[token] ?? 1);
    expect(draw()).toBe(1);
    noise[1] = 1;
    expect(draw()).toBe(0);
  });

  it('asks for noise only where there is a chance', () => {
    const asked: number[] = [];
    createSampler(4).sample(Float32Array.of(1, 4, 2, 3), history(4), { ...PLAIN, topK: 2 }, (token) => {
      asked.push(token);
      return 1;
    });
    expect(asked).toEqual([1, 3]);
  });
});

it('argMax finds the first of the largest', () => {
  expect(argMax(Float32Array.of(1, 5, 5, 2))).toBe(1);
});
