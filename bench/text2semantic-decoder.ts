import { join } from 'node:path';
import type { Checkpoint } from '../src/checkpoint/checkpoint.js';
import { columnWeightsFor } from '../src/engine/column-weights.js';
import { packStepImage } from '../src/engine/kernels/step-image.js';
import type { Runtime } from '../src/engine/onnxruntime.js';
import { stepKernelOf } from '../src/engine/open-text2semantic.js';
import { PRECISIONS } from '../src/engine/quality-report.js';
import { type RowRequest, SemanticDecoder, type Text2SemanticSessions } from '../src/engine/semantic-decoder.js';
import type { SessionOptions } from '../src/engine/session.js';
import {
  buildText2Semantic,
  type Text2SemanticOptions,
  type Text2SemanticPrecision,
  type Text2SemanticSettings,
} from '../src/models/text2semantic.js';
import { writeModelFile } from '../src/onnx/model-file.js';
import { writeWeightsFile } from '../src/onnx/weights-file.js';

/** What a decoder is built in; `int8-onnxruntime`: steps of 8 bits by ONNX Runtime, as an import chooses where that is faster. */
export const FORMS = [...PRECISIONS, 'int8-onnxruntime'] as const;

/**
 * A decoder over graphs written into `folder`, as an import would write them but without calibration: the cache's steps are
 * the same everywhere, which changes results and no time.
 */
export function buildDecoder(
  checkpoint: Checkpoint,
  settings: Text2SemanticSettings,
  options: {
    readonly precision: (typeof FORMS)[number];
    readonly runtime: Runtime;
    readonly folder: string;
    readonly rows: number;
    readonly session?: SessionOptions;
  },
): { readonly decoder: SemanticDecoder; readonly weightsBytes: number } {
  const { precision, runtime, folder } = options;
  const flat = new Float32Array(settings.heads * settings.headWidth).fill(0.04);
  const steps = { keys: flat, values: flat };
  const formats = {
    prefill: { format: () => `column-${columnWeightsFor(runtime)}` as const, cacheSteps: null },
    step: {
      format: (layer: number) => (layer !== settings.layers && precision === 'int4' ? 'int4' : 'int8'),
      cacheSteps: () => steps,
    },
  } satisfies Record<string, Text2SemanticPrecision>;
  let weightsBytes = 0;
  const open = (name: string, graph: Text2SemanticOptions) => {
    const model = buildText2Semantic(checkpoint, settings, graph);
    const weights = writeWeightsFile(join(folder, `${precision}-${name}.safetensors`), [model]);
    weightsBytes += weights.sizeBytes;
    writeModelFile(join(folder, `${precision}-${name}.onnx`), model, weights);
    return runtime.createSession(join(folder, `${precision}-${name}.onnx`), options.session);
  };
  const whole = (adapters: boolean) => {
    const session = open(adapters ? 'whole-adapters' : 'whole', { adapters });
    return { prefill: session, step: session };
  };
  const prefillOf = (adapters: boolean) =>
    open(adapters ? 'prefill-adapters' : 'prefill', { part: 'prefill', precision: formats.prefill, adapters });
  const stepOf = (adapters: boolean) =>
    open(adapters ? 'step-adapters' : 'step', { part: 'step', precision: formats.step, adapters });
  const cacheSteps = Array.from({ length: settings.layers }, () => steps);
  let sessions: Text2SemanticSessions;
  if (precision === 'fp32') sessions = { ...whole(false), adapted: () => whole(true) };
  else if (precision === 'int8') {
    const image = packStepImage(checkpoint, settings, cacheSteps);
    weightsBytes += image.length;
    sessions = {
      prefill: prefillOf(false),
      step: stepKernelOf(image, settings, runtime),
      cacheSteps,
      adapted: () => ({ prefill: prefillOf(true) }),
    };
  } else {
    sessions = {
      prefill: prefillOf(false),
      step: stepOf(false),
      cacheSteps,
      adapted: () => ({ prefill: prefillOf(true), step: stepOf(true) }),
    };
  }
  return { decoder: new SemanticDecoder(sessions, settings, { rows: options.rows, maxLength: 1024 }), weightsBytes };
}

/** 60 phonemes after a prompt of 100 tokens, so that steps run at cache lengths from 160 up. */
export function benchRequest(settings: Text2SemanticSettings, seed: number): RowRequest {
  return {
    phonemeIds: Array.from({ length: 60 }, (_, index) => (index * 11) % settings.phonemeCount),
    bertFeatures: new Float32Array(60 * settings.bertWidth).fill(0.1),
    promptSemantic: Array.from({ length: 100 }, (_, index) => (index * 37) % settings.endToken),
    sampling: { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 },
    seed,
    sentenceKey: 0,
    maxNewTokens: 800,
  };
}
