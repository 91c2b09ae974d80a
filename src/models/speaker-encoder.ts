import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { GraphBuilder, type GraphModel, type Value } from '../onnx/graph.js';
import { countLayers, requireTensor, unsupported } from './transformer-layers.js';

/** Sizes of an ERes2NetV2, all from its tensors. */
export interface SpeakerEncoderSpec {
  /** Mel bands of the input: 80. */
  readonly bands: number;
  /** Blocks of each of the four stages. */
  readonly blockCounts: readonly number[];
  /** Width of the speaker vector: channels × (bands / 8). */
  readonly width: number;
  /** Width of the embedding that tells speakers apart; null where the checkpoint lacks the layer. */
  readonly embeddingWidth: number | null;
}

const BANDS = 80;
const STAGES = 4;
const EPSILON = 1e-5;
const DEVIATION_FLOOR = 1e-8;
/** Stages after the first halve time and frequency. */
const STAGE_STRIDE = 2;
/** The network's own rectifier is clipped; the one after the first convolution is not. */
const CEILING = 20;

/**
 * Reads the sizes of an ERes2NetV2 checkpoint.
 *
 * @throws AppError `CHECKPOINT_UNSUPPORTED`
 */
export function readSpeakerEncoderSpec(checkpoint: Checkpoint): SpeakerEncoderSpec {
  const blockCounts = Array.from({ length: STAGES }, (_, stage) =>
    countLayers(checkpoint, (block) => `layer${stage + 1}.${block}.conv1.weight`),
  );
  const [channels = 0] = requireTensor(checkpoint, 'layer3_ds.weight').shape;
  const width = (channels * BANDS) / STAGE_STRIDE ** (STAGES - 1);
  const [embeddingWidth = 0, statistics = 0] = checkpoint.tensors.get('seg_1.weight')?.shape ?? [];
  return { bands: BANDS, blockCounts, width, embeddingWidth: statistics === 2 * width ? embeddingWidth : null };
}

/**
 * The speaker encoder up to its pooled map: `fbank` (frames, 80) → `sv_emb` (1, width), the mean over time of the
 * fused last stages. Batch norms are folded into the convolutions. Exposes `layer4` and `fused` (1, channels, 10, frames / 8).
 * Where the checkpoint has the layer, `embedding` (1, embeddingWidth) too: mean and deviation over time through one linear
 * layer, whose cosine tells speakers apart.
 *
 * upstream: sv.py SV.compute_embedding3, eres2net/ERes2NetV2.py forward3 and forward, pooling_layers.py TSTP
 *
 * @throws AppError `CHECKPOINT_UNSUPPORTED` where a tensor is missing.
 */
export function buildSpeakerEncoder(
  checkpoint: Checkpoint,
  spec: SpeakerEncoderSpec,
  options: { readonly expose?: readonly string[] } = {},
): GraphModel {
  const graph = new GraphBuilder('speaker_encoder');
  const network: Network = { graph, checkpoint };
  const fbank = graph.input('fbank', 'float32', ['frames', spec.bands]);
  let x = graph.unsqueeze(graph.transpose(fbank, [1, 0]), [0, 1]); // (1, 1, bands, frames)
  x = graph.relu(convolution(network, x, 'conv1', 'bn1', 1));
  const stages = spec.blockCounts.map((blockCount, stage) => {
    for (let index = 0; index < blockCount; index++) {
      const stride = stage > 0 && index === 0 ? STAGE_STRIDE : 1;
      const name = `layer${stage + 1}.${index}`;
      x = graph.scope(name, () => residualBlock(network, x, name, stride));
    }
    return x;
  });
  const [third, fourth] = stages.slice(-2);
  if (!third || !fourth) throw unsupported(checkpoint, `it has ${stages.length} stages, expected ${STAGES}`);
  if (options.expose?.includes('layer4')) {
    graph.output('layer4', fourth, 'float32', [1, 'channels', 'bands', 'steps']);
  }
  const halved = convolution(network, third, 'layer3_ds', null, STAGE_STRIDE);
  const fused = graph.scope('fuse34', () => attentiveFusion(network, fourth, halved, 'fuse34'));
  if (options.expose?.includes('fused')) {
    graph.output('fused', fused, 'float32', [1, 'channels', 'bands', 'steps']);
  }
  const pooled = graph.reduceMean(fused, [3], false); // (1, channels, bands / 8)
  graph.output('sv_emb', graph.reshape(pooled, [1, -1]), 'float32', [1, spec.width]);
  if (spec.embeddingWidth !== null) {
    const statistics = graph.concat([graph.reshape(pooled, [1, -1]), deviationOverTime(graph, fused)], 1);
    const layer = ['weight', 'bias'].map((part) => {
      const tensor = requireTensor(checkpoint, `seg_1.${part}`);
      return graph.weight(`seg_1.${part}`, tensor.shape, () => tensor.readFloat32());
    });
    const embedding = graph.op('Gemm', [statistics, ...layer], { transB: 1 });
    graph.output('embedding', embedding, 'float32', [1, spec.embeddingWidth]);
  }
  return graph.build();
}

