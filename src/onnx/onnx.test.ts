import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { openRuntime, output, tensor } from '../engine/onnxruntime.js';
import { float, GraphBuilder, type GraphModel, type Value } from './graph.js';
import { encodeModel, writeModelFile } from './model-file.js';
import { Message } from './protobuf.js';
import { writeWeightsFile } from './weights-file.js';

const folder = mkdtempSync(join(tmpdir(), 'timbre-onnx-'));
const runtime = openRuntime({ threads: 1 });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('protocol buffers', () => {
  // Examples of the encoding specification: 150 is 96 01, −1 takes ten bytes, strings are length-delimited.
  it.each([
    [new Message().int(1, 150), '089601'],
    [new Message().int(1, 0), '0800'],
    [new Message().int(1, -1), '08ffffffffffffffffff01'],
    [new Message().int(16, 1), '800101'],
    [new Message().bytes(2, 'testing'), '120774657374696e67'],
    [new Message().float(3, 1), '1d0000803f'],
    [new Message().packedInts(4, [3, 270, 86_942]), '2206038e029ea705'],
    [new Message().message(3, new Message().int(1, 150)), '1a03089601'],
    [new Message().message(3, new Message()), '1a00'],
  ])('encodes %#', (message, hex) => {
    expect(Buffer.from(message.toBytes()).toString('hex')).toBe(hex);
    expect(message.sizeBytes).toBe(hex.length / 2);
  });
});

