import type { Checkpoint, CheckpointTensor, PlainValue } from '../checkpoint/checkpoint.js';
import { AppError } from '../errors.js';
import { float, GraphBuilder, type GraphModel, type Value } from '../onnx/graph.js';
import { quantizeBlocks } from '../onnx/quantize.js';
import type { ColumnWeights } from '../onnx/quantize-columns.js';
import { columnProduct } from './column-product.js';
import { once } from './once.js';

/** The sizes of a text-to-semantic network, and the limits its compiled form has. */
export interface Text2SemanticSettings {
  readonly layers: number;
  readonly heads: number;
  /** Width of one head in the cache: the model's own, rounded up to what the attention kernel takes (multiples of 8). */
  readonly headWidth: number;
  readonly width: number;
  readonly feedForwardWidth: number;
  /** Semantic tokens, the end token included. */
  readonly vocabulary: number;
  /** The token that ends a sentence; always the last of the vocabulary. */
  readonly endToken: number;
  /** Rows of the phoneme table: 512 in v1, 732 since v2. */
  readonly phonemeCount: number;
  /** Width of the BERT features that are added to phonemes. */
  readonly bertWidth: number;
  /** Positions in the sine tables: at most this many phonemes, and this many semantic tokens with the prompt. */
  readonly positions: number;
  /** New tokens after which upstream gives up: 50 × `config.data.max_sec` (1,500 steps are the limit in any case). */
  readonly earlyStopTokens: number;
}

/** The matrix products of a layer, and the `head` after the last one. */
export type Product = 'qkv' | 'out' | 'inner' | 'outer' | 'head';

/** Products that an adapter may change. */
export const ADAPTED_PRODUCTS = ['qkv', 'out', 'inner', 'outer'] as const satisfies readonly Product[];

/**
 * How a product's weights are kept: fp32; 8 or 4 bits in blocks with a scale each; or 8 bits, signed or not, with a scale a column for
 * the prefill, which is one row of many positions (see `docs/adr/0007-quantised-text-to-semantic.md`).
 */
export type WeightFormat = 'fp32' | 'int8' | 'int4' | `column-${ColumnWeights}`;

export interface Text2SemanticPrecision {
  /** `head` is asked for with layer = the number of layers. */
  readonly format: (layer: number, product: Product) => WeightFormat;
  /** What one step of an int8 cache stands for, by layer: a value for each of (heads, headWidth); null: an fp32 cache. */
  readonly cacheSteps: ((layer: number) => CacheSteps) | null;
}

