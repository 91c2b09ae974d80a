import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ConsentChangeFields, NewConsentFields, RevokeConsentFields } from '../../api/voices.js';
import { AppError } from '../../errors.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields, FieldError } from '../check-fields.js';
import type { FormFile } from '../forms.js';
import { renderConsent } from '../render-voices.js';
import { idempotencyKey, JSON_BODY_BYTES, leaving, receive, sendSealed } from './voices.js';

const WRITE = { config: { access: 'voices:write' } } as const;
const READ = { config: { access: 'voices:read' } } as const;
/** Who speaks and what was said: for those who check, and those who may do anything. */
const EVIDENCE = { config: { access: 'audit:read' } } as const;

const newConsent = compileFields(NewConsentFields, ['name', 'speaker', 'text', 'scope']);
const changes = compileFields(ConsentChangeFields, ['name']);
const revocation = compileFields(RevokeConsentFields, ['reason']);

type ConsentRequest = FastifyRequest<{ Params: { consent: string } }>;

/** `/v1/consents`: speakers' consents, and how they end. */
export function registerConsentRoutes(scope: FastifyInstance, { voices, catalog }: GatewayOptions): void {
  const { consents } = voices;

  scope.post('/v1/consents', { ...WRITE, bodyLimit: JSON_BODY_BYTES }, async (request, reply) => {
    const { values, files } = receive(request, newConsent, ['recording', 'document']);
    const given = newConsent.check(values);
    const file = onlyFile(files);
    const consent = await consents.create(
      callerOf(request),
      {
        name: given.name,
        language: given.language,
        kind: file.field === 'document' ? 'document' : 'recording',
        evidence: file.bytes,
        speaker: given.speaker ?? null,
        text: given.text ?? null,
        scope: given.scope ?? '',
        sharing: given.sharing ?? false,
        validFrom: readTime('valid_from', given.valid_from),
        validUntil: readTime('valid_until', given.valid_until),
        requestKey: idempotencyKey(request),
      },
      catalog,
      leaving(reply),
    );
    return reply.code(201).header('location', `/v1/consents/${consent.id}`).send(renderConsent(consent));
  });

  scope.get('/v1/consents', READ, async (request) => ({
    consents: (await consents.list(callerOf(request).tenantId)).map((consent) => renderConsent(consent)),
  }));

  scope.get('/v1/consents/:consent', READ, async (request: ConsentRequest) => {
    const { tenantId, scopes } = callerOf(request);
    const { consent } = request.params;
    const found = await consents.get(tenantId, consent);
    return renderConsent(found, scopes.has('audit:read') ? await consents.facts(tenantId, consent) : undefined);
  });

  scope.get('/v1/consents/:consent/evidence', EVIDENCE, async (request: ConsentRequest, reply) => {
    const caller = callerOf(request);
    const { consent, sizeBytes, read } = await consents.evidence(caller.tenantId, request.params.consent);
    await voices.calls.record(caller, 'consent.evidence.read', { consent: consent.id });
    return sendSealed(reply, { sizeBytes, mediaType: consent.mediaType, read });
  });

  scope.patch('/v1/consents/:consent', WRITE, async (request: ConsentRequest) =>
    renderConsent(await consents.rename(callerOf(request), request.params.consent, changes.check(request.body).name)),
  );

  scope.post('/v1/consents/:consent/revoke', WRITE, async (request: ConsentRequest) => {
    const { reason } = revocation.check(request.body ?? {});
    return renderConsent(await consents.revoke(callerOf(request), request.params.consent, reason ?? null));
  });

  scope.delete('/v1/consents/:consent', WRITE, async (request: ConsentRequest) => {
    await consents.remove(callerOf(request), request.params.consent);
    return { id: request.params.consent, deleted: true };
  });
}

export function onlyFile(files: readonly FormFile[], field = 'recording'): FormFile {
  const [file] = files;
  if (file !== undefined && files.length === 1) return file;
  throw new FieldError(
    'REQUEST_INVALID',
    field,
    `${files.length} files came with the request; expected one ${field}${field === 'recording' ? ', or one document' : ''}`,
  );
}

const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

function readTime(field: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const date = TIME.test(text) ? new Date(text) : new Date(Number.NaN);
  if (!Number.isNaN(date.getTime())) return date;
  throw new AppError('REQUEST_INVALID', `${field} is no time; expected ISO 8601, such as 2027-01-31T00:00:00Z`);
}
