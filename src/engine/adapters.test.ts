import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { randomText2Semantic } from '../../test/fixtures/random-text2semantic.js';
import type { Checkpoint, CheckpointTensor } from '../checkpoint/checkpoint.js';
import { writeSafetensors } from '../checkpoint/safetensors-writer.js';
import { readAdapterFile } from '../models/adapter-file.js';
import { ADAPTED_PRODUCTS, buildText2Semantic, readText2SemanticSettings } from '../models/text2semantic.js';
import { readText2SemanticAdapter, type Text2SemanticAdapter } from '../models/text2semantic-adapter.js';
import { encodeModel } from '../onnx/model-file.js';
import { AdapterStore } from './adapter-store.js';
import { openRuntime } from './onnxruntime.js';
import { fillNormal, RANDOM_STREAM } from './random.js';
import { type RowEvent, type RowRequest, SemanticDecoder } from './semantic-decoder.js';

const [WIDTH, HEADS, LAYERS] = [128, 8, 2];
const base = randomText2Semantic(WIDTH, HEADS, LAYERS, 0);
const settings = readText2SemanticSettings(base, { positions: 256 });
const MODULES = { qkv: 'self_attn.in_proj', out: 'self_attn.out_proj', inner: 'linear1', outer: 'linear2' } as const;
const STORED = {
  ...MODULES,
  qkv: 'self_attn.in_proj_',
  out: 'self_attn.out_proj.',
  inner: 'linear1.',
  outer: 'linear2.',
};

const open: SemanticDecoder[] = [];
afterEach(() => {
  for (const decoder of open.splice(0)) decoder.close();
});

function tensorOf(name: string, shape: readonly number[], values: Float32Array): CheckpointTensor {
  return {
    name,
    dtype: 'F32',
    shape,
    length: values.length,
    readFloat32: () => values,
    readInt32: () => new Int32Array(),
  };
}

/** An adapter file in memory: random A and B for every module of every layer. */
function adapterFile(seed: number, rank: number): Checkpoint {
  const tensors = new Map<string, CheckpointTensor>();
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const [index, product] of ADAPTED_PRODUCTS.entries()) {
      const [outputs = 0, inputs = 0] =
        base.tensors.get(`model.h.layers.${layer}.${STORED[product]}weight`)?.shape ?? [];
      const prefix = `base_model.model.h.layers.${layer}.${MODULES[product]}`;
      for (const [name, shape] of [
        ['lora_A', [rank, inputs]],
        ['lora_B', [outputs, rank]],
      ] as const) {
        const values = new Float32Array(shape[0] * shape[1]);
        fillNormal(
          values,
          { seed, sentence: 10 * layer + 2 * index + (name === 'lora_A' ? 0 : 1) },
          0,
          RANDOM_STREAM.tokens,
        );
        tensors.set(
          `${prefix}.${name}.weight`,
          tensorOf(
            `${prefix}.${name}.weight`,
            shape,
            values.map((value) => value * 0.1),
          ),
        );
      }
    }
  }
  return {
    ...base,
    path: `adapter-${seed}.safetensors`,
    tensors,
    data: { __metadata__: { lora_alpha: String(2 * rank) } },
  };
}

/** The network with an adapter's product added to its weights: W + alpha / rank · B · A. */
function merged(file: Checkpoint, rank: number): Checkpoint {
  const tensors = new Map(base.tensors);
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const product of ADAPTED_PRODUCTS) {
      const name = `model.h.layers.${layer}.${STORED[product]}weight`;
      const weight = base.tensors.get(name)!;
      const [outputs = 0, inputs = 0] = weight.shape;
      const part = (which: string) =>
        file.tensors.get(`base_model.model.h.layers.${layer}.${MODULES[product]}.lora_${which}.weight`)!.readFloat32();
      const [A, B] = [part('A'), part('B')];
      const values = weight.readFloat32().slice();
      for (let row = 0; row < outputs; row++) {
        for (let column = 0; column < inputs; column++) {
          let sum = 0;
          for (let r = 0; r < rank; r++) sum += B[row * rank + r]! * A[r * inputs + column]!;
          values[row * inputs + column]! += 2 * sum;
        }
      }
      tensors.set(name, tensorOf(name, weight.shape, values));
    }
  }
  return { ...base, tensors };
}

function buildDecoder(checkpoint: Checkpoint): SemanticDecoder {
  const session = (adapters: boolean) =>
    openRuntime({ threads: 1 }).createSession(
      encodeModel(buildText2Semantic(checkpoint, settings, { adapters }), null),
    );
  const whole = session(false);
  const adapted = () => {
    const both = session(true);
    return { prefill: both, step: both };
  };
  const decoder = new SemanticDecoder({ prefill: whole, step: whole, adapted }, settings, { maxLength: 200 });
  open.push(decoder);
  return decoder;
}

function request(index: number, adapterWeights: Text2SemanticAdapter | null = null): RowRequest {
  return {
    phonemeIds: Array.from({ length: 10 + index }, (_, position) => (position * 7 + index * 3) % 40),
    bertFeatures: null,
    promptSemantic: Array.from({ length: 6 + index }, (_, at) => (at * 5 + index) % 128),
    sampling: { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 },
    seed: 100 + index,
    sentenceKey: index,
    maxNewTokens: 20,
    adapterWeights,
  };
}

