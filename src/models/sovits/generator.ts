import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import { float, GraphBuilder, type GraphModel, type Value } from '../../onnx/graph.js';
import type { GeneratorSpec, ModelSpec, ResblockSpec } from '../model-spec.js';
import { derived, parameter, readNormed, type SovitsBuildOptions, type SovitsContext, tensorOf } from './layers.js';

/** Upstream: 0.1 inside (modules.LRELU_SLOPE), the framework's default of 0.01 before the last convolution. */
const INNER_SLOPE = 0.1;
const LAST_SLOPE = 0.01;

/**
 * The generator in two graphs, cut after the first upsampling stage. That stage has by far the longest reach in frames
 * (10 of the 11 frames of halo of the official models) and a fifth of the work, so windows over the rest need only two
 * frames of halo: windows of 50 frames cost 4 % more than the whole sentence at once (7 % in two rows) instead of 44 %.
 */
export interface ActivationRange {
  readonly min: number;
  readonly max: number;
}

export interface ConvolutionRange {
  readonly input: ActivationRange;
  readonly output: ActivationRange;
}

/** Which convolutions are computed in int8, and over which ranges their activations are spread. */
export interface GeneratorQuantization {
  /** By the convolution's name in the checkpoint; both of a pair, or the pair stays in fp32. */
  readonly ranges: ReadonlyMap<string, ConvolutionRange>;
  /** 7 on processors whose 8-bit products overflow (AVX2 and AVX-512 without VNNI), else 8. */
  readonly weightBits: 7 | 8;
}

export type GeneratorPart = 'head' | 'tail' | 'whole';

export interface GeneratorBuildOptions extends SovitsBuildOptions {
  /**
   * How convolutions over time are written; `2d` (default) puts time on the last of two axes, which the runtime's blocked
   * kernels want. Measured at full size on one thread: v2 475 ms against 655 ms for 2 s, v2ProPlus 658 against 871 for 1.2 s.
   */
  readonly convolution?: '1d' | '2d';
  /** Convolutions of the residual blocks to compute in int8; absent: none. Only with `2d`. */
  readonly quantization?: GeneratorQuantization;
  /** Adds, for every convolution of the residual blocks, outputs `PREFIX.input` and `PREFIX.output`: [smallest, largest]. */
  readonly observe?: boolean;
}

/**
 * The waveform generator. `head`: `z` (B, inter, F) and `ge` (1, gin, 1) → `hidden` (B, C₁, F·rate₁); `tail`: `hidden`
 * → `wave` (B, 1, F·hop); `whole`: `z`, `ge` → `wave`. The rows of a batch are independent.
 * upstream: module/models.py Generator, module/modules.py ResBlock1, ResBlock2.
 *
 * The mean of the parallel blocks is their sum here, the division folded into the layer behind (leaky ReLU is
 * homogeneous), so `hidden` is a multiple of upstream's tensor.
 */
export function buildGenerator(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  part: GeneratorPart,
  options: GeneratorBuildOptions = {},
): GraphModel {
  const graph = new GraphBuilder(part === 'whole' ? 'sovits_generator' : `sovits_generator_${part}`);
  const context: GeneratorContext = {
    graph,
    checkpoint,
    spec,
    expose: new Set(options.expose),
    flat: options.convolution === '1d',
    quantization: options.quantization ?? null,
    observe: options.observe ?? false,
  };
  const { generator } = spec;
  const first = part === 'tail' ? 1 : 0;
  const end = part === 'head' ? 1 : generator.upsamples.length;
  let x = part === 'tail' ? openTail(context) : openHead(context);
  for (let stage = first; stage < end; stage++) x = upsampleStage(context, x, stage);
  if (part === 'head') {
    const { rate, channels } = stageOf(generator, 0);
    graph.output('hidden', leave(context, x), 'float32', ['rows', channels, dimension(rate)]);
  } else {
    graph.output('wave', leave(context, closeTail(context, x)), 'float32', ['rows', 1, 'samples']);
  }
  return graph.build();
}

/** How many values a frame of z becomes at the cut between head and tail. */
export function cutRate(spec: ModelSpec): number {
  return stageOf(spec.generator, 0).rate;
}

/**
 * Which inputs of a part outputs [start, end) depend on, at worst: frames of z for `head` and `whole`, columns of
 * `hidden` for `tail`. Not clipped to what exists; a window that begins or ends with the sentence itself is exact
 * because the padding of every layer then lies where upstream's does.
 */
