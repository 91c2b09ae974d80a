import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import type { GraphModel } from '../../onnx/graph.js';
import type { ModelSpec } from '../model-spec.js';
import { buildFlow } from './flow.js';
import { buildGenerator, type GeneratorBuildOptions } from './generator.js';
import { buildQuantizer } from './quantizer.js';
import { buildStyleEncoder } from './style-encoder.js';
import { buildTextEncoder, buildTokenEncoder } from './text-encoder.js';

/** The graphs that speaking runs, in their order. */
export const SPEAKING_GRAPHS = ['text', 'tokens', 'flow', 'generatorHead', 'generatorTail'] as const;

/** The graphs that enrolling a voice runs besides. */
export const ENROLMENT_GRAPHS = ['quantizer', 'style'] as const;

export type SovitsGraphName = (typeof SPEAKING_GRAPHS)[number] | (typeof ENROLMENT_GRAPHS)[number];

/**
 * All graphs of a SoVITS model of v1, v2, v2Pro or v2ProPlus (upstream: module/models.py SynthesizerTrn). Nothing is
 * read from the checkpoint but shapes until the weights are written. Throws `CHECKPOINT_UNSUPPORTED` for missing
 * tensors.
 */
export function buildSovits(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  options: GeneratorBuildOptions = {},
): Record<SovitsGraphName, GraphModel> {
  return {
    text: buildTextEncoder(checkpoint, spec, options),
    tokens: buildTokenEncoder(checkpoint, spec, options),
    flow: buildFlow(checkpoint, spec, options),
    generatorHead: buildGenerator(checkpoint, spec, 'head', options),
    generatorTail: buildGenerator(checkpoint, spec, 'tail', options),
    quantizer: buildQuantizer(checkpoint, spec, options),
    style: buildStyleEncoder(checkpoint, spec, options),
  };
}
