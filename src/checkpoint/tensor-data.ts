import { AppError } from '../errors.js';
import type { CheckpointTensor, TensorDtype } from './checkpoint.js';
import { crc32 } from './crc32.js';
import type { FileReader } from './file-reader.js';
import { DTYPE_BYTES, halfToFloatBits, isFloatDtype, widenBfloat, widenHalf } from './float-conversion.js';

/** A stretch of raw little-endian elements in the file. */
export interface StoredData {
  readonly offset: number;
  readonly sizeBytes: number;
  /** CRC-32 of the stretch, 0 where the file has none. Checked once, when first read. */
  readonly crc32: number;
  /** Set by the first read. */
  verified: boolean;
}

/** Where a tensor's elements lie; `offset` and `stride` count elements of `data`. */
export interface TensorLayout {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset: number;
  readonly data: StoredData;
}

/**
 * Pieces in which data is read and converted: small enough to stay in cache, large enough that calls do not count.
 * Shared, since reading is synchronous and the pieces never leave this file.
 */
const PIECE_BYTES = 1 << 20;
let sharedPiece: ArrayBuffer | null = null;

/** A strided view spanning no more than this is read whole and gathered; a larger one piece by piece, in file order. */
const GATHER_BYTES = 64 << 20;

/** The tensor that a layout describes; layouts come from open-checkpoint's parsers, which have checked their bounds. */
export function fileTensor(file: FileReader, layout: TensorLayout): CheckpointTensor {
  const { name, dtype, shape } = layout;
  const length = shape.reduce((product, size) => product * size, 1);
  return {
    name,
    dtype,
    shape,
    length,
    readFloat32() {
      const target = allocate(file, layout, () => new Float32Array(length));
      readInto(file, layout, length, floatSink(dtype, target));
      return target;
    },
    readInt32() {
      if (isFloatDtype(dtype)) {
        throw new AppError(
          'CHECKPOINT_UNSUPPORTED',
          `tensor "${name}" of checkpoint "${file.path}" holds ${dtype} values; expected integers`,
        );
      }
      const target = allocate(file, layout, () => new Int32Array(length));
      readInto(file, layout, length, integerSink(file, layout, target));
      return target;
    },
  };
}

/** Takes pieces of raw elements, each with the place of its first element in the result. */
interface Sink {
  /** The result's own bytes, where the file's elements are already what is asked for. */
  readonly direct: Uint8Array | null;
  put(raw: RawElements, at: number): void;
  /** One element of `raw`. */
  putOne(raw: RawElements, from: number, at: number): void;
}

type RawElements =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

function floatSink(dtype: TensorDtype, target: Float32Array): Sink {
  const bits = new Uint32Array(target.buffer);
  return {
    direct: dtype === 'F32' ? new Uint8Array(target.buffer) : null,
    put(raw, at) {
      if (dtype === 'F16') widenHalf(raw as Uint16Array, bits, at);
      else if (dtype === 'BF16') widenBfloat(raw as Uint16Array, bits, at);
      else if (raw instanceof BigInt64Array) for (let i = 0; i < raw.length; i++) target[at + i] = Number(raw[i]);
      else target.set(raw, at);
    },
    putOne(raw, from, at) {
      if (dtype === 'F16') bits[at] = halfToFloatBits(raw[from] as number);
      else if (dtype === 'BF16') bits[at] = Number(raw[from]) << 16;
      else target[at] = Number(raw[from]);
    },
  };
}

function integerSink(file: FileReader, layout: TensorLayout, target: Int32Array): Sink {
  const putOne = (raw: RawElements, from: number, at: number): void => {
    const value = Number(raw[from]);
    if (value !== (value | 0)) {
      throw new AppError(
        'CHECKPOINT_UNSUPPORTED',
        `tensor "${layout.name}" of checkpoint "${file.path}" holds ${value}; expected 32-bit integers`,
      );
    }
    target[at] = value;
  };
  return {
    direct: layout.dtype === 'I32' ? new Uint8Array(target.buffer) : null,
    put(raw, at) {
      if (raw instanceof BigInt64Array) for (let i = 0; i < raw.length; i++) putOne(raw, i, at + i);
      else target.set(raw, at);
    },
    putOne,
  };
}

function allocate<T>(file: FileReader, layout: TensorLayout, create: () => T): T {
  try {
    return create();
  } catch (cause) {
    throw new AppError(
      'CHECKPOINT_LIMIT',
      `there is no memory for tensor "${layout.name}" (${layout.shape.join(' x ')}) of checkpoint "${file.path}"`,
      { cause },
    );
  }
}

function readInto(file: FileReader, layout: TensorLayout, length: number, sink: Sink): void {
  if (length === 0) return;
  const width = DTYPE_BYTES[layout.dtype];
  if (isContiguous(layout)) {
    const start = layout.offset * width;
    const whole = start === 0 && length * width === layout.data.sizeBytes;
    if (!whole) verify(file, layout);
    readContiguous(file, layout, start, length, sink, whole);
    return;
  }
  verify(file, layout);
  readStrided(file, layout, length, sink);
}

/** Row-major without gaps; sizes of 1 may have any stride. */
export function isContiguous(layout: Pick<TensorLayout, 'shape' | 'stride'>): boolean {
  let expected = 1;
  for (let i = layout.shape.length - 1; i >= 0; i--) {
    const size = layout.shape[i]!;
    if (size === 1) continue;
    if (layout.stride[i] !== expected) return false;
    expected *= size;
  }
  return true;
}

