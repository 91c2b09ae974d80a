import { audibleCue } from './cue.js';
import { createEncoder, ENCODING_FACTS, type EncoderOptions, joinBytes } from './encode/encoder.js';
import { createWatermarker } from './watermark.js';

export interface LabelOptions {
  /** Mark the sound itself, inaudibly. */
  readonly watermark: boolean;
  /** Say it aloud: the rhythm of {@link audibleCue}. */
  readonly cue: 'off' | 'start' | 'end' | 'both';
}

/** Samples in, labelled bytes out: what stands between the engine and whoever hears it. */
export interface LabelledEncoder {
  readonly contentType: string;
  readonly extension: string;
  readonly outputHz: number;
  /** Of the cue before the speech, at the input's rate. */
  readonly leadSamples: number;
  /** Of everything that went in and all that was added, at the input's rate. */
  readonly lengthSamples: number;
  push(samples: Float32Array): Uint8Array;
  finish(): Uint8Array;
  fileHeader(): Uint8Array | null;
  discard(): void;
}

/** The encoder of one stretch of speech, with every label that is asked for. Throws what `createEncoder` throws. */
export async function createLabelledEncoder(options: EncoderOptions & LabelOptions): Promise<LabelledEncoder> {
  const { encoding, inputHz, watermark, cue } = options;
  const encoder = await createEncoder(options);
  const watermarker = watermark ? createWatermarker(inputHz) : null;
  const { contentType, extension } = ENCODING_FACTS[encoding];
  let lengthSamples = 0;
  const mark = (samples: Float32Array) => {
    lengthSamples += samples.length;
    return watermarker === null ? samples : watermarker.push(samples);
  };
  const soundCue = () => encoder.encode(mark(audibleCue(inputHz)));
  const cueFirst = cue === 'start' || cue === 'both';
  let begun = false;
  const begin = (): Uint8Array[] => {
    if (begun) return [];
    begun = true;
    return cueFirst ? [soundCue()] : [];
  };
  return {
    contentType,
    extension,
    outputHz: encoder.outputHz,
    leadSamples: cueFirst ? audibleCue(inputHz).length : 0,
    get lengthSamples() {
      return lengthSamples;
    },
    push: (samples) => joinBytes([...begin(), encoder.encode(mark(samples))]),
    finish() {
      const parts = begin();
      if (cue === 'end' || cue === 'both') parts.push(soundCue());
      if (watermarker !== null) parts.push(encoder.encode(watermarker.finish()));
      parts.push(encoder.finish());
      return joinBytes(parts);
    },
    fileHeader: () => encoder.fileHeader(),
    discard: () => encoder.discard(),
  };
}
