import type { ModelSpec } from '../models/model-spec.js';
import {
  ADAPTED_GRAPHS,
  type AdaptedGraph,
  adaptedModules,
  changeShapes,
  type SovitsAdapter,
} from '../models/sovits/adapter.js';
import { type Session, type Tensor, tensor } from './onnxruntime.js';

/** What the waveform decoder needs of a session. */
export type RunnableSession = Pick<Session, 'run' | 'close'>;

/** Sessions of the graphs that take adapters, each with the matrices of one among its inputs. */
export function withAdapter(
  sessions: Readonly<Record<AdaptedGraph, RunnableSession>>,
  adapter: SovitsAdapter,
  spec: ModelSpec,
): Record<AdaptedGraph, RunnableSession> {
  const matrices: Record<AdaptedGraph, Record<string, Tensor>> = { text: {}, tokens: {}, flow: {} };
  for (const [name, module] of adaptedModules(spec)) {
    const change = adapter.changes.get(name);
    // The others add zeros, of the least rank there is.
    const shapes = changeShapes(module, change ? adapter.rank : 1);
    const { a, b } = change ?? { a: zeros(shapes.a), b: zeros(shapes.b) };
    matrices[module.graph][`a.${name}`] = tensor('float32', shapes.a, a);
    matrices[module.graph][`b.${name}`] = tensor('float32', shapes.b, b);
  }
  const joined = ADAPTED_GRAPHS.map((graph) => {
    const session: RunnableSession = {
      run: (feeds, ...rest) => sessions[graph].run({ ...feeds, ...matrices[graph] }, ...rest),
      close: () => sessions[graph].close(),
    };
    return [graph, session] as const;
  });
  return Object.fromEntries(joined) as Record<AdaptedGraph, RunnableSession>; // an entry for each graph
}

function zeros(shape: readonly number[]): Float32Array {
  return new Float32Array(shape.reduce((count, size) => count * size, 1));
}
