import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  CheckRecordingFields,
  NewVersionFields,
  NewVoiceFields,
  PreviewFields,
  type RecordingCheckAnswer,
  RecordingQuery,
  ShareVoiceFields,
  VoiceChangeFields,
} from '../../api/voices.js';
import { DEFAULT_STYLE, styledName, voiceNotFound } from '../../catalog/voice-access.js';
import type { NewStyle } from '../../catalog/voice-catalog.js';
import { listShares, shareVoice, unshareVoice } from '../../catalog/voice-shares.js';
import { AppError } from '../../errors.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields, FieldError } from '../check-fields.js';
import { type FormFile, formOf, type ReceivedForm } from '../forms.js';
import { renderVersion, renderVoice } from '../render-voices.js';
import { openSpeech } from '../speech.js';
import { cancelWhenGone, sendSpeech } from '../speech-reply.js';
import { checkText, chooseSeed } from '../synthesis-input.js';
import { listPool, voiceNamesOf } from '../voice-directory.js';

const WRITE = { config: { access: 'voices:write' } } as const;
const READ = { config: { access: 'voices:read' } } as const;
const OPERATOR = { config: { access: 'platform:admin' } } as const;
/** 16 recordings in base64; forms have their own bound. */
export const JSON_BODY_BYTES = 32 * 1024 * 1024;
const RECORDINGS = 'recordings';

const newVoice = compileFields(NewVoiceFields, ['transcript', 'name', 'description']);
const newVersion = compileFields(NewVersionFields, ['transcript']);
const check = compileFields(CheckRecordingFields, ['transcript']);
const voiceChanges = compileFields(VoiceChangeFields, ['name', 'description']);
const preview = compileFields(PreviewFields, ['text']);
const share = compileFields(ShareVoiceFields);
const recordingQuery = compileFields(RecordingQuery);

/** What a preview says where nobody wrote anything. */
const PREVIEW_TEXTS: Readonly<Record<string, string>> = {
  zh: '你好，很高兴为您服务。',
  yue: '你好，好高興為你服務。',
  ja: 'こんにちは。どうぞよろしくお願いします。',
  ko: '안녕하세요. 만나서 반갑습니다.',
  en: 'Hello, it is a pleasure to meet you.',
};

type VoiceRequest = FastifyRequest<{ Params: { voice: string } }>;

