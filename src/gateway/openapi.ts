import type { FastifyInstance, RouteOptions } from 'fastify';
import type { TSchema } from 'typebox';
import { AdaptersAnswer, AdapterVersionsAnswer, StoreAdapterAnswer, StoreAdapterQuery } from '../api/adapters.js';
import {
  ElevenLabsNewVoiceFields,
  ElevenLabsQuery,
  ElevenLabsSpeechFields,
  ElevenLabsTimedSpeech,
} from '../api/elevenlabs.js';
import {
  LexiconAnswer,
  LexiconsAnswer,
  LexiconVersionsAnswer,
  PreviewLexiconAnswer,
  PreviewLexiconFields,
  ReadLexiconQuery,
  StoreLexiconAnswer,
  StoreLexiconFields,
  StoreLexiconQuery,
} from '../api/lexicons.js';
import {
  OpenAiConsent,
  OpenAiConsentChange,
  OpenAiConsentDeleted,
  OpenAiConsentList,
  OpenAiListQuery,
  OpenAiModel,
  OpenAiNewConsentFields,
  OpenAiNewVoiceFields,
  OpenAiSpeechFields,
  OpenAiVoice,
  OpenAiVoicesAnswer,
} from '../api/openai.js';
import { LegacyTtsFields, ReferenceTtsFields } from '../api/reference.js';
import { ErrorAnswer, ReadyAnswer, VerifyAnswer } from '../api/resources.js';
import { SynthesizeAnswer, SynthesizeFields } from '../api/synthesis.js';
import {
  CheckRecordingFields,
  ConsentAnswer,
  ConsentChangeFields,
  ConsentsAnswer,
  NewConsentFields,
  NewVersionFields,
  NewVoiceFields,
  PreviewFields,
  RecordingCheckAnswer,
  RecordingQuery,
  RevokeConsentFields,
  SharesAnswer,
  ShareVoiceFields,
  VersionsAnswer,
  VoiceAnswer,
  VoiceChangeFields,
  VoicesAnswer,
} from '../api/voices.js';
import { ADMIN_DESCRIPTIONS } from './openapi-admin.js';

/** What the document says of a route beyond its address: the very schemas that its handler checks with. */
interface RouteDescription {
  readonly summary: string;
  readonly tag: string;
  readonly body?: TSchema | 'audio' | 'file';
  /** Media types of files that the body may be instead. */
  readonly fileTypes?: readonly string[];
  /** Files of a form, or of the JSON body in base64: their fields, and whether there may be several. */
  readonly files?: Readonly<Record<string, 'one' | 'many'>>;
  readonly bodyOptional?: boolean;
  readonly query?: TSchema;
  readonly answer?: TSchema;
  readonly audio?: boolean;
}

