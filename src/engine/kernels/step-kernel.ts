import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../errors.js';
import type { MAX_ADAPTER_RANK } from '../../models/adapter-file.js';
import { ADAPTED_PRODUCTS, type Text2SemanticSettings } from '../../models/text2semantic.js';
import { adaptedWidths, type Text2SemanticAdapter } from '../../models/text2semantic-adapter.js';
import type { CacheArray } from '../key-value-cache.js';
import { layOutStepImage, type ProductPlace } from './step-image.js';
import * as WORD from './step-words.js';

export interface StepKernelOptions {
  /** Most rows of a step. */
  readonly rows: number;
  /** Most positions a row holds. */
  readonly maxLength: number;
  /** Threads that compute a step, the caller's included; 1 by default. */
  readonly threads?: number;
  /** Asks the system for large pages under the weights, which they are read through at every step. */
  readonly adviseLargePages?: (bytes: Uint8Array) => void;
}

/** A packed network: the bytes, or the file that they are in. */
export type StepImage = Uint8Array | { readonly path: string };

/** The part of the API that is used here; TypeScript knows it only among the things of a browser. */
interface WasmApi {
  readonly Memory: new (options: { initial: number; maximum: number; shared: true }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}

interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}

const wasm = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

/** The kernel has room for the ranks that an adapter may have, and no more. */
const MOST_RANKS = WORD.MOST_RANKS satisfies typeof MAX_ADAPTER_RANK;

const PAGE_BYTES = 65_536;
const MOST_PAGES = 65_536;
/** What the kernel's attention reads past the last position. */
const SLACK_BYTES = 4096;

/**
 * The step of a text-to-semantic network in 8 bits (`assembly/step.ts`), with its memory: weights, key/value cache, inputs
 * and logits. Belongs to the thread that made it, which other threads help while it is in {@link run}.
 */
export class StepKernel {
  /** Keys and values, `k.N` and `v.N`: (rows, heads, maxLength, headWidth). */
  readonly cache: ReadonlyMap<string, CacheArray>;
  /** The last token of each row. */
  readonly tokens: Int32Array;
  /** Their positions among the tokens. */
  readonly positions: Int32Array;
  /** Positions that each row holds before the step. */
  readonly lengths: Int32Array;
  /** (rows, logitsStride) */
  readonly logits: Float32Array;
  /** The vocabulary, rounded up. */
  readonly logitsStride: number;
  readonly #block: number;
  readonly #words: Int32Array;
  readonly #memory: WasmMemory;
  readonly #step: (block: number) => void;
  readonly #quantisePositions: (from: number, steps: number, to: number, width: number, count: number) => void;
  /** Where positions and steps lie while they are quantised. */
  readonly #prefilled: Float32Array;
  readonly #columnSteps: Float32Array;
  readonly #helpers: Worker[];
  readonly #adapters: AdapterTables;

