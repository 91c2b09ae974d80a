// Writes src/store/data/embedded-cluster-VERSION.br: an empty database cluster of the PGlite that is installed, so that a
// first start unpacks it (1 s of processor time) instead of making it (8 s, 800 MB of memory). Run again with every
// release of PGlite.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';

const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'timbre-cluster-'));
const db = await PGlite.create({ dataDir: join(folder, 'pg') });
const archive = Buffer.from(await (await db.dumpDataDir('none')).arrayBuffer());
await db.close();
rmSync(folder, { recursive: true });

const data = join('src', 'store', 'data');
for (const old of readdirSync(data)) if (old.startsWith('embedded-cluster-')) rmSync(join(data, old));
const compressed = brotliCompressSync(archive, {
  params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
});
writeFileSync(join(data, `embedded-cluster-${dependencies['@electric-sql/pglite']}.br`), compressed);
console.log(`${archive.length} bytes, ${compressed.length} compressed`);
