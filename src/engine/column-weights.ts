import { GraphBuilder } from '../onnx/graph.js';
import { encodeModel } from '../onnx/model-file.js';
import type { ColumnWeights } from '../onnx/quantize-columns.js';
import { output, type Runtime, tensor } from './onnxruntime.js';

/** Enough for every kernel's widest tile. */
const [ROWS, INPUTS, OUTPUTS] = [8, 64, 64];

/** Whether this processor adds products of the largest 8-bit activations and signed weights without overflow. */
export function addsSignedProducts(runtime: Runtime): boolean {
  const graph = new GraphBuilder('signed-products');
  const x = graph.input('x', 'float32', [ROWS, INPUTS]);
  const weights = graph.constant(new Int8Array(INPUTS * OUTPUTS).fill(127), 'int8', [INPUTS, OUTPUTS]);
  const scales = graph.constant(new Float32Array(OUTPUTS).fill(1), 'float32', [OUTPUTS]);
  const y = graph.op('DynamicQuantizeMatMul', [x, weights, scales], {}, 'com.microsoft');
  graph.output('y', y, 'float32', [ROWS, OUTPUTS]);
  const session = runtime.createSession(encodeModel(graph.build(), null));
  try {
    // The largest value becomes the level 255.
    const ones = tensor('float32', [ROWS, INPUTS], new Float32Array(ROWS * INPUTS).fill(1));
    const { data } = output(session.run({ x: ones }), 'y', 'float32');
    const exact = 127 * INPUTS;
    return data.every((value) => Math.abs(value - exact) < 1e-3 * exact);
  } finally {
    session.close();
  }
}

/** The faster form of 8-bit weights that this processor computes right. */
export function columnWeightsFor(runtime: Runtime): ColumnWeights {
  return addsSignedProducts(runtime) ? 'int8' : 'uint8';
}