/** Tokens of rows that are decoded together, in the order of the requests. */
function decode(decoder: SemanticDecoder, rows: readonly RowRequest[]): number[][] {
  const tokens = new Map<number, number[]>();
  const take = (event: RowEvent) => tokens.set(event.row, [...(tokens.get(event.row) ?? []), event.token ?? -1]);
  for (const row of rows) take(decoder.addRow(row));
  while (decoder.size > 0) for (const event of decoder.step()) take(event);
  return [...tokens.values()];
}

describe('adapters by row', () => {
  const files = [adapterFile(1, 8), adapterFile(2, 4), adapterFile(3, 16)];
  const adapters = files.map((file) => readText2SemanticAdapter(readAdapterFile(file), settings));

  it('give the tokens of merged weights, several of them in one batch with rows that have none', () => {
    const together = decode(buildDecoder(base), [
      request(0, adapters[0]),
      request(1),
      request(2, adapters[1]),
      request(3, adapters[2]),
    ]);
    for (const [place, file, rank] of [
      [0, 0, 8],
      [2, 1, 4],
      [3, 2, 16],
    ] as const) {
      const [alone] = decode(buildDecoder(merged(files[file]!, rank)), [request(place)]);
      expect(together[place]).toEqual(alone);
    }
    const [plain] = decode(buildDecoder(base), [request(1)]);
    expect(together[1]).toEqual(plain);
    expect(together[0]).not.toEqual(decode(buildDecoder(base), [request(0)])[0]);
  });

  it('give a row the same tokens alone and among others, who come and go', () => {
    const decoder = buildDecoder(base);
    const [alone] = decode(decoder, [request(0, adapters[0])]);
    const [among] = decode(decoder, [
      request(0, adapters[0]),
      request(4, adapters[2]),
      request(5),
      request(6, adapters[1]),
    ]);
    expect(among).toEqual(alone);
  });

  it('leave a sentence alone that is being prefilled while the only row has one', () => {
    const long = {
      ...request(7),
      phonemeIds: Array.from({ length: 60 }, (_, at) => (at * 11) % 40),
      promptSemantic: Array.from({ length: 80 }, (_, at) => (at * 5) % 128),
    };
    const [alone] = decode(buildDecoder(base), [long]);
    const decoder = buildDecoder(base);
    const { row: lone } = decoder.addRow(request(0, adapters[0]));
    decoder.beginRow(long);
    expect(decoder.prefill()).toBe(null);
    decoder.step();
    const joined = decoder.prefill();
    const tokens = [joined?.token ?? -1];
    while (decoder.size > 0) {
      for (const { row, token } of decoder.step()) if (row !== lone) tokens.push(token ?? -1);
    }
    expect(tokens).toEqual(alone);
  });

  it.each([
    ['a rank that is too large', () => adapterFile(1, 17), /rank 17, expected 1 to 16/],
    [
      'another network',
      () => ({
        ...files[0]!,
        tensors: new Map([...files[0]!.tensors].map(([name, tensor]) => [name.replace('.1.', '.7.'), tensor])),
      }),
      /names no layer of a network with 2/,
    ],
    [
      'half of a module',
      () => ({
        ...files[0]!,
        tensors: new Map([...files[0]!.tensors].filter(([name]) => !name.includes('1.linear1.lora_B'))),
      }),
      /\[absent\] in 1.inner/,
    ],
  ])('refuse %s', (_, file, message) => {
    expect(() => readText2SemanticAdapter(readAdapterFile(file()), settings)).toThrow(message);
  });
});

describe('the store of adapters', () => {
  const networks = { text2semantic: settings, sovits: {} as never }; // the files have no part for SoVITS
  const folder = mkdtempSync(join(tmpdir(), 'timbre-adapters-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps files by name, reads each once, and names those there are when one is missing', async () => {
    const path = join(folder, 'trained.safetensors');
    const entries = [...adapterFile(1, 8).tensors].map(([name, tensor]) => ({
      name,
      dtype: 'F32' as const,
      shape: tensor.shape,
      load: () => tensor.readFloat32(),
    }));
    await writeSafetensors(path, entries);
    const store = new AdapterStore(folder);
    expect(() => store.loadText2Semantic('sad', settings)).toThrow(/none has been added yet/);
    store.add('sad', path, networks);
    expect(store.names()).toEqual(['sad']);
    expect(store.loadText2Semantic('sad', settings)).toMatchObject({ rank: 8 });
    expect(store.loadText2Semantic('sad', settings)).toBe(store.loadText2Semantic('sad', settings));
    const { version, weights } = { version: store.version('sad'), weights: store.loadText2Semantic('sad', settings) };
    store.add('sad', path, networks);
    expect(store.version('sad')).not.toBe(version);
    expect(store.loadText2Semantic('sad', settings)).not.toBe(weights);
    expect(() => store.loadText2Semantic('glad', settings)).toThrow(
      expect.objectContaining({ code: 'ADAPTER_NOT_FOUND' }),
    );
    expect(() => store.add('../x', path, networks)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
    store.remove('sad');
    expect(store.names()).toEqual([]);
  });
});
