import { createHash } from 'node:crypto';
import { decodeAudio } from '../audio/decode.js';
import { measureLevel, mixToMono } from '../audio/level.js';
import { AppError } from '../errors.js';

/** A recording that passed the checks, mono at its own rate. */
export interface ReferenceRecording {
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
  readonly durationSeconds: number;
  /** Length of the parts that are not silent. */
  readonly activeSeconds: number;
  /** SHA-256 of the file, lower-case hex. */
  readonly sha256: string;
  /** The file is damaged or cut short. */
  readonly truncated: boolean;
  /** What is doubtful about it, as sentences. */
  readonly warnings: readonly string[];
}

/** Outside these a recording is refused: too little voice to copy, or more prompt than the models were trained on. */
export const MIN_REFERENCE_SECONDS = 2;
export const MAX_REFERENCE_SECONDS = 30;
/** Outside these it is used with a warning; upstream refuses it. */
const RECOMMENDED_SECONDS = [3, 10] as const;

const MAX_SIZE_BYTES = 50 * 2 ** 20;
/** Decoded at most, so that one much too long can be told from one that is a little. */
const MAX_DECODED_SECONDS = 120;
/** At least this much of the recording must not be silence. */
const MIN_ACTIVE_SECONDS = 0.5;
const QUIET_DB = -45;
const MIN_ACTIVE_FRACTION = 0.4;
const MAX_CLIPPED_FRACTION = 0.001;
/** Below it the models' upper half of the spectrum is empty. */
const LOW_RATE_HZ = 16_000;

/**
 * Decodes a reference recording (any rate, any number of channels, which are averaged) and checks that a voice can be
 * made of it.
 *
 * @param label how messages call it: `the recording`, `recording 2`
 * @throws AppError `AUDIO_EMPTY`, `AUDIO_UNREADABLE`, `AUDIO_TOO_LARGE`, `AUDIO_TOO_SHORT`, `AUDIO_TOO_LONG`, `AUDIO_SILENT`.
 */
export async function readReferenceRecording(bytes: Uint8Array, label: string): Promise<ReferenceRecording> {
  const clip = await decodeAudio(bytes, { maxSizeBytes: MAX_SIZE_BYTES, maxDurationSeconds: MAX_DECODED_SECONDS });
  const samples = mixToMono(clip.channels);
  const level = measureLevel(samples, clip.sampleRateHz);
  const seconds = level.durationSeconds;
  const [shortest, longest] = RECOMMENDED_SECONDS;
  const advice = `; record ${shortest} to ${longest} s of continuous speech`;
  if (seconds < MIN_REFERENCE_SECONDS) {
    throw new AppError('AUDIO_TOO_SHORT', `${label} is ${seconds.toFixed(2)} s long, too short for a voice${advice}`);
  }
  if (seconds > MAX_REFERENCE_SECONDS) {
    const limit = `${MAX_REFERENCE_SECONDS} s allowed`;
    throw new AppError('AUDIO_TOO_LONG', `${label} is ${seconds.toFixed(1)} s long, more than the ${limit}${advice}`);
  }
  if (level.activeSeconds < MIN_ACTIVE_SECONDS) {
    const heard = `${level.activeSeconds.toFixed(2)} s of sound in ${seconds.toFixed(1)} s`;
    throw new AppError('AUDIO_SILENT', `${label} is silent or nearly so (${heard})${advice}`);
  }
  const warnings: string[] = [];
  if (seconds < shortest || seconds > longest) {
    warnings.push(`${label} is ${seconds.toFixed(1)} s long; ${shortest} to ${longest} s give the best voice`);
  }
  if (level.activeLevelDb < QUIET_DB) {
    warnings.push(`${label} is very quiet (${level.activeLevelDb.toFixed(0)} dB); its noise will be copied too`);
  }
  if (level.activeSeconds < MIN_ACTIVE_FRACTION * seconds) {
    warnings.push(
      `${label} is mostly silence (${level.activeSeconds.toFixed(1)} of ${seconds.toFixed(1)} s are sound)`,
    );
  }
  if (level.clippedFraction > MAX_CLIPPED_FRACTION) {
    warnings.push(
      `${label} is clipped (${(100 * level.clippedFraction).toFixed(1)} % of it); lower the recording level`,
    );
  }
  if (clip.sampleRateHz < LOW_RATE_HZ) {
    warnings.push(`${label} has ${clip.sampleRateHz} samples a second; the voice will sound like a telephone`);
  }
  if (clip.truncated) warnings.push(`${label} is damaged or cut short; only what could be decoded was used`);
  return {
    samples,
    sampleRateHz: clip.sampleRateHz,
    durationSeconds: seconds,
    activeSeconds: level.activeSeconds,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    truncated: clip.truncated,
    warnings,
  };
}
