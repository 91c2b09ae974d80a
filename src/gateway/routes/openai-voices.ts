import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  OpenAiConsentChange,
  OpenAiListQuery,
  OpenAiNewConsentFields,
  OpenAiNewVoiceFields,
} from '../../api/openai.js';
import type { Consent } from '../../catalog/consents.js';
import { AppError } from '../../errors.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields } from '../check-fields.js';
import { unixSeconds } from '../render-voices.js';
import { visibleVoices } from '../voice-directory.js';
import { onlyFile } from './consents.js';
import { idempotencyKey, JSON_BODY_BYTES, leaving, receive } from './voices.js';

const READ = { config: { dialect: 'openai', access: 'voices:read' } } as const;
const WRITE = { config: { dialect: 'openai', access: 'voices:write' } } as const;
const DEFAULT_LIMIT = 20;

const newVoice = compileFields(OpenAiNewVoiceFields, ['name']);
const newConsent = compileFields(OpenAiNewConsentFields, ['name']);
const consentChange = compileFields(OpenAiConsentChange, ['name']);
const listQuery = compileFields(OpenAiListQuery);

type ConsentRequest = FastifyRequest<{ Params: { consent: string } }>;

/** OpenAI's voices and consents, on the same catalog as ours. */
export function registerOpenAiVoiceRoutes(scope: FastifyInstance, gateway: GatewayOptions): void {
  const { voices, catalog } = gateway;
  const { consents } = voices;
  const large = { bodyLimit: JSON_BODY_BYTES };

  // What the other servers of this API have, and their clients ask for.
  scope.get('/v1/audio/voices', READ, async (request) => ({
    object: 'list',
    voices: (await visibleVoices(gateway, request)).map(({ id, name, created_at_unix }) => ({
      id,
      name,
      object: 'audio.voice',
      created_at: created_at_unix,
    })),
  }));

  scope.post('/v1/audio/voices', { ...WRITE, ...large }, async (request, reply) => {
    const { values, files } = receive(request, newVoice, ['audio_sample']);
    const given = newVoice.check(values);
    const { bytes, fileName } = onlyFile(files, 'audio_sample');
    const voice = await voices.create(
      callerOf(request),
      {
        name: given.name,
        // It has no transcript: the voice is the style of the sample.
        source: { recordings: [{ bytes, fileName }], transcript: null, language: 'auto' },
        consentId: given.consent ?? null,
        attestedBy: given.attested_by ?? null,
        requestKey: idempotencyKey(request),
      },
      catalog,
      { signal: leaving(reply) },
    );
    return { object: 'audio.voice', id: voice.id, name: voice.name, created_at: unixSeconds(voice.createdAt) };
  });

  scope.post('/v1/audio/voice_consents', { ...WRITE, ...large }, async (request, reply) => {
    const { values, files } = receive(request, newConsent, ['recording']);
    const given = newConsent.check(values);
    const consent = await consents.create(
      callerOf(request),
      {
        ...given,
        kind: 'recording',
        evidence: onlyFile(files).bytes,
        speaker: null,
        text: null,
        scope: '',
        sharing: false,
        validFrom: null,
        validUntil: null,
        requestKey: idempotencyKey(request),
      },
      catalog,
      leaving(reply),
    );
    return renderConsent(consent);
  });

  scope.get('/v1/audio/voice_consents', READ, async (request) => {
    const { limit = DEFAULT_LIMIT, after } = listQuery.check(listQuery.readQuery(request.query));
    const all = (await consents.list(callerOf(request).tenantId)).filter(({ state }) => state !== 'revoked');
    const start = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && start === 0) {
      throw new AppError('CONSENT_NOT_FOUND', 'there is no consent that "after" names');
    }
    const data = all.slice(start, start + limit).map(renderConsent);
    return {
      object: 'list',
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: start + limit < all.length,
    };
  });

  scope.get('/v1/audio/voice_consents/:consent', READ, async (request: ConsentRequest) =>
    renderConsent(await consents.get(callerOf(request).tenantId, request.params.consent)),
  );

  scope.post('/v1/audio/voice_consents/:consent', WRITE, async (request: ConsentRequest) => {
    const { name } = consentChange.check(request.body);
    return renderConsent(await consents.rename(callerOf(request), request.params.consent, name));
  });

  // Whoever deletes a consent takes it back.
  scope.delete('/v1/audio/voice_consents/:consent', WRITE, async (request: ConsentRequest) => {
    await consents.remove(callerOf(request), request.params.consent);
    return { object: 'audio.voice_consent', id: request.params.consent, deleted: true };
  });
}

function renderConsent({ id, name, language, createdAt }: Consent) {
  return { object: 'audio.voice_consent', id, name, language, created_at: unixSeconds(createdAt) };
}
