import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import {
  type Adapter,
  type AdaptersAnswer,
  type AdapterVersionsAnswer,
  type StoreAdapterAnswer,
  StoreAdapterQuery,
} from '../../api/adapters.js';
import { type AdapterRecord, checkAdapterName, MAX_ADAPTER_BYTES } from '../../catalog/adapters.js';
import { AppError } from '../../errors.js';
import type { AdapterFacts } from '../../jobs/engine-catalog.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields } from '../check-fields.js';
import { withinTime } from '../voice-directory.js';

const READ = { config: { access: 'voices:read' } } as const;
const WRITE = { config: { access: 'voices:write' } } as const;
/** Each is in memory several times while it is read and sealed. */
const MAX_AT_ONCE = 4;

const storeQuery = compileFields(StoreAdapterQuery);

interface Named {
  readonly Params: { readonly name: string };
}

/** `/v1/adapters`: a tenant's adapters (LoRA); what is stored is used from the next request on. */
export function registerAdapterRoutes(app: FastifyInstance, { adapters, catalog }: GatewayOptions): void {
  let running = 0;
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer', bodyLimit: MAX_ADAPTER_BYTES },
    (_request, body, done) => done(null, body),
  );

  app.get('/v1/adapters', READ, async (request): Promise<AdaptersAnswer> => {
    const records = await adapters.list(callerOf(request).tenantId);
    return { adapters: records.map(renderAdapter) };
  });

  app.get<Named>('/v1/adapters/:name/versions', READ, async (request): Promise<AdapterVersionsAnswer> => {
    const records = await adapters.versions(callerOf(request).tenantId, request.params.name);
    return { versions: records.map(renderAdapter) };
  });

  app.put<Named>(
    '/v1/adapters/:name',
    { ...WRITE, bodyLimit: MAX_ADAPTER_BYTES },
    async (request, reply): Promise<StoreAdapterAnswer> => {
      const { name } = request.params;
      checkAdapterName(name);
      const { model, check = false } = storeQuery.check(storeQuery.readQuery(request.query));
      const bytes = request.body;
      if (!Buffer.isBuffer(bytes) || bytes.length === 0) {
        throw new AppError(
          'MEDIA_TYPE_UNSUPPORTED',
          'the body must be a safetensors file in the layout of PEFT, as "Content-Type: application/octet-stream"',
        );
      }
      if (running >= MAX_AT_ONCE) {
        throw new AppError('ENGINE_OVERLOADED', `${MAX_AT_ONCE} adapters are being stored already; try again shortly`);
      }
      running++;
      try {
        const asked = { name, bytes, ...(model === undefined ? {} : { model }) };
        const facts = await withinTime((signal) => catalog.checkAdapter(asked, { signal }));
        if (check) {
          const digest = createHash('sha256').update(bytes).digest('hex');
          return { name, version: null, ...renderFacts(facts), size_bytes: bytes.length, digest };
        }
        const { version, sizeBytes, digest } = await adapters.store(callerOf(request), name, bytes, facts);
        reply.code(201);
        return { name, version, ...renderFacts(facts), size_bytes: sizeBytes, digest };
      } finally {
        running--;
      }
    },
  );

  app.delete<Named>('/v1/adapters/:name', WRITE, async (request, reply) => {
    await adapters.remove(callerOf(request), request.params.name);
    return reply.code(204).send();
  });
}

function renderFacts({ model, text2semanticRank, sovitsRank, parameterCount }: AdapterFacts) {
  return { model, text2semantic_rank: text2semanticRank, sovits_rank: sovitsRank, parameters: parameterCount };
}

function renderAdapter(record: AdapterRecord): Adapter {
  const { name, version, sizeBytes, digest, createdAt, createdBy } = record;
  return {
    name,
    version,
    ...renderFacts(record),
    size_bytes: sizeBytes,
    digest,
    created_at: createdAt.toISOString(),
    created_by: createdBy,
  };
}
