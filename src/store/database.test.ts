import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyEmbeddedTemplate, describeDatabases, insertTenant, silentLog } from '../../test/fixtures/databases.js';
import { asSuperuser } from '../../test/fixtures/postgres-server.js';
import { sqlState } from './database.js';
import { lockFolder } from './folder-lock.js';
import { checksum, MIGRATIONS, migrate } from './migrations.js';
import { openDatabase } from './open-database.js';
import { openPostgres } from './postgres.js';

describeDatabases('the store', (get) => {
  it('has row-level security, forced, with a policy by tenant, on every table that has rows of tenants', async () => {
    const { rows } = await get().database.asOwner((sql) =>
      sql.query<{ name: string; secure: boolean; forced: boolean; policies: string[] | null }>(
        `SELECT c.relname AS name, c.relrowsecurity AS secure, c.relforcerowsecurity AS forced,
           (SELECT array_agg(p.qual || ' / ' || p.with_check) FROM pg_policies p
             WHERE p.tablename = c.relname AND p.roles = '{timbre_tenant}') AS policies
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
         ORDER BY 1`,
      ),
    );
    expect(rows.map((row) => row.name)).toContain('api_keys');
    for (const { name, secure, forced, policies } of rows.filter((row) => row.name !== 'schema_migrations')) {
      const column = name === 'tenants' ? 'id' : 'tenant_id';
      const condition = `(${column} = current_setting('app.tenant_id'::text, true))`;
      expect({ name, secure, forced, policies }).toEqual({
        name,
        secure: true,
        forced: true,
        policies: [`${condition} / ${condition}`],
      });
    }
  });

  it('runs transactions under roles that cannot bypass it, and gives them nothing else', async () => {
    const { rows } = await get().database.asOwner((sql) =>
      sql.query(
        `SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb FROM pg_roles
         WHERE rolname LIKE 'timbre\\_%' ORDER BY 1`,
      ),
    );
    const powerless = {
      rolsuper: false,
      rolbypassrls: false,
      rolcanlogin: false,
      rolcreaterole: false,
      rolcreatedb: false,
    };
    expect(rows).toEqual([
      { rolname: 'timbre_platform', ...powerless },
      { rolname: 'timbre_tenant', ...powerless },
    ]);
    const names = await get().database.asTenant('a', (sql) => sql.query('SELECT current_user AS name'));
    expect(names.rows).toEqual([{ name: 'timbre_tenant' }]);
  });

  it('shows a tenant its own rows only, and takes no rows for another', async () => {
    const { database } = get();
    await insertTenant(database, 'alpha');
    await insertTenant(database, 'beta');
    const insert = `INSERT INTO usage_hours (tenant_id, hour, principal, voice, requests, failures, characters, audio_ms)
      VALUES ($1, now(), 'p', 'v', 1, 0, 5, 7)`;
    await database.asTenant('alpha', (sql) => sql.query(insert, ['alpha']));
    const seen = (tenant: string) =>
      database.asTenant(tenant, async (sql) => (await sql.query('SELECT tenant_id, characters FROM usage_hours')).rows);
    expect(await seen('alpha')).toEqual([{ tenant_id: 'alpha', characters: 5 }]);
    expect(await seen('beta')).toEqual([]);
    await expect(database.asTenant('beta', (sql) => sql.query(insert, ['alpha']))).rejects.toMatchObject({
      code: '42501',
    });
    const touched = await database.asTenant('beta', (sql) => sql.query('UPDATE usage_hours SET characters = 0'));
    expect(touched.count).toBe(0);
    const tenants = await database.asTenant('beta', (sql) => sql.query('SELECT id FROM tenants'));
    expect(tenants.rows).toEqual([{ id: 'beta' }]);
  });

  it('gives the platform the tables that are looked up before a tenant is known, and no others', async () => {
    const { database } = get();
    await database.asPlatform((sql) => sql.query('SELECT id FROM tenants'));
    for (const table of ['usage_hours', 'audit_records', 'vault_objects']) {
      await expect(database.asPlatform((sql) => sql.query(`SELECT 1 FROM ${table}`))).rejects.toMatchObject({
        code: '42501',
      });
    }
  });

  it('shows the owner of the tables nothing either', async () => {
    const { database, server } = get();
    // The embedded database has one user, a superuser; transactions take a role instead.
    if (server === null) return;
    await insertTenant(database, 'gamma');
    const { rows } = await database.asOwner((sql) => sql.query('SELECT id FROM tenants'));
    expect(rows).toEqual([]);
  });

  it('leaves no role and no tenant behind on a connection', async () => {
    const { database } = get();
    await database.asTenant('alpha', (sql) => sql.query('SELECT 1'));
    const { rows } = await database.asOwner((sql) =>
      sql.query(
        `SELECT current_user <> 'timbre_tenant' AS own, coalesce(current_setting('app.tenant_id', true), '') AS t`,
      ),
    );
    expect(rows).toEqual([{ own: true, t: '' }]);
  });

  it('refuses a tenant id that is none, before any SQL', async () => {
    const work = async () => 'never';
    for (const id of ["a'; RESET ROLE; --", '', 'A', 'a b', 'x'.repeat(64)]) {
      await expect(get().database.asTenant(id, work)).rejects.toMatchObject({ code: 'TENANT_NOT_FOUND' });
    }
  });

  it('rolls back what threw, and what went on after a failed statement', async () => {
    const { database } = get();
    const insert = `INSERT INTO tenants (id, display_name) VALUES ('doomed', 'x')`;
    await expect(
      database.asPlatform(async (sql) => {
        await sql.query(insert);
        throw new Error('changed its mind');
      }),
    ).rejects.toThrow('changed its mind');
    await expect(
      database.asPlatform(async (sql) => {
        await sql.query(insert);
        await sql.query('SELECT nothing_like_that').catch(() => {});
      }),
    ).rejects.toThrow('nothing_like_that');
    const found = await database.asPlatform((sql) => sql.query(`SELECT 1 FROM tenants WHERE id = 'doomed'`));
    expect(found.rows).toEqual([]);
  });

  it('gives integers as numbers, bytes as bytes, times as dates, JSON as values', async () => {
    const { rows } = await get().database.asOwner((sql) =>
      sql.query(
        `SELECT 9007199254740991::bigint AS big, '\\x00ff'::bytea AS bytes, $1::timestamptz AS time, $2::jsonb AS json,
           $3::text[] AS list, $4::bytea AS given`,
        [new Date(1e12), JSON.stringify({ a: [1] }), ['x', 'y,"z'], Buffer.from([1, 2])],
      ),
    );
    expect(rows).toEqual([
      {
        big: Number.MAX_SAFE_INTEGER,
        bytes: Buffer.from([0, 255]),
        time: new Date(1e12),
        json: { a: [1] },
        list: ['x', 'y,"z'],
        given: Buffer.from([1, 2]),
      },
    ]);
  });

  it('tells the caller of a zero character, which its text cannot hold', async () => {
    // Found by Schemathesis: ?style=%00 was answered with 500.
    const { database } = get();
    const ask = database.asPlatform((sql) => sql.query('SELECT id FROM tenants WHERE id = $1', ['a\0b']));
    await expect(ask).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('keeps many transactions apart', async () => {
    const { database } = get();
    await insertTenant(database, 'delta');
    const add = async () =>
      database.asTenant('delta', async (sql) => {
        await sql.query(
          `INSERT INTO usage_hours (tenant_id, hour, principal, voice, requests, failures, characters, audio_ms)
           VALUES ('delta', '2026-01-01Z', 'p', 'v', 1, 0, 1, 1)
           ON CONFLICT (tenant_id, hour, principal, voice) DO UPDATE SET requests = usage_hours.requests + 1`,
        );
      });
    await Promise.all(Array.from({ length: 40 }, add));
    const { rows } = await database.asTenant('delta', (sql) => sql.query('SELECT requests FROM usage_hours'));
    expect(rows).toEqual([{ requests: 40 }]);
  });

  it('stops at the next statement when cancelled, and gives the connection back', async () => {
    const { database } = get();
    const cancel = new AbortController();
    const work = database.asPlatform(
      async (sql) => {
        await sql.query('SELECT 1');
        cancel.abort(new Error('enough'));
        await sql.query('SELECT 2');
      },
      { signal: cancel.signal },
    );
    await expect(work).rejects.toThrow('enough');
    await database.asPlatform((sql) => sql.query('SELECT 1'));
  });

  it('migrates once, however many start together', async () => {
    const { database } = get();
    const again = await Promise.all([migrate(database), migrate(database), migrate(database)]);
    expect(again).toEqual([[], [], []]);
  });

  it('refuses tables that something else changed, and those of a later release', async () => {
    const { database } = get();
    const first = MIGRATIONS[0];
    if (first === undefined) throw new Error('there are migrations');
    const other = [{ ...first, script: `${first.script}\n` }, ...MIGRATIONS.slice(1)];
    expect(checksum(other[0] ?? first)).not.toBe(checksum(first));
    await expect(migrate(database, other)).rejects.toMatchObject({ code: 'STORE_INCOMPATIBLE' });
    await expect(migrate(database, MIGRATIONS.slice(0, 1))).rejects.toMatchObject({
      code: 'STORE_INCOMPATIBLE',
      message: expect.stringContaining('later release'),
    });
  });

  it('keeps nothing of a migration that fails half way', async () => {
    const { database } = get();
    const failing = [
      ...MIGRATIONS,
      { name: 'half', script: 'CREATE TABLE half_made (a int);\nSELECT no_such_thing;\n' },
    ];
    await expect(migrate(database, failing)).rejects.toThrow('no_such_thing');
    const { rows } = await database.asOwner((sql) => sql.query(`SELECT to_regclass('half_made') AS found`));
    expect(rows).toEqual([{ found: null }]);
    expect(await migrate(database)).toEqual([]);
  });

  it('refuses to change audit records, and to delete those younger than 180 days, whoever asks', async () => {
    const { database, server, url } = get();
    await insertTenant(database, 'kept');
    const insert = (days: number, seq: number) =>
      database.asTenant('kept', (sql) =>
        sql.query(
          `INSERT INTO audit_records (tenant_id, seq, id, recorded_at, type, body, hash)
           VALUES ('kept', $1, gen_random_uuid(), now() - make_interval(days => $2), 't', '{}', decode(repeat('00', 32), 'hex'))`,
          [seq, days],
        ),
      );
    await insert(179, 2);
    await insert(181, 1);
    const remove = (seq: number) =>
      database.asTenant('kept', (sql) => sql.query('DELETE FROM audit_records WHERE seq = $1', [seq]));
    await expect(remove(2)).rejects.toMatchObject({ code: 'TBA01' });
    expect((await remove(1)).count).toBe(1);
    await expect(
      database.asTenant('kept', (sql) => sql.query(`UPDATE audit_records SET body = '{"a":1}'`)),
    ).rejects.toMatchObject({ code: '42501' });
    const asOwner = (statement: string) =>
      server === null
        ? database.asOwner((sql) => sql.query(statement))
        : asSuperuser(server.superuserUrl(new URL(url ?? '').pathname.slice(1)), statement);
    for (const statement of [
      'UPDATE audit_records SET seq = 9',
      'DELETE FROM audit_records',
      'TRUNCATE audit_records',
    ]) {
      expect(sqlState(await asOwner(statement).catch((error: unknown) => error))).toBe('TBA01');
    }
  });

  it('refuses a user who could bypass row-level security', async () => {
    const { server } = get();
    if (server === null) return;
    await expect(openPostgres({ url: server.superuserUrl(), log: silentLog })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('could bypass row-level security'),
    });
  });

  it('loses the connection with the server and gets it back with it', async () => {
    const { server, database } = get();
    if (server === null) return;
    await server.kill();
    await expect(database.asPlatform((sql) => sql.query('SELECT 1'))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await server.start();
    await database.asPlatform((sql) => sql.query('SELECT 1'));
    // Between two statements: once nobody listened to the connection then, and its error ended the process.
    const between = database.asPlatform(async (sql) => {
      await sql.query('SELECT 1');
      await server.kill();
      await new Promise((resolve) => setTimeout(resolve, 300));
      await sql.query('SELECT 2');
    });
    await expect(between).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await server.start();
    await database.asPlatform((sql) => sql.query('SELECT 1'));
  });
});

describe('a PostgreSQL server', () => {
  it('is refused when it is not there', async () => {
    await expect(openPostgres({ url: 'postgres://timbre@127.0.0.1:1/none', log: silentLog })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
    });
  });
});

describe('the folder of the embedded database', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'timbre-lock-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('belongs to one process at a time', async () => {
    const lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    await lock.release();
    await (await lockFolder(folder)).release();
  });

  it('is taken by one of many that come at once', async () => {
    writeFileSync(join(folder, 'lock'), JSON.stringify({ token: 'x', place: 'elsewhere', pid: 1, started: null }));
    utimesSync(join(folder, 'lock'), 1, 1);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
    expect(tries.filter((attempt) => attempt.status === 'fulfilled').length).toBe(1);
  });

  it('is taken over from a process that has died, and waited for while one elsewhere gives signs', async () => {
    const lock = await lockFolder(folder);
    await lock.release();
    const elsewhere = JSON.stringify({ token: 'x', place: 'elsewhere', pid: 1, started: null });
    writeFileSync(join(folder, 'lock'), elsewhere);
    const touching = setInterval(() => utimesSync(join(folder, 'lock'), new Date(), new Date()), 20);
    try {
      await expect(lockFolder(folder, { silentAfterMs: 400 })).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    } finally {
      clearInterval(touching);
    }
    await (await lockFolder(folder, { silentAfterMs: 200 })).release();
  });

  it('begins with the empty cluster of the release that is installed', () => {
    const { dependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    const version = dependencies['@electric-sql/pglite'];
    // After an update of PGlite: node scripts/build-embedded-cluster.mjs
    expect(readdirSync(new URL('data/', import.meta.url))).toEqual([`embedded-cluster-${version}.br`]);
  });

  it('keeps what was written when it is opened again', async () => {
    const options = { url: null, dataDir: folder, log: silentLog };
    await copyEmbeddedTemplate(folder);
    const first = await openDatabase(options);
    await insertTenant(first, 'lasting');
    await expect(openDatabase(options)).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    await first.close();
    const second = await openDatabase(options);
    const { rows } = await second.asPlatform((sql) => sql.query('SELECT id FROM tenants'));
    await second.close();
    expect(rows).toEqual([{ id: 'lasting' }]);
  });
});
