import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import { GraphBuilder, type GraphModel, type Value } from '../../onnx/graph.js';
import type { ModelSpec } from '../model-spec.js';
import { adaptedModules } from './adapter.js';
import { attentionEncoder, joinHeads, relativeBand, splitHeads } from './attention-encoder.js';
import {
  type AdaptableBuildOptions,
  affine,
  changedRows,
  dense,
  derived,
  exposed,
  multiply,
  parameter,
  readColumn,
  readMatrix,
  type SovitsContext,
  scaled,
  stacked,
  sum,
  tensorOf,
} from './layers.js';

/**
 * The text side of the encoder, once a sentence: `text` int64 (P) → `text_keys`, `text_values` (heads, P, width), what
 * the tokens attend to. Exposes `enc_text` (P, hidden). upstream: module/models.py TextEncoder (encoder_text),
 * module/mrte_model.py (text_pre, conv_k, conv_v, which are one matrix each here).
 */
export function buildTextEncoder(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  options: AdaptableBuildOptions = {},
): GraphModel {
  const graph = new GraphBuilder('sovits_text');
  const adapted = options.adapters ? adaptedModules(spec) : null;
  const context: SovitsContext = { graph, checkpoint, spec, expose: new Set(options.expose), adapted };
  const ids = graph.input('text', 'int64', ['phonemes']);
  const embedded = graph.gather(parameter(context, 'enc_p.text_embedding.weight'), ids);
  const band = relativeBand(context, ids);
  const encoded = attentionEncoder(context, embedded, 'enc_p.encoder_text', spec.layerCounts.text, band);
  exposed(context, 'enc_text', encoded, ['phonemes', spec.hiddenChannels]);

  const width = spec.mrteChannels / spec.mrteHeadCount;
  const [keys, values] = adapted ? apart(context, encoded) : together(context, encoded);
  if (!keys || !values) throw new Error('two projections');
  graph.output('text_keys', keys, 'float32', [spec.mrteHeadCount, 'phonemes', width]);
  graph.output('text_values', values, 'float32', [spec.mrteHeadCount, 'phonemes', width]);
  return graph.build();
}

/** Keys and values (heads, P, width) of the text, each module for itself, so that each can be changed. */
function apart(context: SovitsContext, encoded: Value): Value[] {
  const { graph, spec } = context;
  const before = dense(context, encoded, 'enc_p.mrte.text_pre');
  return ['conv_k', 'conv_v'].flatMap((name) => {
    const projected = dense(context, before, `enc_p.mrte.cross_attention.${name}`);
    return splitHeads(graph, projected, spec.mrteHeadCount, spec.mrteChannels / spec.mrteHeadCount, 1);
  });
}

/** Keys and values (heads, P, width) of the text in one product. */
function together(context: SovitsContext, encoded: Value): Value[] {
  const { graph, checkpoint, spec } = context;
  const channels = spec.mrteChannels;
  const before = () => readMatrix(checkpoint, 'enc_p.mrte.text_pre.weight');
  const projections = ['conv_k', 'conv_v'].map((name) => `enc_p.mrte.cross_attention.${name}`);
  const weight = derived(context, 'enc_p.mrte.kv.weight', [2 * channels, spec.hiddenChannels], () =>
    stacked(...projections.map((prefix) => multiply(readMatrix(checkpoint, `${prefix}.weight`), before()))),
  );
  const bias = derived(context, 'enc_p.mrte.kv.bias', [2 * channels], () => {
    const inner = readColumn(checkpoint, 'enc_p.mrte.text_pre.bias');
    const through = (prefix: string) =>
      sum(multiply(readMatrix(checkpoint, `${prefix}.weight`), inner), readColumn(checkpoint, `${prefix}.bias`));
    return stacked(...projections.map(through));
  });
  const width = channels / spec.mrteHeadCount;
  return splitHeads(graph, affine(context, encoded, weight, bias), spec.mrteHeadCount, width, 2);
}

