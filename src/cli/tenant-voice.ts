import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { readAudioFile } from '../audio/decode.js';
import { DEFAULT_STYLE, type ProfileReference, styledName } from '../catalog/voice-access.js';
import type { Voice } from '../catalog/voice-rows.js';
import { listShares, shareVoice, unshareVoice } from '../catalog/voice-shares.js';
import type { SuppliedProfile } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import { DEFAULT_TENANT, operatorOf } from '../tenancy/caller.js';
import { type CliContext, pathOf, printJson, renderTable } from './context.js';
import { languageFlag } from './language-flag.js';
import type { Platform } from './platform.js';
import { saveSpeech } from './say.js';
import { withVoiceMaker } from './voice-maker.js';
import { addDataFlag, operatorName, type PlatformFlags, withPlatform } from './with-platform.js';

export interface TenantVoiceFlags extends PlatformFlags {
  readonly tenant: string;
  readonly json?: boolean;
}

export interface AddTenantVoiceFlags extends TenantVoiceFlags {
  readonly text?: string;
  readonly lang: string;
  readonly model?: string;
  readonly consent?: string;
  readonly attestedBy?: string;
  readonly style?: string;
  readonly displayName?: string;
  readonly newVersion?: boolean;
}

/** `timbre voice …` for voices of tenants: everything that the HTTP API does. */
export function addTenantVoiceCommands(voice: Command, context: CliContext): void {
  addDataFlag(voice.command('show').description('a voice of a tenant, with its versions').argument('<id>'))
    .option('--tenant <id>', 'whose', DEFAULT_TENANT)
    .action((id: string, flags: TenantVoiceFlags) =>
      withPlatform(context, flags, async ({ voices }) => {
        const found = await voices.get(flags.tenant, id);
        printJson(context, { ...found, versions: await voices.versions(flags.tenant, id) });
      }),
    );

  addDataFlag(voice.command('check').description('say whether recordings are good enough, and what to improve'))
    .argument('<recordings...>', 'audio files')
    .option('-t, --text <transcript>', 'what the first recording says')
    .option('-l, --lang <language>', 'language of the transcript', 'auto')
    .option('--model <name>', 'model to enrol for')
    .option('--json', 'print as JSON')
    .action((recordings: string[], flags: AddTenantVoiceFlags) => checkRecordings(context, recordings, flags));

  for (const [name, disabled, help] of [
    ['disable', true, 'silence a voice of a tenant at once'],
    ['enable', false, 'let it speak again'],
  ] as const) {
    addDataFlag(voice.command(name).description(help).argument('<id>'))
      .option('--tenant <id>', 'whose', DEFAULT_TENANT)
      .action((id: string, flags: TenantVoiceFlags) =>
        withPlatform(context, flags, async ({ voices }) => {
          const { status } = await voices.update(operator(context, flags.tenant), id, { disabled });
          context.stdout.write(`${id}: ${status}\n`);
        }),
      );
  }

  addDataFlag(voice.command('use-version').description('go back to a version, or forward to one'))
    .argument('<id>')
    .argument('<version>', 'as "timbre voice show" numbers them')
    .option('--tenant <id>', 'whose', DEFAULT_TENANT)
    .action((id: string, version: string, flags: TenantVoiceFlags) =>
      withPlatform(context, flags, async ({ voices }) => {
        const currentVersion = readVersion(version);
        const changed = await voices.update(operator(context, flags.tenant), id, { currentVersion });
        context.stdout.write(`${id} speaks as version ${changed.version}\n`);
      }),
    );

  addDataFlag(voice.command('preview').description('hear a voice of a tenant').argument('<id>'))
    .option('--tenant <id>', 'whose', DEFAULT_TENANT)
    .option('--style <name>', 'one of its styles')
    .option('-t, --text <text>', 'what to say', '你好，hello.')
    .option('-o, --output <file>', 'file to write', 'preview.wav')
    .action((id: string, flags: TenantVoiceFlags & { style?: string; text: string; output: string }) =>
      previewVoice(context, id, flags),
    );

  addDataFlag(voice.command('share').description("let a tenant use a voice: another tenant's, or one of the pool"))
    .argument('<id>')
    .requiredOption('--with <tenant>', 'who may use it')
    .option('--tenant <id>', 'whose voice it is; absent: a voice file of the pool')
    .action((id: string, flags: PlatformFlags & { with: string; tenant?: string }) =>
      withPlatform(context, flags, async ({ database, voices }) => {
        const ownerId = flags.tenant ?? null;
        const by = operator(context, ownerId ?? DEFAULT_TENANT);
        const share = { voiceId: id, ownerId, tenantId: flags.with };
        await voices.calls.act(by, 'voice.share', { voice: id, tenant: flags.with }, () =>
          shareVoice(database, voices, by, share),
        );
        context.stdout.write(`${flags.with} may use ${id}\n`);
      }),
    );

  addDataFlag(voice.command('unshare').description('end it, for what is being said too').argument('<id>'))
    .requiredOption('--with <tenant>', 'who may not use it any more')
    .action((id: string, flags: PlatformFlags & { with: string }) =>
      withPlatform(context, flags, async ({ database, voices }) => {
        const tenantId = flags.with;
        const by = operator(context, tenantId);
        await voices.calls.act(by, 'voice.unshare', { voice: id, tenant: tenantId }, () =>
          unshareVoice(database, voices, { voiceId: id, tenantId }),
        );
        context.stdout.write(`${tenantId} may not use ${id} any more\n`);
      }),
    );

  addDataFlag(voice.command('shares').description('who may use which voices besides their own'))
    .option('--json', 'print as JSON')
    .action((flags: PlatformFlags & { json?: boolean }) =>
      withPlatform(context, flags, async ({ database }) => {
        const shares = await listShares(database);
        if (flags.json) return printJson(context, shares);
        const rows = shares.map((each) => [each.voiceId, each.ownerId ?? '(pool)', each.tenantId]);
        context.stdout.write(renderTable(['VOICE', 'OF', 'WITH'], rows));
      }),
    );
}

