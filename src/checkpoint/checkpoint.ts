/**
 * What a checkpoint file is to the rest of the engine, whichever format it came in: named tensors that are read from
 * the file when asked for, and plain data beside them.
 */

export type TensorDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

/** A tensor that still lies in its file; each read allocates only its own result. */
export interface CheckpointTensor {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Number of elements: the product of `shape`. */
  readonly length: number;
  /**
   * The elements in row-major order as float32 (fp16, bf16, fp64 and integers are converted). Needs no more memory than
   * the result, but for views with strides. Throws `CHECKPOINT_CORRUPT` where the file has a checksum and it is wrong.
   */
  readFloat32(): Float32Array;
  /** The elements in row-major order of an integer or boolean tensor; throws `CHECKPOINT_UNSUPPORTED` on floats. */
  readInt32(): Int32Array;
}

/** Data of a checkpoint that is not a tensor: what the pickle held, as plain values. */
export type PlainValue =
  | null
  | boolean
  | number
  | string
  | readonly PlainValue[]
  | { readonly [key: string]: PlainValue };

export type CheckpointFormat = 'torch-zip' | 'torch-legacy' | 'safetensors';

export interface Checkpoint {
  readonly path: string;
  readonly format: CheckpointFormat;
  /**
   * The first two bytes of the file as latin1: `PK` for a plain zip, or upstream's version tag in its place
   * (`02` v3, `03` v3 LoRA, `04` v4 LoRA, `05` v2Pro, `06` v2ProPlus).
   */
  readonly header: string;
  /**
   * The state dict: the tensors under `weight`, `generator` or `state_dict` where the file has such a section, else
   * those at the top; names are joined with dots.
   */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /**
   * Everything else at the top level (`config`, `info`, `lora_rank`; safetensors' metadata under `__metadata__`), plain:
   * configuration classes become objects, tuples and sets lists, paths and byte strings (latin1) text, integers beyond
   * 2^53 decimal text. Objects have no prototype, so a key like "constructor" is only ever data.
   */
  readonly data: { readonly [key: string]: PlainValue };
  close(): void;
}
