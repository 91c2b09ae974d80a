import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isMarkedRate } from '../audio/watermark-kernel.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { CHECKPOINT_KIND_NAMES, type CheckpointKind, detectCheckpointKind } from '../checkpoint/checkpoint-kind.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { AppError } from '../errors.js';
import { type BertSpec, buildBert, readBertSpec } from '../models/bert.js';
import { buildHubert, type HubertSpec, readHubertSpec } from '../models/hubert.js';
import { type ModelSpec, readModelSpec } from '../models/model-spec.js';
import { ADAPTER_GRAPHS, buildSovits, buildSovitsAdapters } from '../models/sovits/sovits.js';
import { buildSpeakerEncoder, readSpeakerEncoderSpec, type SpeakerEncoderSpec } from '../models/speaker-encoder.js';
import { buildText2Semantic, readText2SemanticSettings, type Text2SemanticSettings } from '../models/text2semantic.js';
import type { EncoderPrecision } from '../models/transformer-layers.js';
import type { ColumnWeights } from '../onnx/quantize-columns.js';
import {
  type CompiledNetwork,
  type ComponentKind,
  type ComponentManifest,
  type ComponentSource,
  type NetworkSource,
  sha256OfFile,
} from './component-store.js';
import type { ImportModelRequest, ImportProgress, ModelVersion } from './engine-types.js';
import { checkName, type ModelRecord, type ModelStore } from './model-store.js';
import type { Runtime } from './onnxruntime.js';
import type { Precision } from './quality-report.js';
import { bertCalibration, compileEncoder, hubertCalibration } from './quantise-encoder.js';
import { quantiseText2Semantic } from './quantise-text2semantic.js';
import { quantiseWaveform } from './quantise-waveform.js';

const COMPONENT_KINDS: Partial<Record<CheckpointKind, ComponentKind>> = {
  t2s: 'text2semantic',
  sovits: 'sovits',
  hubert: 'hubert',
  roberta: 'bert',
  'speaker-encoder': 'speaker-encoder',
};

/** How a network is called in messages. */
const COMPONENT_NAMES: Record<ComponentKind, string> = {
  text2semantic: 'text-to-semantic (GPT, s1) checkpoint',
  sovits: 'SoVITS (s2) checkpoint',
  hubert: 'HuBERT',
  bert: 'Chinese RoBERTa',
  'speaker-encoder': 'speaker encoder (ERes2NetV2)',
};

interface OpenedNetwork {
  readonly kind: ComponentKind;
  readonly checkpoint: Checkpoint;
  readonly source: NetworkSource;
  readonly version: ModelVersion | null;
}

/**
 * Imports a model in three phases: read the checkpoints (what each file is follows from its contents), check that they
 * belong together, compile each network into the store. Encoders that are not given are taken from the store where one
 * of the right width is there. Says before each step what it will do; leaving it between two steps leaves no model.
 *
 * @throws AppError `CHECKPOINT_*` for a file that cannot be used, `MODEL_INVALID` where files are missing or do not fit
 * one another, `MODEL_EXISTS`.
 */
export function* importSteps(
  request: ImportModelRequest,
  store: ModelStore,
  runtime: Runtime,
): Generator<ImportProgress, ModelRecord, void> {
  checkName('model', request.name);
  if (store.has(request.name) && !request.replace) {
    throw new AppError('MODEL_EXISTS', `there is a model "${request.name}" already; choose another name or replace it`);
  }
  const networks: OpenedNetwork[] = [];
  try {
    for (const path of request.paths) {
      yield { step: `reading ${basename(path)}`, fraction: (0.2 * networks.length) / request.paths.length };
      networks.push(openNetwork(path, request));
    }
    const given = byKind(networks);
    const sovits = required(given, 'sovits', request);
    required(given, 'text2semantic', request);
    const shared = sharedEncoders(given, store);
    const settings = (kind: ComponentKind): unknown => given.get(kind)?.source.settings ?? shared.get(kind)?.settings;
    const warnings = checkFit(settings);

    const components: Partial<Record<ComponentKind, string>> = {};
    for (const [index, network] of networks.entries()) {
      yield { step: `compiling ${COMPONENT_NAMES[network.kind]}`, fraction: 0.2 + (0.8 * index) / networks.length };
      components[network.kind] = store.components.compile(network.source, runtime).digest;
    }
    for (const [kind, manifest] of shared) components[kind] = manifest.digest;
    const spec = sovits.source.settings as ModelSpec;
    const record: ModelRecord = {
      name: request.name,
      version: sovits.version ?? spec.version,
      sampleRateHz: spec.sampleRateHz,
      digest: createHash('sha256')
        .update(JSON.stringify(Object.entries(components).sort()))
        .digest('hex'),
      createdAt: new Date().toISOString(),
      warnings,
      components,
      ...(request.sampling ? { sampling: request.sampling } : {}),
    };
    store.save(record);
    yield { step: 'done', fraction: 1 };
    return record;
  } finally {
    for (const network of networks) network.checkpoint.close();
  }
}

