import { createHash } from 'node:crypto';

/**
 * A FLAC encoder for 16-bit mono (RFC 9639): fixed and linear predictors, Rice-coded residuals in partitions. Lossless,
 * so it has nothing to tune but size: speech takes about half of WAV.
 */
export class FlacEncoder {
  readonly #sampleRateHz: number;
  readonly #comments: Uint8Array;
  readonly #hash = createHash('md5');
  #pending = new Int16Array(0);
  #frameIndex = 0;
  #totalSamples = 0;
  #minFrameBytes = 0;
  #maxFrameBytes = 0;

  /** @param comments the body of a Vorbis comment block. */
  constructor(sampleRateHz: number, comments: Uint8Array) {
    this.#sampleRateHz = sampleRateHz;
    this.#comments = comments;
  }

  /** `fLaC`, stream info and comments; after the last frame it also knows the length and the digest of the sound. */
  header(finished: boolean): Uint8Array {
    const info = new Uint8Array(34);
    const view = new DataView(info.buffer);
    view.setUint16(0, BLOCK_SAMPLES);
    view.setUint16(2, BLOCK_SAMPLES);
    writeUint24(info, 4, finished ? this.#minFrameBytes : 0);
    writeUint24(info, 7, finished ? this.#maxFrameBytes : 0);
    // 20 bits of rate, 3 of channels - 1, 5 of bits a sample - 1, 36 of total samples.
    const total = finished ? this.#totalSamples : 0;
    view.setUint32(10, ((this.#sampleRateHz << 12) | (0 << 9) | (15 << 4) | Math.floor(total / 2 ** 32)) >>> 0);
    view.setUint32(14, total >>> 0);
    if (finished) info.set(this.#hash.copy().digest(), 18);
    const header = new Uint8Array(4 + 4 + 34 + 4 + this.#comments.length);
    header.set([0x66, 0x4c, 0x61, 0x43, 0, 0, 0, 34]);
    header.set(info, 8);
    header[42] = 0x80 | 4;
    writeUint24(header, 43, this.#comments.length);
    header.set(this.#comments, 46);
    return header;
  }

  /** The frames that are whole now. */
  encode(samples: Int16Array): Uint8Array[] {
    const all = new Int16Array(this.#pending.length + samples.length);
    all.set(this.#pending);
    all.set(samples, this.#pending.length);
    const frames: Uint8Array[] = [];
    let offset = 0;
    for (; offset + BLOCK_SAMPLES <= all.length; offset += BLOCK_SAMPLES) {
      frames.push(this.#frame(all.subarray(offset, offset + BLOCK_SAMPLES)));
    }
    this.#pending = all.slice(offset);
    return frames;
  }

  /** The last, shorter frame. */
  finish(): Uint8Array[] {
    if (this.#pending.length === 0) return [];
    const frame = this.#frame(this.#pending);
    this.#pending = new Int16Array(0);
    return [frame];
  }

  #frame(samples: Int16Array): Uint8Array {
    this.#hash.update(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
    const bits = new BitWriter(samples.length * 2 + 64);
    bits.write(0x3ffe, 14);
    bits.write(0, 1);
    bits.write(0, 1); // fixed block size
    bits.write(samples.length === BLOCK_SAMPLES ? 0b1001 : 0b0111, 4); // 512, or 16 bits at the end of the header
    const rateCode = RATE_CODES[this.#sampleRateHz] ?? RATE_IN_HEADER;
    bits.write(rateCode, 4);
    bits.write(0, 4); // one channel
    bits.write(0b100, 3); // 16 bits
    bits.write(0, 1);
    for (const byte of utf8Number(this.#frameIndex++)) bits.write(byte, 8);
    if (samples.length !== BLOCK_SAMPLES) bits.write(samples.length - 1, 16);
    if (rateCode === RATE_IN_HEADER) bits.write(this.#sampleRateHz, 16);
    bits.write(crc8(bits.bytes()), 8);
    writeSubframe(bits, samples);
    bits.align();
    bits.write(crc16(bits.bytes()), 16);
    const frame = bits.bytes().slice();
    this.#totalSamples += samples.length;
    this.#maxFrameBytes = Math.max(this.#maxFrameBytes, frame.length);
    this.#minFrameBytes = this.#minFrameBytes === 0 ? frame.length : Math.min(this.#minFrameBytes, frame.length);
    return frame;
  }
}

/** 32 ms at 16 kHz: what a stream waits for. Longer blocks would be 1 % smaller. */
export const BLOCK_SAMPLES = 512;
/** Each frame names its rate, so that decoders can begin anywhere. */
const RATE_CODES: Readonly<Record<number, number>> = {
  8000: 4,
  16000: 5,
  22050: 6,
  24000: 7,
  32000: 8,
  44100: 9,
  48000: 10,
};
const RATE_IN_HEADER = 0b1101;
const MAX_LPC_ORDER = 8;
const LPC_PRECISION_BITS = 12;
const MAX_PARTITION_ORDER = 3;

interface Predictor {
  readonly kind: 'fixed' | 'lpc';
  readonly order: number;
  readonly coefficients: Int32Array;
  readonly shift: number;
  readonly residual: Int32Array;
  readonly bits: number;
}

function writeSubframe(bits: BitWriter, samples: Int16Array): void {
  if (samples.every((sample) => sample === samples[0])) {
    bits.write(0, 8);
    bits.write(samples[0]! & 0xffff, 16);
    return;
  }
  const best = choosePredictor(samples);
  if (best === null) {
    bits.write(0b00000010, 8);
    for (const sample of samples) bits.write(sample & 0xffff, 16);
    return;
  }
  bits.write(best.kind === 'fixed' ? (0b001000 | best.order) << 1 : (0b100000 | (best.order - 1)) << 1, 8);
  for (let i = 0; i < best.order; i++) bits.write(samples[i]! & 0xffff, 16);
  if (best.kind === 'lpc') {
    bits.write(LPC_PRECISION_BITS - 1, 4);
    bits.write(best.shift & 31, 5);
    for (const coefficient of best.coefficients)
      bits.write(coefficient & ((1 << LPC_PRECISION_BITS) - 1), LPC_PRECISION_BITS);
  }
  writeResidual(bits, best.residual, best.order);
}

/** The predictor with the smallest estimate, or null where plain samples are smaller. */
function choosePredictor(samples: Int16Array): Predictor | null {
  let best: Predictor | null = null;
  const consider = (candidate: Predictor | null) => {
    if (candidate !== null && (best === null || candidate.bits < best.bits)) best = candidate;
  };
  // Orders 3 and 4 hardly ever win against a prediction made for the block, and cost time.
  for (let order = 0; order <= Math.min(2, samples.length - 1); order++) consider(fixedPredictor(samples, order));
  if (samples.length > 4 * MAX_LPC_ORDER) {
    for (const coefficients of linearPredictions(samples)) consider(quantisedPredictor(samples, coefficients));
  }
  const chosen = best as Predictor | null;
  return chosen !== null && chosen.bits < samples.length * 16 ? chosen : null;
}

const FIXED: readonly (readonly number[])[] = [[], [1], [2, -1]];

function fixedPredictor(samples: Int16Array, order: number): Predictor {
  const coefficients = Int32Array.from(FIXED[order]!);
  const residual = residualOf(samples, coefficients, 0);
  const bits = order * 16 + estimateBits(residual.subarray(order));
  return { kind: 'fixed', order, coefficients, shift: 0, residual, bits };
}

function quantisedPredictor(samples: Int16Array, coefficients: Float64Array): Predictor | null {
  const largest = coefficients.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  if (largest === 0 || !Number.isFinite(largest)) return null;
  const shift = Math.min(15, LPC_PRECISION_BITS - 1 - Math.ceil(Math.log2(largest + 1e-9)) - 1);
  if (shift < 0) return null;
  const limit = (1 << (LPC_PRECISION_BITS - 1)) - 1;
  let carried = 0;
  const quantised = Int32Array.from(coefficients, (value) => {
    const wanted = value * (1 << shift) + carried;
    const rounded = Math.max(-limit - 1, Math.min(limit, Math.round(wanted)));
    carried = wanted - rounded;
    return rounded;
  });
  const residual = residualOf(samples, quantised, shift);
  const order = quantised.length;
  const bits = order * (16 + LPC_PRECISION_BITS) + 9 + estimateBits(residual.subarray(order));
  return { kind: 'lpc', order, coefficients: quantised, shift, residual, bits };
}

function residualOf(samples: Int16Array, coefficients: Int32Array, shift: number): Int32Array {
  const order = coefficients.length;
  const residual = new Int32Array(samples.length);
  for (let i = order; i < samples.length; i++) {
    let sum = 0;
    for (let k = 0; k < order; k++) sum += coefficients[k]! * samples[i - 1 - k]!;
    residual[i] = samples[i]! - (sum >> shift);
  }
  return residual;
}

/** Predictions of order 4 and 8 by the autocorrelation method (Welch window, Levinson-Durbin). */
function linearPredictions(samples: Int16Array): Float64Array[] {
  const length = samples.length;
  const windowed = Float64Array.from(samples, (sample, i) => {
    const position = (2 * i) / (length - 1) - 1;
    return sample * (1 - position * position);
  });
  const autocorrelation = new Float64Array(MAX_LPC_ORDER + 1);
  for (let lag = 0; lag <= MAX_LPC_ORDER; lag++) {
    let sum = 0;
    for (let i = lag; i < length; i++) sum += windowed[i]! * windowed[i - lag]!;
    autocorrelation[lag] = sum;
  }
  let error = autocorrelation[0]!;
  if (error <= 0) return [];
  const coefficients = new Float64Array(MAX_LPC_ORDER);
  const found: Float64Array[] = [];
  for (let order = 0; order < MAX_LPC_ORDER; order++) {
    let reflection = autocorrelation[order + 1]!;
    for (let k = 0; k < order; k++) reflection -= coefficients[k]! * autocorrelation[order - k]!;
    reflection /= error;
    const previous = coefficients.slice(0, order);
    for (let k = 0; k < order; k++) coefficients[k] = previous[k]! - reflection * previous[order - 1 - k]!;
    coefficients[order] = reflection;
    error *= 1 - reflection * reflection;
    if (error <= 0) break;
    if (order === 3 || order === MAX_LPC_ORDER - 1) found.push(coefficients.slice(0, order + 1));
  }
  return found;
}

/** Rice parameter and its cost for one partition: the parameter near log2 of the mean is within a bit of the best. */
function riceCost(residual: Int32Array): { readonly parameter: number; readonly bits: number } {
  let sum = 0;
  for (const value of residual) sum += zigzag(value);
  const mean = sum / Math.max(1, residual.length);
  const parameter = Math.max(0, Math.min(14, Math.round(Math.log2(mean + 1e-9) - 0.2)));
  let bits = residual.length * (1 + parameter);
  for (const value of residual) bits += zigzag(value) >>> parameter;
  return { parameter, bits };
}

function estimateBits(residual: Int32Array): number {
  return residual.length === 0 ? 0 : riceCost(residual).bits;
}

function writeResidual(bits: BitWriter, residual: Int32Array, order: number): void {
  const length = residual.length;
  let best: { order: number; parameters: number[]; bits: number } | null = null;
  for (let partitionOrder = 0; partitionOrder <= MAX_PARTITION_ORDER; partitionOrder++) {
    const partitionSamples = length >> partitionOrder;
    if (partitionSamples << partitionOrder !== length || partitionSamples <= order) break;
    let total = 0;
    const parameters: number[] = [];
    for (let partition = 0; partition < 1 << partitionOrder; partition++) {
      const start = partition === 0 ? order : partition * partitionSamples;
      const cost = riceCost(residual.subarray(start, (partition + 1) * partitionSamples));
      parameters.push(cost.parameter);
      total += 4 + cost.bits;
    }
    if (best === null || total < best.bits) best = { order: partitionOrder, parameters, bits: total };
  }
  const chosen = best ?? { order: 0, parameters: [riceCost(residual.subarray(order)).parameter], bits: 0 };
  bits.write(0, 2); // Rice parameters of 4 bits
  bits.write(chosen.order, 4);
  const partitionSamples = length >> chosen.order;
  chosen.parameters.forEach((parameter, partition) => {
    bits.write(parameter, 4);
    const start = partition === 0 ? order : partition * partitionSamples;
    for (let i = start; i < (partition + 1) * partitionSamples; i++) bits.writeRice(zigzag(residual[i]!), parameter);
  });
}

function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

class BitWriter {
  #bytes: Uint8Array;
  #length = 0;
  #bitBuffer = 0;
  #bitCount = 0;

  constructor(sizeBytes: number) {
    this.#bytes = new Uint8Array(sizeBytes);
  }

  /** @param count at most 24 */
  write(value: number, count: number): void {
    this.#bitBuffer = (this.#bitBuffer << count) | (value & (2 ** count - 1));
    this.#bitCount += count;
    while (this.#bitCount >= 8) {
      this.#bitCount -= 8;
      this.#push((this.#bitBuffer >>> this.#bitCount) & 0xff);
    }
  }

  /** The quotient in ones' complement (zeros ended by a one), then the low bits. */
  writeRice(value: number, parameter: number): void {
    let zeros = value >>> parameter;
    for (; zeros > 8; zeros -= 8) this.write(0, 8);
    this.write((1 << parameter) | (value & ((1 << parameter) - 1)), zeros + 1 + parameter);
  }

  align(): void {
    if (this.#bitCount > 0) this.write(0, 8 - this.#bitCount);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #push(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }
}

/** The frame number as FLAC writes it: like UTF-8, up to 31 bits. */
function utf8Number(value: number): number[] {
  if (value < 0x80) return [value];
  const bytes: number[] = [];
  let left = value;
  let room = 0x3f;
  while (left > room) {
    bytes.unshift(0x80 | (left & 0x3f));
    left = Math.floor(left / 64);
    room >>= 1;
  }
  return [((~room << 1) & 0xff) | left, ...bytes];
}

function crc8(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = CRC8[crc ^ byte]!;
  return crc;
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ byte]!;
  return crc;
}

const CRC8 = Uint8Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1;
  return crc & 0xff;
});

const CRC16 = Uint16Array.from({ length: 256 }, (_, index) => {
  let crc = index << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x8005 : crc << 1;
  return crc & 0xffff;
});

function writeUint24(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >> 16;
  bytes[offset + 1] = value >> 8;
  bytes[offset + 2] = value;
}
