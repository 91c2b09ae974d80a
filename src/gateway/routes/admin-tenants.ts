import type { FastifyInstance } from 'fastify';
import { type AdminTenant, NewTenantFields, TenantChangeFields } from '../../api/admin.js';
import {
  createTenant,
  deleteTenant,
  getTenant,
  type Limits,
  listTenants,
  setLimits,
  setOwnRecordingsAllowed,
  setPoolVoices,
  setSuspended,
  type Tenant,
} from '../../tenancy/tenants.js';
import { actingOn, operatingOn } from '../administration.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields } from '../check-fields.js';

const newTenant = compileFields(NewTenantFields);
const change = compileFields(TenantChangeFields);

/** Of the operator: `platform:admin`; a tenant's own administrators may look at theirs. */
export function registerAdminTenantRoutes(
  app: FastifyInstance,
  { administration, calls, voices }: GatewayOptions,
): void {
  const { database, vault } = administration;
  const operator = { config: { access: 'platform:admin' } } as const;
  // Which tenant it is decides, in the handler, what the caller needs.
  const any = { config: { access: 'any' } } as const;

  app.get('/v1/admin/tenants', operator, async () => ({ tenants: (await listTenants(database)).map(renderTenant) }));

  app.post('/v1/admin/tenants', operator, async (request, reply) => {
    const { id, name } = newTenant.check(request.body);
    const made = await createTenant(database, { id, ...(name === undefined ? {} : { displayName: name }) });
    // A tenant has no chain before it exists: its first record is that it was made.
    await calls.record({ ...callerOf(request), tenantId: id }, 'tenant.created', { id });
    return reply.code(201).send(renderTenant(made));
  });

  app.get('/v1/admin/tenants/:tenant', any, async (request) =>
    renderTenant(await getTenant(database, actingOn(request, 'tenant:admin').tenantId)),
  );

  app.patch('/v1/admin/tenants/:tenant', any, async (request) => {
    const caller = operatingOn(request);
    const { tenantId } = caller;
    const { state, own_recordings_allowed: ownRecordings, pool_voices: pool, limits } = change.check(request.body);
    let tenant = await getTenant(database, tenantId);
    if (limits !== undefined && Object.keys(limits).length > 0) {
      const wanted = readLimits(limits);
      tenant = await calls.act(caller, 'tenant.limits', { ...wanted }, () => setLimits(database, tenantId, wanted));
    }
    if (ownRecordings !== undefined) {
      const details = { own_recordings: ownRecordings };
      const work = () => setOwnRecordingsAllowed(database, tenantId, ownRecordings);
      tenant = await calls.act(caller, 'tenant.policy', details, work);
    }
    if (pool !== undefined) {
      tenant = await calls.act(caller, 'tenant.policy', { pool }, () => setPoolVoices(database, tenantId, pool));
    }
    voices.access.forgetTenant(tenantId);
    if (state !== undefined) {
      const suspended = state === 'suspended';
      const type = suspended ? 'tenant.suspend' : 'tenant.resume';
      tenant = await calls.act(caller, type, {}, () => setSuspended(database, tenantId, suspended));
    }
    return renderTenant(tenant);
  });

  app.delete('/v1/admin/tenants/:tenant', any, async (request) => {
    const caller = operatingOn(request);
    const { tenantId } = caller;
    return await calls.act(caller, 'tenant.delete', {}, async () => {
      const deleted = await deleteTenant(database, tenantId);
      await voices.stops.look();
      await vault.sweepTenant(tenantId);
      return renderTenant(deleted);
    });
  });
}

function renderTenant({
  id,
  displayName,
  state,
  createdAt,
  deletedAt,
  limits,
  ownRecordingsAllowed,
  poolVoices,
}: Tenant): AdminTenant {
  return {
    id,
    name: displayName,
    state,
    created_at: createdAt.toISOString(),
    deleted_at: deletedAt?.toISOString() ?? null,
    own_recordings_allowed: ownRecordingsAllowed,
    pool_voices: poolVoices,
    limits: {
      weight: limits.weight,
      requests_per_minute: limits.requestsPerMinute,
      characters_per_minute: limits.charactersPerMinute,
      characters_per_month: limits.charactersPerMonth,
      concurrent_streams: limits.concurrentStreams,
      storage_bytes: limits.storageBytes,
    },
  };
}

const LIMIT_NAMES: Readonly<Record<keyof AdminTenant['limits'], keyof Limits>> = {
  weight: 'weight',
  requests_per_minute: 'requestsPerMinute',
  characters_per_minute: 'charactersPerMinute',
  characters_per_month: 'charactersPerMonth',
  concurrent_streams: 'concurrentStreams',
  storage_bytes: 'storageBytes',
};

function readLimits(given: Partial<AdminTenant['limits']>): Partial<Limits> {
  const names = Object.keys(given) as (keyof AdminTenant['limits'])[]; // as the schema allows no others
  return Object.fromEntries(names.map((name) => [LIMIT_NAMES[name], given[name]]));
}
