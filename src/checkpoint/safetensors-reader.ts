import { AppError } from '../errors.js';
import type { CheckpointTensor, PlainValue, TensorDtype } from './checkpoint.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import type { FileReader } from './file-reader.js';
import { DTYPE_BYTES } from './float-conversion.js';
import { fileTensor } from './tensor-data.js';
import type { TorchContents } from './torch-contents.js';

const LENGTH_BYTES = 8;
const MAX_DIMENSIONS = 16;
/** Commas, colons and brackets a header may hold per tensor; ours and the official ones have about 15. */
const TOKENS_PER_TENSOR = 64;

const DTYPES_UNSUPPORTED = /^(U16|U32|U64|F8_.*|F6_.*|F4.*|C64)$/;

/**
 * Reads a safetensors file: an 8-byte header length, a JSON header, and raw data that the tensors cover without
 * overlap or gap, as the format demands. Throws `CHECKPOINT_*`.
 */
export function readSafetensors(file: FileReader, limits: CheckpointLimits): TorchContents {
  const length = Buffer.alloc(LENGTH_BYTES);
  file.read(length, 0);
  const declared = length.readBigUInt64LE(0);
  if (declared > BigInt(file.sizeBytes - LENGTH_BYTES)) {
    throw corrupt(file, `its header is said to have ${declared} bytes, more than the file holds`);
  }
  if (declared > BigInt(limits.headerSizeBytes)) {
    throw new AppError(
      'CHECKPOINT_LIMIT',
      `the header of checkpoint "${file.path}" has ${declared} bytes; expected at most ${limits.headerSizeBytes}`,
    );
  }
  const headerBytes = Number(declared);
  const dataOffset = LENGTH_BYTES + headerBytes;
  const header = parseHeader(file, headerBytes, limits);

  const data: { [key: string]: PlainValue } = Object.create(null);
  const ranges: { name: string; begin: number; end: number }[] = [];
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') {
      data[name] = metadata(file, value);
      continue;
    }
    const { dtype, shape, begin, end } = parseEntry(file, name, value, limits);
    if (dataOffset + end > file.sizeBytes) {
      throw corrupt(
        file,
        `tensor ${quote(name)} ends at ${end}, beyond the ${file.sizeBytes - dataOffset} bytes of data`,
      );
    }
    ranges.push({ name, begin, end });
    if (tensors.size >= limits.tensors) {
      throw new AppError('CHECKPOINT_LIMIT', `checkpoint "${file.path}" has more than ${limits.tensors} tensors`);
    }
    const stored = { offset: dataOffset + begin, sizeBytes: end - begin, crc32: 0, verified: false };
    tensors.set(name, fileTensor(file, { name, dtype, shape, stride: rowMajor(shape), offset: 0, data: stored }));
  }

  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of ranges) {
    if (begin !== covered) {
      throw corrupt(
        file,
        `tensor ${quote(name)} begins at ${begin} of the data; expected ${covered}, where the one before ends`,
      );
    }
    covered = end;
  }
  if (dataOffset + covered !== file.sizeBytes) {
    throw corrupt(file, `its tensors cover ${covered} bytes of ${file.sizeBytes - dataOffset}; it may be truncated`);
  }
  return { tensors, data };
}

function parseHeader(file: FileReader, headerBytes: number, limits: CheckpointLimits): Record<string, unknown> {
  const bytes = Buffer.alloc(headerBytes);
  file.read(bytes, LENGTH_BYTES);
  if (bytes[0] !== 0x7b) throw corrupt(file, 'its header does not begin with "{"');
  const keys = scanJson(file, bytes, limits);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt(file, 'its header is not JSON', cause);
  }
  if (!isObject(header)) throw corrupt(file, 'its header is not a JSON object');
  // JSON.parse keeps the last of equal keys silently, and another reader may keep the first.
  if (Object.keys(header).length !== keys) throw corrupt(file, 'two tensors in its header have the same name');
  return header;
}

/** Bounds nesting and size before JSON.parse builds anything; returns the number of keys of the outer object. */
function scanJson(file: FileReader, bytes: Buffer, limits: CheckpointLimits): number {
  const maxTokens = TOKENS_PER_TENSOR * limits.tensors;
  let depth = 0;
  let tokens = 0;
  let keys = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!; // i < length
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
      continue;
    }
    if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) depth--;
    else if (byte === 0x3a && depth === 1) keys++;
    else if (byte !== 0x3a && byte !== 0x2c) continue;
    if (depth > limits.nesting || ++tokens > maxTokens) {
      throw new AppError(
        'CHECKPOINT_LIMIT',
        `the header of checkpoint "${file.path}" is nested deeper than ${limits.nesting} or has more than ${maxTokens} parts`,
      );
    }
  }
  return keys;
}

interface Entry {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function parseEntry(file: FileReader, name: string, value: unknown, limits: CheckpointLimits): Entry {
  if (name === '__proto__') {
    throw new AppError('CHECKPOINT_UNSAFE', `checkpoint "${file.path}" has a tensor called "__proto__"`);
  }
  if (!isObject(value)) throw corrupt(file, `tensor ${quote(name)} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    const known = typeof dtype === 'string' && DTYPES_UNSUPPORTED.test(dtype);
    throw new AppError(
      known ? 'CHECKPOINT_UNSUPPORTED' : 'CHECKPOINT_CORRUPT',
      `tensor ${quote(name)} of checkpoint "${file.path}" has the type ${quote(String(dtype))}; expected one of ${Object.keys(DTYPE_BYTES).join(', ')}`,
    );
  }
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS)
    throw corrupt(file, `tensor ${quote(name)} has no proper shape`);
  if (!isSizes(offsets) || offsets.length !== 2) throw corrupt(file, `tensor ${quote(name)} has no proper offsets`);
  const [begin = 0, end = 0] = offsets;
  const elements = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
  const known = dtype as TensorDtype; // a key of DTYPE_BYTES
  if (elements * Float32Array.BYTES_PER_ELEMENT > limits.tensorSizeBytes) {
    throw new AppError(
      'CHECKPOINT_LIMIT',
      `tensor ${quote(name)} of checkpoint "${file.path}" has the shape ${shape.join(' x ')}; expected at most ${limits.tensorSizeBytes} bytes as float32`,
    );
  }
  if (end - begin !== elements * DTYPE_BYTES[known]) {
    throw corrupt(
      file,
      `tensor ${quote(name)} (${dtype}, ${shape.join(' x ')}) needs ${elements * DTYPE_BYTES[known]} bytes and has ${end - begin}`,
    );
  }
  return { dtype: known, shape, begin, end };
}

function metadata(file: FileReader, value: unknown): PlainValue {
  const plain: { [key: string]: PlainValue } = Object.create(null);
  if (!isObject(value)) throw corrupt(file, 'its __metadata__ is not an object');
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw corrupt(file, `its __metadata__ ${quote(key)} is not text`);
    plain[key] = text;
  }
  return plain;
}

function rowMajor(shape: readonly number[]): number[] {
  let step = 1;
  return shape
    .map((_, i) => i)
    .reduceRight<number[]>((stride, axis) => {
      stride[axis] = step;
      step *= shape[axis]!;
      return stride;
    }, []);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}

function corrupt(file: FileReader, what: string, cause?: unknown): AppError {
  return new AppError('CHECKPOINT_CORRUPT', `checkpoint "${file.path}" is not a sound safetensors file: ${what}`, {
    cause,
  });
}
