import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Checkpoint, CheckpointTensor, TensorDtype } from './checkpoint.js';
import { openCheckpoint } from './open-checkpoint.js';

const REFERENCE = process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference');

/** Per file: first bytes, and per tensor dtype, shape, sum and sum of absolute values in double. */
interface FileFacts {
  readonly first_bytes_hex: string;
  readonly tensors?: Readonly<Record<string, readonly [string, readonly number[], number, number]>>;
}

const DTYPES: Readonly<Record<string, TensorDtype>> = { float16: 'F16', float32: 'F32', int64: 'I64' };

function readFacts(): Readonly<Record<string, FileFacts>> {
  const path = join(REFERENCE, 'checkpoints.json');
  if (!existsSync(path)) {
    throw new Error(
      `reference data is missing: no ${path}; set TIMBRE_REFERENCE to the folder that holds checkpoints.json`,
    );
  }
  return (JSON.parse(readFileSync(path, 'utf8')) as { files: Record<string, FileFacts> }).files;
}

const facts = readFacts();

function withCheckpoint<T>(file: string, use: (checkpoint: Checkpoint) => T): T {
  const checkpoint = openCheckpoint(join(REFERENCE, file));
  try {
    return use(checkpoint);
  } finally {
    checkpoint.close();
  }
}

/** Every tensor under the whole path it has in the file, as the facts name it. */
function section(checkpoint: Checkpoint, name: string): CheckpointTensor | undefined {
  return checkpoint.tensors.get(name) ?? checkpoint.tensors.get(name.replace(/^(weight|generator)\./, ''));
}

function sums(tensor: CheckpointTensor): { sum: number; absolute: number } {
  let sum = 0;
  let absolute = 0;
  for (const value of tensor.readFloat32()) {
    sum += value;
    absolute += Math.abs(value);
  }
  return { sum, absolute };
}

describe('reference checkpoints', () => {
  it('include the formats that must be read', () => {
    expect(Object.keys(facts).length).toBeGreaterThan(10);
  });

  for (const [file, expected] of Object.entries(facts)) {
    it(`reads every tensor of ${file}`, () => {
      withCheckpoint(file, (checkpoint) => {
        const listed = Object.entries(expected.tensors ?? {});
        for (const [name, [dtype, shape, sum, absolute]] of listed) {
          const tensor = section(checkpoint, name);
          if (tensor === undefined) throw new Error(`${file} has no tensor ${name}`);
          expect([name, tensor.dtype, tensor.shape]).toEqual([name, DTYPES[dtype], shape]);
          const read = sums(tensor);
          // The facts are rounded to six decimals.
          const tolerance = 1e-6 + 1e-9 * absolute;
          expect(Math.abs(read.sum - sum), `${name} sum`).toBeLessThanOrEqual(tolerance);
          expect(Math.abs(read.absolute - absolute), `${name} sum of absolute values`).toBeLessThanOrEqual(tolerance);
        }
        if (expected.tensors) expect(checkpoint.tensors.size).toBe(listed.length);
        expect(checkpoint.header).toBe(Buffer.from(expected.first_bytes_hex, 'hex').toString('latin1', 0, 2));
      });
    });
  }

  function expectSameTensors(left: string, right: string, rename: (name: string) => string = (name) => name): void {
    withCheckpoint(left, (a) =>
      withCheckpoint(right, (b) => {
        const names = new Map([...a.tensors.keys()].map((name) => [rename(name), name]));
        for (const [name, tensor] of b.tensors) {
          const other = a.tensors.get(names.get(name) ?? '');
          expect(other?.shape, name).toEqual(tensor.shape);
          expect(other?.readFloat32(), name).toEqual(tensor.readFloat32());
        }
        expect(b.tensors.size).toBeGreaterThan(10);
      }),
    );
  }

  it('hold the same RoBERTa weights in the old stream format as in a zip', () => {
    expectSameTensors('checkpoints/roberta/pytorch_model.bin', 'checkpoints/roberta/pytorch_model.legacy.bin');
  });

  it('hold the same RoBERTa weights in safetensors as in a zip', () => {
    expectSameTensors('checkpoints/roberta/pytorch_model.bin', 'checkpoints/roberta/model.safetensors');
  });

  it('hold the same HuBERT weights in safetensors as in a zip, but for the names of weight norm', () => {
    expectSameTensors('checkpoints/hubert/pytorch_model.bin', 'checkpoints/hubert/model.safetensors', (name) =>
      name
        .replace('conv.weight_g', 'conv.parametrizations.weight.original0')
        .replace('conv.weight_v', 'conv.parametrizations.weight.original1'),
    );
  });

  describe('plain data', () => {
    let s2: Checkpoint['data'];
    let lora: Checkpoint['data'];
    let s1: Checkpoint['data'];

    beforeAll(() => {
      s2 = withCheckpoint('checkpoints/s2_v2.pth', ({ data }) => data);
      lora = withCheckpoint('checkpoints/s2_v3_lora.pth', ({ data }) => data);
      s1 = withCheckpoint('checkpoints/s1_v2.ckpt', ({ data }) => data);
    });

    it('turns HParams and their sections into plain objects', () => {
      const v1 = withCheckpoint('checkpoints/s2_v1.pth', ({ data }) => data);
      const model = (config: unknown) => (config as { model: Record<string, unknown> }).model;
      expect(Object.keys(model(s2['config']))).toEqual(expect.arrayContaining(Object.keys(model(v1['config']))));
      expect(model(s2['config'])['resblock_dilation_sizes']).toEqual([
        [1, 3, 5],
        [1, 3, 5],
        [1, 3, 5],
      ]);
    });

    it('keeps the rank of a LoRA and all of its tensors', () => {
      expect(lora['lora_rank']).toBe(4);
      const names = withCheckpoint('checkpoints/s2_v3_lora.pth', ({ tensors }) => [...tensors.keys()]);
      expect(names.filter((name) => name.endsWith('.lora_B.default.weight')).length).toBeGreaterThan(0);
    });

    it('keeps numbers, text, booleans and None of a configuration', () => {
      expect(s1['config']).toMatchObject({
        model: { vocab_size: 1025, EOS: 1024 },
        optimizer: { lr_init: 1e-5 },
        train: { precision: '16-mixed', if_dpo: false },
      });
      expect(s1['info']).toBe('GPT-e15');
      expect(s2['config']).toMatchObject({ data: { mel_fmax: null } });
    });

    it('does not repeat the weights', () => {
      expect(Object.keys(s1)).toEqual(['config', 'info']);
      expect(Object.keys(lora)).toEqual(['config', 'info', 'lora_rank']);
    });
  });
});