const DESCRIPTIONS: Readonly<Record<string, RouteDescription>> = {
  ...ADMIN_DESCRIPTIONS,
  'POST /synthesize': {
    summary: 'Say a text',
    tag: 'Timbre',
    body: SynthesizeFields,
    answer: SynthesizeAnswer,
    audio: true,
  },
  'GET /synthesize': {
    summary: 'Say a text',
    tag: 'Timbre',
    query: SynthesizeFields,
    answer: SynthesizeAnswer,
    audio: true,
  },
  'GET /audio/:file': { summary: 'A finished file', tag: 'Timbre', audio: true },
  'POST /v1/verify': {
    summary: 'Read the labels of an audio file',
    tag: 'Timbre',
    body: 'audio',
    answer: VerifyAnswer,
  },
  'GET /v1/voices': { summary: 'Voices', tag: 'Timbre', answer: VoicesAnswer },
  'GET /v1/adapters': { summary: 'Adapters (LoRA)', tag: 'Adapters', answer: AdaptersAnswer },
  'PUT /v1/adapters/:name': {
    summary: 'Store the next version of an adapter, used from the next request on',
    tag: 'Adapters',
    query: StoreAdapterQuery,
    body: 'file',
    answer: StoreAdapterAnswer,
  },
  'GET /v1/adapters/:name/versions': {
    summary: 'The versions of an adapter',
    tag: 'Adapters',
    answer: AdapterVersionsAnswer,
  },
  'DELETE /v1/adapters/:name': { summary: 'Remove an adapter with its versions', tag: 'Adapters' },
  'GET /v1/lexicons': { summary: 'Pronunciation lexicons', tag: 'Lexicons', answer: LexiconsAnswer },
  'PUT /v1/lexicons/:name': {
    summary: 'Store the next version of a lexicon, used from the next request on',
    tag: 'Lexicons',
    query: StoreLexiconQuery,
    body: StoreLexiconFields,
    fileTypes: ['text/csv', 'application/pls+xml'],
    answer: StoreLexiconAnswer,
  },
  'GET /v1/lexicons/:name': {
    summary: 'The entries of a lexicon, or the file',
    tag: 'Lexicons',
    query: ReadLexiconQuery,
    answer: LexiconAnswer,
  },
  'GET /v1/lexicons/:name/versions': {
    summary: 'The versions of a lexicon',
    tag: 'Lexicons',
    answer: LexiconVersionsAnswer,
  },
  'DELETE /v1/lexicons/:name': { summary: 'Remove a lexicon with its versions', tag: 'Lexicons' },
  'POST /v1/lexicons/preview': {
    summary: 'What a lexicon changes in a text, and both sounds',
    tag: 'Lexicons',
    body: PreviewLexiconFields,
    answer: PreviewLexiconAnswer,
  },
  'POST /v1/voices': {
    summary: 'Make a voice of recordings',
    tag: 'Voices',
    body: NewVoiceFields,
    files: { recordings: 'many' },
    answer: VoiceAnswer,
  },
  'POST /v1/voices/check': {
    summary: 'Say whether recordings are good enough, and what to improve',
    tag: 'Voices',
    body: CheckRecordingFields,
    files: { recordings: 'many' },
    answer: RecordingCheckAnswer,
  },
  'GET /v1/voices/:voice': { summary: 'A voice', tag: 'Voices', answer: VoiceAnswer },
  'PATCH /v1/voices/:voice': {
    summary: 'Rename a voice, switch it off or on, go back to a version',
    tag: 'Voices',
    body: VoiceChangeFields,
    answer: VoiceAnswer,
  },
  'DELETE /v1/voices/:voice': { summary: 'Destroy a voice with all its versions', tag: 'Voices' },
  'GET /v1/voices/:voice/versions': { summary: 'Versions of a voice', tag: 'Voices', answer: VersionsAnswer },
  'POST /v1/voices/:voice/versions': {
    summary: 'Another version: a style added or made anew',
    tag: 'Voices',
    body: NewVersionFields,
    files: { recordings: 'many' },
    answer: VoiceAnswer,
  },
  'GET /v1/voices/:voice/recording': {
    summary: 'A recording that a voice was made of',
    tag: 'Voices',
    query: RecordingQuery,
    audio: true,
  },
  'POST /v1/voices/:voice/preview': { summary: 'Hear a voice', tag: 'Voices', body: PreviewFields, audio: true },
  'GET /v1/voices/:voice/shares': { summary: 'Whom a voice is shared with', tag: 'Voices', answer: SharesAnswer },
  'POST /v1/voices/:voice/shares': { summary: 'Let a tenant use a voice', tag: 'Voices', body: ShareVoiceFields },
  'DELETE /v1/voices/:voice/shares/:tenant': { summary: 'End it', tag: 'Voices' },
  'POST /v1/consents': {
    summary: "A speaker's consent: a recorded statement or a signed document",
    tag: 'Consents',
    body: NewConsentFields,
    files: { recording: 'one', document: 'one' },
    answer: ConsentAnswer,
  },
  'GET /v1/consents': { summary: 'Consents', tag: 'Consents', answer: ConsentsAnswer },
  'GET /v1/consents/:consent': { summary: 'A consent', tag: 'Consents', answer: ConsentAnswer },
  'PATCH /v1/consents/:consent': {
    summary: 'Rename a consent',
    tag: 'Consents',
    body: ConsentChangeFields,
    answer: ConsentAnswer,
  },
  'GET /v1/consents/:consent/evidence': { summary: 'The recording or document', tag: 'Consents', audio: true },
  'POST /v1/consents/:consent/revoke': {
    summary: 'Take a consent back: its voices stop within a second',
    tag: 'Consents',
    body: RevokeConsentFields,
    answer: ConsentAnswer,
  },
  'DELETE /v1/consents/:consent': { summary: 'Revoke a consent and destroy its statement', tag: 'Consents' },
  'GET /v1/stream': { summary: 'WebSocket: text in pieces, audio as it is made', tag: 'Timbre' },
  'GET /readyz': { summary: 'Whether a synthesis would be taken now', tag: 'Operation', answer: ReadyAnswer },
  'GET /healthz': { summary: 'Whether the server lives', tag: 'Operation' },
  'GET /metrics': { summary: 'Prometheus metrics', tag: 'Operation' },
  'POST /v1/audio/speech': { summary: 'Say a text', tag: 'OpenAI', body: OpenAiSpeechFields, audio: true },
  'GET /v1/audio/voices': { summary: 'Voices', tag: 'OpenAI', answer: OpenAiVoicesAnswer },
  'POST /v1/audio/voices': {
    summary: 'Make a voice of a recording',
    tag: 'OpenAI',
    body: OpenAiNewVoiceFields,
    files: { audio_sample: 'one' },
    answer: OpenAiVoice,
  },
  'POST /v1/audio/voice_consents': {
    summary: 'Upload a recorded consent',
    tag: 'OpenAI',
    body: OpenAiNewConsentFields,
    files: { recording: 'one' },
    answer: OpenAiConsent,
  },
  'GET /v1/audio/voice_consents': {
    summary: 'Consents',
    tag: 'OpenAI',
    query: OpenAiListQuery,
    answer: OpenAiConsentList,
  },
  'GET /v1/audio/voice_consents/:consent': { summary: 'A consent', tag: 'OpenAI', answer: OpenAiConsent },
  'POST /v1/audio/voice_consents/:consent': {
    summary: 'Rename a consent',
    tag: 'OpenAI',
    body: OpenAiConsentChange,
    answer: OpenAiConsent,
  },
  'DELETE /v1/audio/voice_consents/:consent': {
    summary: 'Take a consent back',
    tag: 'OpenAI',
    answer: OpenAiConsentDeleted,
  },
  'POST /v1/voices/add': {
    summary: 'Make a voice of recordings',
    tag: 'ElevenLabs',
    body: ElevenLabsNewVoiceFields,
    files: { files: 'many' },
  },
  'GET /v1/models/:model': { summary: 'A model', tag: 'OpenAI', answer: OpenAiModel },
  'POST /v1/text-to-speech/:voice_id': elevenLabs('Say a text', { audio: true }),
  'POST /v1/text-to-speech/:voice_id/stream': elevenLabs('Say a text, as a stream', { audio: true }),
  'POST /v1/text-to-speech/:voice_id/with-timestamps': elevenLabs('Say a text, with times', {
    answer: ElevenLabsTimedSpeech,
  }),
  'POST /v1/text-to-speech/:voice_id/stream/with-timestamps': elevenLabs('Lines of JSON with audio and times', {}),
  'GET /v1/text-to-speech/:voice_id/stream-input': { summary: 'WebSocket: one text', tag: 'ElevenLabs' },
  'GET /v1/text-to-speech/:voice_id/multi-stream-input': { summary: 'WebSocket: several contexts', tag: 'ElevenLabs' },
  'POST /tts': { summary: 'Say a text', tag: 'Reference', body: ReferenceTtsFields, audio: true },
  'GET /tts': { summary: 'Say a text', tag: 'Reference', query: ReferenceTtsFields, audio: true },
  'POST /': { summary: 'Say a text (older server)', tag: 'Reference', body: LegacyTtsFields, audio: true },
  'GET /': { summary: 'Say a text (older server)', tag: 'Reference', query: LegacyTtsFields, audio: true },
};

