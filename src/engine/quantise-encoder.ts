import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BertSpec } from '../models/bert.js';
import { createBertTokenizer } from '../models/bert-tokenizer.js';
import type { EncoderPrecision } from '../models/transformer-layers.js';
import type { GraphModel } from '../onnx/graph.js';
import { writeModelFile } from '../onnx/model-file.js';
import type { ColumnWeights } from '../onnx/quantize-columns.js';
import { writeWeightsFile } from '../onnx/weights-file.js';
import { columnWeightsFor } from './column-weights.js';
import { type CompiledNetwork, MAPPED_WEIGHTS } from './component-store.js';
import { cosine } from './cosine.js';
import { output, type Runtime, type Tensors, tensor } from './onnxruntime.js';
import type { Precision } from './quality-report.js';

/** Least cosine between the features of any position and those of float32. */
export const LEAST_COSINE = 0.99;

/** What was tried, in the order of its speed. */
const CANDIDATES = ['int8', 'mixed'] as const satisfies readonly EncoderPrecision[];

/** Makes the graph of an encoder, its weights of 8 bits kept as this processor computes them right. */
export type BuildEncoder = (precision: EncoderPrecision, columnWeights: ColumnWeights) => GraphModel;

export interface EncoderChoice {
  readonly precision: EncoderPrecision;
  readonly graph: GraphModel;
  /** Least and mean cosine of each candidate that was compared with float32, over all positions of all inputs. */
  readonly compared: readonly {
    readonly precision: EncoderPrecision;
    readonly leastCosine: number;
    readonly meanCosine: number;
    readonly positions: number;
  }[];
}

/**
 * The fastest form of an encoder whose features stay those of float32 on the given inputs: int8, int8 in part, or
 * float32. Compares whole networks, in files below `folder` that are gone afterwards.
 */
