import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/**
 * What a `Worker` is started with to run the module `name` beside `importer` (its `import.meta.url`). From source (tests,
 * development) a thread needs the TypeScript loader first: on Node 20 a worker does not take `--import` for it.
 */
export function threadEntry(importer: string, name: string): URL {
  if (!importer.endsWith('.ts')) return new URL(`./${name}.js`, importer);
  const loader = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/\.cjs$/, '.mjs'),
  ).href;
  const entry = new URL(`./${name}.ts`, importer).href;
  const code = `import { register } from ${JSON.stringify(loader)}; register(); await import(${JSON.stringify(entry)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
