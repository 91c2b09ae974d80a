import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import {
  buildText2Semantic,
  type CacheSteps,
  type Product,
  type Text2SemanticPrecision,
  type Text2SemanticSettings,
  type WeightFormat,
} from '../models/text2semantic.js';
import type { GraphModel } from '../onnx/graph.js';
import { writeModelFile } from '../onnx/model-file.js';
import type { ColumnWeights } from '../onnx/quantize-columns.js';
import { writeWeightsFile } from '../onnx/weights-file.js';
import { phonemeIds } from '../text/symbols.js';
import { columnWeightsFor } from './column-weights.js';
import { fitsStepKernel, packStepImage } from './kernels/step-image.js';
import type { Runtime, Session } from './onnxruntime.js';
import { STEP_IMAGE, stepKernelOf } from './open-text2semantic.js';
import { MAX_LOSS, type Precision, type QualityMeasure, type QualityReport, worstLoss } from './quality-report.js';
import { argMax, type SamplingParameters } from './sampler.js';
import { type RowRequest, SemanticDecoder, type Text2SemanticSessions } from './semantic-decoder.js';
import { sessionAgainstKernel } from './step-form.js';

/** The graphs of a text-to-semantic network in a lower precision, and what that costs. */
export interface QuantisedText2Semantic {
  readonly graphs: Readonly<Record<string, GraphModel>>;
  /** Packed weights of a step, where our own kernel computes it. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly report: QualityReport;
}

export interface QuantiseOptions {
  readonly precision: Exclude<Precision, 'fp32'>;
  readonly runtime: Runtime;
  /** Where intermediate graphs are written, in a folder of their own that is removed. */
  readonly folder: string;
  /** What it may lose; {@link MAX_LOSS} by default. */
  readonly maxLoss?: number;
  /** How many times as fast ONNX Runtime's step must be to be taken instead of our own kernel's. */
  readonly worthIt?: number;
}

/** Both forms lose as little; the kernel starts sooner and holds less, so that a little more speed is not worth the change. */
const WORTH_IT = 1.15;

const SAMPLING: SamplingParameters = { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 };

/** Tokens of each calibration sentence, and of the prompt in front of it. */
const TOKENS = 48;
const PROMPT_TOKENS = 24;

/** Room for values that calibration did not meet; beyond it they are clipped. */
const MARGIN = 1.15;

/**
 * Quantises a text-to-semantic network and measures the loss. The fp32 network speaks the calibration sentences, each
 * with its predecessor as prompt, which gives the range of every channel of the cache and the logits of every step; the
 * quantised one is then led along the same tokens. A step of 8 bits is computed by our own kernel, or by ONNX Runtime where
 * the processor has 8-bit dot products and that is faster. While the network loses more than {@link MAX_LOSS}, the layers
 * that lose most by themselves go back to the next higher precision, a quarter at a time.
 *
 * Null where even that does not help: the network is better left in fp32.
 */