export interface CacheSteps {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

export interface Text2SemanticOptions {
  /** Number formats; fp32 by default. */
  readonly precision?: Text2SemanticPrecision;
  /** `whole` computes prefill and step; `prefill` is one row, `step` has no text part and no mask. */
  readonly part?: 'whole' | 'prefill' | 'step';
  /** Adds to each of {@link ADAPTED_PRODUCTS} what the row's adapter says; see {@link buildText2Semantic}. */
  readonly adapters?: boolean;
  /** Rows of the sine tables; 2,560 covers upstream's 1,500 tokens after any prompt. */
  readonly positions?: number;
  /** Also gives `xy_pos`, `xy_dec` and each layer's cache as it is, for parity tests. */
  readonly debug?: boolean;
}

/** Inputs that share a scale: larger blocks have fewer scales to apply, and lose little at 8 bits. */
const BLOCK_SIZES = { int8: 128, int4: 32 } as const;

const FP32: Text2SemanticPrecision = { format: () => 'fp32', cacheSteps: null };

/** The attention kernel refuses other head widths; narrower heads are widened with zeros, which change no product. */
const HEAD_WIDTH_STEP = 8;

/**
 * Reads the sizes from a checkpoint's tensors and config (`config.model.head`, `config.data.max_sec`, …).
 *
 * @throws `CHECKPOINT_UNSUPPORTED` when a tensor is missing, sizes contradict each other, or a size cannot be compiled.
 */
export function readText2SemanticSettings(
  checkpoint: Checkpoint,
  options: Pick<Text2SemanticOptions, 'positions'> = {},
): Text2SemanticSettings {
  const weights = new CheckpointWeights(checkpoint);
  const [vocabulary, width] = weights.shape('ar_audio_embedding.word_embeddings.weight', 2);
  const [phonemeCount] = weights.shape('ar_text_embedding.word_embeddings.weight', 2);
  const [, bertWidth] = weights.shape('bert_proj.weight', 2);
  const [feedForwardWidth] = weights.shape('h.layers.0.linear1.weight', 2);
  let layers = 0;
  while (weights.has(`h.layers.${layers}.linear1.weight`)) layers += 1;
  const model = section(checkpoint.data['config'], 'model');
  const data = section(checkpoint.data['config'], 'data');
  const heads = number(model, 'head') ?? 16;
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `${checkpoint.path}: ${heads} attention heads do not fit a width of ${width}; expected a divisor`,
    );
  }
  const declared = number(model, 'n_layer');
  if (declared !== null && declared !== layers) {
    throw new AppError('CHECKPOINT_UNSUPPORTED', `${checkpoint.path} declares ${declared} layers, but holds ${layers}`);
  }
  return {
    layers,
    heads,
    headWidth: Math.ceil(width / heads / HEAD_WIDTH_STEP) * HEAD_WIDTH_STEP,
    width,
    feedForwardWidth,
    vocabulary,
    endToken: vocabulary - 1,
    phonemeCount,
    bertWidth,
    positions: options.positions ?? 2560,
    earlyStopTokens: 50 * (number(data, 'max_sec') ?? 54),
  };
}

/**
 * The network as one graph that computes both the prefill of a sentence and a step of many, so that the weights are in
 * memory once (two sessions that each pack their own copy took 2.0 times the weights, unpacked ones 2.6 times the time
 * at 8 rows). With B rows, P phonemes and A semantic tokens:
 *
 * - prefill (B = 1): phonemes (1, P), bert (1, P, bertWidth), tokens (1, A) the prompt, visible (P + A), seqlens [P + A − 1];
 * - step (P = 0, A = 1): tokens (B, 1) the last token of each row, visible [total], seqlens (B) what each row holds.
 *
 * `visible[i]` is how many positions query i sees: all phonemes for a phoneme; itself and all before for a token.
 * `seqlens[b]` is row b's length after this run, less one; `total` (1) the longest row's length after this run. The
 * cache `k.N`, `v.N` (B, heads, S, headWidth) is read from the inputs and written to the outputs, which must be bound to
 * the same memory. `logits` (B, vocabulary) are those after the last position of each row, `hidden` (B, width) what they
 * were computed from (debug graphs only).
 *
 * As parts, for quantised weights: `prefill` writes an fp32 cache, `step` (L = A = 1, no phonemes and no mask) may read one
 * of int8. With adapters, `adapter_ranks` (B, R) has ones at a row's own ranks of the R that all adapters of the batch have
 * together, and a product named p in layer N adds ((x · a.N.p) ∘ adapter_ranks) · b.N.p, with a (in, R) and b (R, out).
 *
 * upstream: AR/models/t2s_model.py Text2SemanticDecoder.infer_panel_naive, AR/modules/transformer.py (post-norm, ReLU)
 */
