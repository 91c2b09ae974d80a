import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases, insertTenant } from '../../test/fixtures/databases.js';
import { FolderObjects } from '../store/folder-objects.js';
import { deleteTenant } from '../tenancy/tenants.js';
import { type MasterKeys, openMasterKeyFile, retireOldMasterKeys, rotateMasterKeyFile } from './master-keys.js';
import { finishRotation, keyStatus, rotateDueKeys, rotateTenantKey } from './rotation.js';
import { SHARD_BYTES } from './shards.js';
import { Vault } from './vault.js';

let folder: string;
let keyFile: string;
let tenants = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-vault-'));
  keyFile = join(folder, 'keys', 'master.json');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

const masterKeys = () => openMasterKeyFile(keyFile, { create: true });

describeDatabases('the vault', (get) => {
  const objectsFolder = () => join(folder, 'objects');
  const openVault = (keys: MasterKeys) =>
    new Vault({ database: get().database, objects: new FolderObjects(objectsFolder()), masterKeys: keys });
  const newTenant = () => insertTenant(get().database, `v-${++tenants}-${randomUUID().slice(0, 8)}`);
  const read = async (vault: Vault, tenant: string, id: string) => collect((await vault.open(tenant, id)).read());

  it('gives back what was put in, whole and by range, also after a restart', async () => {
    const tenant = await newTenant();
    const bytes = randomBytes(2 * SHARD_BYTES + 5);
    const { id, sizeBytes } = await openVault(await masterKeys()).put(tenant, 'voice', once(bytes));
    expect(sizeBytes).toBe(bytes.length);
    const vault = openVault(await masterKeys());
    expect((await read(vault, tenant, id)).equals(bytes)).toBe(true);
    const object = await vault.open(tenant, id);
    const range = { start: SHARD_BYTES - 3, end: SHARD_BYTES + 9 };
    expect((await collect(object.read(range))).equals(bytes.subarray(range.start, range.end))).toBe(true);
    expect(await vault.list(tenant, 'voice')).toMatchObject([{ id, kind: 'voice' }]);
    expect(await vault.storedBytes(tenant)).toBe(bytes.length);
  });

  it('shows a stolen folder nothing, and an object changed or swapped with another on the disk', async () => {
    const tenant = await newTenant();
    const vault = openVault(await masterKeys());
    const secret = Buffer.from('我同意银行使用我的声音。 RIFF WAVE fmt '.repeat(4000));
    const ids: string[] = [];
    for (let n = 0; n < 2; n++) ids.push((await vault.put(tenant, 'recording', once(secret))).id);
    const files = readdirSync(objectsFolder(), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
    expect(files.length).toBe(2);
    for (const file of files) {
      const stored = readFileSync(file);
      for (const part of ['同意', 'RIFF', 'WAVE']) expect(stored.includes(part)).toBe(false);
    }
    const [one, two] = files.map((file) => readFileSync(file)) as [Buffer, Buffer];
    writeFileSync(files[0] ?? '', two);
    for (const id of ids) {
      const whole = await read(vault, tenant, id).catch((error: unknown) => error);
      if (files[0]?.endsWith(id)) expect(whole).toMatchObject({ code: 'VAULT_CORRUPT' });
      else expect(whole).toEqual(secret);
    }
    writeFileSync(files[0] ?? '', one.subarray(0, one.length - 1));
    const cut = ids.find((id) => files[0]?.endsWith(id)) ?? '';
    await expect(read(vault, tenant, cut)).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
  });

  it('gives a tenant its own objects only', async () => {
    const [mine, theirs] = [await newTenant(), await newTenant()];
    const vault = openVault(await masterKeys());
    const { id } = await vault.put(mine, 'voice', once(Buffer.from('x')));
    await expect(vault.open(theirs, id)).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
    await vault.remove(theirs, id);
    expect((await read(vault, mine, id)).toString()).toBe('x');
    await vault.remove(mine, id);
    await expect(vault.open(mine, id)).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
    expect((await vault.list(mine)).length).toBe(0);
  });

  it('keeps nothing of an object whose source failed', async () => {
    const tenant = await newTenant();
    const vault = openVault(await masterKeys());
    const failing = (async function* () {
      yield randomBytes(200_000);
      throw new Error('the upload broke');
    })();
    await expect(vault.put(tenant, 'voice', failing)).rejects.toThrow('the upload broke');
    await expect(vault.put('nobody-there', 'voice', once(Buffer.from('x')))).rejects.toMatchObject({
      code: 'TENANT_NOT_FOUND',
    });
    expect(await vault.list(tenant)).toEqual([]);
    const left = readdirSync(objectsFolder(), { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
  });

  it('rotates a tenant’s key while others read and write, and loses nothing', async () => {
    const { database } = get();
    const tenant = await newTenant();
    const keys = await masterKeys();
    const vault = openVault(keys);
    // Another server, with memories of its own.
    const other = openVault(await masterKeys());
    const written = new Map<string, Buffer>();
    const put = async (to: Vault) => {
      const bytes = randomBytes(1000);
      written.set((await to.put(tenant, 'voice', once(bytes))).id, bytes);
    };
    for (let n = 0; n < 30; n++) await put(n % 2 === 0 ? vault : other);
    const digestKey = await vault.digestKey(tenant);
    let rotating = true;
    const load = [vault, other].map(async (each) => {
      while (rotating) {
        await put(each);
        for (const [id, bytes] of [...written].slice(-5))
          expect((await read(each, tenant, id)).equals(bytes)).toBe(true);
      }
    });
    for (let version = 2; version <= 4; version++) {
      expect(await rotateTenantKey(database, keys, tenant)).toMatchObject({ version });
    }
    rotating = false;
    await Promise.all(load);
    for (const server of [vault, other, openVault(await masterKeys())]) {
      for (const [id, bytes] of written) expect((await read(server, tenant, id)).equals(bytes)).toBe(true);
    }
    expect((await openVault(keys).digestKey(tenant)).equals(digestKey)).toBe(true);
    // Old versions go a day later, when no server remembers them as current.
    const later = Date.now() + 26 * 3_600_000;
    expect(await finishRotation(database, keys, tenant, { now: later })).toMatchObject({ destroyedVersions: 3 });
    const status = (await keyStatus(database)).find((each) => each.tenantId === tenant);
    expect(status).toMatchObject({ version: 4, versions: 1, behind: 0 });
    for (const [id, bytes] of written) expect((await read(openVault(keys), tenant, id)).equals(bytes)).toBe(true);
    // A server that still remembers the first version learns that it is gone, and writes under the current one.
    await put(other);
  });

  it('rotates keys that get old by itself, and finishes what was interrupted', async () => {
    const { database } = get();
    const tenant = await newTenant();
    const keys = await masterKeys();
    const vault = openVault(keys);
    const { id } = await vault.put(tenant, 'voice', once(Buffer.from('kept')));
    const ofTenant = async () => (await keyStatus(database)).find((each) => each.tenantId === tenant);
    expect((await rotateDueKeys(database, keys)).map((report) => report.tenantId)).not.toContain(tenant);
    const age = (days: number) =>
      database.asTenant(tenant, (sql) =>
        sql.query('UPDATE tenant_keys SET created_at = now() - make_interval(days => $1)', [days]),
      );
    await age(79);
    await rotateDueKeys(database, keys);
    expect(await ofTenant()).toMatchObject({ version: 1, ageDays: 79 });
    await age(80);
    expect((await rotateDueKeys(database, keys)).map((report) => report.tenantId)).toContain(tenant);
    expect(await ofTenant()).toMatchObject({ version: 2, ageDays: 0, behind: 0 });
    // A rotation that ended after its first step.
    await database.asTenant(tenant, (sql) => vault.keys.rotate(sql, tenant));
    expect(await ofTenant()).toMatchObject({ version: 3, behind: 1 });
    await rotateDueKeys(database, keys);
    expect(await ofTenant()).toMatchObject({ version: 3, behind: 0 });
    expect((await read(openVault(keys), tenant, id)).toString()).toBe('kept');
  });

  it('takes a new master key, and needs the old one no more once everything is wrapped again', async () => {
    const { database } = get();
    const tenant = await newTenant();
    const { id } = await openVault(await masterKeys()).put(tenant, 'voice', once(Buffer.from('kept')));
    // A server that runs meanwhile, and makes a tenant's first key afterwards.
    const running = await masterKeys();
    const { currentId } = running;
    await rotateMasterKeyFile(keyFile);
    expect((await read(openVault(running), tenant, id)).toString()).toBe('kept');
    expect(running.currentId).not.toBe(currentId);
    const second = await newTenant();
    await openVault(running).put(second, 'voice', once(Buffer.from('x')));
    await finishRotation(database, running, tenant);
    await retireOldMasterKeys(keyFile);
    expect(JSON.parse(readFileSync(keyFile, 'utf8')).keys.length).toBe(1);
    expect((await read(openVault(await masterKeys()), tenant, id)).toString()).toBe('kept');
  });

  it('can be read by nobody once the tenant is deleted, even with the bytes and the master key', async () => {
    const { database } = get();
    const tenant = await newTenant();
    const keys = await masterKeys();
    const vault = openVault(keys);
    const { id } = await vault.put(tenant, 'voice', once(Buffer.from('gone')));
    await deleteTenant(database, tenant);
    expect(readdirSync(join(objectsFolder(), tenant)).length).toBe(1);
    await expect(openVault(keys).open(tenant, id)).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
    const { rows } = await database.asTenant(tenant, (sql) => sql.query('SELECT 1 FROM tenant_keys'));
    expect(rows).toEqual([]);
    await expect(openVault(keys).put(tenant, 'voice', once(Buffer.from('x')))).rejects.toMatchObject({
      code: 'VAULT_SHREDDED',
    });
    await vault.sweepTenant(tenant);
    const left = readdirSync(objectsFolder(), { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
  });

  it('says that the master key is another one, rather than that data is damaged', async () => {
    const tenant = await newTenant();
    const { id } = await openVault(await masterKeys()).put(tenant, 'voice', once(Buffer.from('x')));
    const other = await openMasterKeyFile(join(folder, 'other.json'), { create: true });
    await expect(openVault(other).open(tenant, id)).rejects.toMatchObject({ code: 'MASTER_KEY_MISSING' });
  });
});

describe('the file of master keys', () => {
  it('is made once, for this user only, and never written over by a second process', async () => {
    const both = await Promise.all([masterKeys(), masterKeys()]);
    expect(both[0]?.currentId).toBe(both[1]?.currentId);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    await expect(openMasterKeyFile(join(folder, 'none'), { create: false })).rejects.toMatchObject({
      code: 'MASTER_KEY_MISSING',
    });
  });

  it('is refused when it is none', async () => {
    const path = join(folder, 'bad.json');
    for (const text of ['', '{}', '{"current":"a","keys":[]}', '{"current":"a","keys":[{"id":"a","key":"AAAA"}]}']) {
      writeFileSync(path, text);
      await expect(openMasterKeyFile(path, { create: true })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    }
  });

  it('binds wrapped keys to what they are for', async () => {
    const keys = await masterKeys();
    const wrapped = await keys.wrap(randomBytes(32), 'tenant a');
    await expect(keys.unwrap(wrapped, 'tenant b')).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
  });
});