export function inputRange(
  spec: ModelSpec,
  part: GeneratorPart,
  output: { readonly start: number; readonly end: number },
): { start: number; end: number } {
  const { generator } = spec;
  let { start, end } = output;
  const first = part === 'tail' ? 1 : 0;
  const last = part === 'head' ? 1 : generator.upsamples.length;
  if (part !== 'head') [start, end] = [start - 3, end + 3]; // conv_post, kernel 7
  for (let stage = last - 1; stage >= first; stage--) {
    const reach = Math.max(...generator.resblocks.map((block) => resblockReach(generator, block)));
    start -= reach;
    end += reach;
    const { rate, kernel } = stageOf(generator, stage);
    const padding = (kernel - rate) / 2;
    // Output n of a transposed convolution sums inputs t with 0 ≤ n + padding − t·rate < kernel.
    start = Math.ceil((start + padding - kernel + 1) / rate);
    end = Math.floor((end - 1 + padding) / rate) + 1;
  }
  if (part !== 'tail') [start, end] = [start - 3, end + 3]; // conv_pre, kernel 7
  return { start, end };
}

/** Names of the convolutions that int8 knows: those of residual blocks of two, of all stages or of one. */
export function quantizableConvolutions({ generator }: ModelSpec, stage?: number): string[] {
  if (generator.resblockType !== '1') return [];
  const blocks = generator.resblocks.length;
  const stages = stage === undefined ? generator.upsamples.map((_, index) => index) : [stage];
  return stages.flatMap((at) =>
    generator.resblocks.flatMap(({ dilations }, block) =>
      dilations.flatMap((_, index) =>
        ['convs1', 'convs2'].map((list) => `dec.resblocks.${at * blocks + block}.${list}.${index}`),
      ),
    ),
  );
}

interface GeneratorContext extends SovitsContext {
  readonly flat: boolean;
  readonly quantization: GeneratorQuantization | null;
  readonly observe: boolean;
}

function openHead(context: GeneratorContext): Value {
  const { graph, spec } = context;
  const z = enter(context, graph.input('z', 'float32', ['rows', spec.interChannels, 'frames']));
  const ge = graph.input('ge', 'float32', [1, spec.globalEmbeddingWidth, 1]);
  const x = convolution(context, z, 'dec.conv_pre', { padding: 3 });
  const voice = graph.conv1d(ge, parameter(context, 'dec.cond.weight'), parameter(context, 'dec.cond.bias'));
  return graph.add(x, context.flat ? voice : graph.unsqueeze(voice, [2]));
}

function openTail(context: GeneratorContext): Value {
  const { channels } = stageOf(context.spec.generator, 0);
  return enter(context, context.graph.input('hidden', 'float32', ['rows', channels, 'columns']));
}

function closeTail(context: GeneratorContext, x: Value): Value {
  const { graph, checkpoint, spec } = context;
  const mean = 1 / spec.generator.resblocks.length;
  const bias = checkpoint.tensors.has('dec.conv_post.bias') ? 'dec.conv_post.bias' : null;
  const activated = graph.leakyRelu(x, LAST_SLOPE);
  return graph.tanh(convolution(context, activated, 'dec.conv_post', { padding: 3, scale: mean, bias }));
}

function upsampleStage(context: GeneratorContext, input: Value, stage: number): Value {
  const { graph, spec } = context;
  const { resblocks, resblockType } = spec.generator;
  return graph.scope(`dec.${stage}`, () => {
    const x = upsample(context, graph.leakyRelu(input, INNER_SLOPE), stage);
    const activated = graph.leakyRelu(x, INNER_SLOPE); // every block begins with it
    const outputs = resblocks.map((block, index) => {
      const prefix = `dec.resblocks.${stage * resblocks.length + index}`;
      return resblockType === '1'
        ? doubleBlock(context, x, activated, block, prefix)
        : singleBlock(context, x, activated, block, prefix);
    });
    return outputs.reduce((total, output) => graph.add(total, output));
  });
}

function doubleBlock(
  context: GeneratorContext,
  input: Value,
  activated: Value,
  block: ResblockSpec,
  prefix: string,
): Value {
  const { graph } = context;
  let x = input;
  block.dilations.forEach((dilation, index) => {
    const open = index === 0 ? activated : graph.leakyRelu(x, INNER_SLOPE);
    const first = { prefix: `${prefix}.convs1.${index}`, dilation, padding: samePadding(block.kernel, dilation) };
    const second = { prefix: `${prefix}.convs2.${index}`, dilation: 1, padding: samePadding(block.kernel, 1) };
    const ranges = [first, second].map((layer) => context.quantization?.ranges.get(layer.prefix));
    const outer =
      ranges[0] && ranges[1]
        ? quantizedPair(context, open, [
            { ...first, range: ranges[0] },
            { ...second, range: ranges[1] },
          ])
        : watched(context, second, graph.leakyRelu(watched(context, first, open), INNER_SLOPE));
    x = graph.add(outer, x);
  });
  return x;
}

