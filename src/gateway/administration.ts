import type { FastifyRequest } from 'fastify';
import type { AuditLog } from '../audit/audit-log.js';
import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import { type Caller, requireScope } from '../tenancy/caller.js';
import type { Scope } from '../tenancy/scopes.js';
import type { MasterKeys } from '../vault/master-keys.js';
import type { Vault } from '../vault/vault.js';
import { callerOf } from './authentication.js';

/** What administration works on. */
export interface Administration {
  readonly database: Database;
  readonly audit: AuditLog;
  readonly vault: Vault;
  readonly masterKeys: MasterKeys;
}

/**
 * Who acts on the tenant that the address names: its own callers with `scope`, and those of the operator with
 * `platform:admin`. The tenant of the caller returned is the one acted on, so that the act is on its record.
 *
 * Throws `TENANT_NOT_FOUND` for another tenant, whether there is one or not, and `FORBIDDEN` for one's own.
 */
export function actingOn(request: FastifyRequest, scope: Scope): Caller {
  const caller = callerOf(request);
  const tenantId = tenantOf(request);
  if (tenantId === caller.tenantId) requireScope(caller, scope);
  else if (!caller.scopes.has('platform:admin')) {
    throw new AppError('TENANT_NOT_FOUND', 'there is no such tenant, or it is not yours');
  }
  return { ...caller, tenantId };
}

/** The operator, acting on the tenant of the address. Throws as {@link actingOn}. */
export function operatingOn(request: FastifyRequest): Caller {
  return actingOn(request, 'platform:admin');
}

function tenantOf(request: FastifyRequest): string {
  // The routes that use this have `:tenant` in their address.
  return (request.params as { readonly tenant: string }).tenant;
}
