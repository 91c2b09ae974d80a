import { AacFault, type BitReader } from './bit-reader.js';
import {
  type Bands,
  bandsOf,
  type ChannelFrame,
  INTENSITY,
  INTENSITY_OPPOSITE,
  NOISE,
  readChannel,
  readWindowInfo,
  type WindowInfo,
} from './channel.js';
import { Filterbank, FRAME, SHORT } from './filterbank.js';
import { applyTns } from './tns.js';

/** Elements of a frame by their number in the stream. */
const SINGLE = 0;
const PAIR = 1;
const COUPLING = 2;
const LOW_FREQUENCIES = 3;
const DATA = 4;
const PROGRAM = 5;
const FILL = 6;
const END = 7;

/**
 * AAC-LC frames of one or two channels to samples (ISO/IEC 14496-3, subpart 4). What HE-AAC adds above the core (bands that
 * are made up, stereo that is made up) is in fill elements and passed over.
 */
export class FrameDecoder {
  readonly #bands: Bands;
  readonly #filterbanks = [new Filterbank(), new Filterbank()];
  readonly #random = new Random();
  #channels = 0;

  constructor(rateIndex: number) {
    this.#bands = bandsOf(rateIndex);
  }

  /**
   * The frame that begins where the reader is (at a whole byte): 1,024 samples of each channel, as many channels as the first
   * frame has. A frame that cannot be read leaves its fault in `errors` and is the end of the one before, so that what comes
   * later stays where it was; null: there is none before.
   */
  decode(bits: BitReader, errors: unknown[]): Float32Array[] | null {
    try {
      const channels = this.#read(bits);
      if (this.#channels === 0) this.#channels = channels.length;
      if (channels.length !== this.#channels) throw new AacFault('another number of channels');
      return channels.map(({ window, spectrum, tns }, i) => {
        applyTns(tns, spectrum, window.offsets, Math.min(window.tnsBands, window.sentBands));
        return this.#filterbanks[i]!.synthesize(spectrum, window.sequence, window.shape);
      });
    } catch (error) {
      if (!(error instanceof AacFault)) throw error;
      errors.push(error);
      if (this.#channels === 0) return null;
      const nothing = new Float64Array(FRAME);
      return this.#filterbanks.slice(0, this.#channels).map((filterbank) => filterbank.synthesize(nothing, 0, 0));
    }
  }

  #read(bits: BitReader): ChannelFrame[] {
    const channels: ChannelFrame[] = [];
    for (;;) {
      const element = bits.read(3);
      if (element === END) break;
      if (element === FILL) {
        const count = bits.read(4);
        skipBytes(bits, count === 15 ? 14 + bits.read(8) : count);
        continue;
      }
      if (element === PROGRAM) {
        skipProgram(bits);
        continue;
      }
      bits.skip(4);
      if (element === DATA) skipData(bits);
      else if (element === SINGLE) channels.push(this.#single(bits));
      else if (element === PAIR) channels.push(...this.#pair(bits));
      else if (element === LOW_FREQUENCIES) readChannel(bits, this.#bands, null);
      else if (element === COUPLING) throw new AacFault('coupled channels are not decoded');
      if (channels.length > 2) throw new AacFault('more than two channels');
    }
    bits.toByte();
    if (channels.length === 0) throw new AacFault('a frame without a channel');
    return channels;
  }

  #single(bits: BitReader): ChannelFrame {
    const channel = readChannel(bits, this.#bands, null);
    addNoise(channel, this.#random);
    return channel;
  }

  #pair(bits: BitReader): [ChannelFrame, ChannelFrame] {
    const common = bits.flag() ? readWindowInfo(bits, this.#bands) : null;
    const middle = common === null ? null : readMiddle(bits, common);
    const left = readChannel(bits, this.#bands, common);
    const right = readChannel(bits, this.#bands, common);
    addNoise(left, this.#random);
    addNoise(right, this.#random, middle?.used, left);
    if (common !== null && middle !== null) joinChannels(common, left, right, middle);
    return [left, right];
  }
}

/** By group and band: whether the channels are the middle and the side, or what else this bit says of them. */
interface Middle {
  readonly used: readonly boolean[];
  /** Whether each band has a bit of its own. */
  readonly perBand: boolean;
}

function readMiddle(bits: BitReader, { groups, sentBands }: WindowInfo): Middle {
  const present = bits.read(2);
  if (present === 3) throw new AacFault('a way to join channels that does not exist');
  const used = Array.from({ length: groups.length * sentBands }, () => (present === 1 ? bits.flag() : present === 2));
  return { used, perBand: present === 1 };
}

/** For every stretch of lines that is a band of one window. */
function forBands(
  { groups, sentBands, offsets }: WindowInfo,
  visit: (band: number, start: number, end: number) => void,
): void {
  let window = 0;
  for (const [group, windows] of groups.entries()) {
    for (const last = window + windows; window < last; window++) {
      for (let band = 0; band < sentBands; band++) {
        visit(group * sentBands + band, window * SHORT + offsets[band]!, window * SHORT + offsets[band + 1]!);
      }
    }
  }
}

/** Middle and side to left and right; the right one of intensity from the left one. */
function joinChannels(common: WindowInfo, left: ChannelFrame, right: ChannelFrame, { used, perBand }: Middle): void {
  forBands(common, (band, start, end) => {
    const book = right.books[band]!;
    if (book === INTENSITY || book === INTENSITY_OPPOSITE) {
      const scale = right.scales[band]! * (perBand && used[band] ? -1 : 1);
      for (let line = start; line < end; line++) right.spectrum[line] = left.spectrum[line]! * scale;
    } else if (used[band] && book !== NOISE && left.books[band]! < NOISE) {
      for (let line = start; line < end; line++) {
        const [middle, side] = [left.spectrum[line]!, right.spectrum[line]!];
        left.spectrum[line] = middle + side;
        right.spectrum[line] = middle - side;
      }
    }
  });
}

/** Noise where only its energy is sent; the same as in the other channel where both have it and the bit of the band is set. */
function addNoise(
  { window, books, scales, spectrum }: ChannelFrame,
  random: Random,
  used?: readonly boolean[],
  other?: ChannelFrame,
): void {
  if (!books.includes(NOISE)) return;
  forBands(window, (band, start, end) => {
    if (books[band] !== NOISE) return;
    const same = used?.[band] && other?.books[band] === NOISE;
    let energy = 0;
    for (let line = start; line < end; line++) {
      spectrum[line] = same ? other.spectrum[line]! : random.next();
      energy += spectrum[line]! ** 2;
    }
    const scale = energy > 0 ? scales[band]! / Math.sqrt(energy) : 0;
    for (let line = start; line < end; line++) spectrum[line]! *= scale;
  });
}

/** From −1 to 1, the same for every decoder, so that a file always decodes to the same sound. */
class Random {
  #state = 1;

  next(): number {
    this.#state = (Math.imul(this.#state, 1103515245) + 12345) >>> 0;
    return this.#state / 2 ** 31 - 1;
  }
}

function skipBytes(bits: BitReader, count: number): void {
  bits.skip(8 * count);
}

function skipData(bits: BitReader): void {
  const aligned = bits.flag();
  const count = bits.read(8);
  const total = count === 255 ? 255 + bits.read(8) : count;
  if (aligned) bits.toByte();
  skipBytes(bits, total);
}

/** program_config_element of ISO/IEC 14496-3, 4.4.1.1: which channel stands where. */
function skipProgram(bits: BitReader): void {
  bits.skip(4 + 2 + 4);
  const [front, side, back] = [bits.read(4), bits.read(4), bits.read(4)];
  const low = bits.read(2);
  const data = bits.read(3);
  const coupling = bits.read(4);
  for (const width of [4, 4, 3]) if (bits.flag()) bits.skip(width);
  bits.skip(5 * (front + side + back) + 4 * (low + data) + 5 * coupling);
  bits.toByte();
  skipBytes(bits, bits.read(8));
}
