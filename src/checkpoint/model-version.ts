import { AppError } from '../errors.js';
import type { Checkpoint, PlainValue } from './checkpoint.js';
import { CHECKPOINT_KIND_NAMES, type CheckpointKind, detectCheckpointKind } from './checkpoint-kind.js';

export const SOVITS_VERSIONS = ['v1', 'v2', 'v2Pro', 'v2ProPlus', 'v3', 'v4'] as const;

export type SovitsVersion = (typeof SOVITS_VERSIONS)[number];

/** Which of upstream's two phoneme tables a model was trained with. */
export type SymbolVersion = 'v1' | 'v2';

export interface SovitsModelVersion {
  readonly version: SovitsVersion;
  /** Phoneme table: 322 symbols in v1, 732 from v2 on. */
  readonly symbols: SymbolVersion;
  /** The file only holds what LoRA training changed; it needs its base model (v3 and v4 only). */
  readonly isLora: boolean;
}

export interface T2sModelVersion {
  readonly symbols: SymbolVersion;
}

/** Upstream's tags over the first two bytes (process_ckpt.py head2version). */
const TAGS: ReadonlyMap<string, { readonly version: SovitsVersion; readonly isLora: boolean }> = new Map([
  ['02', { version: 'v3', isLora: false }],
  ['03', { version: 'v3', isLora: true }],
  ['04', { version: 'v4', isLora: true }],
  ['05', { version: 'v2Pro', isLora: false }],
  ['06', { version: 'v2ProPlus', isLora: false }],
]);

/** Versions that the shapes of a state dict allow: they differ in networks between families, not within. */
const FAMILIES = {
  v1: ['v1'],
  v2: ['v2'],
  pro: ['v2Pro', 'v2ProPlus'],
  flowMatching: ['v3', 'v4'],
} as const satisfies Record<string, readonly SovitsVersion[]>;

/**
 * Tells the version of a SoVITS (s2) checkpoint from its contents: the networks present and the rows of the text
 * embedding give the family; within it the header tag, `config.model.version` and the generator's first upsampling
 * kernel decide, in that order. The file's size plays no part. `override` decides where contents allow it.
 *
 * Throws `CHECKPOINT_UNSUPPORTED` if the file is no SoVITS model, if `override` contradicts its shapes, or if v3 and v4
 * (which have the same shapes) cannot be told apart; `CHECKPOINT_CORRUPT` if its tag contradicts its shapes.
 */
export function detectSovitsVersion(checkpoint: Checkpoint, override?: SovitsVersion): SovitsModelVersion {
  requireKind(checkpoint, 'sovits');
  const { tensors, path } = checkpoint;
  const isLora = [...tensors.keys()].some((name) => name.includes('.lora_A.'));
  const symbols = sovitsSymbols(checkpoint, isLora);
  const family = familyOf(checkpoint, symbols, isLora);
  const allowed: readonly SovitsVersion[] = FAMILIES[family];

  if (override !== undefined && !allowed.includes(override)) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `checkpoint "${path}" cannot be loaded as ${override}: ${evidence(checkpoint, family)}; expected ${allowed.join(' or ')}, or leave the version out`,
    );
  }
  const tag = TAGS.get(checkpoint.header);
  if (tag !== undefined && (!allowed.includes(tag.version) || tag.isLora !== isLora)) {
    throw new AppError(
      'CHECKPOINT_CORRUPT',
      `checkpoint "${path}" is tagged "${checkpoint.header}" (${tag.version}${tag.isLora ? ' LoRA' : ''}), but ${evidence(checkpoint, family)}${isLora ? ' and it is a LoRA' : ''}`,
    );
  }
  const version =
    override ?? tag?.version ?? configuredVersion(checkpoint, allowed) ?? versionByShape(checkpoint, family);
  return { version, symbols, isLora };
}

/** Tells the phoneme table of a T2S (s1, GPT) checkpoint: v1 models have 512 rows, later ones 732. */
export function detectT2sVersion(checkpoint: Checkpoint): T2sModelVersion {
  requireKind(checkpoint, 't2s');
  const name = 'ar_text_embedding.word_embeddings.weight';
  const embedding = checkpoint.tensors.get(`model.${name}`) ?? checkpoint.tensors.get(name);
  const rows = embedding?.shape[0];
  if (rows === 512) return { symbols: 'v1' };
  if (rows !== undefined && rows >= 732) return { symbols: 'v2' };
  throw new AppError(
    'CHECKPOINT_UNSUPPORTED',
    `checkpoint "${checkpoint.path}" has ${rows ?? 'no'} rows in ${name}; expected 512 (v1) or 732 (v2)`,
  );
}

