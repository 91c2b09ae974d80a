import type { StoredModel } from '../src/engine/model-store.js';
import type { VoiceProfile } from '../src/engine/voice-profile.js';
import { VoiceStore } from '../src/engine/voice-store.js';
import type { ModelSpec } from '../src/models/model-spec.js';

const PROMPT_TOKENS = 100;

/** Tokens of a prompt of 4 s. */
export function promptTokens(): number[] {
  return Array.from({ length: PROMPT_TOKENS }, (_, index) => (index * 37) % 1024);
}

/** Puts a voice with a prompt of 4 s beside a model, without the recording that it would take to enrol one. */
export async function writePromptVoice(dataDir: string, name: string, model: StoredModel): Promise<void> {
  const { sovits } = model.manifests;
  if (!sovits) throw new Error('the model has no SoVITS');
  const spec = sovits.settings as ModelSpec;
  const profile: VoiceProfile = {
    name,
    language: 'en',
    transcript: 'as if it were said',
    model: model.name,
    modelDigest: model.digest,
    version: model.version,
    sampleRateHz: model.sampleRateHz,
    prompt: {
      semanticTokens: Int32Array.from(promptTokens()),
      phonemeIds: Int32Array.from({ length: 30 }, (_, index) => (index * 13) % 300),
      bertFeatures: null,
    },
    globalEmbedding: Float32Array.from({ length: spec.globalEmbeddingWidth }, (_, index) => Math.sin(index)),
    recordings: [],
    warnings: [],
    createdAt: new Date(0).toISOString(),
  };
  await new VoiceStore(dataDir).save(profile, true);
}
