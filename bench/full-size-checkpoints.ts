/**
 * Writes a full-size model with random weights in the official formats and under the official names, for measuring
 * import, start and memory:
 *
 *     npx tsx bench/full-size-checkpoints.ts OUT_DIR [--version v1|v2|v2Pro|v2ProPlus] [--seed N]
 *
 * The same seed gives the same files. Prints one JSON line with the paths.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { chineseVocabulary } from './chinese-vocabulary.js';
import {
  type FullSizeVersion,
  hubertWeights,
  robertaWeights,
  sovitsSizes,
  sovitsWeights,
  speakerEncoderWeights,
  t2sWeights,
  UPSAMPLE_RATES,
  type Weights,
} from './full-size-models.js';
import { RandomWeights } from './random-weights.js';
import { HParams, type TorchValue, writeTorchZip } from './torch-zip.js';

const VERSIONS: readonly FullSizeVersion[] = ['v1', 'v2', 'v2Pro', 'v2ProPlus'];

/** The names under which the official models are published, by version. */
const NAMES: Readonly<
  Record<FullSizeVersion, { readonly t2s: string; readonly sovits: string; readonly tag: string }>
> = {
  v1: { t2s: 's1bert25hz-2kh-longer-epoch=68e-step=50232.ckpt', sovits: 's2G488k.pth', tag: 'PK' },
  v2: {
    t2s: 'gsv-v2final-pretrained/s1bert25hz-5kh-longer-epoch=12-step=369668.ckpt',
    sovits: 'gsv-v2final-pretrained/s2G2333k.pth',
    tag: 'PK',
  },
  v2Pro: { t2s: 's1v3.ckpt', sovits: 'v2Pro/s2Gv2Pro.pth', tag: '05' },
  v2ProPlus: { t2s: 's1v3.ckpt', sovits: 'v2Pro/s2Gv2ProPlus.pth', tag: '06' },
};

export interface FullSizeFiles {
  readonly t2s: string;
  readonly sovits: string;
  readonly hubert: string;
  readonly roberta: string;
  readonly speakerEncoder: string;
}

/** Writes all files of one version below `folder` and returns their paths (folders for HuBERT and RoBERTa). */
export function writeFullSizeCheckpoints(folder: string, version: FullSizeVersion, seed: number): FullSizeFiles {
  const random = new RandomWeights(seed);
  const files: FullSizeFiles = {
    ...writeSpeakingCheckpoints(folder, version, seed),
    hubert: join(folder, 'chinese-hubert-base'),
    roberta: join(folder, 'chinese-roberta-wwm-ext-large'),
    speakerEncoder: join(folder, 'sv/pretrained_eres2netv2w24s4ep4.ckpt'),
  };
  mkdirSync(dirname(files.speakerEncoder), { recursive: true });
  for (const path of [files.hubert, files.roberta]) mkdirSync(path, { recursive: true });

  save(join(files.hubert, 'pytorch_model.bin'), hubertWeights(random));
  writeJson(join(files.hubert, 'config.json'), HUBERT_CONFIG);
  writeJson(join(files.hubert, 'preprocessor_config.json'), HUBERT_PREPROCESSOR_CONFIG);

  const vocabulary = chineseVocabulary();
  save(join(files.roberta, 'pytorch_model.bin'), robertaWeights(random, vocabulary.length));
  writeJson(join(files.roberta, 'config.json'), { ...ROBERTA_CONFIG, vocab_size: vocabulary.length });
  writeJson(join(files.roberta, 'tokenizer.json'), tokenizer(vocabulary));
  writeFileSync(join(files.roberta, 'vocab.txt'), `${vocabulary.join('\n')}\n`);

  save(files.speakerEncoder, speakerEncoderWeights(random));
  return files;
}

