import { describe, expect, it } from 'vitest';
import type { Checkpoint, CheckpointTensor } from '../../src/checkpoint/checkpoint.js';
import { openRuntime, output, tensor } from '../../src/engine/onnxruntime.js';
import { SemanticDecoder } from '../../src/engine/semantic-decoder.js';
import { buildText2Semantic, readText2SemanticSettings } from '../../src/models/text2semantic.js';
import { encodeModel } from '../../src/onnx/model-file.js';
import { buildNaiveText2Semantic, firstStageMask } from './naive-text2semantic.js';

/** Two layers of 32 with four heads of 8, 20 phonemes, 16 tokens and the end. */
function smallCheckpoint(): Checkpoint {
  const shapes: Record<string, readonly number[]> = {
    'bert_proj.weight': [32, 8],
    'bert_proj.bias': [32],
    'ar_text_embedding.word_embeddings.weight': [20, 32],
    'ar_text_position.alpha': [1],
    'ar_audio_embedding.word_embeddings.weight': [17, 32],
    'ar_audio_position.alpha': [1],
    'ar_predict_layer.weight': [17, 32],
  };
  for (const layer of [0, 1]) {
    const at = `h.layers.${layer}`;
    Object.assign(shapes, {
      [`${at}.self_attn.in_proj_weight`]: [96, 32],
      [`${at}.self_attn.in_proj_bias`]: [96],
      [`${at}.self_attn.out_proj.weight`]: [32, 32],
      [`${at}.self_attn.out_proj.bias`]: [32],
      [`${at}.linear1.weight`]: [64, 32],
      [`${at}.linear1.bias`]: [64],
      [`${at}.linear2.weight`]: [32, 64],
      [`${at}.linear2.bias`]: [32],
      ...Object.fromEntries(
        ['norm1', 'norm2'].flatMap((n) => [
          [`${at}.${n}.weight`, [32]],
          [`${at}.${n}.bias`, [32]],
        ]),
      ),
    });
  }
  let state = 1;
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, shape] of Object.entries(shapes)) {
    const length = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state / 2 ** 32 - 0.5) * 0.8;
    });
    const readFloat32 = () => values.slice();
    tensors.set(`model.${name}`, { name, dtype: 'F32', shape, length, readFloat32, readInt32: () => new Int32Array() });
  }
  const config = { model: { head: 4 }, data: { max_sec: 54 } };
  return { path: 'small', format: 'torch-zip', header: 'PK', tensors, data: { config }, close: () => {} };
}

describe('the naive text-to-semantic of the race', () => {
  it('computes the logits of our own graph, at the first stage and at a step', () => {
    const checkpoint = smallCheckpoint();
    const settings = readText2SemanticSettings(checkpoint, { positions: 64 });
    const runtime = openRuntime({ threads: 1 });
    const open = (stage: 'first' | 'step') =>
      runtime.createSession(encodeModel(buildNaiveText2Semantic(checkpoint, settings, stage), null));
    const phonemes = [1, 5, 9, 2, 13];
    const prompt = [3, 8, 15, 4];

    const own: Float32Array[] = [];
    const decoder = new SemanticDecoder(
      runtime.createSession(encodeModel(buildText2Semantic(checkpoint, settings), null)),
      settings,
      { rows: 1, maxLength: 64, observer: (_row, logits) => own.push(logits.slice()) },
    );
    const { token } = decoder.addRow({
      phonemeIds: phonemes,
      bertFeatures: null,
      promptSemantic: prompt,
      sampling: { topK: 1, topP: 1, temperature: 1, repetitionPenalty: 1 },
      seed: 1,
      sentenceKey: 0,
      maxNewTokens: 20,
    });
    decoder.step();
    decoder.close();

    const ids = (values: readonly number[]) => tensor('int64', [1, values.length], BigInt64Array.from(values, BigInt));
    const first = open('first').run({
      phonemes: ids(phonemes),
      bert: tensor('float32', [1, phonemes.length, 8], new Float32Array(phonemes.length * 8)),
      tokens: ids(prompt),
      mask: tensor('float32', [9, 9], firstStageMask(phonemes.length, prompt.length)),
    });
    const { logits: _, ...cache } = first;
    const past = Object.fromEntries(Object.entries(cache).map(([name, value]) => [`past_${name}`, value]));
    const second = open('step').run({
      token: ids([token ?? 0]),
      position: tensor('int64', [1], BigInt64Array.of(4n)),
      ...past,
    });
    for (const [index, results] of [first, second].entries()) {
      const logits = output(results, 'logits', 'float32').data;
      const difference = Math.max(...logits.map((value, at) => Math.abs(value - own[index]![at]!)));
      expect(difference).toBeLessThan(1e-4); // fp32, summed in another order
    }
  });
});
