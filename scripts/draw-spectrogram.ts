import { readFileSync, writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { decodeAudio } from '../src/audio/decode.js';
import { magnitudeSpectrogram } from '../src/audio/spectrogram.js';

/**
 * `npx tsx scripts/draw-spectrogram.ts IN.wav OUT.png`: a picture of a recording, time to the right (5 ms a column),
 * frequency upwards (0 Hz to half the sample rate), 70 dB from black to white.
 */
const [input, target] = process.argv.slice(2);
if (!input || !target) throw new Error('usage: tsx scripts/draw-spectrogram.ts IN.wav OUT.png');

const FFT_SIZE = 1024;
const WINDOW_SECONDS = 0.016;
const COLUMN_SECONDS = 0.005;
const RANGE_DB = 70;
/** Pixel rows: every second bin of the FFT. */
const HEIGHT = FFT_SIZE / 4;

const { channels, sampleRateHz } = await decodeAudio(readFileSync(input));
const samples = channels[0] ?? new Float32Array(0);
const { data, rows, frames } = magnitudeSpectrogram(samples, {
  fftSize: FFT_SIZE,
  hopSamples: Math.round(COLUMN_SECONDS * sampleRateHz),
  windowSamples: Math.round(WINDOW_SECONDS * sampleRateHz),
});
const peak = data.reduce((highest, value) => Math.max(highest, value), 1e-9);

const pixels = new Uint8Array(frames * HEIGHT * 3);
for (let row = 0; row < HEIGHT; row++) {
  const bin = Math.min(rows - 1, 2 * (HEIGHT - 1 - row));
  for (let column = 0; column < frames; column++) {
    const db = 20 * Math.log10(Math.max(data[bin * frames + column] ?? 0, 1e-9) / peak);
    pixels.set(colour(Math.max(0, 1 + db / RANGE_DB)), (row * frames + column) * 3);
  }
}
writeFileSync(target, encodePng(pixels, frames, HEIGHT));

/** Black, violet, orange, pale yellow: readable in print and for the colour-blind. */
function colour(level: number): [number, number, number] {
  const stops = [
    [0, 0, 4],
    [81, 18, 124],
    [183, 55, 121],
    [252, 137, 97],
    [252, 253, 191],
  ] as const;
  const position = Math.min(level, 0.9999) * (stops.length - 1);
  const low = stops[Math.floor(position)] ?? stops[0];
  const high = stops[Math.floor(position) + 1] ?? low;
  const part = position - Math.floor(position);
  return [0, 1, 2].map((k) => Math.round(low[k]! + (high[k]! - low[k]!) * part)) as [number, number, number];
}

/** An RGB picture as PNG: signature, header, one deflated block, end. */
function encodePng(rgb: Uint8Array, width: number, height: number): Buffer {
  const lines = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0; y < height; y++) {
    lines.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), y * (1 + width * 3) + 1);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