describe('the graph builder', () => {
  it.each<[string, (g: GraphBuilder, x: Value) => Value, number[]]>([
    ['add', (g, x) => g.add(x, g.scalar(1)), [2, 3, 4, 5]],
    ['sub', (g, x) => g.sub(x, g.scalar(1)), [0, 1, 2, 3]],
    ['mul', (g, x) => g.mul(x, x), [1, 4, 9, 16]],
    ['div', (g, x) => g.div(g.scalar(12), x), [12, 6, 4, 3]],
    ['pow', (g, x) => g.pow(x, g.scalar(2)), [1, 4, 9, 16]],
    ['neg', (g, x) => g.neg(x), [-1, -2, -3, -4]],
    ['sqrt', (g, x) => g.sqrt(g.mul(x, x)), [1, 2, 3, 4]],
    ['exp', (g, x) => g.exp(g.sub(x, x)), [1, 1, 1, 1]],
    ['relu', (g, x) => g.relu(g.sub(x, g.scalar(3))), [0, 0, 0, 1]],
    ['leakyRelu', (g, x) => g.leakyRelu(g.sub(x, g.scalar(3)), 0.5), [-1, -0.5, 0, 1]],
    ['prelu', (g, x) => g.prelu(g.sub(x, g.scalar(3)), g.constant([0.25], 'float32')), [-0.5, -0.25, 0, 1]],
    ['clip', (g, x) => g.clip(x, 2, 3), [2, 2, 3, 3]],
    ['tanh and sigmoid', (g, x) => g.add(g.tanh(g.sub(x, x)), g.sigmoid(g.sub(x, x))), [0.5, 0.5, 0.5, 0.5]],
    ['softmax', (g, x) => g.softmax(g.sub(x, x)), [0.5, 0.5, 0.5, 0.5]],
    ['where', (g, x) => g.where(g.constant([1, 0], 'bool'), x, g.neg(x)), [1, -2, 3, -4]],
    ['transpose', (g, x) => g.transpose(x, [1, 0]), [1, 3, 2, 4]],
    ['concat and split', (g, x) => g.concat([...g.split(x, [1, 1], 1)].reverse(), 1), [2, 1, 4, 3]],
    ['slice', (g, x) => g.concat([g.slice(x, 0, 1, 2), g.slice(x, 0, 0, 1)], 0), [3, 4, 1, 2]],
    ['gather', (g, x) => g.gather(x, g.constant([1, 0], 'int32'), 1), [2, 1, 4, 3]],
    ['unsqueeze and squeeze', (g, x) => g.squeeze(g.unsqueeze(x, [0, 3]), [0, 3]), [1, 2, 3, 4]],
    ['reshape by shape', (g, x) => g.reshape(g.reshape(x, [-1]), g.shape(x)), [1, 2, 3, 4]],
    ['expand', (g, x) => g.expand(g.slice(x, 0, 0, 1), g.shape(x)), [1, 2, 1, 2]],
    ['pad', (g, x) => g.slice(g.pad(x, [0, 1, 0, 0]), 1, 0, 2), [0, 1, 0, 3]],
    ['reduceMean', (g, x) => g.sub(x, g.reduceMean(x, [1])), [-0.5, 0.5, -0.5, 0.5]],
    ['reduceSum', (g, x) => g.sub(x, g.reduceSum(x, [0])), [-3, -4, -1, -2]],
    ['argMax', (g, x) => g.mul(x, g.cast(g.argMax(x, 1, true), 'float32')), [1, 2, 3, 4]],
    ['argMin', (g, x) => g.mul(x, g.cast(g.argMin(x, 1, true), 'float32')), [0, 0, 0, 0]],
    [
      'linear',
      (g, x) => g.linear(x, g.constant([0, 1, 1, 0], 'float32', [2, 2]), g.constant([10, 20], 'float32')),
      [12, 21, 14, 23],
    ],
    [
      'layerNorm',
      (g, x) => g.layerNorm(x, g.constant([1, 1], 'float32'), g.constant([0, 0], 'float32'), 1e-12),
      [-1, 1, -1, 1],
    ],
    ['gelu', (g, x) => g.gelu(g.sub(x, x)), [0, 0, 0, 0]],
    ['conv1d', (g, x) => conv(g, x, { padding: [1, 0] }), [1, 3, 3, 7]],
    ['conv1d with dilation', (g, x) => conv(g, x, { padding: 1, dilation: 2 }), [2, 1, 4, 3]],
  ])('computes %s', (_, build, expected) => {
    const result = run((g, x) => build(g, x));
    expect(result.map((value) => Math.round(value * 1e5) / 1e5 + 0)).toEqual(expected);
  });

  it('computes a transposed convolution', () => {
    const g = new GraphBuilder('transposed');
    const x = g.input('x', 'float32', [1, 1, 'T']);
    const weight = g.constant([1, 2, 3, 4], 'float32', [1, 1, 4]);
    g.output('y', g.convTranspose1d(x, weight, null, { stride: 2, padding: 1 }), 'float32', [1, 1, 'T2']);
    const session = runtime.createSession(encodeModel(g.build(), null));
    const { y } = session.run({ x: tensor('float32', [1, 1, 2], Float32Array.of(1, 10)) });
    expect([...(y as { data: Float32Array }).data]).toEqual([2, 13, 24, 30]);
    session.close();
  });

  it('stores equal constants once, and constants of another type or shape apart', () => {
    const g = new GraphBuilder('constants');
    expect(g.scalar(1)).toBe(g.scalar(1));
    expect(g.scalar(1)).not.toBe(g.constant([1], 'float32'));
    expect(g.constant(1, 'int64')).not.toBe(g.constant(1, 'int32'));
  });

  it('names nodes by scope', () => {
    const g = new GraphBuilder('scopes');
    const x = g.input('x', 'float32', [1]);
    g.output(
      'y',
      g.scope('outer', () => g.scope('inner', () => g.relu(x))),
      'float32',
      [1],
    );
    expect(g.build().nodes[0]?.name).toMatch(/^outer\/inner\/Relu/);
  });

  it('refuses what cannot be a graph', () => {
    const g = new GraphBuilder('wrong');
    g.input('x', 'float32', [1]);
    expect(() => g.input('x', 'float32', [1])).toThrow(/two tensors named x/);
    expect(() => g.constant([1, 2, 3], 'float32', [2])).toThrow(/3 values/);
    g.weight('w', [2], () => Float32Array.of(1, 2));
    expect(() => g.weight('w', [3], () => Float32Array.of(1, 2, 3))).toThrow(/defined twice/);
    expect(g.weight('w', [2], () => Float32Array.of(1, 2))).toEqual({ name: 'w' });
  });

  it('refuses a fractional attribute that is not marked as a float', () => {
    const g = new GraphBuilder('attribute');
    const x = g.input('x', 'float32', [1]);
    g.output('y', g.op('LeakyRelu', [x], { alpha: 0.5 }), 'float32', [1]);
    expect(() => encodeModel(g.build(), null)).toThrow(/float\(\)/);
    expect(float(1)).toEqual({ float: 1 });
  });
});