function elevenLabs(summary: string, more: Partial<RouteDescription>): RouteDescription {
  return { summary, tag: 'ElevenLabs', body: ElevenLabsSpeechFields, query: ElevenLabsQuery, ...more };
}

/** `/openapi.json` (OpenAPI 3.1) of every route that is registered after it, and `/docs`, the same for reading. */
export function registerOpenApi(app: FastifyInstance): void {
  const paths: Record<string, Record<string, object>> = {};
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      if (method === 'HEAD' || method === 'OPTIONS') continue;
      const path = route.url.replaceAll(/:([A-Za-z_]+)/g, '{$1}');
      const operations = paths[path] ?? {};
      operations[method.toLowerCase()] = operationOf(method, route);
      paths[path] = operations;
    }
  });
  app.get('/openapi.json', { config: { access: 'public' } }, async (_request, reply) => {
    reply.header('cache-control', 'no-cache');
    return documentOf(paths);
  });
  app.get('/docs', { config: { access: 'public' } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(renderPage(paths)),
  );
}

function documentOf(paths: object): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Timbre',
      version: '1',
      description: 'Speech in voices of your own; clients of OpenAI, ElevenLabs and GPT-SoVITS work unchanged.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        key: { type: 'apiKey', in: 'header', name: 'xi-api-key' },
      },
      schemas: { Error: ErrorAnswer },
    },
    security: [{}, { bearer: [] }, { key: [] }],
    paths,
  };
}

