import { randomInt } from 'node:crypto';
import { type AudioFormat, SynthesizeFields } from '../api/synthesis.js';
import { AppError } from '../errors.js';
import type { SpeechRequest } from '../jobs/speech-queue.js';
import { compileFields, kindOf } from './check-fields.js';
import type { SpeechOutput } from './speech.js';

export interface SynthesisInput {
  readonly speech: SpeechRequest;
  readonly output: Omit<SpeechOutput, 'layout'>;
  /** Audio as the answer, rather than the URL of a file. */
  readonly answer: 'json' | 'stream' | 'audio';
  readonly textCharacters: number;
  readonly repeatable: boolean;
  readonly priority: SynthesizeFields['priority'];
  /** Lexicons by name; undefined: the usual ones. */
  readonly lexicons?: readonly string[];
  /** Empty: none; absent: that of the voice. */
  readonly adapter?: string;
}

export interface SynthesisInputOptions {
  readonly query: unknown;
  readonly body: unknown;
  readonly accept: string | undefined;
  readonly defaultVoice: string | null;
  readonly maxTextCharacters: number;
  /** Of requests that name no seed; null: drawn anew. */
  readonly defaultSeed: number | null;
}

const fields = compileFields(SynthesizeFields, ['text', 'speaker_id']);

/**
 * What the caller wants, from the query and the JSON body (which wins), completed with defaults.
 *
 * Throws `REQUEST_INVALID`, `REQUEST_NOT_JSON`, `TEXT_EMPTY`, `TEXT_TOO_LONG`, `TEXT_UNREADABLE`,
 * `MEDIA_TYPE_UNSUPPORTED`, each naming the field, what it was, and what it may be.
 */
export function parseSynthesisInput(options: SynthesisInputOptions): SynthesisInput {
  const values = fields.check({ ...fields.readQuery(options.query), ...readBody(options.body) });
  const text = values.text;
  if (text === undefined) {
    throw new AppError('TEXT_EMPTY', 'there is no text; send {"text": "…"} as JSON, or ?text=… in the URL');
  }
  const textCharacters = checkText(text, options.maxTextCharacters);
  const voice = values.speaker_id ?? options.defaultVoice;
  if (voice === null) {
    throw new AppError(
      'VOICE_NOT_FOUND',
      'no speaker_id was given and there is no default voice; GET /v1/voices lists voices',
    );
  }
  const accepted = acceptedAudio(options.accept);
  const wantsAudio = values.stream ?? accepted !== null;
  return {
    speech: {
      text,
      voice,
      language: values.language ?? 'auto',
      speed: values.speed ?? 1,
      seed: chooseSeed(values.seed, options),
      ...(values.input_type === undefined ? {} : { inputType: values.input_type }),
      ...sampling(values),
      ...(values.text_split_method === undefined ? {} : { splitMethod: values.text_split_method }),
      ...(values.sentence_pause_ms === undefined ? {} : { sentencePauseMs: values.sentence_pause_ms }),
    },
    output: {
      encoding: values.format ?? accepted ?? 'wav',
      ...(values.sample_rate === undefined ? {} : { outputHz: values.sample_rate }),
      ...(values.bitrate_kbps === undefined ? {} : { bitrateKbps: values.bitrate_kbps }),
    },
    answer: wantsAudio ? 'stream' : accepted !== null ? 'audio' : 'json',
    textCharacters,
    repeatable: isRepeatable(values.seed, options),
    priority: values.priority,
    ...(values.lexicons === undefined ? {} : { lexicons: values.lexicons }),
    ...(values.adapter === undefined ? {} : { adapter: values.adapter }),
  };
}

/** The seed of the request, else the configured one, else a new one. */
export function chooseSeed(
  given: number | null | undefined,
  { defaultSeed }: { readonly defaultSeed: number | null },
): number {
  // randomInt takes a range below 2^48.
  return given ?? defaultSeed ?? randomInt(0, 2 ** 32);
}

