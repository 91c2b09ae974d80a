import type { BitReader } from './bit-reader.js';
import { AacFault } from './bit-reader.js';
import { type Book, SCALE_FACTOR_BOOK, SPECTRAL_BOOKS, type SpectralBook } from './books.js';

/** Most codes have fewer bits than this; the others are found by their length. */
const TABLE_BITS = 9;
const LONGEST_BITS = 19;

/** What reads the entries of a canonical book. */
class CodeReader {
  /** By the next {@link TABLE_BITS} bits: 32 · entry + length; 0: a longer code. */
  readonly #table = new Uint16Array(2 ** TABLE_BITS);
  /** By length, of {@link LONGEST_BITS} bits: the first value that is no code of this length or less. */
  readonly #limits = new Uint32Array(LONGEST_BITS + 1);
  /** By length: what a code, less this, is among the entries. */
  readonly #bases = new Int32Array(LONGEST_BITS + 1);
  readonly #entries: Uint16Array;

  constructor({ lengths, codes }: Book) {
    const order = Array.from(lengths.keys()).sort((a, b) => lengths[a]! - lengths[b]! || codes[a]! - codes[b]!);
    this.#entries = Uint16Array.from(order);
    for (const [rank, entry] of order.entries()) {
      const length = lengths[entry]!;
      const code = codes[entry]!;
      this.#limits[length] = (code + 1) << (LONGEST_BITS - length);
      this.#bases[length] = code - rank;
      if (length > TABLE_BITS) continue;
      const from = code << (TABLE_BITS - length);
      this.#table.fill(32 * entry + length, from, from + 2 ** (TABLE_BITS - length));
    }
  }

  read(bits: BitReader): number {
    const next = bits.peek(LONGEST_BITS);
    const found = this.#table[next >> (LONGEST_BITS - TABLE_BITS)]!;
    if (found > 0) {
      bits.skip(found & 31);
      return found >> 5;
    }
    for (let length = TABLE_BITS + 1; length <= LONGEST_BITS; length++) {
      if (next >= this.#limits[length]!) continue;
      bits.skip(length);
      return this.#entries[(next >> (LONGEST_BITS - length)) - this.#bases[length]!]!;
    }
    throw new AacFault('no code begins like this');
  }
}

const scaleFactors = new CodeReader(SCALE_FACTOR_BOOK);
const spectral = SPECTRAL_BOOKS.map((book) => (book === null ? null : { ...book, ...readerOf(book) }));

/** With the values of all entries: sizes where signs follow. */
function readerOf(book: SpectralBook): { readonly reader: CodeReader; readonly values: Int8Array } {
  const { dimension, base, signsFollow, most, lengths } = book;
  const values = new Int8Array(lengths.length * dimension);
  for (let entry = 0; entry < lengths.length; entry++) {
    let rest = entry;
    for (let i = dimension - 1; i >= 0; i--) {
      values[entry * dimension + i] = (rest % base) - (signsFollow ? 0 : most);
      rest = Math.floor(rest / base);
    }
  }
  return { reader: new CodeReader(book), values };
}

/** A difference of scale factors by 60 more. */
export function readScaleFactor(bits: BitReader): number {
  return scaleFactors.read(bits);
}

const ESCAPE = 16;
const MOST_ESCAPE_BITS = 12;

/** The quantised values from `start` to `end`, in the book of a number from 1 to 11. */
export function readSpectral(bits: BitReader, number: number, values: Int32Array, start: number, end: number): void {
  const book = spectral[number];
  if (!book) throw new AacFault(`there is no codebook ${number}`);
  const { dimension, signsFollow, base, reader, values: entries } = book;
  for (let at = start; at < end; at += dimension) {
    const entry = reader.read(bits) * dimension;
    for (let i = 0; i < dimension; i++) {
      const value = entries[entry + i]!;
      values[at + i] = signsFollow && value !== 0 && bits.flag() ? -value : value;
    }
    if (base <= ESCAPE) continue;
    for (let i = at; i < at + dimension; i++) {
      if (values[i] === ESCAPE) values[i] = readEscape(bits);
      else if (values[i] === -ESCAPE) values[i] = -readEscape(bits);
    }
  }
}

/** A one for each bit above the fourth, a zero, the bits. */
function readEscape(bits: BitReader): number {
  let length = 4;
  while (bits.flag()) length++;
  if (length > MOST_ESCAPE_BITS) throw new AacFault('a value beyond what AAC can say');
  return 2 ** length + bits.read(length);
}
