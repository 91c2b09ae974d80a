import type { RandomWeights } from './random-weights.js';
import type { TorchTensor } from './torch-zip.js';

export type FullSizeVersion = 'v1' | 'v2' | 'v2Pro' | 'v2ProPlus';

export type Weights = Map<string, TorchTensor>;

/** Collects a state dict in upstream's names, scaled so that activations stay near 1 through every network. */
class ModelBuilder {
  readonly weights: Weights = new Map();

  constructor(
    readonly random: RandomWeights,
    readonly dtype: 'F16' | 'F32',
  ) {}

  /** std = gain / sqrt(fan in), fan in being everything but the first axis. */
  matrix(name: string, shape: readonly number[], gain = 1): void {
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
    this.spread(name, shape, gain / Math.sqrt(fanIn));
  }

  spread(name: string, shape: readonly number[], std: number, mean = 0): void {
    this.weights.set(name, this.random.normal(name, shape, std, this.dtype, mean));
  }

  constant(name: string, shape: readonly number[], value: number, dtype: 'F16' | 'F32' | 'I64' = this.dtype): void {
    this.weights.set(name, this.random.constant(shape, value, dtype));
  }

  /** A linear or convolution layer `[out, in, …kernel]`. */
  layer(name: string, shape: readonly number[], options: { gain?: number; bias?: boolean } = {}): void {
    this.matrix(`${name}.weight`, shape, options.gain);
    if (options.bias ?? true) this.spread(`${name}.bias`, [shape[0]!], 0.02);
  }

  /** A convolution under weight norm over its first axis: |w| = g, so g = gain leaves the scale of a unit input. */
  normedLayer(name: string, shape: readonly number[], gain = 1): void {
    this.spread(`${name}.bias`, [shape[0]!], 0.02);
    this.spread(`${name}.weight_g`, [shape[0]!, ...shape.slice(1).map(() => 1)], 0.02 * gain, gain);
    this.matrix(`${name}.weight_v`, shape);
  }

  layerNorm(weight: string, bias: string, width: number): void {
    this.spread(weight, [width], 0.02, 1);
    this.spread(bias, [width], 0.02);
  }

  batchNorm(name: string, width: number): void {
    this.layerNorm(`${name}.weight`, `${name}.bias`, width);
    this.spread(`${name}.running_mean`, [width], 0.02);
    this.constant(`${name}.running_var`, [width], 1);
    this.constant(`${name}.num_batches_tracked`, [], 1000, 'I64');
  }
}

/** T2S as s1longer(-v2).yaml has it: 24 layers of 512, 16 heads. Names: AR/models/t2s_model.py under `model.`. */
export function t2sWeights(random: RandomWeights, version: FullSizeVersion): Weights {
  const b = new ModelBuilder(random, 'F16');
  const width = 512;
  b.layer('model.bert_proj', [width, 1024]);
  b.spread('model.ar_text_embedding.word_embeddings.weight', [version === 'v1' ? 512 : 732, width], 1);
  b.constant('model.ar_text_position.alpha', [1], 1);
  b.spread('model.ar_audio_embedding.word_embeddings.weight', [1025, width], 1);
  b.constant('model.ar_audio_position.alpha', [1], 1);
  for (let i = 0; i < 24; i++) {
    const layer = `model.h.layers.${i}`;
    b.matrix(`${layer}.self_attn.in_proj_weight`, [3 * width, width]);
    b.spread(`${layer}.self_attn.in_proj_bias`, [3 * width], 0.02);
    b.layer(`${layer}.self_attn.out_proj`, [width, width]);
    b.layer(`${layer}.linear1`, [4 * width, width]);
    b.layer(`${layer}.linear2`, [width, 4 * width]);
    b.layerNorm(`${layer}.norm1.weight`, `${layer}.norm1.bias`, width);
    b.layerNorm(`${layer}.norm2.weight`, `${layer}.norm2.bias`, width);
  }
  b.layer('model.ar_predict_layer', [1025, width], { bias: false });
  return b.weights;
}

