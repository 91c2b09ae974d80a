import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileInMemory, SovitsUnderTest } from '../../../test/parity/sovits-under-test.js';
import { output, type Session, tensor } from '../../engine/onnxruntime.js';
import { frameMap } from './flow.js';
import { buildGenerator, type GeneratorPart, inputRange } from './generator.js';
import { readNormed } from './layers.js';
import { buildSovits, buildSovitsAdapters } from './sovits.js';
import { framesOfTokens } from './text-encoder.js';

const DEMO = fileURLToPath(new URL('../../../demo-voice/s2.pth', import.meta.url));
let sovits: SovitsUnderTest;

beforeAll(() => {
  sovits = new SovitsUnderTest(DEMO);
});

afterAll(() => sovits.close());

describe('SoVITS graphs', () => {
  it('stay small, since nodes are what loading costs', () => {
    const graphs = Object.values(buildSovits(sovits.checkpoint, sovits.spec));
    const nodes = graphs.reduce((count, graph) => count + graph.nodes.length, 0);
    expect(nodes).toBeLessThan(900);
  });

  it('share no weight name with different contents', () => {
    const shapes = new Map<string, string>();
    const all = {
      ...buildSovits(sovits.checkpoint, sovits.spec),
      ...buildSovitsAdapters(sovits.checkpoint, sovits.spec),
    };
    for (const graph of Object.values(all)) {
      for (const weight of graph.weights) {
        const shape = weight.shape.join();
        expect(shapes.get(weight.name) ?? shape).toBe(shape);
        shapes.set(weight.name, shape);
      }
    }
  });

  it('name a missing tensor when they are built', () => {
    const tensors = new Map([...sovits.checkpoint.tensors].filter(([name]) => name !== 'dec.ups.1.weight_v'));
    expect(() => buildGenerator({ ...sovits.checkpoint, tensors }, sovits.spec, 'whole')).toThrow(
      /no tensor "dec.ups.1.weight_v"/,
    );
  });

  it('computes the generator alike with either form of convolution', () => {
    const z = noise(sovits.spec.interChannels * 9);
    const [flat, square] = (['1d', '2d'] as const).map((convolution) => {
      const session = compileInMemory(buildGenerator(sovits.checkpoint, sovits.spec, 'whole', { convolution }));
      const wave = runGenerator(session, 'whole', z, 9);
      session.close();
      return wave;
    });
    expect(difference(flat, square)).toBeLessThan(1e-6);
  });
});

describe('reach of the generator', () => {
  it.each(['head', 'tail', 'whole'] as const)(
    'of the %s is exact: no input outside matters, the outermost do',
    (part) => {
      const session = compileInMemory(buildGenerator(sovits.checkpoint, sovits.spec, part));
      const { generator, interChannels, hopSamples } = sovits.spec;
      const channels = part === 'tail' ? (generator.upsamples[0]?.channels ?? 0) : interChannels;
      const length = 90;
      const rate = part === 'head' ? 10 : part === 'tail' ? hopSamples / 10 : hopSamples;
      const window = { start: 40 * rate + 3, end: 44 * rate - 5 };
      const reach = inputRange(sovits.spec, part, window);
      const input = noise(channels * length);
      const outputOf = (data: Float32Array): Float32Array => {
        const values = runGenerator(session, part, data, length);
        const columns = length * rate;
        const rows = values.length / columns;
        return joinRows(values, rows, columns, window.start, window.end);
      };
      const before = outputOf(input);
      const changedAt = (column: number): number =>
        difference(before, outputOf(changed(input, channels, length, column)));
      expect(changedAt(reach.start - 1)).toBe(0);
      expect(changedAt(reach.end)).toBe(0);
      // What enters at the very edge passes the outermost tap of every layer and may drown in rounding; a little
      // inside it must be heard.
      const inside = [0, 1, 2, 3, 4];
      expect(Math.max(...inside.map((step) => changedAt(reach.start + step)))).toBeGreaterThan(0);
      expect(Math.max(...inside.map((step) => changedAt(reach.end - 1 - step)))).toBeGreaterThan(0);
      session.close();
    },
  );
});

