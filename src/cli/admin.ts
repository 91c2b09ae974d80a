import type { Command } from 'commander';
import { AppError } from '../errors.js';
import { createApiKey, type IssuedKey, listApiKeys, revokeApiKey, rotateApiKey } from '../tenancy/api-keys.js';
import { DEFAULT_TENANT, operatorOf } from '../tenancy/caller.js';
import { addMember, listMembers, removeMember } from '../tenancy/members.js';
import { isRole } from '../tenancy/people.js';
import { DEFAULT_KEY_SCOPES, isScope, ROLES, SCOPES, type Scope } from '../tenancy/scopes.js';
import {
  createTenant,
  deleteTenant,
  getTenant,
  type Limits,
  listTenants,
  setLimits,
  setOwnRecordingsAllowed,
  setPoolVoices,
  setSuspended,
  type Tenant,
} from '../tenancy/tenants.js';
import { readUsage, usageCsv } from '../tenancy/usage.js';
import { type CliContext, printJson, renderTable } from './context.js';
import { addDataFlag, operatorName, type PlatformFlags, withPlatform } from './with-platform.js';

interface TenantFlags extends PlatformFlags {
  readonly tenant: string;
  readonly json?: boolean;
}

const DAY_MS = 86_400_000;

/** `timbre admin tenant|key|member|usage`: what the operator does. Every act is on the tenant's audit record. */
export function addAdminCommands(program: Command, context: CliContext): void {
  const admin = program.command('admin').description('tenants, their API keys, members, limits and usage');
  addTenantCommands(admin.command('tenant').description('tenants: namespaces that cannot see each other'), context);
  addKeyCommands(admin.command('key').description('API keys of a tenant'), context);
  addMemberCommands(
    admin.command('member').description('people of a tenant, who sign in with OpenID Connect'),
    context,
  );
  addUsageCommand(admin, context);
}

function addTenantCommands(tenant: Command, context: CliContext): void {
  addDataFlag(tenant.command('create').description('make a tenant').argument('<id>', 'a-z, 0-9 and "-"'))
    .option('--name <name>', 'what people call it')
    .action((id: string, flags: PlatformFlags & { name?: string }) =>
      withPlatform(context, flags, async ({ database, calls }) => {
        const wanted = { id, ...(flags.name === undefined ? {} : { displayName: flags.name }) };
        await createTenant(database, wanted);
        // A tenant has no chain before it exists: its first record is that it was made.
        await calls.record(operator(context, id), 'tenant.created', { id });
        context.stdout.write(`made the tenant ${id}\ntry: timbre admin key create --tenant ${id} --name my-app\n`);
      }),
    );

  addDataFlag(tenant.command('list').description('list the tenants there are').option('--json', 'as JSON')).action(
    (flags: PlatformFlags & { json?: boolean }) =>
      withPlatform(context, flags, async ({ database }) => {
        const tenants = await listTenants(database);
        if (flags.json) return printJson(context, tenants);
        const rows = tenants.map((each) => [each.id, each.state, describeLimits(each), each.displayName]);
        context.stdout.write(renderTable(['TENANT', 'STATE', 'LIMITS', 'NAME'], rows));
      }),
  );

  const limits = addDataFlag(
    tenant.command('limits').description('set what a tenant may use; "none" takes a limit away').argument('<id>'),
  );
  for (const [flag, , help] of LIMIT_FLAGS) limits.option(`--${flag} <n>`, help);
  limits.action((id: string, flags: PlatformFlags & Record<string, string>) =>
    withPlatform(context, flags, async ({ database, calls }) => {
      const wanted = readLimits(flags);
      const changed = await calls.act(operator(context, id), 'tenant.limits', { ...wanted }, () =>
        setLimits(database, id, wanted),
      );
      context.stdout.write(`${id}: ${describeLimits(changed)}\n`);
    }),
  );

  addDataFlag(tenant.command('policy').description('what a tenant may do').argument('<id>'))
    .option('--own-recordings <yes|no>', 'voices from recordings without a consent record')
    .option('--pool <all|chosen>', "all voices of the operator's pool, or those shared with the tenant")
    .action((id: string, flags: PlatformFlags & PolicyFlags) =>
      withPlatform(context, flags, async ({ database, calls, voices }) => {
        const { own, pool } = readPolicy(flags);
        const details = { own_recordings: own, pool };
        const changed = await calls.act(operator(context, id), 'tenant.policy', details, async () => {
          if (own !== null) await setOwnRecordingsAllowed(database, id, own);
          return pool === null ? getTenant(database, id) : setPoolVoices(database, id, pool);
        });
        voices.access.forgetTenant(id);
        context.stdout.write(
          `${id}: voices without a consent record ${changed.ownRecordingsAllowed ? 'may' : 'may not'} be made; ` +
            `${changed.poolVoices === 'all' ? 'all' : 'only chosen'} voices of the pool may be used\n`,
        );
      }),
    );

  for (const [name, suspended, help] of [
    ['suspend', true, 'refuse all calls of a tenant; its data stay'],
    ['resume', false, 'let a suspended tenant in again'],
  ] as const) {
    addDataFlag(tenant.command(name).description(help).argument('<id>')).action((id: string, flags: PlatformFlags) =>
      withPlatform(context, flags, async ({ database, calls }) => {
        await calls.act(operator(context, id), `tenant.${name}`, {}, () => setSuspended(database, id, suspended));
        context.stdout.write(`${id} is ${suspended ? 'suspended' : 'active'}\n`);
      }),
    );
  }

  addDataFlag(
    tenant.command('delete').description('destroy a tenant: its keys first, so that nobody can read its data again'),
  )
    .argument('<id>')
    .option('--yes', 'really')
    .action((id: string, flags: PlatformFlags & { yes?: boolean }) =>
      withPlatform(context, flags, async ({ database, calls, vault, voices }) => {
        if (!flags.yes) {
          throw new AppError(
            'REQUEST_INVALID',
            `this destroys all data of "${id}" for good; add --yes if that is meant`,
          );
        }
        await calls.act(operator(context, id), 'tenant.delete', {}, async () => {
          await deleteTenant(database, id);
          await voices.stops.look();
          await vault.sweepTenant(id);
        });
        context.stdout.write(`${id} is gone; its usage and audit records are kept\n`);
      }),
    );
}

