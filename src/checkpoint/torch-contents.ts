import { AppError } from '../errors.js';
import type { CheckpointTensor, PlainValue } from './checkpoint.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import type { FileReader } from './file-reader.js';
import { DTYPE_BYTES } from './float-conversion.js';
import type { PickleStorage, PickleTensor } from './pickle-values.js';
import type { StateDict } from './state-dict.js';
import { fileTensor, isReadableView, type StoredData } from './tensor-data.js';

export interface TorchContents {
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly data: { readonly [key: string]: PlainValue };
}

/**
 * Tensors may share storages (tied embeddings), but a small file whose views add up to far more than itself is a bomb
 * for whoever reads them all.
 */
const MAX_EXPANSION = 4;
const FREE_EXPANSION_BYTES = 64 << 20;

/** Ties a state dict's tensors to their bytes in the file, holding every view against its storage. Throws `CHECKPOINT_*`. */
export function torchContents(
  file: FileReader,
  state: StateDict,
  locate: (storage: PickleStorage) => StoredData,
  limits: CheckpointLimits,
): TorchContents {
  const tensors = new Map<string, CheckpointTensor>();
  let totalBytes = 0;
  for (const [name, tensor] of state.tensors) {
    totalBytes += checkView(file, name, tensor, limits) * DTYPE_BYTES[tensor.storage.dtype];
    if (totalBytes > MAX_EXPANSION * file.sizeBytes + FREE_EXPANSION_BYTES) {
      throw new AppError(
        'CHECKPOINT_LIMIT',
        `the tensors of checkpoint "${file.path}" add up to more than ${MAX_EXPANSION} times the file`,
      );
    }
    const { storage, shape, stride } = tensor;
    const offset = storage.firstElement + tensor.offset;
    tensors.set(name, fileTensor(file, { name, dtype: storage.dtype, shape, stride, offset, data: locate(storage) }));
  }
  return { tensors, data: state.data };
}

/** Returns the number of elements. */
function checkView(file: FileReader, name: string, tensor: PickleTensor, limits: CheckpointLimits): number {
  const { storage, shape, stride, offset } = tensor;
  const empty = shape.includes(0);
  let length = 1;
  let last = offset;
  for (const [axis, size] of shape.entries()) {
    length *= size;
    if (size > 0) last += (size - 1) * (stride[axis] ?? 0);
    if (!empty && length * Float32Array.BYTES_PER_ELEMENT > limits.tensorSizeBytes) {
      throw new AppError(
        'CHECKPOINT_LIMIT',
        `tensor "${name}" of checkpoint "${file.path}" has the shape ${shape.join(' x ')}; expected at most ${limits.tensorSizeBytes} bytes as float32`,
      );
    }
  }
  if (empty) return 0;
  if (!Number.isSafeInteger(last) || last >= storage.elements) {
    throw new AppError(
      'CHECKPOINT_CORRUPT',
      `tensor "${name}" of checkpoint "${file.path}" (${shape.join(' x ')}, stride ${stride.join(', ')}, offset ${offset}) reaches beyond its storage of ${storage.elements} elements`,
    );
  }
  if (!isReadableView({ shape, stride, dtype: storage.dtype })) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `tensor "${name}" of checkpoint "${file.path}" is a view that folds over itself; save it contiguous`,
    );
  }
  return length;
}
