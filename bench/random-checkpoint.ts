import type { Checkpoint, CheckpointTensor } from '../src/checkpoint/checkpoint.js';
import { widenHalf } from '../src/checkpoint/float-conversion.js';
import { HUBERT_CONFIG, ROBERTA_CONFIG } from './full-size-checkpoints.js';
import {
  type FullSizeVersion,
  hubertWeights,
  robertaWeights,
  sovitsSizes,
  sovitsWeights,
  t2sWeights,
  UPSAMPLE_RATES,
  type Weights,
} from './full-size-models.js';
import { RandomWeights } from './random-weights.js';

/** Text-to-semantic in the official sizes (24 layers of 512, 16 heads) with random weights, as a checkpoint in memory. */
export function randomText2Semantic(version: FullSizeVersion = 'v2'): Checkpoint {
  const config = { model: { head: 16 }, data: { max_sec: 54 } };
  return inMemory(`random ${version}`, t2sWeights(new RandomWeights(1), version), config);
}

/** SoVITS in the official sizes with random weights, as a checkpoint in memory. */
export function randomSovits(version: FullSizeVersion): Checkpoint {
  const dilations = [1, 3, 5];
  const config = {
    data: { sampling_rate: 32000, filter_length: 2048, hop_length: 640, win_length: 2048 },
    model: {
      version,
      n_heads: 2,
      resblock: '1',
      resblock_kernel_sizes: [3, 7, 11],
      resblock_dilation_sizes: [dilations, dilations, dilations],
      upsample_rates: [...UPSAMPLE_RATES],
      upsample_kernel_sizes: [...sovitsSizes(version).kernels],
    },
  };
  return inMemory(`random ${version}`, sovitsWeights(new RandomWeights(1), version), config);
}

/** The vocabulary of chinese-roberta-wwm-ext-large. */
const ROBERTA_VOCABULARY = 21_128;

/** Encoders in the official sizes with random weights, each with its `config.json`. */
export function randomRoberta(): { checkpoint: Checkpoint; config: unknown } {
  const weights = robertaWeights(new RandomWeights(1), ROBERTA_VOCABULARY);
  return { checkpoint: inMemory('random RoBERTa', weights, {}), config: ROBERTA_CONFIG };
}

export function randomHubert(): { checkpoint: Checkpoint; config: unknown } {
  return { checkpoint: inMemory('random HuBERT', hubertWeights(new RandomWeights(1)), {}), config: HUBERT_CONFIG };
}

/** Float16 weights, widened whenever they are read: they are made from their names, and kept nowhere. */
function inMemory(path: string, weights: Weights, config: Checkpoint['data'][string]): Checkpoint {
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, stored] of weights) {
    const length = stored.shape.reduce((product, size) => product * size, 1);
    const readFloat32 = (): Float32Array => {
      const values = new Float32Array(length);
      widenHalf(stored.load() as Uint16Array, new Uint32Array(values.buffer), 0);
      return values;
    };
    const readInt32 = (): Int32Array => new Int32Array(length);
    tensors.set(name, { name, dtype: 'F32', shape: stored.shape, length, readFloat32, readInt32 });
  }
  return { path, format: 'torch-zip', header: 'PK', tensors, data: { config: config as never }, close: () => {} };
}