/** Our own routes to make, change and delete voices; those that read them are in `catalog.ts`. */
export function registerVoiceRoutes(scope: FastifyInstance, gateway: GatewayOptions): void {
  const { voices, catalog } = gateway;
  const large = { bodyLimit: JSON_BODY_BYTES };

  scope.post('/v1/voices', { ...WRITE, ...large }, async (request, reply) => {
    const { values, files } = receive(request, newVoice);
    const given = newVoice.check(values);
    const voice = await voices.create(
      callerOf(request),
      {
        ...(given.id === undefined ? {} : { id: given.id }),
        name: given.name ?? given.id ?? 'Voice',
        ...(given.description === undefined ? {} : { description: given.description }),
        ...(given.labels === undefined ? {} : { labels: given.labels }),
        ...(given.model === undefined ? {} : { model: given.model }),
        source: styleOf(given, files),
        consentId: given.consent ?? null,
        attestedBy: given.attested_by ?? null,
        requestKey: idempotencyKey(request),
      },
      catalog,
      { taken: await poolNames(gateway, request), signal: leaving(reply) },
    );
    return reply.code(201).header('location', `/v1/voices/${voice.id}`).send(renderVoice(voice));
  });

  scope.post('/v1/voices/check', { ...WRITE, ...large }, async (request, reply): Promise<RecordingCheckAnswer> => {
    const { values, files } = receive(request, check);
    const given = check.check(values);
    const checks = await catalog.checkRecordings(
      { name: 'check', ...styleOf(given, files), ...(given.model === undefined ? {} : { model: given.model }) },
      { signal: leaving(reply) },
    );
    return {
      accepted: checks.every(({ outcome }) => outcome !== 'refused'),
      checks: checks.map((each) => ({ ...each })),
    };
  });

  scope.post('/v1/voices/:voice/versions', { ...WRITE, ...large }, async (request: VoiceRequest, reply) => {
    const { values, files } = receive(request, newVersion);
    const given = newVersion.check(values);
    const voice = await voices.addVersion(
      callerOf(request),
      request.params.voice,
      {
        ...(given.style === undefined ? {} : { style: given.style }),
        ...(given.model === undefined ? {} : { model: given.model }),
        source: files.length === 0 ? null : styleOf(given, files),
        consentId: given.consent ?? null,
        attestedBy: given.attested_by ?? null,
        requestKey: idempotencyKey(request),
      },
      catalog,
      { signal: leaving(reply) },
    );
    return reply.code(201).send(renderVoice(voice));
  });

  scope.get('/v1/voices/:voice/versions', READ, async (request: VoiceRequest) => ({
    versions: (await voices.versions(callerOf(request).tenantId, request.params.voice)).map(renderVersion),
  }));

  scope.patch('/v1/voices/:voice', WRITE, async (request: VoiceRequest) => {
    const { version, ...given } = voiceChanges.check(request.body);
    const changes = { ...given, ...(version === undefined ? {} : { currentVersion: version }) };
    return renderVoice(await voices.update(callerOf(request), request.params.voice, changes));
  });

  // ElevenLabs's clients delete at the same address, and read `status`.
  scope.delete('/v1/voices/:voice', WRITE, async (request: VoiceRequest) => {
    await voices.remove(callerOf(request), request.params.voice);
    return { status: 'ok', id: request.params.voice, deleted: true };
  });

  scope.get('/v1/voices/:voice/recording', WRITE, async (request: VoiceRequest, reply) => {
    const { style = DEFAULT_STYLE, position = 0 } = recordingQuery.check(recordingQuery.readQuery(request.query));
    const caller = callerOf(request);
    const { voice } = request.params;
    const recording = await voices.recording(caller.tenantId, voice, { style, position });
    await voices.calls.record(caller, 'voice.recording.read', { voice, style, position });
    return sendSealed(reply, recording);
  });

  scope.post(
    '/v1/voices/:voice/preview',
    { config: { access: 'speech' } },
    async (request: VoiceRequest, reply) => await sendPreview(gateway, request, reply),
  );

  scope.get('/v1/voices/:voice/shares', OPERATOR, async (request: VoiceRequest) => {
    const { owner } = await ownerOf(gateway, request);
    const shares = await listShares(gateway.database, owner === null ? {} : { ownerId: owner });
    return {
      shares: shares
        .filter(({ voiceId, ownerId }) => voiceId === request.params.voice && ownerId === owner)
        .map(({ tenantId, voiceId, createdAt }) => ({
          tenant: tenantId,
          voice: voiceId,
          created_at: createdAt.toISOString(),
        })),
    };
  });

  scope.post('/v1/voices/:voice/shares', OPERATOR, async (request: VoiceRequest, reply) => {
    const { tenant } = share.check(request.body);
    const caller = callerOf(request);
    const { voice } = request.params;
    const { owner } = await ownerOf(gateway, request);
    const made = await voices.calls.act(caller, 'voice.share', { voice, tenant }, () =>
      shareVoice(gateway.database, voices, caller, { voiceId: voice, ownerId: owner, tenantId: tenant }),
    );
    return reply.code(201).send({ tenant, voice, created_at: made.createdAt.toISOString() });
  });

  scope.delete<{ Params: { voice: string; tenant: string } }>(
    '/v1/voices/:voice/shares/:tenant',
    OPERATOR,
    async (request) => {
      const { voice, tenant } = request.params;
      await voices.calls.act(callerOf(request), 'voice.unshare', { voice, tenant }, () =>
        unshareVoice(gateway.database, voices, { voiceId: voice, tenantId: tenant }),
      );
      return { tenant, voice, deleted: true };
    },
  );
}

/** Whose voice an operator means: his tenant's own, or a file of the pool. */
async function ownerOf(
  { voices, catalog }: GatewayOptions,
  request: VoiceRequest,
): Promise<{ readonly owner: string | null }> {
  const { tenantId } = callerOf(request);
  const own = (await voices.list(tenantId)).some(({ id }) => id === request.params.voice);
  if (own) return { owner: tenantId };
  const pool = await catalog.listVoices();
  if (pool.some(({ name }) => name === request.params.voice)) return { owner: null };
  throw voiceNotFound();
}