/** Runs {@link importSteps} to the end on this thread. */
export function importModel(request: ImportModelRequest, store: ModelStore, runtime: Runtime): ModelRecord {
  const steps = importSteps(request, store, runtime);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function openNetwork(path: string, { version, precision }: ImportModelRequest): OpenedNetwork {
  const file = weightsFileOf(path);
  const checkpoint = openCheckpoint(file);
  try {
    const found = detectCheckpointKind(checkpoint);
    const kind = COMPONENT_KINDS[found];
    if (!kind) {
      throw new AppError(
        'CHECKPOINT_UNSUPPORTED',
        `"${file}" is ${CHECKPOINT_KIND_NAMES[found]}; a model is made of a text-to-semantic and a SoVITS checkpoint, HuBERT, and optionally RoBERTa and a speaker encoder`,
      );
    }
    const opened = describeNetwork(kind, checkpoint, version, precision);
    const attachments = attachmentsOf(kind, dirname(file));
    const sources = [sourceOf(file), ...attachments.sources];
    return {
      kind,
      checkpoint,
      version: opened.version,
      source: {
        kind,
        sources,
        settings: opened.settings,
        precision: opened.precision,
        compile: opened.compile,
        ...(opened.graphNames && { graphNames: opened.graphNames }),
        attachments: attachments.files,
      },
    };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

interface DescribedNetwork extends Pick<NetworkSource, 'settings' | 'precision' | 'compile' | 'graphNames'> {
  readonly version: ModelVersion | null;
}

function describeNetwork(
  kind: ComponentKind,
  checkpoint: Checkpoint,
  override: ModelVersion | undefined,
  precision: Precision | undefined,
): DescribedNetwork {
  const fp32 = (settings: unknown, graphs: () => CompiledNetwork['graphs'], version: ModelVersion | null = null) => ({
    settings,
    precision: 'fp32' as const,
    compile: () => ({ graphs: graphs() }),
    version,
  });
  switch (kind) {
    case 'text2semantic': {
      const settings = readText2SemanticSettings(checkpoint);
      const wanted = precision ?? (parametersOf(checkpoint) < SMALL_NETWORK ? 'fp32' : 'int8');
      return {
        settings,
        precision: wanted,
        compile: (runtime, folder) => compileText2Semantic(checkpoint, settings, wanted, runtime, folder),
        version: null,
      };
    }
    case 'sovits': {
      const settings = readModelSpec(checkpoint, override ? { version: override } : {});
      refuseUnmarkedRate(settings);
      // Its generator knows 8 bits as the fewest.
      const wanted = precision ?? (parametersOf(checkpoint) < SMALL_NETWORK ? 'fp32' : 'int8');
      // What takes adapters is in fp32 whatever the generator is.
      const adapters = () => buildSovitsAdapters(checkpoint, settings);
      const graphNames = Object.values(ADAPTER_GRAPHS);
      if (wanted === 'fp32') {
        const graphs = () => ({ ...buildSovits(checkpoint, settings), ...adapters() });
        return { ...fp32(settings, graphs, settings.version), graphNames };
      }
      return {
        graphNames,
        settings,
        precision: 'int8',
        compile: (runtime) => {
          const { quantization, report } = quantiseWaveform(checkpoint, settings, runtime);
          const graphs = buildSovits(checkpoint, settings, quantization ? { quantization } : {});
          return { graphs: { ...graphs, ...adapters() }, quality: report };
        },
        version: settings.version,
      };
    }
    case 'hubert': {
      const settings = readHubertSpec(checkpoint, configBeside(checkpoint));
      const wanted = precision ?? (parametersOf(checkpoint) < SMALL_NETWORK ? 'fp32' : 'int8');
      const build = (form: EncoderPrecision, columnWeights: ColumnWeights) =>
        buildHubert(checkpoint, settings, { precision: form, columnWeights });
      return {
        settings,
        precision: wanted,
        compile: (runtime, folder) =>
          compileEncoder(kind, { build, inputs: hubertCalibration, precision: wanted, runtime, folder }),
        version: null,
      };
    }
    case 'bert': {
      const settings = readBertSpec(checkpoint, configBeside(checkpoint));
      const wanted = precision ?? (parametersOf(checkpoint) < SMALL_NETWORK ? 'fp32' : 'int8');
      const build = (form: EncoderPrecision, columnWeights: ColumnWeights) =>
        buildBert(checkpoint, settings, { precision: form, columnWeights });
      const inputs = () => bertCalibration(dirname(checkpoint.path), settings);
      return {
        settings,
        precision: wanted,
        compile: (runtime, folder) => compileEncoder(kind, { build, inputs, precision: wanted, runtime, folder }),
        version: null,
      };
    }
    case 'speaker-encoder': {
      const settings = readSpeakerEncoderSpec(checkpoint);
      return fp32(settings, () => ({ speaker: buildSpeakerEncoder(checkpoint, settings) }));
    }
  }
}

/**
 * Parameters below which a network stays in fp32 unless told otherwise: its step is bound by the number of its nodes, and
 * int8 has no fewer.
 */
const SMALL_NETWORK = 20_000_000;

function parametersOf(checkpoint: Checkpoint): number {
  return [...checkpoint.tensors.values()].reduce((sum, tensor) => sum + tensor.length, 0);
}

/** The graphs in the precision asked for; in fp32, with the report that says why, where the loss would be too large. */
function compileText2Semantic(
  checkpoint: Checkpoint,
  settings: Text2SemanticSettings,
  precision: Precision,
  runtime: Runtime,
  folder: string,
): CompiledNetwork {
  // Graphs with adapters share the weights; their sessions are opened when the first row has an adapter.
  const whole = {
    text2semantic: buildText2Semantic(checkpoint, settings),
    'text2semantic-adapters': buildText2Semantic(checkpoint, settings, { adapters: true }),
  };
  if (precision === 'fp32') return { graphs: whole };
  const quantised = quantiseText2Semantic(checkpoint, settings, { precision, runtime, folder });
  if (quantised) return { graphs: quantised.graphs, files: quantised.files, quality: quantised.report };
  return { graphs: whole, quality: { network: 'text2semantic', precision, measures: [], kept: ['all layers: fp32'] } };
}

/** A file as it is, or the weights inside a folder of transformers' layout. */
function weightsFileOf(path: string): string {
  if (!existsSync(path)) throw new AppError('CHECKPOINT_NOT_FOUND', `there is no file or folder "${path}"`);
  if (!statSync(path).isDirectory()) return path;
  for (const name of ['model.safetensors', 'pytorch_model.bin']) {
    if (existsSync(join(path, name))) return join(path, name);
  }
  throw new AppError(
    'CHECKPOINT_NOT_FOUND',
    `the folder "${path}" has no model.safetensors or pytorch_model.bin; name the checkpoint files themselves`,
  );
}

function configBeside(checkpoint: Checkpoint): unknown {
  const path = join(dirname(checkpoint.path), 'config.json');
  if (!existsSync(path)) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `"${checkpoint.path}" needs the config.json of its model beside it (head counts are in no tensor)`,
    );
  }
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new AppError('CHECKPOINT_CORRUPT', `"${path}" is not JSON`, { cause });
  }
}

