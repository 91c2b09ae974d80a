import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import type { CacheSteps, Text2SemanticSettings } from '../models/text2semantic.js';
import type { ComponentManifest, ComponentStore } from './component-store.js';
import { readImageCacheSteps } from './kernels/step-image.js';
import { type StepImage, StepKernel } from './kernels/step-kernel.js';
import type { Runtime } from './onnxruntime.js';
import type { Text2SemanticSessions } from './semantic-decoder.js';

/** The file of a component that a step kernel reads its weights from. */
export const STEP_IMAGE = 'step.kernel';

/** The sessions of a text-to-semantic component: one graph in fp32, one for each part where it is quantised. */
export function openText2Semantic(
  store: ComponentStore,
  manifest: ComponentManifest,
  runtime: Runtime,
): Text2SemanticSessions {
  if (manifest.graphs['text2semantic']) {
    const whole = store.createSession(manifest, 'text2semantic', runtime);
    const adapted = () => {
      const session = store.createSession(manifest, 'text2semantic-adapters', runtime);
      return { prefill: session, step: session };
    };
    return { prefill: whole, step: whole, adapted };
  }
  const settings = manifest.settings as Text2SemanticSettings;
  const folder = store.folderOf(manifest.digest);
  const prefill = store.createSession(manifest, 'prefill', runtime);
  if (manifest.files[STEP_IMAGE]) {
    const image = { path: join(folder, STEP_IMAGE) };
    return {
      prefill,
      step: stepKernelOf(image, settings, runtime),
      cacheSteps: readImageCacheSteps(image.path, settings),
      adapted: () => ({ prefill: store.createSession(manifest, 'prefill-adapters', runtime) }),
    };
  }
  return {
    prefill,
    step: store.createSession(manifest, 'step', runtime),
    cacheSteps: readCacheSteps(join(folder, manifest.weightsFile), settings),
    adapted: () => ({
      prefill: store.createSession(manifest, 'prefill-adapters', runtime),
      step: store.createSession(manifest, 'step-adapters', runtime),
    }),
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
