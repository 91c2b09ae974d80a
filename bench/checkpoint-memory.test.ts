import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

describe('reading a checkpoint', () => {
  it('needs little more memory than its tensors', () => {
    const script = fileURLToPath(new URL('checkpoint-memory.ts', import.meta.url));
    const output = execFileSync(process.execPath, ['--import', 'tsx', script, '--megabytes', '120'], {
      encoding: 'utf8',
    });
    const besides = [...output.matchAll(/(-?\d+) MB besides the tensors/g)].map((match) => Number(match[1]));
    expect(besides).toHaveLength(4);
    // A copy of the file would be 120 MB; measured are -3 to 2, and the rest is for the garbage collector's moods.
    for (const megabytes of besides) expect(megabytes).toBeLessThan(40);
  });
});
