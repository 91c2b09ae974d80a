import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { bytesOf, ScratchCheckpoints } from '../../bench/scratch-checkpoints.js';
import { TorchTensor, writeTorchZip } from '../../bench/torch-zip.js';
import { AppError } from '../errors.js';
import type { CheckpointTensor } from './checkpoint.js';
import { crc32, crc32ByTable } from './crc32.js';
import { openCheckpoint } from './open-checkpoint.js';

const scratch = new ScratchCheckpoints();
afterAll(() => scratch.close());

interface View {
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset?: number;
}

/** Opens a file with one float32 storage 0, 1, 2, … and the given views of it. */
function openViews(elements: number, views: readonly View[]): CheckpointTensor[] {
  const storage = new Float32Array(elements);
  for (let i = 0; i < elements; i++) storage[i] = i;
  const path = scratch.torchDict(
    (pickle) => {
      for (const [i, { shape, stride, offset = 0 }] of views.entries()) {
        pickle.text(`view${i}`).tensor({ storageClass: 'FloatStorage', key: '0', elements, shape, stride, offset });
      }
    },
    { 0: bytesOf(storage) },
  );
  return [...openCheckpoint(path).tensors.values()];
}

/** What a strided view means: element [i, j, …] lies at offset + i * stride[0] + j * stride[1] + … */
function expectedView({ shape, stride, offset = 0 }: View): number[] {
  let places = [offset];
  for (const [axis, size] of shape.entries()) {
    places = places.flatMap((place) => Array.from({ length: size }, (_, i) => place + i * (stride[axis] ?? 0)));
  }
  return places;
}

const VIEWS: readonly View[] = [
  { shape: [3, 4], stride: [4, 1] },
  { shape: [4, 3], stride: [1, 4] },
  { shape: [2, 3, 4], stride: [1, 8, 2] },
  { shape: [5], stride: [3], offset: 2 },
  { shape: [2, 2], stride: [4, 1], offset: 5 },
  { shape: [3, 4], stride: [0, 1] },
  { shape: [4, 4], stride: [1, 1] },
  { shape: [1, 6], stride: [99, 1] },
  { shape: [], stride: [], offset: 7 },
  { shape: [0, 5], stride: [5, 1] },
  { shape: [3, 0], stride: [0, 0], offset: 24 },
  { shape: [2, 1, 3, 2], stride: [12, 6, 2, 1] },
];

