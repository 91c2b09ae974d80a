import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import { GraphBuilder, type GraphModel, type Value } from '../../onnx/graph.js';
import type { ModelSpec } from '../model-spec.js';
import { adaptedModules, isFlipped } from './adapter.js';
import {
  type AdaptableBuildOptions,
  affine,
  changedConvolution,
  convolutionChange,
  dense,
  derived,
  exposed,
  type Matrix,
  multiply,
  normedShape,
  readColumn,
  readMatrix,
  readNormed,
  rowChange,
  type SovitsContext,
  sum,
  tensorOf,
} from './layers.js';

/**
 * From the encoder's latent to what the generator reads: `latent` (T, hidden); the change of speed as, for each of F
 * target frames, the `left` and `right` source frame (int64 (F)) and the `fraction` between them (F, 1), see
 * {@link frameMap}; `noise` (F, inter), already scaled; `ge` (1, gin, 1) → `z` (1, inter, F).
 * Exposes `enc_p.y` (F, hidden), `enc_p.m`, `enc_p.logs` (F, inter) and `z_p` (1, inter, F).
 * upstream: module/models.py TextEncoder.forward (interpolate, proj), SynthesizerTrn.decode (z_p),
 * ResidualCouplingBlock in reverse.
 */
export function buildFlow(checkpoint: Checkpoint, spec: ModelSpec, options: AdaptableBuildOptions = {}): GraphModel {
  const graph = new GraphBuilder('sovits_flow');
  const adapted = options.adapters ? adaptedModules(spec) : null;
  const context: SovitsContext = { graph, checkpoint, spec, expose: new Set(options.expose), adapted };
  const { hiddenChannels: hidden, interChannels: inter } = spec;
  const latent = graph.input('latent', 'float32', ['source', hidden]);
  const left = graph.gather(latent, graph.input('left', 'int64', ['frames']));
  const right = graph.gather(latent, graph.input('right', 'int64', ['frames']));
  const fraction = graph.input('fraction', 'float32', ['frames', 1]);
  const noise = graph.input('noise', 'float32', ['frames', inter]);
  const ge = graph.input('ge', 'float32', [1, spec.globalEmbeddingWidth, 1]);

  const y = graph.add(left, graph.mul(graph.sub(right, left), fraction));
  exposed(context, 'enc_p.y', y, ['frames', hidden]);
  const [mean, logs] = graph.split(dense(context, y, 'enc_p.proj'), [inter, inter], 1);
  if (!mean || !logs) throw new Error('two halves');
  exposed(context, 'enc_p.m', mean, ['frames', inter]);
  exposed(context, 'enc_p.logs', logs, ['frames', inter]);
  const drawn = graph.add(mean, graph.mul(noise, graph.exp(logs)));
  const prior = graph.unsqueeze(graph.transpose(drawn, [1, 0]), [0]);
  exposed(context, 'z_p', prior, [1, inter, 'frames']);
  graph.output('z', reverseFlow(context, prior, ge), 'float32', [1, inter, 'frames']);
  return graph.build();
}

/** Which source frames each target frame lies between. */
export interface FrameMap {
  readonly left: BigInt64Array;
  readonly right: BigInt64Array;
  readonly fraction: Float32Array;
}

/**
 * The change of speed as a map of frames: linear interpolation to ⌊T / speed⌋ + 1 frames, edges not aligned; at speed 1
 * every frame is itself. upstream: module/models.py TextEncoder.forward (F.interpolate, mode linear).
 */
export function frameMap(sourceFrames: number, speed: number): FrameMap {
  const count = speed === 1 ? sourceFrames : Math.floor(sourceFrames / speed) + 1;
  const scale = Math.fround(sourceFrames / count);
  const left = new BigInt64Array(count);
  const right = new BigInt64Array(count);
  const fraction = new Float32Array(count);
  for (let frame = 0; frame < count; frame++) {
    // In float32 as upstream, so that a frame exactly between two does not fall on another side.
    const place = Math.max(0, Math.fround(Math.fround(scale * Math.fround(frame + 0.5)) - 0.5));
    const below = Math.min(Math.floor(place), sourceFrames - 1);
    left[frame] = BigInt(below);
    right[frame] = BigInt(Math.min(below + 1, sourceFrames - 1));
    fraction[frame] = place - below;
  }
  return { left, right, fraction };
}

/**
 * The flow in reverse, z_p (1, inter, F) → z. The channel flips between its couplings cost nothing: the weights of the
 * couplings that would see flipped halves are flipped instead.
 */