export function chooseEncoder(
  buildAs: BuildEncoder,
  inputs: readonly Tensors[],
  runtime: Runtime,
  folder: string,
): EncoderChoice {
  const scratch = mkdtempSync(join(folder, 'partial-encoder-'));
  const columnWeights = columnWeightsFor(runtime);
  const build = (precision: EncoderPrecision) => buildAs(precision, columnWeights);
  const run = (precision: EncoderPrecision): Float32Array[] => {
    const graph = build(precision);
    const path = join(scratch, `${precision}.onnx`);
    writeModelFile(
      path,
      graph,
      writeWeightsFile(join(scratch, `${precision}.safetensors`), [graph], { scratch: true }),
    );
    const session = runtime.createSession(path, MAPPED_WEIGHTS);
    try {
      const name = session.outputs[0]?.name ?? '';
      return inputs.map((feeds) => output(session.run(feeds), name, 'float32').data);
    } finally {
      session.close();
    }
  };
  try {
    const exact = run('fp32');
    const compared: EncoderChoice['compared'][number][] = [];
    for (const precision of CANDIDATES) {
      const graph = build(precision);
      const width = Number(graph.outputs[0]?.dims.at(-1));
      const cosines = run(precision).flatMap((features, index) => rowCosines(features, exact[index]!, width));
      const leastCosine = Math.min(...cosines);
      const meanCosine = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
      compared.push({ precision, leastCosine, meanCosine, positions: cosines.length });
      if (leastCosine >= LEAST_COSINE) return { precision, graph, compared };
    }
    return { precision: 'fp32', graph: build('fp32'), compared };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

export interface EncoderCompilation {
  readonly build: BuildEncoder;
  /** What the forms are compared on. */
  readonly inputs: () => readonly Tensors[];
  readonly precision: Precision;
  readonly runtime: Runtime;
  readonly folder: string;
}

/** The graph of an encoder in the precision asked for (4 bits are 8 here), as far as its features allow. */
export function compileEncoder(
  kind: 'bert' | 'hubert',
  { build, inputs, precision, runtime, folder }: EncoderCompilation,
): CompiledNetwork {
  if (precision === 'fp32') return { graphs: { [kind]: build('fp32', 'uint8') } };
  const choice = chooseEncoder(build, inputs(), runtime, folder);
  const measures = choice.compared.flatMap(({ precision: form, leastCosine, meanCosine, positions }) => {
    const decides = form === choice.precision;
    const over = `${positions} positions, ${form}`;
    return [
      { name: 'feature cosine, least', value: leastCosine, loss: decides ? 1 - leastCosine : null, over },
      { name: 'feature cosine, mean', value: meanCosine, loss: null, over },
    ];
  });
  const kept = { int8: [], mixed: ['feed-forward output layers: fp32'], fp32: ['all layers: fp32'] }[choice.precision];
  return { graphs: { [kind]: choice.graph }, quality: { network: kind, precision, measures, kept } };
}

/** Sentences of many kinds, as BERT reads them: everyday, numbers, names, a foreign word, one character. */
const CALIBRATION_TEXTS = [
  '今天天气很好，我们一起去公园散步吧。',
  '您好，欢迎致电客户服务中心，请问有什么可以帮您？',
  '二零二四年三月十五日，北京到上海的列车准点率为百分之九十八点六。',
  '他笑着说：“这件事情，谁也没有想到会变成这样！”',
  '请打开设置，然后点击蓝牙按钮。',
  '春眠不觉晓，处处闻啼鸟。',
  '重庆的银行行长在长江边上长大。',
  '好。',
];

/** The texts as token ids, by the tokenizer beside a BERT's weights. */
export function bertCalibration(folder: string, spec: BertSpec): Tensors[] {
  const textOf = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined;
  const [tokenizerJson, vocabulary, tokenizerConfig] = ['tokenizer.json', 'vocab.txt', 'tokenizer_config.json'].map(
    textOf,
  );
  const tokenizer = createBertTokenizer({
    ...(tokenizerJson !== undefined && { tokenizerJson }),
    ...(vocabulary !== undefined && { vocabulary }),
    ...(tokenizerConfig !== undefined && { tokenizerConfig }),
  });
  return CALIBRATION_TEXTS.map((text) => {
    const ids = tokenizer.encode(text).ids.slice(0, spec.maxTokens);
    return { input_ids: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)) };
  });
}

/** Three seconds of something like a voice: pitches that glide, with harmonics and formants, hiss and pauses between. */
export function hubertCalibration(): Tensors[] {
  const rate = 16_000;
  return [110, 190, 260].map((pitchHz, voice) => {
    let phase = 0;
    let noise = voice + 1;
    const wave = Float32Array.from({ length: 3 * rate }, (_, index) => {
      const second = index / rate;
      const glide = pitchHz * (1 + 0.25 * Math.sin(2 * Math.PI * 0.9 * second));
      phase += (2 * Math.PI * glide) / rate;
      noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
      const hiss = noise / 2 ** 31 - 1;
      const syllable = Math.max(0, Math.sin(2 * Math.PI * 4 * second));
      const formantHz = 500 + 400 * Math.sin(2 * Math.PI * 1.7 * second + voice);
      let voiced = 0;
      for (let harmonic = 1; harmonic <= 20; harmonic++) {
        const distance = (harmonic * glide - formantHz) / 400;
        voiced += Math.sin(harmonic * phase) / (1 + distance * distance);
      }
      return 0.08 * syllable * voiced + 0.02 * (1 - syllable) * hiss;
    });
    return { wave16k: tensor('float32', [1, wave.length], wave) };
  });
}

/** The cosine between each row of two matrices of a width; of a row that is not a number, or of nothing but zeros, 0. */
export function rowCosines(a: Float32Array, b: Float32Array, width: number): number[] {
  return Array.from({ length: a.length / width }, (_, row) => {
    const [start, end] = [row * width, (row + 1) * width];
    const value = cosine(a.subarray(start, end), b.subarray(start, end));
    return Number.isNaN(value) ? 0 : value;
  });
}
