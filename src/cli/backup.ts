import { isAbsolute, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readChain, verifyChain } from '../audit/verify.js';
import { type Config, loadConfig } from '../config.js';
import { AppError } from '../errors.js';
import { createLogger } from '../log.js';
import { checkBackup, readBackup, writeBackup } from '../store/backup.js';
import { openEmbedded } from '../store/embedded.js';
import { openObjects } from '../store/open-objects.js';
import { openPostgres } from '../store/postgres.js';
import { listTenants } from '../tenancy/tenants.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import type { CliContext } from './context.js';
import { openPlatform } from './platform.js';
import { addDataFlag, type PlatformFlags, withPlatform } from './with-platform.js';

/** `timbre backup FOLDER`, `timbre restore FOLDER`: everything but the master key, which is kept apart. */
export function addBackupCommands(program: Command, context: CliContext): void {
  addDataFlag(program.command('backup').description('write everything into a new folder, while the server goes on'))
    .argument('<folder>', 'new or empty')
    .action((folder: string, flags: PlatformFlags) =>
      withPlatform(context, flags, async ({ database, objects, audit }, config) => {
        if (context.platform !== undefined && !isAbsolute(folder)) {
          throw new AppError(
            'REQUEST_INVALID',
            'the running server writes the backup; give the folder as an absolute path',
          );
        }
        await audit.flush();
        const { dataDir } = config;
        const manifest = await writeBackup(resolve(folder), { database, objects, dataDir, signal: context.signal });
        const rows = Object.values(manifest.rows).reduce((sum, count) => sum + count, 0);
        context.stdout.write(
          `${resolve(folder)}: ${rows} rows, ${manifest.objects} objects, ${Object.keys(manifest.files).length} files\n` +
            `it needs the master key (${manifest.masterKeys.join(', ') || 'none yet'}) of ${config.masterKeyFile}: keep that elsewhere\n`,
        );
      }),
    );

  addDataFlag(program.command('restore').description('put a backup back where nothing is, and check all of it'))
    .argument('<folder>', 'of a backup')
    .action(async (folder: string, flags: PlatformFlags) => {
      const config = loadConfig({ dataDir: flags.data }, context.env);
      await restore(context, resolve(folder), config);
    });
}

async function restore(context: CliContext, folder: string, config: Config): Promise<void> {
  const log = createLogger({ level: 'warn', format: 'text', write: (line) => void context.stderr.write(line) });
  const manifest = await checkBackup(folder);
  const { signal } = context;
  await requireMasterKeys(config.masterKeyFile, manifest.masterKeys);
  const database =
    config.databaseUrl === null
      ? await openEmbedded({ folder: join(config.dataDir, 'store'), signal })
      : await openPostgres({ url: config.databaseUrl, log });
  try {
    await readBackup(folder, manifest, { database, objects: openObjects(config), dataDir: config.dataDir, signal });
  } finally {
    await database.close();
  }
  // As a server opens it: with the master key, or not at all.
  const platform = await openPlatform({ config, log, signal });
  try {
    let records = 0;
    let objects = 0;
    for (const { id, state } of await listTenants(platform.database)) {
      const chain = await readChain(platform.database, id);
      records += (await verifyChain(chain, platform.masterKeys.verifyingKeys)).records;
      if (state === 'deleted') continue;
      for (const object of await platform.vault.list(id)) {
        // Decrypted to the last byte, which checks each.
        for await (const _ of (await platform.vault.open(id, object.id)).read()) signal.throwIfAborted();
        objects++;
      }
    }
    context.stdout.write(
      `restored the backup of ${manifest.createdAt}: ${records} audit records verify, ${objects} objects can be read\n`,
    );
  } finally {
    await platform.close();
  }
}

/** Before anything is written: without them a restored installation could read nothing of its own. */
async function requireMasterKeys(path: string, needed: readonly string[]): Promise<void> {
  if (needed.length === 0) return;
  const { ids } = await openMasterKeyFile(path, { create: false });
  const lacking = needed.filter((id) => !ids.includes(id));
  if (lacking.length === 0) return;
  throw new AppError(
    'MASTER_KEY_MISSING',
    `${path} does not hold the master key ${lacking.join(', ')} that the backup needs; TIMBRE_MASTER_KEY_FILE says where it is`,
  );
}