export function reverseFlow(context: SovitsContext, prior: Value, ge: Value): Value {
  const { graph, spec } = context;
  const half = spec.interChannels / 2;
  const [first, second] = graph.split(prior, [half, half], 1);
  if (!first || !second) throw new Error('two halves');
  let lower = first;
  let upper = second;
  let flipped = false;
  const biases = conditioning(context, ge);
  for (let index = spec.flow.couplings - 1; index >= 0; index--) {
    flipped = isFlipped(spec, index);
    const layerBiases = biases[index];
    if (!layerBiases) throw new Error('one set of biases a coupling');
    graph.scope(`flow.${2 * index}`, () => {
      // Flipped, the lower half of what upstream sees is our upper half from its end.
      const source = flipped ? upper : lower;
      const target = flipped ? lower : upper;
      const moved = graph.sub(target, couplingMean(context, source, 2 * index, flipped, layerBiases));
      if (flipped) lower = moved;
      else upper = moved;
    });
  }
  const joined = graph.concat([lower, upper], 1);
  if (!flipped) return joined;
  const backwards = Array.from({ length: spec.interChannels }, (_, channel) => spec.interChannels - 1 - channel);
  return graph.gather(joined, graph.ints(backwards), 1);
}

/**
 * The biases of every gated convolution for this voice, [coupling][layer] (2·hidden): conditioning and own bias in one
 * product for all couplings.
 */
function conditioning(context: SovitsContext, ge: Value): Value[][] {
  const { graph, checkpoint, spec } = context;
  const { couplings, layers } = spec.flow;
  const rows = couplings * layers * 2 * spec.hiddenChannels;
  const width = spec.globalEmbeddingWidth;
  const prefixes = Array.from({ length: couplings }, (_, index) => `flow.flows.${2 * index}.enc`);
  const weight = derived(context, 'flow.cond.weight', [rows, width], () =>
    joined(prefixes.map((prefix) => readNormed(checkpoint, `${prefix}.cond_layer`).data)),
  );
  const bias = derived(context, 'flow.cond.bias', [rows], () =>
    joined(
      prefixes.map((prefix) => {
        const total = tensorOf(checkpoint, `${prefix}.cond_layer.bias`).readFloat32();
        for (let layer = 0; layer < layers; layer++) {
          const own = tensorOf(checkpoint, `${prefix}.in_layers.${layer}.bias`).readFloat32();
          own.forEach((value, channel) => {
            total[layer * own.length + channel]! += value;
          });
        }
        return total;
      }),
    ),
  );
  const voice = graph.reshape(ge, [1, width]);
  const plain = affine(context, voice, weight, bias);
  const changes = prefixes.flatMap((prefix) => rowChange(context, `${prefix}.cond_layer`, voice) ?? []);
  const all = graph.reshape(changes.length > 0 ? graph.add(plain, graph.concat(changes, 1)) : plain, [rows]);
  const parts = graph.split(all, new Array<number>(couplings * layers).fill(2 * spec.hiddenChannels), 0);
  return prefixes.map((_, index) => parts.slice(index * layers, (index + 1) * layers));
}

/**
 * What one coupling subtracts: pre → gated convolutions → post, (1, inter/2, F) → (1, inter/2, F). The skip connections
 * and `post` are linear, so their product is one matrix over all layers' activations; with adapters, which change each
 * of them, they stay apart.
 * upstream: module/modules.py ResidualCouplingLayer, WN.
 */
