import type { Checkpoint } from './checkpoint.js';

/** What a model file is, by the names of its tensors. */
export type CheckpointKind =
  | 't2s'
  | 'sovits'
  | 'hubert'
  | 'roberta'
  | 'speaker-encoder'
  | 'vocoder'
  | 'bigvgan'
  | 'discriminator'
  | 'training-state'
  | 'unknown';

/** What to call each kind in a message. */
export const CHECKPOINT_KIND_NAMES: Readonly<Record<CheckpointKind, string>> = {
  t2s: 'a GPT (text-to-semantic, s1) model',
  sovits: 'a SoVITS (s2) model',
  hubert: 'a HuBERT encoder',
  roberta: 'a BERT/RoBERTa encoder',
  'speaker-encoder': 'an ERes2NetV2 speaker encoder',
  vocoder: 'a HiFi-GAN vocoder (v4)',
  bigvgan: 'a BigVGAN vocoder (v3)',
  discriminator: 'a SoVITS discriminator (s2D), which only training needs',
  'training-state': 'the state of an unfinished training, which inference does not read',
  unknown: 'a model of an unknown kind',
};

/** Tensor names, each of which only one kind has; the first match counts. */
const SIGNS: readonly (readonly [CheckpointKind, RegExp])[] = [
  ['training-state', /^(optimizer|optimizer_states|model\.(enc_p|dec|flow|discriminators))\./],
  [
    't2s',
    /^(model\.)?(ar_text_embedding\.word_embeddings|ar_audio_embedding\.word_embeddings|ar_predict_layer)\.weight$/,
  ],
  [
    'sovits',
    /^(enc_p\.|cfm\.(estimator|base_model)\.|ref_enc\.spectral\.|quantizer\.vq\.layers\.0\._codebook\.embed$)/,
  ],
  ['hubert', /^(hubert\.)?feature_extractor\.conv_layers\.0\.conv\.weight$/],
  ['roberta', /^(bert\.|roberta\.)?embeddings\.word_embeddings\.weight$/],
  ['speaker-encoder', /^(layer3_ds\.weight|fuse34\.local_att\.0\.weight|seg_1\.weight)$/],
  ['discriminator', /^discriminators\.\d+\.convs\./],
  ['bigvgan', /^(resblocks\.\d+\.activations\.\d+\.act\.alpha|ups\.0\.0\.weight(_g|_v)?)$/],
  ['vocoder', /^ups\.0\.weight(_g|_v)?$/],
];

/** Tells what a file is from the names of its tensors, so that a user may hand over any file and be told. */
export function detectCheckpointKind(checkpoint: Pick<Checkpoint, 'tensors'>): CheckpointKind {
  const names = [...checkpoint.tensors.keys()];
  return SIGNS.find(([, sign]) => names.some((name) => sign.test(name)))?.[0] ?? 'unknown';
}
