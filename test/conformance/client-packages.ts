import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Kept between runs; not among our own dependencies, since ElevenLabs's client alone is 100 MB. */
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/timbre-clients/', import.meta.url));

/** Loads a package from the npm registry, installed beside ours at this very version. */
export async function loadNodeClient(name: string, version: string): Promise<Record<string, unknown>> {
  const folder = join(FOLDER, `${name.replaceAll('/', '-')}-${version}`);
  const done = join(folder, 'installed');
  if (!existsSync(done)) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    await run(npm, ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-save', `${name}@${version}`], {
      cwd: folder,
    });
    await writeFile(done, '');
  }
  const require = createRequire(join(folder, 'package.json'));
  return require(name) as Record<string, unknown>;
}

/** The interpreter of a virtual environment that has these packages from the Python registry. */
export async function pythonWith(...requirements: readonly string[]): Promise<string> {
  const folder = join(FOLDER, `python-${requirements.join('-').replaceAll(/[^\w.-]/g, '_')}`);
  const python = join(folder, 'bin', 'python');
  const done = join(folder, 'installed');
  if (!existsSync(done)) {
    await mkdir(FOLDER, { recursive: true });
    await run('python3', ['-m', 'venv', folder]);
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements]);
    await writeFile(done, '');
  }
  return python;
}

export { run };
