import type { Checkpoint, PlainValue } from '../checkpoint/checkpoint.js';
import { detectSovitsVersion, type SovitsVersion, type SymbolVersion } from '../checkpoint/model-version.js';
import { AppError } from '../errors.js';

/** The versions of SoVITS whose decoder is VITS; v3 and v4 (flow matching) are another family of networks. */
export type VitsVersion = Exclude<SovitsVersion, 'v3' | 'v4'>;

/** Upstream's constants that no shape and no config field tells. */
const MRTE_HEADS = 4;
const STYLE_HEADS = 2;
const FLOW_DILATION_RATE = 1;

/** One upsampling step of the waveform generator and the channels it leaves. */
export interface UpsampleSpec {
  readonly rate: number;
  readonly kernel: number;
  readonly channels: number;
}

/** One residual block of the generator: `1` has two convolutions a dilation, `2` one. */
export interface ResblockSpec {
  readonly kernel: number;
  readonly dilations: readonly number[];
}

export interface GeneratorSpec {
  readonly initialChannels: number;
  readonly upsamples: readonly UpsampleSpec[];
  readonly resblockType: '1' | '2';
  /** Run side by side after each upsampling and averaged. */
  readonly resblocks: readonly ResblockSpec[];
}

/**
 * Everything in which one SoVITS model differs from another, read once from the tensors' shapes and the config of its
 * checkpoint. Sizes are channels unless their name says otherwise.
 */
export interface ModelSpec {
  readonly version: VitsVersion;
  readonly symbolTable: SymbolVersion;
  readonly symbolCount: number;
  readonly sampleRateHz: number;
  /** Samples a frame of the spectrogram and of the latent. */
  readonly hopSamples: number;
  readonly filterLengthSamples: number;
  readonly windowSamples: number;
  /** Leading bins of the reference spectrogram that the style encoder reads (v1 all, later versions 704). */
  readonly referenceBins: number;
  /** Width of the speech features (HuBERT) that the quantizer takes. */
  readonly sslWidth: number;
  readonly codebookSize: number;
  /** Latent frames a semantic token: 2 at 25 tokens a second, 1 at 50. */
  readonly framesPerToken: 1 | 2;
  readonly tokensPerSecond: number;
  readonly interChannels: number;
  readonly hiddenChannels: number;
  readonly filterChannels: number;
  readonly headCount: number;
  readonly kernelSize: number;
  /** Layers of `encoder_ssl`, `encoder_text` and `encoder2`. */
  readonly layerCounts: { readonly ssl: number; readonly text: number; readonly post: number };
  /** Reach of the relative attention to either side. */
  readonly relativeWindow: number;
  readonly mrteChannels: number;
  readonly mrteHeadCount: number;
  /** Width of ge, the global embedding (gin_channels). */
  readonly globalEmbeddingWidth: number;
  readonly styleChannels: number;
  readonly styleHeadCount: number;
  /** Width of the speaker vector that v2Pro and v2ProPlus add to ge; null for the others. */
  readonly speakerVectorWidth: number | null;
  readonly flow: {
    readonly couplings: number;
    readonly layers: number;
    readonly kernel: number;
    readonly dilationRate: number;
  };
  readonly generator: GeneratorSpec;
}

/**
 * Reads the spec of a SoVITS checkpoint. `version` overrides what the contents say, where they allow it.
 *
 * Throws `CHECKPOINT_UNSUPPORTED` where the file is not a SoVITS model of v1, v2, v2Pro or v2ProPlus, lacks a tensor or
 * a config field, or where shapes and config contradict each other.
 */
