import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { GraphBuilder, type GraphModel, type Value } from '../onnx/graph.js';
import {
  activation,
  countLayers,
  EncoderConfig,
  type EncoderContext,
  type EncoderOptions,
  exposed,
  findPrefix,
  linear,
  requireTensor,
  selfAttention,
  sumNorm,
  unsupported,
  weightOf,
} from './transformer-layers.js';

/** Sizes of a BERT (Chinese RoBERTa): from the tensors, and from `config.json` what no shape tells. */
export interface BertSpec {
  /** Width of the features. */
  readonly width: number;
  /** Layers that are run: the features are those of the third hidden state from the end, so the last two are not. */
  readonly layerCount: number;
  readonly headCount: number;
  readonly vocabularySize: number;
  /** Longest sequence, with [CLS] and [SEP]. */
  readonly maxTokens: number;
  readonly layerNormEpsilon: number;
  readonly activation: string;
}

/** upstream takes hidden_states[-3]; the embeddings are the first of the layers + 1 hidden states. */
const LAYERS_NOT_RUN = 2;

/**
 * Reads the sizes of a BERT checkpoint in transformers' layout.
 *
 * @param config the parsed `config.json`
 * @throws AppError `CHECKPOINT_UNSUPPORTED`
 */
export function readBertSpec(checkpoint: Checkpoint, config: unknown): BertSpec {
  const fields = new EncoderConfig(checkpoint, config);
  const prefix = findPrefix(checkpoint, 'embeddings.word_embeddings.weight');
  const [vocabularySize = 0, width = 0] = requireTensor(checkpoint, `${prefix}embeddings.word_embeddings.weight`).shape;
  const [maxTokens = 0] = requireTensor(checkpoint, `${prefix}embeddings.position_embeddings.weight`).shape;
  const positions = fields.text('position_embedding_type', 'absolute');
  if (positions !== 'absolute') {
    throw unsupported(checkpoint, `its config.json has position_embedding_type "${positions}", expected absolute`);
  }
  const layers = countLayers(checkpoint, (index) => `${prefix}encoder.layer.${index}.attention.self.query.weight`);
  if (layers < LAYERS_NOT_RUN) {
    throw unsupported(checkpoint, `it has ${layers} layer; features need the third hidden state from the end`);
  }
  return {
    width,
    layerCount: layers - LAYERS_NOT_RUN,
    headCount: fields.integer('num_attention_heads', 12),
    vocabularySize,
    maxTokens,
    layerNormEpsilon: fields.number('layer_norm_eps', 1e-12),
    activation: fields.text('hidden_act', 'gelu'),
  };
}

/**
 * BERT up to the hidden state that the models were trained with: `input_ids` int64 (tokens), one sentence with [CLS]
 * and [SEP] → `hidden_minus3` (tokens, width). Exposes `embeddings` (tokens, width).
 *
 * One sentence at a time needs no attention mask and no second token type.
 *
 * upstream: TTS_infer_pack/TextPreprocessor.py get_bert_feature (transformers BertModel)
 *
 * @throws AppError `CHECKPOINT_UNSUPPORTED` where a tensor is missing.
 */
export function buildBert(checkpoint: Checkpoint, spec: BertSpec, options: EncoderOptions = {}): GraphModel {
  const graph = new GraphBuilder('bert');
  const context: EncoderContext = {
    graph,
    checkpoint,
    prefix: findPrefix(checkpoint, 'embeddings.word_embeddings.weight'),
    layerNormEpsilon: spec.layerNormEpsilon,
    precision: options.precision ?? 'fp32',
    columnWeights: options.columnWeights ?? 'uint8',
    expose: new Set(options.expose),
  };
  const ids = graph.input('input_ids', 'int64', ['tokens']);
  let x = graph.scope('embeddings', () => embeddings(context, spec, ids));
  exposed(context, 'embeddings', x, ['tokens', spec.width]);
  for (let index = 0; index < spec.layerCount; index++) {
    x = graph.scope(`layer${index}`, () => encoderLayer(context, spec, x, `encoder.layer.${index}`));
  }
  graph.output('hidden_minus3', x, 'float32', ['tokens', spec.width]);
  return graph.build();
}

function embeddings(context: EncoderContext, spec: BertSpec, ids: Value): Value {
  const { graph, checkpoint, prefix } = context;
  const words = graph.gather(weightOf(context, 'embeddings.word_embeddings.weight'), ids);
  // Every token is of type 0, so its embedding is part of the position's.
  const positions = requireTensor(checkpoint, `${prefix}embeddings.position_embeddings.weight`);
  const types = requireTensor(checkpoint, `${prefix}embeddings.token_type_embeddings.weight`);
  const table = graph.weight('embeddings.position+type_embeddings.weight', positions.shape, () => {
    const type = types.readFloat32().subarray(0, spec.width);
    return positions.readFloat32().map((value, index) => value + type[index % spec.width]!);
  });
  return sumNorm(context, words, graph.slice(table, 0, 0, graph.shape(ids)), 'embeddings.LayerNorm');
}

function encoderLayer(context: EncoderContext, spec: BertSpec, x: Value, name: string): Value {
  const attention = `${name}.attention.self`;
  const mixed = selfAttention(
    context,
    x,
    { query: `${attention}.query`, key: `${attention}.key`, value: `${attention}.value` },
    spec.headCount,
  );
  const attended = sumNorm(
    context,
    x,
    linear(context, mixed, `${name}.attention.output.dense`),
    `${name}.attention.output.LayerNorm`,
  );
  const inner = activation(context, linear(context, attended, `${name}.intermediate.dense`), spec.activation);
  return sumNorm(context, attended, linear(context, inner, `${name}.output.dense`), `${name}.output.LayerNorm`);
}
