import { BitWriter } from '../aac/books.js';
import { BAND_TABLES, RATES_HZ } from '../aac/tables.js';
import { createMdct } from '../mdct.js';
import { globalGain, type Layout, Quantiser, writeQuantised } from './aac-spectrum.js';

/** Samples of a frame; the decoder's output is so much late. */
export const AAC_FRAME_SAMPLES = 1024;
const FRAME = AAC_FRAME_SAMPLES;
const SHORT = FRAME / 8;
/** Before the first short window of a frame, and behind the last one. */
const MARGIN = (FRAME - SHORT) / 2;

/** Those the encoder writes, the lowest first. */
export const AAC_RATES_HZ = RATES_HZ.filter((rateHz) => rateHz >= 8000 && rateHz <= 48_000).reverse();

/** Window sequences by their number in the stream. */
const LONG = 0;
const START = 1;
const EIGHT_SHORT = 2;
const STOP = 3;
type Sequence = typeof LONG | typeof START | typeof EIGHT_SHORT | typeof STOP;

/** What a frame may have (ISO/IEC 14496-3: 6,144 bits a channel), without what stands around its lines. */
const MOST_BITS = 6144 - 128;
/** Of what frames before left over, so much may be spent at once. */
const SHARE_OF_SAVED = 0.5;
/** Bits that may be left over: of so many frames. */
const SAVED_FRAMES = 4;
/** Speech above this is not worth its bits. */
const WIDTH_HZ = 16_000;
/** An eighth of a frame so many times louder than what came before is an attack, whose noise must not sound before it. */
const ATTACK = 8;
/** Mean square of samples below which nothing is an attack: −60 dB of full scale. */
const QUIET = 1e-6;

/** What speech needs, by the highest rate it is for. */
const USUAL_KBPS: readonly (readonly [rateHz: number, kbps: number])[] = [
  [8000, 24],
  [12_000, 32],
  [16_000, 48],
  [24_000, 64],
  [32_000, 80],
  [48_000, 96],
];

/** Constant on average, over some frames. */
function bitrateOf(sampleRateHz: number, wanted: number | undefined): number {
  const usual = USUAL_KBPS.find(([rateHz]) => sampleRateHz <= rateHz)?.[1] ?? 96;
  return 1000 * Math.min(256, Math.max(8, wanted ?? usual));
}

/**
 * AAC-LC of one channel as ADTS: long windows, and eight short ones where a sound begins suddenly; noise shaped by simple
 * masking; no stereo, prediction, noise shaping in time or reservoir in the stream. Each frame of 1,024 samples stands for
 * itself; the decoded sound is {@link AAC_FRAME_SAMPLES} late. ISO/IEC 14496-3, subpart 4.
 */
export class AacEncoder {
  readonly #rateIndex: number;
  readonly #long: Layout;
  readonly #shortLayouts = new Map<number, Layout>();
  readonly #shortWidths: readonly number[];
  readonly #sampleRateHz: number;
  readonly #bitsPerFrame: number;
  readonly #quantiser = { long: new Quantiser(), short: new Quantiser() };
  readonly #longMdct = createMdct(FRAME);
  readonly #shortMdct = createMdct(SHORT);
  readonly #block = new Float64Array(2 * FRAME);
  readonly #shortBlock = new Float64Array(2 * SHORT);
  readonly #lines = new Float64Array(FRAME);
  readonly #shortLines = new Float64Array(FRAME);
  readonly #attacks = new AttackDetector();
  /** From one frame before the next one that is made. */
  #samples = new Float64Array(FRAME);
  #frames = 0;
  #received = 0;
  #sequence: Sequence = LONG;
  /** Of the next frame: the first short window that a sudden sound reaches into; null: there is none. */
  #attack: number | null = null;
  #saved = 0;

  constructor({
    sampleRateHz,
    bitrateKbps,
  }: { readonly sampleRateHz: number; readonly bitrateKbps?: number | undefined }) {
    const table = BAND_TABLES.find(({ ratesHz }) => ratesHz.includes(sampleRateHz));
    if (!table || !AAC_RATES_HZ.includes(sampleRateHz)) throw new Error(`AAC has no rate of ${sampleRateHz} Hz`);
    this.#rateIndex = RATES_HZ.indexOf(sampleRateHz);
    this.#sampleRateHz = sampleRateHz;
    this.#long = layoutOf(table.long, [1], sampleRateHz / (2 * FRAME), 5);
    this.#shortWidths = table.short;
    this.#bitsPerFrame = (bitrateOf(sampleRateHz, bitrateKbps) * FRAME) / sampleRateHz;
  }

