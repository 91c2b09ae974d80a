import { randomInt } from 'node:crypto';
import { basename, extname } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ReferenceTtsFields } from '../../api/reference.js';
import { SPEECH_LANGUAGES, SPLIT_METHODS } from '../../api/synthesis.js';
import type { Encoding } from '../../audio/encode/encoder.js';
import { AppError } from '../../errors.js';
import type { SpeechRequest } from '../../jobs/speech-queue.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields, FieldError } from '../check-fields.js';
import { toAppError } from '../error-answers.js';
import { isReferenceVoice, ReferenceVoices } from '../reference-voices.js';
import { openSpeech } from '../speech.js';
import { cancelWhenGone, collectSpeech, sendSpeech } from '../speech-reply.js';
import { checkText } from '../synthesis-input.js';
import { withinTime } from '../voice-directory.js';
import { registerLegacyRoutes } from './reference-legacy.js';

export const REFERENCE_CONFIG = { dialect: 'reference', access: 'speech' } as const;

/** Who ends the server ends it for all tenants. */
const CONTROL_CONFIG = { ...REFERENCE_CONFIG, access: 'platform:admin' } as const;

/** What the reference keeps for the whole server, by tenant here. */
export interface ReferenceState {
  /** The model that the last `set_…_weights` named; null: the default one. */
  model: string | null;
  /** Of the older server: the recording of requests that bring none. */
  refer: { readonly path: string; readonly text: string; readonly language: string } | null;
}

export interface ReferenceGateway {
  readonly gateway: GatewayOptions;
  readonly voices: ReferenceVoices;
  stateOf(request: FastifyRequest): ReferenceState;
}

const fields = compileFields(ReferenceTtsFields, ['text', 'prompt_text', 'ref_audio_path']);

/** The reference implementation's `/tts` with its settings, and the older `/`. */
export function registerReferenceRoutes(app: FastifyInstance, gateway: GatewayOptions): void {
  const states = new Map<string, ReferenceState>();
  const stateOf = (request: FastifyRequest): ReferenceState => {
    const { tenantId } = callerOf(request);
    let state = states.get(tenantId);
    if (state === undefined) {
      state = { model: null, refer: null };
      states.set(tenantId, state);
    }
    return state;
  };
  const reference: ReferenceGateway = {
    gateway,
    voices: new ReferenceVoices(gateway.config.referenceFolder, gateway.catalog, gateway.voices.access),
    stateOf,
  };
  const config = REFERENCE_CONFIG;
  app.post('/tts', { config }, (request, reply) => answerTts(reference, request, reply, request.body));
  app.get('/tts', { config, exposeHeadRoute: false }, (request, reply) =>
    answerTts(reference, request, reply, lowerCaseLanguages(fields.readQuery(request.query))),
  );

  for (const [url, kind] of [
    ['/set_gpt_weights', 'gpt'],
    ['/set_sovits_weights', 'sovits'],
  ] as const) {
    app.get<{ Querystring: { weights_path?: unknown } }>(url, { config }, async (request, reply) => {
      const path = request.query.weights_path;
      if (typeof path !== 'string' || path === '') {
        return refuse(reply, { message: `${kind} weight path is required` });
      }
      try {
        reference.stateOf(request).model = await modelNamed(gateway, path);
        return { message: 'success' };
      } catch (error) {
        return refuse(reply, { message: `change ${kind} weight failed`, Exception: toAppError(error).message });
      }
    });
  }

  app.get<{ Querystring: { refer_audio_path?: unknown } }>('/set_refer_audio', { config }, async (request, reply) => {
    try {
      const path = request.query.refer_audio_path;
      // As there, it is looked at and forgotten: `/tts` asks for a recording each time.
      await reference.voices.read(typeof path === 'string' ? path : '');
      return { message: 'success' };
    } catch (error) {
      return refuse(reply, { message: 'set refer audio failed', Exception: toAppError(error).message });
    }
  });

  const control = async (request: FastifyRequest, reply: FastifyReply) => {
    const given = { ...(request.query as object), ...(typeof request.body === 'object' ? request.body : {}) };
    const command: unknown = Reflect.get(given, 'command');
    if (command === undefined || command === null) return refuse(reply, { message: 'command is required' });
    if (gateway.control === undefined) {
      return refuse(
        reply,
        { message: 'control is off; the operator turns it on with TIMBRE_REFERENCE_CONTROL=true' },
        403,
      );
    }
    // As there, other commands do nothing. A restart is left to whatever started the server.
    if (command === 'restart' || command === 'exit') gateway.control(command);
    return reply.code(200).send(null);
  };
  app.get('/control', { config: CONTROL_CONFIG, exposeHeadRoute: false }, control);
  app.post('/control', { config: CONTROL_CONFIG }, control);

  registerLegacyRoutes(app, reference);
}

