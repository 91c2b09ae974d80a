import { readFile } from 'node:fs/promises';
import { type AdapterFacts, checkAdapterName, MAX_ADAPTER_BYTES } from '../catalog/adapters.js';
import { AppError } from '../errors.js';
import { operatorOf } from '../tenancy/caller.js';
import { type CliContext, pathOf, printJson, renderTable } from './context.js';
import { withVoiceMaker } from './voice-maker.js';
import { operatorName, type PlatformFlags, withPlatform } from './with-platform.js';

export interface TenantAdapterFlags extends PlatformFlags {
  readonly tenant: string;
  readonly model?: string;
  readonly json?: boolean;
}

/** `timbre adapter add NAME FILE --tenant ID`: the next version of a tenant's adapter. */
export async function addTenantAdapter(
  context: CliContext,
  name: string,
  file: string,
  flags: TenantAdapterFlags,
): Promise<void> {
  checkAdapterName(name);
  const bytes = await readAdapterFile(pathOf(context, file));
  await withPlatform(context, flags, async ({ adapters }, config) => {
    const asked = { name, bytes, ...(flags.model === undefined ? {} : { model: flags.model }) };
    const facts = await withVoiceMaker(context, config, (engine) => engine.checkAdapter(asked));
    const { version } = await adapters.store(operatorOf(flags.tenant, operatorName(context)), name, bytes, facts);
    context.stdout.write(`added ${name}@${version} for ${flags.tenant}: ${changesOf(facts)}\n`);
  });
}

/** `timbre adapter list --tenant ID`. */
export async function listTenantAdapters(context: CliContext, flags: TenantAdapterFlags): Promise<void> {
  await withPlatform(context, flags, async ({ adapters }) => {
    const records = await adapters.list(flags.tenant);
    if (flags.json) return printJson(context, records);
    const rows = records.map((each) => [
      each.name,
      String(each.version),
      each.model,
      changesOf(each),
      String(each.sizeBytes),
    ]);
    context.stdout.write(renderTable(['NAME', 'VERSION', 'MODEL', 'CHANGES', 'BYTES'], rows));
  });
}

/** `timbre adapter remove NAME --tenant ID`. */
export async function removeTenantAdapter(context: CliContext, name: string, flags: TenantAdapterFlags): Promise<void> {
  await withPlatform(context, flags, async ({ adapters }) => {
    await adapters.remove(operatorOf(flags.tenant, operatorName(context)), name);
    context.stdout.write(`removed ${name} of ${flags.tenant}\n`);
  });
}

async function readAdapterFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new AppError('CHECKPOINT_NOT_FOUND', `cannot read the adapter "${path}"; name a safetensors file`, { cause });
  }
  if (bytes.length <= MAX_ADAPTER_BYTES) return bytes;
  const found = `adapter "${path}" has ${bytes.length} bytes`;
  throw new AppError('CHECKPOINT_TOO_LARGE', `${found}; expected at most ${MAX_ADAPTER_BYTES}`);
}

function changesOf({ text2semanticRank, sovitsRank }: AdapterFacts): string {
  const parts = [
    ...(text2semanticRank > 0 ? [`text-to-semantic, rank ${text2semanticRank}`] : []),
    ...(sovitsRank > 0 ? [`waveform, rank ${sovitsRank}`] : []),
  ];
  return parts.join('; ');
}
