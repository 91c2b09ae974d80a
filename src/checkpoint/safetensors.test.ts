import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ScratchCheckpoints } from '../../bench/scratch-checkpoints.js';
import { openCheckpoint } from './open-checkpoint.js';
import { type SafetensorsEntry, writeSafetensors } from './safetensors-writer.js';

const scratch = new ScratchCheckpoints();
afterAll(() => scratch.close());

const REFERENCE = process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference');

/** A file with any header over `dataBytes` zeros; `declared` replaces the header's true length. */
function file(header: unknown, dataBytes = 0, declared?: bigint): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(declared ?? BigInt(json.length));
  return scratch.file(Buffer.concat([length, json, Buffer.alloc(dataBytes)]), 'x.safetensors');
}

function refusal(path: string, limits = {}): { code: string; message: string } {
  try {
    openCheckpoint(path, { limits }).close();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('expected a refusal');
}

const tensor = (shape: number[], begin: number, end: number, dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe('writing safetensors', () => {
  const entries: SafetensorsEntry[] = [
    { name: 'bytes', dtype: 'U8', shape: [3], load: () => Uint8Array.of(1, 2, 3) },
    { name: 'half', dtype: 'F16', shape: [2], load: () => Float32Array.of(1.5, -2) },
    { name: 'matrix', dtype: 'F32', shape: [2, 2], load: async () => Float32Array.of(1, 2, 3, 4) },
    { name: 'count', dtype: 'I64', shape: [], load: () => BigInt64Array.of(42n) },
    { name: 'nothing', dtype: 'F32', shape: [0, 4], load: () => new Float32Array(0) },
  ];

  it('is read back by the reader', async () => {
    const path = scratch.path('a.safetensors');
    const written = await writeSafetensors(path, entries, { model: 'v2', note: 'é "quoted"' });
    const bytes = readFileSync(path);
    expect(written).toEqual({ sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
    const checkpoint = openCheckpoint(path);
    expect(checkpoint.format).toBe('safetensors');
    expect(checkpoint.data).toEqual({ __metadata__: { model: 'v2', note: 'é "quoted"' } });
    const read = Object.fromEntries([...checkpoint.tensors].map(([name, t]) => [name, [...t.readFloat32()]]));
    expect(read).toEqual({ bytes: [1, 2, 3], half: [1.5, -2], matrix: [1, 2, 3, 4], count: [42], nothing: [] });
    checkpoint.close();
  });

  it('aligns every tensor to the width of its elements', async () => {
    const path = scratch.path('a.safetensors');
    await writeSafetensors(path, entries);
    const bytes = readFileSync(path);
    const headerBytes = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, { data_offsets: number[] }>;
    const at = (name: string) => 8 + headerBytes + (header[name]?.data_offsets[0] ?? 0);
    expect([at('count') % 8, at('matrix') % 4, at('half') % 2]).toEqual([0, 0, 0]);
  });

  it('loads one tensor at a time, in the order of the file', async () => {
    const log: string[] = [];
    const logged = entries.map((entry) => ({
      ...entry,
      load: () => {
        log.push(entry.name);
        return entry.load();
      },
    }));
    await writeSafetensors(scratch.path('a.safetensors'), logged);
    expect(log).toEqual(['count', 'matrix', 'nothing', 'half', 'bytes']);
  });

  it('keeps the old file and leaves nothing behind when a tensor cannot be loaded', async () => {
    const folder = new ScratchCheckpoints();
    const path = join(folder.folder, 'model.safetensors');
    await writeSafetensors(path, entries.slice(0, 1));
    const before = readFileSync(path);
    const failing = [
      ...entries,
      { name: 'bad', dtype: 'F32', shape: [1], load: () => Promise.reject(new Error('no')) },
    ];
    await expect(writeSafetensors(path, failing as SafetensorsEntry[])).rejects.toThrow('no');
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder.folder)).toEqual(['model.safetensors']);
    folder.close();
  });

  it('refuses elements that do not fit the shape, and names that occur twice', async () => {
    const path = scratch.path('a.safetensors');
    const bad: SafetensorsEntry = { name: 'a', dtype: 'F32', shape: [3], load: () => new Float32Array(2) };
    await expect(writeSafetensors(path, [bad])).rejects.toThrow(/should be F32 3, but has 2 elements/);
    const twice = entries.slice(0, 1).concat(entries.slice(0, 1));
    await expect(writeSafetensors(path, twice)).rejects.toThrow(/two tensors called "bytes"/);
  });
});

describe('reading safetensors', () => {
  it('reads every case of the reference, as another writer made them', () => {
    const cases = readdirSync(join(REFERENCE, 'cases'), { recursive: true, encoding: 'utf8' });
    const files = cases.filter((name) => name.endsWith('.safetensors'));
    expect(files.length).toBeGreaterThan(10);
    for (const name of files) {
      const checkpoint = openCheckpoint(join(REFERENCE, 'cases', name));
      for (const t of checkpoint.tensors.values()) expect(t.readFloat32().length).toBe(t.length);
      checkpoint.close();
    }
  });

  it('accepts an empty file of no tensors, and padding behind the header', () => {
    const checkpoint = openCheckpoint(file('{}      '));
    expect(checkpoint.tensors.size).toBe(0);
    checkpoint.close();
  });

  it.each([
    ['a header longer than the file', file({}, 0, 1000n)],
    ['a header of 2^63 bytes', file({}, 0, 2n ** 63n)],
    ['a header that is not JSON', file('{"a":')],
    ['a header that is not UTF-8', scratch.file(Buffer.from('0400000000000000' + '7b22ff7d', 'hex'))],
    ['data that ends before its tensor', file({ a: tensor([4], 0, 16) }, 12)],
    ['data behind the last tensor', file({ a: tensor([4], 0, 16) }, 20)],
    ['a gap between tensors', file({ a: tensor([1], 0, 4), b: tensor([1], 8, 12) }, 12)],
    ['overlapping tensors', file({ a: tensor([2], 0, 8), b: tensor([2], 4, 12) }, 12)],
    ['a shape larger than its data', file({ a: tensor([1000], 0, 4) }, 4)],
    ['offsets that run backwards', file({ a: tensor([1], 4, 0) }, 4)],
    ['negative sizes', file({ a: tensor([-1], 0, 4) }, 4)],
    ['sizes that are no integers', file({ a: tensor([1.5], 0, 6) }, 6)],
    ['sizes beyond 2^53', file({ a: tensor([2 ** 60], 0, 4) }, 4)],
    ['a shape of text', file({ a: { dtype: 'F32', shape: '4', data_offsets: [0, 16] } }, 16)],
    ['three offsets', file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }, 8)],
    ['a tensor that is no object', file({ a: 1 })],
    ['a tensor that is a list', file({ a: [] })],
    ['an unknown type', file({ a: tensor([1], 0, 4, 'F33') }, 4)],
    ['a type called like a property of objects', file({ a: tensor([1], 0, 4, 'toString') }, 4)],
    ['metadata that is no text', file({ __metadata__: { a: 1 } })],
    ['metadata that is no object', file({ __metadata__: [] })],
    [
      'a name that occurs twice',
      file(
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      ),
    ],
    ['too many dimensions', file({ a: tensor(new Array(17).fill(1), 0, 4) }, 4)],
  ])('refuses %s', (_, path) => {
    expect(refusal(path)).toMatchObject({ name: 'AppError', code: 'CHECKPOINT_CORRUPT' });
  });

  it('refuses a shape whose product is beyond the limit although its data would be empty or small', () => {
    const path = file({ a: tensor([65_536, 65_536, 65_536, 65_536], 0, 4) }, 4);
    expect(refusal(path).code).toBe('CHECKPOINT_LIMIT');
  });

  it('refuses types that it cannot convert, naming those it can', () => {
    const error = refusal(file({ a: tensor([4], 0, 4, 'F8_E4M3') }, 4));
    expect(error).toMatchObject({ code: 'CHECKPOINT_UNSUPPORTED', message: expect.stringContaining('BF16') });
  });

  it('refuses deep nesting before it is parsed', () => {
    expect(refusal(file(`{"a":${'['.repeat(100_000)}`)).code).toBe('CHECKPOINT_LIMIT');
    expect(refusal(file(`{"a":${'{"b":'.repeat(100_000)}`)).code).toBe('CHECKPOINT_LIMIT');
  });

  it('refuses a header of millions of values before it is parsed', () => {
    expect(refusal(file(`{"a":[${'0,'.repeat(5_000_000)}0]}`)).code).toBe('CHECKPOINT_LIMIT');
  });

  it('refuses headers and tensor counts beyond its limits', () => {
    const two = { a: tensor([0], 0, 0), b: tensor([0], 0, 0) };
    expect(refusal(file(two), { tensors: 1 }).code).toBe('CHECKPOINT_LIMIT');
    expect(refusal(file(two), { headerSizeBytes: 10 }).code).toBe('CHECKPOINT_LIMIT');
  });

  it('keeps names like "constructor" apart from objects, and refuses "__proto__"', () => {
    const path = file({ constructor: tensor([0], 0, 0), __metadata__: { toString: 'x' } });
    const checkpoint = openCheckpoint(path);
    expect([...checkpoint.tensors.keys()]).toEqual(['constructor']);
    expect(checkpoint.data['toString']).toBeUndefined();
    checkpoint.close();
    expect(refusal(file('{"__proto__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')).code).toBe(
      'CHECKPOINT_UNSAFE',
    );
    const polluted = file('{"__metadata__":{"__proto__":"x"}}');
    expect(Object.getPrototypeOf(openCheckpoint(polluted).data['__metadata__'])).toBe(null);
  });
});