async function sendPreview(gateway: GatewayOptions, request: VoiceRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { config, voices } = gateway;
  const given = preview.check(request.body ?? {});
  const { tenantId } = callerOf(request);
  const name = styledName(request.params.voice, given.style ?? DEFAULT_STYLE);
  const own = await voices.access.has(tenantId, name);
  const language = own ? await languageOf(gateway, tenantId, request.params.voice) : 'auto';
  const text = given.text ?? PREVIEW_TEXTS[language.replace('all_', '')] ?? PREVIEW_TEXTS['zh'] ?? '';
  const cancel = cancelWhenGone(reply, config);
  reply.header('cache-control', 'no-store');
  const open = await openSpeech(gateway, {
    request,
    id: request.id,
    speech: { text, voice: name, language: 'auto', speed: 1, seed: chooseSeed(undefined, config) },
    textCharacters: checkText(text, config.maxTextCharacters),
    output: { encoding: given.format ?? 'wav', layout: 'stream' },
    repeatable: false,
    cancel,
  });
  return sendSpeech(reply, open, cancel);
}

async function languageOf({ voices }: GatewayOptions, tenantId: string, id: string): Promise<string> {
  const known = [...(await voices.list(tenantId)), ...(await voices.listShared(tenantId))];
  return known.find((voice) => voice.id === id)?.language ?? 'auto';
}

/** A form's texts as what their fields are; JSON as it is. */
export function receive(
  request: FastifyRequest,
  { readQuery }: { readonly readQuery: (values: unknown) => Record<string, unknown> },
  fileFields: readonly string[] = [RECORDINGS],
): ReceivedForm {
  const { values, files } = formOf(request, fileFields);
  if (request.form === null) return { values, files };
  for (const { field } of files) {
    if (fileFields.includes(field)) continue;
    throw new FieldError('REQUEST_INVALID', field, `the form's files are called ${fileFields.join(' or ')}`);
  }
  const read = readQuery(values);
  if (typeof read['labels'] === 'string') read['labels'] = parseLabels(read['labels']);
  return { values: read, files };
}

function parseLabels(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError('REQUEST_INVALID', 'labels is not a JSON object such as {"accent": "northern"}', {
      cause: error,
    });
  }
}

export function styleOf(
  given: { readonly language?: NewStyle['language']; readonly transcript?: string },
  files: readonly FormFile[],
): NewStyle {
  if (files.length === 0) {
    throw new FieldError(
      'REQUEST_INVALID',
      RECORDINGS,
      'there are no recordings; send them as files of a form, or in base64 in a JSON object',
    );
  }
  return {
    recordings: files.map(({ bytes, fileName }) => ({ bytes, fileName })),
    transcript: given.transcript ?? null,
    language: given.language ?? 'auto',
  };
}

/** Names of the pool that the tenant sees: its own voices must not take them. */
async function poolNames(gateway: GatewayOptions, request: FastifyRequest): Promise<string[]> {
  return (await listPool(voiceNamesOf(gateway, request))).map(({ name }) => name);
}

/** What a caller sends so that a repeated request is done once; only a digest of it is kept. */
export function idempotencyKey(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key !== 'string' || key.length < 1 || key.length > 255) {
    throw new AppError('REQUEST_INVALID', 'the Idempotency-Key has 1 to 255 characters');
  }
  return createHash('sha256').update(`${request.routeOptions.url} ${key}`).digest('hex');
}

/** Aborts when the caller goes away before the answer. */
export function leaving(reply: FastifyReply): AbortSignal {
  const abort = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) abort.abort(new AppError('REQUEST_CANCELLED', 'the caller left before the end'));
  });
  return abort.signal;
}

/** A recording or document of the vault, as it was given; nothing that a browser would show or keep. */
export function sendSealed(
  reply: FastifyReply,
  object: { readonly sizeBytes: number; readonly mediaType: string; read(): AsyncGenerator<Buffer> },
): FastifyReply {
  return reply
    .type(object.mediaType)
    .header('content-length', object.sizeBytes)
    .header('content-disposition', 'attachment')
    .header('cache-control', 'no-store')
    .send(Readable.from(object.read(), { objectMode: false }));
}
