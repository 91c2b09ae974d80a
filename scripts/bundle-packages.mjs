// Bundles packages of hundreds of files into one file each beside the compiled code, and points its imports there: loading
// typebox file by file takes half of the time a command needs to start.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

const PACKAGES = { typebox: 'typebox', 'typebox/value': 'typebox-value', 'typebox/compile': 'typebox-compile' };
const FOLDER = 'dist/packages';

await build({
  entryPoints: Object.fromEntries(Object.entries(PACKAGES).map(([specifier, name]) => [name, specifier])),
  outdir: FOLDER,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  legalComments: 'inline',
});

for (const entry of readdirSync('dist', { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath ?? entry.path, entry.name);
  if (!entry.isFile() || !file.endsWith('.js') || file.startsWith(FOLDER)) continue;
  const code = readFileSync(file, 'utf8');
  const bundled = code.replace(/(\bfrom )'(typebox(?:\/(?:value|compile))?)'/g, (_, from, specifier) => {
    const path = relative(dirname(file), join(FOLDER, `${PACKAGES[specifier]}.js`));
    return `${from}'${path.startsWith('.') ? path : `./${path}`}'`;
  });
  if (bundled !== code) writeFileSync(file, bundled);
}