/** Vocabulary files of a BERT go into the store with it. */
function attachmentsOf(
  kind: ComponentKind,
  folder: string,
): { files: Record<string, Uint8Array>; sources: ComponentSource[] } {
  if (kind !== 'bert') return { files: {}, sources: [] };
  const names = ['tokenizer.json', 'vocab.txt', 'tokenizer_config.json'].filter((name) =>
    existsSync(join(folder, name)),
  );
  if (!names.some((name) => name !== 'tokenizer_config.json')) {
    throw new AppError('CHECKPOINT_UNSUPPORTED', `"${folder}" has no tokenizer.json or vocab.txt, which RoBERTa needs`);
  }
  return {
    files: Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))])),
    sources: names.map((name) => sourceOf(join(folder, name))),
  };
}

function sourceOf(path: string): ComponentSource {
  return { fileName: basename(path), sizeBytes: statSync(path).size, sha256: sha256OfFile(path) };
}

function byKind(networks: readonly OpenedNetwork[]): Map<ComponentKind, OpenedNetwork> {
  const found = new Map<ComponentKind, OpenedNetwork>();
  for (const network of networks) {
    const earlier = found.get(network.kind);
    if (earlier) {
      throw new AppError(
        'MODEL_INVALID',
        `"${earlier.checkpoint.path}" and "${network.checkpoint.path}" are both a ${COMPONENT_NAMES[network.kind]}; a model has one`,
      );
    }
    found.set(network.kind, network);
  }
  return found;
}

