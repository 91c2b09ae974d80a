import type { Command } from 'commander';
import { AppError } from '../errors.js';
import { operatorOf } from '../tenancy/caller.js';
import { retireOldMasterKeys, rotateMasterKeyFile } from '../vault/master-keys.js';
import { rewrapPoolKey } from '../vault/pool-key.js';
import { finishRotation, keyStatus, MAX_KEY_AGE_DAYS, rotateTenantKey } from '../vault/rotation.js';
import { type CliContext, printJson, renderTable } from './context.js';
import { addDataFlag, operatorName, type PlatformFlags, withPlatform } from './with-platform.js';

/** `timbre keys status|rotate`: what stored data are encrypted under. */
export function addKeysCommands(program: Command, context: CliContext): void {
  const keys = program.command('keys').description('encryption keys of tenants and the master key');

  addDataFlag(keys.command('status').description('how old the keys are').option('--json', 'as JSON')).action(
    (flags: PlatformFlags & { json?: boolean }) =>
      withPlatform(context, flags, async ({ database, masterKeys }) => {
        const status = await keyStatus(database);
        if (flags.json) return printJson(context, { master_key: masterKeys.currentId, tenants: status });
        context.stdout.write(
          `master key ${masterKeys.currentId}; tenants' keys are rotated within ${MAX_KEY_AGE_DAYS} days\n`,
        );
        const rows = status.map((each) => [
          each.tenantId,
          String(each.version),
          `${each.ageDays} d`,
          each.masterKey,
          String(each.behind),
        ]);
        context.stdout.write(renderTable(['TENANT', 'VERSION', 'AGE', 'MASTER KEY', 'BEHIND'], rows));
      }),
  );

  addDataFlag(keys.command('rotate').description('give tenants new keys now; nothing stops meanwhile'))
    .option('--tenant <id>', 'only this one')
    .option('--master', 'a new master key as well')
    .action((flags: PlatformFlags & { tenant?: string; master?: boolean }) =>
      withPlatform(context, flags, async ({ database, masterKeys, vault, calls }, config) => {
        if (flags.master) await rotateMasterKeyFile(config.masterKeyFile);
        const all = (await keyStatus(database)).map((each) => each.tenantId);
        for (const tenant of flags.tenant === undefined ? all : [flags.tenant]) {
          const { version, rewrappedObjects } = await calls.act(
            operatorOf(tenant, operatorName(context)),
            'encryption-key.rotate',
            { master: flags.master === true },
            () => rotateTenantKey(database, masterKeys, tenant, { keys: vault.keys }),
            (report) => ({ version: report.version, objects: report.rewrappedObjects }),
          );
          context.stdout.write(`${tenant}: version ${version}, ${rewrappedObjects} object keys wrapped again\n`);
        }
        if (!flags.master) return;
        await rewrapPoolKey(config.dataDir, masterKeys);
        for (const tenant of all) await finishRotation(database, masterKeys, tenant, { keys: vault.keys });
        context.stdout.write(
          `master key ${masterKeys.currentId}: back up ${config.masterKeyFile}, give it to every server, an hour later: timbre keys retire\n`,
        );
      }),
    );

  addDataFlag(keys.command('retire').description('remove old master keys, when nothing needs them any more')).action(
    (flags: PlatformFlags) =>
      withPlatform(context, flags, async ({ database, masterKeys }, config) => {
        const { rows } = await database.asPlatform((sql) =>
          sql.query<{ tenant_id: string }>('SELECT DISTINCT tenant_id FROM tenant_keys WHERE master_key <> $1', [
            masterKeys.currentId,
          ]),
        );
        if (rows.length > 0) {
          const names = rows.map((row) => row.tenant_id).join(', ');
          throw new AppError(
            'REQUEST_INVALID',
            `old master keys still wrap the keys of ${names}; first: timbre keys rotate`,
          );
        }
        await rewrapPoolKey(config.dataDir, masterKeys);
        await retireOldMasterKeys(config.masterKeyFile);
        context.stdout.write(`only ${masterKeys.currentId} is left in ${config.masterKeyFile}\n`);
      }),
  );
}