interface Layer {
  readonly prefix: string;
  readonly dilation: number;
  readonly padding: number;
}

/** A convolution in fp32, whose input and output can be looked at for calibration. */
function watched(context: GeneratorContext, layer: Layer, x: Value): Value {
  const { graph, observe } = context;
  const y = convolution(context, x, layer.prefix, layer);
  if (observe) {
    for (const [name, value] of [
      ['input', x],
      ['output', y],
    ] as const) {
      const flat = graph.reshape(value, [-1]);
      const range = graph.concat([reduce(graph, 'ReduceMin', flat), reduce(graph, 'ReduceMax', flat)], 0);
      graph.output(`${layer.prefix}.${name}`, range, 'float32', [2]);
    }
  }
  return y;
}

function reduce(graph: GraphBuilder, opType: string, x: Value): Value {
  return graph.op(opType, [x, graph.ints([0])], { keepdims: 1 });
}

/**
 * Two convolutions and the leaky ReLU between them in int8: activations in 8 bits without sign, at fixed scales (so that
 * a row does not depend on its neighbours), weights with a scale for each output channel.
 */
function quantizedPair(
  context: GeneratorContext,
  x: Value,
  [first, second]: readonly [QuantizedLayer, QuantizedLayer],
): Value {
  const { graph } = context;
  const opened = affineOf(graph, first.range.input);
  const inner = affineOf(graph, first.range.output);
  const between = affineOf(graph, second.range.input);
  const closed = affineOf(graph, second.range.output);
  const q = graph.op('QuantizeLinear', [x, opened.scale, opened.zero]);
  const a = quantizedConvolution(context, q, opened, inner, first);
  const b = graph.op(
    'QLinearLeakyRelu',
    [a, inner.scale, inner.zero, between.scale, between.zero],
    { alpha: float(INNER_SLOPE) },
    'com.microsoft',
  );
  const c = quantizedConvolution(context, b, between, closed, second);
  return graph.op('DequantizeLinear', [c, closed.scale, closed.zero]);
}

interface QuantizedLayer extends Layer {
  readonly range: ConvolutionRange;
}

/** The scale and zero of 8 bits without sign over a range, as constants. */
interface Affine {
  readonly size: number;
  readonly scale: Value;
  readonly zero: Value;
}

function affineOf(graph: GraphBuilder, range: ActivationRange): Affine {
  const [low, high] = [Math.min(0, range.min), Math.max(0, range.max)];
  const size = Math.fround(Math.max(high - low, 1e-6) / 255);
  const zero = Math.round(-low / size);
  return { size, scale: graph.scalar(size), zero: graph.constant(zero, 'uint8') };
}

function quantizedConvolution(
  context: GeneratorContext,
  x: Value,
  input: Affine,
  result: Affine,
  layer: QuantizedLayer,
): Value {
  const { graph, checkpoint } = context;
  const { prefix } = layer;
  const { shape, load } = foldedWeight(context, prefix, 1);
  const bits = context.quantization?.weightBits ?? 8;
  let made: QuantizedWeight | null = null;
  const weightOf = (): QuantizedWeight => {
    made ??= quantizeRows(load(), shape[0] ?? 1, bits);
    return made;
  };
  const weight = graph.weight(`${prefix}.q${bits}`, shape, () => weightOf().values, 'int8');
  const scales = derived(context, `${prefix}.q${bits}.scale`, [shape[0] ?? 1], () => weightOf().scales);
  const zeros = graph.constant(new Int8Array(shape[0] ?? 1), 'int8', [shape[0] ?? 1]);
  const bias = graph.weight(
    `${prefix}.q${bits}.bias`,
    [shape[0] ?? 1],
    () => {
      const values = tensorOf(checkpoint, `${prefix}.bias`).readFloat32();
      const { scales: steps } = weightOf();
      return Int32Array.from(values, (value, row) => Math.round(value / (input.size * steps[row]!)));
    },
    'int32',
  );
  return graph.op(
    'QLinearConv',
    [x, input.scale, input.zero, weight, scales, zeros, result.scale, result.zero, bias],
    spatial(context, 1, layer.dilation, layer.padding),
  );
}

