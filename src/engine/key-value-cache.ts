import type { Text2SemanticSettings } from '../models/text2semantic.js';
import { type Tensor, tensor } from './tensor.js';

export type CacheArray = Float32Array | Int8Array;

/** A network that keeps its int8 cache itself, and quantises what goes there. */
export interface CacheHost {
  readonly cache: ReadonlyMap<string, CacheArray>;
  /** See {@link quantisePositions}; `to` is part of an array of the cache. */
  quantise(from: Float32Array, to: Int8Array, steps: Float32Array): void;
}

/**
 * Keys and values of all rows by name (`k.0`, `v.0`, …), each (slots, heads, maxLength, headWidth). The network reads and
 * writes them in place. Pages are occupied where rows have been; slots are added when they are needed.
 */
export class KeyValueCache {
  readonly type: 'float32' | 'int8';
  readonly names: readonly string[];
  readonly #dims: readonly [heads: number, length: number, width: number];
  readonly #quantise: CacheHost['quantise'];
  #arrays: ReadonlyMap<string, CacheArray>;
  #slots: number;

  /** `host`: the network, where it keeps its cache of so many slots itself; by default the cache makes its own arrays. */
  constructor(
    settings: Text2SemanticSettings,
    type: 'float32' | 'int8',
    slots: number,
    maxLength: number,
    host?: CacheHost,
  ) {
    this.type = type;
    this.names = Array.from({ length: settings.layers }, (_, layer) => [`k.${layer}`, `v.${layer}`]).flat();
    this.#dims = [settings.heads, maxLength, settings.headWidth];
    this.#slots = slots;
    this.#arrays = host?.cache ?? this.#allocate(slots);
    this.#quantise = host ? (...args) => host.quantise(...args) : quantisePositions;
  }

  get slots(): number {
    return this.#slots;
  }

  /** Makes room for `slots` rows, keeping the first `lengths.length` with so many positions each. */
  grow(slots: number, lengths: readonly number[]): void {
    const [heads, maxLength, width] = this.#dims;
    const stride = maxLength * width;
    const larger = this.#allocate(slots);
    for (const [name, from] of this.#arrays) {
      const to = larger.get(name)!; // both have the same names
      for (const [slot, length] of lengths.entries()) {
        for (let head = 0; head < heads; head++) {
          const start = (slot * heads + head) * stride;
          to.set(from.subarray(start, start + length * width), start);
        }
      }
    }
    this.#arrays = larger;
    this.#slots = slots;
  }

  /** Binds slots as inputs (`past_k.0`, …), and returns them as the outputs that they are too. */
  bind(inputs: Record<string, Tensor>, slot: number, count: number): Record<string, Tensor> {
    const outputs: Record<string, Tensor> = {};
    for (const [name, values] of this.#arrays) {
      const view = values.subarray(slot * this.#slotSize, (slot + count) * this.#slotSize);
      outputs[name] = inputs[`past_${name}`] = tensor(this.type, [count, ...this.#dims], view);
    }
    return outputs;
  }

  move(from: number, to: number, length: number): void {
    const [heads, maxLength, width] = this.#dims;
    const stride = maxLength * width;
    for (const values of this.#arrays.values()) {
      for (let head = 0; head < heads; head++) {
        const source = (from * heads + head) * stride;
        values.copyWithin((to * heads + head) * stride, source, source + length * width);
      }
    }
  }

  /** Takes positions `start` to `end` of the only slot of an fp32 cache, divided by the steps (heads, headWidth). */
  quantizeFrom(source: KeyValueCache, slot: number, start: number, end: number, steps: CacheStepsByName): void {
    const [heads, maxLength, width] = this.#dims;
    const stride = maxLength * width;
    for (const [name, to] of this.#arrays) {
      const from = source.#arrays.get(name)!; // both have the same names
      const step = steps.get(name)!; // one for each name
      for (let head = 0; head < heads; head++) {
        const [read, write] = [head * stride, (slot * heads + head) * stride];
        this.#quantise(
          from.subarray(read + start * width, read + end * width) as Float32Array, // the source is fp32
          to.subarray(write + start * width, write + end * width) as Int8Array, // this cache is int8
          step.subarray(head * width, (head + 1) * width),
        );
      }
    }
  }

  /** (positions, width) of a slot, in the cache's own units. */
  read(name: string, slot: number, from: number, to: number): Float32Array {
    const [heads, maxLength, width] = this.#dims;
    const values = this.#arrays.get(name)!; // callers name a layer of the model
    const result = new Float32Array((to - from) * heads * width);
    for (let head = 0; head < heads; head++) {
      for (let position = from; position < to; position++) {
        const source = ((slot * heads + head) * maxLength + position) * width;
        const target = ((position - from) * heads + head) * width;
        for (let at = 0; at < width; at++) result[target + at] = values[source + at]!;
      }
    }
    return result;
  }

  get #slotSize(): number {
    const [heads, length, width] = this.#dims;
    return heads * length * width;
  }

  #allocate(slots: number): Map<string, CacheArray> {
    const size = slots * this.#slotSize;
    // Zeroed pages that the system hands out when they are first written.
    const make = (): CacheArray => (this.type === 'int8' ? new Int8Array(size) : new Float32Array(size));
    return new Map(this.names.map((name) => [name, make()]));
  }
}

/** Adding this to a double of less than 2^31 and taking it away rounds to the nearest whole number, and ties to even. */
const ROUNDING = 1.5 * 2 ** 52;

/**
 * Positions of a head in fp32 (positions, width) to levels, each column divided by its step, as the step kernel does it in a
 * tenth of the time. `Math.round`, which branches on every value, takes twice as long.
 */
export function quantisePositions(from: Float32Array, to: Int8Array, steps: Float32Array): void {
  const width = steps.length;
  for (let row = 0; row < from.length; row += width) {
    for (let column = 0; column < width; column++) {
      const level = Math.fround(from[row + column]! / steps[column]!) + ROUNDING - ROUNDING;
      to[row + column] = level > 127 ? 127 : level < -128 ? -128 : level;
    }
  }
}

/** By the cache's names: what one step of int8 stands for, (heads, headWidth). */
export type CacheStepsByName = ReadonlyMap<string, Float32Array>;