export function readModelSpec(checkpoint: Checkpoint, options: { readonly version?: SovitsVersion } = {}): ModelSpec {
  const shapes = new Shapes(checkpoint);
  const config = new Config(checkpoint);
  const { version, symbols } = detectSovitsVersion(checkpoint, options.version);
  if (version === 'v3' || version === 'v4') {
    throw unsupported(checkpoint, `it is a ${version} model; supported are v1, v2, v2Pro and v2ProPlus`);
  }
  const [symbolCount, hiddenChannels] = shapes.of('enc_p.text_embedding.weight', 2);
  const [sslWidth, , sslKernel] = shapes.of('ssl_proj.weight', 3);
  if (sslKernel !== 1 && sslKernel !== 2) {
    throw unsupported(checkpoint, `ssl_proj has kernel ${sslKernel}, expected 2 (25 tokens a second) or 1 (50)`);
  }
  const speakerVectorWidth = shapes.has('sv_emb.weight') ? shapes.of('sv_emb.weight', 2)[1] : null;
  const hopSamples = config.number('data', 'hop_length');
  const sampleRateHz = config.number('data', 'sampling_rate');
  const [couplingHidden, interHalf] = shapes.of('flow.flows.0.pre.weight', 3);
  const [, , flowKernel] = shapes.normed('flow.flows.0.enc.in_layers.0', 3);
  const spec: ModelSpec = {
    version,
    symbolTable: symbols,
    symbolCount,
    sampleRateHz,
    hopSamples,
    filterLengthSamples: config.number('data', 'filter_length'),
    windowSamples: config.number('data', 'win_length'),
    referenceBins: shapes.of('ref_enc.spectral.0.fc.weight', 2)[1],
    sslWidth,
    codebookSize: shapes.of('quantizer.vq.layers.0._codebook.embed', 2)[0],
    framesPerToken: sslKernel,
    tokensPerSecond: sampleRateHz / (hopSamples * sslKernel),
    interChannels: interHalf * 2,
    hiddenChannels,
    filterChannels: shapes.of('enc_p.encoder_text.ffn_layers.0.conv_1.weight', 3)[0],
    headCount: config.number('model', 'n_heads'),
    kernelSize: shapes.of('enc_p.encoder_text.ffn_layers.0.conv_1.weight', 3)[2],
    layerCounts: {
      ssl: shapes.count((index) => `enc_p.encoder_ssl.attn_layers.${index}.conv_q.weight`, 0),
      text: shapes.count((index) => `enc_p.encoder_text.attn_layers.${index}.conv_q.weight`),
      post: shapes.count((index) => `enc_p.encoder2.attn_layers.${index}.conv_q.weight`, 0),
    },
    relativeWindow: (shapes.of('enc_p.encoder_text.attn_layers.0.emb_rel_k', 3)[1] - 1) / 2,
    mrteChannels: shapes.of('enc_p.mrte.c_pre.weight', 3)[0],
    mrteHeadCount: MRTE_HEADS,
    globalEmbeddingWidth: shapes.of('dec.cond.weight', 3)[1],
    styleChannels: shapes.of('ref_enc.spectral.0.fc.weight', 2)[0],
    styleHeadCount: STYLE_HEADS,
    speakerVectorWidth,
    flow: {
      // Every second entry is a channel flip, which has no weights.
      couplings: shapes.count((index) => `flow.flows.${2 * index}.pre.weight`),
      layers: shapes.count((index) => `flow.flows.0.enc.in_layers.${index}.bias`),
      kernel: flowKernel,
      dilationRate: FLOW_DILATION_RATE,
    },
    generator: readGenerator(shapes, config, checkpoint),
  };
  if (couplingHidden !== hiddenChannels) {
    throw unsupported(checkpoint, `the flow has ${couplingHidden} hidden channels, the encoders ${hiddenChannels}`);
  }
  for (const [what, width, heads] of [
    ['hidden_channels', hiddenChannels, spec.headCount],
    ['the width of mrte', spec.mrteChannels, spec.mrteHeadCount],
    ['the width of ref_enc', spec.styleChannels, spec.styleHeadCount],
  ] as const) {
    if (width % heads !== 0) throw unsupported(checkpoint, `${what} is ${width}, not a multiple of ${heads} heads`);
  }
  const upsampling = spec.generator.upsamples.reduce((product, { rate }) => product * rate, 1);
  if (upsampling !== hopSamples) {
    throw unsupported(checkpoint, `its upsampling rates multiply to ${upsampling}, but hop_length is ${hopSamples}`);
  }
  return spec;
}