export function buildText2Semantic(
  checkpoint: Checkpoint,
  settings: Text2SemanticSettings,
  options: Text2SemanticOptions = {},
): GraphModel {
  const weights = new CheckpointWeights(checkpoint);
  const g = new GraphBuilder(options.debug ? 'text2semantic-debug' : 'text2semantic');
  const { width, heads, headWidth, feedForwardWidth, vocabulary } = settings;
  const ownHeadWidth = width / heads;
  const attentionWidth = heads * headWidth;
  const { precision = FP32, part = 'whole' } = options;

  const phonemes = part === 'step' ? null : g.input('phonemes', 'int32', ['B', 'P']);
  const bert = part === 'step' ? null : g.input('bert', 'float32', ['B', 'P', settings.bertWidth]);
  const tokens = g.input('tokens', 'int32', ['B', 'A']);
  const tokenPositions = g.input('token_positions', 'int32', ['B', 'A']);
  const visible = part === 'step' ? null : g.input('visible', 'int32', ['L']);
  const seqlens = g.input('seqlens', 'int32', ['B']);
  const total = g.input('total', 'int32', [1]);
  const ranks = options.adapters ? g.unsqueeze(g.input('adapter_ranks', 'float32', ['B', 'R']), [1]) : null; // (B, 1, R)

  const audio = g.scope('audio', () => {
    const table = weights.plain(g, 'ar_audio_embedding.word_embeddings.weight', [vocabulary, width]);
    const positions = sineTable(g, weights, 'ar_audio_position.alpha', settings);
    return g.add(g.gather(table, tokens), g.gather(positions, tokenPositions));
  });
  const text =
    phonemes && bert
      ? g.scope('text', () => {
          const table = weights.plain(g, 'ar_text_embedding.word_embeddings.weight', [settings.phonemeCount, width]);
          const projected = g.linear(
            bert,
            weights.transposed(g, 'bert_proj.weight', [settings.bertWidth, width]),
            weights.plain(g, 'bert_proj.bias', [width]),
          );
          const positions = sineTable(g, weights, 'ar_text_position.alpha', settings);
          const firstPositions = g.slice(positions, 0, 0, g.shape(phonemes, 1, 2)); // (P, width)
          return g.add(g.add(g.gather(table, phonemes), projected), firstPositions);
        })
      : null;
  let x = text ? g.concat([text, audio], 1) : audio; // (B, L, width), L = P + A
  if (options.debug) g.output('xy_pos', x, 'float32', ['B', 'L', width]);

  // A step sees all there is, so it needs no mask.
  const mask =
    visible &&
    g.scope('mask', () => {
      const zero = g.constant(0, 'int32');
      const columns = g.op('Range', [zero, g.squeeze(total, [0]), g.constant(1, 'int32')]); // (T)
      const seen = g.op('Less', [columns, g.unsqueeze(visible, [1])]); // (L, T)
      return g.unsqueeze(g.where(seen, g.scalar(0), g.scalar(-1e9)), [0, 1]); // (1, 1, L, T)
    });

  /** LayerNorm(x + y + bias): the residual after attention and after the feed-forward part. */
  const addNorm = (x: Value, y: (bias: Value | null) => Value, bias: string, norm: string): Value => {
    const [scale, offset, added] = [`${norm}.weight`, `${norm}.bias`, bias].map((name) =>
      weights.plain(g, name, [width]),
    ) as [Value, Value, Value];
    // One node less is faster for the few positions of a step, and much slower for the many of a prefill.
    if (part === 'prefill') return g.sumNorm(x, y(added), scale, offset);
    const inputs = [x, y(null), scale, offset, added];
    return g.op('SkipLayerNormalization', inputs, { epsilon: float(1e-5) }, 'com.microsoft');
  };

  for (let layer = 0; layer < settings.layers; layer++) {
    const prefix = `h.layers.${layer}`;
    x = g.scope(`layer${layer}`, () => {
      const cacheDims = ['B', heads, 'S', headWidth];
      const steps = precision.cacheSteps?.(layer) ?? null;
      const cacheType = steps ? 'int8' : 'float32';
      const stepsWeight = (name: string, values: Float32Array) =>
        g.weight(`${prefix}.cache_steps.${name}`, [1, heads, 1, headWidth], () => values);
      const product = (name: Product, x: Value, matrix: Matrix, bias: Value | null) => {
        const own = weights.product(g, x, matrix, precision.format(layer, name), bias);
        if (!ranks) return own;
        const a = g.input(`a.${layer}.${name}`, 'float32', [scaled(matrix.stored[1], matrix.inputs), 'R']);
        const b = g.input(`b.${layer}.${name}`, 'float32', ['R', scaled(matrix.stored[0], matrix.outputs)]);
        return g.add(own, g.matmul(g.mul(g.matmul(x, a), ranks), b));
      };
      const qkv = product(
        'qkv',
        x,
        matrixOf(settings, layer, 'qkv'),
        weights.plain(g, `${prefix}.self_attn.in_proj_bias`, [3 * width], {
          shape: [3 * attentionWidth],
          widen: (bias) => widened(bias, ownHeadWidth, headWidth),
        }),
      );
      const [attended, keys, values] = g.ops(
        'GroupQueryAttention',
        [
          qkv,
          null,
          null,
          g.input(`past_k.${layer}`, cacheType, cacheDims),
          g.input(`past_v.${layer}`, cacheType, cacheDims),
          seqlens,
          total,
          null,
          null,
          null,
          mask,
          ...(steps ? [null, stepsWeight('keys', steps.keys), stepsWeight('values', steps.values)] : []),
        ],
        3,
        {
          num_heads: heads,
          kv_num_heads: heads,
          scale: float(1 / Math.sqrt(ownHeadWidth)),
          causal: mask ? 0 : 1,
          ...(steps && { k_quant_type: 'PER_CHANNEL', v_quant_type: 'PER_CHANNEL', kv_cache_bit_width: 8 }),
        },
        'com.microsoft',
      ) as [Value, Value, Value];
      g.output(`k.${layer}`, keys, cacheType, cacheDims);
      g.output(`v.${layer}`, values, cacheType, cacheDims);
      // Of the last layer's positions nothing is read but the last one's result, and keys and values.
      const lastOnly = layer === settings.layers - 1 && part !== 'step' && !options.debug;
      const kept = (all: Value) => (lastOnly ? g.gather(all, g.constant([-1], 'int64'), 1) : all);
      const attendedTo = (bias: Value | null) => product('out', kept(attended), matrixOf(settings, layer, 'out'), bias);
      const normed = addNorm(kept(x), attendedTo, `${prefix}.self_attn.out_proj.bias`, `${prefix}.norm1`);
      const inner = g.relu(
        product(
          'inner',
          normed,
          matrixOf(settings, layer, 'inner'),
          weights.plain(g, `${prefix}.linear1.bias`, [feedForwardWidth]),
        ),
      );
      const outer = (bias: Value | null) => product('outer', inner, matrixOf(settings, layer, 'outer'), bias);
      return addNorm(normed, outer, `${prefix}.linear2.bias`, `${prefix}.norm2`);
    });
  }
  if (options.debug) g.output('xy_dec', x, 'float32', ['B', 'L', width]);

  const hidden = g.gather(x, g.constant(-1, 'int64'), 1); // (B, width)
  if (options.debug) g.output('hidden', hidden, 'float32', ['B', width]);
  const head = matrixOf(settings, settings.layers, 'head');
  const logits = weights.product(g, hidden, head, precision.format(settings.layers, 'head'), null);
  g.output('logits', logits, 'float32', ['B', vocabulary]);
  return g.build();
}

