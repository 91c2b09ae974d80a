import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    // `--changed` runs everything when dependencies change, not for every script in package.json.
    forceRerunTriggers: ['**/package-lock.json'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/reporters/closing-line.ts'],
    pool: 'forks',
    maxWorkers: 2,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      // AssemblyScript is not TypeScript, and runs as WebAssembly.
      exclude: ['src/**/*.test.ts', 'src/**/assembly/**'],
      reporter: ['text-summary', 'json-summary'],
      thresholds: { lines: 85 },
    },
  },
});
