import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SRC = dirname(fileURLToPath(import.meta.url));

/** What each folder under src/ may import besides itself; `*.ts` directly under src/ (config, errors, …) by name. */
const ALLOWED: Record<string, readonly string[]> = {
  api: [],
  client: ['api'],
  text: ['config', 'errors'],
  audio: ['config', 'errors'],
  checkpoint: ['config', 'errors'],
  onnx: ['config', 'errors'],
  models: ['onnx', 'checkpoint', 'errors'],
  engine: ['text', 'audio', 'models', 'onnx', 'checkpoint', 'config', 'errors', 'log', 'metrics', 'thread-entry'],
  jobs: ['api', 'config', 'errors', 'log', 'metrics'],
  store: ['api', 'config', 'errors', 'log', 'thread-entry'],
  audit: ['store', 'api', 'config', 'errors', 'log', 'metrics', 'sha256'],
  vault: ['store', 'api', 'config', 'errors', 'log', 'metrics'],
  tenancy: ['audit', 'store', 'api', 'config', 'errors', 'log', 'metrics', 'recall', 'iso-time', 'sha256'],
  catalog: ['tenancy', 'audit', 'vault', 'store', 'api', 'config', 'errors', 'log', 'metrics', 'recall'],
  worker: ['engine', 'jobs', 'store', 'api', 'audio', 'config', 'errors', 'log', 'metrics', 'shutdown'],
  gateway: [
    'jobs',
    'store',
    'tenancy',
    'vault',
    'audit',
    'catalog',
    'api',
    'audio',
    'config',
    'errors',
    'log',
    'metrics',
    'recall',
    'shutdown',
  ],
  cli: [
    'engine',
    'gateway',
    'jobs',
    'worker',
    'store',
    'tenancy',
    'vault',
    'audit',
    'catalog',
    'api',
    'audio',
    'text',
    'checkpoint',
    'models',
    'config',
    'errors',
    'log',
    'metrics',
    'shutdown',
  ],
};

/** Packages that only one file or folder may import. */
const RESERVED: Record<string, RegExp> = {
  koffi: /^engine\/onnxruntime\.ts$/,
  'onnxruntime-node': /^engine\/onnxruntime\.ts$/,
  fastify: /^gateway\//,
  pg: /^store\/postgres\.ts$/,
  '@electric-sql': /^store\/embedded-thread\.ts$/,
  aws4fetch: /^store\//,
  jose: /^tenancy\/people\.ts$/,
};

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return /\.ts$/.test(entry.name) && !/\.test\.ts$/.test(entry.name) ? [path] : [];
  });
}

function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  return [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)['"]([^'"]+)['"]/g)].map((match) => match[1] ?? '');
}

describe('import rules', () => {
  const files = sourceFiles(SRC);

  it('finds the source', () => {
    expect(files.length).toBeGreaterThan(5);
  });

  it('keeps every folder within the folders it may import', () => {
    const violations: string[] = [];
    for (const file of files) {
      const from = relative(SRC, file);
      const folder = from.includes('/') ? (from.split('/')[0] ?? '') : null;
      for (const specifier of importsOf(file)) {
        if (!specifier.startsWith('.')) {
          const reserved = RESERVED[specifier.split('/')[0] ?? ''];
          if (reserved && !reserved.test(from)) violations.push(`${from} imports the package ${specifier}`);
          if ((folder === 'api' || folder === 'client') && specifier.startsWith('node:'))
            violations.push(`${from} imports ${specifier}`);
          continue;
        }
        if (folder === null) continue;
        const to = relative(SRC, resolve(dirname(file), specifier));
        const target = to.includes('/') ? (to.split('/')[0] ?? '') : to.replace(/\.(js|ts)$/, '');
        if (target !== folder && !ALLOWED[folder]?.includes(target)) violations.push(`${from} imports ${to}`);
      }
    }
    expect(violations).toEqual([]);
  });

  it('knows every folder under src/', () => {
    const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map((entry) => entry.name).filter((name) => !(name in ALLOWED))).toEqual([]);
  });
});
