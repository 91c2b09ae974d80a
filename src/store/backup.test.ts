import { constants } from 'node:buffer';
import { expect, it } from 'vitest';
import { describeDatabases, insertTenant } from '../../test/fixtures/databases.js';
import { dumpTables } from './table-dump.js';

/** What a row may have: see migrations/0005-lexicons.ts. */
const LARGEST_BODY_BYTES = 4 * 1024 * 1024;
/** JSON in JSON of a control character: `\\u0001`. */
const ESCAPED = 7;
const MAX_JSONB_BYTES = 2 ** 28 - 1;

describeDatabases('a backup', (get) => {
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
});
