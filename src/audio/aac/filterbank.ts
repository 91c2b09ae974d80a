import { createInverseMdct } from '../mdct.js';

export const FRAME = 1024;
export const SHORT = FRAME / 8;
/** Before the first short window of a frame, and behind the last one. */
const MARGIN = (FRAME - SHORT) / 2;

/** Window sequences by their number in the stream. */
export const ONLY_LONG = 0;
export const LONG_START = 1;
export const EIGHT_SHORT = 2;
export const LONG_STOP = 3;

/** Rising halves of the windows by their number in the stream: sine, Kaiser-Bessel. */
const LONG_RISES = [sine(FRAME), kaiserBessel(FRAME, 4)];
const SHORT_RISES = [sine(SHORT), kaiserBessel(SHORT, 6)];

const longInverse = createInverseMdct(FRAME);
const shortInverse = createInverseMdct(SHORT);
const block = new Float64Array(2 * FRAME);
const shortBlock = new Float64Array(2 * SHORT);

/** Lines of one channel, frame by frame, to samples. */
export class Filterbank {
  /** What the frame before adds to the next one. */
  readonly #overlap = new Float64Array(FRAME);
  #shape = 0;

  /** `spectrum`: 1,024 lines, or eight times 128 one after another. Full scale is 1. */
  synthesize(spectrum: Float64Array, sequence: number, shape: number): Float32Array {
    const samples = new Float32Array(FRAME);
    if (sequence === EIGHT_SHORT) this.#short(spectrum, shape);
    else this.#long(spectrum, sequence, shape);
    for (let n = 0; n < FRAME; n++) {
      samples[n] = bounded((this.#overlap[n]! + block[n]!) / FULL_SCALE);
      this.#overlap[n] = block[FRAME + n]!;
    }
    this.#shape = shape;
    return samples;
  }

  #long(spectrum: Float64Array, sequence: number, shape: number): void {
    longInverse(spectrum, block);
    if (sequence === LONG_STOP) {
      block.fill(0, 0, MARGIN);
      rise(block, MARGIN, SHORT_RISES[this.#shape]!);
    } else rise(block, 0, LONG_RISES[this.#shape]!);
    if (sequence === LONG_START) {
      fall(block, FRAME + MARGIN, SHORT_RISES[shape]!);
      block.fill(0, FRAME + MARGIN + SHORT);
    } else fall(block, FRAME, LONG_RISES[shape]!);
  }

  #short(spectrum: Float64Array, shape: number): void {
    block.fill(0);
    for (let window = 0; window < 8; window++) {
      shortInverse(spectrum.subarray(window * SHORT, (window + 1) * SHORT), shortBlock);
      // What came before has the shape of the frame before.
      rise(shortBlock, 0, SHORT_RISES[window === 0 ? this.#shape : shape]!);
      fall(shortBlock, SHORT, SHORT_RISES[shape]!);
      const start = MARGIN + window * SHORT;
      for (let n = 0; n < 2 * SHORT; n++) block[start + n]! += shortBlock[n]!;
    }
  }
}

/** AAC counts in samples of 16 bits. */
const FULL_SCALE = 32_768;
/** No encoder overshoots full scale like this: only damage does, and it should not reach into infinity. */
const LOUDEST = 8;

function bounded(sample: number): number {
  return sample > LOUDEST ? LOUDEST : sample < -LOUDEST ? -LOUDEST : sample;
}

function rise(samples: Float64Array, start: number, window: Float64Array): void {
  for (let n = 0; n < window.length; n++) samples[start + n]! *= window[n]!;
}

function fall(samples: Float64Array, start: number, window: Float64Array): void {
  for (let n = 0, last = window.length - 1; n <= last; n++) samples[start + n]! *= window[last - n]!;
}

function sine(length: number): Float64Array {
  return Float64Array.from({ length }, (_, n) => Math.sin((Math.PI * (n + 0.5)) / (2 * length)));
}

/** The running sum of a Kaiser window (ISO/IEC 14496-3, 4.6.11.3.2). */
function kaiserBessel(length: number, alpha: number): Float64Array {
  const kaiser = Float64Array.from({ length: length + 1 }, (_, n) =>
    bessel(Math.PI * alpha * Math.sqrt(1 - ((2 * n) / length - 1) ** 2)),
  );
  const total = kaiser.reduce((sum, value) => sum + value, 0);
  let sum = 0;
  return kaiser.subarray(0, length).map((value) => {
    sum += value;
    return Math.sqrt(sum / total);
  });
}

/** The modified Bessel function of the first kind and order zero. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-18 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
