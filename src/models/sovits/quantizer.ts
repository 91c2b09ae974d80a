import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import { GraphBuilder, type GraphModel } from '../../onnx/graph.js';
import type { ModelSpec } from '../model-spec.js';
import {
  affine,
  derived,
  exposed,
  parameter,
  type SovitsBuildOptions,
  type SovitsContext,
  tensorOf,
} from './layers.js';

/**
 * Speech features to semantic tokens, at enrolment: `ssl` (1, width, T) → `codes` int64 (T / framesPerToken), the
 * nearest entry of the codebook for each step. Exposes `ssl_proj` (1, width, T′).
 * upstream: module/models.py SynthesizerTrn.extract_latent, module/core_vq.py EuclideanCodebook.quantize.
 */
export function buildQuantizer(checkpoint: Checkpoint, spec: ModelSpec, options: SovitsBuildOptions = {}): GraphModel {
  const graph = new GraphBuilder('sovits_quantizer');
  const context: SovitsContext = { graph, checkpoint, spec, expose: new Set(options.expose) };
  const ssl = graph.input('ssl', 'float32', [1, spec.sslWidth, 'steps']);
  const weight = parameter(context, 'ssl_proj.weight');
  const projected = graph.conv1d(ssl, weight, parameter(context, 'ssl_proj.bias'), { stride: spec.framesPerToken });
  exposed(context, 'ssl_proj', projected, [1, spec.sslWidth, 'tokens']);
  const steps = graph.transpose(graph.squeeze(projected, [0]), [1, 0]); // (T′, width)
  // argmin ‖x − e‖² = argmax x·e − ‖e‖² / 2: what only depends on x is the same for every code.
  const name = 'quantizer.vq.layers.0._codebook.embed';
  const bias = derived(context, `${name}.half_squares`, [spec.codebookSize], () => {
    const codebook = tensorOf(checkpoint, name).readFloat32();
    return Float32Array.from({ length: spec.codebookSize }, (_, code) => {
      let square = 0;
      for (let k = code * spec.sslWidth; k < (code + 1) * spec.sslWidth; k++) square += codebook[k]! * codebook[k]!;
      return -square / 2;
    });
  });
  const nearness = affine(context, steps, parameter(context, name), bias); // (T′, codes)
  graph.output('codes', graph.argMax(nearness, 1), 'int64', ['tokens']);
  return graph.build();
}
