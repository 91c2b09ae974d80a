import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { type AuditReport, UsageQuery } from '../../api/admin.js';
import { exportChain, readChain, verifyChain } from '../../audit/verify.js';
import { AppError } from '../../errors.js';
import { getTenant } from '../../tenancy/tenants.js';
import { readUsage, usageCsv } from '../../tenancy/usage.js';
import { keyStatus, rotateTenantKey } from '../../vault/rotation.js';
import { actingOn, operatingOn } from '../administration.js';
import type { GatewayOptions } from '../app.js';
import { compileFields, FieldError } from '../check-fields.js';

const usageQuery = compileFields(UsageQuery);
const HOUR_MS = 3_600_000;

/** What a tenant used, what is on its record, and what its data are encrypted under. */
export function registerAdminRecordRoutes(app: FastifyInstance, { administration, calls }: GatewayOptions): void {
  const { database, audit, masterKeys, vault } = administration;
  const any = { config: { access: 'any' } } as const;
  const tenant = '/v1/admin/tenants/:tenant';

  app.get(`${tenant}/usage`, any, async (request, reply) => {
    const { tenantId } = actingOn(request, 'usage:read');
    const given = usageQuery.check(usageQuery.readQuery(request.query));
    await getTenant(database, tenantId);
    // What calls have ended with may still be on its way from the spool.
    await audit.flush();
    const now = new Date();
    const from = readTime('from', given.from) ?? new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
    const to = readTime('to', given.to) ?? new Date(now.getTime() + HOUR_MS);
    const rows = await readUsage(database, tenantId, { from, to });
    if (given.format === 'csv') return reply.type('text/csv; charset=utf-8').send(usageCsv(rows));
    return {
      usage: rows.map(({ hour, principal, audioMs, voice, requests, failures, characters }) => ({
        hour: hour.toISOString(),
        caller: principal,
        voice,
        requests,
        failures,
        characters,
        audio_seconds: audioMs / 1000,
      })),
    };
  });

  app.get(`${tenant}/audit`, any, async (request, reply) => {
    const caller = actingOn(request, 'audit:read');
    await getTenant(database, caller.tenantId);
    await calls.record(caller, 'audit.exported', {});
    await audit.flush();
    const lines = exportChain(await readChain(database, caller.tenantId), masterKeys.signingKey);
    return reply.type('application/x-ndjson').send(Readable.from(lines));
  });

  app.get(`${tenant}/audit/verify`, any, async (request): Promise<AuditReport> => {
    const { tenantId } = actingOn(request, 'audit:read');
    await getTenant(database, tenantId);
    await audit.flush();
    const source = await readChain(database, tenantId);
    const none = { records: 0, firstSeq: 0, lastSeq: 0, anchors: 0 };
    const { problem, ...report } = await verifyChain(source, masterKeys.verifyingKeys).then(
      (verified) => ({ ...verified, problem: null }),
      (error: unknown) => {
        if (error instanceof AppError && error.code === 'AUDIT_BROKEN') return { ...none, problem: error.message };
        throw error;
      },
    );
    return {
      tenant: tenantId,
      intact: problem === null,
      problem,
      records: report.records,
      first_seq: report.firstSeq,
      last_seq: report.lastSeq,
      anchors: report.anchors,
      waiting: audit.waiting,
    };
  });

  app.get('/v1/admin/encryption-keys', { config: { access: 'platform:admin' } }, async () => ({
    master_key: masterKeys.currentId,
    tenants: (await keyStatus(database)).map((status) => ({
      tenant: status.tenantId,
      version: status.version,
      created_at: status.createdAt.toISOString(),
      age_days: status.ageDays,
      master_key: status.masterKey,
      behind: status.behind,
      versions: status.versions,
    })),
  }));

  app.post(`${tenant}/encryption-key/rotate`, any, async (request) => {
    const caller = operatingOn(request);
    const { tenantId, version, rewrappedObjects, destroyedVersions } = await calls.act(
      caller,
      'encryption-key.rotate',
      { master: false },
      () => rotateTenantKey(database, masterKeys, caller.tenantId, { keys: vault.keys }),
      (report) => ({ version: report.version, objects: report.rewrappedObjects }),
    );
    return { tenant: tenantId, version, rewrapped_objects: rewrappedObjects, destroyed_versions: destroyedVersions };
  });
}

function readTime(field: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new FieldError('REQUEST_INVALID', field, `${field} is no time; expected one such as 2026-11-27T00:00:00Z`);
}