describe('the weights file', () => {
  const shared = Float32Array.of(1, 2, 3);
  const graph = (name: string, factor: number): GraphModel => {
    const g = new GraphBuilder(name);
    const x = g.input('x', 'float32', [3]);
    const own = g.weight(`${name}.own`, [1], () => Float32Array.of(factor));
    g.output(
      'y',
      g.mul(
        g.mul(
          x,
          g.weight('shared', [3], () => shared),
        ),
        own,
      ),
      'float32',
      [3],
    );
    g.metadata('purpose', 'test');
    return g.build();
  };

  it('holds each weight once, aligned, as safetensors that two graphs read', () => {
    const graphs = [graph('double', 2), graph('triple', 3)];
    const path = join(folder, 'weights.safetensors');
    const weights = writeWeightsFile(path, graphs, { metadata: { note: 'x' } });
    expect([...weights.places.keys()].sort()).toEqual(['double.own', 'shared', 'triple.own']);
    for (const { offsetBytes } of weights.places.values()) expect(offsetBytes % 64).toBe(0);
    for (const model of graphs) writeModelFile(join(folder, `${model.name}.onnx`), model, weights);

    const file = openCheckpoint(path);
    expect([...(file.tensors.get('shared')?.readFloat32() ?? [])]).toEqual([1, 2, 3]);
    expect(file.data['__metadata__']).toMatchObject({ note: 'x' });
    file.close();

    for (const [name, factor] of [
      ['double', 2],
      ['triple', 3],
    ] as const) {
      const session = runtime.createSession(join(folder, `${name}.onnx`));
      const results = session.run({ x: tensor('float32', [3], Float32Array.of(1, 1, 1)) });
      expect([...output(results, 'y', 'float32').data]).toEqual([factor, 2 * factor, 3 * factor]);
      session.close();
    }
    expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('keeps weights out of the graph file', () => {
    const g = new GraphBuilder('large');
    const x = g.input('x', 'float32', ['N', 100]);
    g.output(
      'y',
      g.matmul(
        x,
        g.weight('w', [100, 100], () => new Float32Array(10_000)),
      ),
      'float32',
      ['N', 100],
    );
    const weights = writeWeightsFile(join(folder, 'large.safetensors'), [g.build()]);
    writeModelFile(join(folder, 'large.onnx'), g.build(), weights);
    expect(readFileSync(join(folder, 'large.onnx')).length).toBeLessThan(500);
    expect(weights.sizeBytes).toBeGreaterThan(40_000);
  });

  it('refuses a weight that loads another size, or means two things', () => {
    const wrongSize = new GraphBuilder('wrong-size');
    wrongSize.weight('w', [4], () => new Float32Array(3));
    expect(() => writeWeightsFile(join(folder, 'a'), [wrongSize.build()])).toThrow(/12 bytes, not 16/);
    const [one, other] = [new GraphBuilder('one'), new GraphBuilder('other')];
    one.weight('w', [1], () => new Float32Array(1));
    other.weight('w', [2], () => new Float32Array(2));
    expect(() => writeWeightsFile(join(folder, 'b'), [one.build(), other.build()])).toThrow(/in one graph/);
  });

  it('refuses a graph whose weight is in another file', () => {
    const weights = writeWeightsFile(join(folder, 'c.safetensors'), []);
    expect(() => writeModelFile(join(folder, 'c.onnx'), graph('lost', 1), weights)).toThrow(/not in c\.safetensors/);
  });
});

function run(build: (g: GraphBuilder, x: Value) => Value): number[] {
  const g = new GraphBuilder('test');
  const x = g.input('x', 'float32', ['rows', 2]);
  g.output('y', build(g, x), 'float32', ['a', 'b']);
  const session = runtime.createSession(encodeModel(g.build(), null));
  try {
    const results = session.run({ x: tensor('float32', [2, 2], Float32Array.of(1, 2, 3, 4)) });
    return [...output(results, 'y', 'float32').data];
  } finally {
    session.close();
  }
}

/** Each row as a signal of two samples, with the kernel [1, 1]. */
function conv(g: GraphBuilder, x: Value, options: Parameters<GraphBuilder['conv1d']>[3]): Value {
  return g.squeeze(g.conv1d(g.unsqueeze(x, [1]), g.constant([1, 1], 'float32', [1, 1, 2]), null, options), [1]);
}