/** SynthesizerTrn as s2.json, s2v2Pro.json and s2v2ProPlus.json have it, without enc_q. Names: module/models.py. */
export function sovitsWeights(random: RandomWeights, version: FullSizeVersion): Weights {
  const b = new ModelBuilder(random, 'F16');
  const pro = version === 'v2Pro' || version === 'v2ProPlus';
  const { gin, up, kernels } = sovitsSizes(version);
  const [inter, hidden, filter, mrte, ssl, style] = [192, 192, 768, 512, 768, 128];

  b.layer('enc_p.ssl_proj', [hidden, ssl, 1]);
  textEncoderLayers(b, 'enc_p.encoder_ssl', hidden, filter, 3);
  textEncoderLayers(b, 'enc_p.encoder_text', hidden, filter, 6);
  b.spread('enc_p.text_embedding.weight', [version === 'v1' ? 322 : 732, hidden], 1);
  for (const name of ['conv_q', 'conv_k', 'conv_v', 'conv_o']) {
    b.layer(`enc_p.mrte.cross_attention.${name}`, [mrte, mrte, 1]);
  }
  b.layer('enc_p.mrte.c_pre', [mrte, hidden, 1]);
  b.layer('enc_p.mrte.text_pre', [mrte, hidden, 1]);
  b.layer('enc_p.mrte.c_post', [hidden, mrte, 1]);
  textEncoderLayers(b, 'enc_p.encoder2', hidden, filter, 3);
  // Half of the rows are logarithms of standard deviations.
  b.layer('enc_p.proj', [2 * inter, hidden, 1], { gain: 0.3 });

  b.layer('dec.conv_pre', [up, inter, 7]);
  for (const [i, kernel] of kernels.entries()) {
    const [from, to] = [up >> i, up >> (i + 1)];
    // Transposed: [in, out, kernel], and the norm of each input row; each output meets kernel / rate of its taps.
    b.spread(`dec.ups.${i}.bias`, [to], 0.02);
    b.spread(`dec.ups.${i}.weight_g`, [from, 1, 1], 0.02, Math.sqrt((to * UPSAMPLE_RATES[i]!) / from));
    b.matrix(`dec.ups.${i}.weight_v`, [from, to, kernel]);
  }
  for (let i = 0; i < kernels.length; i++) {
    for (const [j, kernel] of [3, 7, 11].entries()) {
      const width = up >> (i + 1);
      for (const convs of ['convs1', 'convs2']) {
        for (let k = 0; k < 3; k++) {
          b.normedLayer(`dec.resblocks.${3 * i + j}.${convs}.${k}`, [width, width, kernel], 0.6);
        }
      }
    }
  }
  b.layer('dec.conv_post', [1, up >> kernels.length, 7], { gain: 0.5, bias: false });
  b.layer('dec.cond', [up, gin, 1], { gain: 0.5 });

  for (const flow of [0, 2, 4, 6]) {
    const name = `flow.flows.${flow}`;
    b.layer(`${name}.pre`, [hidden, inter / 2, 1]);
    for (let i = 0; i < 4; i++) {
      b.normedLayer(`${name}.enc.in_layers.${i}`, [2 * hidden, hidden, 5]);
      b.normedLayer(`${name}.enc.res_skip_layers.${i}`, [i < 3 ? 2 * hidden : hidden, hidden, 1]);
    }
    b.normedLayer(`${name}.enc.cond_layer`, [2 * hidden * 4, gin, 1], 0.5);
    b.layer(`${name}.post`, [inter / 2, hidden, 1], { gain: 0.2 });
  }

  b.layer('ref_enc.spectral.0.fc', [style, version === 'v1' ? 1025 : 704]);
  b.layer('ref_enc.spectral.3.fc', [style, style]);
  b.layer('ref_enc.temporal.0.conv1.conv', [2 * style, style, 5]);
  b.layer('ref_enc.temporal.1.conv1.conv', [2 * style, style, 5]);
  for (const name of ['w_qs', 'w_ks', 'w_vs', 'fc']) b.layer(`ref_enc.slf_attn.${name}`, [style, style]);
  b.layer('ref_enc.fc.fc', [gin, style]);

  b.layer('ssl_proj', [ssl, ssl, 2]);
  const codebook = 'quantizer.vq.layers.0._codebook';
  b.constant(`${codebook}.inited`, [1], 1);
  b.spread(`${codebook}.cluster_size`, [1024], 0.2, 2);
  b.spread(`${codebook}.embed`, [1024, ssl], 1);
  b.spread(`${codebook}.embed_avg`, [1024, ssl], 1);
  if (pro) {
    b.layer('sv_emb', [gin, 20_480]);
    b.layer('ge_to512', [512, gin]);
    b.spread('prelu.weight', [gin], 0.02, 0.25);
  }
  return b.weights;
}

