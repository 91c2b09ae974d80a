import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PickleWriter } from '../../bench/pickle-writer.js';
import { bytesOf, ScratchCheckpoints } from '../../bench/scratch-checkpoints.js';
import { HParams, TorchTensor, writeTorchZip } from '../../bench/torch-zip.js';
import { AppError } from '../errors.js';
import { detectCheckpointKind } from './checkpoint-kind.js';
import { detectSovitsVersion, detectT2sVersion } from './model-version.js';
import { openCheckpoint } from './open-checkpoint.js';
import { writeSafetensors } from './safetensors-writer.js';

const scratch = new ScratchCheckpoints();
afterAll(() => scratch.close());

const target = scratch.path('mutated');

/** Reads everything a file offers; answers with the code of the refusal, or null where it could be read. */
function readAll(bytes: Uint8Array): string | null {
  scratch.overwrite(target, bytes);
  const refused = (use: () => unknown): string | null => {
    try {
      use();
      return null;
    } catch (error) {
      // Anything else (TypeError, RangeError, out of memory) is a defect.
      if (!(error instanceof AppError) || !error.code.startsWith('CHECKPOINT_')) throw error;
      return error.code;
    }
  };
  return refused(() => {
    const checkpoint = openCheckpoint(target);
    try {
      for (const tensor of checkpoint.tensors.values()) {
        if (tensor.readFloat32().length !== tensor.length) throw new Error('a tensor has the wrong length');
        refused(() => tensor.readInt32());
      }
      JSON.stringify(checkpoint.data);
      detectCheckpointKind(checkpoint);
      refused(() => detectSovitsVersion(checkpoint));
      refused(() => detectT2sVersion(checkpoint));
    } finally {
      checkpoint.close();
    }
  });
}

/** Small files of every format, in which all parts of the reader have something to do. */
const samples = new Map<string, Buffer>();

beforeAll(async () => {
  const zip = scratch.path();
  const half = new TorchTensor('F16', [2, 3], () => Uint16Array.of(1, 2, 3, 4, 5, 6));
  const weight = new Map([
    ['enc_p.text_embedding.weight', new TorchTensor('F32', [4], () => Float32Array.of(1, 2, 3, 4))],
    ['ref_enc.spectral.0.fc.weight', half],
    ['tied', half],
    ['count', new TorchTensor('I64', [], () => BigInt64Array.of(5n))],
  ]);
  const config = new HParams({ model: new HParams({ version: 'v2', rates: [10, 8], none: null, rate: 0.1 }) });
  writeTorchZip(
    zip,
    new Map<string, Parameters<typeof writeTorchZip>[1]>([
      ['weight', weight],
      ['config', config],
      ['info', 'x'],
    ]),
  );
  samples.set('torch zip', readFileSync(zip));

  const pickle = new PickleWriter().protocol().raw(0x8a, 10, Buffer.from('6cfc9c46f9206aa85019', 'hex')).stop();
  pickle.protocol().integer(1001).stop();
  pickle.protocol().raw('}').text('little_endian').boolean(true).raw('s').stop();
  pickle.protocol().raw('}').mark().text('a');
  pickle.tensor({ storageClass: 'HalfStorage', key: '94138708101904', elements: 6, shape: [2, 3] }).text('b');
  pickle.tensor({ storageClass: 'FloatStorage', key: '7', elements: 4, shape: [2, 2], stride: [1, 2] });
  pickle.text('note').text('x').raw('u').stop();
  pickle.protocol().raw('](').text('94138708101904').text('7').raw('e').stop();
  const count = (n: number) => bytesOf(BigInt64Array.of(BigInt(n)));
  samples.set(
    'torch legacy',
    Buffer.concat([
      pickle.bytes(),
      count(6),
      bytesOf(Uint16Array.of(1, 2, 3, 4, 5, 6)),
      count(4),
      bytesOf(Float32Array.of(1, 2, 3, 4)),
    ]),
  );

  const safetensors = scratch.path();
  await writeSafetensors(
    safetensors,
    [
      { name: 'a', dtype: 'F32', shape: [2, 2], load: () => Float32Array.of(1, 2, 3, 4) },
      { name: 'b', dtype: 'BF16', shape: [3], load: () => Uint16Array.of(1, 2, 3) },
    ],
    { format: 'pt' },
  );
  samples.set('safetensors', readFileSync(safetensors));
});

const FORMATS = ['torch zip', 'torch legacy', 'safetensors'];

function sample(format: string): Buffer {
  const bytes = samples.get(format);
  if (bytes === undefined) throw new Error(`no sample of ${format}`);
  return Buffer.from(bytes);
}