/** The checks of `check_params`, in its order and words; null: none complains. */
function complaintOf(given: ReferenceTtsFields, version: string): string | null {
  const { text_lang, prompt_lang } = given;
  const languages = version === 'v1' ? LANGUAGES_V1 : LANGUAGES_V2;
  if (isMissing(given.ref_audio_path)) return 'ref_audio_path is required';
  if (isMissing(given.text)) return 'text is required';
  if (isMissing(text_lang)) return 'text_lang is required';
  if (!languages.has(text_lang.toLowerCase())) return `text_lang: ${text_lang} is not supported in version ${version}`;
  if (isMissing(prompt_lang)) return 'prompt_lang is required';
  if (!languages.has(prompt_lang.toLowerCase())) {
    return `prompt_lang: ${prompt_lang} is not supported in version ${version}`;
  }
  const media = given.media_type === undefined ? 'wav' : String(given.media_type ?? 'None');
  if (!Object.hasOwn(MEDIA_TYPES, media)) return `media_type: ${media} is not supported`;
  const method = given.text_split_method === undefined ? 'cut5' : String(given.text_split_method ?? 'None');
  if (!/^cut[0-5]$/.test(method)) return `text_split_method:${method} is not supported`;
  const mode = Number(given.streaming_mode ?? 0);
  if (![0, 1, 2, 3].includes(mode)) {
    return 'the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)';
  }
  return null;
}

const LANGUAGES_V1 = new Set(['auto', 'en', 'zh', 'ja', 'all_zh', 'all_ja']);
const LANGUAGES_V2 = new Set([...LANGUAGES_V1, 'auto_yue', 'yue', 'ko', 'all_yue', 'all_ko']);

const MEDIA_TYPES: Readonly<Record<string, Encoding>> = { wav: 'wav', raw: 'pcm', ogg: 'vorbis', aac: 'aac' };

async function answerTts(reference: ReferenceGateway, request: FastifyRequest, reply: FastifyReply, values: unknown) {
  const { gateway } = reference;
  const state = reference.stateOf(request);
  let given: ReferenceTtsFields;
  try {
    given = fields.check(values);
  } catch (error) {
    return refuseFields(reply, error);
  }
  const complaint = complaintOf(given, await versionOf(gateway, state.model));
  if (complaint !== null) return refuse(reply, { message: complaint });
  return await speakReference(reference, request, reply, {
    text: given.text ?? '',
    language: languageOf(given.text_lang ?? ''),
    referencePath: given.ref_audio_path ?? '',
    auxiliaryPaths: given.aux_ref_audio_paths ?? [],
    promptText: given.prompt_text ?? '',
    promptLanguage: languageOf(given.prompt_lang ?? ''),
    topK: given.top_k ?? 15,
    topP: given.top_p ?? 1,
    temperature: given.temperature ?? 1,
    repetitionPenalty: given.repetition_penalty ?? 1.35,
    speed: given.speed_factor ?? 1,
    seed: given.seed ?? -1,
    splitMethod: SPLIT_METHODS.find((known) => known === given.text_split_method) ?? 'cut5',
    pauseSeconds: given.fragment_interval ?? 0.3,
    // The complaint was about any other.
    encoding: MEDIA_TYPES[given.media_type ?? 'wav'] ?? 'wav',
    contentType: `audio/${given.media_type ?? 'wav'}`,
    stream: Number(given.streaming_mode ?? 0) > 0,
  });
}

export interface ReferenceSpeech {
  readonly text: string;
  readonly language: SpeechRequest['language'];
  readonly referencePath: string;
  readonly auxiliaryPaths: readonly string[];
  readonly promptText: string;
  readonly promptLanguage: SpeechRequest['language'];
  readonly topK: number;
  readonly topP: number;
  readonly temperature: number;
  readonly repetitionPenalty: number;
  readonly speed: number;
  readonly seed: number;
  readonly splitMethod: NonNullable<SpeechRequest['splitMethod']>;
  readonly pauseSeconds: number;
  readonly encoding: Encoding;
  readonly contentType: string;
  readonly stream: boolean;
}

