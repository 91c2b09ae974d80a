import type { Checkpoint, CheckpointTensor } from '../checkpoint/checkpoint.js';
import { AppError } from '../errors.js';

/** Ranks above this cost more than they bring. */
export const MAX_ADAPTER_RANK = 16;

/** The two halves of a module's change, as they are called in the file. */
export interface ChangedModule {
  readonly A?: CheckpointTensor;
  readonly B?: CheckpointTensor;
}

/** The changed modules of an adapter file by their names in the network, without prefix. */
export interface AdapterFile {
  readonly path: string;
  /** By `N.MODULE`, N the layer. */
  readonly text2semantic: ReadonlyMap<string, ChangedModule>;
  readonly sovits: ReadonlyMap<string, ChangedModule>;
  /** What the products are multiplied by, times the rank; null: 1 / rank. */
  readonly alpha: number | null;
}

const HALF = /\.lora_([AB])(?:\.[a-z]+)?\.weight$/;
const TEXT2SEMANTIC =
  /(?:^|\.)h\.layers\.(\d{1,4}\.(?:self_attn\.in_proj|self_attn\.out_proj|linear1|linear2))(?:_weight)?$/;
const SOVITS = /(?:^|\.)((?:enc_p|flow)\..+)$/;

/**
 * Reads which modules an adapter in the layout of the PEFT library changes: `…MODULE.lora_A.weight` (rank, in) and
 * `lora_B.weight` (out, rank), for a convolution (rank, in, kernel) and (out, rank, 1); any prefix, and an adapter name
 * before `weight`. `lora_alpha` in the metadata scales by alpha / rank. A file changes text-to-semantic, SoVITS, or both.
 *
 * @throws `CHECKPOINT_UNSUPPORTED` where a tensor has another name, or there is none.
 */
export function readAdapterFile(checkpoint: Checkpoint): AdapterFile {
  const text2semantic = new Map<string, ChangedModule>();
  const sovits = new Map<string, ChangedModule>();
  for (const [name, tensor] of checkpoint.tensors) {
    const half = HALF.exec(name);
    const module = half ? name.slice(0, half.index) : '';
    const [, ofText] = TEXT2SEMANTIC.exec(module) ?? [];
    const [, ofSovits] = SOVITS.exec(module) ?? [];
    const [part, key] = ofText !== undefined ? [text2semantic, ofText] : [sovits, ofSovits];
    if (!half || key === undefined) {
      const known =
        '"…h.layers.N.MODULE.lora_A.weight", "…enc_p.MODULE.lora_A.weight" or "…flow.flows.N.MODULE.lora_A.weight"';
      throw unfit(checkpoint.path, `has a tensor "${name}"; expected ${known}, and lora_B`);
    }
    part.set(key, { ...part.get(key), [half[1] as 'A' | 'B']: tensor });
  }
  if (text2semantic.size + sovits.size === 0) throw unfit(checkpoint.path, 'changes nothing: it has no tensors');
  return { path: checkpoint.path, text2semantic, sovits, alpha: alphaOf(checkpoint) };
}

/** The rank that all modules of a network have; throws where it is out of bounds. */
export function rankOf(file: AdapterFile, modules: AdapterFile['sovits']): number {
  const [first] = modules.values();
  const rank = first?.A?.shape[0] ?? first?.B?.shape[1] ?? 0;
  if (rank < 1 || rank > MAX_ADAPTER_RANK) {
    throw unfit(file.path, `has rank ${rank}, expected 1 to ${MAX_ADAPTER_RANK}`);
  }
  return rank;
}

function alphaOf(checkpoint: Checkpoint): number | null {
  const metadata = checkpoint.data['__metadata__'];
  const stored =
    typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
      ? (metadata as Readonly<Record<string, unknown>>)['lora_alpha']
      : undefined;
  if (stored === undefined) return null;
  const alpha = Number(stored);
  if (!Number.isFinite(alpha)) {
    throw unfit(checkpoint.path, `has lora_alpha ${JSON.stringify(stored)}, expected a number`);
  }
  return alpha;
}

export function unfit(path: string, what: string): AppError {
  return new AppError('CHECKPOINT_UNSUPPORTED', `adapter "${path}" ${what}`);
}