/** `timbre voice add NAME RECORDINGS --tenant ID`: a voice, or another version of one. */
export async function addTenantVoice(
  context: CliContext,
  id: string,
  recordings: readonly string[],
  flags: AddTenantVoiceFlags,
): Promise<void> {
  const source = await readSource(context, recordings, flags);
  const voice = await withPlatform(context, flags, (platform, config) =>
    withVoiceMaker(context, config, (maker): Promise<Voice> => {
      const common = {
        source,
        ...(flags.model === undefined ? {} : { model: flags.model }),
        consentId: flags.consent ?? null,
        attestedBy: flags.attestedBy ?? null,
        requestKey: null,
      };
      const by = operator(context, flags.tenant);
      const { signal } = context;
      if (flags.style !== undefined || flags.newVersion === true) {
        const style = flags.style === undefined ? {} : { style: flags.style };
        return platform.voices.addVersion(by, id, { ...common, ...style }, maker, { signal });
      }
      return platform.voices.create(by, { ...common, id, name: flags.displayName ?? id }, maker, { signal });
    }),
  );
  if (flags.json) printJson(context, voice);
  else {
    context.stdout.write(`${voice.id} of ${flags.tenant}: version ${voice.version}, model ${voice.model}\n`);
    for (const warning of voice.warnings) context.stdout.write(`  warning: ${warning}\n`);
  }
}

/** `timbre voice list --tenant ID`. */
export async function listTenantVoices(context: CliContext, flags: TenantVoiceFlags): Promise<void> {
  await withPlatform(context, flags, async ({ voices }) => {
    const all = [...(await voices.list(flags.tenant)), ...(await voices.listShared(flags.tenant))];
    if (flags.json) return printJson(context, all);
    const rows = all.map((each) => [
      each.shared ? `${each.id} (shared)` : each.id,
      each.status,
      String(each.version),
      each.language,
      each.model,
      [DEFAULT_STYLE, ...each.styles].join(','),
      each.name,
    ]);
    context.stdout.write(renderTable(['VOICE', 'STATUS', 'VERSION', 'LANGUAGE', 'MODEL', 'STYLES', 'NAME'], rows));
  });
}