const FILE = { type: 'string', format: 'binary' };
const BINARY = { schema: FILE };
const AUDIO_TYPES = [
  'application/octet-stream',
  'audio/wav',
  'audio/mpeg',
  'audio/aac',
  'audio/mp4',
  'audio/flac',
  'audio/ogg',
];

function operationOf(method: string, route: RouteOptions): object {
  const description = DESCRIPTIONS[`${method} ${route.url}`];
  const parameters = [
    ...[...route.url.matchAll(/:([A-Za-z_]+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...queryParameters(description?.query),
  ];
  return {
    summary: description?.summary ?? `${method} ${route.url}`,
    tags: [description?.tag ?? 'Timbre'],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(description?.body === undefined
      ? {}
      : { requestBody: { required: description.bodyOptional !== true, content: bodyContent(description) } }),
    responses: {
      '2XX': { description: 'Done.', content: answerContent(description) },
      default: {
        description: 'Refused or failed; the body has the shape of the dialect.',
        content: { 'application/json': {} },
      },
    },
  };
}

function bodyContent({ body, files, fileTypes = [] }: RouteDescription): object {
  if (body === 'file') return { 'application/octet-stream': BINARY };
  if (body === 'audio') return Object.fromEntries(AUDIO_TYPES.map((type) => [type, BINARY]));
  if (files === undefined) {
    const otherTypes = fileTypes.map((type) => [type, { schema: { type: 'string' } }]);
    return { 'application/json': { schema: body }, ...Object.fromEntries(otherTypes) };
  }
  return {
    'multipart/form-data': { schema: withFiles(body, files, FILE) },
    'application/json': { schema: withFiles(body, files, { type: 'string', contentEncoding: 'base64' }) },
  };
}

/** The fields of a form, or of the JSON object that is taken instead of one. */
function withFiles(schema: TSchema | undefined, files: NonNullable<RouteDescription['files']>, file: object): object {
  const properties: Record<string, object> = schema === undefined ? {} : Reflect.get(schema, 'properties');
  const added = Object.entries(files).map(([name, count]) => [
    name,
    count === 'many' ? { type: 'array', items: file, maxItems: 16 } : file,
  ]);
  return { ...schema, properties: { ...properties, ...Object.fromEntries(added) } };
}

function queryParameters(schema: TSchema | undefined): object[] {
  // TypeBox objects are JSON Schema: their properties are the parameters.
  const properties: Record<string, { description?: string }> =
    schema === undefined ? {} : Reflect.get(schema, 'properties');
  const required: readonly string[] = (schema === undefined ? undefined : Reflect.get(schema, 'required')) ?? [];
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema: property,
  }));
}

function answerContent(description: RouteDescription | undefined): object {
  return {
    ...(description?.answer === undefined ? {} : { 'application/json': { schema: description.answer } }),
    ...(description?.audio ? { 'audio/*': BINARY } : {}),
  };
}

/** No script and nothing from elsewhere: the page works offline and under our own policy. */
function renderPage(paths: Readonly<Record<string, Readonly<Record<string, object>>>>): string {
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => {
      const { summary, tags, requestBody, parameters } = operation as OperationFacts;
      const schema = requestBody?.content?.['application/json']?.schema;
      const fields = [
        ...Object.entries(schema?.properties ?? {}).map(([name, facts]) => field(name, facts)),
        ...(parameters ?? []).map(({ name, schema: facts }) => field(name, facts)),
      ];
      return `<section><h2><code>${method.toUpperCase()} ${escapeHtml(path)}</code></h2><p>${escapeHtml(`${tags[0]}: ${summary}`)}</p>${fields.length > 0 ? `<ul>${fields.join('')}</ul>` : ''}</section>`;
    }),
  );
  const style =
    'body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}h2{font-size:1.1rem;margin-bottom:0}p{margin:0}';
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Timbre API</title><style>${style}</style><h1>Timbre API</h1><p>For machines: <a href="/openapi.json">openapi.json</a>.</p>${rows.join('')}</html>`;
}

interface OperationFacts {
  readonly summary: string;
  readonly tags: readonly string[];
  readonly requestBody?: {
    readonly content?: Record<string, { readonly schema?: { readonly properties?: Record<string, object> } }>;
  };
  readonly parameters?: readonly { readonly name: string; readonly schema: object }[];
}

function field(name: string, facts: object): string {
  const description: unknown = Reflect.get(facts, 'description');
  return `<li><code>${escapeHtml(name)}</code>${typeof description === 'string' ? `: ${escapeHtml(description)}` : ''}</li>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
