import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../onnx/graph.js';
import { encodeModel, writeModelFile } from '../onnx/model-file.js';
import { writeWeightsFile } from '../onnx/weights-file.js';
import { ONNXRUNTIME_VERSION, openRuntime, output, Runtime, tensor, zeros } from './onnxruntime.js';

const folder = mkdtempSync(join(tmpdir(), 'timbre-onnxruntime-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** y = x · w + 1 with w (width, width) filled with 2. */
function affineGraph(width: number) {
  const graph = new GraphBuilder('affine');
  const x = graph.input('x', 'float32', ['rows', width]);
  const w = graph.weight('w', [width, width], () => new Float32Array(width * width).fill(2));
  graph.output('y', graph.add(graph.matmul(x, w), graph.scalar(1)), 'float32', ['rows', width]);
  return graph.build();
}

it('opens one runtime per thread, through the C API', () => {
  const runtime = openRuntime({ threads: 2 });
  expect(openRuntime()).toBe(runtime);
  expect(runtime.version).toBe(ONNXRUNTIME_VERSION);
  expect(runtime.binding).toBe('c-api');
});

describe.each([
  ['the C API', openRuntime({ threads: 2 })],
  ['the official binding', new Runtime({ binding: 'official', threads: 2 })],
])('a session through %s', (_, runtime) => {
  const affineSession = (width: number) => runtime.createSession(encodeModel(affineGraph(width), null));

  it('computes a known graph right', () => {
    expect(() => runtime.selfCheck()).not.toThrow();
  });

  it('describes the inputs and outputs of a graph', () => {
    const session = affineSession(3);
    expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', dims: ['rows', 3] }]);
    expect(session.outputs).toEqual([{ name: 'y', dtype: 'float32', dims: ['rows', 3] }]);
    session.close();
  });

  it('returns outputs of any size in fresh arrays', () => {
    const session = affineSession(2);
    for (const rows of [1, 3]) {
      const y = output(
        session.run({ x: tensor('float32', [rows, 2], new Float32Array(rows * 2).fill(1)) }),
        'y',
        'float32',
      );
      expect(y.dims).toEqual([rows, 2]);
      expect([...y.data]).toEqual(new Array(rows * 2).fill(5));
    }
    session.close();
  });

  it('takes tensors without any element', () => {
    const session = affineSession(2);
    expect(session.run({ x: zeros('float32', [0, 2]) }).y?.dims).toEqual([0, 2]);
    session.close();
  });

  it('reads views and shared memory, and writes outputs in place', () => {
    const session = affineSession(2);
    const shared = new Float32Array(new SharedArrayBuffer(32));
    shared.set([9, 9, 1, 2, 9, 9, 9, 9]);
    const y = tensor('float32', [1, 2], shared.subarray(4, 6));
    const results = session.run({ x: tensor('float32', [1, 2], shared.subarray(2, 4)) }, { y });
    expect(results.y).toBe(y);
    expect([...shared]).toEqual([9, 9, 1, 2, 7, 7, 9, 9]);
    session.close();
  });

  it('repeats a prepared run on the same memory, also where an output is an input', () => {
    const session = affineSession(1);
    const state = tensor('float32', [1, 1], Float32Array.of(1));
    const step = session.prepare({ inputs: { x: state }, outputs: { y: state } });
    for (let count = 0; count < 3; count++) step.run();
    expect(state.data[0]).toBe(15); // 1 → 3 → 7 → 15
    step.close();
    expect(() => step.run()).toThrow(/closed/);
    session.close();
  });

  it('computes only the outputs asked for', () => {
    const graph = new GraphBuilder('two');
    const x = graph.input('x', 'float32', [1]);
    graph.output('double', graph.add(x, x), 'float32', [1]);
    graph.output('square', graph.mul(x, x), 'float32', [1]);
    const session = runtime.createSession(encodeModel(graph.build(), null));
    const results = session.run({ x: tensor('float32', [1], Float32Array.of(3)) }, {}, ['square']);
    expect(Object.keys(results)).toEqual(['square']);
    expect(results.square?.data[0]).toBe(9);
    session.close();
  });

  it('loads a graph whose weights lie in a file beside it, and shares them through a container', () => {
    const graph = affineGraph(8);
    const weights = writeWeightsFile(join(folder, 'affine.safetensors'), [graph]);
    writeModelFile(join(folder, 'affine.onnx'), graph, weights);
    const prepackedWeights = runtime.createPrepackedWeights();
    const sessions = [0, 1].map(() => runtime.createSession(join(folder, 'affine.onnx'), { prepackedWeights }));
    prepackedWeights.close(); // frees when the last session goes
    for (const session of sessions) {
      expect(session.run({ x: zeros('float32', [1, 8]) }).y?.data[7]).toBe(1);
      session.close();
    }
    if (runtime.binding === 'c-api') {
      expect(() => runtime.createSession(join(folder, 'affine.onnx'), { prepackedWeights })).toThrow(/closed/);
    }
  });

  it('writes the optimised graph where asked, which then loads without optimisation', () => {
    const optimizedModelPath = join(folder, 'optimised.onnx');
    runtime.createSession(encodeModel(affineGraph(2), null), { optimizedModelPath }).close();
    const session = runtime.createSession(optimizedModelPath, { optimization: 'none' });
    expect(session.run({ x: zeros('float32', [1, 2]) }).y?.data[0]).toBe(1);
    session.close();
  });

  it('names every missing input', () => {
    const graph = new GraphBuilder('sum');
    const [a, b] = ['a', 'b'].map((name) => graph.input(name, 'float32', [1]));
    if (a && b) graph.output('c', graph.add(a, b), 'float32', [1]);
    const session = runtime.createSession(encodeModel(graph.build(), null));
    expect(() => session.run({})).toThrow('missing graph inputs: a, b');
    session.close();
  });

  it('refuses names, element types and shapes that the graph has not', () => {
    const session = affineSession(2);
    const x = zeros('float32', [1, 2]);
    expect(() => session.run({ x, z: x })).toThrow('the graph has no input "z"; it has x');
    expect(() => session.run({ x }, { q: x })).toThrow('the graph has no output "q"; it has y');
    expect(() => session.run({ x }, {}, ['q'])).toThrow('no output "q"');
    expect(() => session.run({ x: zeros('int32', [1, 2]) })).toThrow('"x" is int32 [1, 2], the graph has float32');
    expect(() => session.run({ x: zeros('float32', [1, 3]) })).toThrow('[rows, 2]');
    expect(() => tensor('float32', [2, 2], new Float32Array(3))).toThrow('has 4 elements, but its array has 3');
    expect(() => output({}, 'y', 'float32')).toThrow('no output "y"');
    expect(() => output({ y: x }, 'y', 'int32')).toThrow('is float32, expected int32');
    session.close();
  });

  it('opens a session while the thread does other things, and says why it cannot', async () => {
    const bytes = encodeModel(affineGraph(2), null);
    const path = join(folder, 'beside.onnx');
    writeFileSync(path, bytes);
    const prepackedWeights = runtime.createPrepackedWeights();
    const opening = [path, bytes].flatMap((model) => [
      runtime.openSession(model),
      runtime.openSession(model, { prepackedWeights }),
    ]);
    // Deferred until the last session that is being opened is closed.
    prepackedWeights.close();
    const x = tensor('float32', [1, 2], Float32Array.of(1, 2));
    const expected = affineSession(2);
    for (const session of await Promise.all(opening)) {
      expect(session.run({ x })).toEqual(expected.run({ x }));
      session.close();
    }
    expected.close();
    await expect(runtime.openSession(join(folder, 'absent.onnx'))).rejects.toThrow(/ONNX Runtime: /);
    await expect(runtime.openSession(new Uint8Array([1, 2, 3]))).rejects.toThrow(/ONNX Runtime: /);
  });

  it('passes on what ONNX Runtime says', () => {
    expect(() => runtime.createSession(join(folder, 'absent.onnx'))).toThrow(/ONNX Runtime: .*(absent\.onnx|file)/i);
    expect(() => runtime.createSession(new Uint8Array([1, 2, 3]))).toThrow(/ONNX Runtime: /);
    const session = affineSession(2);
    const wrong = zeros('float32', [3, 2]); // y is (1, 2)
    expect(() => session.run({ x: zeros('float32', [1, 2]) }, { y: wrong })).toThrow(/ONNX Runtime: /);
    session.close();
    expect(() => session.run({ x: zeros('float32', [1, 2]) })).toThrow('the session is closed');
  });
});

describe('memory', () => {
  const affineSession = (width: number) => openRuntime().createSession(encodeModel(affineGraph(width), null));

  it('stays flat over 10,000 runs and 50 sessions', () => {
    const session = affineSession(16);
    const x = zeros('float32', [16, 16]);
    const cycle = () => {
      for (let run = 0; run < 5_000; run++) session.run({ x });
      for (let count = 0; count < 25; count++) affineSession(256).close();
    };
    cycle();
    const before = process.memoryUsage().rss;
    cycle();
    session.close();
    // 25 leaked sessions would hold 6.5 MB, 5,000 leaked outputs 5 MB, besides the collector's own swings.
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(24);
  }, 60_000);
});

describe('worker threads', () => {
  it('use the same library at once, and may end before it does', async () => {
    const model = join(folder, 'worker.onnx');
    writeModelFile(model, affineGraph(64), writeWeightsFile(join(folder, 'worker.safetensors'), [affineGraph(64)]));
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const loader = import('tsx/esm/api');
      loader.then(({ tsImport }) => tsImport(workerData.module, workerData.module)).then(({ openRuntime, zeros }) => {
        const session = openRuntime({ threads: 2 }).createSession(workerData.model);
        let sum = 0;
        for (let run = 0; run < 500; run++) sum += session.run({ x: zeros('float32', [64, 64]) }).y.data[0];
        parentPort.postMessage(sum);
      });`;
    const workerData = { module: new URL('./onnxruntime.ts', import.meta.url).href, model };
    const sums = await Promise.all(
      [0, 1].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(source, { eval: true, workerData });
            let sum: unknown;
            worker.once('message', (message) => {
              sum = message;
            });
            worker.once('error', reject);
            worker.once('exit', () => resolve(sum));
          }),
      ),
    );
    expect(sums).toEqual([500, 500]);
    openRuntime().selfCheck();
  }, 30_000);
});
