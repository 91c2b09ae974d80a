import { realFft } from '../../src/audio/fft.js';
import { resample } from '../../src/audio/resample.js';

/** Pitch every 10 ms: frame f is centred at sample 160 f + 200 of speech at 16 kHz, like the cepstra's. */
export interface PitchTrack {
  /** Fundamental in Hz; 0 where the voice does not sound. */
  readonly hz: Float32Array;
  /** Level in dB of full scale. */
  readonly levelDb: Float32Array;
  /** In voiced frames, how far the harmonics between 2 f0 and 2 kHz stand above what lies between them, in dB. */
  readonly harmonicsDb: Float32Array;
}

const RATE_HZ = 16_000;
const HOP = 160;
const CENTRE = 200;
const LOWEST_HZ = 70;
const HIGHEST_HZ = 450;

/** Correlation is sought at half the rate: a quarter of the work, and noise above 4 kHz does not disturb it. */
const SEARCH_RATE_HZ = 8_000;
const SEARCH_HOP = 80;
const SEARCH_WINDOW = 240;
const CANDIDATES = 4;
const LONGEST = Math.ceil(SEARCH_RATE_HZ / LOWEST_HZ);
const SHORTEST = Math.floor(SEARCH_RATE_HZ / HIGHEST_HZ);

/** Costs of the path search: a correlation of 0.55 is where voiced and unvoiced are even. */
const UNVOICED_COST = 0.45;
const SWITCH_COST = 0.15;
const OCTAVE_COST = 0.8;
/** A small preference for short periods keeps the track from falling an octave. */
const LONG_PERIOD_COST = 0.06;
/** Frames this far below the loudest one are silent. */
const SILENT_DB = 40;

/** Pitch by normalised cross-correlation and a search for the smoothest likely path. */
export function trackPitch(samples: Float32Array): PitchTrack {
  const half = resample(samples, RATE_HZ, SEARCH_RATE_HZ);
  const frames = Math.max(0, Math.floor((samples.length - 2 * CENTRE) / HOP) + 1);
  const levelDb = new Float32Array(frames);
  for (let f = 0; f < frames; f++) {
    let sum = 0;
    for (let i = f * HOP; i < f * HOP + 2 * CENTRE; i++) sum += samples[i]! ** 2;
    levelDb[f] = 10 * Math.log10(sum / (2 * CENTRE) + 1e-10);
  }
  const loudest = levelDb.reduce((most, level) => Math.max(most, level), -100);
  const candidates = Array.from({ length: frames }, (_, f) =>
    levelDb[f]! < loudest - SILENT_DB ? [] : peaksAt(half, f * SEARCH_HOP + CENTRE / 2),
  );
  const hz = smoothestPath(candidates);
  const harmonicsDb = Float32Array.from(hz, (f0, f) => (f0 > 0 ? harmonicsAbove(samples, f * HOP + CENTRE, f0) : 0));
  return { hz, levelDb, harmonicsDb };
}

interface Candidate {
  readonly hz: number;
  readonly correlation: number;
}

/** The strongest periods around a sample of the halved signal. */
function peaksAt(half: Float32Array, centre: number): Candidate[] {
  const correlation = new Float64Array(LONGEST + 2);
  for (let lag = SHORTEST - 1; lag <= LONGEST + 1; lag++) {
    // Both windows lie symmetrically about the centre, so that a moving pitch is read where the frame is.
    const start = centre - ((SEARCH_WINDOW + lag) >> 1);
    if (start < 0 || start + SEARCH_WINDOW + lag > half.length) continue;
    let product = 0;
    let first = 0;
    let second = 0;
    for (let i = start; i < start + SEARCH_WINDOW; i++) {
      const a = half[i]!;
      const b = half[i + lag]!;
      product += a * b;
      first += a * a;
      second += b * b;
    }
    correlation[lag] = product / Math.sqrt(first * second + 1e-12);
  }
  const found: Candidate[] = [];
  for (let lag = SHORTEST; lag <= LONGEST; lag++) {
    const [before, here, after] = [correlation[lag - 1]!, correlation[lag]!, correlation[lag + 1]!];
    if (here < 0.3 || here < before || here <= after) continue;
    const curvature = before - 2 * here + after;
    const shift = curvature < 0 ? (0.5 * (before - after)) / curvature : 0;
    found.push({ hz: SEARCH_RATE_HZ / (lag + shift), correlation: here });
  }
  return found.sort((a, b) => b.correlation - a.correlation).slice(0, CANDIDATES);
}

