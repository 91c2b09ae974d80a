import { writeFile } from 'node:fs/promises';
import { checkLexiconName } from '../catalog/lexicons.js';
import { convertLexicon, readLexicon } from '../engine/lexicon-work.js';
import { AppError } from '../errors.js';
import { operatorOf } from '../tenancy/caller.js';
import { type CliContext, pathOf, printJson, renderTable } from './context.js';
import { operatorName, type PlatformFlags, withPlatform } from './with-platform.js';

export interface TenantLexiconFlags extends PlatformFlags {
  readonly tenant: string;
  readonly json?: boolean;
}

/** `timbre lexicon import NAME FILE --tenant ID`, with the file's text: the next version of a tenant's lexicon. */
export async function importTenantLexicon(
  context: CliContext,
  name: string,
  text: string,
  flags: TenantLexiconFlags & { readonly skipInvalid?: boolean },
): Promise<void> {
  checkLexiconName(name);
  const { entries, problems } = await readLexicon(text);
  for (const { line, message } of problems) context.stderr.write(`line ${line}: ${message}\n`);
  if (problems.length > 0 && flags.skipInvalid !== true) {
    const found = `${problems.length} entries of ${name} cannot be used`;
    throw new AppError('LEXICON_INVALID', `${found}; correct them, or leave them out with --skip-invalid`);
  }
  await withPlatform(context, flags, async ({ lexicons }) => {
    const by = operatorOf(flags.tenant, operatorName(context));
    const { version } = await lexicons.store(by, name, text, entries.length);
    if (flags.json) return printJson(context, { name, version, entries: entries.length, problems });
    context.stdout.write(`imported ${name} for ${flags.tenant}, version ${version}, ${entries.length} entries\n`);
  });
}

/** `timbre lexicon list --tenant ID`. */
export async function listTenantLexicons(context: CliContext, flags: TenantLexiconFlags): Promise<void> {
  await withPlatform(context, flags, async ({ lexicons }) => {
    const records = await lexicons.list(flags.tenant);
    if (flags.json) return printJson(context, records);
    const rows = records.map(({ name, version, entries }) => [name, String(version), String(entries)]);
    context.stdout.write(renderTable(['NAME', 'VERSION', 'ENTRIES'], rows));
  });
}

/** `timbre lexicon export NAME --tenant ID`. */
export async function exportTenantLexicon(
  context: CliContext,
  name: string,
  flags: TenantLexiconFlags & {
    readonly format: 'csv' | 'pls';
    readonly lang?: string;
    readonly versionNumber?: string;
    readonly output?: string;
  },
): Promise<void> {
  await withPlatform(context, flags, async ({ lexicons }) => {
    const version = flags.versionNumber === undefined ? null : Number(flags.versionNumber);
    const { text } = await lexicons.read(flags.tenant, name, version);
    const written = await convertLexicon(text, flags.format, flags.lang ?? null);
    if (flags.output === undefined) context.stdout.write(written);
    else await writeFile(pathOf(context, flags.output), written);
  });
}

/** `timbre lexicon remove NAME --tenant ID`. */
export async function removeTenantLexicon(context: CliContext, name: string, flags: TenantLexiconFlags): Promise<void> {
  await withPlatform(context, flags, async ({ lexicons }) => {
    await lexicons.remove(operatorOf(flags.tenant, operatorName(context)), name);
    context.stdout.write(`removed ${name} of ${flags.tenant}\n`);
  });
}