  /** Throws `ENGINE_RUNTIME` where rows × maxLength do not fit into the 4 GB that a kernel can address. */
  constructor(image: StepImage, settings: Text2SemanticSettings, options: StepKernelOptions) {
    const { rows, maxLength, threads = 1 } = options;
    const { heads, headWidth, width, feedForwardWidth } = settings;
    const attentionWidth = heads * headWidth;
    const layout = layOutStepImage(settings);
    this.logitsStride = layout.head.outputs;

    let end = PAGE_BYTES;
    const reserve = (sizeBytes: number): number => {
      const start = end;
      end = Math.ceil((start + sizeBytes) / 64) * 64;
      return start;
    };
    const weights = reserve(layout.sizeBytes);
    const block = reserve(WORD.BLOCK_SIZE);
    const layerTable = reserve((settings.layers + 1) * WORD.LAYER_SIZE);
    const widest = Math.max(width, attentionWidth, feedForwardWidth);
    const scratchSize = Math.ceil((12 * rows * headWidth + 2 * headWidth + 4 * maxLength + 256) / 64) * 64;
    const places = {
      [WORD.TOKENS]: reserve(4 * rows),
      [WORD.POSITIONS]: reserve(4 * rows),
      [WORD.LENGTHS]: reserve(4 * rows),
      [WORD.ADAPTERS]: reserve(4 * rows),
      [WORD.LOGITS]: reserve(4 * rows * this.logitsStride),
      [WORD.X]: reserve(4 * rows * width),
      [WORD.QUANTISED]: reserve(2 * rows * widest),
      [WORD.QUANTISED_SCALES]: reserve(4 * rows),
      [WORD.ATTENDED]: reserve(4 * rows * attentionWidth),
      [WORD.CHANGE]: reserve(4 * rows * width),
      [WORD.INNER]: reserve(4 * rows * feedForwardWidth),
      [WORD.REDUCED]: reserve(4 * rows * MOST_RANKS),
      [WORD.SCRATCH]: reserve(threads * scratchSize),
    };
    const prefilled = reserve(4 * maxLength * headWidth);
    const columnSteps = reserve(4 * headWidth);
    const adapterTables = Array.from({ length: rows }, () => reserve(AdapterTables.sizeBytes(settings)));
    const cacheBytes = rows * attentionWidth * maxLength;
    const caches = Array.from({ length: settings.layers }, () => ({ k: reserve(cacheBytes), v: reserve(cacheBytes) }));
    reserve(SLACK_BYTES);
    const pages = Math.ceil(end / PAGE_BYTES);
    if (pages > MOST_PAGES) {
      throw new AppError(
        'ENGINE_RUNTIME',
        `${rows} rows of ${maxLength} positions need ${Math.round(end / 1e6)} MB, and the step kernel can address 4,294; use fewer rows`,
      );
    }
    this.#memory = new wasm.Memory({ initial: pages, maximum: pages, shared: true });
    const { buffer } = this.#memory;
    const weightBytes = new Uint8Array(buffer, weights, layout.sizeBytes);
    options.adviseLargePages?.(weightBytes);
    fill(weightBytes, image);

    const words = new Int32Array(buffer);
    this.#words = words;
    this.#block = block;
    const set = (address: number, value: number): void => {
      words[address >>> 2] = value;
    };
    const parameters: Readonly<Record<number, number>> = {
      [WORD.LAYERS]: settings.layers,
      [WORD.WIDTH]: width,
      [WORD.HEADS]: heads,
      [WORD.HEAD_WIDTH]: headWidth,
      [WORD.INNER_WIDTH]: feedForwardWidth,
      [WORD.VOCABULARY]: this.logitsStride,
      [WORD.MAX_LENGTH]: maxLength,
      [WORD.EMBEDDINGS]: weights + layout.embeddings,
      [WORD.SINES]: weights + layout.sines,
      [WORD.LAYER_TABLE]: layerTable,
      [WORD.SCRATCH_SIZE]: scratchSize,
      ...places,
    };
    for (const [word, value] of Object.entries(parameters)) set(block + Number(word), value);
    new Float32Array(buffer)[(block + WORD.ATTENTION_SCALE) >> 2] = 1 / Math.sqrt(width / heads);
    const setProduct = (address: number, product: ProductPlace): void => {
      set(address, weights + product.weights);
      set(address + WORD.PRODUCT_SCALES, weights + product.scales);
      set(address + WORD.PRODUCT_BIAS, weights + product.bias);
    };
    for (const [layer, { products, norm1, norm2, keySteps, valueSteps }] of layout.layers.entries()) {
      const at = layerTable + layer * WORD.LAYER_SIZE;
      setProduct(at + WORD.QKV, products.qkv);
      setProduct(at + WORD.OUT, products.out);
      setProduct(at + WORD.INWARD, products.inner);
      setProduct(at + WORD.OUTWARD, products.outer);
      for (const [word, norm] of [[WORD.NORM1, norm1] as const, [WORD.NORM2, norm2] as const]) {
        set(at + word, weights + norm.weight);
        set(at + word + WORD.NORM_BIAS, weights + norm.bias);
      }
      const { k, v } = caches[layer]!; // one for each layer
      set(at + WORD.KEYS, k);
      set(at + WORD.VALUES, v);
      set(at + WORD.KEY_STEPS, weights + keySteps);
      set(at + WORD.VALUE_STEPS, weights + valueSteps);
    }
    setProduct(layerTable + settings.layers * WORD.LAYER_SIZE, layout.head);

    const ints = (word: number): Int32Array => new Int32Array(buffer, parameters[word], rows);
    this.tokens = ints(WORD.TOKENS);
    this.positions = ints(WORD.POSITIONS);
    this.lengths = ints(WORD.LENGTHS);
    this.logits = new Float32Array(buffer, places[WORD.LOGITS], rows * this.logitsStride);
    this.cache = new Map(
      caches.flatMap(({ k, v }, layer) => [
        [`k.${layer}`, new Int8Array(buffer, k, cacheBytes)] as const,
        [`v.${layer}`, new Int8Array(buffer, v, cacheBytes)] as const,
      ]),
    );
    this.#adapters = new AdapterTables(buffer, adapterTables, ints(WORD.ADAPTERS), settings);

    const module = new wasm.Module(readFileSync(new URL('../data/step.wasm', import.meta.url)));
    const instance = new wasm.Instance(module, { env: { memory: this.#memory } });
    this.#step = instance.exports['step'] as (block: number) => void;
    this.#quantisePositions = instance.exports['quantisePositions'] as (...args: number[]) => void;
    this.#prefilled = new Float32Array(buffer, prefilled, maxLength * headWidth);
    this.#columnSteps = new Float32Array(buffer, columnSteps, headWidth);
    this.#helpers = Array.from({ length: threads - 1 }, (_, index) => {
      const workerData = { module, memory: this.#memory, block, thread: index + 1 };
      const helper = new Worker(HELPER, { eval: true, execArgv: [], workerData });
      helper.unref();
      return helper;
    });
  }

  /** Computes the logits of the first `adapters.length` rows, and appends their keys and values; null: no adapter. */
  run(adapters: readonly (Text2SemanticAdapter | null)[]): void {
    this.#words[(this.#block + WORD.ROWS) >> 2] = adapters.length;
    this.#adapters.choose(adapters);
    this.#step(this.#block);
  }

  /** Positions of a head from fp32 (positions, headWidth) to a place in {@link cache}, each column divided by its step. */
  quantise(from: Float32Array, to: Int8Array, steps: Float32Array): void {
    this.#prefilled.set(from);
    this.#columnSteps.set(steps);
    const { byteOffset: source } = this.#prefilled;
    const count = from.length / steps.length;
    this.#quantisePositions(source, this.#columnSteps.byteOffset, to.byteOffset, steps.length, count);
  }

  close(): void {
    Atomics.store(this.#words, (this.#block + WORD.STOP) >> 2, 1);
    Atomics.add(this.#words, (this.#block + WORD.EPOCH) >> 2, 1);
    Atomics.notify(this.#words, (this.#block + WORD.EPOCH) >> 2);
    for (const helper of this.#helpers) void helper.terminate();
  }
}

/** What a thread that helps runs; it has nothing else to load. */
const HELPER = `
const { workerData: { module, memory, block, thread } } = require('node:worker_threads');
new WebAssembly.Instance(module, { env: { memory } }).exports.serve(block, thread);
`;

function fill(bytes: Uint8Array, image: StepImage): void {
  if (image instanceof Uint8Array) {
    bytes.set(image);
    return;
  }
  const file = openSync(image.path, 'r');
  try {
    let done = 0;
    while (done < bytes.length) {
      const read = readSync(file, bytes, done, Math.min(bytes.length - done, 1 << 26), done);
      if (read === 0) {
        throw new AppError(
          'MODEL_STORE_CORRUPT',
          `"${image.path}" has ${done} bytes, expected ${bytes.length}; import the model again`,
        );
      }
      done += read;
    }
  } finally {
    closeSync(file);
  }
}

/** Adapters in the kernel's memory: one place for each row, so that those of all rows are there at once. */
class AdapterTables {
  readonly #words: Int32Array;
  readonly #floats: Float32Array;
  readonly #places: readonly number[];
  readonly #rows: Int32Array;
  readonly #settings: Text2SemanticSettings;
  /** The adapter of each place, the least recently used first. */
  readonly #held = new Map<Text2SemanticAdapter, number>();

  constructor(buffer: ArrayBufferLike, places: readonly number[], rows: Int32Array, settings: Text2SemanticSettings) {
    this.#words = new Int32Array(buffer);
    this.#floats = new Float32Array(buffer);
    this.#places = places;
    this.#rows = rows;
    this.#settings = settings;
  }

  /** Room for every product changed at the highest rank. Pages are occupied where adapters have been. */
  static sizeBytes(settings: Text2SemanticSettings): number {
    const matrices = ADAPTED_PRODUCTS.map((product) => {
      const { inputs, outputs } = adaptedWidths(product, settings);
      return 4 * MOST_RANKS * (inputs + outputs);
    }).reduce((sum, size) => sum + size, 0);
    return settings.layers * (matrices + ADAPTED_PRODUCTS.length * WORD.ADAPTER_ENTRY);
  }

  choose(adapters: readonly (Text2SemanticAdapter | null)[]): void {
    for (const [row, adapter] of adapters.entries()) {
      this.#rows[row] = adapter ? this.#place(adapter, adapters) : 0;
    }
  }

  #place(adapter: Text2SemanticAdapter, wanted: readonly (Text2SemanticAdapter | null)[]): number {
    const known = this.#held.get(adapter);
    if (known !== undefined) {
      this.#held.delete(adapter);
      this.#held.set(adapter, known);
      return known;
    }
    const place = this.#places[this.#held.size] ?? this.#vacate(wanted);
    this.#write(adapter, place);
    this.#held.set(adapter, place);
    return place;
  }

  #vacate(wanted: readonly (Text2SemanticAdapter | null)[]): number {
    for (const [adapter, place] of this.#held) {
      if (wanted.includes(adapter)) continue;
      this.#held.delete(adapter);
      return place;
    }
    throw new AppError('INTERNAL', 'more adapters than rows in one step');
  }

  #write({ rank, changes }: Text2SemanticAdapter, place: number): void {
    const { layers } = this.#settings;
    let end = place + layers * ADAPTED_PRODUCTS.length * WORD.ADAPTER_ENTRY;
    for (let layer = 0; layer < layers; layer++) {
      for (const [index, product] of ADAPTED_PRODUCTS.entries()) {
        const entry = place + (layer * ADAPTED_PRODUCTS.length + index) * WORD.ADAPTER_ENTRY;
        const change = changes.get(`${layer}.${product}`);
        this.#words[entry >> 2] = change ? rank : 0;
        if (!change) continue;
        const { inputs, outputs } = adaptedWidths(product, this.#settings);
        this.#words[(entry + WORD.ADAPTER_A) >> 2] = end;
        for (let at = 0; at < rank; at++) {
          for (let input = 0; input < inputs; input++) {
            this.#floats[(end >> 2) + at * inputs + input] = change.a[input * rank + at]!;
          }
        }
        end += 4 * rank * inputs;
        this.#words[(entry + WORD.ADAPTER_B) >> 2] = end;
        this.#floats.set(change.b, end >> 2);
        end += 4 * rank * outputs;
      }
    }
  }
}
