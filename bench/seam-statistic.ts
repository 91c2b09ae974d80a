import { concatenate } from '../src/audio/concatenate.js';
import { logMel, melDistance } from '../src/audio/mel-distance.js';
import { fillNormal, RANDOM_STREAM } from '../src/engine/random.js';
import type { NoiseSource, WaveformDecoder } from '../src/engine/waveform-decoder.js';
import { WaveformStream } from '../src/engine/waveform-stream.js';
import type { DemoSentence } from './demo-streams.js';

const MEASURES = ['energy', 'flux'] as const;
type Measure = (typeof MEASURES)[number];

/** A statistic of all seams of some streams: how much the sound changes there, against everywhere else. */
export interface SeamFigures {
  readonly streams: number;
  readonly seams: number;
  /** By measure, in decibels: the 50th and 99th percentile of the interior, of the seams the median and the largest. */
  readonly change: Readonly<
    Record<
      Measure,
      {
        interior: number;
        interior99: number;
        seams: number;
        worstSeam: number;
        seamsAbove99: number;
        /** Of each of those, and of the same place in the sentence rendered whole, where there is no seam. */
        above99: readonly { readonly seam: number; readonly whole: number }[];
      }
    >
  >;
  /** Mean difference of log-mel frames in decibels, streamed against whole: mean and largest over the streams. */
  readonly melDistance: { readonly mean: number; readonly worst: number };
  /** The same between two whole renderings with other noise: what the model itself leaves open. */
  readonly melDistanceOfSeeds: { readonly mean: number; readonly least: number };
  /** The same of windows that see nothing of one another, against whole: what streaming would cost without its context. */
  readonly melDistanceWithoutContext: { readonly mean: number; readonly least: number };
}

/**
 * Renders every sentence as a stream, one in `wholeEvery` also whole with the same tokens and noise, and one in four of
 * those with other noise too and in windows without context; compares.
 */
export function measureSeams(
  decoder: WaveformDecoder,
  sentences: readonly DemoSentence[],
  { wholeEvery = 1 }: { readonly wholeEvery?: number } = {},
): SeamFigures {
  const { sampleRateHz } = decoder.spec;
  const interior: Record<Measure, number[]> = { energy: [], flux: [] };
  const seams: Record<Measure, Seam[]> = { energy: [], flux: [] };
  const distances: number[] = [];
  const ofSeeds: number[] = [];
  const withoutContext: number[] = [];
  for (const [index, { phonemeIds, tokens, globalEmbedding, seed }] of sentences.entries()) {
    const sentence = { phonemeIds, globalEmbedding, noise: noiseOf(seed) };
    const { samples, seamsAt } = renderStream(decoder, sentence, tokens);
    if (index % wholeEvery === 0) {
      const whole = logMel(
        concatenate([...decoder.decodeSentence({ ...sentence, semanticTokens: tokens })]),
        sampleRateHz,
      );
      distances.push(melDistance(logMel(samples, sampleRateHz), whole));
      if (distances.length % SEEDS_EVERY === 1) {
        const other = { ...sentence, semanticTokens: tokens, noise: noiseOf(seed + 1000) };
        ofSeeds.push(melDistance(logMel(concatenate([...decoder.decodeSentence(other)]), sampleRateHz), whole));
        withoutContext.push(melDistance(logMel(renderApart(decoder, sentence, tokens), sampleRateHz), whole));
      }
    }
    const curves = changeCurves(samples, sampleRateHz);
    const at = seamsAt.map((sample) => Math.round(sample / curves.hopSamples));
    for (const measure of MEASURES) {
      const curve = curves[measure];
      for (const frame of at) seams[measure].push({ index, frame, change: largestAround(curve, frame) });
      for (let frame = MARGIN; frame < curve.length - MARGIN; frame++) {
        if (at.every((seam) => Math.abs(seam - frame) > 4 * MARGIN))
          interior[measure].push(largestAround(curve, frame));
      }
    }
  }
  const wholeChange = (measure: Measure, { index, frame }: Seam): number => {
    const { phonemeIds, tokens, globalEmbedding, seed } = sentences[index]!; // where the seam was found
    const sentence = { phonemeIds, globalEmbedding, noise: noiseOf(seed), semanticTokens: tokens };
    return largestAround(
      changeCurves(concatenate([...decoder.decodeSentence(sentence)]), sampleRateHz)[measure],
      frame,
    );
  };
  const changeOf = (measure: Measure) => {
    const interior99 = percentile(interior[measure], 0.99);
    const changes = seams[measure].map(({ change }) => change);
    const above = seams[measure].filter(({ change }) => change > interior99);
    return {
      interior: percentile(interior[measure], 0.5),
      interior99,
      seams: percentile(changes, 0.5),
      worstSeam: percentile(changes, 1),
      seamsAbove99: above.length,
      above99: above.map((seam) => ({ sentence: seam.index, seam: seam.change, whole: wholeChange(measure, seam) })),
    };
  };
  return {
    streams: sentences.length,
    seams: seams.flux.length,
    change: { energy: changeOf('energy'), flux: changeOf('flux') },
    melDistance: { mean: mean(distances), worst: percentile(distances, 1) },
    melDistanceOfSeeds: { mean: mean(ofSeeds), least: percentile(ofSeeds, 0) },
    melDistanceWithoutContext: { mean: mean(withoutContext), least: percentile(withoutContext, 0) },
  };
}

