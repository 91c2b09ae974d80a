import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compileKernel, KERNELS } from '../scripts/build-kernels.js';

const folder = mkdtempSync(join(tmpdir(), 'timbre-kernels-'));

afterAll(() => rmSync(folder, { recursive: true }));

describe('the WebAssembly in the repository', () => {
  it.each(KERNELS)(
    '$module is what $source compiles to',
    async ({ source, module }) => {
      const outFile = join(folder, 'module.wasm');
      await compileKernel(source, outFile);
      expect(readFileSync(outFile).equals(readFileSync(module))).toBe(true);
    },
    60_000,
  );
});
