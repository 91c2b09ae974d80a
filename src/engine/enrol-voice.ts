import { kaldiFilterBank } from '../audio/fbank.js';
import { peakOf } from '../audio/level.js';
import { resample, resampleHighQuality } from '../audio/resample.js';
import { magnitudeSpectrogram } from '../audio/spectrogram.js';
import { AppError } from '../errors.js';
import type { ModelSpec } from '../models/model-spec.js';
import { textToPhonemes } from '../text/frontend.js';
import type { LanguageMode, PhonemeSentence } from '../text/language.js';
import type { PolyphonePredictor } from '../text/polyphones.js';
import type { ModelVersion, RecordingCheck } from './engine-types.js';
import { checkRecording, checkTranscript, refusedReading } from './recording-checks.js';
import { type ReferenceRecording, readReferenceRecording } from './reference-recording.js';
import type { SpeakerEmbedding } from './speaker-comparison.js';
import type { VoiceProfile, VoicePrompt } from './voice-profile.js';

type MaybePromise<T> = T | Promise<T>;

/** The networks that enrolment runs, wherever they run; see `enrolmentNetworks` for those of this thread. */
export interface EnrolmentNetworks {
  readonly spec: Pick<
    ModelSpec,
    | 'sampleRateHz'
    | 'filterLengthSamples'
    | 'hopSamples'
    | 'windowSamples'
    | 'referenceBins'
    | 'speakerVectorWidth'
    | 'symbolTable'
  >;
  /** As in the engine's other readings of texts; absent or null: our own model. */
  readonly polyphones?: PolyphonePredictor | null;
  /** HuBERT and quantizer: mono at 16 kHz → semantic tokens; null where the model has no HuBERT. */
  readonly semanticTokens: ((wave16k: Float32Array) => MaybePromise<Int32Array>) | null;
  /** Style encoder: leading `referenceBins` of a spectrogram (bins, frames), speaker vector or null → ge. */
  readonly globalEmbedding: (
    spectrogram: Float32Array,
    frames: number,
    speakerVector: Float32Array | null,
  ) => MaybePromise<Float32Array>;
  /** Speaker encoder: filter-bank features (frames, 80) → speaker vector; null where the model has none. */
  readonly speakerVector: ((fbank: Float32Array, frames: number) => MaybePromise<Float32Array>) | null;
  /** Text features (phonemes, width) of a sentence, or null where the model has no BERT. */
  readonly bertFeatures: (sentence: PhonemeSentence, signal?: AbortSignal) => MaybePromise<Float32Array | null>;
}

export interface VoiceToEnrol {
  readonly name: string;
  /** One recording as its file's bytes, or several whose style is averaged; the first one is the prompt. */
  readonly recordings: readonly Uint8Array[];
  /** What the first recording says; null enrols a prompt-free voice. */
  readonly transcript: string | null;
  readonly language: LanguageMode;
  readonly model: { readonly name: string; readonly digest: string; readonly version: ModelVersion };
}

/** More say nothing new about a voice. */
export const MAX_RECORDINGS = 16;
const MAX_TRANSCRIPT_CHARACTERS = 1000;
const SPEAKER_RATE_HZ = 16_000;
const SPEAKER_BANDS = 80;
const SSL_RATE_HZ = 16_000;
/** Silence appended before HuBERT, in seconds of the model's own rate though it is added at 16 kHz, as upstream does. */
const APPENDED_SILENCE_SECONDS = 0.3;
/** Phonemes a second of sound outside which the transcript can hardly be what was said. */
const PLAUSIBLE_PHONEMES_PER_SECOND = [2, 30] as const;

/**
 * Makes a voice of recordings and a transcript: checks them, then computes the style (averaged over the recordings) and,
 * unless the voice is prompt-free, the prompt of the first recording.
 *
 * upstream: TTS_infer_pack/TTS.py _get_ref_spec, _set_prompt_semantic, run (prompt_text)
 *
 * @throws AppError `VOICE_INVALID`, `AUDIO_*`, `TEXT_*`, `LANGUAGE_UNSUPPORTED`, `MODEL_INVALID`; `signal.reason` once aborted.
 */
