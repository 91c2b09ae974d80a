import { basename } from 'node:path';
import { kaldiFilterBank } from '../../src/audio/fbank.js';
import { output, tensor } from '../../src/engine/onnxruntime.js';
import { buildSpeakerEncoder, readSpeakerEncoderSpec } from '../../src/models/speaker-encoder.js';
import { type Comparison, compare } from './harness.js';
import { compareOutputs, floatsOf, runNetwork, weightFiles } from './network.js';
import type { ManifestCase, ReferenceData } from './reference.js';

/**
 * Cases `speaker/*`: wave → filter-bank features → speaker vector. The network is held to the recorded features, the
 * vector also to those made here: logarithms of very small energies may differ by more than a feature map allows.
 */
export async function runSpeakerCase(testCase: ManifestCase, reference: ReferenceData): Promise<Comparison[]> {
  const tensors = reference.load(testCase);
  const fbank = kaldiFilterBank(floatsOf(tensors, 'wave16k'), 16_000, 80);
  const comparisons = [compare(testCase, 'fbank', fbank.data, floatsOf(tensors, 'fbank'))];
  const recorded = floatsOf(tensors, 'fbank');
  for (const file of weightFiles(testCase, reference)) {
    const run = (features: Float32Array) =>
      runNetwork(
        file,
        (checkpoint) => buildSpeakerEncoder(checkpoint, readSpeakerEncoderSpec(checkpoint), { expose: ['layer4'] }),
        { fbank: tensor('float32', [fbank.frames, fbank.bands], features) },
      );
    const inner = run(recorded);
    const actual = {
      layer4: output(inner, 'layer4', 'float32').data,
      embedding: output(inner, 'sv_emb', 'float32').data,
    };
    const fromWave = output(run(fbank.data), 'sv_emb', 'float32').data;
    comparisons.push(
      ...compareOutputs(testCase, tensors, actual, basename(file)),
      ...compareOutputs(testCase, tensors, { embedding: fromWave }, `${basename(file)} from the wave`),
    );
  }
  return comparisons;
}