/**
 * The token side: `codes` int64 (T), one a latent frame (see {@link framesOfTokens}), `text_keys`, `text_values` of the
 * text side and `ge` (1, gin, 1) → `latent` (T, hidden), before the change of speed, and `text_attention` (T, P), the
 * mean over heads of what the tokens attend to. Exposes `enc_ssl`, `mrte`, `encoder2` (T, hidden) and, in v2Pro, `ge512`
 * (1, mrte).
 * upstream: module/models.py TextEncoder.forward up to y_, module/mrte_model.py MRTE.
 *
 * Everything linear between two non-linear steps is one matrix, multiplied in double precision when the weights are
 * written: the codebook with ssl_proj; c_pre with conv_q; conv_o, c_pre and ge_to512 with c_post. With adapters, which
 * change each of them, they stay apart.
 */
export function buildTokenEncoder(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  options: AdaptableBuildOptions = {},
): GraphModel {
  const graph = new GraphBuilder('sovits_tokens');
  const adapted = options.adapters ? adaptedModules(spec) : null;
  const context: SovitsContext = { graph, checkpoint, spec, expose: new Set(options.expose), adapted };
  const { hiddenChannels: hidden, mrteHeadCount: heads } = spec;
  const width = spec.mrteChannels / heads;
  const codes = graph.input('codes', 'int64', ['frames']);
  const keys = graph.input('text_keys', 'float32', [heads, 'phonemes', width]);
  const values = graph.input('text_values', 'float32', [heads, 'phonemes', width]);
  const ge = graph.input('ge', 'float32', [1, spec.globalEmbeddingWidth, 1]);
  const band = relativeBand(context, codes);

  let x = graph.gather(codeTable(context), codes);
  if (adapted) {
    const codebook = parameter(context, 'quantizer.vq.layers.0._codebook.embed'); // (codes, ssl), also of the quantizer
    x = changedRows(context, 'enc_p.ssl_proj', graph.gather(codebook, codes), x);
  }
  x = attentionEncoder(context, x, 'enc_p.encoder_ssl', spec.layerCounts.ssl, band);
  exposed(context, 'enc_ssl', x, ['frames', hidden]);
  x = graph.scope('mrte', () => attendToText(context, x, keys, values, ge));
  exposed(context, 'mrte', x, ['frames', hidden]);
  x = attentionEncoder(context, x, 'enc_p.encoder2', spec.layerCounts.post, band);
  exposed(context, 'encoder2', x, ['frames', hidden]);
  graph.output('latent', x, 'float32', ['frames', hidden]);
  return graph.build();
}

/** The code of each latent frame: at 25 tokens a second every token stands for two frames (nearest interpolation). */
export function framesOfTokens(spec: ModelSpec, tokens: ArrayLike<number>): BigInt64Array {
  const frames = new BigInt64Array(tokens.length * spec.framesPerToken);
  for (let frame = 0; frame < frames.length; frame++) {
    frames[frame] = BigInt(tokens[Math.floor(frame / spec.framesPerToken)] as number); // in range by construction
  }
  return frames;
}

/** The codebook behind ssl_proj: one row of hidden channels a code. */
function codeTable(context: SovitsContext): Value {
  const { checkpoint, spec } = context;
  const shape = [spec.codebookSize, spec.hiddenChannels];
  return derived(context, 'enc_p.code_table', shape, () => {
    const codebook = readMatrix(checkpoint, 'quantizer.vq.layers.0._codebook.embed');
    const projection = readMatrix(checkpoint, 'enc_p.ssl_proj.weight');
    const bias = tensorOf(checkpoint, 'enc_p.ssl_proj.bias').readFloat32();
    const table = new Float32Array(codebook.rows * projection.rows);
    for (let code = 0; code < codebook.rows; code++) {
      for (let channel = 0; channel < projection.rows; channel++) {
        let total = bias[channel]!;
        const from = code * codebook.columns;
        const by = channel * codebook.columns;
        for (let k = 0; k < codebook.columns; k++) total += codebook.data[from + k]! * projection.data[by + k]!;
        table[code * projection.rows + channel] = total;
      }
    }
    return table;
  });
}

