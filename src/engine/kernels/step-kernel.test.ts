import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { randomText2Semantic } from '../../../test/fixtures/random-text2semantic.js';
import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import {
  ADAPTED_PRODUCTS,
  buildText2Semantic,
  type CacheSteps,
  readText2SemanticSettings,
  type Text2SemanticOptions,
  type Text2SemanticSettings,
} from '../../models/text2semantic.js';
import { adaptedWidths, type Text2SemanticAdapter } from '../../models/text2semantic-adapter.js';
import { encodeModel } from '../../onnx/model-file.js';
import { quantisePositions } from '../key-value-cache.js';
import { openRuntime } from '../onnxruntime.js';
import { type RowRequest, SemanticDecoder } from '../semantic-decoder.js';
import { fitsStepKernel, layOutStepImage, packStepImage, readImageCacheSteps } from './step-image.js';
import { StepKernel } from './step-kernel.js';

const folder = mkdtempSync(join(tmpdir(), 'timbre-kernel-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const open: SemanticDecoder[] = [];
afterEach(() => {
  for (const decoder of open.splice(0)) decoder.close();
});

interface Network {
  readonly checkpoint: Checkpoint;
  readonly settings: Text2SemanticSettings;
}

const flatSteps = ({ layers, heads, headWidth }: Text2SemanticSettings) =>
  Array.from({ length: layers }, () => {
    const steps = new Float32Array(heads * headWidth).fill(8 / 127);
    return { keys: steps, values: steps };
  });

/** Width 256 with 8 heads of 32; width 120 with 5 heads of 24. */
const NETWORKS = [
  [256, 8],
  [120, 5],
] as const;

function network(width: number, heads: number): Network {
  const checkpoint = inLevels(randomText2Semantic(width, heads, 2, 0));
  return { checkpoint, settings: readText2SemanticSettings(checkpoint, { positions: 512 }) };
}

/** The network with matrices that 8 bits hold exactly, so that what is computed from them can be compared closely. */
function inLevels(checkpoint: Checkpoint): Checkpoint {
  const tensors = new Map(checkpoint.tensors);
  for (const [name, tensor] of checkpoint.tensors) {
    if (!/h\.layers.*(in_proj_weight|out_proj\.weight|linear\d\.weight)$|ar_predict_layer/.test(name)) continue;
    const values = tensor.readFloat32();
    const inputs = tensor.shape[1]!;
    for (let start = 0; start < values.length; start += inputs) {
      const row = values.subarray(start, start + inputs);
      const step = Math.fround(row.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0) / 127);
      for (const [index, value] of row.entries()) row[index] = Math.round(value / step) * step;
    }
    tensors.set(name, { ...tensor, readFloat32: () => values.slice() });
  }
  return { ...checkpoint, tensors };
}

type Observer = (row: number, logits: Float32Array) => void;

const sessionOf = ({ checkpoint, settings }: Network, options: Text2SemanticOptions) =>
  openRuntime().createSession(encodeModel(buildText2Semantic(checkpoint, settings, options), null));

/** Weights in fp32, and a cache that is fp32 too, or int8 with the steps given. */
function graphDecoder(model: Network, cacheSteps?: readonly CacheSteps[], observer?: Observer): SemanticDecoder {
  const step: Text2SemanticOptions = {
    part: 'step',
    precision: { format: () => 'fp32', cacheSteps: cacheSteps ? (layer) => cacheSteps[layer]! : null },
  };
  const parts = (adapters: boolean) => ({
    prefill: sessionOf(model, { part: 'prefill', adapters }),
    step: sessionOf(model, { ...step, adapters }),
  });
  const sessions = { ...parts(false), ...(cacheSteps && { cacheSteps }), adapted: () => parts(true) };
  return keep(new SemanticDecoder(sessions, model.settings, { maxLength: 400, ...(observer && { observer }) }));
}

/** The kernel's step after an fp32 prefill. */
function kernelDecoder(
  model: Network,
  options: {
    threads?: number;
    observer?: Observer;
    image?: { path: string };
    cacheSteps?: readonly CacheSteps[];
  } = {},
) {
  const { checkpoint, settings } = model;
  const cacheSteps = options.cacheSteps ?? flatSteps(settings);
  const image = options.image ?? packStepImage(checkpoint, settings, cacheSteps);
  const prefill = (adapters: boolean) => sessionOf(model, { part: 'prefill', adapters });
  const sessions = {
    prefill: prefill(false),
    step: (size: { rows: number; maxLength: number }) =>
      new StepKernel(image, settings, { ...size, threads: options.threads ?? 1 }),
    cacheSteps,
    adapted: () => ({ prefill: prefill(true) }),
  };
  const { observer } = options;
  return keep(new SemanticDecoder(sessions, settings, { rows: 12, maxLength: 400, ...(observer && { observer }) }));
}

function keep(decoder: SemanticDecoder): SemanticDecoder {
  open.push(decoder);
  return decoder;
}

function request(seed: number, more: Partial<RowRequest> = {}): RowRequest {
  return {
    phonemeIds: Array.from({ length: 12 + 3 * seed }, (_, index) => (index * 7 + seed) % 40),
    bertFeatures: null,
    promptSemantic: Array.from({ length: 5 + seed }, (_, index) => (index * 13 + seed) % 120),
    sampling: { topK: 15, topP: 0.95, temperature: 1, repetitionPenalty: 1.35 },
    seed,
    sentenceKey: seed,
    maxNewTokens: 40,
    ...more,
  };
}

/** The tokens of each request, all rows side by side; `joinAt` says before which step each row joins. */
function decode(decoder: SemanticDecoder, requests: readonly RowRequest[], joinAt = (_: number) => 0): number[][] {
  const tokens: number[][] = requests.map(() => []);
  const places = new Map<number, number>();
  for (let step = 0; step === 0 || decoder.size > 0 || places.size < requests.length; step++) {
    for (const [place, wanted] of requests.entries()) {
      if (joinAt(place) !== step) continue;
      const event = decoder.addRow(wanted);
      places.set(event.row, place);
      if (event.token !== null) tokens[place]!.push(event.token);
    }
    for (const event of decoder.step()) {
      if (event.token !== null) tokens[places.get(event.row)!]!.push(event.token);
    }
  }
  return tokens;
}

function adapterOf(settings: Text2SemanticSettings, rank: number, seed: number): Text2SemanticAdapter {
  const values = (length: number, scale: number) =>
    Float32Array.from({ length }, (_, index) => scale * Math.sin(1.7 * index * (seed + 1) + seed));
  const changes = new Map<string, { a: Float32Array; b: Float32Array }>();
  for (let layer = 0; layer < settings.layers; layer++) {
    for (const product of ADAPTED_PRODUCTS) {
      const { inputs, outputs } = adaptedWidths(product, settings);
      // One product is left alone.
      if (layer === 1 && product === 'inner') continue;
      changes.set(`${layer}.${product}`, { a: values(inputs * rank, 0.05), b: values(rank * outputs, 0.1) });
    }
  }
  return { rank, changes, sizeBytes: 0 };
}

/** Steps of a cache that hold what rows led along their tokens put there. */
function calibrate(model: Network, rows: readonly RowRequest[]): CacheSteps[] {
  const decoder = graphDecoder(model);
  const ids = rows.map((row) => decoder.addRow(row).row);
  for (let step = 1; step < 28; step++) decoder.step();
  const { layers, heads, headWidth } = model.settings;
  return Array.from({ length: layers }, (_, layer) => {
    const peaks = { keys: new Float32Array(heads * headWidth), values: new Float32Array(heads * headWidth) };
    for (const cache of ids.map((id) => decoder.readCache(id, layer))) {
      for (const part of ['keys', 'values'] as const) {
        for (const [index, value] of cache[part].entries()) {
          const channel = index % (heads * headWidth);
          peaks[part][channel] = Math.max(peaks[part][channel]!, Math.abs(value));
        }
      }
    }
    return { keys: peaks.keys.map((peak) => peak / 120), values: peaks.values.map((peak) => peak / 120) };
  });
}

/** Root mean square of the difference, against that of the values. */
function relativeError(found: Float32Array, wanted: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [index, value] of wanted.entries()) {
    difference += (found[index]! - value) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}

/** The logits of each step of rows led along the same tokens. */
function logitsOf(build: (observer: Observer) => SemanticDecoder, rows: RowRequest[]) {
  const logits: Float32Array[] = [];
  const decoder = build((_, values) => logits.push(values.slice()));
  decode(decoder, rows);
  return logits;
}

describe('the step kernel', () => {
  it.each(NETWORKS)('computes what the graph with the same cache computes: width %i, %i heads', (width, heads) => {
    const model = network(width, heads);
    const forcedTokens = Array.from({ length: 30 }, (_, index) => (index * 17) % 120);
    const adapter = adapterOf(model.settings, 8, 3);
    const rows = [request(0), request(3), request(5, { adapterWeights: adapter })].map((row) => ({
      ...row,
      forcedTokens,
    }));
    const cacheSteps = calibrate(model, rows);
    const wanted = logitsOf((observer) => graphDecoder(model, cacheSteps, observer), rows);
    const found = logitsOf((observer) => kernelDecoder(model, { observer, cacheSteps }), rows);
    expect(found).toHaveLength(wanted.length);
    expect(wanted.length).toBeGreaterThan(80);
    const errors = wanted.map((logits, step) => relativeError(found[step]!, logits)).sort((a, b) => a - b);
    // All but alike, until a key or value that lies between two steps of the cache is rounded the other way.
    expect(errors[errors.length >> 1]).toBeLessThan(0.004);
    expect(errors.at(-1)).toBeLessThan(0.02);
    // The adapter is no rounding error.
    const plain = logitsOf(
      (observer) => kernelDecoder(model, { observer, cacheSteps }),
      rows.map((row) => ({ ...row, adapterWeights: null })),
    );
    expect(relativeError(plain[8]!, wanted[8]!)).toBeGreaterThan(0.1);
  });

  it('quantises a prefill as its steps do and as the other caches are: to the nearest, ties to even, clipped', () => {
    const model = network(256, 8);
    const { headWidth } = model.settings;
    const image = packStepImage(model.checkpoint, model.settings, flatSteps(model.settings));
    const kernel = new StepKernel(image, model.settings, { rows: 2, maxLength: 300 });
    try {
      const steps = Float32Array.from({ length: headWidth }, (_, column) => (column < 8 ? 0.25 : 0.01 * column));
      const from = Float32Array.from({ length: 200 * headWidth }, (_, index) => 40 * Math.sin(index * index));
      from.set([0.5, 1.5, -0.5, -1.5, 1e9, -1e9, Number.NaN].map((level) => 0.25 * level));
      const place = kernel.cache.get('v.1')!.subarray(64, 64 + from.length) as Int8Array;
      kernel.quantise(from, place, steps);
      const expected = new Int8Array(from.length);
      quantisePositions(from, expected, steps);
      expect([...place.subarray(0, 7)]).toEqual([0, 2, 0, -2, 127, -128, 0]);
      expect(place).toEqual(expected);
    } finally {
      kernel.close();
    }
  });

  it('gives a row the same tokens alone and among others, with one thread and with three, whoever has an adapter', () => {
    const model = network(256, 8);
    const adapters = [adapterOf(model.settings, 4, 1), adapterOf(model.settings, 16, 2)];
    const rows = Array.from({ length: 9 }, (_, index) =>
      request(index, { adapterWeights: index % 3 === 0 ? null : adapters[index % 3 === 1 ? 0 : 1]! }),
    );
    const alone = rows.map((row) => decode(kernelDecoder(model), [row])[0]);
    expect(new Set(alone.map((tokens) => tokens?.join())).size).toBe(rows.length);
    for (const threads of [1, 3]) {
      const decoder = kernelDecoder(model, { threads });
      expect(decode(decoder, rows, (place) => 3 * place)).toEqual(alone);
      // Once more, with rows in other slots.
      expect(decode(decoder, rows, (place) => 2 * (rows.length - place))).toEqual(alone);
    }
  });

  it('keeps more adapters than rows can have at once, each where its row finds it', () => {
    const model = network(120, 5);
    const adapters = Array.from({ length: 14 }, (_, index) => adapterOf(model.settings, 2, index));
    const decoder = kernelDecoder(model);
    const first = adapters.map((adapter) => decode(decoder, [request(1, { adapterWeights: adapter })])[0]);
    expect(new Set(first.map((tokens) => tokens?.join())).size).toBeGreaterThan(9);
    const again = adapters.map((adapter) => decode(decoder, [request(1, { adapterWeights: adapter })])[0]);
    expect(again).toEqual(first);
  });

  it('reads its weights from a file, and says so when the file is too short', () => {
    const model = network(120, 5);
    const image = packStepImage(model.checkpoint, model.settings, flatSteps(model.settings));
    const path = join(folder, 'step.kernel');
    writeFileSync(path, image);
    expect(readImageCacheSteps(path, model.settings)).toEqual(flatSteps(model.settings));
    const rows = [request(2)];
    expect(decode(kernelDecoder(model, { image: { path } }), rows)).toEqual(decode(kernelDecoder(model), rows));
    writeFileSync(path, image.subarray(0, image.length - 1));
    expect(() => kernelDecoder(model, { image: { path } })).toThrow(/step\.kernel" has \d+ bytes, expected \d+/);
  });

  it('packs each weight to within half a step of its output', () => {
    const { checkpoint, settings } = network(120, 5);
    const image = packStepImage(checkpoint, settings, flatSteps(settings));
    const place = layOutStepImage(settings).layers[1]!.products.outer;
    const matrix = checkpoint.tensors.get('model.h.layers.1.linear2.weight')!.readFloat32();
    const steps = new Float32Array(image.buffer, place.scales, place.outputs);
    const levels = new Int8Array(image.buffer, place.weights, place.inputs * place.outputs);
    for (let output = 0; output < place.outputs; output += 7) {
      for (let input = 0; input < place.inputs; input += 5) {
        const at = (output >> 2) * place.inputs * 4 + (input >> 3) * 32 + (output & 3) * 8 + (input & 7);
        const error = Math.abs(levels[at]! * steps[output]! - matrix[output * place.inputs + input]!);
        expect(error).toBeLessThanOrEqual(0.5001 * steps[output]!);
      }
    }
  });

  it('refuses more rows than it can address, and networks whose widths are no multiples of eight', () => {
    const model = network(256, 8);
    const image = packStepImage(model.checkpoint, model.settings, flatSteps(model.settings));
    expect(() => new StepKernel(image, model.settings, { rows: 3000, maxLength: 2304 })).toThrow(/use fewer rows/);
    expect(fitsStepKernel({ ...model.settings, width: 60 })).toBe(false);
    expect(fitsStepKernel(model.settings)).toBe(true);
  });
});
