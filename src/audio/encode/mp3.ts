import type { Codec } from './encoder.js';
import { createWasmEncoder, keepWasmEncoder } from './wasm-encoders.js';

type Bitrate = 8 | 16 | 24 | 32 | 40 | 48 | 64 | 80 | 96 | 112 | 128 | 160 | 192 | 224 | 256 | 320;
type Rate = 8000 | 11025 | 12000 | 16000 | 22050 | 24000 | 32000 | 44100 | 48000;

/** Bit rates of MPEG-1 (32 kHz and above) and of MPEG-2 and 2.5. */
const BITRATES_KBPS: readonly Bitrate[] = [32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const LOW_RATE_BITRATES_KBPS: readonly Bitrate[] = [8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160];

/** MP3 by LAME in WebAssembly: constant bit rate, so that any piece of the stream tells how long the whole is. */
export async function createMp3Codec({
  sampleRateHz,
  bitrateKbps,
  tag,
}: {
  readonly sampleRateHz: number;
  readonly bitrateKbps: number | undefined;
  /** What precedes the sound. */
  readonly tag: Uint8Array | null;
}): Promise<Codec> {
  const encoder = await createWasmEncoder('audio/mpeg');
  encoder.configure({
    channels: 1,
    sampleRate: sampleRateHz,
    outputSampleRate: sampleRateHz as Rate,
    bitrate: chooseBitrate(sampleRateHz, bitrateKbps),
  });
  let head = tag;
  // The encoder hands out a view of its own memory.
  const copy = (bytes: Uint8Array): Uint8Array[] => {
    const parts = [...(head === null ? [] : [head]), bytes.slice()];
    head = null;
    return parts;
  };
  return {
    encode(samples) {
      const parts: Uint8Array[] = [];
      for (let offset = 0; offset < samples.length; offset += PIECE_SAMPLES) {
        parts.push(...copy(encoder.encode([samples.subarray(offset, offset + PIECE_SAMPLES)])));
      }
      return parts;
    },
    finish() {
      const rest = copy(encoder.finalize());
      keepWasmEncoder('audio/mpeg', encoder);
      return rest;
    },
    discard: () => keepWasmEncoder('audio/mpeg', encoder),
  };
}

/** Bounds the encoder's buffers, whose memory never shrinks. */
const PIECE_SAMPLES = 48_000;

/** The nearest bit rate that the rate allows; absent: 64 kbit/s below 32 kHz, 96 above, 32 for telephony. */
function chooseBitrate(sampleRateHz: number, wanted: number | undefined): Bitrate {
  const all = sampleRateHz >= 32_000 ? BITRATES_KBPS : LOW_RATE_BITRATES_KBPS;
  const allowed = sampleRateHz <= 12_000 ? all.filter((rate) => rate <= 64) : all;
  const target = wanted ?? (sampleRateHz >= 32_000 ? 96 : sampleRateHz >= 16_000 ? 64 : 32);
  return allowed.reduce((best, rate) => (Math.abs(rate - target) < Math.abs(best - target) ? rate : best));
}
