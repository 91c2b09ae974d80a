import { AacFault, type BitReader } from './bit-reader.js';
import { NO_DIFFERENCE } from './books.js';
import { EIGHT_SHORT, FRAME, SHORT } from './filterbank.js';
import { readScaleFactor, readSpectral } from './huffman.js';
import { BAND_TABLES, RATES_HZ, TNS_BANDS } from './tables.js';
import { readTns } from './tns.js';

/** Codebooks that stand for something else than lines. */
export const NOISE = 13;
export const INTENSITY_OPPOSITE = 14;
export const INTENSITY = 15;

/** Where the bands of a rate's windows begin, and the end of the last one. */
export interface Bands {
  readonly long: Int32Array;
  readonly short: Int32Array;
  /** Bands that noise shaping in time may reach. */
  readonly tnsLong: number;
  readonly tnsShort: number;
}

export function bandsOf(rateIndex: number): Bands {
  const rateHz = RATES_HZ[rateIndex];
  const table = BAND_TABLES.find(({ ratesHz }) => ratesHz.includes(rateHz ?? 0));
  const tns = TNS_BANDS[rateIndex];
  if (!table || !tns) throw new AacFault(`there is no sampling rate ${rateIndex}`);
  return { long: offsetsOf(table.long), short: offsetsOf(table.short), tnsLong: tns[0], tnsShort: tns[1] };
}

function offsetsOf(widths: readonly number[]): Int32Array {
  const offsets = new Int32Array(widths.length + 1);
  for (const [i, width] of widths.entries()) offsets[i + 1] = offsets[i]! + width;
  return offsets;
}

/** How a frame is cut into windows, groups of windows and bands. */
export interface WindowInfo {
  readonly sequence: number;
  readonly shape: number;
  /** Windows of each group. */
  readonly groups: readonly number[];
  /** Bands that are sent, of each group. */
  readonly sentBands: number;
  readonly offsets: Int32Array;
  readonly tnsBands: number;
}

/** ics_info of ISO/IEC 14496-3, 4.4.2.1. */
export function readWindowInfo(bits: BitReader, bands: Bands): WindowInfo {
  bits.skip(1);
  const sequence = bits.read(2);
  const shape = bits.read(1);
  const short = sequence === EIGHT_SHORT;
  const sentBands = bits.read(short ? 4 : 6);
  const groups = [1];
  if (short) {
    for (let window = 1; window < 8; window++) {
      if (bits.flag()) groups[groups.length - 1]! += 1;
      else groups.push(1);
    }
  } else if (bits.flag()) throw new AacFault('prediction is not part of AAC-LC');
  const offsets = short ? bands.short : bands.long;
  if (sentBands >= offsets.length) throw new AacFault(`${sentBands} bands of ${offsets.length - 1}`);
  return { sequence, shape, groups, sentBands, offsets, tnsBands: short ? bands.tnsShort : bands.tnsLong };
}

/** One channel of a frame, before what the channels of a pair do to each other. */
export interface ChannelFrame {
  readonly window: WindowInfo;
  /** Codebooks by group and band. */
  readonly books: Uint8Array;
  /** Of intensity: what the other channel's lines are multiplied with. Of noise: the root of its energy. */
  readonly scales: Float64Array;
  readonly spectrum: Float64Array;
  readonly tns: ReturnType<typeof readTns>;
}

const UNIT = 100;
const NOISE_UNIT = 90;
const MOST_SCALE_FACTOR = 255;

/** individual_channel_stream of ISO/IEC 14496-3, 4.4.2.7; `common`: what a pair of channels has in common. */
export function readChannel(bits: BitReader, bands: Bands, common: WindowInfo | null): ChannelFrame {
  const gain = bits.read(8);
  const window = common ?? readWindowInfo(bits, bands);
  const short = window.sequence === EIGHT_SHORT;
  const books = readSections(bits, window);
  const scales = readScales(bits, books, gain);
  const pulses = bits.flag() ? readPulses(bits, window) : [];
  if (pulses.length > 0 && short) throw new AacFault('pulses in short windows');
  const tns = bits.flag() ? readTns(bits, short, window.offsets.length - 1) : [];
  if (bits.flag()) throw new AacFault('gain control is not part of AAC-LC');
  return { window, books, scales, spectrum: readLines(bits, window, books, scales, pulses), tns };
}

