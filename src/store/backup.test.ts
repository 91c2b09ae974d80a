import { constants } from 'node:buffer';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeDatabases, insertTenant } from '../../test/fixtures/databases.js';
import { writeBackup } from './backup.js';
import { FolderObjects } from './folder-objects.js';
import { dumpTables } from './table-dump.js';

/** What a row may have: see migrations/0005-lexicons.ts. */
const LARGEST_BODY_BYTES = 4 * 1024 * 1024;
/** JSON in JSON of a control character: `\\u0001`. */
const ESCAPED = 7;
const MAX_JSONB_BYTES = 2 ** 28 - 1;

describeDatabases('a backup', (get) => {
  const sourceOf = async (name: string) => {
    const { database, dataDir } = get();
    const own = join(dataDir, name);
    mkdirSync(own);
    return { database, objects: new FolderObjects(join(own, 'objects')), dataDir: own };
  };

  it('has so few rows in a piece that the largest there can be are put back', async () => {
    // A tenant with 70 versions of a lexicon of 4 MB made backups that no database took back, since all of them were one
    // JSON array, and with 130 none could be written: 500 rows were a piece, however large they were.
    const { database } = get();
    const tenant = await insertTenant(database, 'with-lexicons');
    await database.asTenant(tenant, (sql) =>
      sql.query(
        `INSERT INTO lexicon_versions (tenant_id, name, version, body, digest, entries, created_by)
         SELECT $1, 'default', version, 'AI,,,A I', 'd', 1, 't' FROM generate_series(1, 100) version`,
        [tenant],
      ),
    );
    const counts: number[] = [];
    await dumpTables(database, async ({ table, rows }) => {
      if (table === 'lexicon_versions') counts.push(rows.length);
    });
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100);
    const most = Math.max(...counts);
    expect(most * LARGEST_BODY_BYTES).toBeLessThan(MAX_JSONB_BYTES);
    expect(most * LARGEST_BODY_BYTES * ESCAPED).toBeLessThan(constants.MAX_STRING_LENGTH);
  });

  it('has the files that links in the data folder lead to', async () => {
    // The engine reads a model that lies on another disk; a backup left it out and said nothing.
    const source = await sourceOf('linked');
    const elsewhere = join(source.dataDir, 'elsewhere');
    for (const folder of [elsewhere, join(source.dataDir, 'models')]) mkdirSync(folder);
    writeFileSync(join(elsewhere, 'weights'), 'w');
    symlinkSync(elsewhere, join(source.dataDir, 'models', 'large'));
    const folder = join(source.dataDir, 'backup');
    expect(Object.keys((await writeBackup(folder, source)).files)).toContain('models/large/weights');
    expect(readFileSync(join(folder, 'models/large/weights'), 'utf8')).toBe('w');
  });

  it('is not made where a folder cannot be read', async () => {
    // Whatever kept a folder from being read, it counted as one that is not there.
    const source = await sourceOf('unreadable');
    writeFileSync(join(source.dataDir, 'voices'), 'no folder');
    await expect(writeBackup(join(source.dataDir, 'backup'), source)).rejects.toThrow('ENOTDIR');
    rmSync(join(source.dataDir, 'voices'));
    expect(await writeBackup(join(source.dataDir, 'again'), source)).toMatchObject({ format: 'timbre backup 1' });
  });
});
