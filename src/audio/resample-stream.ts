import { besselI0, greatestCommonDivisor, sinc } from './windowed-sinc.js';
/**
 * Changes the sampling rate of audio that comes in pieces: a windowed sinc in polyphase form that keeps the few input
 * samples its next output needs. The output of any cut into pieces is the same, sample by sample.
 */
export interface StreamResampler {
  /** The output that is certain now; it lags the input by {@link lookAheadSamples}. */
  push(samples: Float32Array): Float32Array;
  /** The rest: the input ends in silence. All output together has round(input × to / from) samples. */
  finish(): Float32Array;
  /** Input samples after an output's moment that it needs. */
  readonly lookAheadSamples: number;
}

/** Zero crossings of the sinc on each side, at the lower of the two rates. */
const ZERO_CROSSINGS = 24;
const KAISER_BETA = 9;
/** Cut-off as a part of the lower Nyquist frequency: 80 dB down where it would alias. */
const ROLLOFF = 0.945;

/** A resampler for one stream; equal rates pass samples through as they are. */
export function createStreamResampler(fromHz: number, toHz: number): StreamResampler {
  if (fromHz === toHz) return { lookAheadSamples: 0, push: (samples) => samples, finish: () => new Float32Array() };
  const divisor = greatestCommonDivisor(fromHz, toHz);
  const from = fromHz / divisor;
  const to = toHz / divisor;
  const cutoff = (Math.min(from, to) / from) * ROLLOFF;
  const halfWidth = Math.ceil(ZERO_CROSSINGS / cutoff);
  const tapCount = 2 * halfWidth;
  const phases = phasesOf(to, cutoff, halfWidth);

  // Input kept: from sample `keptFrom` on. The stream begins with half a filter of silence.
  let kept: Float32Array = new Float32Array(halfWidth);
  let keptFrom = -halfWidth;
  let received = 0;
  let produced = 0;

  const produce = (limit: number): Float32Array => {
    // Output n lies at input n × from / to and needs the taps around it.
    const available = keptFrom + kept.length - halfWidth;
    let count = Math.max(0, Math.ceil((available * to) / from) - produced);
    while (count > 0 && Math.floor(((produced + count - 1) * from) / to) + halfWidth >= keptFrom + kept.length) count--;
    count = Math.min(count, limit - produced);
    const out = new Float32Array(Math.max(0, count));
    for (let i = 0; i < out.length; i++) {
      const position = (produced + i) * from;
      const index = Math.floor(position / to);
      const taps = phases(position % to);
      const start = index - halfWidth + 1 - keptFrom;
      let sum = 0;
      for (let k = 0; k < tapCount; k++) sum += taps[k]! * kept[start + k]!;
      out[i] = sum;
    }
    produced += out.length;
    const needed = Math.floor((produced * from) / to) - halfWidth + 1;
    if (needed > keptFrom) {
      kept = kept.slice(Math.min(needed - keptFrom, kept.length));
      keptFrom = needed;
    }
    return out;
  };

  const append = (samples: Float32Array) => {
    const joined = new Float32Array(kept.length + samples.length);
    joined.set(kept);
    joined.set(samples, kept.length);
    kept = joined;
  };

  return {
    lookAheadSamples: halfWidth,
    push(samples) {
      received += samples.length;
      append(samples);
      return produce(Number.POSITIVE_INFINITY);
    },
    finish() {
      append(new Float32Array(halfWidth + 1));
      return produce(Math.round((received * to) / from));
    },
  };
}

/** The taps of each output phase, made when first needed: 44.1 → 48 kHz has 160, each visited in turn. */
function phasesOf(to: number, cutoff: number, halfWidth: number): (phase: number) => Float64Array {
  const made = new Map<number, Float64Array>();
  const scale = besselI0(KAISER_BETA);
  return (phase) => {
    const known = made.get(phase);
    if (known !== undefined) return known;
    const fraction = phase / to;
    const taps = new Float64Array(2 * halfWidth);
    let sum = 0;
    for (let k = 0; k < taps.length; k++) {
      const time = k - halfWidth + 1 - fraction;
      const edge = time / halfWidth;
      const window = Math.abs(edge) >= 1 ? 0 : besselI0(KAISER_BETA * Math.sqrt(1 - edge * edge)) / scale;
      taps[k] = sinc(time * cutoff) * cutoff * window;
      sum += taps[k]!;
    }
    // Every phase passes a constant exactly, so that there is no ripple at the rate of the phases.
    for (let k = 0; k < taps.length; k++) taps[k] = taps[k]! / sum;
    made.set(phase, taps);
    return taps;
  };
}