function readSections(bits: BitReader, { sequence, groups, sentBands }: WindowInfo): Uint8Array {
  const books = new Uint8Array(groups.length * sentBands);
  const lengthBits = sequence === EIGHT_SHORT ? 3 : 5;
  const longest = 2 ** lengthBits - 1;
  for (let group = 0; group < groups.length; group++) {
    for (let band = 0; band < sentBands; ) {
      const book = bits.read(4);
      let length = 0;
      for (let part = longest; part === longest; length += part) part = bits.read(lengthBits);
      if (band + length > sentBands) throw new AacFault('a section beyond the last band');
      books.fill(book, group * sentBands + band, group * sentBands + band + length);
      band += length;
    }
  }
  return books;
}

function readScales(bits: BitReader, books: Uint8Array, gain: number): Float64Array {
  const scales = new Float64Array(books.length);
  let scaleFactor = gain;
  let position = 0;
  let noise: number | null = null;
  for (const [i, book] of books.entries()) {
    if (book === 0) continue;
    if (book === INTENSITY || book === INTENSITY_OPPOSITE) {
      position = held(position + readScaleFactor(bits) - NO_DIFFERENCE);
      scales[i] = (book === INTENSITY ? 1 : -1) * 2 ** (-position / 4);
    } else if (book === NOISE) {
      // The first one is as it is, by 256 more.
      const difference = noise === null ? bits.read(9) - 256 : readScaleFactor(bits) - NO_DIFFERENCE;
      noise = held((noise ?? gain - NOISE_UNIT) + difference);
      scales[i] = 2 ** (noise / 4);
    } else {
      scaleFactor += readScaleFactor(bits) - NO_DIFFERENCE;
      if (scaleFactor < 0 || scaleFactor > MOST_SCALE_FACTOR) throw new AacFault(`a scale factor of ${scaleFactor}`);
      scales[i] = 2 ** ((scaleFactor - UNIT) / 4);
    }
  }
  return scales;
}

/** Where scale factors may lie, for those that the standard says no bounds of. */
function held(value: number): number {
  return Math.max(-155, Math.min(155, value));
}

interface Pulse {
  readonly line: number;
  readonly size: number;
}

function readPulses(bits: BitReader, { offsets }: WindowInfo): Pulse[] {
  const count = bits.read(2) + 1;
  const band = bits.read(6);
  if (band >= offsets.length - 1) throw new AacFault('a pulse behind the last band');
  let line = offsets[band]!;
  return Array.from({ length: count }, () => {
    line += bits.read(5);
    if (line >= FRAME) throw new AacFault('a pulse behind the last line');
    return { line, size: bits.read(4) };
  });
}

const MOST_VALUE = 8191 + 4 * 15;
const POWERS = Float64Array.from({ length: MOST_VALUE + 1 }, (_, value) => value ** (4 / 3));

function powered(value: number): number {
  return value < 0 ? -POWERS[-value]! : POWERS[value]!;
}

const values = new Int32Array(FRAME);

function readLines(
  bits: BitReader,
  { sequence, groups, sentBands, offsets }: WindowInfo,
  books: Uint8Array,
  scales: Float64Array,
  pulses: readonly Pulse[],
): Float64Array {
  const spectrum = new Float64Array(FRAME);
  values.fill(0);
  let firstWindow = 0;
  for (const [group, windows] of groups.entries()) {
    for (let band = 0; band < sentBands; band++) {
      const book = books[group * sentBands + band]!;
      if (book === 0 || book >= NOISE) continue;
      const scale = scales[group * sentBands + band]!;
      for (let window = firstWindow; window < firstWindow + windows; window++) {
        const [start, end] = [window * SHORT + offsets[band]!, window * SHORT + offsets[band + 1]!];
        readSpectral(bits, book, values, start, end);
        if (pulses.length > 0) continue;
        for (let line = start; line < end; line++) spectrum[line] = powered(values[line]!) * scale;
      }
    }
    firstWindow += windows;
  }
  if (sequence !== EIGHT_SHORT && pulses.length > 0) {
    for (const { line, size } of pulses) values[line]! += values[line]! > 0 ? size : -size;
    for (let band = 0; band < sentBands; band++) {
      const scale = scales[band]!;
      if (books[band]! >= NOISE) continue;
      for (let line = offsets[band]!; line < offsets[band + 1]!; line++)
        spectrum[line] = powered(values[line]!) * scale;
    }
  }
  return spectrum;
}
