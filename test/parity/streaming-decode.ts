import {
  drawNoise,
  type EncodedText,
  type Latent,
  type NoiseSource,
  type WaveformDecoder,
} from '../../src/engine/waveform-decoder.js';
import { frameMap } from '../../src/models/sovits/flow.js';
import { joinWindows } from './sovits-under-test.js';

export interface StreamingCall {
  /** All tokens so far. */
  readonly tokens: ArrayLike<number>;
  readonly text: EncodedText;
  readonly globalEmbedding: Float32Array;
  readonly speed: number;
  readonly noise: NoiseSource;
  readonly noiseScale: number;
  /** Only the last tokens are rendered; absent: all. */
  readonly resultTokens?: number;
  /** Last frames of the call before, (frames, hidden), faded into the first ones of this result. */
  readonly overlap?: Latent;
}

/**
 * One call of upstream's way of streaming, from the product's pieces: everything so far is encoded again, the end of it
 * kept, its beginning faded with the end of the call before. upstream: module/models.py decode_streaming,
 * TextEncoder.forward (result_length, overlap_frames).
 */
export function decodeStreaming(decoder: WaveformDecoder, call: StreamingCall): { wave: Float32Array; latent: Latent } {
  const { hiddenChannels: hidden, framesPerToken } = decoder.spec;
  const all = decoder.encodeTokens(call.tokens, call.text, call.globalEmbedding);
  const kept = call.resultTokens === undefined ? all.frames : Math.min(call.resultTokens * framesPerToken, all.frames);
  const data = all.data.slice((all.frames - kept) * hidden);
  const { overlap } = call;
  if (overlap) {
    for (let frame = 0; frame < overlap.frames; frame++) {
      // Two halves of a sine; they do not add up to 1.
      const fadeIn = Math.sin((frame * Math.PI) / (2 * overlap.frames));
      const fadeOut = Math.sin(((frame + overlap.frames) * Math.PI) / (2 * overlap.frames));
      for (let channel = 0; channel < hidden; channel++) {
        const at = frame * hidden + channel;
        data[at] = fadeIn * data[at]! + fadeOut * overlap.data[at]!;
      }
    }
  }
  const latent = { frames: kept, data };
  const map = frameMap(kept, call.speed);
  const noise = drawNoise(call.noise, map.fraction.length, decoder.spec.interChannels, call.noiseScale);
  const z = decoder.flow(latent, map, call.globalEmbedding, noise);
  return { wave: joinWindows(decoder.generate(z, call.globalEmbedding)), latent };
}

/** The last frames of a latent. */
export function lastFrames(latent: Latent, frames: number): Latent {
  const hidden = latent.data.length / latent.frames;
  const kept = Math.min(frames, latent.frames);
  return { frames: kept, data: latent.data.slice((latent.frames - kept) * hidden) };
}
