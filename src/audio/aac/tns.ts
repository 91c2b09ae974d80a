import type { BitReader } from './bit-reader.js';
import { SHORT } from './filterbank.js';

/** Noise shaping in time: what a filter over the lines of one window is made of. */
interface TnsFilter {
  readonly window: number;
  /** Bands the filter is over, not yet held to what there is. */
  readonly bottom: number;
  readonly top: number;
  readonly downwards: boolean;
  /** Of the filter 1 / (1 + Σ a[i] z⁻ⁱ): a[0] is 1. */
  readonly coefficients: Float64Array;
}

const MOST_ORDER_LONG = 12;
const MOST_ORDER_SHORT = 7;

/** `bands`: of a window at this rate. */
export function readTns(bits: BitReader, short: boolean, bands: number): TnsFilter[] {
  const filters: TnsFilter[] = [];
  for (let window = 0; window < (short ? 8 : 1); window++) {
    const count = bits.read(short ? 1 : 2);
    if (count === 0) continue;
    const resolution = bits.read(1) + 3;
    let bottom = bands;
    for (let i = 0; i < count; i++) {
      const top = bottom;
      bottom = Math.max(0, top - bits.read(short ? 4 : 6));
      const order = bits.read(short ? 3 : 5);
      if (order === 0) continue;
      const downwards = bits.flag();
      const width = resolution - bits.read(1);
      const reflections = Array.from({ length: order }, () => {
        const value = bits.read(width);
        const signed = value < 2 ** (width - 1) ? value : value - 2 ** width;
        const steps = 2 ** (resolution - 1) + (signed < 0 ? 0.5 : -0.5);
        return Math.sin((signed * Math.PI) / 2 / steps);
      }).slice(0, short ? MOST_ORDER_SHORT : MOST_ORDER_LONG);
      filters.push({ window, bottom, top, downwards, coefficients: predictor(reflections) });
    }
  }
  return filters;
}

/** Levinson's recursion from reflection coefficients to those of the filter. */
function predictor(reflections: readonly number[]): Float64Array {
  const out = new Float64Array(reflections.length + 1);
  out[0] = 1;
  for (const [i, reflection] of reflections.entries()) {
    const before = out.slice();
    for (let k = 1; k <= i; k++) out[k] = before[k]! + reflection * before[i + 1 - k]!;
    out[i + 1] = reflection;
  }
  return out;
}

/** `offsets`: where the bands of a window begin; `most`: bands that are sent and may be shaped. */
export function applyTns(
  filters: readonly TnsFilter[],
  spectrum: Float64Array,
  offsets: Int32Array,
  most: number,
): void {
  for (const { window, bottom, top, downwards, coefficients } of filters) {
    const start = window * SHORT + offsets[Math.min(bottom, most)]!;
    const end = window * SHORT + offsets[Math.min(top, most)]!;
    const step = downwards ? -1 : 1;
    let at = downwards ? end - 1 : start;
    for (let n = 0; n < end - start; n++, at += step) {
      let value = spectrum[at]!;
      for (let k = 1; k < coefficients.length && k <= n; k++) value -= coefficients[k]! * spectrum[at - k * step]!;
      spectrum[at] = value;
    }
  }
}
