import type { ModelSpec } from '../models/model-spec.js';
import { type AdaptedGraph, adaptedModules, changeShapes, type SovitsAdapter } from '../models/sovits/adapter.js';
import { type Session, type Tensor, tensor } from './onnxruntime.js';

/** What the waveform decoder needs of a session. */
export type RunnableSession = Pick<Session, 'run' | 'close'>;

/** The graphs that an adapter changes. */
export function changedGraphs(adapter: SovitsAdapter, spec: ModelSpec): AdaptedGraph[] {
  const modules = adaptedModules(spec);
  return [...new Set([...adapter.changes.keys()].flatMap((name) => modules.get(name)?.graph ?? []))];
}

/**
 * Sessions of the graphs that an adapter changes, with its matrices among their inputs; `open` gives those of the graphs
 * that take adapters. The other graphs are left out: they run as they are.
 */
export function withAdapter(
  open: (graph: AdaptedGraph) => RunnableSession,
  adapter: SovitsAdapter,
  spec: ModelSpec,
): Partial<Record<AdaptedGraph, RunnableSession>> {
  const modules = adaptedModules(spec);
  const changed = changedGraphs(adapter, spec);
  const matrices: Record<AdaptedGraph, Record<string, Tensor>> = { text: {}, tokens: {}, flow: {} };
  for (const [name, module] of modules) {
    if (!changed.includes(module.graph)) continue;
    const change = adapter.changes.get(name);
    // The others of the graph add zeros, of the least rank there is.
    const shapes = changeShapes(module, change ? adapter.rank : 1);
    const { a, b } = change ?? { a: zeros(shapes.a), b: zeros(shapes.b) };
    matrices[module.graph][`a.${name}`] = tensor('float32', shapes.a, a);
    matrices[module.graph][`b.${name}`] = tensor('float32', shapes.b, b);
  }
  const sessions: Partial<Record<AdaptedGraph, RunnableSession>> = {};
  for (const graph of changed) {
    const session = open(graph);
    sessions[graph] = {
      run: (feeds, ...rest) => session.run({ ...feeds, ...matrices[graph] }, ...rest),
      close: () => session.close(),
    };
  }
  return sessions;
}

function zeros(shape: readonly number[]): Float32Array {
  return new Float32Array(shape.reduce((count, size) => count * size, 1));
}
