/**
 * From the start of a process to its first audio byte: `timbre say` to a pipe, from a build of the sources as it is shipped,
 * page cache warm. Beside it, the start of a Node that does nothing.
 *
 *     npm run bench -- start [--starts N] [--data DIR --voice NAME] [--text TEXT] [--language en] [--json]
 *
 * On the demo model unless --data names a folder with another. Prints the median and the best of the starts, and the
 * processor time of a whole run.
 */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { environment, median, REPOSITORY, round } from './figures.js';

const { values: flags } = parseArgs({
  options: {
    starts: { type: 'string', default: '7' },
    data: { type: 'string' },
    voice: { type: 'string', default: 'demo' },
    text: { type: 'string', default: '您好。' },
    language: { type: 'string', default: 'zh' },
    json: { type: 'boolean', default: false },
  },
});

const WAV_HEADER_BYTES = 44;
mkdirSync(join(REPOSITORY, '.timbre'), { recursive: true });
// An installation inside the repository, so that packages resolve; apart from dist/, which may be running.
const installation = mkdtempSync(join(REPOSITORY, '.timbre/bench-start-'));
const build = join(installation, 'dist');
const dataDir = flags.data ?? mkdtempSync(join(tmpdir(), 'timbre-start-'));
try {
  for (const beside of ['demo-voice', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts', 'src']) {
    cpSync(join(REPOSITORY, beside), join(installation, beside), { recursive: true });
  }
  execFileSync('npm', ['run', '-s', 'build'], { cwd: installation, stdio: 'inherit' });
  await firstByte(); // imports, and warms the page cache
  const times: number[] = [];
  const bare: number[] = [];
  for (let start = 0; start < Number(flags.starts); start++) {
    times.push(await firstByte());
    const begin = performance.now();
    execFileSync(process.execPath, ['-e', '0']);
    bare.push(performance.now() - begin);
  }
  const result = {
    ...environment(),
    voice: flags.voice,
    first_audio_byte_median_ms: round(median(times)),
    first_audio_byte_best_ms: round(Math.min(...times)),
    bare_node_median_ms: round(median(bare)),
  };
  process.stdout.write(`${flags.json ? JSON.stringify(result) : JSON.stringify(result, null, 2)}\n`);
} finally {
  rmSync(installation, { recursive: true, force: true });
  if (flags.data === undefined) rmSync(dataDir, { recursive: true, force: true });
}

/** Milliseconds until the first byte behind the header. */
async function firstByte(): Promise<number> {
  const start = performance.now();
  const args = ['say', flags.text, '--voice', flags.voice, '--lang', flags.language, '--seed', '1', '-o', '-'];
  const child = spawn(process.execPath, [join(build, 'cli.js'), ...args, '--data', dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let bytes = 0;
  let firstMs = Number.NaN;
  for await (const piece of child.stdout) {
    bytes += (piece as Buffer).length;
    if (bytes > WAV_HEADER_BYTES && Number.isNaN(firstMs)) firstMs = performance.now() - start;
  }
  if (Number.isNaN(firstMs)) throw new Error('the process made no audio');
  return firstMs;
}
