import { CEPSTRA_WIDTH, cepstra } from './cepstra.js';
import { median, trackPitch } from './pitch.js';

/** The colour of a voice, of much speech: its mean spectral envelope and its pitch. */
export interface Colour {
  readonly envelope: Float64Array;
  readonly medianHz: number;
}

const COEFFICIENTS = 12;
/** Frames whose first cepstrum is this far below the loudest frame's are no voice. */
const QUIET = 25;

export function colourOf(utterances: readonly Float32Array[]): Colour {
  const pitches = utterances.flatMap((samples) => [...trackPitch(samples).hz].filter((hz) => hz > 0));
  return { envelope: envelopeOf(utterances), medianHz: median(pitches) };
}

/** Mean mel cepstra of the loud frames without the first, which is the level. */
export function envelopeOf(utterances: readonly Float32Array[]): Float64Array {
  const envelope = new Float64Array(COEFFICIENTS);
  let frames = 0;
  for (const samples of utterances) {
    const { data, frames: count } = cepstra(samples);
    let loudest = -Infinity;
    for (let f = 0; f < count; f++) loudest = Math.max(loudest, data[f * CEPSTRA_WIDTH]!);
    for (let f = 0; f < count; f++) {
      if (data[f * CEPSTRA_WIDTH]! < loudest - QUIET) continue;
      for (let c = 0; c < COEFFICIENTS; c++) envelope[c]! += data[f * CEPSTRA_WIDTH + 1 + c]!;
      frames++;
    }
  }
  return envelope.map((sum) => sum / Math.max(1, frames));
}

/** How far a voice went when it was asked to sound like another. */
export interface ColourShift {
  /** Share of the way between the two speakers' envelopes: 0 nothing changed, 1 all the way. */
  readonly envelopeShare: number;
  /** Cosine between the way gone and the way asked for: 1 the right direction, 0 any. */
  readonly direction: number;
  /** Share of the way between the two speakers' pitches, in semitones; null where they are less than one apart. */
  readonly pitchShare: number | null;
}

/** Four colours: of the recordings of the usual speaker and of the new one, and of speech made in either's voice. */
export function colourShift(usual: Colour, wanted: Colour, madeUsual: Colour, made: Colour): ColourShift {
  const asked = difference(wanted.envelope, usual.envelope);
  const gone = difference(made.envelope, madeUsual.envelope);
  const semitones = (from: Colour, to: Colour) => 12 * Math.log2(to.medianHz / from.medianHz);
  const askedPitch = semitones(usual, wanted);
  return {
    envelopeShare: dot(asked, gone) / dot(asked, asked),
    direction: dot(asked, gone) / Math.sqrt(dot(asked, asked) * dot(gone, gone) + 1e-12),
    pitchShare: Math.abs(askedPitch) < 1 ? null : semitones(madeUsual, made) / askedPitch,
  };
}

export function distance(a: Float64Array, b: Float64Array): number {
  const apart = difference(a, b);
  return Math.sqrt(dot(apart, apart));
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, index) => value - b[index]!);
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, index) => sum + value * b[index]!, 0);
}