function required(
  given: ReadonlyMap<ComponentKind, OpenedNetwork>,
  kind: ComponentKind,
  request: ImportModelRequest,
): OpenedNetwork {
  const network = given.get(kind);
  if (network) return network;
  const present = [...given.keys()].map((other) => COMPONENT_NAMES[other]).join(', ') || 'nothing';
  throw new AppError(
    'MODEL_INVALID',
    `model "${request.name}" lacks a ${COMPONENT_NAMES[kind]}; given: ${present}. Name all files of the model in one import`,
  );
}

/** Encoders already in the store that fit the given networks, for those kinds that were not given. */
function sharedEncoders(
  given: ReadonlyMap<ComponentKind, OpenedNetwork>,
  store: ModelStore,
): Map<ComponentKind, ComponentManifest> {
  const spec = given.get('sovits')?.source.settings as ModelSpec;
  const t2s = given.get('text2semantic')?.source.settings as Text2SemanticSettings;
  const fits: Partial<Record<ComponentKind, (settings: unknown) => boolean>> = {
    hubert: (settings) => (settings as HubertSpec).width === spec.sslWidth,
    bert: (settings) => (settings as BertSpec).width === t2s.bertWidth,
    'speaker-encoder': (settings) => (settings as SpeakerEncoderSpec).width === spec.speakerVectorWidth,
  };
  const shared = new Map<ComponentKind, ComponentManifest>();
  const stored = store.components.list();
  for (const [kind, matches] of Object.entries(fits) as [ComponentKind, (settings: unknown) => boolean][]) {
    if (given.has(kind)) continue;
    const match = stored.find((manifest) => manifest.kind === kind && matches(manifest.settings));
    if (match) shared.set(kind, match);
  }
  return shared;
}

/** Throws `MODEL_INVALID` where two networks cannot work together; returns what works only in part. */
function checkFit(settings: (kind: ComponentKind) => unknown): string[] {
  const spec = settings('sovits') as ModelSpec;
  const t2s = settings('text2semantic') as Text2SemanticSettings;
  const hubert = settings('hubert') as HubertSpec | undefined;
  const bert = settings('bert') as BertSpec | undefined;
  const speaker = settings('speaker-encoder') as SpeakerEncoderSpec | undefined;
  const misfit = (what: string): AppError => new AppError('MODEL_INVALID', `the files do not belong together: ${what}`);
  if (t2s.phonemeCount < spec.symbolCount) {
    throw misfit(
      `text-to-semantic knows ${t2s.phonemeCount} phonemes, SoVITS ${spec.symbolCount} (v1 has 322, later versions 732)`,
    );
  }
  if (t2s.vocabulary !== spec.codebookSize + 1) {
    throw misfit(`text-to-semantic makes ${t2s.vocabulary - 1} tokens, SoVITS reads ${spec.codebookSize}`);
  }
  if (hubert && hubert.width !== spec.sslWidth) {
    throw misfit(`HuBERT gives ${hubert.width} features a step, SoVITS expects ${spec.sslWidth}`);
  }
  if (bert && bert.width !== t2s.bertWidth) {
    throw misfit(`RoBERTa gives ${bert.width} features, text-to-semantic expects ${t2s.bertWidth}`);
  }
  if (speaker && spec.speakerVectorWidth !== null && speaker.width !== spec.speakerVectorWidth) {
    throw misfit(`the speaker encoder gives ${speaker.width} features, SoVITS expects ${spec.speakerVectorWidth}`);
  }
  const warnings: string[] = [];
  if (!hubert)
    warnings.push('no HuBERT: voices can be enrolled prompt-free only (style without the recording as prompt)');
  if (!bert) warnings.push('no RoBERTa: Chinese is spoken without text features, with flatter prosody');
  if (spec.speakerVectorWidth !== null && !speaker) {
    warnings.push(`no speaker encoder, which ${spec.version} needs to enrol a voice`);
  }
  return warnings;
}

/** Every sound that leaves is marked: a model whose sounds cannot be is refused before anyone waits for it. */
export function refuseUnmarkedRate({ sampleRateHz }: Pick<ModelSpec, 'sampleRateHz'>): void {
  if (isMarkedRate(sampleRateHz)) return;
  throw new AppError(
    'CHECKPOINT_UNSUPPORTED',
    `the SoVITS checkpoint speaks at ${sampleRateHz} Hz; expected a multiple of 8000 Hz up to 64000`,
  );
}