/**
 * alpha · sine positions (positions, width), as a weight: sin in even columns, cos in odd ones.
 *
 * upstream: AR/modules/embedding.py SinePositionalEmbedding
 */
function sineTable(g: GraphBuilder, weights: CheckpointWeights, alpha: string, settings: Text2SemanticSettings): Value {
  const { positions, width } = settings;
  return g.weight(alpha.replace('alpha', 'table'), [positions, width], () => sineValues(weights, alpha, settings));
}

export function sineValues(
  weights: CheckpointWeights,
  alpha: string,
  { positions, width }: Text2SemanticSettings,
): Float32Array {
  const scale = weights.values(alpha)[0] ?? 1;
  const table = new Float32Array(positions * width);
  for (let pair = 0; pair < width; pair += 2) {
    // Rounded to float32 where upstream's own arithmetic rounds: at position 2,000 the product's rounding shows.
    const step = Math.fround(-Math.log(10000) / width);
    const frequency = Math.fround(Math.exp(Math.fround(pair * step)));
    for (let position = 0; position < positions; position++) {
      const angle = Math.fround(position * frequency);
      table[position * width + pair] = scale * Math.fround(Math.sin(angle));
      if (pair + 1 < width) table[position * width + pair + 1] = scale * Math.fround(Math.cos(angle));
    }
  }
  return table;
}