/** `timbre voice remove ID --tenant ID`. */
export async function removeTenantVoice(context: CliContext, id: string, flags: TenantVoiceFlags): Promise<void> {
  await withPlatform(context, flags, async ({ voices }) => {
    await voices.remove(operator(context, flags.tenant), id);
    context.stdout.write(`removed ${id} of ${flags.tenant}: its recordings and profiles are destroyed\n`);
  });
}

async function checkRecordings(
  context: CliContext,
  recordings: readonly string[],
  flags: AddTenantVoiceFlags,
): Promise<void> {
  const source = await readSource(context, recordings, flags);
  const model = flags.model === undefined ? {} : { model: flags.model };
  const checks = await withPlatform(context, flags, (_platform, config) =>
    withVoiceMaker(context, config, (maker) =>
      maker.checkRecordings({ name: 'check', ...source, ...model }, { signal: context.signal }),
    ),
  );
  const accepted = checks.every(({ outcome }) => outcome !== 'refused');
  if (flags.json) printJson(context, { accepted, checks });
  else {
    const rows = checks.map((each) => [String(each.recording + 1), each.check, each.outcome, each.message]);
    context.stdout.write(renderTable(['RECORDING', 'CHECK', 'OUTCOME', 'FOUND'], rows));
  }
  if (!accepted) throw new AppError('AUDIO_UNFIT', 'no voice can be made of this yet; see what was refused');
}

async function previewVoice(
  context: CliContext,
  id: string,
  {
    tenant,
    style = DEFAULT_STYLE,
    text,
    output,
    ...flags
  }: TenantVoiceFlags & {
    style?: string;
    text: string;
    output: string;
  },
): Promise<void> {
  await withPlatform(context, flags, async ({ voices, calls }, config) => {
    const name = styledName(id, style);
    const allowed = await voices.access.use(tenant, name);
    const profiles = allowed.profiles === null ? undefined : await loadProfiles(voices, allowed.profiles);
    const call = await calls.begin(operator(context, tenant), {
      requestId: randomUUID(),
      route: 'timbre voice preview',
      voice: allowed.name,
      voiceVersion: allowed.version,
      model: allowed.model,
      text,
      characters: [...text].length,
    });
    let outcome = 'INTERNAL';
    try {
      await call.safe;
      const request = { text, language: 'auto', speed: 1, seed: 1, tenant, ...(profiles && { profiles }) } as const;
      await withVoiceMaker(context, config, (engine) =>
        saveSpeech(
          context,
          { ...config, defaultVoice: allowed.name },
          [{ request, output: pathOf(context, output) }],
          engine,
        ),
      );
      outcome = 'ok';
    } catch (error) {
      if (error instanceof AppError) outcome = error.code;
      throw error;
    } finally {
      call.end({ outcome, audioMs: 0, audioDigest: null });
    }
    context.stdout.write(`${output}: ${name} of ${tenant}\n`);
  });
}

async function loadProfiles(
  voices: Platform['voices'],
  references: Readonly<Record<string, ProfileReference>>,
): Promise<Record<string, SuppliedProfile>> {
  const entries = Object.entries(references).map(
    async ([name, reference]): Promise<[string, SuppliedProfile]> => [
      name,
      { digest: reference.digest, bytes: await voices.loadProfile(reference) },
    ],
  );
  return Object.fromEntries(await Promise.all(entries));
}

async function readSource(context: CliContext, paths: readonly string[], flags: AddTenantVoiceFlags) {
  const language = languageFlag(flags.lang);
  const recordings = await Promise.all(
    paths.map(async (path) => ({ bytes: await readAudioFile(pathOf(context, path)), fileName: basename(path) })),
  );
  return { recordings, transcript: flags.text ?? null, language };
}

function operator(context: CliContext, tenant: string) {
  return operatorOf(tenant, operatorName(context));
}

function readVersion(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new AppError('REQUEST_INVALID', `the version is ${JSON.stringify(text)}; expected a number such as 1`);
}
