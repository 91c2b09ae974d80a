import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { EncoderPrecision } from '../models/transformer-layers.js';
import type { GraphModel } from '../onnx/graph.js';
import { writeModelFile } from '../onnx/model-file.js';
import { writeWeightsFile } from '../onnx/weights-file.js';
import { MAPPED_WEIGHTS } from './component-store.js';
import { output, type Runtime, type Tensors } from './onnxruntime.js';

/** Least cosine between the features of any position and those of float32. */
export const LEAST_COSINE = 0.99;

/** What was tried, in the order of its speed. */
const CANDIDATES = ['int8', 'mixed'] as const satisfies readonly EncoderPrecision[];

export interface EncoderChoice {
  readonly precision: EncoderPrecision;
  readonly graph: GraphModel;
  /** Least and mean cosine of each candidate that was compared with float32, over all positions of all inputs. */
  readonly compared: readonly {
    readonly precision: EncoderPrecision;
    readonly leastCosine: number;
    readonly meanCosine: number;
    readonly positions: number;
  }[];
}

/**
 * The fastest form of an encoder whose features stay those of float32 on the given inputs: int8, int8 in part, or
 * float32. Compares whole networks, in files below `folder` that are gone afterwards.
 */
export function chooseEncoder(
  build: (precision: EncoderPrecision) => GraphModel,
  inputs: readonly Tensors[],
  runtime: Runtime,
  folder: string,
): EncoderChoice {
  const scratch = mkdtempSync(join(folder, 'partial-encoder-'));
  const run = (precision: EncoderPrecision): Float32Array[] => {
    const graph = build(precision);
    const path = join(scratch, `${precision}.onnx`);
    writeModelFile(path, graph, writeWeightsFile(join(scratch, `${precision}.safetensors`), [graph]));
    const session = runtime.createSession(path, MAPPED_WEIGHTS);
    try {
      const name = session.outputs[0]?.name ?? '';
      return inputs.map((feeds) => output(session.run(feeds), name, 'float32').data);
    } finally {
      session.close();
    }
  };
  try {
    const exact = run('fp32');
    const compared: EncoderChoice['compared'][number][] = [];
    for (const precision of CANDIDATES) {
      const graph = build(precision);
      const width = Number(graph.outputs[0]?.dims.at(-1));
      const cosines = run(precision).flatMap((features, index) => rowCosines(features, exact[index]!, width));
      const leastCosine = Math.min(...cosines);
      const meanCosine = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
      compared.push({ precision, leastCosine, meanCosine, positions: cosines.length });
      if (leastCosine >= LEAST_COSINE) return { precision, graph, compared };
    }
    return { precision: 'fp32', graph: build('fp32'), compared };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The cosine between each row of two matrices of a width; of a row that is not a number, or of nothing but zeros, 0. */
export function rowCosines(a: Float32Array, b: Float32Array, width: number): number[] {
  return Array.from({ length: a.length / width }, (_, row) => {
    let [dot, aa, bb] = [0, 0, 0];
    for (let at = row * width; at < (row + 1) * width; at++) {
      dot += a[at]! * b[at]!;
      aa += a[at]! * a[at]!;
      bb += b[at]! * b[at]!;
    }
    const cosine = dot / Math.sqrt(aa * bb);
    return Number.isNaN(cosine) ? 0 : cosine;
  });
}
