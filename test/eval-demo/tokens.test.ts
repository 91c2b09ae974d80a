import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkModelFolder } from '../../scripts/eval-demo/demo-model.js';
import { readHeldOut } from '../../scripts/eval-demo/recordings.js';
import { endingTexts, HELD_OUT_PROMPTS, MANDARIN, OWN_ENGLISH } from '../../scripts/eval-demo/texts.js';
import { hasLoop, tokenFigures } from '../../scripts/eval-demo/token-statistics.js';

const sequence = (length: number, period: number) => Array.from({ length }, (_, i) => i % period);

it('calls a second of repetition a loop, and a pause or a once repeated word not', () => {
  expect(hasLoop(sequence(100, 100))).toBe(false);
  expect(hasLoop([...sequence(20, 100), ...sequence(36, 12)])).toBe(true);
  expect(hasLoop(sequence(24, 12))).toBe(false);
  expect(hasLoop([1, 2, ...Array.from({ length: 12 }, () => 5), 3])).toBe(false);
  expect(hasLoop(Array.from({ length: 25 }, () => 5))).toBe(true);
});

it('counts endings, loops and what is much too short', () => {
  const run = (length: number, ended: boolean) => ({ tokens: sequence(length, 1000), phonemes: 10, ended });
  const figures = tokenFigures([run(30, true), run(28, true), run(32, true), run(8, true), run(150, false)]);
  expect(figures).toMatchObject({ sentences: 5, endedShare: 0.8, loops: 0, omissions: 1, tokensPerPhoneme: 3 });
});

it('asks for 200 different sentences, and 20 of each kind that are measured', () => {
  const texts = endingTexts();
  expect(texts).toHaveLength(200);
  expect(new Set(texts.map(({ text }) => text)).size).toBe(200);
  expect(texts.filter(({ text }) => text.includes('{}'))).toEqual([]);
  expect(HELD_OUT_PROMPTS).toHaveLength(20);
  expect(MANDARIN).toHaveLength(20);
  expect(OWN_ENGLISH.length).toBeGreaterThanOrEqual(10);
});

it('measures only prompts that the recipe holds out', () => {
  const { arcticPrompts, mandarinWords } = readHeldOut();
  for (const [key] of HELD_OUT_PROMPTS) expect(arcticPrompts.has(key)).toBe(true);
  expect(new Set(mandarinWords).size).toBe(88);
});

it('says what a candidate folder lacks', () => {
  expect(() => checkModelFolder('no-such-folder')).toThrow(/lacks s1\.ckpt, .*demo-voice\.json;/);
  expect(() => checkModelFolder(join(import.meta.dirname, '../../demo-voice'))).not.toThrow();
});