function requireKind(checkpoint: Checkpoint, kind: CheckpointKind): void {
  const found = detectCheckpointKind(checkpoint);
  if (found === kind) return;
  throw new AppError(
    'CHECKPOINT_UNSUPPORTED',
    `checkpoint "${checkpoint.path}" is ${CHECKPOINT_KIND_NAMES[found]}; expected ${CHECKPOINT_KIND_NAMES[kind]}`,
  );
}

const TEXT_EMBEDDING = 'enc_p.text_embedding.weight';

function sovitsSymbols(checkpoint: Checkpoint, isLora: boolean): SymbolVersion {
  const rows = checkpoint.tensors.get(TEXT_EMBEDDING)?.shape[0];
  if (rows === 322) return 'v1';
  if (rows === undefined && isLora) return 'v2';
  if (rows !== undefined && rows >= 732) return 'v2';
  throw new AppError(
    'CHECKPOINT_UNSUPPORTED',
    `checkpoint "${checkpoint.path}" has ${rows ?? 'no'} rows in ${TEXT_EMBEDDING}; expected 322 (v1) or 732 (v2 and later)`,
  );
}

function familyOf(checkpoint: Checkpoint, symbols: SymbolVersion, isLora: boolean): keyof typeof FAMILIES {
  const { tensors } = checkpoint;
  if (isLora || hasPrefix(checkpoint, 'cfm.')) return 'flowMatching';
  if (tensors.has('sv_emb.weight') && tensors.has('ge_to512.weight')) return 'pro';
  return symbols;
}

/** Upstream's training writes the version into the config; plain values of unknown origin are only believed if allowed. */
function configuredVersion(checkpoint: Checkpoint, allowed: readonly SovitsVersion[]): SovitsVersion | undefined {
  const config = checkpoint.data['config'];
  const candidates = [field(field(config, 'model'), 'version'), field(config, 'version')];
  return allowed.find((version) => candidates[0] === version) ?? allowed.find((version) => candidates[1] === version);
}

function versionByShape(checkpoint: Checkpoint, family: keyof typeof FAMILIES): SovitsVersion {
  switch (family) {
    case 'v1':
    case 'v2':
      return family;
    case 'pro': {
      // v2ProPlus upsamples with kernels 20, 16, 8, 2, 2 from 768 channels, v2Pro with 16, 16, 8, 2, 2 from 512.
      const up = checkpoint.tensors.get('dec.ups.0.weight_v') ?? checkpoint.tensors.get('dec.ups.0.weight');
      const channels = checkpoint.tensors.get('dec.conv_pre.weight')?.shape[0] ?? 0;
      return up?.shape[2] === 20 || channels === 768 ? 'v2ProPlus' : 'v2Pro';
    }
    case 'flowMatching':
      throw new AppError(
        'CHECKPOINT_UNSUPPORTED',
        `checkpoint "${checkpoint.path}" is a v3 or a v4 model, which have the same shapes, and nothing in it says which; give the version`,
      );
    default:
      return family satisfies never;
  }
}

function evidence(checkpoint: Checkpoint, family: keyof typeof FAMILIES): string {
  const rows = checkpoint.tensors.get(TEXT_EMBEDDING)?.shape[0];
  switch (family) {
    case 'v1':
    case 'v2':
      return `its text embedding has ${rows} rows and it has neither a speaker vector (sv_emb) nor flow matching (cfm)`;
    case 'pro':
      return 'it takes a speaker vector (sv_emb, ge_to512)';
    case 'flowMatching':
      return 'it uses flow matching (cfm)';
    default:
      return family satisfies never;
  }
}

function hasPrefix(checkpoint: Checkpoint, prefix: string): boolean {
  for (const name of checkpoint.tensors.keys()) if (name.startsWith(prefix)) return true;
  return false;
}

function field(value: PlainValue | undefined, key: string): PlainValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as { readonly [key: string]: PlainValue })[key] : undefined;
}
