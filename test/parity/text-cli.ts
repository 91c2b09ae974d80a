import { parseArgs } from 'node:util';
import { defaultReferenceFolder } from './reference.js';
import { compareText, percent, type TextSection } from './text.js';

/**
 * `npm run parity:text -- [DIR] [--json] [--all]`: the text front end against a folder of reference data; exact-sequence
 * and phone accuracy per language and version, the differences where none is expected (with `--all` every one), and
 * `N passed, N failed` over the bars.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, all: { type: 'boolean' } },
});

const report = await compareText(positionals[0] ?? defaultReferenceFolder());
const failed = report.checks.filter((check) => !check.passed).length;
const passed = report.checks.length - failed;

if (values.json) console.log(JSON.stringify({ ...report, passed, failed }, null, 2));
else {
  for (const section of report.sections) print(section);
  for (const file of report.skipped) console.log(`skipped ${file}: not in this folder`);
  console.log('');
  for (const check of report.checks) console.log(`${check.passed ? 'ok  ' : 'FAIL'} ${check.name}: ${check.detail}`);
  console.log(`\n${passed} passed, ${failed} failed`);
}
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function print(section: TextSection): void {
  const phones = (share: number | null) => (share === null ? '' : `, phones ${percent(share)}`);
  console.log(
    `${section.name}: all ${section.exact} of ${section.rows} exact (${percent(section.exact / section.rows)})${phones(section.phoneAccuracy)}`,
  );
  if (section.plainRows < section.rows) {
    console.log(
      `    must agree: ${section.plainExact} of ${section.plainRows} (${percent(section.plainExact / Math.max(1, section.plainRows))})${phones(section.plainPhoneAccuracy)}`,
    );
    const reasons = Object.entries(section.reasons).sort(([, a], [, b]) => b.rows - a.rows);
    for (const [reason, { rows, exact }] of reasons) console.log(`    apart, ${reason}: ${exact} of ${rows} exact`);
  }
  for (const difference of section.differences) {
    if (difference.reason !== null && !values.all) continue;
    console.log(
      `  - ${difference.id}${difference.reason === null ? '' : ` (${difference.reason})`} ${difference.text}`,
    );
    console.log(`      expected ${difference.expected}`);
    console.log(`      actual   ${difference.actual}`);
  }
}
