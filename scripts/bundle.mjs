// Bundles what a process or thread loads at its start into a few files (<dist>/bundle), and makes its entry one that loads
// them: finding and reading some two hundred modules one by one takes longer than a small model takes to load.
//
//     node scripts/bundle.mjs [dist]
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const dist = resolve(process.argv[2] ?? 'dist');
const bundle = join(dist, 'bundle');
/** What is started, or imported by its path. */
const ENTRIES = ['cli', 'engine/process', 'engine/engine', 'engine/inference-thread', 'store/embedded-thread'];
/** Of these, what is imported for what it exports. */
const IMPORTED = new Set(['engine/engine']);
/** A package of hundreds of files; the others are loaded as they were installed. */
const BUNDLED = /^typebox(\/|$)/;

const nameOf = (entry) => entry.replaceAll('/', '-');

await build({
  entryPoints: Object.fromEntries(ENTRIES.map((entry) => [nameOf(entry), join(dist, `${entry}.js`)])),
  outdir: bundle,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  legalComments: 'inline',
  logLevel: 'warning',
  plugins: [
    {
      name: 'timbre',
      setup({ onResolve, onLoad }) {
        onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
          kind === 'entry-point' || BUNDLED.test(path) ? undefined : { path, external: true },
        );
        // A module finds its data, and its threads, by where it is: that is where it was, not where the bundle is.
        onLoad({ filter: /\.js$/ }, ({ path }) => {
          if (!path.startsWith(dist)) return undefined;
          const place = JSON.stringify(relative(bundle, path));
          const code = readFileSync(path, 'utf8').replaceAll(
            'import.meta.url',
            `new URL(${place}, import.meta.url).href`,
          );
          return { contents: code, loader: 'js' };
        });
      },
    },
  ],
});

for (const entry of ENTRIES) {
  const file = join(dist, `${entry}.js`);
  const shebang = /^#!.*\n/.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
  const path = fromEntry(file, join(bundle, `${nameOf(entry)}.js`));
  writeFileSync(file, shebang + (IMPORTED.has(entry) ? `export * from '${path}';\n` : loadCached(file, path)));
}

/**
 * Loads a module with what V8 compiled of it kept beside the bundle, for the next start; Node 22 and later can. Not in a folder
 * that others may write to: what lies there is run.
 */
function loadCached(file, path) {
  return `import module from 'node:module';
import { fileURLToPath } from 'node:url';
module.enableCompileCache?.(fileURLToPath(new URL('${fromEntry(file, join(dist, 'compile-cache'))}', import.meta.url)));
await import('${path}');
`;
}

function fromEntry(file, target) {
  const path = relative(dirname(file), target).replaceAll('\\', '/');
  return path.startsWith('.') ? path : `./${path}`;
}
