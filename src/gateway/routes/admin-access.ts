import type { FastifyInstance } from 'fastify';
import {
  type AdminKey,
  type AdminMember,
  MemberFields,
  MemberQuery,
  NewKeyFields,
  RotateKeyFields,
} from '../../api/admin.js';
import { AppError } from '../../errors.js';
import {
  type ApiKey,
  createApiKey,
  getApiKey,
  type IssuedKey,
  listApiKeys,
  revokeApiKey,
  rotateApiKey,
} from '../../tenancy/api-keys.js';
import { type Caller, principalName } from '../../tenancy/caller.js';
import { addMember, listMembers, type Member, removeMember } from '../../tenancy/members.js';
import { DEFAULT_KEY_SCOPES, isScope, ROLE_SCOPES, SCOPES, type Scope } from '../../tenancy/scopes.js';
import { actingOn } from '../administration.js';
import type { GatewayOptions } from '../app.js';
import { compileFields, FieldError } from '../check-fields.js';

const newKey = compileFields(NewKeyFields);
const rotation = compileFields(RotateKeyFields);
const member = compileFields(MemberFields);
const memberQuery = compileFields(MemberQuery);

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const DEFAULT_OVERLAP_HOURS = 24;

/** Who may call: API keys and people of a tenant, by its own administrators or the operator. Nobody gives what he lacks. */
export function registerAdminAccessRoutes(app: FastifyInstance, { administration, calls }: GatewayOptions): void {
  const { database } = administration;
  const any = { config: { access: 'any' } } as const;
  const keys = '/v1/admin/tenants/:tenant/keys';
  const members = '/v1/admin/tenants/:tenant/members';

  app.get(keys, any, async (request) => {
    const { tenantId } = actingOn(request, 'tenant:admin');
    return { keys: (await listApiKeys(database, tenantId)).map(renderKey) };
  });

  app.post(keys, any, async (request, reply) => {
    const caller = actingOn(request, 'tenant:admin');
    const given = newKey.check(request.body);
    const scopes = readScopes(given.scopes ?? DEFAULT_KEY_SCOPES);
    requireAll(caller, scopes);
    const expiresAt =
      given.expires_in_days === undefined ? null : new Date(Date.now() + given.expires_in_days * DAY_MS);
    const wanted = { name: given.name, scopes, expiresAt, createdBy: principalName(caller.principal) };
    const issued = await calls.act(
      caller,
      'key.create',
      { name: given.name, scopes: [...scopes] },
      () => createApiKey(database, caller.tenantId, wanted),
      ({ key }) => ({ key: key.id }),
    );
    return reply.code(201).header('cache-control', 'no-store').send(renderIssued(issued));
  });

  app.post<{ Params: { key: string } }>(`${keys}/:key/rotate`, any, async (request, reply) => {
    const caller = actingOn(request, 'tenant:admin');
    const { key: id } = request.params;
    const overlapMs = (rotation.check(request.body ?? {}).overlap_hours ?? DEFAULT_OVERLAP_HOURS) * HOUR_MS;
    // The successor's secret is told to the caller, who could do with it what the old key may.
    requireAll(caller, (await getApiKey(database, caller.tenantId, id)).scopes);
    const createdBy = principalName(caller.principal);
    const issued = await calls.act(
      caller,
      'key.rotate',
      { key: id },
      () => rotateApiKey(database, caller.tenantId, id, { overlapMs, createdBy }),
      ({ key }) => ({ successor: key.id }),
    );
    return reply.code(201).header('cache-control', 'no-store').send(renderIssued(issued));
  });

  app.delete<{ Params: { key: string } }>(`${keys}/:key`, any, async (request) => {
    const caller = actingOn(request, 'tenant:admin');
    const { key: id } = request.params;
    return renderKey(
      await calls.act(caller, 'key.revoke', { key: id }, () => revokeApiKey(database, caller.tenantId, id)),
    );
  });

  app.get(members, any, async (request) => {
    const { tenantId } = actingOn(request, 'tenant:admin');
    return { members: (await listMembers(database, tenantId)).map(renderMember) };
  });

  app.put(members, any, async (request, reply) => {
    const caller = actingOn(request, 'tenant:admin');
    const { issuer, subject, role } = member.check(request.body);
    requireAll(caller, ROLE_SCOPES[role]);
    const createdBy = principalName(caller.principal);
    await calls.act(caller, 'member.add', { issuer, subject, role }, () =>
      addMember(database, caller.tenantId, { issuer, subject, role, createdBy }),
    );
    return reply.code(204).send();
  });

  app.delete(members, any, async (request, reply) => {
    const caller = actingOn(request, 'tenant:admin');
    const { issuer, subject } = memberQuery.check(memberQuery.readQuery(request.query));
    await calls.act(caller, 'member.remove', { issuer, subject }, () =>
      removeMember(database, caller.tenantId, { issuer, subject }),
    );
    return reply.code(204).send();
  });
}

function readScopes(names: readonly string[]): readonly Scope[] {
  return names.map((name) => {
    if (isScope(name)) return name;
    throw new FieldError('REQUEST_INVALID', 'scopes', `there is no such scope; there are ${SCOPES.join(', ')}`);
  });
}

/** The operator may give anything to anyone; others what they have themselves. */
function requireAll({ scopes }: Caller, wanted: readonly Scope[]): void {
  if (scopes.has('platform:admin')) return;
  const lacking = wanted.filter((scope) => !scopes.has(scope));
  if (lacking.length === 0) return;
  throw new AppError('FORBIDDEN', `this key may not give what it lacks itself: ${lacking.join(', ')}`);
}

function renderIssued({ key, secret }: IssuedKey) {
  return { key: renderKey(key), secret };
}

function renderKey({ id, name, scopes, createdAt, createdBy, expiresAt, revokedAt, replacedBy }: ApiKey): AdminKey {
  return {
    id,
    name,
    scopes: [...scopes],
    created_at: createdAt.toISOString(),
    created_by: createdBy,
    expires_at: expiresAt?.toISOString() ?? null,
    revoked_at: revokedAt?.toISOString() ?? null,
    replaced_by: replacedBy,
  };
}

function renderMember({ issuer, subject, role, createdAt, createdBy }: Member): AdminMember {
  return { issuer, subject, role, created_at: createdAt.toISOString(), created_by: createdBy };
}
