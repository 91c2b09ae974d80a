import { besselI0, greatestCommonDivisor, sinc } from './windowed-sinc.js';
/**
 * Changes the sampling rate with windowed-sinc filters in polyphase form: one short set of taps per output phase, only
 * where the window is not zero.
 *
 * Two filters, because the reference uses two: {@link resample} is torchaudio's default (6 zero crossings, Hann
 * window), {@link resampleHighQuality} has the passband and the stopband of soxr's HQ recipe, which librosa uses.
 */

/**
 * Resamples as `torchaudio.transforms.Resample` does by default (sinc_interp_hann, lowpass_filter_width 6, rolloff
 * 0.99); agrees with it to about 1e-6. Gives ceil(length × to / from) samples; equal rates give the input itself.
 *
 * upstream: TTS_infer_pack/TTS.py resample
 */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  return convolvePhases(samples, fromHz, toHz, hannSinc);
}

/**
 * Resamples with a long linear-phase filter: flat to 0.914 of the lower Nyquist frequency, 126 dB down at it, like
 * soxr's HQ. Within 5e-5 of `librosa.load(sr=…)` on the reference recordings. Gives ceil(length × to / from) samples, of
 * which those beyond the nearest whole number are zero: soxr rounds, librosa fills up.
 *
 * Not copied: at 11.025, 22.05 and 44.1 kHz soxr loses up to 4 % of the first samples in the first three of its output,
 * which is heard of only where a recording begins in the middle of a sound (1e-2 there, 1.2e-4 elsewhere).
 */
export function resampleHighQuality(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  const out = convolvePhases(samples, fromHz, toHz, kaiserSinc);
  return fromHz === toHz ? out : out.fill(0, Math.round((samples.length * toHz) / fromHz));
}

/** A low-pass filter for a ratio of rates reduced to lowest terms; times are in input samples. */
interface Filter {
  /** The filter is zero from here on, on both sides. */
  readonly halfWidth: number;
  readonly at: (time: number) => number;
}

interface Phase {
  /** First input sample, relative to the input position of the output block. */
  readonly start: number;
  readonly taps: Float64Array;
}

function convolvePhases(
  samples: Float32Array,
  fromHz: number,
  toHz: number,
  design: (from: number, to: number) => Filter,
): Float32Array {
  if (fromHz === toHz) return samples;
  const divisor = greatestCommonDivisor(fromHz, toHz);
  const from = fromHz / divisor;
  const to = toHz / divisor;
  const filter = design(from, to);
  // Made when first needed: a short recording at an odd rate (44,099 Hz) does not visit its 16,000 phases.
  const phases: (Phase | undefined)[] = new Array(to);
  const out = new Float32Array(Math.ceil((to * samples.length) / from));
  for (let i = 0; i < out.length; i++) {
    const phaseIndex = i % to;
    let phase = phases[phaseIndex];
    if (!phase) {
      phase = makePhase(phaseIndex, from, to, filter);
      phases[phaseIndex] = phase;
    }
    const start = Math.floor(i / to) * from + phase.start;
    const taps = phase.taps;
    const first = Math.max(0, -start);
    const last = Math.min(taps.length, samples.length - start);
    let sum = 0;
    for (let k = first; k < last; k++) sum += taps[k]! * samples[start + k]!;
    out[i] = sum;
  }
  return out;
}

/** Output sample `index` of a block lies at input time index × from / to. */
function makePhase(index: number, from: number, to: number, filter: Filter): Phase {
  const center = (index * from) / to;
  const start = Math.ceil(center - filter.halfWidth);
  const end = Math.floor(center + filter.halfWidth);
  // k × to − index × from is exact in integers, so that the taps of a phase do not depend on rounding of `center`.
  const taps = Float64Array.from({ length: end - start + 1 }, (_, k) =>
    filter.at(((start + k) * to - index * from) / to),
  );
  return { start, taps };
}

function hannSinc(from: number, to: number): Filter {
  const zeroCrossings = 6;
  // Cut-off as a part of the input's rate: torchaudio's base_freq / orig_freq.
  const cutoff = (Math.min(from, to) * 0.99) / from;
  return {
    halfWidth: zeroCrossings / cutoff,
    at: (time) => {
      const t = Math.max(-zeroCrossings, Math.min(zeroCrossings, time * cutoff));
      const window = Math.cos((t * Math.PI) / zeroCrossings / 2) ** 2;
      // float32, as torchaudio stores its kernels.
      return Math.fround(sinc(t) * window * cutoff);
    },
  };
}

// Found by fitting to librosa's output at 24, 32 and 44.1 → 16 kHz: 1.5e-5 at most, where 0.915 gives 1.5e-4.
const HQ_PASSBAND = 0.91364;
const HQ_KAISER_BETA = 13.1;
/** Half the length of a Kaiser filter of that beta, times half its transition. */
const HQ_HALF_LENGTH = 4.17;

function kaiserSinc(from: number, to: number): Filter {
  const lower = Math.min(from, to) / from;
  const halfTransition = (lower * (1 - HQ_PASSBAND)) / 2;
  const cutoff = lower - halfTransition;
  const halfWidth = HQ_HALF_LENGTH / halfTransition + 0.5;
  const scale = cutoff / besselI0(HQ_KAISER_BETA);
  return {
    halfWidth,
    at: (time) => {
      const position = time / halfWidth;
      const window = besselI0(HQ_KAISER_BETA * Math.sqrt(Math.max(0, 1 - position * position)));
      return sinc(time * cutoff) * window * scale;
    },
  };
}