describe('tensors in a file', () => {
  it.each(VIEWS)('are read through shape $shape, stride $stride and offset $offset', (view) => {
    const [tensor] = openViews(24, [view]);
    expect(tensor?.shape).toEqual(view.shape);
    expect(tensor?.length).toBe(view.shape.reduce((product, size) => product * size, 1));
    expect([...(tensor?.readFloat32() ?? [])]).toEqual(expectedView(view));
  });

  it('may share a storage', () => {
    const views = openViews(24, VIEWS);
    expect(views).toHaveLength(VIEWS.length);
    for (const [i, view] of VIEWS.entries()) {
      expect([...(views[i]?.readFloat32() ?? [])], String(i)).toEqual(expectedView(view));
    }
  });

  it('may be transposed and larger than the piece they are read in', () => {
    // 1100 x 1000 float32 is 4.4 MB; neighbours in a row of the view lie 4 kB apart.
    const [tensor] = openViews(1_100_000, [{ shape: [1000, 1100], stride: [1, 1000] }]);
    const read = tensor?.readFloat32() ?? [];
    const wrong = read.findIndex((value, i) => value !== Math.floor(i / 1100) + (i % 1100) * 1000);
    expect([read.length, wrong]).toEqual([1_100_000, -1]);
  });

  it('are visited in file order where a view spans more than is gathered at once', () => {
    const elements = 20_000_000; // 80 MB
    const [tensor] = openViews(elements, [{ shape: [3, 1000], stride: [7, 19_999] }]);
    const read = tensor?.readFloat32();
    expect(read?.length).toBe(3000);
    expect(read?.[0]).toBe(0);
    expect(read?.[1]).toBe(Math.fround(19_999));
    expect(read?.[1000]).toBe(7);
    expect(read?.[2999]).toBe(Math.fround(14 + 999 * 19_999));
  });

  it.each([
    ['F64', Float64Array.of(1.5, -2, 0), [1.5, -2, 0]],
    ['F32', Float32Array.of(1.5, -2, 0), [1.5, -2, 0]],
    ['F16', Uint16Array.of(0x3e00, 0xc000, 0), [1.5, -2, 0]],
    ['BF16', Uint16Array.of(0x3fc0, 0xc000, 0), [1.5, -2, 0]],
    ['I64', BigInt64Array.of(7n, -2n, 2n ** 31n - 1n), [7, -2, 2 ** 31 - 1]],
    ['I32', Int32Array.of(7, -2, 0), [7, -2, 0]],
    ['I16', Int16Array.of(7, -2, 0), [7, -2, 0]],
    ['I8', Int8Array.of(7, -2, 0), [7, -2, 0]],
    ['U8', Uint8Array.of(7, 255, 0), [7, 255, 0]],
    ['BOOL', Uint8Array.of(1, 0, 1), [1, 0, 1]],
  ] as const)('of type %s become float32, and int32 where they are integers', (dtype, elements, values) => {
    const path = scratch.path();
    writeTorchZip(path, { a: new TorchTensor(dtype, [3], () => elements) });
    const checkpoint = openCheckpoint(path);
    const tensor = checkpoint.tensors.get('a');
    expect(tensor?.dtype).toBe(dtype);
    expect([...(tensor?.readFloat32() ?? [])]).toEqual(values.map(Math.fround));
    if (/^B?F/.test(dtype)) expect(() => tensor?.readInt32()).toThrow(/expected integers/);
    else expect([...(tensor?.readInt32() ?? [])]).toEqual(values);
    checkpoint.close();
  });

  it.each([
    ['HalfStorage', Uint16Array.of(0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500)],
    ['BFloat16Storage', Uint16Array.of(0, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0)],
    ['LongStorage', BigInt64Array.of(0n, 1n, 2n, 3n, 4n, 5n)],
    ['ByteStorage', Uint8Array.of(0, 1, 2, 3, 4, 5)],
  ])('in a %s may be strided', (storageClass, elements) => {
    const path = scratch.torchDict(
      (p) => void p.text('a').tensor({ storageClass, key: '0', elements: 6, shape: [2, 3], stride: [1, 2] }),
      { 0: bytesOf(elements) },
    );
    expect([...(openCheckpoint(path).tensors.get('a')?.readFloat32() ?? [])]).toEqual([0, 2, 4, 1, 3, 5]);
  });

  it('refuse to become int32 when they do not fit', () => {
    const path = scratch.path();
    writeTorchZip(path, { a: new TorchTensor('I64', [1], () => BigInt64Array.of(2n ** 31n)) });
    expect(() => openCheckpoint(path).tensors.get('a')?.readInt32()).toThrow(/holds 2147483648; expected 32-bit/);
  });

  it('are held against their checksum, whole or in part', () => {
    const path = scratch.torchDict(
      (p) => {
        p.text('all').tensor({ storageClass: 'FloatStorage', key: '0', elements: 64, shape: [64] });
        p.text('row').tensor({ storageClass: 'FloatStorage', key: '0', elements: 64, shape: [8], offset: 8 });
        p.text('column').tensor({ storageClass: 'FloatStorage', key: '0', elements: 64, shape: [8], stride: [8] });
      },
      { 0: bytesOf(new Float32Array(64).fill(0.123)) },
    );
    const bytes = readFileSync(path);
    const at = bytes.lastIndexOf(bytesOf(Float32Array.of(0.123)));
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    for (const name of ['all', 'row', 'column']) {
      const checkpoint = openCheckpoint(path);
      expect(() => checkpoint.tensors.get(name)?.readFloat32(), name).toThrow(/does not have its checksum/);
      checkpoint.close();
    }
  });

  it('cannot be read after the checkpoint is closed', () => {
    const path = scratch.path();
    writeTorchZip(path, { a: new TorchTensor('F32', [2], () => Float32Array.of(1, 2)) });
    const checkpoint = openCheckpoint(path);
    const tensor = checkpoint.tensors.get('a');
    checkpoint.close();
    checkpoint.close();
    expect(() => tensor?.readFloat32()).toThrow(AppError);
  });

  it('notice that the file was cut while open', () => {
    const path = scratch.path();
    writeTorchZip(path, { a: new TorchTensor('F32', [50_000], () => new Float32Array(50_000)) });
    const checkpoint = openCheckpoint(path);
    writeFileSync(path, 'short');
    expect(() => checkpoint.tensors.get('a')?.readFloat32()).toThrow(/became shorter/);
    checkpoint.close();
  });
});

describe('crc32', () => {
  it('agrees with its definition, in one piece or several', () => {
    const bytes = Buffer.from('123456789');
    for (const sum of [crc32, crc32ByTable]) {
      expect(sum(bytes, 0)).toBe(0xcbf43926);
      expect(sum(bytes.subarray(4), sum(bytes.subarray(0, 4), 0))).toBe(0xcbf43926);
    }
  });
});