/** The two networks without which no model speaks. */
export function writeSpeakingCheckpoints(
  folder: string,
  version: FullSizeVersion,
  seed: number,
): Pick<FullSizeFiles, 't2s' | 'sovits'> {
  const random = new RandomWeights(seed);
  const names = NAMES[version];
  const files = { t2s: join(folder, names.t2s), sovits: join(folder, names.sovits) };
  for (const path of [files.t2s, files.sovits]) mkdirSync(dirname(path), { recursive: true });
  // As s1_train.py saves: an OrderedDict of weights and a plain config.
  save(files.t2s, new Map([['weight', t2sWeights(random, version)], ...config(t2sConfig(version), 'GPT-e15')]));
  // As process_ckpt.py savee: later versions go through memory, which names the root `archive`, and get their tag.
  const weights = Object.fromEntries(sovitsWeights(random, version));
  const hparams = version === 'v1' ? sovitsConfig(version) : toHParams(sovitsConfig(version));
  save(files.sovits, new Map([['weight', weights], ...config(hparams, '8epoch_160iteration')]), names.tag);
  return files;
}

function save(path: string, value: TorchValue | Weights, tag = 'PK'): void {
  const base = path.replace(/^.*\//, '').replace(/\.[^.]*$/, '');
  writeTorchZip(path, value, { root: tag === 'PK' ? base : 'archive', tag });
}

function config(value: TorchValue, info: string): [string, TorchValue][] {
  return [
    ['config', value],
    ['info', info],
  ];
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Sections of a config become HParams, as upstream's class nests them. */
function toHParams(fields: Readonly<Record<string, TorchValue>>): HParams {
  return new HParams(
    Object.fromEntries(
      Object.entries(fields).map(([key, value]) => {
        const section = typeof value === 'object' && value !== null && value.constructor === Object;
        return [key, section ? toHParams(value as Record<string, TorchValue>) : value];
      }),
    ),
  );
}

function t2sConfig(version: FullSizeVersion): TorchValue {
  return {
    train: { seed: 1234, epochs: 20, batch_size: 8, save_every_n_epoch: 1, precision: '16-mixed', gradient_clip: 1.5 },
    optimizer: { lr: 0.01, lr_init: 0.00001, lr_end: 0.0001, warmup_steps: 2000, decay_steps: 40_000 },
    data: { max_eval_sample: 8, max_sec: 54, num_workers: 4, pad_val: 1024 },
    model: {
      vocab_size: 1025,
      phoneme_vocab_size: version === 'v1' ? 512 : 732,
      embedding_dim: 512,
      hidden_dim: 512,
      head: 16,
      linear_units: 2048,
      n_layer: 24,
      dropout: 0,
      EOS: 1024,
      random_bert: 0,
    },
    inference: { top_k: version === 'v1' ? 5 : 15 },
  };
}

function sovitsConfig(version: FullSizeVersion): Readonly<Record<string, TorchValue>> {
  const { gin, up, kernels } = sovitsSizes(version);
  return {
    train: { log_interval: 100, seed: 1234, epochs: 100, segment_size: 20_480, fp16_run: true, learning_rate: 0.0001 },
    data: {
      max_wav_value: 32_768,
      sampling_rate: 32_000,
      filter_length: 2048,
      hop_length: 640,
      win_length: 2048,
      n_mel_channels: 128,
      mel_fmin: 0,
      mel_fmax: null,
      add_blank: true,
      n_speakers: 300,
      cleaned_text: true,
    },
    model: {
      inter_channels: 192,
      hidden_channels: 192,
      filter_channels: 768,
      n_heads: 2,
      n_layers: 6,
      kernel_size: 3,
      p_dropout: version === 'v1' || version === 'v2' ? 0.1 : 0,
      resblock: '1',
      resblock_kernel_sizes: [3, 7, 11],
      resblock_dilation_sizes: [
        [1, 3, 5],
        [1, 3, 5],
        [1, 3, 5],
      ],
      upsample_rates: UPSAMPLE_RATES,
      upsample_initial_channel: up,
      upsample_kernel_sizes: [...kernels],
      n_layers_q: 3,
      use_spectral_norm: false,
      gin_channels: gin,
      semantic_frame_rate: '25hz',
      freeze_quantizer: true,
      version,
    },
    s2_ckpt_dir: 'logs/s2/big2k1',
    content_module: 'cnhubert',
  };
}

export const HUBERT_CONFIG = {
  architectures: ['HubertModel'],
  model_type: 'hubert',
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-5,
  feat_extract_norm: 'group',
  feat_extract_activation: 'gelu',
  feat_proj_layer_norm: true,
  conv_dim: [512, 512, 512, 512, 512, 512, 512],
  conv_stride: [5, 2, 2, 2, 2, 2, 2],
  conv_kernel: [10, 3, 3, 3, 3, 2, 2],
  conv_bias: false,
  num_conv_pos_embeddings: 128,
  num_conv_pos_embedding_groups: 16,
  num_feat_extract_layers: 7,
  do_stable_layer_norm: false,
  vocab_size: 32,
};

const HUBERT_PREPROCESSOR_CONFIG = {
  do_normalize: true,
  feature_extractor_type: 'Wav2Vec2FeatureExtractor',
  feature_size: 1,
  padding_side: 'right',
  padding_value: 0,
  return_attention_mask: false,
  sampling_rate: 16_000,
};

export const ROBERTA_CONFIG = {
  architectures: ['BertForMaskedLM'],
  model_type: 'bert',
  hidden_size: 1024,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  intermediate_size: 4096,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  pad_token_id: 0,
};

/** The parts of transformers' tokenizer.json that BERT's tokenizer uses. */
function tokenizer(vocabulary: readonly string[]): unknown {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const ids = new Map(vocabulary.map((token, id) => [token, id]));
  const reference = (id: string) => ({ id, ids: [ids.get(id)], tokens: [id] });
  const [first, close] = [{ SpecialToken: { id: '[CLS]', type_id: 0 } }, { SpecialToken: { id: '[SEP]', type_id: 0 } }];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content) => ({
      id: ids.get(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [first, { Sequence: { id: 'A', type_id: 0 } }, close],
      pair: [
        first,
        { Sequence: { id: 'A', type_id: 0 } },
        close,
        { Sequence: { id: 'B', type_id: 1 } },
        { SpecialToken: { id: '[SEP]', type_id: 1 } },
      ],
      special_tokens: { '[CLS]': reference('[CLS]'), '[SEP]': reference('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(ids),
    },
  };
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { version: { type: 'string', default: 'v2' }, seed: { type: 'string', default: '1234' } },
  });
  const [folder] = positionals;
  const version = VERSIONS.find((known) => known === values.version);
  const seed = Number(values.seed);
  if (folder === undefined || version === undefined || !Number.isSafeInteger(seed)) {
    console.error(`usage: full-size-checkpoints.ts OUT_DIR [--version ${VERSIONS.join('|')}] [--seed N]`);
    process.exitCode = 2;
    return;
  }
  const start = performance.now();
  const files = writeFullSizeCheckpoints(folder, version, seed);
  const bytes = Object.values(files).map((path: string) => {
    const file = statSync(path).isDirectory() ? join(path, 'pytorch_model.bin') : path;
    console.error(`${(statSync(file).size / 1e6).toFixed(0).padStart(6)} MB  ${relative(folder, file)}`);
    return statSync(file).size;
  });
  const seconds = (performance.now() - start) / 1000;
  const peakMegabytes = process.resourceUsage().maxRSS / 1024;
  console.error(
    `${(bytes.reduce((sum, size) => sum + size, 0) / 1e9).toFixed(2)} GB in ${seconds.toFixed(1)} s, peak memory ${peakMegabytes.toFixed(0)} MB`,
  );
  console.log(JSON.stringify(files));
}

if (process.argv[1]?.endsWith('full-size-checkpoints.ts')) main();
