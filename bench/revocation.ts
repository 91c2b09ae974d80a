/**
 * How long a voice goes on speaking after its consent was revoked: from the call that revokes to the moment when the
 * synthesis has been told to end, on the server that was asked and on another one, both on one real PostgreSQL server.
 *
 *     npm run bench -- revocation [--rounds N]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openPlatform, type Platform } from '../src/cli/platform.js';
import { loadConfig } from '../src/config.js';
import { createLogger } from '../src/log.js';
import { operatorOf } from '../src/tenancy/caller.js';
import { createTenant } from '../src/tenancy/tenants.js';
import { startPostgresServer } from '../test/fixtures/postgres-server.js';
import { environment, median } from './figures.js';
import { createEngine } from './gateway/instant-engine.js';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '30' } } });
const rounds = Number(values.rounds);
const folder = mkdtempSync(join(tmpdir(), 'timbre-revocation-'));
const postgres = await startPostgresServer({ fsync: true });
const engine = await createEngine({ dataDir: folder });
const platforms: Platform[] = [];
try {
  const databaseUrl = await postgres.createDatabase();
  const log = createLogger({ level: 'silent', format: 'json' });
  for (const name of ['here', 'there']) {
    const config = loadConfig(
      { dataDir: join(folder, name), databaseUrl, masterKeyFile: join(folder, 'key.json') },
      {},
    );
    platforms.push(await openPlatform({ config, log }));
  }
  const [here] = platforms;
  if (here === undefined) throw new Error('no platform was opened');
  await createTenant(here.database, { id: 'bench' });
  const caller = operatorOf('bench', 'bench');
  const delaysMs = platforms.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    const consent = await here.voices.consents.create(
      caller,
      {
        name: 'bench',
        language: 'en',
        kind: 'document',
        evidence: Buffer.from('%PDF-'),
        speaker: null,
        text: null,
        scope: '',
        sharing: false,
        validFrom: null,
        validUntil: null,
        requestKey: null,
      },
      engine,
    );
    const source = {
      recordings: [{ bytes: Buffer.from('x'), fileName: 'x' }],
      transcript: null,
      language: 'en' as const,
    };
    const wanted = { name: 'bench', source, consentId: consent.id, attestedBy: 'bench', requestKey: null };
    const { id } = await here.voices.create(caller, wanted, engine);
    const uses = await Promise.all(platforms.map(async ({ voices }) => (await voices.access.use('bench', id)).watch()));
    // Servers look whenever they do: not always just after the round began.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
    const startedMs = performance.now();
    const ended = uses.map(
      (use, server) =>
        new Promise<void>((resolve) =>
          use?.signal.addEventListener('abort', () => {
            delaysMs[server]?.push(performance.now() - startedMs);
            resolve();
          }),
        ),
    );
    await here.voices.consents.revoke(caller, consent.id, null);
    await Promise.all(ended);
    for (const use of uses) use?.release();
  }
  for (const [name, value] of Object.entries(environment())) process.stdout.write(`${name}: ${value}\n`);
  for (const [server, name] of ['the server that was asked', 'another server'].entries()) {
    const delays = delaysMs[server] ?? [];
    const worst = Math.max(...delays);
    process.stdout.write(
      `${name}: median ${median(delays).toFixed(0)} ms, worst of ${rounds} ${worst.toFixed(0)} ms\n`,
    );
  }
} finally {
  for (const platform of platforms) await platform.close();
  await engine.close();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}