export async function enrolVoice(
  voice: VoiceToEnrol,
  networks: EnrolmentNetworks,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<VoiceProfile> {
  const { signal } = options;
  const { spec } = networks;
  const phonemes =
    voice.transcript === null
      ? null
      : await readTranscript(voice.transcript, voice.language, spec, networks.polyphones);
  const recordings = await readRecordings(voice.recordings, signal);
  const warnings = recordings.flatMap((recording) => recording.warnings);

  const embeddings: Float32Array[] = [];
  for (const recording of recordings) {
    signal?.throwIfAborted();
    embeddings.push(await encodeStyle(recording, networks, signal));
  }
  let prompt: VoicePrompt | null = null;
  const [first] = recordings;
  if (phonemes && first) {
    signal?.throwIfAborted();
    prompt = await encodePrompt(first, phonemes, networks, signal);
    if (!prompt)
      warnings.push('the model has no HuBERT: the voice is prompt-free, with the style of the recording only');
    warnings.push(...transcriptWarnings(phonemes, first));
  }
  return {
    name: voice.name,
    language: voice.language,
    transcript: prompt ? voice.transcript : null,
    model: voice.model.name,
    modelDigest: voice.model.digest,
    version: voice.model.version,
    sampleRateHz: spec.sampleRateHz,
    prompt,
    globalEmbedding: average(embeddings),
    recordings: recordings.map(({ sha256, durationSeconds }) => ({
      sha256,
      durationMs: Math.round(1000 * durationSeconds),
    })),
    warnings,
    createdAt: new Date().toISOString(),
  };
}

/**
 * Checks recordings and transcript as {@link enrolVoice} needs them, and stricter where a voice would be poor; says all it
 * finds instead of stopping at the first.
 *
 * @throws AppError `TEXT_*`, `LANGUAGE_UNSUPPORTED`, `VOICE_INVALID` (their number); `signal.reason` once aborted.
 */
export async function checkRecordings(
  voice: Pick<VoiceToEnrol, 'transcript' | 'language'> & {
    readonly recordings: readonly { readonly bytes: Uint8Array }[];
  },
  {
    spec,
    speakerEmbedding,
    signal,
  }: {
    readonly spec: EnrolmentNetworks['spec'];
    readonly speakerEmbedding: SpeakerEmbedding | null;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<RecordingCheck[]> {
  checkRecordingCount(voice.recordings.length);
  const phonemes = voice.transcript === null ? null : await readTranscript(voice.transcript, voice.language, spec);
  const checks: RecordingCheck[] = [];
  for (const [index, { bytes }] of voice.recordings.entries()) {
    signal?.throwIfAborted();
    const label = voice.recordings.length === 1 ? 'the recording' : `recording ${index + 1}`;
    try {
      const recording = await readReferenceRecording(bytes, label);
      const found = await checkRecording(recording, speakerEmbedding);
      if (index === 0 && phonemes !== null && voice.transcript !== null) {
        const { activeSeconds } = recording;
        const said = { phonemes: phonemes.phonemeIds.length, activeSeconds };
        found.push(...checkTranscript(voice.transcript, voice.language, said));
      }
      checks.push(...found.map((finding) => ({ ...finding, recording: index })));
    } catch (error) {
      if (!(error instanceof AppError) || !error.code.startsWith('AUDIO_')) throw error;
      checks.push({ ...refusedReading(error), recording: index });
    }
  }
  return checks;
}

/** Spectrogram at the model's rate, and the speaker vector where the model takes one, through the style encoder → ge. */
export async function encodeStyle(
  recording: Pick<ReferenceRecording, 'samples' | 'sampleRateHz'>,
  networks: EnrolmentNetworks,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { spec } = networks;
  const wave = limitPeak(resample(recording.samples, recording.sampleRateHz, spec.sampleRateHz));
  const { data, rows, frames } = magnitudeSpectrogram(wave, {
    fftSize: spec.filterLengthSamples,
    hopSamples: spec.hopSamples,
    windowSamples: spec.windowSamples,
  });
  if (rows < spec.referenceBins) {
    throw new AppError(
      'MODEL_INVALID',
      `the style encoder reads ${spec.referenceBins} bins of a spectrogram that has ${rows}; the model's config and weights disagree`,
    );
  }
  let speakerVector: Float32Array | null = null;
  if (spec.speakerVectorWidth !== null) {
    if (!networks.speakerVector) {
      throw new AppError(
        'MODEL_INVALID',
        'the model needs a speaker encoder (ERes2NetV2) to enrol a voice, and has none; import the model again with it',
      );
    }
    const fbank = kaldiFilterBank(resample(wave, spec.sampleRateHz, SPEAKER_RATE_HZ), SPEAKER_RATE_HZ, SPEAKER_BANDS);
    speakerVector = await networks.speakerVector(fbank.data, fbank.frames);
    signal?.throwIfAborted();
  }
  return networks.globalEmbedding(data.subarray(0, spec.referenceBins * frames), frames, speakerVector);
}

/** Semantic tokens, phonemes and text features of the prompt; null where the model has no HuBERT. */
export async function encodePrompt(
  recording: Pick<ReferenceRecording, 'samples' | 'sampleRateHz'>,
  sentence: PhonemeSentence,
  networks: EnrolmentNetworks,
  signal?: AbortSignal,
): Promise<VoicePrompt | null> {
  if (!networks.semanticTokens) return null;
  const wave16k = resampleHighQuality(recording.samples, recording.sampleRateHz, SSL_RATE_HZ);
  const silence = Math.trunc(networks.spec.sampleRateHz * APPENDED_SILENCE_SECONDS);
  const padded = new Float32Array(wave16k.length + silence);
  padded.set(wave16k);
  const semanticTokens = await networks.semanticTokens(padded);
  signal?.throwIfAborted();
  const bertFeatures = await networks.bertFeatures(sentence, signal);
  return { semanticTokens, phonemeIds: Int32Array.from(sentence.phonemeIds), bertFeatures };
}

/** Throws `VOICE_INVALID` for a number of recordings that makes no voice. */
export function checkRecordingCount(count: number): void {
  if (count >= 1 && count <= MAX_RECORDINGS) return;
  throw new AppError('VOICE_INVALID', `a voice has 1 to ${MAX_RECORDINGS} recordings, got ${count}`);
}

async function readRecordings(files: readonly Uint8Array[], signal?: AbortSignal): Promise<ReferenceRecording[]> {
  checkRecordingCount(files.length);
  const recordings: ReferenceRecording[] = [];
  for (const [index, bytes] of files.entries()) {
    signal?.throwIfAborted();
    recordings.push(
      await readReferenceRecording(bytes, files.length === 1 ? 'the recording' : `recording ${index + 1}`),
    );
  }
  return recordings;
}

/** Marks that end a transcript; without one, a full stop is added. upstream: text_segmentation_method.py splits */
const ENDINGS = /[，。？！,.?!~:：—…]$/u;

async function readTranscript(
  transcript: string,
  language: LanguageMode,
  spec: EnrolmentNetworks['spec'],
  polyphones: PolyphonePredictor | null = null,
): Promise<PhonemeSentence> {
  const text = transcript.trim();
  const length = Array.from(text).length;
  if (length > MAX_TRANSCRIPT_CHARACTERS) {
    throw new AppError(
      'TEXT_TOO_LONG',
      `the transcript has ${length} characters, more than the ${MAX_TRANSCRIPT_CHARACTERS} allowed; give only what the first recording says`,
    );
  }
  const ended = text === '' || ENDINGS.test(text) ? text : `${text}${language === 'en' ? '.' : '。'}`;
  return textToPhonemes(ended, { language, symbols: spec.symbolTable, polyphones });
}

function transcriptWarnings(sentence: PhonemeSentence, recording: ReferenceRecording): string[] {
  const perSecond = sentence.phonemeIds.length / recording.activeSeconds;
  const [slowest, fastest] = PLAUSIBLE_PHONEMES_PER_SECOND;
  if (perSecond >= slowest && perSecond <= fastest) return [];
  const seen = `${sentence.phonemeIds.length} phonemes in ${recording.activeSeconds.toFixed(1)} s of speech`;
  return [`the transcript hardly fits the recording (${seen}); check that it says exactly what is heard`];
}

/** upstream: a wave with a peak above 1 is divided by it, but at most halved. */
function limitPeak(samples: Float32Array): Float32Array {
  const peak = peakOf(samples);
  if (peak <= 1) return samples;
  const divisor = Math.min(2, peak);
  return samples.map((value) => value / divisor);
}

function average(embeddings: readonly Float32Array[]): Float32Array {
  const [first] = embeddings;
  if (!first || embeddings.length === 1) return first ?? new Float32Array(0);
  return Float32Array.from(
    first,
    (_, index) => embeddings.reduce((sum, embedding) => sum + embedding[index]!, 0) / embeddings.length,
  );
}
