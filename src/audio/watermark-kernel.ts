import { readFileSync } from 'node:fs';
import * as AT from './watermark-memory.js';

export interface CellGains {
  /** By time and band; of the bins that change, each two are a band. */
  readonly cells: Float64Array;
  readonly bands: number;
  /** Frames of a cell of time. */
  readonly cellFrames: number;
}

/** The part of the API that is used here; TypeScript knows it only among the things of a browser. */
interface WasmApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

const wasm = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

/** Sequences of a frame have 128 samples, and bins lie 31.25 Hz apart: frames are a pair of sequences for each 8 kHz. */
const HZ_A_PAIR = 8000;
const SAMPLES_A_PAIR = 256;

/** Rates whose sound can be marked: multiples of 8 kHz up to 64. */
export function isMarkedRate(sampleRateHz: number): boolean {
  const pairs = sampleRateHz / HZ_A_PAIR;
  return Number.isInteger(pairs) && pairs >= 1 && pairs <= AT.MOST_PAIRS;
}

/** `assembly/watermark.ts` with the tables of one sampling rate: frames of 32 ms, half a frame apart. */
export class WatermarkKernel {
  /** Samples of half a frame. */
  readonly hop: number;
  readonly #gains: CellGains;
  readonly #pairs: number;
  readonly #memory: ArrayBufferLike;
  readonly #mark: (pairs: number, frame: number, gains: number) => void;

  constructor(sampleRateHz: number, gains: CellGains) {
    if (!isMarkedRate(sampleRateHz)) throw new Error(`sound of ${sampleRateHz} Hz cannot be marked`);
    const pairs = sampleRateHz / HZ_A_PAIR;
    this.hop = (pairs * SAMPLES_A_PAIR) / 2;
    this.#gains = gains;
    this.#pairs = pairs;
    const { exports } = new wasm.Instance(compiled());
    this.#memory = (exports['memory'] as { readonly buffer: ArrayBufferLike }).buffer;
    this.#mark = exports['mark'] as (pairs: number, frame: number, gains: number) => void;
    this.#writeTables();
  }

  /**
   * Marks the frames of `input`, the first of which is number `frameIndex` of its stream.
   *
   * @param tail half a frame: what the frame before changes of this one; afterwards, what the last one does of the next.
   * @param out half a frame for each that is in `input`, which has half a frame more than that.
   */
  mark(input: Float32Array, tail: Float32Array, frameIndex: number, out: Float32Array): void {
    const { hop } = this;
    const { cells, bands, cellFrames } = this.#gains;
    const frames = out.length / hop;
    const periodCells = cells.length / bands;
    const memoryTail = this.#floats(AT.TAIL, hop);
    memoryTail.set(tail);
    for (let start = 0; start < frames; start += AT.MOST_FRAMES) {
      const count = Math.min(AT.MOST_FRAMES, frames - start);
      const length = (count + 1) * hop;
      this.#floats(AT.INPUT, length).set(input.subarray(start * hop, start * hop + length));
      // Read as well, and to be no other stream's.
      this.#floats(AT.INPUT + 4 * length, 4).fill(0);
      for (let frame = 0; frame < count; frame++) {
        const cell = Math.floor((frameIndex + start + frame) / cellFrames) % periodCells;
        this.#mark(this.#pairs, frame, AT.GAINS + 4 * cell * bands);
      }
      out.set(this.#floats(AT.OUTPUT, count * hop), start * hop);
    }
    tail.set(memoryTail);
  }

  #writeTables(): void {
    const size = 2 * this.hop;
    const pairs = this.#pairs;
    const angle = (index: number, of: number) => (2 * Math.PI * index) / of;
    // Bins come doubled out of a transform, and the inverse multiplies by the size.
    this.#floats(AT.GAINS, this.#gains.cells.length).set(this.#gains.cells.map((gain) => (gain - 1) / (2 * size)));
    // The root of a Hann window twice is a Hann window, whose halves add up to one.
    const window = Float64Array.from({ length: size }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / size));
    this.#floats(AT.WINDOW, size).set(window);
    const transform = this.#floats(AT.TRANSFORM_FACTORS, SAMPLES_A_PAIR / 2);
    for (let k = 0; k < SAMPLES_A_PAIR / 4; k++) {
      transform.set([Math.cos(angle(2 * k, SAMPLES_A_PAIR)), Math.sin(angle(2 * k, SAMPLES_A_PAIR))], 2 * k);
    }
    const turns = this.#floats(AT.BIN_FACTORS, 2 * AT.BINS);
    const lanes = this.#floats(AT.LANE_FACTORS, 2 * AT.BINS * 8);
    for (let bin = 0; bin < AT.BINS; bin++) {
      const k = AT.FIRST_BIN + bin;
      turns.set([Math.cos(angle(k, SAMPLES_A_PAIR)), Math.sin(angle(k, SAMPLES_A_PAIR))], 2 * bin);
      for (let pair = 0; pair < pairs; pair++) {
        const place = (Math.floor(pair / 4) * AT.BINS + bin) * 8 + (pair % 4);
        lanes[place] = Math.cos(angle(k * pair, size));
        lanes[place + 4] = Math.sin(angle(k * pair, size));
      }
    }
  }

  #floats(place: number, length: number): Float32Array {
    return new Float32Array(this.#memory, place, length);
  }
}

let module: object | null = null;

function compiled(): object {
  module ??= new wasm.Module(readFileSync(new URL('data/watermark.wasm', import.meta.url)));
  return module;
}