/** Chooses a candidate or silence in every frame so that costs and jumps are least. */
function smoothestPath(frames: readonly (readonly Candidate[])[]): Float32Array {
  interface Node {
    readonly hz: number;
    readonly cost: number;
    readonly before: Node | null;
  }
  let nodes: Node[] = [{ hz: 0, cost: 0, before: null }];
  for (const candidates of frames) {
    const local = [
      { hz: 0, cost: UNVOICED_COST },
      ...candidates.map(({ hz, correlation }) => ({
        hz,
        cost: 1 - correlation + (LONG_PERIOD_COST * LOWEST_HZ) / hz,
      })),
    ];
    nodes = local.map(({ hz, cost }) => {
      let best: Node | null = null;
      let least = Infinity;
      for (const node of nodes) {
        const total = node.cost + jumpCost(node.hz, hz);
        if (total < least) {
          least = total;
          best = node;
        }
      }
      return { hz, cost: least + cost, before: best };
    });
  }
  let node: Node | null = nodes.reduce((best, one) => (one.cost < best.cost ? one : best));
  const hz = new Float32Array(frames.length);
  for (let f = frames.length - 1; f >= 0 && node; f--) {
    hz[f] = node.hz;
    node = node.before;
  }
  return hz;
}

function jumpCost(from: number, to: number): number {
  if (from === 0 || to === 0) return from === to ? 0 : SWITCH_COST;
  return OCTAVE_COST * Math.abs(Math.log2(to / from));
}

const FFT_SIZE = 2048;
const PERIODS = 8;
const BAND = 0.2;
const TOP_HZ = 2000;

/**
 * Power within a fifth of f0 around the harmonics from the second to 2 kHz against that around the middles between
 * them, in dB: 0 for noise. The first harmonic is left out, since a low hum alone is no voice.
 */
export function harmonicsAbove(samples: Float32Array, centre: number, f0: number): number {
  const length = Math.min(FFT_SIZE, Math.round((PERIODS * RATE_HZ) / f0));
  const start = Math.round(centre - length / 2);
  const frame = new Float64Array(FFT_SIZE);
  for (let i = 0; i < length; i++) {
    const sample = start + i >= 0 && start + i < samples.length ? samples[start + i]! : 0;
    frame[i] = sample * (0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / length));
  }
  const fft = realFft(FFT_SIZE);
  const re = new Float64Array(fft.bins);
  const im = new Float64Array(fft.bins);
  fft.forward(frame, re, im);
  const powerAround = (hz: number): number => {
    const first = Math.ceil(((hz - BAND * f0) * FFT_SIZE) / RATE_HZ);
    const last = Math.floor(((hz + BAND * f0) * FFT_SIZE) / RATE_HZ);
    let sum = 0;
    for (let bin = first; bin <= last; bin++) sum += re[bin]! ** 2 + im[bin]! ** 2;
    return sum;
  };
  let on = 0;
  let between = 0;
  for (let harmonic = 2; harmonic * f0 <= TOP_HZ; harmonic++) {
    on += powerAround(harmonic * f0);
    between += powerAround((harmonic + 0.5) * f0);
  }
  return 10 * Math.log10((on + 1e-12) / (between + 1e-12));
}

/** Voice figures of a set of recordings. */
export interface VoiceFigures {
  /** Of the frames within 30 dB of the loudest one of their recording: share that is voiced. */
  readonly voicedShare: number;
  /** Share of the same frames with harmonics 6 dB or more above what is between them. */
  readonly clearShare: number;
  /** Mean over voiced frames. */
  readonly harmonicsDb: number;
  readonly medianHz: number;
  readonly pitchSpreadSemitones: number;
  /** Standard deviation of the level of the loud frames, in dB. */
  readonly levelSpreadDb: number;
}

const LOUD_DB = 30;
const CLEAR_DB = 6;

export function voiceFigures(tracks: readonly PitchTrack[]): VoiceFigures {
  const semitones: number[] = [];
  const levels: number[] = [];
  let clear = 0;
  let harmonics = 0;
  for (const { hz, levelDb, harmonicsDb } of tracks) {
    const loudest = levelDb.reduce((most, level) => Math.max(most, level), -100);
    for (let f = 0; f < hz.length; f++) {
      if (levelDb[f]! < loudest - LOUD_DB) continue;
      levels.push(levelDb[f]! - loudest);
      if (hz[f] === 0) continue;
      semitones.push(12 * Math.log2(hz[f]!));
      harmonics += harmonicsDb[f]!;
      if (harmonicsDb[f]! >= CLEAR_DB) clear++;
    }
  }
  const loud = Math.max(1, levels.length);
  return {
    voicedShare: semitones.length / loud,
    clearShare: clear / loud,
    harmonicsDb: harmonics / Math.max(1, semitones.length),
    medianHz: semitones.length > 0 ? 2 ** (median(semitones) / 12) : 0,
    pitchSpreadSemitones: deviation(semitones),
    levelSpreadDb: deviation(levels),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function deviation(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
