import { output, type Session, tensor } from './onnxruntime.js';

/** The sessions of a model that only enrolment needs; null where the model has no such network. */
export interface EnrolmentSessions {
  readonly hubert: Session | null;
  readonly quantizer: Session;
  readonly style: Session;
  readonly speaker: Session | null;
}

/** Networks of enrolment over sessions of this thread; every function is one or two synchronous runs. */
export interface SessionNetworks {
  readonly semanticTokens: ((wave16k: Float32Array) => Int32Array) | null;
  readonly globalEmbedding: (
    spectrogram: Float32Array,
    frames: number,
    speakerVector: Float32Array | null,
  ) => Float32Array;
  readonly speakerVector: ((fbank: Float32Array, frames: number) => Float32Array) | null;
}

/** The part of `EnrolmentNetworks` (`enrol-voice.ts`) that sessions compute. */
export function enrolmentNetworks(sessions: EnrolmentSessions): SessionNetworks {
  const { hubert, quantizer, style, speaker } = sessions;
  return {
    semanticTokens: hubert === null ? null : (wave16k) => quantize(quantizer, sslContent(hubert, wave16k)),
    globalEmbedding: (spectrogram, frames, speakerVector) => {
      const bins = spectrogram.length / frames;
      const refer = tensor('float32', [1, bins, frames], spectrogram);
      const feeds = speakerVector
        ? { refer, sv_emb: tensor('float32', [1, speakerVector.length], speakerVector) }
        : { refer };
      return output(style.run(feeds), 'ge', 'float32').data;
    },
    speakerVector:
      speaker === null
        ? null
        : (fbank, frames) => {
            const features = tensor('float32', [frames, fbank.length / frames], fbank);
            return output(speaker.run({ fbank: features }), 'sv_emb', 'float32').data;
          },
  };
}

interface SslContent {
  /** Row-major (steps, width). */
  readonly data: Float32Array;
  readonly steps: number;
  readonly width: number;
}

function sslContent(hubert: Session, wave16k: Float32Array): SslContent {
  const results = hubert.run({ wave16k: tensor('float32', [1, wave16k.length], wave16k) });
  const { data, dims } = output(results, 'last_hidden_state', 'float32');
  const [, steps = 0, width = 0] = dims;
  return { data, steps, width };
}

/** The quantizer takes channels first, as upstream's does. */
function quantize(quantizer: Session, { data, steps, width }: SslContent): Int32Array {
  const ssl = new Float32Array(data.length);
  for (let step = 0; step < steps; step++) {
    for (let channel = 0; channel < width; channel++) ssl[channel * steps + step] = data[step * width + channel]!;
  }
  const results = quantizer.run({ ssl: tensor('float32', [1, width, steps], ssl) });
  return Int32Array.from(output(results, 'codes', 'int64').data, Number);
}
