import { decodeAudio } from '../audio/decode.js';
import { kaldiFilterBank } from '../audio/fbank.js';
import { measureLevel, mixToMono } from '../audio/level.js';
import { resample } from '../audio/resample.js';
import { AppError } from '../errors.js';
import { cosine } from './cosine.js';
import type { RecordingCheck } from './engine-types.js';
import type { ReferenceRecording } from './reference-recording.js';

/** Filter-bank features (frames, 80) → who speaks, as a direction. */
export type SpeakerEmbedding = (fbank: Float32Array, frames: number) => Promise<Float32Array>;

const RATE_HZ = 16_000;
const BANDS = 80;
/** Said in the network's training in seconds; more of a statement says nothing new about who speaks. */
const MAX_SECONDS = 30;
const MAX_STATEMENT_SECONDS = 300;
const MIN_STATEMENT_SECONDS = 2;
/** Pieces of a recording that are compared with one another. */
const PIECE_SECONDS = 1.6;
const PIECE_STEP_SECONDS = 0.8;
/**
 * Pieces are short, and their directions therefore vague: below the first two people are sure, below the second likely.
 * Same-speaker pieces of this length are usually above 0.5, those of two speakers around 0.1.
 */
const TWO_SPEAKERS = 0.15;
const PERHAPS_TWO_SPEAKERS = 0.25;

/** Who speaks in a mono recording. */
export async function embedSpeaker(
  samples: Float32Array,
  sampleRateHz: number,
  embedding: SpeakerEmbedding,
): Promise<Float32Array> {
  const used = samples.subarray(0, Math.round(MAX_SECONDS * sampleRateHz));
  const { data, frames } = kaldiFilterBank(resample(used, sampleRateHz, RATE_HZ), RATE_HZ, BANDS);
  return embedding(data, frames);
}

/**
 * How alike the speaker of a statement is to those of recordings: the least of the similarities.
 *
 * @throws AppError `AUDIO_*` for a statement that cannot be read, is too short or silent.
 */
export async function compareSpeakers(
  statement: Uint8Array,
  recordings: readonly Uint8Array[],
  embedding: SpeakerEmbedding,
  signal?: AbortSignal,
): Promise<number> {
  const said = await readStatement(statement);
  const speaker = await embedSpeaker(said.samples, said.sampleRateHz, embedding);
  let least = 1;
  for (const bytes of recordings) {
    signal?.throwIfAborted();
    const { channels, sampleRateHz } = await decodeAudio(bytes, { maxDurationSeconds: MAX_STATEMENT_SECONDS });
    least = Math.min(least, cosine(speaker, await embedSpeaker(mixToMono(channels), sampleRateHz, embedding)));
  }
  return least;
}

/** Throws `AUDIO_*` for what cannot be somebody's spoken statement. */
export async function readStatement(
  bytes: Uint8Array,
): Promise<{ readonly samples: Float32Array; readonly sampleRateHz: number; readonly durationSeconds: number }> {
  const { channels, sampleRateHz } = await decodeAudio(bytes, { maxDurationSeconds: MAX_STATEMENT_SECONDS });
  const samples = mixToMono(channels);
  const { durationSeconds, activeSeconds } = measureLevel(samples, sampleRateHz);
  if (durationSeconds < MIN_STATEMENT_SECONDS) {
    throw new AppError(
      'AUDIO_TOO_SHORT',
      `the statement is ${durationSeconds.toFixed(1)} s long, too short to be one; record the speaker reading all of it`,
    );
  }
  if (activeSeconds < MIN_STATEMENT_SECONDS / 2) {
    throw new AppError('AUDIO_SILENT', 'the statement is silent, or nearly so; record it again, closer or louder');
  }
  return { samples, sampleRateHz, durationSeconds };
}

/**
 * Whether one person speaks in a recording, by comparing its pieces: the two that are least alike gather the others
 * around them, and what the two groups have in common decides.
 */
export async function checkSingleSpeaker(
  { samples, sampleRateHz }: Pick<ReferenceRecording, 'samples' | 'sampleRateHz'>,
  embedding: SpeakerEmbedding | null,
): Promise<Omit<RecordingCheck, 'recording'>> {
  const check = 'speaker';
  if (embedding === null) {
    const message = 'not checked: no imported model has a speaker encoder; make sure that one person speaks';
    return { check, outcome: 'unchecked', message, value: null };
  }
  const pieces = await embedPieces(samples, sampleRateHz, embedding);
  if (pieces.length < 2) return { check, outcome: 'ok', message: 'too short to hold two speakers', value: null };
  const between = similarityOfGroups(pieces);
  const shown = `the parts of the recording are alike to ${between.toFixed(2)}`;
  if (between >= PERHAPS_TWO_SPEAKERS) return { check, outcome: 'ok', message: shown, value: between };
  return {
    check,
    outcome: between < TWO_SPEAKERS ? 'refused' : 'warning',
    message: `${shown}, as if more than one person spoke; use a part where only the speaker is heard`,
    value: between,
  };
}

async function embedPieces(
  samples: Float32Array,
  sampleRateHz: number,
  embedding: SpeakerEmbedding,
): Promise<Float32Array[]> {
  const length = Math.round(PIECE_SECONDS * sampleRateHz);
  const step = Math.round(PIECE_STEP_SECONDS * sampleRateHz);
  const { activeLevelDb } = measureLevel(samples, sampleRateHz);
  const pieces: Float32Array[] = [];
  for (let start = 0; start + length <= samples.length; start += step) {
    const piece = samples.subarray(start, start + length);
    // A pause is nobody.
    if (measureLevel(piece, sampleRateHz).activeLevelDb < activeLevelDb - 20) continue;
    pieces.push(await embedSpeaker(piece, sampleRateHz, embedding));
  }
  return pieces;
}

/** Mean similarity across the two groups around the least similar pair of pieces. */
export function similarityOfGroups(pieces: readonly Float32Array[]): number {
  const matrix = pieces.map((a) => pieces.map((b) => cosine(a, b)));
  let least = { value: Number.POSITIVE_INFINITY, first: 0, second: 0 };
  for (const [first, row] of matrix.entries()) {
    for (const [second, value] of row.entries()) if (value < least.value) least = { value, first, second };
  }
  const groups: [number[], number[]] = [[], []];
  for (const index of pieces.keys()) {
    const nearer = (matrix[index]?.[least.first] ?? 0) >= (matrix[index]?.[least.second] ?? 0) ? 0 : 1;
    groups[nearer].push(index);
  }
  let sum = 0;
  for (const a of groups[0]) for (const b of groups[1]) sum += matrix[a]?.[b] ?? 0;
  const pairs = groups[0].length * groups[1].length;
  return pairs === 0 ? 1 : sum / pairs;
}
