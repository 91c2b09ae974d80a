import { concatenate } from '../../src/audio/concatenate.js';
import { peakOf } from '../../src/audio/level.js';

/**
 * A sentence as it is sent: divided by its peak where that exceeds 1 (so that it cannot clip), followed by
 * `silenceSamples` of silence. Samples within [-1, 1] are returned as they are.
 *
 * upstream: TTS_infer_pack/TTS.py audio_postprocess; its int16 cast, which wraps +1.0 to -32768, is not copied: see
 * `pcm16`.
 */
export function finishSentence(samples: Float32Array, silenceSamples: number): Float32Array {
  const peak = peakOf(samples);
  const limited = peak > 1 ? samples.map((value) => value / peak) : samples;
  return silenceSamples > 0 ? concatenate([limited, new Float32Array(silenceSamples)]) : limited;
}