/** Where a product's weights are in the checkpoint. */
export function matrixOf(
  { width, heads, headWidth, feedForwardWidth, vocabulary }: Text2SemanticSettings,
  layer: number,
  product: Product,
): Matrix {
  const prefix = `h.layers.${layer}`;
  const byHead = { own: width / heads, wanted: headWidth };
  switch (product) {
    case 'qkv':
      return { name: `${prefix}.self_attn.in_proj_weight`, stored: [3 * width, width], outputs: byHead };
    case 'out':
      return { name: `${prefix}.self_attn.out_proj.weight`, stored: [width, width], inputs: byHead };
    case 'inner':
      return { name: `${prefix}.linear1.weight`, stored: [feedForwardWidth, width] };
    case 'outer':
      return { name: `${prefix}.linear2.weight`, stored: [width, feedForwardWidth] };
    case 'head':
      return { name: 'ar_predict_layer.weight', stored: [vocabulary, width] };
  }
}

/** The checkpoint's tensors as weights of the graph, without upstream's `model.` in front. */
export class CheckpointWeights {
  readonly #checkpoint: Checkpoint;

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  shape(name: string, rank: 2): [number, number] {
    const shape = this.#get(name).shape;
    if (shape.length !== rank) throw this.#unfit(name, shape, 'a matrix');
    return [shape[0] ?? 0, shape[1] ?? 0];
  }

  values(name: string): Float32Array {
    return this.#get(name).readFloat32();
  }

  /** A weight used as it is stored, or widened. */
  plain(g: GraphBuilder, name: string, shape: readonly number[], wider?: Widening): Value {
    const stored = this.#get(name);
    if (stored.shape.join() !== shape.join()) throw this.#unfit(name, stored.shape, `[${shape.join(', ')}]`);
    return g.weight(name, wider?.shape ?? shape, () => {
      const values = stored.readFloat32();
      return wider ? wider.widen(values) : values;
    });
  }

  /** A product's weights (outputs, inputs) in the compiled widths, read when they are asked for. */
  matrix(matrix: Matrix): { readonly outputs: number; readonly inputs: number; readonly load: () => Float32Array } {
    const [storedOutputs, storedInputs] = matrix.stored;
    const inputs = scaled(storedInputs, matrix.inputs);
    const stored = this.#get(matrix.name);
    if (stored.shape.join() !== matrix.stored.join()) {
      throw this.#unfit(matrix.name, stored.shape, `[${matrix.stored.join(', ')}]`);
    }
    const load = (): Float32Array => {
      const values = stored.readFloat32();
      const wide = matrix.inputs ? widened(values, matrix.inputs.own, matrix.inputs.wanted) : values;
      const { own, wanted } = matrix.outputs ?? { own: 1, wanted: 1 };
      return widened(wide, own * inputs, wanted * inputs);
    };
    return { outputs: scaled(storedOutputs, matrix.outputs), inputs, load };
  }

  /**
   * x · matrixᵀ + bias. Quantised weights keep PyTorch's order, and take the bias with them.
   */
  product(g: GraphBuilder, x: Value, matrix: Matrix, format: WeightFormat, bias: Value | null): Value {
    const { outputs, inputs, load } = this.matrix(matrix);
    if (format === 'fp32') {
      const weight = g.weight(matrix.name, [inputs, outputs], () => transpose(load(), outputs, inputs));
      return g.linear(x, weight, bias);
    }
    if (format === 'column-uint8' || format === 'column-int8') {
      const type = format === 'column-uint8' ? 'uint8' : 'int8';
      return columnProduct(g, x, { name: matrix.name, outputs, inputs, load }, bias, type);
    }
    const bits = format === 'int8' ? 8 : 4;
    const blockSize = BLOCK_SIZES[format];
    const blocks = Math.ceil(inputs / blockSize);
    const quantize = once(() => quantizeBlocks(load(), outputs, inputs, { bits, blockSize }));
    const bytes = (blockSize * bits) / 8;
    const data = g.weight(`${matrix.name}.q${bits}`, [outputs, blocks, bytes], () => quantize.first().data, 'uint8');
    const scales = g.weight(`${matrix.name}.q${bits}_scales`, [outputs * blocks], () => quantize.last().scales);
    return g.op(
      'MatMulNBits',
      [x, data, scales, null, null, bias],
      { K: inputs, N: outputs, bits, block_size: blockSize, accuracy_level: 4 },
      'com.microsoft',
    );
  }

