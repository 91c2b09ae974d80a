import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { float, GraphBuilder, type GraphModel, type Value } from '../onnx/graph.js';
import {
  activation,
  countLayers,
  EncoderConfig,
  type EncoderContext,
  type EncoderOptions,
  exposed,
  findPrefix,
  layerNorm,
  linear,
  requireTensor,
  selfAttention,
  sumNorm,
  unsupported,
  weightOf,
} from './transformer-layers.js';

/** One convolution over the wave, or over the result of the one before. */
export interface HubertConvSpec {
  readonly channels: number;
  readonly kernel: number;
  readonly stride: number;
}

/** Sizes of a HuBERT: channels, kernels and layers from the tensors, the rest from `config.json`. */
export interface HubertSpec {
  /** Width of the result (upstream: ssl). */
  readonly width: number;
  readonly layerCount: number;
  readonly headCount: number;
  readonly convs: readonly HubertConvSpec[];
  /** Where the convolutions are normalised: over time after the first (`group`), over channels after each (`layer`). */
  readonly convNorm: 'group' | 'layer';
  readonly projectionNorm: boolean;
  /** Norms in front of the sublayers instead of after them (the large models). */
  readonly preNorm: boolean;
  readonly positionKernel: number;
  readonly layerNormEpsilon: number;
  readonly convActivation: string;
  readonly activation: string;
  /** Samples of 16 kHz from one step to the next. */
  readonly samplesPerStep: number;
  /** Shorter waves give no step. */
  readonly minSamples: number;
}

const CONV_STRIDES = [5, 2, 2, 2, 2, 2, 2];
const CONV_EPSILON = 1e-5;

/**
 * Reads the sizes of a HuBERT checkpoint in transformers' layout.
 *
 * @param config the parsed `config.json`
 * @throws AppError `CHECKPOINT_UNSUPPORTED`
 */
export function readHubertSpec(checkpoint: Checkpoint, config: unknown): HubertSpec {
  const fields = new EncoderConfig(checkpoint, config);
  const prefix = findPrefix(checkpoint, 'feature_extractor.conv_layers.0.conv.weight');
  const convName = (index: number) => `${prefix}feature_extractor.conv_layers.${index}.conv.weight`;
  const strides = fields.integers('conv_stride', CONV_STRIDES);
  const convCount = countLayers(checkpoint, convName);
  if (strides.length !== convCount) {
    throw unsupported(checkpoint, `it has ${convCount} convolutions, but config.json gives ${strides.length} strides`);
  }
  const convs = strides.map((stride, index) => {
    const [channels = 0, , kernel = 0] = requireTensor(checkpoint, convName(index)).shape;
    return { channels, kernel, stride };
  });
  const convNorm = fields.text('feat_extract_norm', 'group');
  if (convNorm !== 'group' && convNorm !== 'layer') {
    throw unsupported(checkpoint, `its config.json has feat_extract_norm "${convNorm}", expected group or layer`);
  }
  if (fields.flag('conv_pos_batch_norm', false)) {
    throw unsupported(checkpoint, 'its positional convolution has a batch norm (conv_pos_batch_norm)');
  }
  const position = positionTensors(checkpoint, prefix);
  return {
    width: requireTensor(checkpoint, `${prefix}encoder.layer_norm.weight`).length,
    layerCount: countLayers(checkpoint, (index) => `${prefix}encoder.layers.${index}.attention.q_proj.weight`),
    headCount: fields.integer('num_attention_heads', 12),
    convs,
    convNorm,
    projectionNorm: fields.flag('feat_proj_layer_norm', true),
    preNorm: fields.flag('do_stable_layer_norm', false),
    positionKernel: position.shape[2] ?? 1,
    layerNormEpsilon: fields.number('layer_norm_eps', 1e-5),
    convActivation: fields.text('feat_extract_activation', 'gelu'),
    activation: fields.text('hidden_act', 'gelu'),
    samplesPerStep: convs.reduce((product, { stride }) => product * stride, 1),
    minSamples: convs.reduceRight((samples, { kernel, stride }) => (samples - 1) * stride + kernel, 1),
  };
}

