import { AppError } from '../errors.js';
import type { Checkpoint, CheckpointFormat } from './checkpoint.js';
import { type CheckpointLimits, DEFAULT_CHECKPOINT_LIMITS } from './checkpoint-limits.js';
import { bytesReader, type FileReader, openFileReader } from './file-reader.js';
import { readSafetensors } from './safetensors-reader.js';
import type { TorchContents } from './torch-contents.js';
import { readTorchLegacy } from './torch-legacy.js';
import { readTorchZip } from './torch-zip.js';

export interface OpenCheckpointOptions {
  /** Stricter or wider bounds than {@link DEFAULT_CHECKPOINT_LIMITS}. */
  readonly limits?: Partial<CheckpointLimits>;
}

/** What upstream writes over the `PK` of a zip to tell versions apart (process_ckpt.py). */
const VERSION_TAGS: ReadonlySet<string> = new Set(['02', '03', '04', '05', '06']);

const READERS: Readonly<Record<CheckpointFormat, (file: FileReader, limits: CheckpointLimits) => TorchContents>> = {
  'torch-zip': readTorchZip,
  'torch-legacy': readTorchLegacy,
  safetensors: readSafetensors,
};

/**
 * Opens a checkpoint of any of the three formats, told apart by content and not by name. Reads the directory and the
 * pickle or header, never the weights: those are read from the file when a tensor is asked for them, until `close()`.
 *
 * Nothing in the file is executed. Throws `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_TOO_LARGE`, `CHECKPOINT_CORRUPT`,
 * `CHECKPOINT_UNSAFE`, `CHECKPOINT_LIMIT` or `CHECKPOINT_UNSUPPORTED`.
 */
export function openCheckpoint(path: string, options: OpenCheckpointOptions = {}): Checkpoint {
  const limits = { ...DEFAULT_CHECKPOINT_LIMITS, ...options.limits };
  return readCheckpoint(openFileReader(path, limits.fileSizeBytes), limits);
}

/** {@link openCheckpoint} of bytes in memory; `name` is what messages call them. */
export function openCheckpointBytes(bytes: Uint8Array, name: string): Checkpoint {
  return readCheckpoint(bytesReader(bytes, name), DEFAULT_CHECKPOINT_LIMITS);
}

function readCheckpoint(file: FileReader, limits: CheckpointLimits): Checkpoint {
  const { path } = file;
  try {
    const { format, header } = recognise(file);
    const { tensors, data } = READERS[format](file, limits);
    return { path, format, header, tensors, data, close: () => file.close() };
  } catch (error) {
    file.close();
    if (error instanceof RangeError) {
      throw new AppError('CHECKPOINT_LIMIT', `checkpoint "${path}" asks for more memory than there is`, {
        cause: error,
      });
    }
    throw error;
  }
}

function recognise(file: FileReader): { format: CheckpointFormat; header: string } {
  const start = Buffer.alloc(Math.min(file.sizeBytes, 9));
  file.read(start, 0);
  const header = start.toString('latin1', 0, 2);
  const zipped = start.length >= 4 && start.readUInt16LE(2) === 0x0403;
  if (zipped && (header === 'PK' || VERSION_TAGS.has(header))) return { format: 'torch-zip', header };
  // Protocols 2 to 5 begin with PROTO; torch's legacy files do too, whatever protocol was asked for.
  if (start[0] === 0x80 && (start[1] ?? 0xff) <= 5) return { format: 'torch-legacy', header };
  if (start[8] === 0x7b) return { format: 'safetensors', header };
  if (start.length === 0) throw new AppError('CHECKPOINT_CORRUPT', `checkpoint "${file.path}" is empty`);
  throw new AppError(
    'CHECKPOINT_UNSUPPORTED',
    `"${file.path}" begins with bytes ${start.subarray(0, 4).toString('hex')}; expected a torch file (.ckpt, .pth, .bin) or .safetensors`,
  );
}
