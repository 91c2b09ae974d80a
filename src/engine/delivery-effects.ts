import { createStreamResampler } from '../audio/resample-stream.js';
import type { Delivery } from '../text/ssml.js';

/** What markup asks of a sentence's sound, beside its pace. */
export interface DeliveryEffects {
  /** Of the pace to render at: for another pitch than the voice's own the sound is made longer first. */
  readonly paceFactor: number;
  apply(samples: Float32Array): Float32Array;
  /** Samples that so many of the rendering become. */
  lengthOf(samples: number): number;
  /** What is still held back at the end of the sentence. */
  finish(): Float32Array;
}

/** Farther from its own pitch no voice sounds like itself, and the pace would leave the model's bounds. */
const MOST_SEMITONES = 6;
/** Steps of the resampler: a hundredth is a sixth of a semitone. */
const STEPS = 100;

/**
 * Volume is a gain within full scale. Pitch, which the model has no control for, is a slower or faster rendering that is
 * resampled to the asked length; timbre moves with it, so it is bounded.
 */
export function deliveryEffects({ rate, volumeDb, pitchSemitones }: Delivery): DeliveryEffects {
  const semitones = Math.max(-MOST_SEMITONES, Math.min(MOST_SEMITONES, pitchSemitones));
  const step = Math.round(STEPS * 2 ** (semitones / 12));
  const resampler = createStreamResampler(step, STEPS);
  const gain = 10 ** (volumeDb / 20);
  const louder = (samples: Float32Array): Float32Array =>
    gain === 1 ? samples : samples.map((sample) => Math.max(-1, Math.min(1, sample * gain)));
  return {
    paceFactor: (rate * STEPS) / step,
    lengthOf: (samples) => Math.round((samples * STEPS) / step),
    apply: (samples) => louder(resampler.push(samples)),
    finish: () => louder(resampler.finish()),
  };
}
