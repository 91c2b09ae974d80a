import { describe, expect, it } from 'vitest';
import { columnProduct } from '../models/column-product.js';
import { GraphBuilder } from '../onnx/graph.js';
import { encodeModel } from '../onnx/model-file.js';
import { columnWeightsFor } from './column-weights.js';
import { openRuntime, output, tensor } from './onnxruntime.js';

describe('weights of 8 bits by column', () => {
  const runtime = openRuntime({ threads: 1 });

  it.each([1, 3, 160])('are added without overflow on this processor, %i positions at once', (positions) => {
    const [inputs, outputs] = [512, 96];
    const graph = new GraphBuilder('products');
    const x = graph.input('x', 'float32', [positions, inputs]);
    // The largest weights beside the largest activations: what overflows first.
    const load = () => Float32Array.from({ length: outputs * inputs }, (_, at) => (at % outputs) + 1);
    const matrix = { name: 'w', outputs, inputs, load };
    const y = columnProduct(graph, x, matrix, null, columnWeightsFor(runtime));
    graph.output('y', y, 'float32', [positions, outputs]);
    const session = runtime.createSession(encodeModel(graph.build(), null));
    const ones = tensor('float32', [positions, inputs], new Float32Array(positions * inputs).fill(1));
    const { data } = output(session.run({ x: ones }), 'y', 'float32');
    session.close();
    const weights = load();
    for (let at = 0; at < data.length; at++) {
      const column = at % outputs;
      const exact = weights.subarray(column * inputs, (column + 1) * inputs).reduce((sum, value) => sum + value, 0);
      expect(Math.abs(data[at]! / exact - 1)).toBeLessThan(0.01);
    }
  });

  it.each(['int8', 'uint8'] as const)('give the same product as %s where nothing can overflow', (type) => {
    const [positions, inputs, outputs] = [5, 256, 64];
    const load = () =>
      Float32Array.from({ length: outputs * inputs }, (_, at) => Math.sin(at * 1.3) * (at % inputs && 1));
    // The first input alone is large, and meets weights of zero.
    const values = Float32Array.from({ length: positions * inputs }, (_, at) => (at % inputs ? 0.2 * Math.cos(at) : 1));
    const graph = new GraphBuilder('product');
    const x = graph.input('x', 'float32', [positions, inputs]);
    const bias = graph.weight('bias', [outputs], () => new Float32Array(outputs).fill(3));
    graph.output('y', columnProduct(graph, x, { name: 'w', outputs, inputs, load }, bias, type), 'float32', [
      positions,
      outputs,
    ]);
    const session = runtime.createSession(encodeModel(graph.build(), null));
    const { data } = output(session.run({ x: tensor('float32', [positions, inputs], values) }), 'y', 'float32');
    session.close();
    const weights = load();
    for (let at = 0; at < data.length; at++) {
      const [row, column] = [Math.floor(at / outputs), at % outputs];
      let exact = 3;
      for (let k = 0; k < inputs; k++) exact += values[row * inputs + k]! * weights[column * inputs + k]!;
      expect(Math.abs(data[at]! - exact)).toBeLessThan(0.1);
    }
  });
});