export const UPSAMPLE_RATES = [10, 8, 2, 2, 2];

/** What differs between the versions' configs. */
export function sovitsSizes(version: FullSizeVersion): { gin: number; up: number; kernels: readonly number[] } {
  if (version === 'v2ProPlus') return { gin: 1024, up: 768, kernels: [20, 16, 8, 2, 2] };
  return { gin: version === 'v2Pro' ? 1024 : 512, up: 512, kernels: [16, 16, 8, 2, 2] };
}

function textEncoderLayers(b: ModelBuilder, name: string, width: number, filter: number, count: number): void {
  const heads = 2;
  for (let i = 0; i < count; i++) {
    for (const table of ['emb_rel_k', 'emb_rel_v']) {
      b.spread(`${name}.attn_layers.${i}.${table}`, [1, 9, width / heads], 1 / Math.sqrt(width / heads));
    }
    for (const conv of ['conv_q', 'conv_k', 'conv_v', 'conv_o']) {
      b.layer(`${name}.attn_layers.${i}.${conv}`, [width, width, 1]);
    }
  }
  for (let i = 0; i < count; i++)
    b.layerNorm(`${name}.norm_layers_1.${i}.gamma`, `${name}.norm_layers_1.${i}.beta`, width);
  for (let i = 0; i < count; i++) {
    b.layer(`${name}.ffn_layers.${i}.conv_1`, [filter, width, 3]);
    b.layer(`${name}.ffn_layers.${i}.conv_2`, [width, filter, 3]);
  }
  for (let i = 0; i < count; i++)
    b.layerNorm(`${name}.norm_layers_2.${i}.gamma`, `${name}.norm_layers_2.${i}.beta`, width);
}

/** chinese-hubert-base: 12 layers of 768. Names: transformers' HubertModel with the older weight norm. */
export function hubertWeights(random: RandomWeights): Weights {
  const b = new ModelBuilder(random, 'F16');
  const [width, conv, inner, groups, positions] = [768, 512, 3072, 16, 128];
  b.spread('masked_spec_embed', [width], 0.5);
  for (const [i, kernel] of [10, 3, 3, 3, 3, 2, 2].entries()) {
    b.matrix(`feature_extractor.conv_layers.${i}.conv.weight`, [conv, i === 0 ? 1 : conv, kernel], Math.SQRT2);
    if (i === 0) {
      const norm = 'feature_extractor.conv_layers.0.layer_norm';
      b.layerNorm(`${norm}.weight`, `${norm}.bias`, conv);
    }
  }
  b.layerNorm('feature_projection.layer_norm.weight', 'feature_projection.layer_norm.bias', conv);
  b.layer('feature_projection.projection', [width, conv]);
  // Weight norm over the kernel's positions (dim 2): g has one value for each.
  const position = 'encoder.pos_conv_embed.conv';
  b.spread(`${position}.bias`, [width], 0.02);
  b.spread(`${position}.weight_g`, [1, 1, positions], 0.02, Math.sqrt(groups / positions));
  b.matrix(`${position}.weight_v`, [width, width / groups, positions]);
  b.layerNorm('encoder.layer_norm.weight', 'encoder.layer_norm.bias', width);
  for (let i = 0; i < 12; i++) {
    const layer = `encoder.layers.${i}`;
    for (const name of ['k_proj', 'v_proj', 'q_proj', 'out_proj'])
      b.layer(`${layer}.attention.${name}`, [width, width]);
    b.layerNorm(`${layer}.layer_norm.weight`, `${layer}.layer_norm.bias`, width);
    b.layer(`${layer}.feed_forward.intermediate_dense`, [inner, width]);
    b.layer(`${layer}.feed_forward.output_dense`, [width, inner]);
    b.layerNorm(`${layer}.final_layer_norm.weight`, `${layer}.final_layer_norm.bias`, width);
  }
  return b.weights;
}

