import type { Text2SemanticSettings } from '../models/text2semantic.js';
import { type Tensor, tensor } from './tensor.js';

export type CacheArray = Float32Array | Int8Array;

/**
 * Keys and values of all rows by name (`k.0`, `v.0`, …), each (slots, heads, maxLength, headWidth). The network reads and
 * writes them in place. Pages are occupied where rows have been; slots are added when they are needed.
 */
export class KeyValueCache {
  readonly type: 'float32' | 'int8';
  readonly names: readonly string[];
  readonly #dims: readonly [heads: number, length: number, width: number];
  #arrays: ReadonlyMap<string, CacheArray>;
  #slots: number;

  /** `arrays`: where the network keeps its cache itself, for so many slots; by default the cache makes its own. */
  constructor(
    settings: Text2SemanticSettings,
    type: 'float32' | 'int8',
    slots: number,
    maxLength: number,
    arrays?: ReadonlyMap<string, CacheArray>,
  ) {
    this.type = type;
    this.names = Array.from({ length: settings.layers }, (_, layer) => [`k.${layer}`, `v.${layer}`]).flat();
    this.#dims = [settings.heads, maxLength, settings.headWidth];
    this.#slots = slots;
    this.#arrays = arrays ?? this.#allocate(slots);
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
        const channel = head * width;
        const [read, write] = [head * stride, (slot * heads + head) * stride];
        for (let index = start * width; index < end * width; index++) {
          const level = Math.round(from[read + index]! / step[channel + (index % width)]!);
          to[write + index] = level > 127 ? 127 : level < -128 ? -128 : level;
        }
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

/** By the cache's names: what one step of int8 stands for, (heads, headWidth). */
export type CacheStepsByName = ReadonlyMap<string, Float32Array>;