/** Whether the same request, sent again, asks for the same audio. */
export function isRepeatable(
  givenSeed: number | null | undefined,
  { defaultSeed }: { readonly defaultSeed: number | null },
): boolean {
  return (givenSeed ?? defaultSeed) !== null;
}

/**
 * Checks that a text can be spoken at all, before it costs a place in the queue.
 *
 * @returns its length in characters (code points).
 */
export function checkText(text: string, maxTextCharacters: number): number {
  if (text.trim() === '') throw new AppError('TEXT_EMPTY', 'the text is empty; expected something to say');
  let characters = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // The second half of a surrogate pair belongs to the character that its first half counted.
    if (unit < 0xdc00 || unit > 0xdfff) characters++;
  }
  if (characters > maxTextCharacters) {
    throw new AppError(
      'TEXT_TOO_LONG',
      `the text has ${characters} characters; at most ${maxTextCharacters} are taken at once: split it into several requests`,
    );
  }
  if (LONE_SURROGATE.test(text)) {
    throw new AppError('TEXT_UNREADABLE', 'the text holds half of a surrogate pair; expected well-formed Unicode');
  }
  if (!SPEAKABLE.test(text)) {
    throw new AppError(
      'TEXT_UNREADABLE',
      'the text has nothing to say aloud (only emoji, punctuation or control characters); expected words or numbers',
    );
  }
  return characters;
}

const LONE_SURROGATE = /\p{Cs}/u;

/** Letters, digits, and signs that have a name: currency and mathematics. */
const SPEAKABLE = /[\p{L}\p{N}\p{Sc}\p{Sm}%‰°℃℉@#&]/u;

function readBody(body: unknown): Record<string, unknown> {
  if (body === undefined || body === null) return {};
  if (typeof body !== 'object' || Array.isArray(body)) {
    throw new AppError('REQUEST_INVALID', `the body is ${kindOf(body)}; expected an object such as {"text": "你好"}`);
  }
  return { ...body };
}

function sampling(values: SynthesizeFields): Pick<SpeechRequest, 'sampling'> {
  const { top_k, top_p, temperature, repetition_penalty } = values;
  const given = {
    ...(top_k === undefined ? {} : { topK: top_k }),
    ...(top_p === undefined ? {} : { topP: top_p }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(repetition_penalty === undefined ? {} : { repetitionPenalty: repetition_penalty }),
  };
  return Object.keys(given).length === 0 ? {} : { sampling: given };
}

const ACCEPTED_AUDIO: Readonly<Record<string, AudioFormat>> = {
  'audio/*': 'wav',
  'audio/wav': 'wav',
  'audio/wave': 'wav',
  'audio/x-wav': 'wav',
  'audio/vnd.wave': 'wav',
  'audio/pcm': 'pcm',
  'audio/mpeg': 'mp3',
  'audio/mp3': 'mp3',
  'audio/aac': 'aac',
  'audio/aacp': 'aac',
  'audio/ogg': 'opus',
  'audio/opus': 'opus',
  'audio/flac': 'flac',
  'audio/x-flac': 'flac',
  'audio/basic': 'mulaw',
  'audio/pcmu': 'mulaw',
  'audio/pcma': 'alaw',
};

/** The audio format an Accept header asks for, or null where JSON is as welcome. */
function acceptedAudio(accept: string | undefined): AudioFormat | null {
  const types = (accept ?? '*/*').split(',').map((range) => (range.split(';')[0] ?? '').trim().toLowerCase());
  for (const type of types) {
    const format = ACCEPTED_AUDIO[type];
    if (format !== undefined) return format;
    if (type === '*/*' || type === 'application/*' || type === 'application/json') return null;
  }
  if (types.some((type) => type.startsWith('audio/'))) {
    const known = Object.keys(ACCEPTED_AUDIO).join(', ');
    throw new AppError(
      'MEDIA_TYPE_UNSUPPORTED',
      `none of the audio types in Accept can be made; expected one of ${known}`,
    );
  }
  return null;
}
