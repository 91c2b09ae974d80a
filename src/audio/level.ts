/** What the level of a recording says about its use as a reference. */
export interface LevelReport {
  readonly durationSeconds: number;
  /** Largest magnitude, 1 = full scale. */
  readonly peak: number;
  /** Root mean square of the parts that are not silent, in dB below full scale; -Infinity when all is silent. */
  readonly activeLevelDb: number;
  /** Length of the parts that are not silent. */
  readonly activeSeconds: number;
  /** Part of the samples that sit at the ceiling in runs of three or more. */
  readonly clippedFraction: number;
}

const FRAME_SECONDS = 0.02;
/** Frames below this level are silence however loud the rest is. */
const SILENCE_DB = -60;
/** Frames this far below the loudest frame are pauses. */
const PAUSE_BELOW_LOUDEST_DB = 40;
const CLIP_RUN_SAMPLES = 3;

/** Measures a mono recording; see {@link LevelReport}. */
export function measureLevel(samples: Float32Array, sampleRateHz: number): LevelReport {
  const frameSamples = Math.max(1, Math.round(sampleRateHz * FRAME_SECONDS));
  const powers: number[] = [];
  for (let start = 0; start < samples.length; start += frameSamples) {
    powers.push(meanSquare(samples.subarray(start, start + frameSamples)));
  }
  const loudest = powers.reduce((max, power) => Math.max(max, power), 0);
  const threshold = Math.max(10 ** (SILENCE_DB / 10), loudest * 10 ** (-PAUSE_BELOW_LOUDEST_DB / 10));
  const active = powers.filter((power) => power > threshold);
  const activePower = active.reduce((sum, power) => sum + power, 0) / active.length;
  return {
    durationSeconds: samples.length / sampleRateHz,
    peak: peakOf(samples),
    activeLevelDb: active.length > 0 ? 10 * Math.log10(activePower) : Number.NEGATIVE_INFINITY,
    activeSeconds: Math.min(samples.length / sampleRateHz, active.length * FRAME_SECONDS),
    clippedFraction: clippedFraction(samples),
  };
}

/** Largest magnitude of the samples; 0 for none. */
export function peakOf(samples: Float32Array): number {
  let peak = 0;
  for (let i = 0; i < samples.length; i++) {
    const magnitude = Math.abs(samples[i]!);
    if (magnitude > peak) peak = magnitude;
  }
  return peak;
}

/** The average of all channels; a single channel is returned as it is. */
export function mixToMono(channels: readonly Float32Array[]): Float32Array {
  const [first] = channels;
  if (!first) return new Float32Array(0);
  if (channels.length === 1) return first;
  const out = new Float32Array(first.length);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i] ?? 0;
    out[i] = sum / channels.length;
  }
  return out;
}

function clippedFraction(samples: Float32Array): number {
  // A recording normalised after clipping has its flat tops below 1, so the ceiling is its own peak, if that is high.
  const ceiling = Math.max(0.5, peakOf(samples) * 0.9995);
  let clipped = 0;
  let run = 0;
  for (let i = 0; i <= samples.length; i++) {
    if (i < samples.length && Math.abs(samples[i]!) >= ceiling) {
      run += 1;
    } else {
      if (run >= CLIP_RUN_SAMPLES) clipped += run;
      run = 0;
    }
  }
  return samples.length > 0 ? clipped / samples.length : 0;
}

function meanSquare(samples: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i]! * samples[i]!;
  return sum / samples.length;
}
