import { closeSync, openSync, readSync } from 'node:fs';
import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import {
  type CacheSteps,
  CheckpointWeights,
  matrixOf,
  type Product,
  sineValues,
  type Text2SemanticSettings,
  widened,
} from '../../models/text2semantic.js';

/** Where a product's weights are in the image, in bytes. */
export interface ProductPlace {
  readonly weights: number;
  readonly scales: number;
  readonly bias: number;
  readonly inputs: number;
  /** A multiple of four. */
  readonly outputs: number;
}

export interface NormPlace {
  readonly weight: number;
  readonly bias: number;
}

export interface LayerPlaces {
  readonly products: Readonly<Record<Exclude<Product, 'head'>, ProductPlace>>;
  readonly norm1: NormPlace;
  readonly norm2: NormPlace;
  readonly keySteps: number;
  readonly valueSteps: number;
}

/** How the weights of a step lie in memory, and in the file that is read into it. */
export interface StepImageLayout {
  readonly layers: readonly LayerPlaces[];
  readonly head: ProductPlace;
  readonly embeddings: number;
  readonly sines: number;
  readonly sizeBytes: number;
}

/** A cache line. */
const ALIGNMENT_BYTES = 64;

/** Whether the step kernel takes a network: it reads eight inputs at a time. */
export function fitsStepKernel({ width, feedForwardWidth }: Text2SemanticSettings): boolean {
  return width % 8 === 0 && feedForwardWidth % 8 === 0;
}

export function layOutStepImage(settings: Text2SemanticSettings): StepImageLayout {
  const { width, heads, headWidth, feedForwardWidth, vocabulary } = settings;
  const attentionWidth = heads * headWidth;
  let end = 0;
  const place = (sizeBytes: number): number => {
    const start = end;
    end = Math.ceil((start + sizeBytes) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return start;
  };
  const product = (inputs: number, wanted: number): ProductPlace => {
    const outputs = Math.ceil(wanted / 4) * 4;
    const [weights, scales, bias] = [place(inputs * outputs), place(4 * outputs), place(4 * outputs)];
    return { weights, scales, bias, inputs, outputs };
  };
  const norm = (): NormPlace => ({ weight: place(4 * width), bias: place(4 * width) });
  const layers = Array.from({ length: settings.layers }, () => ({
    products: {
      qkv: product(width, 3 * attentionWidth),
      out: product(attentionWidth, width),
      inner: product(width, feedForwardWidth),
      outer: product(feedForwardWidth, width),
    },
    norm1: norm(),
    norm2: norm(),
    keySteps: place(4 * attentionWidth),
    valueSteps: place(4 * attentionWidth),
  }));
  const head = product(width, vocabulary);
  const embeddings = place(4 * vocabulary * width);
  const sines = place(4 * settings.positions * width);
  return { layers, head, embeddings, sines, sizeBytes: end };
}

/**
 * The weights of a step in 8 bits, each output with a scale of its own, as the kernel reads them: (outputs / 4, inputs / 8,
 * 4, 8), so that they are one stream. `cacheSteps` is what a step of the int8 cache stands for, by layer.
 */
export function packStepImage(
  checkpoint: Checkpoint,
  settings: Text2SemanticSettings,
  cacheSteps: readonly CacheSteps[],
): Uint8Array {
  const weights = new CheckpointWeights(checkpoint);
  const layout = layOutStepImage(settings);
  const image = new Uint8Array(layout.sizeBytes);
  const ownHeadWidth = settings.width / settings.heads;
  const floats = (offset: number, values: Float32Array): void =>
    new Float32Array(image.buffer, offset, values.length).set(values);
  const product = (place: ProductPlace, layer: number, name: Product, bias: Float32Array | null): void => {
    const matrix = weights.matrix(matrixOf(settings, layer, name));
    const order = name === 'qkv' ? byHead(settings) : (output: number): number => output;
    packProduct(image, place, matrix.load(), matrix.outputs, order);
    if (bias)
      floats(
        place.bias,
        Float32Array.from(bias, (_, output) => bias[order(output)]!),
      );
  };
  for (const [layer, places] of layout.layers.entries()) {
    const prefix = `h.layers.${layer}`;
    const { qkv, out, inner, outer } = places.products;
    const qkvBias = widened(weights.values(`${prefix}.self_attn.in_proj_bias`), ownHeadWidth, settings.headWidth);
    product(qkv, layer, 'qkv', qkvBias);
    product(out, layer, 'out', weights.values(`${prefix}.self_attn.out_proj.bias`));
    product(inner, layer, 'inner', weights.values(`${prefix}.linear1.bias`));
    product(outer, layer, 'outer', weights.values(`${prefix}.linear2.bias`));
    for (const norm of ['norm1', 'norm2'] as const) {
      floats(places[norm].weight, weights.values(`${prefix}.${norm}.weight`));
      floats(places[norm].bias, weights.values(`${prefix}.${norm}.bias`));
    }
    const steps = cacheSteps[layer]!; // one for each layer
    floats(places.keySteps, steps.keys);
    floats(places.valueSteps, steps.values);
  }
  product(layout.head, settings.layers, 'head', null);
  floats(layout.embeddings, weights.values('ar_audio_embedding.word_embeddings.weight'));
  floats(layout.sines, sineValues(weights, 'ar_audio_position.alpha', settings));
  return image;
}

/** The kernel computes query, key and value of a head together: output n of its order, by the network's own. */
function byHead({ heads, headWidth }: Text2SemanticSettings): (output: number) => number {
  return (output) => {
    const head = Math.floor(output / (3 * headWidth));
    const part = Math.floor(output / headWidth) % 3;
    return part * heads * headWidth + head * headWidth + (output % headWidth);
  };
}

function packProduct(
  image: Uint8Array,
  place: ProductPlace,
  matrix: Float32Array,
  outputs: number,
  order: (output: number) => number,
): void {
  const { inputs } = place;
  const levels = new Int8Array(image.buffer, place.weights, inputs * place.outputs);
  const scales = new Float32Array(image.buffer, place.scales, place.outputs);
  for (let output = 0; output < outputs; output++) {
    const row = matrix.subarray(order(output) * inputs, (order(output) + 1) * inputs);
    let peak = 0;
    for (let input = 0; input < inputs; input++) peak = Math.max(peak, Math.abs(row[input]!));
    const scale = Math.fround(peak / 127) || 1; // an output of zeros has no scale; any does
    scales[output] = scale;
    const start = (output >> 2) * inputs * 4 + (output & 3) * 8;
    for (let input = 0; input < inputs; input++) {
      levels[start + (input >> 3) * 32 + (input & 7)] = Math.round(row[input]! / scale);
    }
  }
}

/** What a step of the int8 cache stands for, by layer, from the file of an image. */
export function readImageCacheSteps(path: string, settings: Text2SemanticSettings): CacheSteps[] {
  const count = settings.heads * settings.headWidth;
  const file = openSync(path, 'r');
  try {
    const read = (offset: number): Float32Array => {
      const values = new Float32Array(count);
      readSync(file, values, 0, values.byteLength, offset);
      return values;
    };
    return layOutStepImage(settings).layers.map(({ keySteps, valueSteps }) => ({
      keys: read(keySteps),
      values: read(valueSteps),
    }));
  } finally {
    closeSync(file);
  }
}