/** Of (1, channels, bands, steps): the deviation of each channel and band over time, (1, channels · bands). */
function deviationOverTime(graph: GraphBuilder, x: Value): Value {
  const centred = graph.sub(x, graph.reduceMean(x, [3]));
  const squares = graph.reduceSum(graph.mul(centred, centred), [3], false);
  const steps = graph.cast(graph.shape(x, 3, 4), 'float32');
  // Of a sample, as upstream's is; a single step, which has no deviation, is divided by 1.
  const degrees = graph.op('Max', [graph.sub(steps, graph.scalar(1)), graph.scalar(1)]);
  const variance = graph.add(graph.div(squares, degrees), graph.scalar(DEVIATION_FLOOR));
  return graph.reshape(graph.sqrt(variance), [1, -1]);
}

interface Network {
  readonly graph: GraphBuilder;
  readonly checkpoint: Checkpoint;
}

/** Res2Net block: the channels in groups, each convolved together with the result of the group before. */
function residualBlock(network: Network, x: Value, name: string, stride: number): Value {
  const { graph, checkpoint } = network;
  const scale = countLayers(checkpoint, (index) => `${name}.convs.${index}.weight`);
  const [width = 0] = requireTensor(checkpoint, `${name}.convs.0.weight`).shape;
  const opened = clipped(graph, convolution(network, x, `${name}.conv1`, `${name}.bn1`, stride));
  const groups = graph.split(
    opened,
    Array.from({ length: scale }, () => width),
    1,
  );
  const outputs: Value[] = [];
  for (const [index, group] of groups.entries()) {
    const previous = outputs[index - 1];
    const fusion = `${name}.fuse_models.${index - 1}`;
    let input = group;
    if (previous && checkpoint.tensors.has(`${fusion}.local_att.0.weight`)) {
      input = graph.scope(`fuse${index - 1}`, () => attentiveFusion(network, previous, group, fusion));
    } else if (previous) {
      input = graph.add(previous, group);
    }
    outputs.push(clipped(graph, convolution(network, input, `${name}.convs.${index}`, `${name}.bns.${index}`, 1)));
  }
  const closed = convolution(network, graph.concat(outputs, 1), `${name}.conv3`, `${name}.bn3`, 1);
  const shortcut = checkpoint.tensors.has(`${name}.shortcut.0.weight`)
    ? convolution(network, x, `${name}.shortcut.0`, `${name}.shortcut.1`, stride)
    : x;
  return clipped(graph, graph.add(closed, shortcut));
}

/**
 * Attentive feature fusion: x · (1 + a) + y · (1 − a) with a = tanh of a small network over both.
 * upstream: eres2net/fusion.py AFF
 */
function attentiveFusion(network: Network, x: Value, y: Value, name: string): Value {
  const { graph } = network;
  let a = convolution(network, graph.concat([x, y], 1), `${name}.local_att.0`, `${name}.local_att.1`, 1);
  a = graph.mul(a, graph.sigmoid(a));
  a = graph.tanh(convolution(network, a, `${name}.local_att.3`, `${name}.local_att.4`, 1));
  return graph.add(graph.add(x, y), graph.mul(a, graph.sub(x, y)));
}

/** A convolution over (bands, frames) that keeps the size at stride 1, with the batch norm after it folded in. */
function convolution(network: Network, x: Value, name: string, normName: string | null, stride: number): Value {
  const { graph, checkpoint } = network;
  const tensor = requireTensor(checkpoint, `${name}.weight`);
  const [channels = 0, , kernel = 1] = tensor.shape;
  const bias = checkpoint.tensors.get(`${name}.bias`);
  const attributes = {
    strides: [stride, stride],
    pads: Array.from({ length: 4 }, () => Math.floor(kernel / 2)),
  };
  if (normName === null) {
    const inputs = [x, graph.weight(`${name}.weight`, tensor.shape, () => tensor.readFloat32())];
    if (bias) inputs.push(graph.weight(`${name}.bias`, bias.shape, () => bias.readFloat32()));
    return graph.op('Conv', inputs, attributes);
  }
  const weight = graph.weight(`${name}.weight`, tensor.shape, () => {
    const data = tensor.readFloat32();
    const scale = readNorm(checkpoint, normName).scale;
    const perChannel = data.length / channels;
    return data.map((value, index) => value * scale[Math.floor(index / perChannel)]!);
  });
  const shift = graph.weight(`${name}.bias`, [channels], () => {
    const norm = readNorm(checkpoint, normName);
    const own = bias?.readFloat32();
    return Float32Array.from({ length: channels }, (_, c) => norm.shift[c]! + (own?.[c] ?? 0) * norm.scale[c]!);
  });
  return graph.op('Conv', [x, weight, shift], attributes);
}

/** A batch norm at rest as y = x · scale + shift. */
function readNorm(checkpoint: Checkpoint, name: string): { scale: Float64Array; shift: Float64Array } {
  const read = (part: string) => requireTensor(checkpoint, `${name}.${part}`).readFloat32();
  const variance = read('running_var');
  const mean = read('running_mean');
  const gamma = read('weight');
  const beta = read('bias');
  const scale = Float64Array.from(gamma, (value, c) => value / Math.sqrt(variance[c]! + EPSILON));
  return { scale, shift: scale.map((value, c) => beta[c]! - mean[c]! * value) };
}

function clipped(graph: GraphBuilder, x: Value): Value {
  return graph.clip(x, 0, CEILING);
}
