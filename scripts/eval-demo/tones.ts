import { median, type PitchTrack } from './pitch.js';

/** One syllable's final in an utterance: frames [start, end). */
export interface FinalSpan {
  readonly start: number;
  readonly end: number;
}

/** The pitch of a syllable as six points in semitones above the speaker's middle, with what surrounds it. */
export interface ToneShape {
  readonly points: readonly number[];
  /** Level at the beginning, middle and end in dB below its highest. */
  readonly levels: readonly number[];
  readonly voicedShare: number;
  readonly frames: number;
}

/** A network of one hidden layer over the features of `toneFeatures`. */
export interface ToneNetwork {
  readonly hidden: number;
  /** (hidden, TONE_FEATURES + 1), the last column a bias. */
  readonly input: Float32Array;
  /** (4, hidden + 1). */
  readonly output: Float32Array;
}

export const TONE_FEATURES = 15;
const POINTS = 6;
/** Fewer voiced frames carry no tone that could be heard. */
const LEAST_VOICED_FRAMES = 4;

/** The middle of a speaker's pitch over a set of recordings, in semitones. */
export function registerOf(tracks: readonly PitchTrack[]): number {
  return median(
    tracks.flatMap(({ hz }) =>
      Array.from(hz)
        .filter((f0) => f0 > 0)
        .map((f0) => 12 * Math.log2(f0)),
    ),
  );
}

/** The shape of a final's pitch; null where it hardly sounds. */
export function toneShape(track: PitchTrack, { start, end }: FinalSpan, register: number): ToneShape | null {
  const at: number[] = [];
  for (let f = start; f < Math.min(end, track.hz.length); f++) if (track.hz[f]! > 0) at.push(f);
  if (at.length < LEAST_VOICED_FRAMES) return null;
  const semitones = at.map((f) => 12 * Math.log2(track.hz[f]!) - register);
  const first = at[0]!;
  const last = at[at.length - 1]!;
  const points: number[] = [];
  for (let k = 0, place = 0; k < POINTS; k++) {
    const wanted = first + ((last - first) * k) / (POINTS - 1);
    while (place < at.length - 2 && at[place + 1]! < wanted) place++;
    const [a, b] = [at[place]!, at[place + 1]!];
    const part = Math.min(1, Math.max(0, (wanted - a) / (b - a)));
    points.push(semitones[place]! * (1 - part) + semitones[place + 1]! * part);
  }
  const loudest = at.reduce((most, f) => Math.max(most, track.levelDb[f]!), -100);
  const levels = [first, (first + last) >> 1, last].map((f) => track.levelDb[f]! - loudest);
  return { points, levels, voicedShare: at.length / (end - start), frames: end - start };
}

/** What the network sees of a syllable between its neighbours (null: none, or not heard). */
export function toneFeatures(shape: ToneShape, before: ToneShape | null, after: ToneShape | null): Float32Array {
  const start = shape.points[0]!;
  const end = shape.points[POINTS - 1]!;
  return Float32Array.from([
    ...shape.points.map((value) => value / 5),
    ...shape.levels.map((value) => value / 10),
    shape.voicedShare,
    Math.log(shape.frames / 20),
    before ? (before.points[POINTS - 1]! - start) / 5 : 0,
    before ? 1 : 0,
    after ? (after.points[0]! - end) / 5 : 0,
    after ? 1 : 0,
  ]);
}

/** The likeliest of tones 1 to 4. */
export function likeliestTone(network: ToneNetwork, features: Float32Array): number {
  const scores = forward(network, features).output;
  return 1 + scores.indexOf(Math.max(...scores));
}

/** Hidden activations and the logits of the four tones. */
export function forward(network: ToneNetwork, features: Float32Array): { hidden: number[]; output: number[] } {
  const row = TONE_FEATURES + 1;
  const hidden = Array.from({ length: network.hidden }, (_, unit) => {
    let sum = network.input[unit * row + TONE_FEATURES]!;
    for (let k = 0; k < TONE_FEATURES; k++) sum += network.input[unit * row + k]! * features[k]!;
    return Math.tanh(sum);
  });
  const output = Array.from({ length: 4 }, (_, tone) => {
    let sum = network.output[tone * (network.hidden + 1) + network.hidden]!;
    for (let unit = 0; unit < network.hidden; unit++) {
      sum += network.output[tone * (network.hidden + 1) + unit]! * hidden[unit]!;
    }
    return sum;
  });
  return { hidden, output };
}
