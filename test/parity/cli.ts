import { parseArgs } from 'node:util';
import { type CaseResult, runCases } from './harness.js';
import { defaultReferenceFolder, openReference } from './reference.js';
import { RUNNERS } from './runners.js';
import { isOfThisVersionSet } from './version-set.js';

/**
 * `npm run parity -- [DIR] [--only PREFIX] [--verbose]`: every case of a folder of reference data through the product's
 * own code; prints the worst deviation per tensor family and closes with `N passed, N failed`.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, verbose: { type: 'boolean' }, json: { type: 'boolean' } },
});

const reference = openReference(positionals[0] ?? defaultReferenceFolder());
const wanted = reference.cases.filter((testCase) => testCase.name.startsWith(values.only ?? ''));
const covered = wanted.filter(isOfThisVersionSet);
const results = await runCases(covered, reference, RUNNERS);

if (values.json) console.log(JSON.stringify(results, replaceInfinity, 2));
else for (const result of results) print(result);
const others = wanted.length - covered.length;
if (others > 0 && !values.json)
  console.log(`\n${others} cases of v3 and v4 are not of this version set and were not run`);

const failed = results.filter((result) => !result.passed).length;
if (!values.json) console.log(`\n${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 && results.length > 0 ? 0 : 1;

function print(result: CaseResult): void {
  const worst = [...result.comparisons].sort((a, b) => ratio(b) - ratio(a));
  const mark = result.passed ? 'ok  ' : 'FAIL';
  const first = worst[0];
  const summary = first
    ? `${result.comparisons.length} tensors, worst ${first.tensor} ${first.deviation.toExponential(1)} of ${first.tolerance}`
    : '';
  console.log(`${mark} ${result.name.padEnd(28)} ${summary}`);
  if (result.error) console.log(`       ${result.error.split('\n').join('\n       ')}`);
  for (const comparison of values.verbose ? worst : worst.filter((entry) => entry.deviation > entry.tolerance)) {
    const note = comparison.note ? ` (${comparison.note})` : '';
    console.log(
      `       ${comparison.tensor}: ${comparison.deviation.toExponential(2)} of ${comparison.tolerance}${note}`,
    );
  }
}

function ratio(comparison: { readonly deviation: number; readonly tolerance: number }): number {
  if (comparison.tolerance > 0) return comparison.deviation / comparison.tolerance;
  return comparison.deviation > 0 ? Infinity : 0;
}

function replaceInfinity(_key: string, value: unknown): unknown {
  return value === Infinity ? 'Infinity' : value;
}