/** chinese-roberta-wwm-ext-large: 24 layers of 1024. Names: transformers' BertForMaskedLM. */
export function robertaWeights(random: RandomWeights, vocabulary: number): Weights {
  const b = new ModelBuilder(random, 'F16');
  const [width, inner] = [1024, 4096];
  const embeddings = 'bert.embeddings';
  b.spread(`${embeddings}.word_embeddings.weight`, [vocabulary, width], 1);
  b.spread(`${embeddings}.position_embeddings.weight`, [512, width], 0.3);
  b.spread(`${embeddings}.token_type_embeddings.weight`, [2, width], 0.3);
  b.layerNorm(`${embeddings}.LayerNorm.weight`, `${embeddings}.LayerNorm.bias`, width);
  for (let i = 0; i < 24; i++) {
    const layer = `bert.encoder.layer.${i}`;
    for (const name of ['query', 'key', 'value']) b.layer(`${layer}.attention.self.${name}`, [width, width]);
    b.layer(`${layer}.attention.output.dense`, [width, width]);
    b.layerNorm(`${layer}.attention.output.LayerNorm.weight`, `${layer}.attention.output.LayerNorm.bias`, width);
    b.layer(`${layer}.intermediate.dense`, [inner, width]);
    b.layer(`${layer}.output.dense`, [width, inner]);
    b.layerNorm(`${layer}.output.LayerNorm.weight`, `${layer}.output.LayerNorm.bias`, width);
  }
  const head = 'cls.predictions';
  b.spread(`${head}.bias`, [vocabulary], 0.02);
  b.layer(`${head}.transform.dense`, [width, width]);
  b.layerNorm(`${head}.transform.LayerNorm.weight`, `${head}.transform.LayerNorm.bias`, width);
  // The output layer is tied: the same storages again.
  b.weights.set(`${head}.decoder.weight`, b.weights.get(`${embeddings}.word_embeddings.weight`)!);
  b.weights.set(`${head}.decoder.bias`, b.weights.get(`${head}.bias`)!);
  return b.weights;
}

/** ERes2NetV2 w24 s4 ep4 with 64 channels, blocks 3-4-6-3, float32. Names: eres2net/ERes2NetV2.py. */
export function speakerEncoderWeights(random: RandomWeights): Weights {
  const b = new ModelBuilder(random, 'F32');
  const [channels, scale, expansion] = [64, 4, 4];
  b.matrix('conv1.weight', [channels, 1, 3, 3], Math.SQRT2);
  b.batchNorm('bn1', channels);
  let incoming = channels;
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const planes = channels << stage;
    const width = Math.floor((planes * 24) / 64);
    for (let block = 0; block < blocks; block++) {
      const name = `layer${stage + 1}.${block}`;
      b.matrix(`${name}.conv1.weight`, [width * scale, incoming, 1, 1], Math.SQRT2);
      b.batchNorm(`${name}.bn1`, width * scale);
      for (let i = 0; i < scale; i++) b.matrix(`${name}.convs.${i}.weight`, [width, width, 3, 3], Math.SQRT2);
      for (let i = 0; i < scale; i++) b.batchNorm(`${name}.bns.${i}`, width);
      for (let i = 0; stage >= 2 && i < scale - 1; i++) attentionFusion(b, `${name}.fuse_models.${i}`, width);
      b.matrix(`${name}.conv3.weight`, [planes * expansion, width * scale, 1, 1], 0.5);
      b.batchNorm(`${name}.bn3`, planes * expansion);
      if (block === 0) {
        b.matrix(`${name}.shortcut.0.weight`, [planes * expansion, incoming, 1, 1]);
        b.batchNorm(`${name}.shortcut.1`, planes * expansion);
      }
      incoming = planes * expansion;
    }
  }
  b.matrix('layer3_ds.weight', [channels * 8 * expansion, channels * 4 * expansion, 3, 3]);
  attentionFusion(b, 'fuse34', channels * 8 * expansion);
  // Mean and deviation of (80 mel bands / 8) x 512 x 4 values.
  b.layer('seg_1', [192, 2 * 10 * channels * 8 * expansion]);
  return b.weights;
}

function attentionFusion(b: ModelBuilder, name: string, channels: number): void {
  const inner = Math.floor(channels / 4);
  b.layer(`${name}.local_att.0`, [inner, 2 * channels, 1, 1]);
  b.batchNorm(`${name}.local_att.1`, inner);
  b.layer(`${name}.local_att.3`, [channels, inner, 1, 1]);
  b.batchNorm(`${name}.local_att.4`, channels);
}
