import { AppError } from '../errors.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import type { FileReader } from './file-reader.js';
import { DTYPE_BYTES } from './float-conversion.js';
import { isKind } from './pickle-globals.js';
import { runPickle } from './pickle-machine.js';
import { PickleSource } from './pickle-source.js';
import type { PickleStorage } from './pickle-values.js';
import { splitStateDict } from './state-dict.js';
import type { StoredData } from './tensor-data.js';
import { type TorchContents, torchContents } from './torch-contents.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/**
 * Reads a file as `torch.save` wrote it before 1.6: five pickles one after the other (magic number, protocol, system
 * information, the object, the list of storage keys), then per key an int64 element count and the raw elements.
 * Throws `CHECKPOINT_*`.
 */
export function readTorchLegacy(file: FileReader, limits: CheckpointLimits): TorchContents {
  // All five pickles together stay within the limit; the raw data behind them is not the source's business.
  const source = new PickleSource(file, 0, file.sizeBytes);
  const widths = new Map<string, number>();
  const next = () => {
    const value = runPickle(source, limits, file.path, (storage) => noteWidth(file, widths, storage));
    if (source.position > limits.headerSizeBytes) {
      throw new AppError(
        'CHECKPOINT_LIMIT',
        `the pickles of checkpoint "${file.path}" have more than ${limits.headerSizeBytes} bytes`,
      );
    }
    return value;
  };
  if (next() !== MAGIC) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `"${file.path}" is a pickle, but does not begin with torch's magic number; expected a file written by torch.save`,
    );
  }
  const protocol = next();
  if (protocol !== PROTOCOL) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `checkpoint "${file.path}" has stream protocol ${String(protocol).slice(0, 40)}; expected ${PROTOCOL}`,
    );
  }
  const system = next();
  if (isKind(system, 'dict') && system.items.get('little_endian') === false) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `checkpoint "${file.path}" was written on a big-endian machine; expected little-endian, save it again on a common machine`,
    );
  }
  const state = splitStateDict(next(), limits, file.path);
  const keys = next();
  if (!isKind(keys, 'list')) throw corrupt(file, 'its storages are not listed');

  const stored = new Map<string, StoredData>();
  let position = source.position;
  const count = Buffer.alloc(8);
  for (const key of keys.items) {
    if (typeof key !== 'string') throw corrupt(file, 'the name of a storage is not text');
    if (stored.has(key)) throw corrupt(file, `storage ${quote(key)} is listed twice`);
    file.read(count, position);
    const elements = count.readBigInt64LE(0);
    const width = widths.get(key);
    if (width === undefined) throw corrupt(file, `storage ${quote(key)} is listed, but nothing refers to it`);
    if (elements < 0n || elements * BigInt(width) > BigInt(file.sizeBytes - position - 8)) {
      throw corrupt(file, `storage ${quote(key)} is said to have ${elements} elements, more than the file holds`);
    }
    const sizeBytes = Number(elements) * width;
    stored.set(key, { offset: position + 8, sizeBytes, crc32: 0, verified: false });
    position += 8 + sizeBytes;
  }

  const locate = (storage: PickleStorage): StoredData => {
    const data = stored.get(storage.key);
    const bytes = storage.fileElements * DTYPE_BYTES[storage.dtype];
    if (data === undefined || data.sizeBytes !== bytes) {
      throw corrupt(
        file,
        `storage ${quote(storage.key)} should have ${bytes} bytes, but ${data === undefined ? 'is missing' : `has ${data.sizeBytes}`}`,
      );
    }
    return data;
  };
  return torchContents(file, state, locate, limits);
}

/** The list of storages says how many elements, not of what type; that stands where they are referred to. */
function noteWidth(file: FileReader, widths: Map<string, number>, { key, dtype }: PickleStorage): void {
  const width = DTYPE_BYTES[dtype];
  if ((widths.get(key) ?? width) !== width) throw corrupt(file, `storage ${quote(key)} has two element types`);
  widths.set(key, width);
}

function quote(key: string): string {
  return JSON.stringify(key.slice(0, 60));
}

function corrupt(file: FileReader, what: string): AppError {
  return new AppError('CHECKPOINT_CORRUPT', `checkpoint "${file.path}" was refused: ${what}`);
}
