/**
 * Bounds on what a checkpoint may ask of us. The defaults leave official files (at most 2 GB, 1,200 tensors, a pickle of
 * 150 KB) a factor of ten or more, and keep what a hostile file can make us allocate while opening it near 300 MB.
 */
export interface CheckpointLimits {
  /** The file itself. */
  readonly fileSizeBytes: number;
  /** Members of a zip archive. */
  readonly entries: number;
  readonly tensors: number;
  /** One tensor as float32, the largest allocation a read can make. */
  readonly tensorSizeBytes: number;
  /** Depth of containers within containers (pickle and JSON). */
  readonly nesting: number;
  /** The pickle (without tensor data) or the header of a safetensors file. */
  readonly headerSizeBytes: number;
  /** One string or byte string inside a pickle. */
  readonly stringSizeBytes: number;
  /** Instructions of one pickle. */
  readonly operations: number;
  /** Containers and records one pickle may build, and plain values it may expand to. */
  readonly objects: number;
  /** Entries of the pickle's memo. */
  readonly memoEntries: number;
  /** Height of the pickle machine's stack. */
  readonly stackEntries: number;
}

export const DEFAULT_CHECKPOINT_LIMITS: CheckpointLimits = {
  fileSizeBytes: 16 * 2 ** 30,
  entries: 65_536,
  tensors: 65_536,
  tensorSizeBytes: 8 * 2 ** 30,
  nesting: 64,
  headerSizeBytes: 100_000_000,
  stringSizeBytes: 16 * 2 ** 20,
  operations: 4_000_000,
  objects: 1_000_000,
  memoEntries: 1_000_000,
  stackEntries: 262_144,
};
