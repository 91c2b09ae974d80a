import {
  type BitWriter,
  NO_DIFFERENCE,
  SCALE_FACTOR_BOOK,
  SPECTRAL_BOOKS,
  type SpectralBook,
  spectralBits,
  writeSpectral,
} from '../aac/books.js';

/** How the lines of a frame lie: bands one after another, in groups of windows that share scale factors. */
export interface Layout {
  /** Where each band begins, over all groups, and the end of the last one. */
  readonly offsets: Int32Array;
  readonly groups: number;
  readonly bandsPerGroup: number;
  /** Of a section's length in the stream. */
  readonly lengthBits: 3 | 5;
  /** Place of each band of a group on the Bark scale. */
  readonly barks: Float64Array;
  /** Bands of a group, from the lowest, that are coded at all. */
  readonly usedBands: number;
}

/** A frame's lines as they are sent. */
export interface QuantisedFrame {
  readonly values: Int32Array;
  /** Codebook of each band; 0: all zero. */
  readonly books: Uint8Array;
  readonly scaleFactors: Int16Array;
  /** Bands of a group that are sent. */
  readonly bands: number;
  readonly bits: number;
}

/** Scale factor at which a step is 1. */
const UNIT = 100;
const MOST_SCALE_FACTOR = 255;
const LARGEST = 8191;
/** Rounding that leaves the least error in the lines' 4/3 power, as encoders of this family have it. */
const ROUND = 0.4054;
/** Noise of a line that nobody hears: about that of 16-bit samples. */
const QUIET = 200;
/**
 * How far the noise of a band follows the energy around it: 1 would give all bands the same distance, 0 the same noise.
 */
const FOLLOW = 0.7;
/** Masking falls by so many decibels a Bark, towards lower and higher bands. */
const FALL_DOWN = 27;
const FALL_UP = 12;
/** The least noise that bits are spent on, against what {@link FOLLOW} gives: 2⁻⁶ of it. */
const FINEST = -36;
const COARSEST = 120;

/**
 * Quantises lines so that they take at most `budget` bits: the noise is shaped by what hides it, and raised as a whole until it
 * fits. The search begins where that of the frame before ended.
 */
export class Quantiser {
  #offset = 0;

  quantise(lines: Float64Array, layout: Layout, budget: number): QuantisedFrame {
    const { sizes, steps, peaks } = analyse(lines, layout);
    const at = (offset: number): QuantisedFrame => frameAt(lines, sizes, steps, peaks, layout, offset);
    let low = FINEST;
    let high = COARSEST;
    let best = at(this.#offset);
    // Outwards from the frame before, then between.
    if (best.bits <= budget) {
      high = this.#offset;
      for (let step = 2; high > low; step *= 2) {
        const offset = Math.max(low, high - step);
        const tried = at(offset);
        if (tried.bits > budget) {
          low = offset;
          break;
        }
        high = offset;
        best = tried;
        if (offset === FINEST) break;
      }
    } else {
      low = this.#offset;
      for (let step = 2; ; step *= 2) {
        const offset = Math.min(COARSEST, low + step);
        best = at(offset);
        if (best.bits <= budget || offset === COARSEST) {
          high = offset;
          break;
        }
        low = offset;
      }
    }
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      const tried = at(middle);
      if (tried.bits <= budget) {
        high = middle;
        best = tried;
      } else low = middle;
    }
    this.#offset = high;
    return best;
  }
}

