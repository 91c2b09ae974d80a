import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases, insertTenant, silentLog } from '../../test/fixtures/databases.js';
import { asSuperuser } from '../../test/fixtures/postgres-server.js';
import type { Database } from '../store/database.js';
import { openMasterKeyFile, retireOldMasterKeys, rotateMasterKeyFile } from '../vault/master-keys.js';
import { anchorChains } from './anchors.js';
import { AuditLog } from './audit-log.js';
import { type AuditEntry, writeEntry } from './chain.js';
import { pruneChain } from './retention.js';
import { Spool } from './spool.js';
import { exportChain, readChain, readExport, type StoredRecord, verifyChain } from './verify.js';

let folder: string;
let tenants = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-audit-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function entry(tenantId: string, at = new Date(), details: AuditEntry['details'] = { n: 1 }): AuditEntry {
  return { id: randomUUID(), tenantId, at: at.toISOString(), type: 'test.happened', actor: 'key:k', details };
}

async function newTenant(database: Database): Promise<string> {
  return insertTenant(database, `audited-${++tenants}-${randomUUID().slice(0, 8)}`);
}

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);

async function recordsOf(database: Database, tenant: string): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for await (const record of (await readChain(database, tenant)).records()) records.push(record);
  return records;
}

describeDatabases('the audit log', (get) => {
  const open = (more: Partial<Parameters<typeof AuditLog.open>[0]> = {}) =>
    AuditLog.open({
      database: get().database,
      spoolFolder: join(folder, 'spool'),
      log: silentLog,
      retryMs: 50,
      ...more,
    });
  const signing = async () => (await openMasterKeyFile(join(folder, 'key.json'), { create: true })).signingKey;

  it('keeps a thousand entries of many callers and tenants, each in its chain, each once', async () => {
    const { database } = get();
    const log = await open();
    const names = [await newTenant(database), await newTenant(database)];
    await Promise.all(Array.from({ length: 1000 }, (_, n) => log.append(entry(names[n % 2] ?? '', new Date(), { n }))));
    await log.close();
    for (const name of names) {
      const report = await verifyChain(await readChain(database, name), []);
      expect(report).toMatchObject({ records: 500, firstSeq: 1, lastSeq: 500 });
      const kept = (await recordsOf(database, name)).map((record) => JSON.parse(record.body).details.n);
      expect(new Set(kept).size).toBe(500);
      expect(kept).toEqual([...kept].sort((a, b) => a - b));
    }
  });

  it('lets several servers write one chain', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const logs = [await open(), await open({ spoolFolder: join(folder, 'other-spool') })];
    await Promise.all(logs.flatMap((log) => Array.from({ length: 100 }, () => log.append(entry(tenant)))));
    for (const log of logs) await log.close();
    expect(await verifyChain(await readChain(database, tenant), [])).toMatchObject({ records: 200 });
  });

  it('keeps an entry that is written twice once', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const log = await open();
    const twice = entry(tenant);
    await log.append(twice);
    await log.append(twice);
    await log.close();
    expect(await verifyChain(await readChain(database, tenant), [])).toMatchObject({ records: 1 });
  });

  it('brings what lay in the spool when the process died into the chain, but not a line cut short', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const spool = join(folder, 'spool');
    await (await open()).close();
    const entries = [entry(tenant), entry(tenant)];
    const lines = entries.map((each) => `${JSON.stringify(each)}\n`).join('');
    writeFileSync(join(spool, '0000000007.jsonl'), `${lines}${JSON.stringify(entry(tenant)).slice(0, 40)}`);
    const log = await open();
    await log.append(entry(tenant));
    await log.close();
    expect(await verifyChain(await readChain(database, tenant), [])).toMatchObject({ records: 3 });
    expect(readdirSync(spool)).toEqual([]);
  });

  it('takes entries while its files are emptied and removed', async () => {
    // A file was removed when all of it had reached the database, though more was just being written to it: entries
    // were refused, or lost if the process died then. What is being written counts as waiting now.
    const folderOf = join(folder, 'busy');
    const { spool } = await Spool.open({ folder: folderOf, maxBytes: 1e9 });
    const large = (n: number) => writeEntry(entry('t', new Date(), { n, filler: 'x'.repeat(300_000) }));
    const kept: number[] = [];
    let releasing = Promise.resolve();
    for (let n = 0; n < 40; n++) {
      const appended = spool.append([large(n)]);
      releasing = releasing.then(async () => spool.release(await appended));
      await appended;
      kept.push(n);
    }
    await releasing;
    const last = await spool.append([large(99)]);
    expect(readFileSync(last[0]?.segment.path ?? '', 'utf8')).toContain('"n":99');
    expect(kept.length).toBe(40);
    await spool.release(last);
    await spool.close();
    expect(readdirSync(folderOf)).toEqual([]);
  });

  it('goes on with other tenants when one of them is no more', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const log = await open({ safeIn: 'spool' });
    await Promise.all([log.append(entry('never-was')), log.append(entry(tenant))]);
    await expect.poll(async () => (await readChain(database, tenant)).ends.lastSeq).toBe(1);
    expect(log.waiting).toBe(1);
    await log.close();
  });

  it('refuses what neither database nor spool can keep, and lets nobody believe otherwise', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const log = await open({ safeIn: 'spool', spoolMaxBytes: 10 });
    await expect(log.append(entry(tenant))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE', retryable: true });
    await log.close();
    await expect(log.append(entry(tenant))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(await recordsOf(database, tenant)).toEqual([]);
  });

  it('keeps entries in the spool while the database is away, in order, and brings them in when it is back', async () => {
    const { database, server } = get();
    // The embedded database lives in this process and cannot be away.
    if (server === null) return;
    const tenant = await newTenant(database);
    const log = await open();
    await log.append(entry(tenant, new Date(), { n: 0 }));
    await server.kill();
    for (let n = 1; n <= 5; n++) await log.append(entry(tenant, new Date(), { n }));
    expect(log.waiting).toBe(5);
    const files = readdirSync(join(folder, 'spool')).map((name) => join(folder, 'spool', name));
    expect(files.map((file) => readFileSync(file, 'utf8').trim().split('\n').length)).toEqual([5]);
    expect(statSync(files[0] ?? '').mode & 0o777).toBe(0o600);
    await server.start();
    await expect.poll(() => log.waiting, { timeout: 20_000 }).toBe(0);
    await log.append(entry(tenant, new Date(), { n: 6 }));
    const order = (await recordsOf(database, tenant)).map((record) => JSON.parse(record.body).details.n);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    await log.close();
    expect(readdirSync(join(folder, 'spool'))).toEqual([]);
  });

  it('anchors each chain once a day, and finds what was rewritten, cut off or signed by another', async () => {
    const { database, server, url } = get();
    const tenant = await newTenant(database);
    const signingKey = await signing();
    const log = await open();
    for (let n = 0; n < 6; n++) await log.append(entry(tenant, new Date(), { n }));
    await log.flush();
    const anchorFolder = join(folder, 'anchors');
    expect(await anchorChains(database, { signingKey, folder: anchorFolder })).toBeGreaterThan(0);
    expect(await anchorChains(database, { signingKey, folder: anchorFolder })).toBe(0);
    await log.append(entry(tenant));
    await log.close();
    const source = await readChain(database, tenant);
    expect(await verifyChain(source, [signingKey])).toMatchObject({ records: 7, anchors: 1 });
    const line = JSON.parse(readFileSync(join(anchorFolder, `${tenant}.jsonl`), 'utf8'));
    expect(line).toEqual(source.anchors[0]);

    const other = (await openMasterKeyFile(join(folder, 'other.json'), { create: true })).signingKey;
    await expect(verifyChain(source, [other])).rejects.toMatchObject({ code: 'AUDIT_BROKEN' });
    const short = { ...source, ends: { ...source.ends, lastSeq: 5 } };
    await expect(verifyChain(short, [signingKey])).rejects.toThrow('its end was cut off');

    // What somebody with all rights over the database could do: past the trigger, with a chain made good again.
    const damage = async (statement: string) => {
      const script = `ALTER TABLE audit_records DISABLE TRIGGER ALL; ${statement}; ALTER TABLE audit_records ENABLE TRIGGER ALL`;
      if (server !== null)
        return void (await asSuperuser(server.superuserUrl(new URL(url ?? '').pathname.slice(1)), script));
      await database.asOwner(async (sql) => {
        for (const part of script.split('; ')) await sql.query(part);
      });
    };
    const where = `tenant_id = '${tenant}'`;
    const problem = async () => {
      try {
        await verifyChain(await readChain(database, tenant), [signingKey]);
        return 'none';
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    };
    await damage(`UPDATE audit_records SET body = replace(body, '"n":3', '"n":9') WHERE ${where}`);
    expect(await problem()).toContain('record 4 is not as it was written');
    await damage(`UPDATE audit_records SET body = replace(body, '"n":9', '"n":3') WHERE ${where}`);
    expect(await problem()).toBe('none');
    await damage(`DELETE FROM audit_records WHERE ${where} AND seq = 3`);
    expect(await problem()).toContain('record 3 is missing; the next one there is 4');
  });

  it('verifies anchors signed under a master key that was replaced and retired since', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const path = join(folder, 'key.json');
    const keys = await openMasterKeyFile(path, { create: true });
    const log = await open();
    await log.append(entry(tenant));
    await log.close();
    await anchorChains(database, { signingKey: keys.signingKey, folder: join(folder, 'anchors') });
    const verify = async () =>
      verifyChain(await readChain(database, tenant), (await openMasterKeyFile(path, { create: false })).verifyingKeys);
    await rotateMasterKeyFile(path);
    expect(await verify()).toMatchObject({ anchors: 1 });
    await retireOldMasterKeys(path);
    expect(JSON.parse(readFileSync(path, 'utf8')).keys).toHaveLength(1);
    expect(await verify()).toMatchObject({ anchors: 1 });
    await rotateMasterKeyFile(path);
    await retireOldMasterKeys(path);
    expect(await verify()).toMatchObject({ anchors: 1 });
    const other = await openMasterKeyFile(join(folder, 'other.json'), { create: true });
    await expect(verifyChain(await readChain(database, tenant), other.verifyingKeys)).rejects.toThrow('not signed');
  });

  it('is exported to a file that verifies anywhere, and shows a changed line', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const signingKey = await signing();
    const log = await open();
    for (let n = 0; n < 4; n++) await log.append(entry(tenant, new Date(), { n, name: '张三 "x"' }));
    await log.close();
    await anchorChains(database, { signingKey, folder: join(folder, 'anchors') });
    const lines: string[] = [];
    for await (const line of exportChain(await readChain(database, tenant), signingKey)) lines.push(line.trim());
    const check = async (changed: readonly string[]) => {
      const stream = (async function* () {
        yield* changed;
      })();
      const { source, publicKey } = await readExport(stream);
      return verifyChain(source, [publicKey]);
    };
    expect(await check(lines)).toMatchObject({ tenantId: tenant, records: 4, anchors: 1 });
    await expect(check(lines.filter((_, index) => index !== 3))).rejects.toThrow('record 2 is missing');
    await expect(check(lines.slice(0, -1))).rejects.toThrow('the chain ends with record 3');
    await expect(check(lines.map((line) => line.replace('\\"n\\":2', '\\"n\\":7')))).rejects.toThrow('record 3 is not');
    await expect(check(['{}'])).rejects.toMatchObject({ code: 'AUDIT_BROKEN' });
  });

  it('is pruned after its time, and what is left still verifies; earlier is refused', async () => {
    const { database } = get();
    const tenant = await newTenant(database);
    const log = await open();
    for (const days of [400, 300, 200, 190, 179, 10]) await log.append(entry(tenant, daysAgo(days)));
    await log.flush();
    for (const retentionDays of [0, 179, Number.NaN]) {
      await expect(pruneChain(database, tenant, { retentionDays })).rejects.toMatchObject({ code: 'AUDIT_RETAINED' });
    }
    expect(await pruneChain(database, tenant, { retentionDays: 250 })).toBe(2);
    expect(await pruneChain(database, tenant, { retentionDays: 250 })).toBe(0);
    expect(await verifyChain(await readChain(database, tenant), [])).toMatchObject({ firstSeq: 3, lastSeq: 6 });
    expect(await pruneChain(database, tenant, { retentionDays: 180 })).toBe(2);
    await log.append(entry(tenant));
    await log.close();
    expect(await verifyChain(await readChain(database, tenant), [])).toMatchObject({ firstSeq: 5, lastSeq: 7 });
    await expect(pruneChain(database, tenant, { retentionDays: 180, now: daysAgo(-300) })).rejects.toMatchObject({
      code: 'TBA01',
    });
  });
});

describe('the audit log of a database that never was there', () => {
  it('still keeps entries, in its spool', async () => {
    const away = () => Promise.reject(new Error('away'));
    const database = { kind: 'postgres' as const, asTenant: away, asPlatform: away, asOwner: away, close: away };
    const log = await AuditLog.open({ database, spoolFolder: join(folder, 'spool'), log: silentLog });
    await log.append(entry('tenant'));
    expect(log.waiting).toBe(1);
    await log.close();
    expect(readdirSync(join(folder, 'spool')).length).toBe(1);
  });
});
