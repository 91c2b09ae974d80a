import { randomInt } from 'node:crypto';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { type AudioFormat, SynthesizeFields } from '../api/synthesis.js';
import { AppError } from '../errors.js';
import type { SpeechRequest } from '../jobs/speech-queue.js';

export interface SynthesisInput {
  readonly speech: SpeechRequest;
  readonly format: AudioFormat;
  /** Audio as the answer, rather than the URL of a file. */
  readonly answer: 'json' | 'stream' | 'audio';
  readonly textCharacters: number;
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

const fields = Compile(SynthesizeFields);
const FIELD_SCHEMAS: Readonly<Record<string, TSchema & FieldFacts>> = SynthesizeFields.properties;

/**
 * What the caller wants, from the query and the JSON body (which wins), completed with defaults.
 *
 * Throws `REQUEST_INVALID`, `REQUEST_NOT_JSON`, `TEXT_EMPTY`, `TEXT_TOO_LONG`, `TEXT_UNREADABLE`,
 * `MEDIA_TYPE_UNSUPPORTED`, each naming the field, what it was, and what it may be.
 */
export function parseSynthesisInput(options: SynthesisInputOptions): SynthesisInput {
  const given = { ...readQuery(options.query), ...readBody(options.body) };
  const values = checkFields(given);
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
      // randomInt takes a range below 2^48.
      seed: values.seed ?? options.defaultSeed ?? randomInt(0, 2 ** 32),
      ...sampling(values),
      ...(values.text_split_method === undefined ? {} : { splitMethod: values.text_split_method }),
      ...(values.sentence_pause_ms === undefined ? {} : { sentencePauseMs: values.sentence_pause_ms }),
    },
    format: values.format ?? accepted ?? 'wav',
    answer: wantsAudio ? 'stream' : accepted !== null ? 'audio' : 'json',
    textCharacters,
  };
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

/** Query values are text; they become what their field is, or stay as they are for the check to complain about. */
function readQuery(query: unknown): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query ?? {})) {
    const type = FIELD_SCHEMAS[name]?.type;
    if (typeof value !== 'string') values[name] = value;
    else if ((type === 'number' || type === 'integer') && /^-?\d+(\.\d+)?$/.test(value)) values[name] = Number(value);
    else if (type === 'boolean' && /^(true|1|)$/.test(value)) values[name] = true;
    else if (type === 'boolean' && /^(false|0)$/.test(value)) values[name] = false;
    else values[name] = value;
  }
  return values;
}

function checkFields(given: Record<string, unknown>): SynthesizeFields {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(FIELD_SCHEMAS, name)) {
      const known = Object.keys(FIELD_SCHEMAS).join(', ');
      throw new AppError('REQUEST_INVALID', `there is no field ${quote(name)}; the fields are ${known}`);
    }
  }
  if (fields.Check(given)) return given;
  const name = fields.Errors(given)[0]?.instancePath.split('/')[1] ?? '';
  const expected = describeField(FIELD_SCHEMAS[name] ?? {});
  throw new AppError('REQUEST_INVALID', `${name} is ${showValue(name, given[name])}; expected ${expected}`);
}

interface FieldFacts {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly enum?: readonly unknown[];
}

function describeField(facts: FieldFacts): string {
  if (facts.enum !== undefined) return `one of ${facts.enum.join(', ')}`;
  if (facts.type === 'number') return `a number from ${facts.minimum} to ${facts.maximum}`;
  if (facts.type === 'integer') return `a whole number from ${facts.minimum} to ${facts.maximum}`;
  if (facts.type === 'boolean') return 'true or false';
  if (facts.maxLength !== undefined) return `a string of ${facts.minLength} to ${facts.maxLength} characters`;
  return 'a string';
}

/** Numbers and short words are shown; what may be a customer's text or voice is only described. */
function showValue(name: string, value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string' && name !== 'text' && name !== 'speaker_id' && value.length <= 32) return quote(value);
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return `a string of ${value.length} characters`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 32 ? `${text.slice(0, 32)}…` : text);
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
