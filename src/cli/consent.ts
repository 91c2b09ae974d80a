import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { readAudioFile } from '../audio/decode.js';
import type { Consent } from '../catalog/consents.js';
import { AppError } from '../errors.js';
import { DEFAULT_TENANT, operatorOf } from '../tenancy/caller.js';
import { type CliContext, pathOf, printJson, renderTable } from './context.js';
import { withVoiceMaker } from './voice-maker.js';
import { addDataFlag, operatorName, type PlatformFlags, withPlatform } from './with-platform.js';

interface ConsentFlags extends PlatformFlags {
  readonly tenant: string;
  readonly json?: boolean;
}

interface AddFlags extends ConsentFlags {
  readonly name: string;
  readonly lang: string;
  readonly recording?: string;
  readonly document?: string;
  readonly speaker?: string;
  readonly text?: string;
  readonly scope?: string;
  readonly sharing?: boolean;
  readonly from?: string;
  readonly until?: string;
}

/** `timbre consent add|list|show|evidence|revoke|remove`: speakers' consents to voices of tenants. */
export function addConsentCommands(program: Command, context: CliContext): void {
  const consent = program.command('consent').description("speakers' consents to voices made of their recordings");

  tenantCommand(consent.command('add').description('keep a consent: a recorded statement, or a signed document'))
    .requiredOption('--name <name>', 'what people call the record')
    .requiredOption('--lang <tag>', 'language of the statement, as BCP 47: zh-CN, en')
    .option('--recording <file>', 'the speaker says the statement')
    .option('--document <file>', 'the signed statement: PDF, PNG, JPEG or TIFF')
    .option('--speaker <name>', 'whose voice it is; kept encrypted')
    .option('--text <statement>', 'what the statement says; kept encrypted')
    .option('--scope <text>', 'what the voice may be used for')
    .option('--sharing', 'the voice may be shared with other tenants')
    .option('--from <date>', 'when it begins; by default now')
    .option('--until <date>', 'when it ends; by default when it is revoked')
    .action((flags: AddFlags) => addConsent(context, flags));

  tenantCommand(consent.command('list').description('list the consents of a tenant')).action((flags: ConsentFlags) =>
    withPlatform(context, flags, async ({ voices }) => {
      const consents = await voices.consents.list(flags.tenant);
      if (flags.json) return printJson(context, consents);
      const rows = consents.map((each) => [
        each.id,
        each.state,
        each.kind,
        each.language,
        each.validUntil?.toISOString().slice(0, 10) ?? 'until revoked',
        each.name,
      ]);
      context.stdout.write(renderTable(['CONSENT', 'STATE', 'KIND', 'LANGUAGE', 'VALID', 'NAME'], rows));
    }),
  );

  tenantCommand(
    consent.command('show').description('one consent, with who speaks and what was said').argument('<id>'),
  ).action((id: string, flags: ConsentFlags) =>
    withPlatform(context, flags, async ({ voices }) => {
      const found = await voices.consents.get(flags.tenant, id);
      printJson(context, { ...found, ...(await voices.consents.facts(flags.tenant, id)) });
    }),
  );

  tenantCommand(consent.command('evidence').description('write the recording or document to a file').argument('<id>'))
    .requiredOption('-o, --output <file>', 'file to write')
    .action((id: string, flags: ConsentFlags & { output: string }) =>
      withPlatform(context, flags, async ({ voices }) => {
        const { consent: found, read } = await voices.consents.evidence(flags.tenant, id);
        await voices.calls.record(operator(context, flags), 'consent.evidence.read', { consent: id });
        await pipeline(read(), createWriteStream(pathOf(context, flags.output), { flags: 'wx', mode: 0o600 }));
        context.stdout.write(`${flags.output}: ${found.mediaType}, SHA-256 ${found.sha256}\n`);
      }),
    );

  tenantCommand(
    consent.command('revoke').description('take a consent back: its voices stop within a second').argument('<id>'),
  )
    .option('--reason <text>', 'why; goes on record')
    .action((id: string, flags: ConsentFlags & { reason?: string }) =>
      withPlatform(context, flags, async ({ voices }) => {
        const revoked = await voices.consents.revoke(operator(context, flags), id, flags.reason ?? null);
        if (flags.json) return printJson(context, revoked);
        context.stdout.write(`revoked ${id}: voices made under it speak no more\n`);
      }),
    );

  tenantCommand(
    consent.command('remove').description('revoke a consent and destroy its statement').argument('<id>'),
  ).action((id: string, flags: ConsentFlags) =>
    withPlatform(context, flags, async ({ voices }) => {
      await voices.consents.remove(operator(context, flags), id);
      context.stdout.write(`removed ${id}: its statement is destroyed, voices made under it speak no more\n`);
    }),
  );
}

async function addConsent(context: CliContext, flags: AddFlags): Promise<void> {
  const { recording, document } = flags;
  if ((recording === undefined) === (document === undefined)) {
    throw new AppError('REQUEST_INVALID', 'a consent is either a --recording or a --document; give one of them');
  }
  const kind = document === undefined ? 'recording' : 'document';
  await withPlatform(context, flags, async ({ voices }, config) => {
    const evidence = await readAudioFile(pathOf(context, recording ?? document ?? ''));
    const made: Consent = await withVoiceMaker(context, config, (maker) =>
      voices.consents.create(
        operator(context, flags),
        {
          name: flags.name,
          language: flags.lang,
          kind,
          evidence,
          speaker: flags.speaker ?? null,
          text: flags.text ?? null,
          scope: flags.scope ?? '',
          sharing: flags.sharing ?? false,
          validFrom: readDate('--from', flags.from),
          validUntil: readDate('--until', flags.until),
          requestKey: null,
        },
        maker,
        context.signal,
      ),
    );
    if (flags.json) return printJson(context, made);
    context.stdout.write(`${made.id}\n`);
    context.stderr.write(
      `consent ${made.id} of ${flags.tenant}: timbre voice add NAME RECORDING --tenant ${flags.tenant} --consent ${made.id}\n`,
    );
  });
}

function tenantCommand(command: Command): Command {
  return addDataFlag(command).option('--tenant <id>', 'whose', DEFAULT_TENANT).option('--json', 'print as JSON');
}

function operator(context: CliContext, { tenant }: ConsentFlags) {
  return operatorOf(tenant, operatorName(context));
}

function readDate(flag: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  throw new AppError('REQUEST_INVALID', `${flag} is ${JSON.stringify(text)}; expected a date such as 2027-12-31`);
}
