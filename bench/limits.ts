/**
 * The machine's own limits, against which the stages of docs/performance.md stand:
 *
 *     npm run bench -- limits [--threads N] [--rounds N] [--json]
 *
 * Memory bandwidth is that of a product with one row, which reads a matrix of 134 MB once (more than any cache holds) and
 * does nothing else of note; the peaks are those of square products in float32 and in int8, which stay in the caches.
 * Measured through the same library and threads that the engine uses. Medians of rounds that take turns.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { openRuntime, type Session, tensor, zeros } from '../src/engine/onnxruntime.js';
import { GraphBuilder, type Value } from '../src/onnx/graph.js';
import { encodeModel } from '../src/onnx/model-file.js';
import { environment, median, round } from './figures.js';

const { values: flags } = parseArgs({
  options: {
    threads: { type: 'string', default: String(Math.min(availableParallelism(), 8)) },
    rounds: { type: 'string', default: '9' },
    json: { type: 'boolean', default: false },
  },
});

interface Probe {
  readonly rows: number;
  readonly inner: number;
  readonly outer: number;
  readonly graph: (graph: GraphBuilder, x: Value, inner: number, outer: number) => Value;
  /** What a run gives, by its seconds. */
  readonly figure: (seconds: number) => number;
  readonly unit: string;
  readonly columns: number;
}

/** Rows, columns and depth of the products that give the peaks: 4 MB a matrix. */
const SIZE = 1024;

const runtime = openRuntime({ threads: Number(flags.threads) });
const probes: Record<string, Probe> = {
  'memory read, float32 weights': bandwidth(4, (g, x, inner, outer) =>
    g.matmul(x, g.constant(random(inner * outer), 'float32', [inner, outer])),
  ),
  'float32 peak': peak('GFLOP/s', SIZE, (g, x, inner, outer) =>
    g.matmul(x, g.constant(random(inner * outer), 'float32', [inner, outer])),
  ),
  'int8 peak': peak('GOP/s', 1, (g, x, inner, outer) => {
    const weights = Int8Array.from({ length: inner * outer }, (_, index) => ((index * 31) % 127) - 63);
    const x8 = g.cast(x, 'uint8');
    const product = g.op('MatMulInteger', [x8, g.constant(weights, 'int8', [inner, outer])]);
    // A sum, so that giving out the result is not what takes the time.
    return g.reduceSum(g.cast(product, 'float32'), [1]);
  }),
};

const sessions = Object.entries(probes).map(([name, probe]) => ({ name, probe, session: open(probe) }));
const seconds = new Map<string, number[]>();
for (let turn = 0; turn <= Number(flags.rounds); turn++) {
  for (const { name, probe, session } of sessions) {
    const feeds = { x: tensor('float32', [probe.rows, probe.inner], random(probe.rows * probe.inner)) };
    const into = { y: zeros('float32', [probe.rows, probe.columns]) };
    const REPEATS = 4;
    const start = performance.now();
    for (let repeat = 0; repeat < REPEATS; repeat++) session.run(feeds, into);
    const each = (performance.now() - start) / 1000 / REPEATS;
    if (turn > 0) seconds.set(name, [...(seconds.get(name) ?? []), each]);
  }
}
const figures: Record<string, number | string> = { ...environment(), threads: Number(flags.threads) };
for (const { name, probe } of sessions) {
  const taken = seconds.get(name) ?? [];
  figures[`${name}, ${probe.unit}`] = round(probe.figure(median(taken)), 1);
  figures[`${name}, best, ${probe.unit}`] = round(probe.figure(Math.min(...taken)), 1);
}
if (flags.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(44)} ${value}\n`);

function bandwidth(bytesPerWeight: number, graph: Probe['graph']): Probe {
  const [inner, outer] = [4096, 8192];
  return {
    rows: 1,
    inner,
    outer,
    graph,
    figure: (each) => (inner * outer * bytesPerWeight) / each / 1e9,
    unit: 'GB/s',
    columns: outer,
  };
}

function peak(unit: string, columns: number, graph: Probe['graph']): Probe {
  const figure = (each: number): number => (2 * SIZE ** 3) / each / 1e9;
  return { rows: SIZE, inner: SIZE, outer: SIZE, graph, figure, unit, columns };
}

function open({ inner, outer, graph }: Probe): Session {
  const builder = new GraphBuilder('limit');
  const y = graph(builder, builder.input('x', 'float32', ['rows', inner]), inner, outer);
  builder.output('y', y, 'float32', ['rows', 'columns']);
  return runtime.createSession(encodeModel(builder.build(), null));
}

function random(length: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => ((index * 7919) % 100) / 50);
}
