import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import type { Text2SemanticSettings } from '../../src/models/text2semantic.js';
import { GraphBuilder, type GraphModel, type Value } from '../../src/onnx/graph.js';

/**
 * Text-to-semantic as ONNX ports of upstream have it: one graph for the first stage (phonemes and prompt, all at once)
 * and one for a step, float32, plain operators, and a key/value cache that goes in as inputs and comes out one position
 * longer. It is here to be raced against, and computes the same logits as our own graph.
 *
 * - first stage: `phonemes` (B, P), `bert` (B, P, width), `tokens` (B, A), `mask` (P + A, P + A), 0 or −1e9;
 * - step: `token` (B, 1), `position` (1), `past_k.N`, `past_v.N` (B, S, width);
 * - both give `logits` (B, vocabulary) and `k.N`, `v.N`.
 */
export function buildNaiveText2Semantic(
  checkpoint: Checkpoint,
  settings: Text2SemanticSettings,
  stage: 'first' | 'step',
): GraphModel {
  const g = new GraphBuilder(`naive-t2s-${stage}`);
  const { width, heads, layers, vocabulary } = settings;
  const headWidth = width / heads;
  const read = (name: string) => {
    const tensor = checkpoint.tensors.get(`model.${name}`);
    if (!tensor) throw new Error(`no tensor ${name}`);
    return tensor;
  };
  const plain = (name: string): Value => g.weight(name, read(name).shape, () => read(name).readFloat32());
  const turned = (name: string): Value => {
    const [rows = 0, columns = 0] = read(name).shape;
    return g.weight(`${name}.T`, [columns, rows], () => transpose(read(name).readFloat32(), rows, columns));
  };
  const table = (alpha: string): Value =>
    g.weight(`${alpha}.table`, [settings.positions, width], () =>
      sines(settings.positions, width, read(alpha).readFloat32()[0] ?? 1),
    );

  let x: Value;
  let mask: Value | null = null;
  if (stage === 'first') {
    const phonemes = g.input('phonemes', 'int64', ['B', 'P']);
    const bert = g.input('bert', 'float32', ['B', 'P', settings.bertWidth]);
    const tokens = g.input('tokens', 'int64', ['B', 'A']);
    mask = g.input('mask', 'float32', ['L', 'L']);
    const text = g.add(
      g.add(
        g.gather(plain('ar_text_embedding.word_embeddings.weight'), phonemes),
        g.linear(bert, turned('bert_proj.weight'), plain('bert_proj.bias')),
      ),
      g.slice(table('ar_text_position.alpha'), 0, 0, g.shape(phonemes, 1, 2)),
    );
    const audio = g.add(
      g.gather(plain('ar_audio_embedding.word_embeddings.weight'), tokens),
      g.slice(table('ar_audio_position.alpha'), 0, 0, g.shape(tokens, 1, 2)),
    );
    x = g.concat([text, audio], 1);
  } else {
    const token = g.input('token', 'int64', ['B', 1]);
    const position = g.input('position', 'int64', [1]);
    x = g.add(
      g.gather(plain('ar_audio_embedding.word_embeddings.weight'), token),
      g.gather(table('ar_audio_position.alpha'), position),
    );
  }

  const split = (value: Value): Value => g.transpose(g.reshape(value, [0, -1, heads, headWidth]), [0, 2, 1, 3]); // (B, heads, L, headWidth)
  for (let layer = 0; layer < layers; layer++) {
    const at = `h.layers.${layer}`;
    const qkv = g.linear(x, turned(`${at}.self_attn.in_proj_weight`), plain(`${at}.self_attn.in_proj_bias`));
    const [query, newKeys, newValues] = g.split(qkv, [width, width, width], 2) as [Value, Value, Value];
    const joined = (name: string, fresh: Value): Value =>
      stage === 'first' ? fresh : g.concat([g.input(`past_${name}.${layer}`, 'float32', ['B', 'S', width]), fresh], 1);
    const keys = joined('k', newKeys);
    const values = joined('v', newValues);
    g.output(`k.${layer}`, keys, 'float32', ['B', 'S+', width]);
    g.output(`v.${layer}`, values, 'float32', ['B', 'S+', width]);
    const scores = g.div(
      g.matmul(split(query), g.transpose(split(keys), [0, 1, 3, 2])),
      g.scalar(Math.sqrt(headWidth)),
    );
    const weights = g.softmax(mask ? g.add(scores, mask) : scores);
    const mixed = g.reshape(g.transpose(g.matmul(weights, split(values)), [0, 2, 1, 3]), [0, -1, width]);
    const attended = g.linear(mixed, turned(`${at}.self_attn.out_proj.weight`), plain(`${at}.self_attn.out_proj.bias`));
    const normed = g.layerNorm(g.add(x, attended), plain(`${at}.norm1.weight`), plain(`${at}.norm1.bias`));
    const inner = g.relu(g.linear(normed, turned(`${at}.linear1.weight`), plain(`${at}.linear1.bias`)));
    const outer = g.linear(inner, turned(`${at}.linear2.weight`), plain(`${at}.linear2.bias`));
    x = g.layerNorm(g.add(normed, outer), plain(`${at}.norm2.weight`), plain(`${at}.norm2.bias`));
  }
  const last = g.gather(x, g.constant(-1, 'int64'), 1);
  g.output('logits', g.matmul(last, turned('ar_predict_layer.weight')), 'float32', ['B', vocabulary]);
  return g.build();
}

/** Phonemes see all phonemes, tokens all phonemes and the tokens up to themselves. */
export function firstStageMask(phonemes: number, tokens: number): Float32Array {
  const length = phonemes + tokens;
  const mask = new Float32Array(length * length);
  for (let row = 0; row < length; row++) {
    const visible = row < phonemes ? phonemes : row + 1;
    mask.fill(-1e9, row * length + visible, (row + 1) * length);
  }
  return mask;
}

function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = matrix[row * columns + column] ?? 0;
  }
  return result;
}

function sines(positions: number, width: number, scale: number): Float32Array {
  const result = new Float32Array(positions * width);
  for (let position = 0; position < positions; position++) {
    for (let pair = 0; pair < width; pair += 2) {
      const angle = position * Math.exp((-pair * Math.log(10000)) / width);
      result[position * width + pair] = scale * Math.sin(angle);
      result[position * width + pair + 1] = scale * Math.cos(angle);
    }
  }
  return result;
}