/** The 3/4 powers of the lines, the scale factor that each band's noise asks for, and the least that its peak allows. */
function analyse(lines: Float64Array, layout: Layout) {
  const { offsets, groups, bandsPerGroup, barks, usedBands } = layout;
  const count = groups * bandsPerGroup;
  const sizes = new Float64Array(lines.length);
  const energies = new Float64Array(count);
  const roots = new Float64Array(count);
  const peaks = new Int16Array(count);
  for (let band = 0; band < count; band++) {
    const [start, end] = [offsets[band]!, offsets[band + 1]!];
    let [energy, root, peak] = [0, 0, 0];
    for (let i = start; i < end; i++) {
      const size = Math.abs(lines[i]!);
      const half = Math.sqrt(size);
      sizes[i] = half * Math.sqrt(half);
      energy += size * size;
      root += half;
      if (size > peak) peak = size;
    }
    energies[band] = energy / (end - start);
    roots[band] = Math.max(1e-3, root / (end - start));
    peaks[band] = peak === 0 ? 0 : Math.max(0, Math.ceil(UNIT + 4 * Math.log2(peak / LARGEST ** (4 / 3))) + 1);
  }
  // No factor may lie so low that the next one cannot be said as a difference.
  for (let band = count - 2; band >= 0; band--) peaks[band] = Math.max(peaks[band]!, peaks[band + 1]! - NO_DIFFERENCE);
  const steps = new Float64Array(count);
  for (let group = 0; group < groups; group++) {
    for (let b = 0; b < bandsPerGroup; b++) {
      const band = group * bandsPerGroup + b;
      if (b >= usedBands) {
        steps[band] = Number.POSITIVE_INFINITY;
        continue;
      }
      let around = 0;
      for (let other = 0; other < bandsPerGroup; other++) {
        const distance = barks[b]! - barks[other]!;
        const fall = distance < 0 ? -distance * FALL_DOWN : distance * FALL_UP;
        if (fall < 60) around += energies[group * bandsPerGroup + other]! * 10 ** (-fall / 10);
      }
      const noise = Math.max(QUIET, around ** FOLLOW);
      // A line x quantised with a step of d in its 3/4 power has noise of (16/9) √x d² / 12.
      steps[band] = UNIT + 4 * Math.log2(((6.75 * noise) / roots[band]!) ** (2 / 3));
    }
  }
  return { sizes, steps, peaks };
}

function frameAt(
  lines: Float64Array,
  sizes: Float64Array,
  steps: Float64Array,
  peaks: Int16Array,
  layout: Layout,
  offset: number,
): QuantisedFrame {
  const { offsets, groups, bandsPerGroup } = layout;
  const count = groups * bandsPerGroup;
  const values = new Int32Array(lines.length);
  const scaleFactors = new Int16Array(count);
  const most = new Int32Array(count);
  let before: number | null = null;
  let bands = 0;
  for (let band = 0; band < count; band++) {
    if (steps[band] === Number.POSITIVE_INFINITY) continue;
    let factor = Math.max(peaks[band]!, Math.min(MOST_SCALE_FACTOR, Math.round(steps[band]! + offset)));
    if (before !== null) {
      factor = Math.max(peaks[band]!, Math.min(before + NO_DIFFERENCE, Math.max(before - NO_DIFFERENCE, factor)));
    }
    const [start, end] = [offsets[band]!, offsets[band + 1]!];
    const scale = 2 ** ((-3 / 16) * (factor - UNIT));
    let peak = 0;
    for (let i = start; i < end; i++) {
      const size = Math.floor(sizes[i]! * scale + ROUND);
      if (size === 0) continue;
      values[i] = lines[i]! < 0 ? -size : size;
      if (size > peak) peak = size;
    }
    most[band] = peak;
    if (peak === 0) continue;
    scaleFactors[band] = factor;
    before = factor;
    bands = Math.max(bands, (band % bandsPerGroup) + 1);
  }
  // A band of zeros may share its neighbours' book, and then has a factor, which costs least where it is the same.
  let carried = scaleFactors[most.findIndex((peak) => peak > 0)] ?? 0;
  for (let band = 0; band < count; band++) {
    if (most[band] === 0) scaleFactors[band] = carried;
    else carried = scaleFactors[band]!;
  }
  const books = new Uint8Array(count);
  let bits = 0;
  for (let group = 0; group < groups; group++) {
    bits += chooseBooks(values, most, layout, group * bandsPerGroup, bands, books);
  }
  let last: number | null = null;
  for (let band = 0; band < count; band++) {
    if (books[band] === 0) continue;
    bits += SCALE_FACTOR_BOOK.lengths[NO_DIFFERENCE + scaleFactors[band]! - (last ?? scaleFactors[band]!)]!;
    last = scaleFactors[band]!;
  }
  return { values, books, scaleFactors, bands, bits };
}