  /** A matrix of (in, out), stored by PyTorch as (out, in), and perhaps widened once it is turned. */
  transposed(g: GraphBuilder, name: string, shape: readonly [number, number], wider?: Widening): Value {
    const [rows, columns] = shape;
    const stored = this.#get(name);
    if (stored.shape.join() !== `${columns},${rows}`) {
      throw this.#unfit(name, stored.shape, `[${columns}, ${rows}]`);
    }
    return g.weight(name, wider?.shape ?? shape, () => {
      const matrix = transpose(stored.readFloat32(), columns, rows);
      return wider ? wider.widen(matrix) : matrix;
    });
  }

  #find(name: string): CheckpointTensor | undefined {
    return this.#checkpoint.tensors.get(`model.${name}`) ?? this.#checkpoint.tensors.get(name);
  }

  #get(name: string): CheckpointTensor {
    const found = this.#find(name);
    if (found === undefined) {
      throw new AppError(
        'CHECKPOINT_UNSUPPORTED',
        `${this.#checkpoint.path} has no tensor "model.${name}"; expected a GPT-SoVITS text-to-semantic checkpoint (.ckpt)`,
      );
    }
    return found;
  }

  #unfit(name: string, shape: readonly number[], expected: string): AppError {
    return new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `${this.#checkpoint.path}: "model.${name}" has shape [${shape.join(', ')}], expected ${expected}`,
    );
  }
}

/** A matrix of (out, in) as PyTorch stores it, and how its outputs or inputs are widened with zeros. */
export interface Matrix {
  readonly name: string;
  readonly stored: readonly [number, number];
  readonly outputs?: { readonly own: number; readonly wanted: number };
  readonly inputs?: { readonly own: number; readonly wanted: number };
}

function scaled(size: number, by: { readonly own: number; readonly wanted: number } | undefined): number {
  return by ? (size / by.own) * by.wanted : size;
}

/** What a weight becomes when zeros are put between its values. */
interface Widening {
  readonly shape: readonly number[];
  readonly widen: (values: Float32Array) => Float32Array;
}

/** Every run of `own` values followed by zeros up to `wanted`. */
export function widened(values: Float32Array, own: number, wanted: number): Float32Array {
  if (own === wanted) return values;
  const result = new Float32Array((values.length / own) * wanted);
  for (let run = 0; run * own < values.length; run++) {
    result.set(values.subarray(run * own, (run + 1) * own), run * wanted);
  }
  return result;
}

/** (rows, columns) → (columns, rows), in blocks that stay in the cache. */
function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  const BLOCK = 32;
  for (let row0 = 0; row0 < rows; row0 += BLOCK) {
    const rowEnd = Math.min(rows, row0 + BLOCK);
    for (let column0 = 0; column0 < columns; column0 += BLOCK) {
      const columnEnd = Math.min(columns, column0 + BLOCK);
      for (let row = row0; row < rowEnd; row++) {
        for (let column = column0; column < columnEnd; column++) {
          result[column * rows + row] = matrix[row * columns + column]!;
        }
      }
    }
  }
  return result;
}

function section(config: PlainValue | undefined, name: string): PlainValue | undefined {
  return isRecord(config) ? config[name] : undefined;
}

function number(values: PlainValue | undefined, name: string): number | null {
  const value = isRecord(values) ? values[name] : undefined;
  return typeof value === 'number' ? value : null;
}

function isRecord(value: PlainValue | undefined): value is { readonly [key: string]: PlainValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
