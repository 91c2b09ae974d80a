import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases, insertTenant } from '../../test/fixtures/databases.js';
import { FolderObjects } from '../store/folder-objects.js';
import { dumpTables } from '../store/table-dump.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import { operatorOf } from '../tenancy/caller.js';
import { deleteTenant } from '../tenancy/tenants.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import { rotateTenantKey } from '../vault/rotation.js';
import { Vault } from '../vault/vault.js';
import { LexiconCatalog } from './lexicons.js';
import { sweepOrphans } from './orphans.js';

/** Without records, which tests of the gateway look at. */
const calls = { act: (_caller, _type, _details, work) => work() } as CallLedger;

describeDatabases('the lexicons of a tenant', (get) => {
  let folder: string;
  let vault: Vault;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'timbre-lexicons-'));
    const masterKeys = await openMasterKeyFile(join(folder, 'master.json'), { create: true });
    vault = new Vault({ database: get().database, objects: new FolderObjects(join(folder, 'objects')), masterKeys });
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const dumped = async (table: string): Promise<string[]> => {
    const all: string[] = [];
    await dumpTables(get().database, async (piece) => {
      if (piece.table === table) all.push(...piece.rows);
    });
    return all;
  };

  it('are encrypted, and readable after a rotation and beside the sweep of what nobody names', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'sealed');
    const caller = operatorOf(tenant, 'test');
    const lexicons = new LexiconCatalog({ database, calls, vault });
    const text = 'Mittermayr,,,mitt@mire';
    await lexicons.store(caller, 'default', text, 1);
    expect((await dumped('lexicon_versions')).join().includes('Mittermayr')).toBe(false);
    await rotateTenantKey(database, await openMasterKeyFile(join(folder, 'master.json'), { create: false }), tenant, {
      keys: vault.keys,
    });
    expect(await sweepOrphans(database, vault, tenant, { olderThanHours: 0 })).toBe(0);
    expect((await lexicons.read(tenant, 'default')).text).toBe(text);
    await lexicons.remove(caller, 'default');
    expect((await dumped('vault_objects')).filter((row) => row.includes(tenant) && row.includes('row-'))).toEqual([]);
  });

  it('of an earlier release are encrypted at the next start, as they were, once however many servers start', async () => {
    const { database, dataDir } = get();
    const tenant = await insertTenant(database, 'plain');
    const secret = 'Oberhummer,,,an uncommon name';
    await database.asTenant(tenant, (sql) =>
      sql.query(
        `INSERT INTO lexicon_versions (tenant_id, name, version, body, digest, entries, created_at, created_by)
         SELECT $1, 'default', version, $2, 'd', 7, '2026-01-01', 't' FROM generate_series(2, 4) version`,
        [tenant, secret],
      ),
    );
    const servers = [0, 1].map(() => new LexiconCatalog({ database, calls, vault }));
    const before = await servers[0]!.versions(tenant, 'default');
    const counts = await Promise.all(servers.map((server) => server.sealPlain()));
    expect(counts[0]! + counts[1]!).toBe(3);
    expect(await servers[0]!.sealPlain()).toBe(0);
    expect(await servers[0]!.versions(tenant, 'default')).toEqual(before);
    expect(await servers[0]!.read(tenant, 'default', 3)).toMatchObject({ text: secret, entries: 7, createdBy: 't' });
    expect((await dumped('lexicon_versions')).join().includes('Oberhummer')).toBe(false);
    if (database.kind !== 'pglite') return;
    await database.asOwner((sql) => sql.query('CHECKPOINT'));
    // The log of writes keeps what was written until it is overwritten; tables do not.
    for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
      if (name.includes('pg_wal') || !statSync(join(dataDir, name)).isFile()) continue;
      expect([name, readFileSync(join(dataDir, name)).includes('Oberhummer')]).toEqual([name, false]);
    }
  });

  it('get a version each, also when several are stored at once', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'at-once');
    const caller = operatorOf(tenant, 'test');
    const [one, other] = [
      new LexiconCatalog({ database, calls, vault }),
      new LexiconCatalog({ database, calls, vault }),
    ];
    const stored = await Promise.all([0, 1, 2, 3].map((n) => (n % 2 ? one : other).store(caller, 'x', `A,,,${n}`, 1)));
    expect(stored.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4]);
    expect((await one.versions(tenant, 'x')).map(({ version }) => version)).toEqual([4, 3, 2, 1]);
  });

  it('are those of the tenant, of the voice and of its style, in this order', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'order');
    const caller = operatorOf(tenant, 'test');
    const lexicons = new LexiconCatalog({ database, calls, vault });
    for (const name of ['ann.sad', 'ann', 'default', 'bob']) await lexicons.store(caller, name, `A,,,${name}`, 1);
    const names = async (voice: string) => (await lexicons.usualFor(tenant, voice)).map(({ lexicon }) => lexicon);
    expect(await names('ann.sad')).toEqual(['default', 'ann', 'ann.sad']);
    expect(await names('ann')).toEqual(['default', 'ann']);
    expect(await names('default')).toEqual(['default']);
    expect(await names('nobody')).toEqual(['default']);
    const [use] = await lexicons.named(tenant, ['bob@1']);
    expect(await lexicons.load(use!)).toBe('A,,,bob');
  });

  it('that another server stores are used within a second', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'elsewhere');
    const [here, there] = [
      new LexiconCatalog({ database, calls, vault }),
      new LexiconCatalog({ database, calls, vault }),
    ];
    expect(await here.usualFor(tenant, 'ann')).toEqual([]);
    await there.store(operatorOf(tenant, 'test'), 'default', 'A,,,B', 1);
    await expect.poll(async () => (await here.usualFor(tenant, 'ann')).length, { timeout: 2000 }).toBe(1);
  });

  it('keep a hundred versions, and go with their tenant', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'many');
    const caller = operatorOf(tenant, 'test');
    const lexicons = new LexiconCatalog({ database, calls, vault });
    for (let n = 0; n < 102; n++) await lexicons.store(caller, 'x', `A,,,${n}`, 1);
    expect((await lexicons.versions(tenant, 'x')).map(({ version }) => version).slice(-1)).toEqual([3]);
    await expect(lexicons.read(tenant, 'x', 2)).rejects.toMatchObject({ code: 'LEXICON_NOT_FOUND' });
    await deleteTenant(database, tenant);
    expect(await lexicons.list(tenant)).toEqual([]);
  });
});
