import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultReferenceFolder } from './reference.js';
import { compareText } from './text.js';

describe('the text front end against the reference', () => {
  it('meets every bar', { timeout: 300_000 }, async () => {
    const report = await compareText(defaultReferenceFolder());
    expect(report.skipped).toEqual([]);
    expect(report.checks.filter((check) => !check.passed)).toEqual([]);
    expect(report.checks.length).toBeGreaterThanOrEqual(12);
  });

  it('names what a folder lacks, reports differences, and fails a bar that is missed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'text-parity-'));
    try {
      const rows = [
        {
          id: 'a',
          text: 'All is well.',
          phones: ['AO1', 'L', 'IH1', 'Z', 'W', 'EH1', 'L', '.'],
          phone_ids: [16, 62, 55, 93, 91, 35, 62, 3],
        },
        { id: 'b', text: 'All is well.', phones: ['AO1', 'L'], phone_ids: [16, 62] },
      ];
      writeFileSync(join(folder, 'en.v2.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
      const report = await compareText(folder);
      expect(report.skipped).toContain('zh.v2.jsonl');
      expect(report.sections.map((section) => [section.name, section.rows, section.exact])).toEqual([['en v2', 2, 1]]);
      expect(report.sections[0]?.differences.map((difference) => difference.id)).toEqual(['b']);
      expect(report.checks.map((check) => check.passed)).toEqual([false]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses a folder without any reference file', async () => {
    await expect(compareText(tmpdir())).rejects.toThrow('no text reference data');
  });
});
