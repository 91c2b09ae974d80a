import { readFileSync } from 'node:fs';
import { mixToMono, peakOf } from '../../src/audio/level.js';
import { resample, resampleHighQuality } from '../../src/audio/resample.js';
import { magnitudeSpectrogram, melSpectrogram, type Spectrogram } from '../../src/audio/spectrogram.js';
import { decodeWav } from '../../src/audio/wav.js';
import { type Comparison, compare } from './harness.js';
import type { CaseTensor, ManifestCase, ReferenceData } from './reference.js';

/** Cases `audio/*`: what is derived from a recording, small transforms, and resampling. */
export async function runAudioCase(testCase: ManifestCase, reference: ReferenceData): Promise<Comparison[]> {
  const tensors = reference.load(testCase);
  if (typeof testCase.params['wav'] === 'string') return runRecording(testCase, reference, tensors);
  return [...tensors.keys()].flatMap((name) => runTransform(testCase, name, tensors));
}

/** `TTS._get_ref_spec` and `_set_prompt_semantic` on a recording, and the mels of v3 and v4. */
function runRecording(
  testCase: ManifestCase,
  reference: ReferenceData,
  tensors: Map<string, CaseTensor>,
): Comparison[] {
  const clip = decodeWav(readFileSync(reference.path(testCase.params['wav'])));
  const mono = mixToMono(clip.channels);
  const wave32k = resample(mono, clip.sampleRateHz, 32_000);
  const peak = peakOf(wave32k);
  const limited = peak > 1 ? wave32k.map((value) => value / Math.min(2, peak)) : wave32k;
  const wave24k = resample(mono, clip.sampleRateHz, 24_000);
  const made: Record<string, () => Float32Array> = {
    spec: () => magnitudeSpectrogram(limited, { fftSize: 2048, hopSamples: 640, windowSamples: 2048 }).data,
    wave16k_sv: () => resample(limited, 32_000, 16_000),
    wave16k_librosa: () => resampleHighQuality(mono, clip.sampleRateHz, 16_000),
    wave24k: () => wave24k,
    mel24k: () => normalised(mel(wave24k, 24_000, 1024, 256)),
    mel32k: () => normalised(mel(wave32k, 32_000, 1280, 320)),
  };
  return [...tensors].map(([name, tensor]) => {
    const make = made[name];
    if (!make) throw new Error(`${testCase.name} has a tensor "${name}" that this runner does not know`);
    return compare(testCase, name, make(), tensor.data);
  });
}

function mel(wave: Float32Array, sampleRateHz: number, fftSize: number, hopSamples: number): Spectrogram {
  return melSpectrogram(wave, { sampleRateHz, fftSize, hopSamples, windowSamples: fftSize, bands: 100 });
}

/** upstream: TTS.py norm_spec, which maps [-12, 2] to [-1, 1] */
function normalised(spectrogram: Spectrogram): Float32Array {
  return spectrogram.data.map((value) => ((value + 12) / 14) * 2 - 1);
}

/** The tensor's name holds the parameters: `out_FROM_TO`, `spec_FFT_HOP[_winWIN]`, `mel_FFT_HOP_BANDS[_LOW_HIGH]`. */
function runTransform(testCase: ManifestCase, name: string, tensors: Map<string, CaseTensor>): Comparison[] {
  const [kind, ...rest] = name.split('_');
  const [first = 0, second = 0, third = 0, low, high] = rest.map((part) => Number(part.replace(/^win/, '')));
  if (kind === 'out') {
    return [compareTo(resample(floats(tensors, `in_${first}_${second}`), first, second))];
  }
  if (kind === 'spec') {
    const windowSamples = third || first;
    const options = { fftSize: first, hopSamples: second, windowSamples };
    return [compareTo(magnitudeSpectrogram(floats(tensors, 'wave'), options).data)];
  }
  if (kind === 'mel') {
    const options = { fftSize: first, hopSamples: second, windowSamples: first, bands: third };
    const band = low === undefined || high === undefined ? {} : { lowestHz: low, highestHz: high };
    const sampleRateHz = Number(testCase.params['sampling_rate']);
    return [compareTo(melSpectrogram(floats(tensors, 'wave'), { ...options, ...band, sampleRateHz }).data)];
  }
  return [];

  function compareTo(actual: Float32Array): Comparison {
    return compare(testCase, name, actual, floats(tensors, name));
  }
}

function floats(tensors: Map<string, CaseTensor>, name: string): Float32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Float32Array)) throw new Error(`the case has no float tensor "${name}"`);
  return data;
}