function attendToText(context: SovitsContext, x: Value, keys: Value, values: Value, ge: Value): Value {
  const { graph, checkpoint, spec } = context;
  const { hiddenChannels: hidden, mrteChannels: channels, mrteHeadCount: heads } = spec;
  const width = channels / heads;
  const at = 'enc_p.mrte';
  const attention = `${at}.cross_attention`;
  if (context.adapted) {
    const geRow = graph.reshape(ge, [1, spec.globalEmbeddingWidth]);
    const content = dense(context, x, `${at}.c_pre`); // (T, mrte)
    const asked = graph.mul(dense(context, content, `${attention}.conv_q`), graph.scalar(1 / Math.sqrt(width)));
    const found = dense(context, attend(context, asked, keys, values), `${attention}.conv_o`);
    const voice = spec.speakerVectorWidth === null ? geRow : dense(context, geRow, 'ge_to512'); // (1, mrte)
    return dense(context, graph.add(graph.add(found, content), voice), `${at}.c_post`);
  }
  const read = (name: string) => readMatrix(checkpoint, `${name}.weight`);
  const readBias = (name: string) => readColumn(checkpoint, `${name}.bias`);

  const queryWeight = derived(context, `${at}.q.weight`, [channels, hidden], () =>
    stacked(scaled(multiply(read(`${attention}.conv_q`), read(`${at}.c_pre`)), 1 / Math.sqrt(width))),
  );
  const queryBias = derived(context, `${at}.q.bias`, [channels], () => {
    const through = multiply(read(`${attention}.conv_q`), readBias(`${at}.c_pre`));
    return stacked(scaled(sum(through, readBias(`${attention}.conv_q`)), 1 / Math.sqrt(width)));
  });
  const attended = attend(context, affine(context, x, queryWeight, queryBias), keys, values);

  // c_post(conv_o(attended) + c_pre(x) + ge) as three products that add onto one another.
  const geWeight = derived(context, `${at}.ge.weight`, [hidden, spec.globalEmbeddingWidth], () => {
    const post = read(`${at}.c_post`);
    return stacked(spec.speakerVectorWidth === null ? post : multiply(post, read('ge_to512')));
  });
  const constant = derived(context, `${at}.ge.bias`, [1, hidden], () => {
    const inner = [readBias(`${attention}.conv_o`), readBias(`${at}.c_pre`)];
    if (spec.speakerVectorWidth !== null) inner.push(readBias('ge_to512'));
    return stacked(sum(multiply(read(`${at}.c_post`), sum(...inner)), readBias(`${at}.c_post`)));
  });
  const attendedWeight = derived(context, `${at}.attended.weight`, [hidden, channels], () =>
    stacked(multiply(read(`${at}.c_post`), read(`${attention}.conv_o`))),
  );
  const contentWeight = derived(context, `${at}.content.weight`, [hidden, hidden], () =>
    stacked(multiply(read(`${at}.c_post`), read(`${at}.c_pre`))),
  );
  const geRow = graph.reshape(ge, [1, spec.globalEmbeddingWidth]);
  if (spec.speakerVectorWidth !== null && context.expose.has('ge512')) {
    const wide = affine(context, geRow, parameter(context, 'ge_to512.weight'), parameter(context, 'ge_to512.bias'));
    exposed(context, 'ge512', wide, [1, channels]);
  }
  const fromVoice = affine(context, geRow, geWeight, constant); // (1, hidden)
  return affine(context, x, contentWeight, affine(context, attended, attendedWeight, fromVoice));
}

/** What queries (T, mrte), scaled, find in the text, (T, mrte); declares `text_attention`. */
function attend(context: SovitsContext, queries: Value, keys: Value, values: Value): Value {
  const { graph, spec } = context;
  const { mrteChannels: channels, mrteHeadCount: heads } = spec;
  const [query] = splitHeads(graph, queries, heads, channels / heads, 1);
  if (!query) throw new Error('one projection');
  const weights = graph.softmax(graph.matmul(query, graph.transpose(keys, [0, 2, 1]))); // (H, T, P)
  // When each phoneme is heard: some heads look at the phoneme that is being said, the others nowhere in particular.
  const seen = graph.reduceMean(weights, [0], false);
  graph.output('text_attention', seen, 'float32', ['frames', 'phonemes']);
  return joinHeads(graph, graph.matmul(weights, values), channels);
}
