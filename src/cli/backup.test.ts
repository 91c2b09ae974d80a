import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../test/fixtures/command-line.js';
import { copyEmbeddedTemplate, silentLog } from '../../test/fixtures/databases.js';
import { type PostgresServer, startPostgresServer } from '../../test/fixtures/postgres-server.js';
import { anchorChains } from '../audit/anchors.js';
import { loadConfig } from '../config.js';
import { createEngine } from '../engine/engine.js';
import { createApiKey, findKeyHolder, listApiKeys, rotateApiKey } from '../tenancy/api-keys.js';
import { operatorOf } from '../tenancy/caller.js';
import { createTenant, deleteTenant, listTenants } from '../tenancy/tenants.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import { openPoolKey } from '../vault/pool-key.js';
import { rotateTenantKey } from '../vault/rotation.js';
import { openPlatform, type Platform } from './platform.js';

let folder: string;
let server: PostgresServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-backup-'));
  server = await startPostgresServer();
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** An installation of its own: a data folder, and a database of the server or the embedded one. */
async function newPlace(kind: 'postgres' | 'pglite', name: string, { empty = false } = {}) {
  const dataDir = join(folder, `${kind}-${name}`);
  mkdirSync(dataDir, { recursive: true });
  if (kind === 'pglite' && !empty) await copyEmbeddedTemplate(dataDir);
  return {
    TIMBRE_DATA: dataDir,
    TIMBRE_MASTER_KEY_FILE: join(folder, `${kind}-key.json`),
    ...(kind === 'postgres' ? { TIMBRE_DATABASE_URL: await server.createDatabase() } : {}),
  };
}

function timbre(env: NodeJS.ProcessEnv, argv: string[], platform?: Platform) {
  return runCommand(argv, env, platform === undefined ? {} : { platform });
}

const bytesOf = async (platform: Platform, tenant: string, id: string) => {
  const parts: Buffer[] = [];
  for await (const bytes of (await platform.vault.open(tenant, id)).read()) parts.push(bytes);
  return Buffer.concat(parts).toString();
};

const source = async function* (text: string) {
  yield Buffer.from(text);
};

async function say(env: { readonly TIMBRE_DATA: string }): Promise<string> {
  const config = loadConfig({}, env);
  const fileKey = await openPoolKey(config.dataDir, await openMasterKeyFile(config.masterKeyFile, { create: false }));
  const engine = await createEngine({ dataDir: config.dataDir, threads: 1, fileKey });
  const request = { text: 'Hello.', voice: 'demo-en', language: 'en', speed: 1, seed: 5 } as const;
  let heard = '';
  for await (const { samples } of engine.synthesize(request)) {
    heard += Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
  }
  await engine.close();
  return heard;
}

