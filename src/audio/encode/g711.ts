/** ITU-T G.711 encoders: one byte a sample, at 8 kHz what telephone networks carry. */

/** µ-law (North America, Japan): 14 bits of sample into 8, inverted on the line. */
export function encodeMulaw(samples: Float32Array): Uint8Array {
  return encode(samples, MULAW);
}

/** A-law (elsewhere): 13 bits of sample into 8, every other bit inverted on the line. */
export function encodeAlaw(samples: Float32Array): Uint8Array {
  return encode(samples, ALAW);
}

function encode(samples: Float32Array, codes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) bytes[i] = codes[toIndex(samples[i]!)]!;
  return bytes;
}

/** Samples as 16-bit integers, clamped, from 0; what is not a number is silence. */
function toIndex(sample: number): number {
  const value = Math.round(sample * 32768) || 0;
  return Math.max(-32768, Math.min(32767, value)) + 32768;
}

const MULAW_BIAS = 0x84;
const MULAW_CLIP = 32635;

function mulawOf(value: number): number {
  const sign = value < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(value), MULAW_CLIP) + MULAW_BIAS;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

function alawOf(value: number): number {
  const sign = value < 0 ? 0 : 0x80;
  // Negative values have their own zero: -1 … -16 is its first step.
  const magnitude = Math.min(value < 0 ? -value - 1 : value, 32767) >> 4;
  const exponent = magnitude < 16 ? 0 : 28 - Math.clz32(magnitude);
  const mantissa = exponent === 0 ? magnitude : magnitude >> (exponent - 1);
  return (sign | (exponent << 4) | (mantissa & 0x0f)) ^ 0x55;
}

const MULAW = Uint8Array.from({ length: 65536 }, (_, index) => mulawOf(index - 32768));
const ALAW = Uint8Array.from({ length: 65536 }, (_, index) => alawOf(index - 32768));