/**
 * HuBERT: `wave16k` (1, samples), mono at 16 kHz and not normalised → `last_hidden_state` (1, steps, width), 50 steps
 * a second. Exposes `conv_features` (1, channels, steps), `projected` and `hidden_0` (steps, width).
 *
 * upstream: feature_extractor/cnhubert.py CNHubert.model (transformers HubertModel)
 *
 * @throws AppError `CHECKPOINT_UNSUPPORTED` where a tensor is missing.
 */
export function buildHubert(checkpoint: Checkpoint, spec: HubertSpec, options: EncoderOptions = {}): GraphModel {
  const graph = new GraphBuilder('hubert');
  const context: EncoderContext = {
    graph,
    checkpoint,
    prefix: findPrefix(checkpoint, 'feature_extractor.conv_layers.0.conv.weight'),
    layerNormEpsilon: spec.layerNormEpsilon,
    precision: options.precision ?? 'fp32',
    columnWeights: options.columnWeights ?? 'uint8',
    expose: new Set(options.expose),
  };
  const wave = graph.input('wave16k', 'float32', [1, 'samples']);
  const features = graph.scope('feature_extractor', () => featureExtractor(context, spec, wave)); // (1, channels, T)
  const channels = spec.convs.at(-1)?.channels ?? 0;
  exposed(context, 'conv_features', features, [1, channels, 'steps']);

  let x = graph.squeeze(graph.transpose(features, [0, 2, 1]), [0]); // (T, channels)
  if (spec.projectionNorm) x = layerNorm(context, x, 'feature_projection.layer_norm');
  x = linear(context, x, 'feature_projection.projection'); // (T, width)
  exposed(context, 'projected', x, ['steps', spec.width]);

  x = graph.scope('position', () => graph.add(x, positionalConvolution(context, spec, x)));
  if (!spec.preNorm) x = layerNorm(context, x, 'encoder.layer_norm');
  exposed(context, 'hidden_0', x, ['steps', spec.width]);
  for (let index = 0; index < spec.layerCount; index++) {
    x = graph.scope(`layer${index}`, () => encoderLayer(context, spec, x, `encoder.layers.${index}`));
  }
  if (spec.preNorm) x = layerNorm(context, x, 'encoder.layer_norm');
  graph.output('last_hidden_state', graph.unsqueeze(x, [0]), 'float32', [1, 'steps', spec.width]);
  return graph.build();
}

function featureExtractor(context: EncoderContext, spec: HubertSpec, wave: Value): Value {
  const { graph, checkpoint, prefix } = context;
  let x = graph.unsqueeze(wave, [1]); // (1, 1, samples)
  for (const [index, { stride }] of spec.convs.entries()) {
    const name = `feature_extractor.conv_layers.${index}`;
    const bias = checkpoint.tensors.has(`${prefix}${name}.conv.bias`) ? weightOf(context, `${name}.conv.bias`) : null;
    x = graph.conv1d(x, weightOf(context, `${name}.conv.weight`), bias, { stride });
    if (spec.convNorm === 'group' && index === 0) {
      // One group a channel: every channel is normalised over time.
      const scale = weightOf(context, `${name}.layer_norm.weight`);
      const shift = weightOf(context, `${name}.layer_norm.bias`);
      x = graph.op('InstanceNormalization', [x, scale, shift], { epsilon: float(CONV_EPSILON) });
    } else if (spec.convNorm === 'layer') {
      const channelsLast = graph.transpose(x, [0, 2, 1]);
      const scale = weightOf(context, `${name}.layer_norm.weight`);
      const shift = weightOf(context, `${name}.layer_norm.bias`);
      x = graph.transpose(graph.layerNorm(channelsLast, scale, shift, CONV_EPSILON), [0, 2, 1]);
    }
    x = activation(context, x, spec.convActivation);
  }
  return x;
}

