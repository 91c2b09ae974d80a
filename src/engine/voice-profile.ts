import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { openCheckpointBytes } from '../checkpoint/open-checkpoint.js';
import { encodeSafetensors, type SafetensorsEntry } from '../checkpoint/safetensors-writer.js';
import { AppError } from '../errors.js';
import type { LanguageMode } from '../text/language.js';
import type { ModelVersion } from './engine-types.js';

/** The recording that a voice continues from: what was said, as tokens, phonemes and text features. */
export interface VoicePrompt {
  /** upstream: prompt_semantic */
  readonly semanticTokens: Int32Array;
  readonly phonemeIds: Int32Array;
  /** Row-major (phonemes, width); null where the model has no BERT. */
  readonly bertFeatures: Float32Array | null;
}

export interface RecordingFacts {
  /** Of the file as it was given, lower-case hex. */
  readonly sha256: string;
  readonly durationMs: number;
}

/** A voice as one model speaks it: everything that is computed once, when it is enrolled. */
export interface VoiceProfile {
  readonly name: string;
  /** Of the transcript. */
  readonly language: LanguageMode;
  /** What the first recording says; null for a prompt-free voice. */
  readonly transcript: string | null;
  /** Name and digest of the model that computed the profile, and that alone can use it. */
  readonly model: string;
  readonly modelDigest: string;
  readonly version: ModelVersion;
  readonly sampleRateHz: number;
  /** Null for a prompt-free voice. */
  readonly prompt: VoicePrompt | null;
  /** ge, averaged over the recordings. */
  readonly globalEmbedding: Float32Array;
  readonly recordings: readonly RecordingFacts[];
  /** What was doubtful about the recordings, as sentences. */
  readonly warnings: readonly string[];
  /** ISO 8601. */
  readonly createdAt: string;
}

/** Of the file's layout; a file of another is refused rather than misread. */
const FORMAT = 1;

/**
 * The bytes of a profile's file, safetensors: tensors `ge`, `prompt_semantic`, `prompt_phonemes`, `prompt_bert`, everything
 * else as JSON in the metadata.
 */
export function encodeVoiceProfile(profile: VoiceProfile): Promise<Uint8Array> {
  const { entries, metadata } = profileFile(profile);
  return encodeSafetensors(entries, metadata);
}

function profileFile(profile: VoiceProfile): { entries: SafetensorsEntry[]; metadata: Record<string, string> } {
  const { prompt, globalEmbedding, ...facts } = profile;
  const entries: SafetensorsEntry[] = [
    { name: 'ge', dtype: 'F32', shape: [globalEmbedding.length], load: () => globalEmbedding },
  ];
  if (prompt) {
    const { semanticTokens, phonemeIds, bertFeatures } = prompt;
    entries.push(
      { name: 'prompt_semantic', dtype: 'I32', shape: [semanticTokens.length], load: () => semanticTokens },
      { name: 'prompt_phonemes', dtype: 'I32', shape: [phonemeIds.length], load: () => phonemeIds },
    );
    if (bertFeatures) {
      const shape = [phonemeIds.length, bertFeatures.length / phonemeIds.length];
      entries.push({ name: 'prompt_bert', dtype: 'F32', shape, load: () => bertFeatures });
    }
  }
  return { entries, metadata: { timbre_voice: JSON.stringify({ format: FORMAT, ...facts }) } };
}

/** Reads what {@link encodeVoiceProfile} made; `name` is what messages call it. Throws `VOICE_INVALID`. */
export function decodeVoiceProfile(bytes: Uint8Array, name: string): VoiceProfile {
  return readProfile(name, () => openCheckpointBytes(bytes, name));
}

function readProfile(name: string, open: () => Checkpoint): VoiceProfile {
  try {
    const file = open();
    try {
      const tensor = (name: string) => {
        const found = file.tensors.get(name);
        if (!found) throw new Error(`it has no tensor "${name}"`);
        return found;
      };
      const facts = parseFacts(file.data['__metadata__']);
      const prompt = file.tensors.has('prompt_semantic')
        ? {
            semanticTokens: tensor('prompt_semantic').readInt32(),
            phonemeIds: tensor('prompt_phonemes').readInt32(),
            bertFeatures: file.tensors.has('prompt_bert') ? tensor('prompt_bert').readFloat32() : null,
          }
        : null;
      return { ...facts, prompt, globalEmbedding: tensor('ge').readFloat32() };
    } finally {
      file.close();
    }
  } catch (cause) {
    // The cause may name folders of the server, which are not the caller's business.
    throw new AppError('VOICE_INVALID', `the voice ${name} is damaged or of another release; enrol the voice again`, {
      cause,
    });
  }
}

type Facts = Omit<VoiceProfile, 'prompt' | 'globalEmbedding'>;

/** The facts are JSON that this program wrote; a file from elsewhere must still not pass for a profile. */
function parseFacts(metadata: unknown): Facts {
  const text = isRecord(metadata) ? metadata['timbre_voice'] : undefined;
  if (typeof text !== 'string') throw new Error('it is not a voice profile');
  const facts: unknown = JSON.parse(text);
  if (!isRecord(facts)) throw new Error('its description is not a JSON object');
  if (facts['format'] !== FORMAT) throw new Error(`its format is ${String(facts['format'])}, expected ${FORMAT}`);
  for (const field of ['name', 'language', 'model', 'modelDigest', 'version', 'createdAt']) {
    if (typeof facts[field] !== 'string') throw new Error(`its ${field} is missing`);
  }
  if (typeof facts['sampleRateHz'] !== 'number') throw new Error('its sampleRateHz is missing');
  if (!Array.isArray(facts['recordings']) || !Array.isArray(facts['warnings'])) {
    throw new Error('its recordings or warnings are missing');
  }
  const { format: _, ...rest } = facts;
  return rest as unknown as Facts; // the fields were checked above
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
