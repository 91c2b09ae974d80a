import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import type { CacheSteps, Text2SemanticSettings } from '../models/text2semantic.js';
import type { ComponentManifest, ComponentStore } from './component-store.js';
import { readImageCacheSteps } from './kernels/step-image.js';
import { type StepImage, StepKernel } from './kernels/step-kernel.js';
import type { Runtime, Session } from './onnxruntime.js';
import type { Text2SemanticSessions } from './semantic-decoder.js';

/** The file of a component that a step kernel reads its weights from. */
export const STEP_IMAGE = 'step.kernel';

/** The graphs of a text-to-semantic component that speaking runs, or those that take their place for adapters. */
export function text2SemanticGraphs(manifest: ComponentManifest, adapters = false): string[] {
  const parts = manifest.graphs['text2semantic'] ? ['text2semantic'] : manifest.files[STEP_IMAGE] ? ['prefill'] : PARTS;
  return adapters ? parts.map((graph) => `${graph}-adapters`) : parts;
}

const PARTS = ['prefill', 'step'];

/**
 * What decodes with a text-to-semantic component, over sessions of its graphs ({@link text2SemanticGraphs}): one in fp32,
 * one for each part where it is quantised, of which the step may be our own kernel.
 */
export function openText2Semantic(
  store: ComponentStore,
  manifest: ComponentManifest,
  runtime: Runtime,
  sessionOf: (graph: string) => Session = (graph) => store.createSession(manifest, graph, runtime),
): Text2SemanticSessions {
  if (manifest.graphs['text2semantic']) {
    const whole = sessionOf('text2semantic');
    const adapted = () => {
      const session = sessionOf('text2semantic-adapters');
      return { prefill: session, step: session };
    };
    return { prefill: whole, step: whole, adapted };
  }
  const settings = manifest.settings as Text2SemanticSettings;
  const folder = store.folderOf(manifest.digest);
  const prefill = sessionOf('prefill');
  if (manifest.files[STEP_IMAGE]) {
    const image = { path: join(folder, STEP_IMAGE) };
    return {
      prefill,
      step: stepKernelOf(image, settings, runtime),
      cacheSteps: readImageCacheSteps(image.path, settings),
      adapted: () => ({ prefill: sessionOf('prefill-adapters') }),
    };
  }
  return {
    prefill,
    step: sessionOf('step'),
    cacheSteps: readCacheSteps(join(folder, manifest.weightsFile), settings),
    adapted: () => ({ prefill: sessionOf('prefill-adapters'), step: sessionOf('step-adapters') }),
  };
}

/** Opens a step kernel over packed weights, with the threads of the runtime. */
export function stepKernelOf(
  image: StepImage,
  settings: Text2SemanticSettings,
  runtime: Runtime,
): Extract<Text2SemanticSessions['step'], (...options: never[]) => unknown> {
  return (size) =>
    new StepKernel(image, settings, {
      ...size,
      threads: runtime.threads,
      adviseLargePages: (bytes) => runtime.adviseLargePages(bytes),
    });
}

/** The steps of the int8 cache, from the weights that the graph names. */
function readCacheSteps(path: string, settings: Text2SemanticSettings): CacheSteps[] {
  const weights = openCheckpoint(path);
  try {
    const read = (name: string): Float32Array =>
      weights.tensors.get(name)?.readFloat32() ?? new Float32Array(settings.heads * settings.headWidth).fill(1);
    return Array.from({ length: settings.layers }, (_, layer) => ({
      keys: read(`h.layers.${layer}.cache_steps.keys`),
      values: read(`h.layers.${layer}.cache_steps.values`),
    }));
  } finally {
    weights.close();
  }
}
