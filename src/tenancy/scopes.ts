/** What a caller may do. A key carries any of them; a person has those of a role. */
export const SCOPES = [
  'speech',
  'voices:read',
  'voices:write',
  'models:read',
  'models:write',
  'lexicons:write',
  'jobs',
  'usage:read',
  'audit:read',
  'tenant:admin',
  // Of the operator: other tenants, rotation of keys.
  'platform:admin',
] as const;
export type Scope = (typeof SCOPES)[number];

export const ROLES = ['owner', 'voice_designer', 'developer', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

/** What a person may do, by role. */
export const ROLE_SCOPES: Readonly<Record<Role, readonly Scope[]>> = {
  owner: SCOPES.filter((scope) => scope !== 'platform:admin'),
  voice_designer: ['speech', 'voices:read', 'voices:write', 'models:read', 'models:write', 'lexicons:write', 'jobs'],
  developer: ['speech', 'voices:read', 'models:read', 'lexicons:write', 'jobs', 'usage:read'],
  auditor: ['voices:read', 'models:read', 'usage:read', 'audit:read'],
};

/** What a new key may do unless told otherwise: what an application needs. */
export const DEFAULT_KEY_SCOPES: readonly Scope[] = ['speech', 'voices:read', 'models:read'];

export function isScope(value: string): value is Scope {
  return (SCOPES as readonly string[]).includes(value);
}