interface PolicyFlags {
  readonly ownRecordings?: string;
  readonly pool?: string;
}

function readPolicy({ ownRecordings, pool }: PolicyFlags): {
  readonly own: boolean | null;
  readonly pool: Tenant['poolVoices'] | null;
} {
  const fits = /^(yes|no)?$/.test(ownRecordings ?? '') && /^(all|chosen)?$/.test(pool ?? '');
  if (!fits || (ownRecordings === undefined && pool === undefined)) {
    throw new AppError('REQUEST_INVALID', 'say --own-recordings yes or no, or --pool all or chosen');
  }
  return {
    own: ownRecordings === undefined ? null : ownRecordings === 'yes',
    pool: pool === 'all' || pool === 'chosen' ? pool : null,
  };
}

const LIMIT_FLAGS: readonly (readonly [flag: string, name: keyof Limits, help: string])[] = [
  ['requests-per-minute', 'requestsPerMinute', 'calls a minute, on each server'],
  ['characters-per-minute', 'charactersPerMinute', 'characters of text a minute, on each server'],
  ['characters-per-month', 'charactersPerMonth', 'characters of text a calendar month, over all servers'],
  ['concurrent-streams', 'concurrentStreams', 'syntheses at once, on each server'],
  ['storage-bytes', 'storageBytes', 'bytes of recordings and voices'],
  ['weight', 'weight', 'share of the machine under load, against 1'],
];

function readLimits(flags: Readonly<Record<string, string | undefined>>): Partial<Limits> {
  const limits: Partial<Record<keyof Limits, number | null>> = {};
  for (const [flag, name] of LIMIT_FLAGS) {
    const text = flags[name];
    if (text === undefined) continue;
    const value = text === 'none' && name !== 'weight' ? null : Number(text);
    if (value !== null && !(name === 'weight' ? value > 0 : Number.isSafeInteger(value) && value >= 0)) {
      throw new AppError('REQUEST_INVALID', `--${flag} is ${JSON.stringify(text)}; expected a number, or none`);
    }
    limits[name] = value;
  }
  if (Object.keys(limits).length === 0) {
    throw new AppError('REQUEST_INVALID', `say which: ${LIMIT_FLAGS.map(([flag]) => `--${flag}`).join(', ')}`);
  }
  // Each was read as its kind.
  return limits as Partial<Limits>;
}

