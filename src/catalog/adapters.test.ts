import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases, insertTenant } from '../../test/fixtures/databases.js';
import { FolderObjects } from '../store/folder-objects.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import { operatorOf } from '../tenancy/caller.js';
import { Quotas } from '../tenancy/quotas.js';
import { deleteTenant, setLimits } from '../tenancy/tenants.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import { rotateTenantKey } from '../vault/rotation.js';
import { Vault } from '../vault/vault.js';
import { AdapterCatalog } from './adapters.js';
import { sweepOrphans } from './orphans.js';

/** Without records, which tests of the gateway look at. */
const calls = { act: (_caller, _type, _details, work) => work() } as CallLedger;
const FACTS = { model: 'demo', text2semanticRank: 8, sovitsRank: 0, parameterCount: 1000 };

describeDatabases('the adapters of a tenant', (get) => {
  let folder: string;
  let vault: Vault;
  let adapters: AdapterCatalog;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'timbre-adapters-'));
    const { database } = get();
    const masterKeys = await openMasterKeyFile(join(folder, 'master.json'), { create: true });
    vault = new Vault({ database, objects: new FolderObjects(join(folder, 'objects')), masterKeys });
    adapters = new AdapterCatalog({ database, calls, vault, quotas: new Quotas({ database }) });
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const objectFiles = (): Buffer[] =>
    (readdirSync(join(folder, 'objects'), { recursive: true }) as string[])
      .map((name) => join(folder, 'objects', name))
      .filter((path) => statSync(path).isFile())
      .map((path) => readFileSync(path));

  it('are versions whose files are encrypted, and readable after a rotation and beside the sweep', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'adapters-sealed');
    const caller = operatorOf(tenant, 'test');
    const secret = Buffer.from('the very voice of Mrs Mittermayr');
    expect(await adapters.store(caller, 'calm', secret, FACTS)).toMatchObject({ name: 'calm', version: 1, ...FACTS });
    const second = randomBytes(100_000);
    expect(await adapters.store(caller, 'calm', second, FACTS)).toMatchObject({ version: 2, sizeBytes: 100_000 });
    expect(objectFiles().some((bytes) => bytes.includes(secret))).toBe(false);
    await rotateTenantKey(database, await openMasterKeyFile(join(folder, 'master.json'), { create: false }), tenant, {
      keys: vault.keys,
    });
    expect(await sweepOrphans(database, vault, tenant, { olderThanHours: 0 })).toBe(0);
    expect(Buffer.from(await adapters.load(await adapters.named(tenant, 'calm@1')))).toEqual(secret);
    expect(Buffer.from(await adapters.load(await adapters.named(tenant, 'calm')))).toEqual(second);
    expect((await adapters.versions(tenant, 'calm')).map(({ version }) => version)).toEqual([2, 1]);
    expect((await adapters.list(tenant)).map(({ name, version }) => `${name}@${version}`)).toEqual(['calm@2']);

    const gone = await adapters.named(tenant, 'calm');
    await adapters.remove(caller, 'calm');
    expect(await vault.storedBytes(tenant)).toBe(0);
    await expect(adapters.load(gone)).rejects.toMatchObject({ code: 'ADAPTER_NOT_LOADED' });
    for (const name of ['calm', 'calm@1', 'no name', '']) {
      await expect(adapters.named(tenant, name)).rejects.toMatchObject({ code: 'ADAPTER_NOT_FOUND' });
    }
    await expect(adapters.remove(caller, 'calm')).rejects.toMatchObject({ code: 'ADAPTER_NOT_FOUND' });
  });

  it('belong to the voices that have their names, a style’s before its voice’s', async () => {
    const tenant = await insertTenant(get().database, 'adapters-usual');
    const caller = operatorOf(tenant, 'test');
    expect(await adapters.usualFor(tenant, 'anna')).toBeNull();
    await adapters.store(caller, 'anna', Buffer.from('a'), FACTS);
    await adapters.store(caller, 'anna.sad', Buffer.from('s'), FACTS);
    const names = await Promise.all(
      ['anna', 'anna.sad', 'anna.calm', 'ben'].map(async (voice) => (await adapters.usualFor(tenant, voice))?.name),
    );
    expect(names).toEqual(['anna@1', 'anna.sad@1', 'anna@1', undefined]);
  });

  it('keep the last versions, a version each however many come at once, and count as what the tenant stores', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'adapters-many');
    const caller = operatorOf(tenant, 'test');
    await Promise.all(Array.from({ length: 4 }, (_, i) => adapters.store(caller, 'a', Buffer.from(`${i}`), FACTS)));
    for (let i = 4; i < 22; i++) await adapters.store(caller, 'a', Buffer.from(`${i}`), FACTS);
    const versions = await adapters.versions(tenant, 'a');
    expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: 20 }, (_, i) => 22 - i));
    expect(await sweepOrphans(database, vault, tenant, { olderThanHours: 0 })).toBe(0);
    const stored = await vault.storedBytes(tenant);
    await setLimits(database, tenant, { storageBytes: stored + 10 });
    const full = new AdapterCatalog({ database, calls, vault, quotas: new Quotas({ database }) });
    await expect(full.store(caller, 'b', randomBytes(1000), FACTS)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect(await vault.storedBytes(tenant)).toBe(stored);
  });

  it('go with their tenant', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'adapters-deleted');
    await adapters.store(operatorOf(tenant, 'test'), 'a', Buffer.from('x'), FACTS);
    const reference = await adapters.named(tenant, 'a');
    await deleteTenant(database, tenant);
    await expect(adapters.load(reference)).rejects.toThrow();
    const { rows } = await database.asOwner((sql) =>
      sql.query('SELECT 1 FROM adapter_versions WHERE tenant_id = $1', [tenant]),
    );
    expect(rows).toEqual([]);
  });
});
