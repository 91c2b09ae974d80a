import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { output, tensor } from '../../src/engine/onnxruntime.js';
import { type BertSpec, buildBert, readBertSpec } from '../../src/models/bert.js';
import { bertFeatures } from '../../src/models/bert-features.js';
import { type BertTokenizer, createBertTokenizer } from '../../src/models/bert-tokenizer.js';
import { type Comparison, compare } from './harness.js';
import { compareOutputs, configBeside, integersOf, runNetwork, weightFiles } from './network.js';
import type { ManifestCase, ReferenceData } from './reference.js';

/** Cases `roberta/*`: text → ids → hidden states → features per phoneme, from every format the weights come in. */
export async function runRobertaCase(testCase: ManifestCase, reference: ReferenceData): Promise<Comparison[]> {
  const tensors = reference.load(testCase);
  const text = String(testCase.params['text']);
  const files = weightFiles(testCase, reference);
  const tokenizers = tokenizersBeside(files[0] ?? '');
  const comparisons = tokenizers.map(({ source, tokenizer }) => ({
    ...compare(testCase, 'input_ids', tokenizer.encode(text).ids, integersOf(tensors, 'input_ids'), 0),
    tensor: `input_ids (${source})`,
  }));
  const tokenizer = tokenizers[0]?.tokenizer;
  if (!tokenizer) throw new Error(`${testCase.name} has neither tokenizer.json nor vocab.txt`);
  for (const file of files) {
    const inner: Record<string, Float32Array> = {};
    const spec = specOf(file);
    const run = (ids: readonly number[]): Float32Array => {
      const results = runNetwork(file, (checkpoint) => buildBert(checkpoint, spec, { expose: ['embeddings'] }), {
        input_ids: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)),
      });
      for (const name of ['embeddings', 'hidden_minus3']) inner[name] = output(results, name, 'float32').data;
      return output(results, 'hidden_minus3', 'float32').data;
    };
    const word2ph = [...integersOf(tensors, 'word2ph')];
    const features = await bertFeatures(text, word2ph, { tokenizer, ...spec, run });
    comparisons.push(
      ...compareOutputs(testCase, tensors, { ...inner, features: transposed(features, spec.width) }, basename(file)),
    );
  }
  return comparisons;
}

/** (phonemes, width) as upstream's (width, phonemes). */
function transposed(features: Float32Array, width: number): Float32Array {
  const phonemes = features.length / width;
  return features.map((_, index) => features[(index % phonemes) * width + Math.floor(index / phonemes)] ?? Number.NaN);
}

function specOf(weightsFile: string): BertSpec {
  const checkpoint = openCheckpoint(weightsFile);
  try {
    return readBertSpec(checkpoint, configBeside(weightsFile));
  } finally {
    checkpoint.close();
  }
}

/** The tokenizer as each of its files describes it. */
function tokenizersBeside(weightsFile: string): { source: string; tokenizer: BertTokenizer }[] {
  const read = (name: string): string | undefined => {
    const path = join(weightsFile, '..', name);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  };
  const tokenizerJson = read('tokenizer.json');
  const vocabulary = read('vocab.txt');
  const tokenizerConfig = read('tokenizer_config.json');
  return [
    ...(tokenizerJson === undefined
      ? []
      : [{ source: 'tokenizer.json', tokenizer: createBertTokenizer({ tokenizerJson }) }]),
    ...(vocabulary === undefined
      ? []
      : [
          {
            source: 'vocab.txt',
            tokenizer: createBertTokenizer({ vocabulary, ...(tokenizerConfig ? { tokenizerConfig } : {}) }),
          },
        ]),
  ];
}