describe.each(['pglite', 'postgres'] as const)('a backup of %s', (kind) => {
  it('taken beside a working server gives all of it back elsewhere, and nowhere that is taken', {
    timeout: 120_000,
  }, async () => {
    const env = await newPlace(kind, 'source');
    const platform = await openPlatform({ config: loadConfig({}, env), log: silentLog });
    const { database, vault, calls, masterKeys } = platform;
    const tenant = (await createTenant(database, { id: `bank-${randomUUID().slice(0, 8)}` })).id;
    const wanted = { name: 'app', scopes: ['speech'] as const, createdBy: 't' };
    const { key, secret } = await createApiKey(database, tenant, wanted);
    await rotateApiKey(database, tenant, key.id, { overlapMs: 3_600_000, createdBy: 't' });
    const old = await vault.put(tenant, 'recording', source('what was said'));
    await rotateTenantKey(database, masterKeys, tenant, { keys: vault.keys });
    const young = await vault.put(tenant, 'recording', source('x'.repeat(200_000)));
    const gone = (await createTenant(database, { id: `gone-${randomUUID().slice(0, 8)}` })).id;
    await calls.record(operatorOf(gone, 'o'), 'test.happened', { n: 0 });
    await deleteTenant(database, gone);
    const digestKey = await vault.digestKey(tenant);
    for (let n = 0; n < 700; n++) void calls.record(operatorOf(tenant, 'o'), 'test.happened', { n, name: '张三 "\\n' });
    await platform.audit.flush();
    const dataDir = String(env.TIMBRE_DATA);
    await anchorChains(database, { signingKey: masterKeys.signingKey, folder: join(dataDir, 'audit-anchors') });
    const heard = kind === 'pglite' ? await say(env) : '';

    // The server goes on: records are written, objects come and go.
    let working = true;
    const work = (async () => {
      for (let n = 0; working; n++) {
        await calls.record(operatorOf(tenant, 'o'), 'test.meanwhile', { n });
        const passing = await vault.put(tenant, 'recording', source(`passing ${n}`));
        await vault.remove(tenant, passing.id);
      }
    })();
    const backup = join(folder, `${kind}-backup`);
    expect(await timbre(env, ['backup', 'relative'], platform)).toMatchObject({ exit: 1 });
    const made = await timbre(env, ['backup', backup], platform);
    working = false;
    await work;
    expect(made).toMatchObject({ exit: 0, err: '' });
    expect(made.out).toContain(masterKeys.currentId);
    expect(await timbre(env, ['backup', backup], platform)).toMatchObject({
      exit: 1,
      err: expect.stringContaining('STORE_NOT_EMPTY'),
    });
    const everything = readdirSync(backup, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.gz'))
      .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'latin1'));
    expect(everything.join('').includes('what was said')).toBe(false);
    expect(
      everything.join('').includes(JSON.parse(readFileSync(String(env.TIMBRE_MASTER_KEY_FILE), 'utf8')).keys[0].key),
    ).toBe(false);

    const target = await newPlace(kind, 'target', { empty: true });
    const restored = await timbre(target, ['restore', backup]);
    expect(restored).toMatchObject({ exit: 0, err: '' });
    const again = await openPlatform({ config: loadConfig({}, target), log: silentLog });
    expect(await listTenants(again.database)).toEqual(await listTenants(database));
    expect(await listApiKeys(again.database, tenant)).toEqual(await listApiKeys(database, tenant));
    expect((await findKeyHolder(again.database, secret))?.tenantId).toBe(tenant);
    expect(await bytesOf(again, tenant, old.id)).toBe('what was said');
    expect(await bytesOf(again, tenant, young.id)).toHaveLength(200_000);
    expect((await again.vault.digestKey(tenant)).equals(digestKey)).toBe(true);
    await again.close();
    await platform.close();
    const verified = await timbre(target, ['audit', 'verify']);
    expect(verified).toMatchObject({
      exit: 0,
      out: expect.stringMatching(new RegExp(`${tenant}: 7\\d\\d records .* 1 anchors agree`)),
    });
    if (kind === 'pglite') expect(await say(target)).toBe(heard);

    // Not over anything, not without the master key, and not what was damaged.
    expect(await timbre(target, ['restore', backup])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('STORE_NOT_EMPTY'),
    });
    const keyless = {
      ...(await newPlace(kind, 'keyless', { empty: true })),
      TIMBRE_MASTER_KEY_FILE: join(folder, 'none.json'),
    };
    expect(await timbre(keyless, ['restore', backup])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('MASTER_KEY_MISSING'),
    });
    expect(existsSync(join(folder, 'none.json'))).toBe(false);
    appendFileSync(join(backup, 'tables.jsonl.gz'), 'x');
    const damaged = await newPlace(kind, 'damaged', { empty: true });
    expect(await timbre(damaged, ['restore', backup])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('BACKUP_INVALID'),
    });
    rmSync(join(backup, 'backup.json'));
    expect(await timbre(damaged, ['restore', backup])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('no whole backup'),
    });
    writeFileSync(join(backup, 'backup.json'), '{}');
    expect(await timbre(damaged, ['restore', backup])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('BACKUP_INVALID'),
    });
  });
});