  /** Whole frames, one frame and a half behind. */
  encode(samples: Float32Array): Uint8Array[] {
    const joined = new Float64Array(this.#samples.length + samples.length);
    joined.set(this.#samples);
    for (let i = 0; i < samples.length; i++) joined[this.#samples.length + i] = bounded(samples[i]!);
    this.#samples = joined;
    this.#received += samples.length;
    const made: Uint8Array[] = [];
    let at = 0;
    for (; at + 3 * FRAME <= this.#samples.length; at += FRAME) made.push(this.#frame(at));
    this.#samples = this.#samples.slice(at);
    return made;
  }

  finish(): Uint8Array[] {
    const left = this.#received === 0 ? 0 : Math.ceil(this.#received / FRAME) + 1 - this.#frames;
    const padded = new Float64Array(this.#samples.length + 3 * FRAME);
    padded.set(this.#samples);
    return Array.from({ length: left }, (_, i) => {
      this.#samples = padded;
      return this.#frame(i * FRAME);
    });
  }

  /** The frame whose 2,048 samples begin at `at`; one frame more is there to see what comes. */
  #frame(at: number): Uint8Array {
    const samples = this.#samples;
    this.#frames += 1;
    const attack = this.#attack;
    // In the second halves of the short windows: what begins in the first half of the first is in the frame before as well.
    this.#attack = this.#attacks.find(samples, at + FRAME + MARGIN + SHORT);
    const before = this.#sequence;
    const sequence = sequenceOf(before, attack !== null, this.#attack !== null);
    this.#sequence = sequence;
    const groups = sequence === EIGHT_SHORT ? groupsOf(attack) : [1];
    const layout = sequence === EIGHT_SHORT ? this.#shortLayout(groups) : this.#long;
    const lines = sequence === EIGHT_SHORT ? this.#short(at, layout, groups) : this.#longLines(at, sequence);
    const budget = Math.min(MOST_BITS, this.#bitsPerFrame + SHARE_OF_SAVED * this.#saved - 90);
    const quantiser = sequence === EIGHT_SHORT ? this.#quantiser.short : this.#quantiser.long;
    const quantised = quantiser.quantise(lines, layout, Math.max(0, budget));

    const out = new BitWriter();
    out.write(0, 3); // a single channel
    out.write(0, 4);
    out.write(globalGain(quantised), 8);
    out.write(0, 1);
    out.write(sequence, 2);
    out.write(0, 1); // sine windows
    if (sequence === EIGHT_SHORT) {
      out.write(quantised.bands, 4);
      // Of each window but the first: whether it is in the group of the one before.
      const joined = groups.flatMap((length) => Array.from({ length }, (_, window) => (window > 0 ? 1 : 0)));
      for (const bit of joined.slice(1)) out.write(bit, 1);
    } else {
      out.write(quantised.bands, 6);
      out.write(0, 1); // no prediction
    }
    writeQuantised(out, quantised, layout, () => out.write(0, 3)); // no pulses, shaping in time or gain control
    out.write(7, 3);
    const body = out.bytes();
    const used = 8 * (body.length + ADTS_BYTES);
    const most = SAVED_FRAMES * this.#bitsPerFrame;
    this.#saved = Math.max(-most, Math.min(most, this.#saved + this.#bitsPerFrame - used));
    return Buffer.concat([this.#header(body.length + ADTS_BYTES), body]);
  }

  #longLines(at: number, sequence: Sequence): Float64Array {
    const [rise, fall] = [sequence === STOP ? EDGE_SHORT : EDGE_LONG, sequence === START ? EDGE_SHORT : EDGE_LONG];
    for (let i = 0; i < FRAME; i++) {
      this.#block[i] = FULL_SCALE * this.#samples[at + i]! * rise[i]!;
      this.#block[FRAME + i] = FULL_SCALE * this.#samples[at + FRAME + i]! * fall[FRAME - 1 - i]!;
    }
    this.#longMdct(this.#block, this.#lines);
    return this.#lines;
  }

  /** Eight windows, by group and band, those of a group one after another. */
  #short(at: number, { offsets, bandsPerGroup }: Layout, groups: readonly number[]): Float64Array {
    const lines = new Float64Array(SHORT);
    let window = 0;
    for (const [group, length] of groups.entries()) {
      for (let i = 0; i < length; i++, window++) {
        const start = at + MARGIN + window * SHORT;
        for (let n = 0; n < SHORT; n++) {
          this.#shortBlock[n] = FULL_SCALE * this.#samples[start + n]! * SINE_SHORT[n]!;
          this.#shortBlock[SHORT + n] = FULL_SCALE * this.#samples[start + SHORT + n]! * SINE_SHORT[SHORT - 1 - n]!;
        }
        this.#shortMdct(this.#shortBlock, lines);
        let line = 0;
        for (let b = 0; b < bandsPerGroup; b++) {
          const to = offsets[group * bandsPerGroup + b]! + i * this.#shortWidths[b]!;
          for (let n = 0; n < this.#shortWidths[b]!; n++) this.#shortLines[to + n] = lines[line++]!;
        }
      }
    }
    return this.#shortLines;
  }

  #shortLayout(groups: readonly number[]): Layout {
    const known = this.#shortLayouts.get(groups[0] ?? 0);
    if (known) return known;
    const layout = layoutOf(this.#shortWidths, groups, this.#sampleRateHz / (2 * SHORT), 3);
    this.#shortLayouts.set(groups[0] ?? 0, layout);
    return layout;
  }

  #header(bytes: number): Uint8Array {
    const out = new BitWriter();
    out.write(0xfff, 12);
    out.write(0b0001, 4); // MPEG-4, no checksum
    out.write(1, 2); // LC
    out.write(this.#rateIndex, 4);
    out.write(0, 1);
    out.write(1, 3); // one channel
    out.write(0, 4);
    out.write(bytes, 13);
    out.write(0x7ff, 11); // variable rate
    out.write(0, 2);
    return out.bytes();
  }
}

const ADTS_BYTES = 7;
/** Decoders give 16-bit samples. */
const FULL_SCALE = 32_768;

/** Within full scale; what is no number is silence. */
function bounded(sample: number): number {
  return sample > 1 ? 1 : sample < -1 ? -1 : sample || 0;
}

function sine(length: number): Float64Array {
  return Float64Array.from({ length }, (_, n) => Math.sin((Math.PI * (n + 0.5)) / (2 * length)));
}

const SINE_SHORT = sine(SHORT);
const EDGE_LONG = sine(FRAME);
/** Nothing, the rise of a short window, everything: what a long window has towards short ones. */
const EDGE_SHORT = Float64Array.from({ length: FRAME }, (_, n) =>
  n < MARGIN ? 0 : n < MARGIN + SHORT ? SINE_SHORT[n - MARGIN]! : 1,
);

function sequenceOf(before: Sequence, attack: boolean, attackNext: boolean): Sequence {
  if (attack) return EIGHT_SHORT;
  const wasShort = before === EIGHT_SHORT;
  // There is no window that rises and falls like short ones.
  if (attackNext) return wasShort ? EIGHT_SHORT : START;
  return wasShort ? STOP : LONG;
}

/** Windows before an attack share their scale factors, and those from the first one on that it reaches into. */
function groupsOf(attack: number | null): readonly number[] {
  return attack === null || attack === 0 ? [8] : [attack, 8 - attack];
}

function layoutOf(
  widths: readonly number[],
  groups: readonly number[],
  lineHz: number,
  lengthBits: Layout['lengthBits'],
): Layout {
  const offsets = [0];
  for (const length of groups) for (const width of widths) offsets.push((offsets.at(-1) ?? 0) + width * length);
  let line = 0;
  const barks = widths.map((width) => {
    line += width;
    return barkOf((line - width / 2) * lineHz);
  });
  let from = 0;
  const usedBands = widths.filter((width) => {
    from += width;
    return (from - width) * lineHz < WIDTH_HZ;
  }).length;
  return {
    offsets: Int32Array.from(offsets),
    groups: groups.length,
    bandsPerGroup: widths.length,
    lengthBits,
    barks: Float64Array.from(barks),
    usedBands,
  };
}

/** Traunmüller's approximation. */
function barkOf(hz: number): number {
  return (26.81 * hz) / (1960 + hz) - 0.53;
}

/** Looks at eighths of frames, one frame after another, for sounds that begin suddenly. */
class AttackDetector {
  #before = 0;
  #last = 0;

  /** In which eighth of the frame that begins at `at` a sound begins; null: in none. */
  find(samples: Float64Array, at: number): number | null {
    let found: number | null = null;
    for (let eighth = 0; eighth < 8; eighth++) {
      const start = at + eighth * SHORT;
      let energy = 0;
      for (let i = start; i < start + SHORT; i++) {
        // The difference hears consonants better than the hum below them.
        const change = samples[i]! - this.#last;
        this.#last = samples[i]!;
        energy += change * change;
      }
      energy /= SHORT;
      if (found === null && energy > QUIET && energy > ATTACK * this.#before) found = eighth;
      // Forgets over some 20 ms.
      this.#before = Math.max(energy, 0.7 * this.#before + 0.3 * energy);
    }
    return found;
  }
}