function couplingMean(
  context: SovitsContext,
  source: Value,
  index: number,
  flipped: boolean,
  biases: readonly Value[],
): Value {
  const { graph, checkpoint, spec } = context;
  const { hiddenChannels: hidden } = spec;
  const { layers, kernel, dilationRate } = spec.flow;
  const half = spec.interChannels / 2;
  const at = `flow.flows.${index}`;

  const pre = derived(context, `${at}.pre`, [hidden, half, 1], () => {
    const weight = tensorOf(checkpoint, `${at}.pre.weight`).readFloat32();
    if (flipped) for (let row = 0; row < hidden; row++) weight.subarray(row * half, (row + 1) * half).reverse();
    return weight;
  });
  const preBias = derived(context, `${at}.pre.bias`, [hidden], () =>
    tensorOf(checkpoint, `${at}.pre.bias`).readFloat32(),
  );
  let x = changedConvolution(context, `${at}.pre`, source, pre, preBias);
  const activations: Value[] = [];
  const skipChanges: Value[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const dilation = dilationRate ** layer;
    const weight = derived(
      context,
      `${at}.enc.in_layers.${layer}.weight`,
      normedShape(checkpoint, `${at}.enc.in_layers.${layer}`),
      () => readNormed(checkpoint, `${at}.enc.in_layers.${layer}`).data,
    );
    const gated = changedConvolution(context, `${at}.enc.in_layers.${layer}`, x, weight, biases[layer] ?? null, {
      dilation,
      padding: (dilation * (kernel - 1)) / 2,
    });
    const [value, gate] = graph.split(gated, [hidden, hidden], 1);
    if (!value || !gate) throw new Error('two halves');
    const activation = graph.mul(graph.tanh(value), graph.sigmoid(gate));
    activations.push(activation);
    const module = `${at}.enc.res_skip_layers.${layer}`;
    const change = convolutionChange(context, module, activation); // (1, 2·hidden, F), of the last layer (1, hidden, F)
    if (layer < layers - 1) x = graph.add(x, residual(context, activation, module));
    if (change && layer < layers - 1) {
      const [residualChange, skipChange] = graph.split(change, [hidden, hidden], 1);
      if (!residualChange || !skipChange) throw new Error('two halves');
      x = graph.add(x, residualChange);
      skipChanges.push(skipChange);
    } else if (change) skipChanges.push(change);
  }

  const skips = Array.from({ length: layers }, (_, layer) => `${at}.enc.res_skip_layers.${layer}`);
  // The last layer has no residual half.
  const skipOf = (rows: Matrix, layer: number): Matrix => (layer < layers - 1 ? lowerRows(rows, hidden) : rows);
  const readPost = (): Matrix => flipRows(readMatrix(checkpoint, `${at}.post.weight`), flipped);
  const readPostBias = (): Matrix => flipRows(readColumn(checkpoint, `${at}.post.bias`), flipped);
  const readSkipBias = (): Matrix =>
    sum(...skips.map((prefix, layer) => skipOf(readColumn(checkpoint, `${prefix}.bias`), layer)));
  if (context.adapted) {
    const skipWeight = derived(context, `${at}.enc.skips`, [hidden, layers * hidden, 1], () => {
      const parts = skips.map((prefix, layer) => skipOf(normedMatrix(checkpoint, prefix), layer));
      return besides(parts);
    });
    const skipBias = derived(context, `${at}.enc.skips_bias`, [hidden], () => Float32Array.from(readSkipBias().data));
    const plain = graph.conv1d(graph.concat(activations, 1), skipWeight, skipBias);
    const skipped = skipChanges.reduce((total, change) => graph.add(total, change), plain);
    const weight = derived(context, `${at}.post.placed`, [half, hidden, 1], () => Float32Array.from(readPost().data));
    const bias = derived(context, `${at}.post.placed_bias`, [half], () => Float32Array.from(readPostBias().data));
    return changedConvolution(context, `${at}.post`, skipped, weight, bias);
  }
  const postWeight = derived(context, `${at}.post.folded`, [half, layers * hidden, 1], () => {
    const post = readPost();
    return besides(skips.map((prefix, layer) => multiply(post, skipOf(normedMatrix(checkpoint, prefix), layer))));
  });
  const postBias = derived(context, `${at}.post.folded_bias`, [half], () =>
    Float32Array.from(sum(multiply(readPost(), readSkipBias()), readPostBias()).data),
  );
  return graph.conv1d(graph.concat(activations, 1), postWeight, postBias);
}

/** The residual half of a res_skip layer, as a convolution of kernel 1. */
function residual(context: SovitsContext, x: Value, prefix: string): Value {
  const { graph, checkpoint, spec } = context;
  const { hiddenChannels: hidden } = spec;
  const weight = derived(context, `${prefix}.residual`, [hidden, hidden, 1], () =>
    readNormed(checkpoint, prefix).data.slice(0, hidden * hidden),
  );
  const bias = derived(context, `${prefix}.residual_bias`, [hidden], () =>
    tensorOf(checkpoint, `${prefix}.bias`).readFloat32().slice(0, hidden),
  );
  return graph.conv1d(x, weight, bias);
}

function normedMatrix(checkpoint: Checkpoint, prefix: string): Matrix {
  const { shape, data } = readNormed(checkpoint, prefix);
  const rows = shape[0] ?? 1;
  return { rows, columns: data.length / rows, data: Float64Array.from(data) };
}

/** Matrices of as many rows, side by side, as one float32 weight. */
function besides(parts: readonly Matrix[]): Float32Array {
  const columns = parts.reduce((count, part) => count + part.columns, 0);
  const data = new Float32Array((parts[0]?.rows ?? 0) * columns);
  let at = 0;
  for (const part of parts) {
    for (let row = 0; row < part.rows; row++) {
      data.set(part.data.subarray(row * part.columns, (row + 1) * part.columns), row * columns + at);
    }
    at += part.columns;
  }
  return data;
}

function lowerRows(matrix: Matrix, from: number): Matrix {
  return { ...matrix, rows: matrix.rows - from, data: matrix.data.slice(from * matrix.columns) };
}

function flipRows(matrix: Matrix, flip: boolean): Matrix {
  if (!flip) return matrix;
  const data = new Float64Array(matrix.data.length);
  for (let row = 0; row < matrix.rows; row++) {
    const from = (matrix.rows - 1 - row) * matrix.columns;
    data.set(matrix.data.subarray(from, from + matrix.columns), row * matrix.columns);
  }
  return { ...matrix, data };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const data = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part, offset);
    offset += part.length;
  }
  return data;
}
