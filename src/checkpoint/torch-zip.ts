import { AppError } from '../errors.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import { crc32 } from './crc32.js';
import type { FileReader } from './file-reader.js';
import { DTYPE_BYTES } from './float-conversion.js';
import { runPickle } from './pickle-machine.js';
import { PickleSource } from './pickle-source.js';
import type { PickleStorage } from './pickle-values.js';
import { splitStateDict } from './state-dict.js';
import type { StoredData } from './tensor-data.js';
import { type TorchContents, torchContents } from './torch-contents.js';
import { readZipDirectory, type ZipEntry } from './zip-directory.js';

const CHECK_BYTES = 1 << 20;

/**
 * Reads a file as `torch.save` has written it since 1.6: a zip archive of stored members under one root folder of any
 * name, `data.pkl` beside `data/<key>` (one per storage). Throws `CHECKPOINT_*`.
 */
export function readTorchZip(file: FileReader, limits: CheckpointLimits): TorchContents {
  const entries = readZipDirectory(file, limits);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `zip archive "${file.path}" has ${pickles.length} members called <root>/data.pkl; expected one, as torch.save writes it`,
    );
  }
  const root = pickle.slice(0, -'data.pkl'.length);
  if (entries.has(`${root}constants.pkl`)) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `checkpoint "${file.path}" is a TorchScript program; expected weights saved by torch.save`,
    );
  }
  checkByteOrder(file, entries.get(`${root}byteorder`));

  const entry = entries.get(pickle)!; // found above
  if (entry.sizeBytes > limits.headerSizeBytes) {
    throw new AppError(
      'CHECKPOINT_LIMIT',
      `the pickle of checkpoint "${file.path}" has ${entry.sizeBytes} bytes; expected at most ${limits.headerSizeBytes}`,
    );
  }
  checkSum(file, entry);
  const source = new PickleSource(file, entry.offset, entry.sizeBytes);
  const value = runPickle(source, limits, file.path);
  if (source.remainingBytes > 0) {
    throw new AppError('CHECKPOINT_CORRUPT', `checkpoint "${file.path}" holds data behind the end of its pickle`);
  }

  const stored = new Map<string, StoredData>();
  const locate = (storage: PickleStorage): StoredData => {
    const member = entries.get(`${root}data/${storage.key}`);
    const bytes = storage.fileElements * DTYPE_BYTES[storage.dtype];
    if (member === undefined || member.sizeBytes !== bytes) {
      throw new AppError(
        'CHECKPOINT_CORRUPT',
        `storage ${JSON.stringify(storage.key.slice(0, 60))} of checkpoint "${file.path}" should have ${bytes} bytes, but ${member === undefined ? 'is missing' : `has ${member.sizeBytes}`}`,
      );
    }
    let data = stored.get(storage.key);
    if (data === undefined) {
      data = { offset: member.offset, sizeBytes: member.sizeBytes, crc32: member.crc32, verified: false };
      stored.set(storage.key, data);
    }
    return data;
  };
  return torchContents(file, splitStateDict(value, limits, file.path), locate, limits);
}

function checkByteOrder(file: FileReader, entry: ZipEntry | undefined): void {
  if (entry === undefined) return;
  const content = Buffer.alloc(Math.min(entry.sizeBytes, 16));
  file.read(content, entry.offset);
  const order = content.toString('latin1').trim();
  if (order !== 'little') {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `checkpoint "${file.path}" was written with byte order ${JSON.stringify(order)}; expected "little", save it again on a common machine`,
    );
  }
}

/** A flipped bit in the pickle could still be a well-formed pickle, of other sizes or values. */
function checkSum(file: FileReader, entry: ZipEntry): void {
  if (entry.crc32 === 0) return;
  let sum = 0;
  const piece = Buffer.alloc(Math.min(CHECK_BYTES, entry.sizeBytes));
  for (let at = 0; at < entry.sizeBytes; at += CHECK_BYTES) {
    const part = piece.subarray(0, Math.min(CHECK_BYTES, entry.sizeBytes - at));
    file.read(part, entry.offset + at);
    sum = crc32(part, sum);
  }
  if (sum !== entry.crc32) {
    throw new AppError(
      'CHECKPOINT_CORRUPT',
      `the pickle of checkpoint "${file.path}" does not have its checksum; the file is damaged, fetch it again`,
    );
  }
}
