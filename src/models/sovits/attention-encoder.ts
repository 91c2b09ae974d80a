import type { GraphBuilder, Value } from '../../onnx/graph.js';
import {
  affine,
  changedConvolution,
  dense,
  derived,
  parameter,
  rowChange,
  type SovitsContext,
  tensorOf,
} from './layers.js';

/**
 * The places inside a band of ±window around each position, shared by all layers over one sequence: `index` (H, T, R)
 * says which position each of the R = 2·window + 1 relative offsets means, `inside` (T, R) is 0 where that would lie
 * beyond the ends (there `index` is clamped, and what is found or added is multiplied by 0).
 */
export interface RelativeBand {
  readonly index: Value;
  readonly inside: Value;
}

/** The band for a sequence laid out along axis 0 of `sequence`. */
export function relativeBand(context: SovitsContext, sequence: Value): RelativeBand {
  const { graph, spec } = context;
  const window = spec.relativeWindow;
  const offsets = Array.from({ length: 2 * window + 1 }, (_, index) => index - window);
  const length = graph.squeeze(graph.shape(sequence, 0, 1), [0]);
  const last = graph.sub(length, graph.constant(1, 'int64'));
  const positions = graph.op('Range', [graph.constant(0, 'int64'), length, graph.constant(1, 'int64')]);
  const wanted = graph.add(graph.unsqueeze(positions, [1]), graph.ints(offsets)); // (T, R)
  const clamped = graph.op('Min', [graph.op('Max', [wanted, graph.constant(0, 'int64')]), last]);
  const inside = graph.cast(graph.op('Equal', [wanted, clamped]), 'float32');
  // Gather and scatter want one index for each head: broadcast by adding zeros (H, 1, 1).
  const heads = graph.constant(new Array<number>(spec.headCount).fill(0), 'int64', [spec.headCount, 1, 1]);
  return { index: graph.add(clamped, heads), inside };
}

/**
 * A stack of post-norm transformer layers with relative attention, x (T, C) → (T, C).
 * upstream: module/attentions.py Encoder, MultiHeadAttention, FFN. Without padding all its masks are ones.
 *
 * Upstream shifts its relative logits into place by padding and reshaping (T, 2T − 1) matrices. Here the logits of the
 * band (T, R) are scattered onto the scores and the weights of the band are gathered from the softmax, which is the same
 * sum with two nodes in place of about forty, and O(T·R) instead of O(T²) beside the scores themselves.
 */
export function attentionEncoder(
  context: SovitsContext,
  input: Value,
  prefix: string,
  layers: number,
  band: RelativeBand,
): Value {
  const { graph } = context;
  let x = input;
  for (let layer = 0; layer < layers; layer++) {
    graph.scope(`${prefix}.${layer}`, () => {
      const attended = relativeAttention(context, x, `${prefix}.attn_layers.${layer}`, band);
      x = addNorm(context, x, attended, `${prefix}.norm_layers_1.${layer}`);
      const mapped = feedForward(context, x, `${prefix}.ffn_layers.${layer}`);
      x = addNorm(context, x, mapped, `${prefix}.norm_layers_2.${layer}`);
    });
  }
  return x;
}

function relativeAttention(context: SovitsContext, x: Value, prefix: string, band: RelativeBand): Value {
  const { graph, spec } = context;
  const { hiddenChannels: channels, headCount: heads } = spec;
  const width = channels / heads;
  const [query, key, value] = splitHeads(graph, queriesKeysValues(context, x, prefix, width), heads, width, 3);
  if (!query || !key || !value) throw new Error('three projections');

  const keyTable = parameter(context, `${prefix}.emb_rel_k`, [2 * spec.relativeWindow + 1, width]);
  const nearby = graph.mul(graph.matmul(query, graph.transpose(keyTable, [1, 0])), band.inside); // (H, T, R)
  const plain = graph.matmul(query, graph.transpose(key, [0, 2, 1])); // (H, T, T)
  const scores = graph.op('ScatterElements', [plain, band.index, nearby], { axis: 2, reduction: 'add' });
  const weights = graph.softmax(scores);

  const valueTable = parameter(context, `${prefix}.emb_rel_v`, [2 * spec.relativeWindow + 1, width]);
  const bandWeights = graph.mul(graph.op('GatherElements', [weights, band.index], { axis: 2 }), band.inside);
  const mixed = graph.add(graph.matmul(weights, value), graph.matmul(bandWeights, valueTable)); // (H, T, C/H)
  return dense(context, joinHeads(graph, mixed, channels), `${prefix}.conv_o`);
}

/** One product for all three projections, (T, 3C); the queries come scaled by 1/√width. */
function queriesKeysValues(context: SovitsContext, x: Value, prefix: string, width: number): Value {
  const { graph, checkpoint, spec } = context;
  const channels = spec.hiddenChannels;
  const names = ['conv_q', 'conv_k', 'conv_v'].map((name) => `${prefix}.${name}`);
  const join = (suffix: string): Float32Array => {
    const parts = names.map((name) => tensorOf(checkpoint, `${name}.${suffix}`).readFloat32());
    const [queries = new Float32Array(0)] = parts;
    for (let index = 0; index < queries.length; index++) queries[index]! /= Math.sqrt(width);
    const joined = new Float32Array(queries.length * 3);
    parts.forEach((part, index) => {
      joined.set(part, index * queries.length);
    });
    return joined;
  };
  const weight = derived(context, `${prefix}.qkv.weight`, [3 * channels, channels], () => join('weight'));
  const bias = derived(context, `${prefix}.qkv.bias`, [3 * channels], () => join('bias'));
  const joined = affine(context, x, weight, bias);
  const changes = names.flatMap((name) => rowChange(context, name, x) ?? []);
  return changes.length > 0 ? graph.add(joined, graph.concat(changes, 1)) : joined;
}

/** (T, count·H·width) → `count` tensors (H, T, width). */
export function splitHeads(graph: GraphBuilder, x: Value, heads: number, width: number, count: number): Value[] {
  const byHead = graph.transpose(graph.reshape(x, [0, count * heads, width]), [1, 0, 2]);
  if (count === 1) return [byHead];
  return graph.split(byHead, new Array<number>(count).fill(heads), 0);
}

/** (H, T, width) → (T, C). */
export function joinHeads(graph: GraphBuilder, x: Value, channels: number): Value {
  return graph.reshape(graph.transpose(x, [1, 0, 2]), [0, channels]);
}

function feedForward(context: SovitsContext, x: Value, prefix: string): Value {
  const { graph, spec } = context;
  // upstream pads (k − 1) / 2 before and k / 2 behind, which differ for even kernels.
  const padding = [Math.floor((spec.kernelSize - 1) / 2), Math.floor(spec.kernelSize / 2)] as const;
  const conv = (input: Value, name: string): Value => {
    const module = `${prefix}.${name}`;
    const [weight, bias] = [parameter(context, `${module}.weight`), parameter(context, `${module}.bias`)];
    return changedConvolution(context, module, input, weight, bias, { padding });
  };
  const channelsFirst = graph.unsqueeze(graph.transpose(x, [1, 0]), [0]); // (1, C, T)
  const mapped = conv(graph.relu(conv(channelsFirst, 'conv_1')), 'conv_2');
  return graph.transpose(graph.squeeze(mapped, [0]), [1, 0]);
}

function addNorm(context: SovitsContext, x: Value, y: Value, prefix: string): Value {
  return context.graph.sumNorm(x, y, parameter(context, `${prefix}.gamma`), parameter(context, `${prefix}.beta`));
}