describe.each(FORMATS)('a small %s file', (format) => {
  it('can be read', () => {
    expect(readAll(sample(format))).toBe(null);
  });

  it('is refused wherever it is cut short', () => {
    const bytes = sample(format);
    for (let length = 0; length < bytes.length; length++) {
      if (readAll(bytes.subarray(0, length)) === null) throw new Error(`${length} of ${bytes.length} bytes were read`);
    }
  });

  it('is read or refused whichever bit is flipped', () => {
    const bytes = sample(format);
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const at = bit >> 3;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
      if (readAll(bytes) !== null) refused++;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    }
    // What may change unseen is padding, unused fields and, without checksums, the weights themselves.
    expect(refused).toBeGreaterThan(bytes.length * 8 * (format === 'torch zip' ? 0.4 : 0.5));
  });

  it('is read or refused whatever is done to it', () => {
    const bytes = sample(format);
    const place = fc.nat({ max: bytes.length - 1 });
    const change = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }),
      fc.record({
        kind: fc.constant('insert' as const),
        at: place,
        bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      }),
      fc.record({ kind: fc.constant('remove' as const), at: place, count: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ kind: fc.constant('repeat' as const), at: place, count: fc.integer({ min: 1, max: 200 }) }),
      fc.record({
        kind: fc.constant('set' as const),
        at: place,
        bytes: fc
          .constantFrom('ffffffff', '7fffffff', '00000080', 'ffffffffffffffff', '0000000000000000')
          .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
      }),
    );
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        let mutated = sample(format);
        for (const edit of changes) {
          const at = Math.min(edit.at, mutated.length);
          const [before, after] = [mutated.subarray(0, at), mutated.subarray(at)];
          if (edit.kind === 'set') mutated = Buffer.concat([before, edit.bytes, after.subarray(edit.bytes.length)]);
          else if (edit.kind === 'insert') mutated = Buffer.concat([before, edit.bytes, after]);
          else if (edit.kind === 'remove') mutated = Buffer.concat([before, after.subarray(edit.count)]);
          else mutated = Buffer.concat([before, after.subarray(0, edit.count), after]);
        }
        readAll(mutated);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a pickle of any bytes', () => {
  it('is read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        readAll(readFileSync(scratch.torchZip(bytes)));
      }),
      { numRuns: 1500 },
    );
  });

  it('is read or refused when it is made of instructions', () => {
    const raw = (...parts: (string | number)[]) => fc.constant(new PickleWriter().raw(...parts).bytes());
    const instruction = fc.oneof(
      raw('}'),
      raw(']'),
      raw(')'),
      raw('('),
      raw('N'),
      raw('0'),
      raw('1'),
      raw('2'),
      raw('t'),
      raw('e'),
      raw('a'),
      raw('s'),
      raw('u'),
      raw('d'),
      raw('l'),
      raw('b'),
      raw('R'),
      raw('Q'),
      raw('o'),
      raw('.'),
      raw(0x81),
      raw(0x85),
      raw(0x86),
      raw(0x87),
      raw(0x88),
      raw(0x8f),
      raw(0x90),
      raw(0x91),
      raw(0x92),
      raw(0x93),
      raw(0x94),
      fc.nat({ max: 5 }).map((index) => Buffer.from([0x68, index])),
      fc.nat({ max: 5 }).map((index) => Buffer.from([0x71, index])),
      fc.integer().map((value) => new PickleWriter().integer(value).bytes()),
      fc
        .constantFrom('a', 'storage', 'cpu', '0', 'weight', '__proto__')
        .map((text) => new PickleWriter().text(text).bytes()),
      fc
        .constantFrom(
          'collections.OrderedDict',
          'utils.HParams',
          'torch.FloatStorage',
          'torch._utils._rebuild_tensor_v2',
          'builtins.set',
          'torch.Size',
          'numpy.dtype',
          'os.system',
        )
        .map((name) => {
          const dot = name.lastIndexOf('.');
          return new PickleWriter().global(name.slice(0, dot), name.slice(dot + 1)).bytes();
        }),
    );
    fc.assert(
      fc.property(fc.array(instruction, { maxLength: 60 }), (instructions) => {
        readAll(readFileSync(scratch.torchZip(Buffer.concat([...instructions, Buffer.from('.')]))));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a reference checkpoint', () => {
  it('is refused or read with its checksums intact after random damage', () => {
    const reference = process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference');
    const bytes = readFileSync(join(reference, 'checkpoints/hubert/pytorch_model.bin'));
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        readAll(damaged);
      }),
      { numRuns: 60 },
    );
  });
});
