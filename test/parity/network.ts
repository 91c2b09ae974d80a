import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { openRuntime, type Tensors } from '../../src/engine/onnxruntime.js';
import type { GraphModel } from '../../src/onnx/graph.js';
import { encodeModel } from '../../src/onnx/model-file.js';
import { type Comparison, compare } from './harness.js';
import type { CaseTensor, ManifestCase, ReferenceData } from './reference.js';

/** File names under which transformers keeps weights, in every format we read. */
const WEIGHT_FILES = ['model.safetensors', 'pytorch_model.bin', 'pytorch_model.legacy.bin'];

/** Every weights file of a case's checkpoint, which is a file or a folder of the same values in several formats. */
export function weightFiles(testCase: ManifestCase, reference: ReferenceData): string[] {
  if (typeof testCase.checkpoint !== 'string') throw new Error(`${testCase.name} names no checkpoint`);
  const path = reference.path(testCase.checkpoint);
  if (existsSync(path) && !existsSync(join(path, 'config.json'))) return [path];
  const files = WEIGHT_FILES.map((name) => join(path, name)).filter((file) => existsSync(file));
  if (files.length === 0) throw new Error(`${path} holds none of ${WEIGHT_FILES.join(', ')}`);
  return files;
}

/** The parsed `config.json` beside a weights file. */
export function configBeside(weightsFile: string): unknown {
  return JSON.parse(readFileSync(join(weightsFile, '..', 'config.json'), 'utf8'));
}

/** Opens a checkpoint, builds a graph of it, runs it once, and lets go of everything. */
export function runNetwork(
  weightsFile: string,
  build: (checkpoint: Checkpoint) => GraphModel,
  feeds: Tensors,
): Tensors {
  const checkpoint = openCheckpoint(weightsFile);
  try {
    const session = openRuntime().createSession(encodeModel(build(checkpoint), null));
    try {
      return session.run(feeds);
    } finally {
      session.close();
    }
  } finally {
    checkpoint.close();
  }
}

/** Compares the outputs that the case has too, saying which weights file they came from. */
export function compareOutputs(
  testCase: ManifestCase,
  expected: ReadonlyMap<string, CaseTensor>,
  actual: Readonly<Record<string, ArrayLike<number>>>,
  source: string,
): Comparison[] {
  return Object.entries(actual).map(([name, values]) => {
    const tensor = expected.get(name);
    if (!tensor) throw new Error(`${testCase.name} has no tensor "${name}"`);
    return { ...compare(testCase, name, values, tensor.data), tensor: `${name} (${source})` };
  });
}

/** A float tensor of a case. */
export function floatsOf(tensors: ReadonlyMap<string, CaseTensor>, name: string): Float32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Float32Array)) throw new Error(`the case has no float tensor "${name}"`);
  return data;
}

/** An integer tensor of a case. */
export function integersOf(tensors: ReadonlyMap<string, CaseTensor>, name: string): Int32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Int32Array)) throw new Error(`the case has no integer tensor "${name}"`);
  return data;
}