/** Values beyond ours become the nearest that there is: the reference takes any, and its clients send some. */
export async function speakReference(
  reference: ReferenceGateway,
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: ReferenceSpeech,
) {
  const { gateway, voices } = reference;
  const textCharacters = checkText(wanted.text, gateway.config.maxTextCharacters);
  const voice = await voices.voiceFor(callerOf(request).tenantId, {
    path: wanted.referencePath,
    auxiliaryPaths: wanted.auxiliaryPaths,
    promptText: wanted.promptText,
    promptLanguage: wanted.promptLanguage,
    model: reference.stateOf(request).model,
  });
  const cancel = cancelWhenGone(reply, gateway.config);
  const open = await openSpeech(gateway, {
    request,
    id: request.id,
    speech: {
      text: wanted.text,
      voice,
      language: wanted.language,
      speed: clamp(wanted.speed, 0.5, 2),
      seed: wanted.seed < 0 ? randomInt(0, 2 ** 32) : wanted.seed % 2 ** 32,
      sampling: {
        topK: clamp(Math.round(wanted.topK), 1, 1025),
        topP: clamp(wanted.topP, 0.01, 1),
        temperature: clamp(wanted.temperature, 0.01, 2),
        repetitionPenalty: clamp(wanted.repetitionPenalty, 1, 5),
      },
      splitMethod: wanted.splitMethod,
      sentencePauseMs: clamp(Math.round(wanted.pauseSeconds * 1000), 0, 5000),
    },
    textCharacters,
    output: { encoding: wanted.encoding, layout: wanted.stream ? 'bare-stream' : 'file' },
    repeatable: wanted.seed >= 0,
    cancel,
    madeOfRecording: isReferenceVoice(voice),
  });
  const described = { ...open, contentType: wanted.contentType };
  if (wanted.stream) return sendSpeech(reply, described, cancel);
  const { bytes } = await collectSpeech(open);
  cancel.done();
  return reply.type(wanted.contentType).send(bytes);
}

export function languageOf(name: string): SpeechRequest['language'] {
  const language = SPEECH_LANGUAGES.find((known) => known === name.toLowerCase());
  if (language === undefined) {
    throw new AppError(
      'LANGUAGE_UNSUPPORTED',
      `the language ${JSON.stringify(name.slice(0, 16))} is not read here; expected one of ${SPEECH_LANGUAGES.join(', ')}`,
    );
  }
  return language;
}

function lowerCaseLanguages(values: Record<string, unknown>): Record<string, unknown> {
  const lowered = { ...values };
  for (const name of ['text_lang', 'prompt_lang']) {
    const value = lowered[name];
    if (typeof value === 'string') lowered[name] = value.toLowerCase();
  }
  return lowered;
}

/** Weights are imported by the operator; their file's name, or the model's own, says which model is meant. */
export async function modelNamed({ catalog }: GatewayOptions, path: string): Promise<string> {
  const models = await withinTime((signal) => catalog.listModels({ signal }));
  const file = basename(path.replaceAll('\\', '/'));
  const name = file.slice(0, file.length - extname(file).length);
  const model = models.find((known) => known.name === path || known.name === file || known.name === name);
  if (model !== undefined) return model.name;
  throw new AppError(
    'MODEL_NOT_FOUND',
    'no model has the name of this file; import it with "timbre model import … --name NAME" and name it here',
  );
}

async function versionOf({ catalog }: GatewayOptions, model: string | null): Promise<string> {
  const models = await withinTime((signal) => catalog.listModels({ signal }));
  return (models.find((known) => known.name === model) ?? models[0])?.version ?? 'v2';
}

export function refuse(reply: FastifyReply, body: object, status = 400): FastifyReply {
  return reply.code(status).send(body);
}

/** Values of the wrong type never reach the reference's own code: its framework answers 422 and names the field. */
export function refuseFields(reply: FastifyReply, error: unknown): FastifyReply {
  if (!(error instanceof FieldError)) throw error;
  const loc = [error.field === '' ? 'body' : 'query', ...error.field.split('.').filter((step) => step !== '')];
  return refuse(reply, { detail: [{ loc, msg: error.message, type: 'value_error' }] }, 422);
}

export function isMissing(value: string | null | undefined): value is null | undefined | '' {
  return value === undefined || value === null || value === '';
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