function positionalConvolution(context: EncoderContext, spec: HubertSpec, x: Value): Value {
  const { graph, checkpoint, prefix } = context;
  const { shape, load } = positionTensors(checkpoint, prefix);
  const weight = graph.weight('encoder.pos_conv_embed.conv.weight', shape, load);
  const kernel = spec.positionKernel;
  const before = Math.floor(kernel / 2);
  // An even kernel would give one step more than it got; upstream drops the last.
  const convolved = graph.conv1d(
    graph.unsqueeze(graph.transpose(x, [1, 0]), [0]),
    weight,
    weightOf(context, 'encoder.pos_conv_embed.conv.bias'),
    { padding: [before, kernel - 1 - before], groups: spec.width / (shape[1] ?? 1) },
  );
  const active = activation(context, convolved, spec.convActivation);
  return graph.transpose(graph.squeeze(active, [0]), [1, 0]);
}

/**
 * The positional convolution's weight (width, width / groups, kernel), weight norm folded: the norm is over the first
 * two dimensions, one for each place of the kernel. Under either of PyTorch's two namings, or already folded.
 */
function positionTensors(
  checkpoint: Checkpoint,
  prefix: string,
): { readonly shape: readonly number[]; readonly load: () => Float32Array } {
  const name = `${prefix}encoder.pos_conv_embed.conv`;
  const plain = checkpoint.tensors.get(`${name}.weight`);
  if (plain) return { shape: plain.shape, load: () => plain.readFloat32() };
  const modern = checkpoint.tensors.has(`${name}.parametrizations.weight.original1`);
  const direction = requireTensor(checkpoint, `${name}.${modern ? 'parametrizations.weight.original1' : 'weight_v'}`);
  const magnitude = requireTensor(checkpoint, `${name}.${modern ? 'parametrizations.weight.original0' : 'weight_g'}`);
  const kernel = direction.shape[2] ?? 1;
  if (magnitude.length !== kernel) {
    throw unsupported(checkpoint, `"${name}" has ${magnitude.length} norms, expected ${kernel}, one for each place`);
  }
  const load = (): Float32Array => {
    const weight = direction.readFloat32();
    const norms = magnitude.readFloat32();
    const squares = new Float64Array(kernel);
    for (let i = 0; i < weight.length; i++) squares[i % kernel]! += weight[i]! * weight[i]!;
    const factors = squares.map((square, place) => (square > 0 ? norms[place]! / Math.sqrt(square) : 0));
    return weight.map((value, i) => value * factors[i % kernel]!);
  };
  return { shape: direction.shape, load };
}

function encoderLayer(context: EncoderContext, spec: HubertSpec, x: Value, name: string): Value {
  const { graph } = context;
  const attend = (input: Value): Value => {
    const query = `${name}.attention.q_proj`;
    const key = `${name}.attention.k_proj`;
    const value = `${name}.attention.v_proj`;
    const mixed = selfAttention(context, input, { query, key, value }, spec.headCount);
    return linear(context, mixed, `${name}.attention.out_proj`);
  };
  const feedForward = (input: Value): Value => {
    const inner = activation(
      context,
      linear(context, input, `${name}.feed_forward.intermediate_dense`),
      spec.activation,
    );
    return linear(context, inner, `${name}.feed_forward.output_dense`);
  };
  if (spec.preNorm) {
    const attended = graph.add(x, attend(layerNorm(context, x, `${name}.layer_norm`)));
    return graph.add(attended, feedForward(layerNorm(context, attended, `${name}.final_layer_norm`)));
  }
  const attended = sumNorm(context, x, attend(x), `${name}.layer_norm`);
  return sumNorm(context, attended, feedForward(attended), `${name}.final_layer_norm`);
}
