import { basename } from 'node:path';
import { output, tensor } from '../../src/engine/onnxruntime.js';
import { buildHubert, readHubertSpec } from '../../src/models/hubert.js';
import type { Comparison } from './harness.js';
import { compareOutputs, configBeside, floatsOf, runNetwork, weightFiles } from './network.js';
import type { ManifestCase, ReferenceData } from './reference.js';

const INNER = ['conv_features', 'projected', 'hidden_0'];

/** Cases `hubert/*`: wave → last_hidden_state, from every format the weights come in. */
export async function runHubertCase(testCase: ManifestCase, reference: ReferenceData): Promise<Comparison[]> {
  const tensors = reference.load(testCase);
  const wave = floatsOf(tensors, 'wave16k');
  return weightFiles(testCase, reference).flatMap((file) => {
    const results = runNetwork(
      file,
      (checkpoint) => buildHubert(checkpoint, readHubertSpec(checkpoint, configBeside(file)), { expose: INNER }),
      { wave16k: tensor('float32', [1, wave.length], wave) },
    );
    const floats = (name: string) => output(results, name, 'float32').data;
    const actual = Object.fromEntries(['last_hidden_state', ...INNER].map((name) => [name, floats(name)]));
    return compareOutputs(testCase, tensors, actual, basename(file));
  });
}
