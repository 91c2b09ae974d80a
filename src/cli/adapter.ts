import { resolve } from 'node:path';
import type { Command } from 'commander';
import { AdapterStore } from '../engine/adapter-store.js';
import { DEMO_MODEL } from '../engine/demo-voice.js';
import { ModelStore } from '../engine/model-store.js';
import { AppError } from '../errors.js';
import type { ModelSpec } from '../models/model-spec.js';
import type { Text2SemanticSettings } from '../models/text2semantic.js';
import type { CliContext } from './context.js';
import { addTenantAdapter, listTenantAdapters, removeTenantAdapter } from './tenant-adapter.js';
import { addEngineFlags, configFromFlags, type EngineFlags } from './with-engine.js';

interface AdapterFlags extends EngineFlags {
  readonly tenant?: string;
}

interface AddFlags extends AdapterFlags {
  readonly model?: string;
}

/** `timbre adapter add|list|remove`: files of the data folder, or, with `--tenant`, adapters of a tenant. */
export function addAdapterCommands(program: Command, context: CliContext): void {
  const adapter = program
    .command('adapter')
    .description('adapters (LoRA) that change how a voice reads and sounds, by request');
  const storeOf = (flags: EngineFlags) => new AdapterStore(configFromFlags(context, flags).dataDir);

  addEngineFlags(
    adapter
      .command('add')
      .description('keep an adapter of rank 1 to 16, for text-to-semantic, the waveform (SoVITS), or both')
      .argument('<name>', 'what requests will call it')
      .argument(
        '<file>',
        'safetensors in the layout of PEFT: …h.layers.N.MODULE.lora_A.weight, …enc_p.MODULE.…, …flow.flows.N.MODULE.…, and lora_B',
      )
      .option('-m, --model <name>', 'model that it must fit; by default the default one')
      .option('--tenant <id>', 'an adapter of this tenant, rather than of the data folder'),
  ).action(async (name: string, file: string, flags: AddFlags) => {
    if (flags.tenant !== undefined) return addTenantAdapter(context, name, file, { ...flags, tenant: flags.tenant });
    const model = flags.model ?? DEMO_MODEL;
    const { manifests } = new ModelStore(configFromFlags(context, flags).dataDir).load(model);
    const text2semantic = manifests.text2semantic?.settings as Text2SemanticSettings | undefined;
    const sovits = manifests.sovits?.settings as ModelSpec | undefined;
    if (!text2semantic || !sovits) {
      throw new AppError('MODEL_INVALID', `model "${model}" lacks a network; import it again`);
    }
    const added = storeOf(flags).add(name, resolve(file), { text2semantic, sovits });
    const parts = [...partOf('text-to-semantic', added.text2semantic), ...partOf('waveform', added.sovits)];
    context.stdout.write(`added ${name}: ${parts.join('; ')}\n`);
  });

  addEngineFlags(
    adapter
      .command('list')
      .description('list the adapters there are')
      .option('--tenant <id>', 'of this tenant')
      .option('--json', 'print those of a tenant as JSON'),
  ).action(async (flags: AdapterFlags & { readonly json?: boolean }) => {
    if (flags.tenant !== undefined) return listTenantAdapters(context, { ...flags, tenant: flags.tenant });
    const names = storeOf(flags).names();
    for (const name of names) context.stdout.write(`${name}\n`);
    if (names.length === 0) context.stderr.write('there are none yet; timbre adapter add NAME FILE keeps one\n');
  });

  addEngineFlags(
    adapter
      .command('remove')
      .description('forget an adapter')
      .argument('<name>', 'its name')
      .option('--tenant <id>', 'of this tenant, with all its versions'),
  ).action(async (name: string, flags: AdapterFlags) => {
    if (flags.tenant !== undefined) return removeTenantAdapter(context, name, { ...flags, tenant: flags.tenant });
    storeOf(flags).remove(name);
    context.stdout.write(`removed ${name}\n`);
  });
}

/** What an adapter changes of a network, if anything. */
function partOf(
  network: string,
  part: { readonly rank: number; readonly changes: ReadonlyMap<string, unknown> } | null,
): string[] {
  if (part === null) return [];
  const { size } = part.changes;
  return [`${network}, ${size} ${size === 1 ? 'module' : 'modules'}, rank ${part.rank}`];
}
