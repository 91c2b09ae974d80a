import { expect, it } from 'vitest';
import { describeDatabases, insertTenant } from '../../test/fixtures/databases.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import { operatorOf } from '../tenancy/caller.js';
import { deleteTenant } from '../tenancy/tenants.js';
import { LexiconCatalog } from './lexicons.js';

/** Without records, which tests of the gateway look at. */
const calls = { act: (_caller, _type, _details, work) => work() } as CallLedger;

describeDatabases('the lexicons of a tenant', (get) => {
  it('get a version each, also when several are stored at once', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'at-once');
    const caller = operatorOf(tenant, 'test');
    const [one, other] = [new LexiconCatalog({ database, calls }), new LexiconCatalog({ database, calls })];
    const stored = await Promise.all([0, 1, 2, 3].map((n) => (n % 2 ? one : other).store(caller, 'x', `A,,,${n}`, 1)));
    expect(stored.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4]);
    expect((await one.versions(tenant, 'x')).map(({ version }) => version)).toEqual([4, 3, 2, 1]);
  });

  it('are those of the tenant, of the voice and of its style, in this order', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'order');
    const caller = operatorOf(tenant, 'test');
    const lexicons = new LexiconCatalog({ database, calls });
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
    const [here, there] = [new LexiconCatalog({ database, calls }), new LexiconCatalog({ database, calls })];
    expect(await here.usualFor(tenant, 'ann')).toEqual([]);
    await there.store(operatorOf(tenant, 'test'), 'default', 'A,,,B', 1);
    await expect.poll(async () => (await here.usualFor(tenant, 'ann')).length, { timeout: 2000 }).toBe(1);
  });

  it('keep a hundred versions, and go with their tenant', async () => {
    const { database } = get();
    const tenant = await insertTenant(database, 'many');
    const caller = operatorOf(tenant, 'test');
    const lexicons = new LexiconCatalog({ database, calls });
    for (let n = 0; n < 102; n++) await lexicons.store(caller, 'x', `A,,,${n}`, 1);
    expect((await lexicons.versions(tenant, 'x')).map(({ version }) => version).slice(-1)).toEqual([3]);
    await expect(lexicons.read(tenant, 'x', 2)).rejects.toMatchObject({ code: 'LEXICON_NOT_FOUND' });
    await deleteTenant(database, tenant);
    expect(await lexicons.list(tenant)).toEqual([]);
  });
});