function describeLimits({ limits }: Tenant): string {
  const set = LIMIT_FLAGS.filter(([, name]) => limits[name] !== null && !(name === 'weight' && limits.weight === 1));
  return set.length === 0 ? 'none' : set.map(([flag, name]) => `${flag} ${limits[name]}`).join(', ');
}

function addKeyCommands(key: Command, context: CliContext): void {
  tenantCommand(key.command('create').description('make an API key; it is shown once'))
    .requiredOption('--name <name>', 'which application it is for')
    .option('--scopes <list>', `what it may do: ${SCOPES.join(', ')}, or all`, DEFAULT_KEY_SCOPES.join(','))
    .option('--expires-days <n>', 'ends after so many days')
    .action((flags: TenantFlags & { name: string; scopes: string; expiresDays?: string }) =>
      withPlatform(context, flags, async ({ database, calls }) => {
        const scopes = readScopes(flags.scopes);
        const expiresAt =
          flags.expiresDays === undefined
            ? null
            : new Date(Date.now() + readNumber('--expires-days', flags.expiresDays) * DAY_MS);
        const issued = await calls.act(
          operator(context, flags.tenant),
          'key.create',
          { name: flags.name, scopes: [...scopes] },
          () => createApiKey(database, flags.tenant, { name: flags.name, scopes, expiresAt, createdBy: by(context) }),
          ({ key: made }) => ({ key: made.id }),
        );
        printIssued(context, flags, issued);
      }),
    );

  tenantCommand(key.command('list').description('list keys; secrets are not known any more')).action(
    (flags: TenantFlags) =>
      withPlatform(context, flags, async ({ database }) => {
        const keys = await listApiKeys(database, flags.tenant);
        if (flags.json) return printJson(context, keys);
        const rows = keys.map((each) => [
          each.id,
          each.revokedAt !== null
            ? 'revoked'
            : each.expiresAt !== null && each.expiresAt <= new Date()
              ? 'expired'
              : 'active',
          each.expiresAt?.toISOString().slice(0, 16) ?? 'never',
          each.scopes.join(','),
          each.name,
        ]);
        context.stdout.write(renderTable(['KEY', 'STATE', 'EXPIRES', 'SCOPES', 'NAME'], rows));
      }),
  );

  tenantCommand(
    key.command('rotate').description('make a successor; the old key goes on for a while').argument('<key>'),
  )
    .option('--overlap-hours <n>', 'how long both work', '24')
    .action((id: string, flags: TenantFlags & { overlapHours: string }) =>
      withPlatform(context, flags, async ({ database, calls }) => {
        const overlapMs = readNumber('--overlap-hours', flags.overlapHours) * 3_600_000;
        const issued = await calls.act(
          operator(context, flags.tenant),
          'key.rotate',
          { key: id },
          () => rotateApiKey(database, flags.tenant, id, { overlapMs, createdBy: by(context) }),
          ({ key: made }) => ({ successor: made.id }),
        );
        printIssued(context, flags, issued);
      }),
    );

  tenantCommand(key.command('revoke').description('end a key at once').argument('<key>')).action(
    (id: string, flags: TenantFlags) =>
      withPlatform(context, flags, async ({ database, calls }) => {
        await calls.act(operator(context, flags.tenant), 'key.revoke', { key: id }, () =>
          revokeApiKey(database, flags.tenant, id),
        );
        context.stdout.write(`revoked ${id}\n`);
      }),
  );
}

function printIssued(context: CliContext, flags: TenantFlags, { key, secret }: IssuedKey): void {
  if (flags.json) {
    printJson(context, { ...key, secret });
    return;
  }
  context.stdout.write(`${secret}\n`);
  context.stderr.write(`key ${key.id} of ${key.tenantId}: keep the line above, it cannot be shown again\n`);
}

