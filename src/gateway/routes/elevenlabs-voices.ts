import type { FastifyInstance } from 'fastify';
import { ElevenLabsNewVoiceFields } from '../../api/elevenlabs.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields } from '../check-fields.js';
import { idempotencyKey, JSON_BODY_BYTES, leaving, receive, styleOf } from './voices.js';

const CONFIG = { dialect: 'elevenlabs', access: 'voices:write' } as const;
const fields = compileFields(ElevenLabsNewVoiceFields, ['name', 'description']);

/** ElevenLabs's `/v1/voices/add`; its other routes for voices are at the addresses of ours. */
export function registerElevenLabsVoiceRoutes(scope: FastifyInstance, { voices, catalog }: GatewayOptions): void {
  scope.post('/v1/voices/add', { config: CONFIG, bodyLimit: JSON_BODY_BYTES }, async (request, reply) => {
    const { values, files } = receive(request, fields, ['files', 'files[]']);
    const given = fields.check(values);
    const voice = await voices.create(
      callerOf(request),
      {
        name: given.name,
        ...(given.description === undefined ? {} : { description: given.description }),
        ...(given.labels === undefined ? {} : { labels: given.labels }),
        source: styleOf({}, files),
        consentId: given.consent ?? null,
        attestedBy: given.attested_by ?? null,
        requestKey: idempotencyKey(request),
      },
      catalog,
      { signal: leaving(reply) },
    );
    return { voice_id: voice.id, requires_verification: false };
  });
}
