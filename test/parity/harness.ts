import { type CaseArray, type ManifestCase, type ReferenceData, toleranceOf } from './reference.js';

/** One tensor held against the reference. */
export interface Comparison {
  readonly tensor: string;
  /** Largest absolute difference; Infinity when the shapes differ or a value is not finite. */
  readonly deviation: number;
  readonly tolerance: number;
  readonly note?: string;
}

/**
 * Runs one case through the product's own code and compares every tensor that can be compared. Registered by the first
 * part of the case's name (`t2s`, `s2`, …) in `runners.ts`.
 */
export type CaseRunner = (testCase: ManifestCase, reference: ReferenceData) => Promise<Comparison[]>;

export interface CaseResult {
  readonly name: string;
  readonly comparisons: readonly Comparison[];
  readonly error: string | null;
  readonly passed: boolean;
}

/** Compares values in order; use it for floats within the case's tolerance and, with tolerance 0, for ids. */
export function compare(
  testCase: ManifestCase,
  tensor: string,
  actual: ArrayLike<number>,
  expected: CaseArray | readonly number[],
  tolerance = toleranceOf(testCase, tensor),
): Comparison {
  if (actual.length !== expected.length) {
    return { tensor, deviation: Infinity, tolerance, note: `${actual.length} values, expected ${expected.length}` };
  }
  let deviation = 0;
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs((actual[index] as number) - (expected[index] as number));
    // NaN compares false with everything, so the negation catches it.
    if (!(difference <= deviation)) deviation = Number.isNaN(difference) ? Infinity : difference;
  }
  return { tensor, deviation, tolerance };
}

/** As {@link compare} for 16-bit samples that wrap: full scale, which is cast to −32768, lies one unit above 32767. */
export function compareInt16(
  testCase: ManifestCase,
  tensor: string,
  actual: Int16Array,
  expected: CaseArray,
): Comparison {
  if (actual.length !== expected.length) return compare(testCase, tensor, actual, expected);
  const apart = Int16Array.from(actual, (value, index) => value - (expected[index] ?? 0)); // the cast wraps
  return compare(testCase, tensor, apart, new Int16Array(apart.length));
}

/** Runs cases one after another; an exception fails its case and no other. */
export async function runCases(
  cases: readonly ManifestCase[],
  reference: ReferenceData,
  runners: Readonly<Record<string, CaseRunner>>,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const testCase of cases) results.push(await runCase(testCase, reference, runners));
  return results;
}

async function runCase(
  testCase: ManifestCase,
  reference: ReferenceData,
  runners: Readonly<Record<string, CaseRunner>>,
): Promise<CaseResult> {
  const family = testCase.name.split('/')[0] ?? '';
  const runner = runners[family];
  try {
    if (!runner) throw new Error(`no runner for cases of the family "${family}"`);
    const comparisons = await runner(testCase, reference);
    if (comparisons.length === 0) throw new Error('the case compared nothing');
    const passed = comparisons.every((comparison) => comparison.deviation <= comparison.tolerance);
    return { name: testCase.name, comparisons, error: null, passed };
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { name: testCase.name, comparisons: [], error: message, passed: false };
  }
}
