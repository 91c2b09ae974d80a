import { createPublicKey } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { pruneChain } from '../audit/retention.js';
import { exportChain, readChain, readExport, verifyChain } from '../audit/verify.js';
import { AppError } from '../errors.js';
import { DEFAULT_TENANT, operatorOf } from '../tenancy/caller.js';
import { listTenants } from '../tenancy/tenants.js';
import type { CliContext } from './context.js';
import { addDataFlag, operatorName, type PlatformFlags, withPlatform } from './with-platform.js';

/** `timbre audit verify|export|prune`: the records of who did what. */
export function addAuditCommands(program: Command, context: CliContext): void {
  const audit = program.command('audit').description('audit records: verify, export, prune');

  addDataFlag(audit.command('verify').description('check that no record was changed, removed or added'))
    .argument('[file]', 'an export; by default the records in the database')
    .option('--tenant <id>', 'only this one')
    .option('--public-key <base64>', 'of the installation, for an export that its file alone should not vouch for')
    .action((file: string | undefined, flags: PlatformFlags & { tenant?: string; publicKey?: string }) =>
      file === undefined ? verifyDatabase(context, flags) : verifyFile(context, file, flags.publicKey),
    );

  addDataFlag(audit.command('export').description('write the records as JSON lines, to verify them anywhere'))
    .option('--tenant <id>', 'whose', DEFAULT_TENANT)
    .action((flags: PlatformFlags & { tenant: string }) =>
      withPlatform(context, flags, async ({ database, audit: log, masterKeys, calls }) => {
        await calls.record(operatorOf(flags.tenant, operatorName(context)), 'audit.exported', {});
        await log.flush();
        const source = await readChain(database, flags.tenant);
        for await (const line of exportChain(source, masterKeys.signingKey)) {
          context.signal.throwIfAborted();
          if (!context.stdout.write(line)) await new Promise((resolve) => context.stdout.once('drain', resolve));
        }
      }),
    );

  addDataFlag(audit.command('prune').description('remove records that are past their time'))
    .option('--tenant <id>', 'whose', DEFAULT_TENANT)
    .option('--days <n>', 'how long they are kept, at least 180; by default TIMBRE_AUDIT_RETENTION_DAYS')
    .action((flags: PlatformFlags & { tenant: string; days?: string }) =>
      withPlatform(context, flags, async ({ database, calls }, config) => {
        const retentionDays = flags.days === undefined ? config.auditRetentionDays : Number(flags.days);
        const removed = await calls.act(
          operatorOf(flags.tenant, operatorName(context)),
          'audit.prune',
          { days: retentionDays },
          () => pruneChain(database, flags.tenant, { retentionDays }),
          (count) => ({ removed: count }),
        );
        context.stdout.write(`removed ${removed} records older than ${retentionDays} days\n`);
      }),
    );
}

async function verifyDatabase(context: CliContext, flags: PlatformFlags & { tenant?: string }): Promise<void> {
  await withPlatform(context, flags, async ({ database, audit, masterKeys }) => {
    await audit.flush();
    const all = (await listTenants(database)).map((tenant) => tenant.id);
    const problems: string[] = [];
    for (const tenant of flags.tenant === undefined ? all : [flags.tenant]) {
      try {
        const report = await verifyChain(await readChain(database, tenant), masterKeys.verifyingKeys);
        const range = report.records === 0 ? '' : ` (${report.firstSeq} to ${report.lastSeq})`;
        context.stdout.write(`${tenant}: ${report.records} records${range} verify, ${report.anchors} anchors agree\n`);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'AUDIT_BROKEN') throw error;
        problems.push(error.message);
      }
    }
    if (audit.waiting > 0) context.stdout.write(`${audit.waiting} records are still in the spool\n`);
    if (problems.length > 0) throw new AppError('AUDIT_BROKEN', problems.join('; '));
  });
}

async function verifyFile(context: CliContext, file: string, publicKey: string | undefined): Promise<void> {
  const lines = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
  const { source, publicKey: own } = await readExport(lines);
  const trusted =
    publicKey === undefined
      ? own
      : createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  const report = await verifyChain(source, [trusted]);
  context.stdout.write(`${report.tenantId}: ${report.records} records verify, ${report.anchors} anchors agree\n`);
}
