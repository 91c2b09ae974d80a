import { SCALE_FACTOR_BOOK_TEXT, SPECTRAL_BOOK_TEXTS } from './tables.js';

/** Bits of a codebook's entries. */
export interface Book {
  readonly lengths: Uint8Array;
  readonly codes: Uint32Array;
}

export interface SpectralBook extends Book {
  /** Values of one entry: 4 or 2. */
  readonly dimension: number;
  /** Values an entry's places have, signs included where the book has them. */
  readonly base: number;
  /** Whether signs follow the code, one bit for each value but 0. */
  readonly signsFollow: boolean;
  /** Largest value; in the last book what exceeds 15 follows the signs. */
  readonly most: number;
}

const SHAPES: readonly (readonly [dimension: number, base: number, signsFollow: boolean, most: number])[] = [
  [4, 3, false, 1],
  [4, 3, false, 1],
  [4, 3, true, 2],
  [4, 3, true, 2],
  [2, 9, false, 4],
  [2, 9, false, 4],
  [2, 8, true, 7],
  [2, 8, true, 7],
  [2, 13, true, 12],
  [2, 13, true, 12],
  [2, 17, true, 8191],
];

/** Of the last book: this value and more. */
const ESCAPE = 16;

/** By number; 0 is that of bands that are all zero, which have no code. */
export const SPECTRAL_BOOKS: readonly (SpectralBook | null)[] = [
  null,
  ...SHAPES.map(([dimension, base, signsFollow, most], i) => ({
    ...readBook(SPECTRAL_BOOK_TEXTS[i] ?? ''),
    ...{ dimension, base, signsFollow, most },
  })),
];

export const SCALE_FACTOR_BOOK = readBook(SCALE_FACTOR_BOOK_TEXT);
/** Of {@link SCALE_FACTOR_BOOK}: the entry of no difference, and so the largest one. */
export const NO_DIFFERENCE = 60;

function readBook(text: string): Book {
  const rows = text.split('; ').map((row) => row.split(': '));
  const entries = rows.flatMap(([length, all = '']) => all.split(' ').map((entry) => [Number(length), Number(entry)]));
  const lengths = new Uint8Array(entries.length);
  const codes = new Uint32Array(entries.length);
  let code = 0;
  let before = 0;
  for (const [length = 0, entry = 0] of entries) {
    code <<= length - before;
    before = length;
    lengths[entry] = length;
    codes[entry] = code++;
  }
  return { lengths, codes };
}

/** Bits that values take in a book that can hold them. */
export function spectralBits(book: SpectralBook, values: Int32Array, start: number, end: number): number {
  const { dimension, base, signsFollow, most, lengths } = book;
  const middle = signsFollow ? 0 : most;
  let bits = 0;
  for (let at = start; at < end; at += dimension) {
    let entry = 0;
    for (let i = at; i < at + dimension; i++) {
      const value = values[i]!;
      const size = value < 0 ? -value : value;
      if (!signsFollow) entry = entry * base + value + middle;
      else {
        if (size > 0) bits += 1;
        entry = entry * base + (size < ESCAPE ? size : ESCAPE);
        // A one for each bit above the fourth, a zero, the bits.
        if (size >= ESCAPE && base > ESCAPE) bits += 2 * (31 - Math.clz32(size)) - 3;
      }
    }
    bits += lengths[entry]!;
  }
  return bits;
}

export function writeSpectral(
  out: BitWriter,
  book: SpectralBook,
  values: Int32Array,
  start: number,
  end: number,
): void {
  const { dimension, base, signsFollow, most, lengths, codes } = book;
  for (let at = start; at < end; at += dimension) {
    let entry = 0;
    for (let i = at; i < at + dimension; i++) {
      const value = values[i]!;
      entry = entry * base + (signsFollow ? Math.min(ESCAPE, Math.abs(value)) : value + most);
    }
    out.write(codes[entry]!, lengths[entry]!);
    if (!signsFollow) continue;
    for (let i = at; i < at + dimension; i++) if (values[i] !== 0) out.write(values[i]! < 0 ? 1 : 0, 1);
    if (base <= ESCAPE) continue;
    for (let i = at; i < at + dimension; i++) {
      const size = Math.abs(values[i]!);
      if (size < ESCAPE) continue;
      const bits = 31 - Math.clz32(size);
      out.write(2 ** (bits - 3) - 2, bits - 3);
      out.write(size - 2 ** bits, bits);
    }
  }
}

/** Bits, the foremost first. */
export class BitWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  write(value: number, bits: number): void {
    if ((this.#length + bits + 7) >> 3 > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#bytes.length);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    for (let bit = bits - 1; bit >= 0; bit--, this.#length++) {
      if ((value >>> bit) & 1) this.#bytes[this.#length >> 3]! |= 0x80 >> (this.#length & 7);
    }
  }

  /** Whole bytes, zeros at the end. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, (this.#length + 7) >> 3);
  }
}