interface QuantizedWeight {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** Symmetric, one scale a row; 7 bits where products of 8 would overflow the kernel's 16-bit sums. */
function quantizeRows(weights: Float32Array, rows: number, bits: 7 | 8): QuantizedWeight {
  const largest = 2 ** (bits - 1) - 1;
  const values = new Int8Array(weights.length);
  const scales = new Float32Array(rows);
  const length = weights.length / rows;
  for (let row = 0; row < rows; row++) {
    const part = weights.subarray(row * length, (row + 1) * length);
    const most = part.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
    const scale = Math.fround(most > 0 ? most / largest : 1);
    scales[row] = scale;
    part.forEach((value, index) => {
      values[row * length + index] = Math.round(value / scale);
    });
  }
  return { values, scales };
}

function singleBlock(
  context: GeneratorContext,
  input: Value,
  activated: Value,
  block: ResblockSpec,
  prefix: string,
): Value {
  const { graph } = context;
  let x = input;
  block.dilations.forEach((dilation, index) => {
    const open = index === 0 ? activated : graph.leakyRelu(x, INNER_SLOPE);
    const outer = convolution(context, open, `${prefix}.convs.${index}`, {
      dilation,
      padding: samePadding(block.kernel, dilation),
    });
    x = graph.add(outer, x);
  });
  return x;
}

function resblockReach(generator: GeneratorSpec, block: ResblockSpec): number {
  return block.dilations.reduce(
    (reach, dilation) =>
      reach + samePadding(block.kernel, dilation) + (generator.resblockType === '1' ? samePadding(block.kernel, 1) : 0),
    0,
  );
}

function samePadding(kernel: number, dilation: number): number {
  return Math.floor((kernel * dilation - dilation) / 2);
}

interface ConvolutionOptions {
  readonly padding: number;
  readonly dilation?: number;
  /** Factor on the weight, not on the bias. */
  readonly scale?: number;
  /** Name of the bias; absent: `prefix.bias`. */
  readonly bias?: string | null;
}

/** A convolution over the last axis with weight norm folded. */
function convolution(context: GeneratorContext, x: Value, prefix: string, options: ConvolutionOptions): Value {
  const { graph } = context;
  const { dilation = 1, padding, scale = 1 } = options;
  const { shape, load } = foldedWeight(context, prefix, scale);
  const weight = derived(context, `${prefix}.folded`, shape, load);
  const biasName = options.bias === undefined ? `${prefix}.bias` : options.bias;
  const bias = biasName === null ? null : parameter(context, biasName);
  return graph.op('Conv', bias ? [x, weight, bias] : [x, weight], spatial(context, 1, dilation, padding));
}

/**
 * A transposed convolution. As one convolution for all phases and a transposition it measured 56 ms against 63 ms for all
 * five stages of 2 s of v2: 1.5 % of the generator, and more work where the kernel is not a multiple of twice the rate.
 */
function upsample(context: GeneratorContext, x: Value, stage: number): Value {
  const { graph, spec } = context;
  const { rate, kernel } = stageOf(spec.generator, stage);
  // Behind the first stage the input is the sum of the parallel blocks, not their mean.
  const scale = stage === 0 ? 1 : 1 / spec.generator.resblocks.length;
  const { shape, load } = foldedWeight(context, `dec.ups.${stage}`, scale);
  const weight = derived(context, `dec.ups.${stage}.folded`, shape, load);
  const bias = parameter(context, `dec.ups.${stage}.bias`);
  return graph.op('ConvTranspose', [x, weight, bias], spatial(context, rate, 1, (kernel - rate) / 2));
}

function foldedWeight(
  context: GeneratorContext,
  prefix: string,
  scale: number,
): { shape: number[]; load: () => Float32Array } {
  const { checkpoint, flat } = context;
  const name = ['weight', 'weight_v', 'parametrizations.weight.original1'].find((suffix) =>
    checkpoint.tensors.has(`${prefix}.${suffix}`),
  );
  const [rows = 1, columns = 1, kernel = 1] = tensorOf(checkpoint, `${prefix}.${name ?? 'weight_v'}`).shape;
  const load = (): Float32Array => {
    const { data } = readNormed(checkpoint, prefix);
    return scale === 1 ? data : data.map((value) => value * scale);
  };
  return { shape: flat ? [rows, columns, kernel] : [rows, columns, 1, kernel], load };
}

function spatial(context: GeneratorContext, stride: number, dilation: number, padding: number) {
  return context.flat
    ? { strides: [stride], dilations: [dilation], pads: [padding, padding] }
    : { strides: [1, stride], dilations: [1, dilation], pads: [0, padding, 0, padding] };
}

function enter(context: GeneratorContext, x: Value): Value {
  return context.flat ? x : context.graph.unsqueeze(x, [2]);
}

function leave(context: GeneratorContext, x: Value): Value {
  return context.flat ? x : context.graph.squeeze(x, [2]);
}

function stageOf(generator: GeneratorSpec, stage: number) {
  const upsampling = generator.upsamples[stage];
  if (!upsampling) throw new Error(`the generator has no stage ${stage}`);
  return upsampling;
}

function dimension(rate: number): string {
  return `frames_x${rate}`;
}
