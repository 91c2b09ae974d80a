import { afterAll, describe, expect, it } from 'vitest';
import { runCases } from './harness.js';
import { openReference } from './reference.js';
import { RUNNERS } from './runners.js';
import { isOfThisVersionSet } from './version-set.js';

const reference = openReference();
const cases = reference.cases.filter(isOfThisVersionSet);

describe('equals the reference implementation', () => {
  const run: string[] = [];

  for (const testCase of cases) {
    it(testCase.name, async () => {
      const [result] = await runCases([testCase], reference, RUNNERS);
      run.push(testCase.name);
      expect(result?.error ?? null).toBeNull();
      expect(result?.comparisons.filter(({ deviation, tolerance }) => !(deviation <= tolerance))).toEqual([]);
      expect(result?.passed).toBe(true);
    });
  }

  afterAll(() => {
    expect(run.length).toBeGreaterThan(40);
  });
});