interface Seam {
  /** Of the sentence. */
  readonly index: number;
  readonly frame: number;
  readonly change: number;
}

function noiseOf(seed: number): NoiseSource {
  return (frame, out) => fillNormal(out, { seed, sentence: 0 }, frame, RANDOM_STREAM.waveform);
}

function renderStream(
  decoder: WaveformDecoder,
  sentence: ConstructorParameters<typeof WaveformStream>[1],
  tokens: readonly number[],
): { samples: Float32Array; seamsAt: number[] } {
  const stream = new WaveformStream(decoder, sentence);
  stream.push(tokens);
  stream.end();
  const parts: Float32Array[] = [];
  const seamsAt: number[] = [];
  let length = 0;
  while (stream.ready) {
    for (const part of stream.nextWindow()) {
      parts.push(part);
      length += part.length;
    }
    if (stream.ready) seamsAt.push(length);
  }
  return { samples: concatenate(parts), seamsAt };
}

/** The tokens in windows of equal size, each as if there were no others; with the noise of their place. */
function renderApart(
  decoder: WaveformDecoder,
  sentence: ConstructorParameters<typeof WaveformStream>[1],
  tokens: readonly number[],
): Float32Array {
  const parts: Float32Array[] = [];
  for (let from = 0; from < tokens.length; from += APART_TOKENS) {
    const noise: NoiseSource = (frame, out) => sentence.noise(frame + from * decoder.spec.framesPerToken, out);
    parts.push(
      ...decoder.decodeSentence({ ...sentence, noise, semanticTokens: tokens.slice(from, from + APART_TOKENS) }),
    );
  }
  return concatenate(parts);
}

/** About what the windows of a stream add. */
const APART_TOKENS = 12;

/** Of so many sentences rendered whole, one is rendered with other noise too. */
const SEEDS_EVERY = 4;

/** Frames (of 4 ms) on either side of a place that count as being there. */
const MARGIN = 2;

/** How much level (8 ms against the 8 ms before) and spectrum (root mean square over bands) change at each frame. */
function changeCurves(
  samples: Float32Array,
  sampleRateHz: number,
): Record<Measure, Float32Array> & { hopSamples: number } {
  const { data, bands, frames, hopSamples } = logMel(samples, sampleRateHz);
  const energy = new Float32Array(frames);
  const flux = new Float32Array(frames);
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const floor = peak ** 2 * 1e-6;
  const level = (frame: number): number => {
    let sum = 0;
    for (let index = frame * hopSamples; index < (frame + 2) * hopSamples; index++) sum += (samples[index] ?? 0) ** 2;
    return 10 * Math.log10(sum / (2 * hopSamples) + floor);
  };
  for (let frame = 1; frame < frames; frame++) {
    energy[frame] = Math.abs(level(frame) - level(frame - 2));
    let sum = 0;
    for (let at = frame; at < data.length; at += frames) sum += (data[at]! - data[at - 1]!) ** 2;
    flux[frame] = Math.sqrt(sum / bands);
  }
  return { energy, flux, hopSamples };
}

function largestAround(curve: Float32Array, frame: number): number {
  let largest = 0;
  for (let at = frame - MARGIN; at <= frame + MARGIN; at++) largest = Math.max(largest, curve[at] ?? 0);
  return largest;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}
