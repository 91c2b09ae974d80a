import { spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readChain, verifyChain } from '../../src/audit/verify.js';
import { openPlatform, type Platform, type PlatformOptions } from '../../src/cli/platform.js';
import { findKeyHolder } from '../../src/tenancy/api-keys.js';
import { createTenant, setOwnRecordingsAllowed } from '../../src/tenancy/tenants.js';
import { copyEmbeddedTemplate, silentLog } from '../fixtures/databases.js';
import { type PostgresServer, startPostgresServer } from '../fixtures/postgres-server.js';

const WRITER = fileURLToPath(new URL('../fixtures/state-writer.ts', import.meta.url));
const LOADER = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const TENANT = 'killed';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-killed-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Config = PlatformOptions['config'];

function configOf(name: string, databaseUrl: string | null): Config {
  return {
    dataDir: join(folder, name),
    databaseUrl,
    s3Url: null,
    s3Region: 'us-east-1',
    masterKeyFile: join(folder, 'master-key.json'),
    auth: 'required',
    oidcIssuer: null,
    oidcAudience: 'timbre',
    speakerThreshold: 0.36,
  };
}

/** Lets a writer run for a random moment, kills it with SIGKILL, and gives what it had acknowledged. */
async function writeAndKill(config: Config, started?: () => Promise<unknown>): Promise<string[]> {
  const child = spawn(process.execPath, ['--import', LOADER, WRITER, JSON.stringify(config), TENANT], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  let failed = '';
  child.stderr.on('data', (data) => (failed += String(data)));
  const lines = () => printed.split('\n').length - 1;
  const reached = (count: number, kind = '') =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (lines() >= count && printed.includes(`\n${kind}`)) resolve();
      };
      child.stdout.on('data', check);
      child.once('exit', () => reject(new Error(`the writer ended by itself: ${failed}`)));
      check();
    });
  child.stdout.on('data', (data) => {
    printed += String(data);
  });
  const exited = once(child, 'close');
  // Its `ready`, and then as many acknowledgements as chance says: not a time, which a slow machine would not fill.
  await reached(1);
  await started?.();
  await reached(2 + randomInt(0, 25));
  // A voice takes longer than anything else; every third run has one, and is killed somewhere in the next.
  if (randomInt(0, 3) === 0) await reached(2, 'voice ');
  child.removeAllListeners('exit');
  await new Promise((resolve) => setTimeout(resolve, randomInt(0, 20)));
  child.kill('SIGKILL');
  await exited;
  return printed.split('\n').slice(1, -1);
}

async function expectKept(platform: Platform, acknowledged: readonly string[]): Promise<void> {
  await platform.audit.flush();
  expect(platform.audit.waiting).toBe(0);
  await verifyChain(await readChain(platform.database, TENANT), []);
  const calls = new Set<string>();
  for await (const { body } of (await readChain(platform.database, TENANT)).records()) {
    const { type, details } = JSON.parse(body);
    if (type === 'speech.started' || type === 'speech.served') calls.add(details.request);
  }
  for (const line of acknowledged) {
    const [kind, id = '', digest] = line.split(' ');
    if (kind === 'key') expect(await findKeyHolder(platform.database, id)).toMatchObject({ tenantId: TENANT });
    else if (kind === 'call') expect(calls.has(id)).toBe(true);
    else if (kind === 'voice') {
      const { profiles } = await platform.voices.access.use(TENANT, id);
      const profile = profiles?.[id];
      expect([id, profile?.digest]).toEqual([id, digest]);
      if (profile === undefined) continue;
      expect(
        createHash('sha256')
          .update(await platform.voices.loadProfile(profile))
          .digest('hex'),
      ).toBe(digest);
    } else {
      const hash = createHash('sha256');
      for await (const bytes of (await platform.vault.open(TENANT, id)).read()) hash.update(bytes);
      expect(hash.digest('hex')).toBe(digest);
    }
  }
}

async function open(config: Config): Promise<Platform> {
  return openPlatform({ config, log: silentLog });
}

describe('kill -9', () => {
  it('50 times at random points loses no acknowledged key, voice or audit record (PostgreSQL, killed as well)', async () => {
    const server: PostgresServer = await startPostgresServer({ fsync: true });
    try {
      const url = await server.createDatabase();
      const first = await open(configOf('pg-0', url));
      await createTenant(first.database, { id: TENANT });
      await setOwnRecordingsAllowed(first.database, TENANT, true);
      await first.close();
      // By server: without S3 each has its objects in a folder of its own.
      const acknowledged: string[][] = Array.from({ length: 5 }, () => []);
      // Five servers on one database, each with its own spool, ten times over; twice the database dies under them.
      for (let round = 0; round < 10; round++) {
        let running = 0;
        let restarted: Promise<void> | null = null;
        const restart = async () => {
          if (++running === 5 && round % 5 === 4) restarted = server.kill().then(() => server.start());
        };
        const runs = acknowledged.map((_, n) => writeAndKill(configOf(`pg-${n}`, url), restart));
        for (const [n, lines] of (await Promise.all(runs)).entries()) acknowledged[n]?.push(...lines);
        await restarted;
      }
      // What a killed server left in its spool is on the record once it has been up again.
      for (const n of acknowledged.keys()) await (await open(configOf(`pg-${n}`, url))).close();
      const kinds = new Set(acknowledged.flat().map((line) => line.split(' ')[0]));
      expect([...kinds].sort()).toEqual(['call', 'key', 'object', 'voice']);
      for (const [n, lines] of acknowledged.entries()) {
        const platform = await open(configOf(`pg-${n}`, url));
        await expectKept(platform, lines);
        await platform.close();
      }
    } finally {
      await server.stop();
    }
  }, 900_000);

  it('several times loses nothing acknowledged on the embedded database either', async () => {
    const config = configOf('embedded', null);
    await copyEmbeddedTemplate(config.dataDir);
    const first = await open(config);
    await createTenant(first.database, { id: TENANT });
    await setOwnRecordingsAllowed(first.database, TENANT, true);
    await first.close();
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round++) acknowledged.push(...(await writeAndKill(config)));
    const platform = await open(config);
    expect(acknowledged.length).toBeGreaterThan(0);
    await expectKept(platform, acknowledged);
    await platform.close();
  }, 300_000);
});
