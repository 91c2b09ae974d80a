import assert from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { TensorDtype } from './checkpoint.js';
import { DTYPE_BYTES, narrowToHalf } from './float-conversion.js';

/** Raw elements of a tensor, in its dtype: 16-bit floats as bit patterns (or as float32, to be rounded to F16). */
export type TensorElements =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/** A tensor to be written; `load` is called once, when its turn comes, and its result is dropped after it is written. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  load(): TensorElements | Promise<TensorElements>;
}

export interface WrittenFile {
  readonly sizeBytes: number;
  /** SHA-256 of the whole file, hex. */
  readonly sha256: string;
}

/**
 * Writes a safetensors file holding one tensor at a time, and puts it in place only when it is complete and on disk:
 * whoever opens `path` sees the old file or the new one. Wider elements come first, so that every tensor lies aligned
 * to its width (data begins at a multiple of 8 bytes). On failure nothing is left behind.
 */
export async function writeSafetensors(
  path: string,
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<WrittenFile> {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await open(temporary, 'wx');
  try {
    const written = await writeAll(file, entries, metadata);
    await file.sync();
    await file.close();
    await rename(temporary, path);
    return written;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The same file in memory, for what is small and goes elsewhere. */
export async function encodeSafetensors(
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of fileParts(entries, metadata)) parts.push(part);
  return Buffer.concat(parts);
}

async function* fileParts(
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const ordered = [...entries].sort((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]);
  yield encodeHeader(ordered, metadata);
  for (const entry of ordered) yield bytesOf(entry, await entry.load());
}

async function writeAll(
  file: FileHandle,
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>>,
): Promise<WrittenFile> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const bytes of fileParts(entries, metadata)) {
    hash.update(bytes);
    let done = 0;
    while (done < bytes.length) done += (await file.write(bytes, done)).bytesWritten;
    sizeBytes += bytes.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

function encodeHeader(entries: readonly SafetensorsEntry[], metadata: Readonly<Record<string, string>>): Buffer {
  const parts: string[] = [];
  const names = new Set<string>(['__metadata__', '__proto__']);
  if (Object.keys(metadata).length > 0) parts.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let begin = 0;
  for (const { name, dtype, shape } of entries) {
    assert(!names.has(name), `a safetensors file cannot hold two tensors called "${name}"`);
    names.add(name);
    const end = begin + elementCount(shape) * DTYPE_BYTES[dtype];
    parts.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
    begin = end;
  }
  const json = Buffer.from(`{${parts.join(',')}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const header = Buffer.alloc(8 + padded, 0x20);
  header.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(header, 8);
  return header;
}

function bytesOf(entry: SafetensorsEntry, elements: TensorElements): Uint8Array {
  const { name, dtype, shape } = entry;
  const raw = dtype === 'F16' && elements instanceof Float32Array ? narrowToHalf(elements) : elements;
  assert(
    raw.BYTES_PER_ELEMENT === DTYPE_BYTES[dtype] && raw.length === elementCount(shape),
    `tensor "${name}" should be ${dtype} ${shape.join(' x ')}, but has ${raw.length} elements of ${raw.BYTES_PER_ELEMENT} bytes`,
  );
  return new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