/** Reads straight into the result, or through the shared piece; nothing else of the tensor's size is allocated. */
function readContiguous(
  file: FileReader,
  layout: TensorLayout,
  start: number,
  length: number,
  sink: Sink,
  whole: boolean,
): void {
  const { data, dtype } = layout;
  const checked = whole && !data.verified && data.crc32 !== 0;
  const width = DTYPE_BYTES[dtype];
  const bytes = length * width;
  let sum = 0;
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const size = Math.min(PIECE_BYTES, bytes - at);
    const piece = sink.direct === null ? new Uint8Array(pieceBuffer(), 0, size) : sink.direct.subarray(at, at + size);
    file.read(piece, data.offset + start + at);
    if (checked) sum = crc32(piece, sum);
    if (sink.direct === null) sink.put(elements(dtype, pieceBuffer(), size / width), at / width);
  }
  if (checked && sum !== data.crc32) throw damaged(file, layout);
  if (whole) data.verified = true;
}

function readStrided(file: FileReader, layout: TensorLayout, length: number, sink: Sink): void {
  const { dtype, shape, stride, data } = layout;
  const width = DTYPE_BYTES[dtype];
  // Axes by falling stride: their odometer visits the file forwards. `place` is the axis's step in the result.
  const places = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const axes = shape
    .map((size, axis) => ({ size, step: stride[axis]!, place: places[axis]! }))
    .filter((axis) => axis.size > 1)
    .sort((a, b) => b.step - a.step);

  const spanElements = 1 + axes.reduce((sum, axis) => sum + (axis.size - 1) * axis.step, 0);
  const windowElements = spanElements * width <= GATHER_BYTES ? spanElements : Math.floor(PIECE_BYTES / width);
  const buffer = windowElements * width <= PIECE_BYTES ? pieceBuffer() : new ArrayBuffer(windowElements * width);
  let window: RawElements = elements(dtype, buffer, 0);
  let windowStart = 0;

  const counters = axes.map(() => 0);
  let index = 0; // element of the span
  let place = 0; // element of the result
  for (let done = 0; done < length; done++) {
    if (index < windowStart || index >= windowStart + window.length) {
      windowStart = index;
      const count = Math.min(windowElements, spanElements - index);
      file.read(new Uint8Array(buffer, 0, count * width), data.offset + (layout.offset + index) * width);
      window = elements(dtype, buffer, count);
    }
    sink.putOne(window, index - windowStart, place);
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const { size, step, place: placeStep } = axes[axis]!;
      index += step;
      place += placeStep;
      if (++counters[axis]! < size) break;
      index -= size * step;
      place -= size * placeStep;
      counters[axis] = 0;
    }
  }
}

/** Whether {@link readStrided} can visit the view forwards: axes do not fold over each other, or the span is small. */
export function isReadableView(layout: Pick<TensorLayout, 'shape' | 'stride' | 'dtype'>): boolean {
  const axes = layout.shape
    .map((size, axis) => ({ size, step: layout.stride[axis]! }))
    .filter((axis) => axis.size > 1)
    .sort((a, b) => a.step - b.step);
  let span = 0;
  let forwards = true;
  for (const { size, step } of axes) {
    forwards &&= step > span;
    span += (size - 1) * step;
  }
  return forwards || (span + 1) * DTYPE_BYTES[layout.dtype] <= GATHER_BYTES;
}

/** Holds the whole storage against its checksum, once. */
function verify(file: FileReader, layout: TensorLayout): void {
  const { data } = layout;
  if (data.verified || data.crc32 === 0) return;
  let sum = 0;
  for (let at = 0; at < data.sizeBytes; at += PIECE_BYTES) {
    const piece = new Uint8Array(pieceBuffer(), 0, Math.min(PIECE_BYTES, data.sizeBytes - at));
    file.read(piece, data.offset + at);
    sum = crc32(piece, sum);
  }
  if (sum !== data.crc32) throw damaged(file, layout);
  data.verified = true;
}

function damaged(file: FileReader, layout: TensorLayout): AppError {
  return new AppError(
    'CHECKPOINT_CORRUPT',
    `the data of tensor "${layout.name}" in checkpoint "${file.path}" does not have its checksum; the file is damaged, fetch it again`,
  );
}

function pieceBuffer(): ArrayBuffer {
  sharedPiece ??= new ArrayBuffer(PIECE_BYTES);
  return sharedPiece;
}

function elements(dtype: TensorDtype, buffer: ArrayBuffer, count: number): RawElements {
  switch (dtype) {
    case 'F64':
      return new Float64Array(buffer, 0, count);
    case 'F32':
      return new Float32Array(buffer, 0, count);
    case 'F16':
    case 'BF16':
      return new Uint16Array(buffer, 0, count);
    case 'I64':
      return new BigInt64Array(buffer, 0, count);
    case 'I32':
      return new Int32Array(buffer, 0, count);
    case 'I16':
      return new Int16Array(buffer, 0, count);
    case 'I8':
      return new Int8Array(buffer, 0, count);
    case 'U8':
    case 'BOOL':
      return new Uint8Array(buffer, 0, count);
    default:
      return dtype satisfies never;
  }
}
