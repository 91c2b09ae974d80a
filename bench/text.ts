/**
 * The text front end by itself: cold load of Chinese with English, a warm sentence of 30 Chinese characters, the first
 * sentence and the memory of a document of 100,000 characters with all languages loaded.
 *
 *     npm run bench -- text [--json]
 *
 * Runs the compiled JavaScript in processes of their own, started like the engine's; exits with 1 where a bar is missed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENGINE_V8_FLAGS } from '../src/engine/engine-child.js';
import { environment, median, REPOSITORY, round } from './figures.js';

interface Bar {
  readonly what: string;
  readonly unit: string;
  readonly most: number;
  readonly measured: number;
}

const compiled = mkdtempSync(join(tmpdir(), 'timbre-bench-text-'));
try {
  compile(compiled);
  const cold = Array.from({ length: 5 }, () => run('cold'));
  const warm = run('warm');
  const document = run('document');
  const bars: Bar[] = [
    { what: 'cold load, Chinese with English', unit: 'ms', most: 400, measured: median(cold.map(({ ms }) => ms ?? 0)) },
    { what: '30 Chinese characters, warm, median', unit: 'ms', most: 1, measured: warm['median'] ?? 0 },
    { what: '30 Chinese characters, warm, p99', unit: 'ms', most: 3, measured: warm['p99'] ?? 0 },
    { what: 'first sentence of 100,000 characters', unit: 'ms', most: 20, measured: document['first'] ?? 0 },
    { what: 'resident, all languages and the document', unit: 'MB', most: 150, measured: document['resident'] ?? 0 },
  ];
  const rest = {
    ...environment(),
    'processor time of the cold load, ms': median(cold.map(({ cpu }) => cpu ?? 0)),
    ...warm,
    ...document,
  };
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ bars, ...rest }, null, 2)}\n`);
  else {
    for (const { what, unit, most, measured } of bars) {
      process.stdout.write(
        `${what.padEnd(44)} ${round(measured, 2)} ${unit} (at most ${most})${measured > most ? '  MISSED' : ''}\n`,
      );
    }
    for (const [name, value] of Object.entries(rest)) process.stdout.write(`  ${name}: ${value}\n`);
  }
  if (bars.some(({ measured, most }) => measured > most)) process.exitCode = 1;
} finally {
  rmSync(compiled, { recursive: true, force: true });
}

function compile(folder: string): void {
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json', '--outDir', folder], { cwd: REPOSITORY, stdio: 'inherit' });
  const text = join(REPOSITORY, 'src', 'text');
  for (const { name } of readdirSync(text, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const data = join(text, name, 'data');
    if (existsSync(data)) cpSync(data, join(folder, 'text', name, 'data'), { recursive: true });
  }
}

function run(what: string): Record<string, number> {
  const child = fileURLToPath(new URL('./text-process.mjs', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [...ENGINE_V8_FLAGS, child, what, compiled], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the measurement of "${what}" failed: ${stderr}`);
  return JSON.parse(stdout) as Record<string, number>; // our own process's output
}