function addMemberCommands(member: Command, context: CliContext): void {
  tenantCommand(member.command('add').description('add a person, or give another role'))
    .requiredOption('--issuer <url>', 'the identity provider (TIMBRE_OIDC_ISSUER)')
    .requiredOption('--subject <sub>', 'what the provider calls the person')
    .requiredOption('--role <role>', ROLES.join(', '))
    .action((flags: TenantFlags & { issuer: string; subject: string; role: string }) =>
      withPlatform(context, flags, async ({ database, calls }) => {
        const { issuer, subject, role } = flags;
        if (!isRole(role)) {
          throw new AppError(
            'REQUEST_INVALID',
            `--role is ${JSON.stringify(role)}; expected one of ${ROLES.join(', ')}`,
          );
        }
        await calls.act(operator(context, flags.tenant), 'member.add', { issuer, subject, role }, () =>
          addMember(database, flags.tenant, { issuer, subject, role, createdBy: by(context) }),
        );
        context.stdout.write(`${subject} is ${role} of ${flags.tenant}\n`);
      }),
    );

  tenantCommand(member.command('list').description('list the people of a tenant')).action((flags: TenantFlags) =>
    withPlatform(context, flags, async ({ database }) => {
      const members = await listMembers(database, flags.tenant);
      if (flags.json) return printJson(context, members);
      const rows = members.map((each) => [each.role, each.subject, each.issuer]);
      context.stdout.write(renderTable(['ROLE', 'SUBJECT', 'ISSUER'], rows));
    }),
  );

  tenantCommand(member.command('remove').description('take a person out'))
    .requiredOption('--issuer <url>', 'the identity provider')
    .requiredOption('--subject <sub>', 'what the provider calls the person')
    .action((flags: TenantFlags & { issuer: string; subject: string }) =>
      withPlatform(context, flags, async ({ database, calls }) => {
        const { issuer, subject } = flags;
        await calls.act(operator(context, flags.tenant), 'member.remove', { issuer, subject }, () =>
          removeMember(database, flags.tenant, { issuer, subject }),
        );
        context.stdout.write(`${subject} is out of ${flags.tenant}\n`);
      }),
    );
}

function addUsageCommand(admin: Command, context: CliContext): void {
  tenantCommand(admin.command('usage').description('characters and seconds by hour, caller and voice'))
    .option('--from <date>', 'UTC; by default the first of this month')
    .option('--to <date>', 'UTC, not included; by default now')
    .option('--csv', 'as CSV')
    .action((flags: TenantFlags & { from?: string; to?: string; csv?: boolean }) =>
      withPlatform(context, flags, async ({ database, audit }) => {
        // What calls have ended with may still be on its way from the spool.
        await audit.flush();
        const now = new Date();
        const from = readDate('--from', flags.from) ?? new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
        const to = readDate('--to', flags.to) ?? new Date(now.getTime() + 3_600_000);
        const rows = await readUsage(database, flags.tenant, { from, to });
        if (flags.json) return printJson(context, rows);
        if (flags.csv) return void context.stdout.write(usageCsv(rows));
        const cells = rows.map((row) => [
          row.hour.toISOString().slice(0, 13),
          String(row.requests),
          String(row.failures),
          String(row.characters),
          (row.audioMs / 1000).toFixed(1),
          row.principal,
          row.voice,
        ]);
        const headings = ['HOUR', 'CALLS', 'FAILED', 'CHARACTERS', 'SECONDS', 'CALLER', 'VOICE'];
        context.stdout.write(renderTable(headings, cells));
      }),
    );
}

function tenantCommand(command: Command): Command {
  return addDataFlag(command).option('--tenant <id>', 'whose', DEFAULT_TENANT).option('--json', 'print as JSON');
}

function operator(context: CliContext, tenantId: string) {
  return operatorOf(tenantId, operatorName(context));
}

function by(context: CliContext): string {
  return `operator:${operatorName(context)}`;
}

function readScopes(text: string): readonly Scope[] {
  if (text === 'all') return SCOPES;
  return text.split(',').map((part) => {
    const scope = part.trim();
    if (isScope(scope)) return scope;
    throw new AppError('REQUEST_INVALID', `there is no scope ${JSON.stringify(scope)}; there are ${SCOPES.join(', ')}`);
  });
}

function readNumber(flag: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new AppError('REQUEST_INVALID', `${flag} is ${JSON.stringify(text)}; expected a number`);
}

function readDate(flag: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  throw new AppError('REQUEST_INVALID', `${flag} is ${JSON.stringify(text)}; expected a date such as 2026-11-27`);
}
