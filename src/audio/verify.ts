import { setImmediate } from 'node:timers/promises';
import { type AudioLimits, decodeAudio } from './decode.js';
import type { AigcLabel } from './label.js';
import { readAigcLabel } from './read-label.js';
import { searchWatermark, type WatermarkFinding } from './watermark-detector.js';

export interface Verification {
  /** The metadata label, as the file has it: anyone can write or remove it. */
  readonly label: Partial<AigcLabel> | null;
  /** Of the first {@link SEARCHED_SECONDS}. */
  readonly watermark: WatermarkFinding;
  readonly durationSeconds: number;
}

/** A minute holds the mark twenty times. */
const SEARCHED_SECONDS = 60;
/** Positions tried before others get their turn: about a millisecond for a short file, twenty for a minute. */
const POSITIONS_A_TURN = 4;

/** Reads back the labels of a file. Throws what `decodeAudio` throws. */
export async function verifyAudio(bytes: Uint8Array, limits: AudioLimits = {}): Promise<Verification> {
  const label = readAigcLabel(bytes);
  const { channels, sampleRateHz } = await decodeAudio(bytes, limits);
  const samples = channels[0] ?? new Float32Array();
  const search = searchWatermark(samples.subarray(0, SEARCHED_SECONDS * sampleRateHz), sampleRateHz);
  for (let position = 1; ; position++) {
    const step = search.next();
    if (step.done) return { label, watermark: step.value, durationSeconds: samples.length / sampleRateHz };
    if (position % POSITIONS_A_TURN === 0) await setImmediate();
  }
}
