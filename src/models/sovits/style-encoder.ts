import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import { GraphBuilder, type GraphModel, type Value } from '../../onnx/graph.js';
import type { ModelSpec } from '../model-spec.js';
import { joinHeads, splitHeads } from './attention-encoder.js';
import { dense, exposed, parameter, type SovitsBuildOptions, type SovitsContext } from './layers.js';

/**
 * A voice from a reference, at enrolment: `refer` (1, bins, T), the leading `referenceBins` of the spectrogram, and in
 * v2Pro and v2ProPlus `sv_emb` (1, width), its speaker vector → `ge` (1, gin, 1). The ge of several references are
 * averaged outside. Exposes `ref_spectral` (T, style), `ref_temporal` (1, style, T), `ref_attn` (T, style) and
 * `ge_ref_enc` (1, gin).
 * upstream: module/modules.py MelStyleEncoder, module/models.py SynthesizerTrn.decode get_ge.
 */
export function buildStyleEncoder(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  options: SovitsBuildOptions = {},
): GraphModel {
  const graph = new GraphBuilder('sovits_style');
  const context: SovitsContext = { graph, checkpoint, spec, expose: new Set(options.expose) };
  const refer = graph.input('refer', 'float32', [1, spec.referenceBins, 'frames']);
  const { styleChannels: style } = spec;

  let x = graph.transpose(graph.squeeze(refer, [0]), [1, 0]); // (T, bins)
  x = mish(graph, dense(context, x, 'ref_enc.spectral.0.fc'));
  x = mish(graph, dense(context, x, 'ref_enc.spectral.3.fc'));
  exposed(context, 'ref_spectral', x, ['frames', style]);

  let channelsFirst = graph.unsqueeze(graph.transpose(x, [1, 0]), [0]); // (1, style, T)
  for (const layer of [0, 1]) {
    const prefix = `ref_enc.temporal.${layer}.conv1.conv`;
    const weight = parameter(context, `${prefix}.weight`);
    const kernel = checkpoint.tensors.get(`${prefix}.weight`)?.shape[2] ?? 1;
    const gated = graph.conv1d(channelsFirst, weight, parameter(context, `${prefix}.bias`), {
      padding: (kernel - 1) / 2,
    });
    const [value, gate] = graph.split(gated, [style, style], 1);
    if (!value || !gate) throw new Error('two halves');
    channelsFirst = graph.add(channelsFirst, graph.mul(value, graph.sigmoid(gate)));
  }
  exposed(context, 'ref_temporal', channelsFirst, [1, style, 'frames']);

  x = graph.transpose(graph.squeeze(channelsFirst, [0]), [1, 0]);
  x = graph.add(selfAttention(context, x), x);
  exposed(context, 'ref_attn', x, ['frames', style]);

  // The mean over time and the last linear layer commute.
  let ge = dense(context, graph.reduceMean(x, [0]), 'ref_enc.fc.fc'); // (1, gin)
  exposed(context, 'ge_ref_enc', ge, [1, spec.globalEmbeddingWidth]);
  if (spec.speakerVectorWidth !== null) {
    const vector = graph.input('sv_emb', 'float32', [1, spec.speakerVectorWidth]);
    ge = graph.add(ge, dense(context, vector, 'sv_emb'));
    ge = graph.prelu(ge, parameter(context, 'prelu.weight'));
  }
  graph.output('ge', graph.unsqueeze(ge, [2]), 'float32', [1, spec.globalEmbeddingWidth, 1]);
  return graph.build();
}

function selfAttention(context: SovitsContext, x: Value): Value {
  const { graph, spec } = context;
  const { styleChannels: channels, styleHeadCount: heads } = spec;
  const width = channels / heads;
  const project = (name: string): Value => {
    const [projected] = splitHeads(graph, dense(context, x, `ref_enc.slf_attn.${name}`), heads, width, 1);
    if (!projected) throw new Error('one projection');
    return projected;
  };
  // Divided by the root of the model's width, not of the head's.
  const query = graph.mul(project('w_qs'), graph.scalar(1 / Math.sqrt(channels)));
  const weights = graph.softmax(graph.matmul(query, graph.transpose(project('w_ks'), [0, 2, 1])));
  const mixed = joinHeads(graph, graph.matmul(weights, project('w_vs')), channels);
  return dense(context, mixed, 'ref_enc.slf_attn.fc');
}

function mish(graph: GraphBuilder, x: Value): Value {
  return graph.mul(x, graph.tanh(graph.op('Softplus', [x])));
}