export function quantiseText2Semantic(
  checkpoint: Checkpoint,
  settings: Text2SemanticSettings,
  options: QuantiseOptions,
): QuantisedText2Semantic | null {
  const folder = mkdtempSync(join(options.folder, 'partial-quantise-'));
  try {
    const sessionOf = (graph: GraphModel, name: string) => {
      const weights = writeWeightsFile(join(folder, `${name}.safetensors`), [graph], { scratch: true });
      writeModelFile(join(folder, `${name}.onnx`), graph, weights);
      return options.runtime.createSession(join(folder, `${name}.onnx`));
    };
    const reference = speakInFp32(
      new SemanticDecoder(sessionOf(buildText2Semantic(checkpoint, settings), 'fp32'), settings),
    );
    const columns = columnWeightsFor(options.runtime);
    const work: Work = { checkpoint, settings, options, reference, columns, sessionOf };
    const byKernel = options.precision === 'int8' && fitsStepKernel(settings) ? quantiseForKernel(work) : null;
    if (byKernel === null) return quantiseForSessions(work, true);
    // Without 8-bit dot products the kernel is faster by half: there is nothing to find out.
    if (columns === 'uint8' && options.worthIt === undefined) return byKernel;
    const speed = timeForms(work, byKernel);
    const bySessions = speed > (options.worthIt ?? WORTH_IT) ? quantiseForSessions(work, false) : null;
    const taken = bySessions ?? byKernel;
    const timed: QualityMeasure = {
      name: `speed of a step by ONNX Runtime against our kernel (taken: ${bySessions ? 'ONNX Runtime' : 'our kernel'})`,
      value: speed,
      loss: null,
      over: '1 and 8 rows',
    };
    return { ...taken, report: { ...taken.report, measures: [...taken.report.measures, timed] } };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Work {
  readonly checkpoint: Checkpoint;
  readonly settings: Text2SemanticSettings;
  readonly options: QuantiseOptions;
  readonly reference: Reference;
  readonly columns: ColumnWeights;
  readonly sessionOf: (graph: GraphModel, name: string) => Session;
}

/** How many times as fast as our kernel ONNX Runtime computes a step whose layers all have 8 bits. */
function timeForms(
  { checkpoint, settings, options, reference, columns, sessionOf }: Work,
  byKernel: QuantisedText2Semantic,
): number {
  const { cacheSteps } = reference;
  const graphs = buildParts(checkpoint, settings, new Formats(settings, 'int8', columns), cacheSteps);
  const decoderOf = (step: Text2SemanticSessions['step'], name: string) =>
    new SemanticDecoder({ prefill: sessionOf(graphs.prefill, `${name}-prefill`), step, cacheSteps }, settings);
  const session = decoderOf(sessionOf(graphs.step, 'timed-step'), 'timed-session');
  const image = byKernel.files[STEP_IMAGE]!; // what makes it one by kernel
  const kernel = decoderOf(stepKernelOf(image, settings, options.runtime), 'timed-kernel');
  try {
    // Few phonemes and no prompt: prefills are not what is timed.
    const rows = reference.rows.map((row) => ({
      ...row,
      phonemeIds: Array.from(row.phonemeIds).slice(0, 8),
      promptSemantic: null,
    }));
    return sessionAgainstKernel(session, kernel, rows);
  } finally {
    session.close();
    kernel.close();
  }
}

/**
 * The network with its step in a graph for ONNX Runtime. Where that loses too much, layers go back to a higher precision;
 * `mayRaise` false: rather none at all. Null where nothing helps.
 */
function quantiseForSessions(work: Work, mayRaise: boolean): QuantisedText2Semantic | null {
  const { checkpoint, settings, options, reference, sessionOf } = work;
  const formats = new Formats(settings, options.precision, work.columns);
  let sensitivity: readonly number[] | null = null;
  for (let round = 0; round < 6; round++) {
    const graphs = buildParts(checkpoint, settings, formats, reference.cacheSteps);
    const name = `round${round}`;
    const measures = compare(reference, settings, {
      prefill: sessionOf(graphs.prefill, `${name}-prefill`),
      step: sessionOf(graphs.step, `${name}-step`),
      cacheSteps: reference.cacheSteps,
    });
    if (worstLoss(measures) <= (options.maxLoss ?? MAX_LOSS)) {
      const report: QualityReport = {
        network: 'text2semantic',
        precision: options.precision,
        measures,
        kept: formats.kept(),
      };
      return { graphs, files: {}, report };
    }
    if (formats.raisePrefill()) continue;
    if (!mayRaise) return null;
    sensitivity ??= layerLosses(work);
    if (!formats.raiseLayers(sensitivity)) return null;
  }
  return null;
}

/** The network with its step in our own kernel; null where that loses too much, whatever format the prefill has. */
function quantiseForKernel(work: Work): QuantisedText2Semantic | null {
  const { checkpoint, settings, options, reference, sessionOf } = work;
  const formats = new Formats(settings, options.precision, work.columns);
  const image = packStepImage(checkpoint, settings, reference.cacheSteps);
  const step = stepKernelOf(image, settings, options.runtime);
  do {
    const graphs = buildPrefills(checkpoint, settings, formats);
    const prefill = sessionOf(graphs.prefill, `kernel-${formats.kept().length}-prefill`);
    const measures = compare(reference, settings, { prefill, step, cacheSteps: reference.cacheSteps });
    if (worstLoss(measures) > (options.maxLoss ?? MAX_LOSS)) continue;
    const report = { network: 'text2semantic', precision: options.precision, measures, kept: formats.kept() } as const;
    return { graphs, files: { [STEP_IMAGE]: image }, report };
  } while (formats.raisePrefill());
  return null;
}

/** Which format each layer has: that asked for, or a higher one where that lost too much. */
class Formats {
  readonly #wanted: WeightFormat;
  readonly #layers: WeightFormat[];
  readonly #columns: ColumnWeights;
  #prefillByColumn = true;

  constructor(settings: Text2SemanticSettings, precision: 'int8' | 'int4', columns: ColumnWeights) {
    this.#wanted = precision;
    this.#columns = columns;
    // The head counts as a layer of its own. It decides between tokens, so it never gets fewer than 8 bits.
    this.#layers = Array.from({ length: settings.layers + 1 }, (_, layer) =>
      layer === settings.layers ? 'int8' : precision,
    );
  }

  of = (layer: number, _product?: Product): WeightFormat => this.#layers[layer] ?? 'fp32';

  ofPrefill = (layer: number): WeightFormat => {
    const format = this.of(layer);
    return this.#prefillByColumn && format !== 'fp32' ? `column-${this.#columns}` : format;
  };

  /** Gives the prefill the finer steps that the layers have; false when it has them already. */
  raisePrefill(): boolean {
    if (!this.#prefillByColumn) return false;
    this.#prefillByColumn = false;
    return true;
  }

  /** Raises the quarter of the layers that lose most; false when all are fp32. */
  raiseLayers(losses: readonly number[]): boolean {
    const lowest = this.#layers.includes('int4') ? 'int4' : 'int8';
    const candidates = [...this.#layers.keys()].filter((layer) => this.#layers[layer] === lowest);
    candidates.sort((a, b) => (losses[b] ?? 0) - (losses[a] ?? 0));
    const count = Math.ceil(this.#layers.length / 4);
    for (const layer of candidates.slice(0, count)) this.#layers[layer] = lowest === 'int4' ? 'int8' : 'fp32';
    return candidates.length > 0 && this.#layers.some((format) => format !== 'fp32');
  }

  kept(): string[] {
    const last = this.#layers.length - 1;
    const name = (layer: number) => (layer === last ? 'output layer' : `layer ${layer}`);
    const higher = this.#layers.flatMap((format, layer) =>
      format === this.#wanted || (layer === last && format === 'int8') ? [] : [`${name(layer)}: ${format}`],
    );
    return this.#prefillByColumn ? higher : ['prefill: scales by block instead of by column', ...higher];
  }
}

function buildPrefills(checkpoint: Checkpoint, settings: Text2SemanticSettings, formats: Formats) {
  const precision: Text2SemanticPrecision = { format: formats.ofPrefill, cacheSteps: null };
  return {
    prefill: buildText2Semantic(checkpoint, settings, { part: 'prefill', precision }),
    'prefill-adapters': buildText2Semantic(checkpoint, settings, { part: 'prefill', precision, adapters: true }),
  };
}

function buildParts(
  checkpoint: Checkpoint,
  settings: Text2SemanticSettings,
  formats: Formats,
  cacheSteps: readonly CacheSteps[],
) {
  const precision: Text2SemanticPrecision = {
    format: formats.of,
    cacheSteps: (layer) => cacheSteps[layer]!, // one for each layer
  };
  return {
    ...buildPrefills(checkpoint, settings, formats),
    step: buildText2Semantic(checkpoint, settings, { part: 'step', precision }),
    'step-adapters': buildText2Semantic(checkpoint, settings, { part: 'step', precision, adapters: true }),
  };
}

interface Reference {
  readonly rows: readonly RowRequest[];
  /** By row, then by step. */
  readonly logits: readonly Float32Array[][];
  readonly cacheSteps: readonly CacheSteps[];
}

/** Speaks the calibration sentences: first without a prompt, then each after the one before it. */
function speakInFp32(decoder: SemanticDecoder): Reference {
  const { settings } = decoder;
  const symbols = settings.phonemeCount < 732 ? 'v1' : 'v2';
  const sentences = calibrationSentences().map(({ phonemes }) =>
    // A network of another table than ours (in tests) gets what its table holds.
    phonemeIds(phonemes.split(' '), symbols).map((id) => id % settings.phonemeCount),
  );
  const request = (index: number): RowRequest => ({
    phonemeIds: sentences[index]!,
    bertFeatures: null,
    promptSemantic: null,
    sampling: SAMPLING,
    seed: 1,
    sentenceKey: index,
    maxNewTokens: TOKENS,
  });
  const peaks = Array.from({ length: settings.layers }, () => ({
    keys: new Float32Array(settings.heads * settings.headWidth),
    values: new Float32Array(settings.heads * settings.headWidth),
  }));
  try {
    const first = decode(
      decoder,
      sentences.map((_, index) => request(index)),
      { steps: PROMPT_TOKENS },
    );
    const rows = sentences.map((phonemes, index): RowRequest => {
      const before = (index + sentences.length - 1) % sentences.length;
      const prompt = first.tokens[before]!;
      return { ...request(index), phonemeIds: [...sentences[before]!, ...phonemes], promptSemantic: prompt };
    });
    /** Positions of each row that were looked at. */
    const seen = new Map<number, number>();
    const look = (row: number): void => {
      for (const [layer, peak] of peaks.entries()) {
        const { keys, values } = decoder.readCache(row, layer, seen.get(row));
        raisePeaks(peak.keys, keys);
        raisePeaks(peak.values, values);
        if (layer === peaks.length - 1) seen.set(row, (seen.get(row) ?? 0) + keys.length / peak.keys.length);
      }
    };
    const spoken = decode(decoder, rows, { look });
    return {
      rows: rows.map((row, index) => ({ ...row, forcedTokens: spoken.tokens[index]! })),
      logits: spoken.logits,
      cacheSteps: peaks.map(({ keys, values }) => ({ keys: stepsOf(keys), values: stepsOf(values) })),
    };
  } finally {
    decoder.close();
  }
}

/** Decodes rows, eight at a time, for so many steps. `look` sees each row now and then while it is in the cache. */
function decode(
  decoder: SemanticDecoder,
  rows: readonly RowRequest[],
  { steps = TOKENS, look }: { readonly steps?: number; readonly look?: (row: number) => void } = {},
): { readonly tokens: readonly number[][]; readonly logits: readonly Float32Array[][] } {
  const tokens: number[][] = rows.map(() => []);
  const logits: Float32Array[][] = rows.map(() => []);
  for (let start = 0; start < rows.length; start += decoder.capacity) {
    const places = new Map<number, number>();
    const watch = { place: start };
    decoder.observe((row, values) => logits[places.get(row) ?? watch.place]!.push(values.slice()));
    const live = new Set<number>();
    const take = (place: number, row: number, token: number | null, finished: boolean): void => {
      if (token !== null) tokens[place]!.push(token);
      if (finished) live.delete(row);
    };
    for (const [offset, row] of rows.slice(start, start + decoder.capacity).entries()) {
      watch.place = start + offset;
      const event = decoder.addRow(row);
      places.set(event.row, start + offset);
      live.add(event.row);
      take(start + offset, event.row, event.token, event.finished !== null);
    }
    for (let step = 1; step < steps && live.size > 0; step++) {
      for (const event of decoder.step()) {
        take(places.get(event.row) ?? start, event.row, event.token, event.finished !== null);
      }
      // A row that ends takes its cache with it.
      if (step % 12 === 0 || step === steps - 1) for (const row of live) look?.(row);
    }
    for (const row of places.keys()) decoder.removeRow(row);
  }
  decoder.observe(null);
  return { tokens, logits };
}

function compare(
  reference: Reference,
  settings: Text2SemanticSettings,
  sessions: Text2SemanticSessions,
): QualityMeasure[] {
  const decoder = new SemanticDecoder(sessions, settings);
  try {
    const { logits } = decode(decoder, reference.rows);
    let steps = 0;
    let agreeing = 0;
    let divergence = 0;
    for (const [row, expected] of reference.logits.entries()) {
      for (const [step, wanted] of expected.entries()) {
        const found = logits[row]![step];
        if (!found) continue;
        steps += 1;
        if (argMax(found) === argMax(wanted)) agreeing += 1;
        divergence += klDivergence(wanted, found);
      }
    }
    const over = `${steps} steps of ${reference.rows.length} sentences`;
    const agreement = agreeing / steps;
    const kl = divergence / steps;
    return [
      { name: 'greedy token agreement', value: agreement, loss: 1 - agreement, over },
      { name: 'per-step KL divergence', value: kl, loss: 1 - Math.exp(-kl), over },
    ];
  } finally {
    decoder.close();
  }
}

/** The divergence that each layer causes when it alone has the wanted precision. */
function layerLosses({ checkpoint, settings, options, reference, sessionOf }: Work): number[] {
  return Array.from({ length: settings.layers + 1 }, (_, layer) => {
    const format = (other: number): WeightFormat => (other === layer ? options.precision : 'fp32');
    const graph = buildText2Semantic(checkpoint, settings, { precision: { format, cacheSteps: null } });
    const session = sessionOf(graph, 'layer');
    const few = { ...reference, rows: reference.rows.slice(0, 2), logits: reference.logits.slice(0, 2) };
    const kl = compare(few, settings, { prefill: session, step: session }).find((measure) =>
      measure.name.includes('KL'),
    );
    return kl?.value ?? 0;
  });
}

/** D(p ‖ q) in nats of the distributions that logits stand for. */
export function klDivergence(p: Float32Array, q: Float32Array): number {
  const [logP, logQ] = [logSumExp(p), logSumExp(q)];
  let sum = 0;
  for (let index = 0; index < p.length; index++) {
    const log = p[index]! - logP;
    sum += Math.exp(log) * (log - (q[index]! - logQ));
  }
  return sum;
}

function logSumExp(values: Float32Array): number {
  const top = values[argMax(values)] ?? 0;
  return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

function raisePeaks(peaks: Float32Array, rows: Float32Array): void {
  for (let start = 0; start < rows.length; start += peaks.length) {
    for (let channel = 0; channel < peaks.length; channel++) {
      const size = Math.abs(rows[start + channel]!);
      if (size > peaks[channel]!) peaks[channel] = size;
    }
  }
}

/** A channel that was never used keeps a step that can be divided by. */
function stepsOf(peaks: Float32Array): Float32Array {
  return peaks.map((peak) => (peak === 0 ? 1 / 127 : (peak * MARGIN) / 127));
}

function calibrationSentences(): { readonly text: string; readonly phonemes: string }[] {
  return JSON.parse(readFileSync(new URL('./data/calibration-sentences.json', import.meta.url), 'utf8')) as {
    text: string;
    phonemes: string;
  }[];
}
