import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from '../../test/fixtures/command-line.js';
import { copyEmbeddedTemplate, silentLog } from '../../test/fixtures/databases.js';
import { createEngine } from '../../test/fixtures/scripted-engine.js';
import { loadConfig } from '../config.js';
import type { Engine } from '../engine/engine-types.js';
import { createTenant } from '../tenancy/tenants.js';
import { openPlatform, type Platform } from './platform.js';

/** Lexicons and adapters of tenants from the command line, as a running server carries the commands out. */
let folder: string;
let env: NodeJS.ProcessEnv;
let platform: Platform;
let engine: Engine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-tenant-cli-'));
  env = { TIMBRE_DATA: join(folder, 'data'), TIMBRE_MASTER_KEY_FILE: join(folder, 'key.json') };
  await copyEmbeddedTemplate(join(folder, 'data'));
  platform = await openPlatform({ config: loadConfig({}, env), log: silentLog });
  engine = await createEngine({ dataDir: join(folder, 'engine') });
  await createTenant(platform.database, { id: 'acme' });
  writeFileSync(join(folder, 'calm.safetensors'), 'an adapter');
  writeFileSync(join(folder, 'unfit.safetensors'), 'unfit');
  writeFileSync(join(folder, 'words.csv'), 'AI,zh,replacement,人工智能\n');
  writeFileSync(join(folder, 'bad.csv'), '行,zh,pinyin,xyz9\nAI,zh,replacement,人工智能\n');
});

afterAll(async () => {
  await engine.close();
  await platform.close();
  rmSync(folder, { recursive: true, force: true });
});

function timbre(...argv: string[]) {
  return runCommand([...argv, '--tenant', 'acme'], env, { platform, engine, cwd: folder });
}

it('keeps adapters of a tenant, and puts them on record', async () => {
  expect(await timbre('adapter', 'add', 'calm', 'calm.safetensors')).toEqual({
    exit: 0,
    out: 'added calm@1 for acme: text-to-semantic, rank 4\n',
    err: '',
  });
  expect((await timbre('adapter', 'add', 'calm', 'calm.safetensors')).out).toContain('calm@2');
  for (const [file, code] of [
    ['unfit.safetensors', 'CHECKPOINT_UNSUPPORTED'],
    ['none.safetensors', 'CHECKPOINT_NOT_FOUND'],
  ] as const) {
    expect(await timbre('adapter', 'add', 'calm', file)).toMatchObject({ exit: 1, err: expect.stringContaining(code) });
  }
  const listed = await timbre('adapter', 'list', '--json');
  expect(JSON.parse(listed.out)).toMatchObject([{ name: 'calm', version: 2, text2semanticRank: 4, sizeBytes: 10 }]);
  expect((await timbre('adapter', 'list')).out).toMatch(/calm +2 +scripted +text-to-semantic, rank 4 +10/);
  const reference = await platform.adapters.named('acme', 'calm');
  expect(Buffer.from(await platform.adapters.load(reference)).toString()).toBe('an adapter');
  expect((await timbre('adapter', 'remove', 'calm')).out).toBe('removed calm of acme\n');
  expect(await timbre('adapter', 'remove', 'calm')).toMatchObject({
    exit: 1,
    err: expect.stringContaining('NOT_FOUND'),
  });
  await platform.audit.flush();
  const { rows } = await platform.database.asTenant('acme', (sql) =>
    sql.query<{ type: string }>("SELECT type FROM audit_records WHERE type LIKE 'adapter.%' ORDER BY seq"),
  );
  expect(rows.map(({ type }) => type.replace('adapter.', ''))).toEqual([
    'stored.started',
    'stored.ended',
    'stored.started',
    'stored.ended',
    'removed.started',
    'removed.ended',
    'removed.started',
    'removed.ended',
  ]);
});

it.each([
  ['adapter', 'list'],
  ['lexicon', 'list'],
  ['voice', 'list'],
  ['consent', 'list'],
  ['admin', 'usage'],
])('says of %s %s that there is no such tenant, rather than that it has nothing', async (...argv) => {
  const outcome = await runCommand([...argv, '--tenant', 'nobody'], env, { platform, engine });
  expect(outcome).toMatchObject({ exit: 1, out: '', err: expect.stringContaining('TENANT_NOT_FOUND') });
});

it('keeps lexicons of a tenant, exports and removes them', async () => {
  expect((await timbre('lexicon', 'import', 'default', 'words.csv')).out).toBe(
    'imported default for acme, version 1, 1 entries\n',
  );
  const refused = await timbre('lexicon', 'import', 'default', 'bad.csv');
  expect(refused).toMatchObject({ exit: 1, err: expect.stringContaining('line 1:') });
  expect((await timbre('lexicon', 'import', 'default', 'bad.csv', '--skip-invalid')).out).toContain('version 2');
  expect((await timbre('lexicon', 'list')).out).toMatch(/default +2 +2/);
  expect((await timbre('lexicon', 'export', 'default', '--version-number', '1')).out).toContain(
    'AI,zh,replacement,人工智能',
  );
  await timbre('lexicon', 'export', 'default', '--format', 'pls', '--lang', 'zh', '-o', 'words.pls');
  expect(readFileSync(join(folder, 'words.pls'), 'utf8')).toContain('<grapheme>AI</grapheme>');
  expect((await timbre('lexicon', 'remove', 'default')).out).toBe('removed default of acme\n');
  expect(await platform.lexicons.list('acme')).toEqual([]);
});