/** Books of a group's bands that take the fewest bits, the headers of sections of equal books included. */
function chooseBooks(
  values: Int32Array,
  most: Int32Array,
  { offsets, lengthBits }: Layout,
  first: number,
  bands: number,
  books: Uint8Array,
): number {
  const choices = SPECTRAL_BOOKS.length;
  const header = 4 + lengthBits;
  let costs = new Float64Array(choices).fill(Number.POSITIVE_INFINITY);
  const from: Uint8Array[] = [];
  let cheapest = 0;
  let cheapestBook = 0;
  for (let b = 0; b < bands; b++) {
    const band = first + b;
    const [start, end] = [offsets[band]!, offsets[band + 1]!];
    const next = new Float64Array(choices).fill(Number.POSITIVE_INFINITY);
    const came = new Uint8Array(choices);
    for (let choice = 0; choice < choices; choice++) {
      const book = SPECTRAL_BOOKS[choice] as SpectralBook | null;
      const peak = most[band]!;
      // Books for much larger values than there are never pay.
      if (peak > (book?.most ?? 0) || (book !== null && peak > 0 && book.base > 3 + 6 * peak)) continue;
      // A band of zeros in a book has a scale factor as well.
      const own =
        book === null ? 0 : peak === 0 ? 1 + zeroBits(book, end - start) : spectralBits(book, values, start, end);
      const stay = costs[choice]!;
      const change = cheapest + header;
      next[choice] = own + Math.min(stay, change);
      came[choice] = stay <= change ? choice : cheapestBook;
    }
    costs = next;
    from.push(came);
    cheapest = Number.POSITIVE_INFINITY;
    for (let choice = 0; choice < choices; choice++) {
      if (costs[choice]! >= cheapest) continue;
      cheapest = costs[choice]!;
      cheapestBook = choice;
    }
  }
  let book = cheapestBook;
  for (let b = bands - 1; b >= 0; b--) {
    books[first + b] = book;
    book = from[b]![book]!;
  }
  return cheapest;
}

function zeroBits({ lengths, base, dimension, signsFollow }: SpectralBook, count: number): number {
  const zero = signsFollow ? 0 : (base ** dimension - 1) / 2;
  return (count / dimension) * lengths[zero]!;
}

/** Sections, scale factors and lines of a frame, in the order of the stream (ISO/IEC 14496-3, individual_channel_stream). */
export function writeQuantised(
  out: BitWriter,
  { values, books, scaleFactors, bands }: QuantisedFrame,
  { offsets, groups, bandsPerGroup, lengthBits }: Layout,
  between: () => void,
): void {
  const longest = 2 ** lengthBits - 1;
  for (let group = 0; group < groups; group++) {
    const first = group * bandsPerGroup;
    for (let b = 0; b < bands; ) {
      const book = books[first + b]!;
      let length = 1;
      while (b + length < bands && books[first + b + length] === book) length++;
      out.write(book, 4);
      let left = length;
      for (; left >= longest; left -= longest) out.write(longest, lengthBits);
      out.write(left, lengthBits);
      b += length;
    }
  }
  let last: number | null = null;
  for (let group = 0; group < groups; group++) {
    for (let band = group * bandsPerGroup; band < group * bandsPerGroup + bands; band++) {
      if (books[band] === 0) continue;
      const entry = NO_DIFFERENCE + scaleFactors[band]! - (last ?? scaleFactors[band]!);
      out.write(SCALE_FACTOR_BOOK.codes[entry]!, SCALE_FACTOR_BOOK.lengths[entry]!);
      last = scaleFactors[band]!;
    }
  }
  between();
  for (let band = 0; band < books.length; band++) {
    const book = SPECTRAL_BOOKS[books[band]!];
    if (book) writeSpectral(out, book, values, offsets[band]!, offsets[band + 1]!);
  }
}

/** The first scale factor, against which the others are told. */
export function globalGain({ books, scaleFactors }: QuantisedFrame): number {
  const first = books.findIndex((book) => book !== 0);
  return first < 0 ? UNIT : scaleFactors[first]!;
}
