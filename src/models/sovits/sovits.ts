import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import type { GraphModel } from '../../onnx/graph.js';
import type { ModelSpec } from '../model-spec.js';
import type { AdaptedGraph } from './adapter.js';
import { buildFlow } from './flow.js';
import { buildGenerator, type GeneratorBuildOptions } from './generator.js';
import { buildQuantizer } from './quantizer.js';
import { buildStyleEncoder } from './style-encoder.js';
import { buildTextEncoder, buildTokenEncoder } from './text-encoder.js';

/** The graphs that speaking runs, in their order. */
export const SPEAKING_GRAPHS = ['text', 'tokens', 'flow', 'generatorHead', 'generatorTail'] as const;

/** The graphs that enrolling a voice runs besides. */
export const ENROLMENT_GRAPHS = ['quantizer', 'style'] as const;

/** The graphs that speaking with an adapter runs instead of those of the same name. */
export const ADAPTER_GRAPHS = {
  text: 'text-adapters',
  tokens: 'tokens-adapters',
  flow: 'flow-adapters',
} as const satisfies Record<AdaptedGraph, string>;

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

/**
 * The graphs with inputs for an adapter's matrices (see `adapter.ts`). They share the weights of {@link buildSovits}'s, and
 * have their own where those are products of several modules.
 */
export function buildSovitsAdapters(
  checkpoint: Checkpoint,
  spec: ModelSpec,
): Record<(typeof ADAPTER_GRAPHS)[AdaptedGraph], GraphModel> {
  return {
    'text-adapters': buildTextEncoder(checkpoint, spec, { adapters: true }),
    'tokens-adapters': buildTokenEncoder(checkpoint, spec, { adapters: true }),
    'flow-adapters': buildFlow(checkpoint, spec, { adapters: true }),
  };
}