describe('change of speed', () => {
  it('maps frames to themselves at speed 1', () => {
    expect(frameMap(3, 1)).toEqual({
      left: BigInt64Array.of(0n, 1n, 2n),
      right: BigInt64Array.of(1n, 2n, 2n),
      fraction: Float32Array.of(0, 0, 0),
    });
  });

  it('interpolates between frame centres, one frame more than the quotient', () => {
    const map = frameMap(5, 1.3);
    expect(Array.from(map.left, Number)).toEqual([0, 1, 2, 3]);
    expect(Array.from(map.right, Number)).toEqual([1, 2, 3, 4]);
    expect(Array.from(map.fraction)).toEqual([0.125, 0.375, 0.625, 0.875]);
  });

  it('does so even where the quotient is whole', () => {
    expect(frameMap(10, 2).fraction.length).toBe(6);
    expect(frameMap(10, 0.5).fraction.length).toBe(21);
  });

  it('repeats each token for its frames', () => {
    expect(framesOfTokens(sovits.spec, [7, 1023])).toEqual(BigInt64Array.of(7n, 7n, 1023n, 1023n));
    expect(framesOfTokens({ ...sovits.spec, framesPerToken: 1 }, [7, 9])).toEqual(BigInt64Array.of(7n, 9n));
  });
});

describe('weight norm', () => {
  it('folds magnitude and direction, in old and new names', () => {
    const direction = floats('v', [2, 1, 2], [3, 4, 0, 5]);
    const magnitude = floats('g', [2, 1, 1], [10, 2]);
    const expected = Float32Array.of(6, 8, 0, 2);
    for (const [v, g] of [
      ['conv.weight_v', 'conv.weight_g'],
      ['conv.parametrizations.weight.original1', 'conv.parametrizations.weight.original0'],
    ] as const) {
      const checkpoint = {
        ...sovits.checkpoint,
        tensors: new Map([
          [v, direction],
          [g, magnitude],
        ]),
      };
      expect(readNormed(checkpoint, 'conv').data).toEqual(expected);
    }
  });
});

function runGenerator(session: Session, part: GeneratorPart, data: Float32Array, length: number): Float32Array {
  const ge = tensor('float32', [1, sovits.spec.globalEmbeddingWidth, 1], noise(sovits.spec.globalEmbeddingWidth));
  const input = tensor('float32', [1, data.length / length, length], data);
  const results = session.run(part === 'tail' ? { hidden: input } : { z: input, ge });
  return output(results, part === 'head' ? 'hidden' : 'wave', 'float32').data;
}

function noise(length: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => 2 * Math.sin(index * 12.9898 + 1) * Math.cos(index * 0.37));
}

function changed(input: Float32Array, channels: number, length: number, column: number): Float32Array {
  const copy = input.slice();
  for (let channel = 0; channel < channels; channel++) copy[channel * length + column] = 30;
  return copy;
}

function joinRows(values: Float32Array, rows: number, columns: number, start: number, end: number): Float32Array {
  const joined = new Float32Array(rows * (end - start));
  for (let row = 0; row < rows; row++) {
    joined.set(values.subarray(row * columns + start, row * columns + end), row * (end - start));
  }
  return joined;
}

function difference(a: Float32Array | undefined, b: Float32Array | undefined): number {
  expect(a?.length).toBe(b?.length);
  const differences = Array.from(a ?? [], (value, index) => Math.abs(value - (b?.[index] ?? 0)));
  return differences.reduce((largest, value) => Math.max(largest, value), 0);
}

function floats(name: string, shape: number[], values: number[]) {
  return {
    name,
    dtype: 'F32' as const,
    shape,
    length: values.length,
    readFloat32: () => Float32Array.from(values),
    readInt32: () => Int32Array.from(values),
  };
}