function readGenerator(shapes: Shapes, config: Config, checkpoint: Checkpoint): GeneratorSpec {
  const [initialChannels] = shapes.of('dec.conv_pre.weight', 3);
  const rates = config.numbers('model', 'upsample_rates');
  const upsamples = rates.map((rate, index): UpsampleSpec => {
    const [, channels, kernel] = shapes.normed(`dec.ups.${index}`, 3);
    if (kernel < rate || (kernel - rate) % 2 !== 0) {
      throw unsupported(checkpoint, `upsampling ${index} has rate ${rate} and kernel ${kernel}`);
    }
    return { rate, kernel, channels };
  });
  const type = config.text('model', 'resblock') ?? '1';
  if (type !== '1' && type !== '2') throw unsupported(checkpoint, `its config says resblock "${type}"`);
  const dilations = config.value('model', 'resblock_dilation_sizes');
  const resblocks = config.numbers('model', 'resblock_kernel_sizes').map((kernel, index): ResblockSpec => {
    const own = Array.isArray(dilations) ? dilations[index] : undefined;
    if (!Array.isArray(own) || !own.every((entry) => typeof entry === 'number')) {
      throw unsupported(checkpoint, `its config has no resblock_dilation_sizes for kernel ${kernel}`);
    }
    return { kernel, dilations: own };
  });
  return { initialChannels, upsamples, resblockType: type, resblocks };
}

/** Shapes of a checkpoint's tensors, with errors that name the tensor. */
class Shapes {
  readonly #checkpoint: Checkpoint;

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  of(name: string, rank: number): [number, number, number] {
    const shape = this.#checkpoint.tensors.get(name)?.shape;
    if (!shape) throw unsupported(this.#checkpoint, `it has no tensor "${name}"`);
    if (shape.length !== rank || shape.some((size) => size < 1)) {
      throw unsupported(this.#checkpoint, `"${name}" has shape [${shape}], expected ${rank} dimensions`);
    }
    // Padded, so that callers may destructure three sizes of a matrix too.
    return [shape[0] ?? 0, shape[1] ?? 0, shape[2] ?? 1];
  }

  /** Shape of a weight that may be stored under weight norm. */
  normed(prefix: string, rank: number): [number, number, number] {
    const names = [`${prefix}.weight`, `${prefix}.weight_v`, `${prefix}.parametrizations.weight.original1`];
    return this.of(names.find((name) => this.has(name)) ?? `${prefix}.weight_v`, rank);
  }

  /** How many tensors of numbered names there are; the encoders that get half of `n_layers` may have none. */
  count(nameOf: (index: number) => string, least = 1): number {
    let count = 0;
    while (this.has(nameOf(count))) count += 1;
    if (count < least) throw unsupported(this.#checkpoint, `it has no tensor "${nameOf(0)}"`);
    return count;
  }
}

/** The training config that official files carry under `config`. */
class Config {
  readonly #checkpoint: Checkpoint;

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  value(section: string, name: string): PlainValue | undefined {
    const config = this.#checkpoint.data['config'];
    const part = isRecord(config) ? config[section] : undefined;
    return isRecord(part) ? part[name] : undefined;
  }

  number(section: string, name: string): number {
    const value = this.value(section, name);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
      throw unsupported(this.#checkpoint, `config.${section}.${name} is ${JSON.stringify(value)}, expected an integer`);
    }
    return value;
  }

  numbers(section: string, name: string): number[] {
    const value = this.value(section, name);
    if (!Array.isArray(value) || value.length === 0 || !value.every((entry) => typeof entry === 'number')) {
      throw unsupported(this.#checkpoint, `config.${section}.${name} is ${JSON.stringify(value)}, expected integers`);
    }
    return value;
  }

  text(section: string, name: string): string | undefined {
    const value = this.value(section, name);
    return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined;
  }
}

function isRecord(value: PlainValue | undefined): value is { readonly [key: string]: PlainValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unsupported(checkpoint: Checkpoint, problem: string): AppError {
  return new AppError('CHECKPOINT_UNSUPPORTED', `checkpoint "${checkpoint.path}" cannot be used: ${problem}`);
}
