import {
  AdminKey,
  AdminKeys,
  AdminMembers,
  AdminTenant,
  AdminTenants,
  AuditReport,
  EncryptionKeys,
  IssuedAdminKey,
  KeyRotation,
  MemberFields,
  MemberQuery,
  NewKeyFields,
  NewTenantFields,
  RotateKeyFields,
  TenantChangeFields,
  UsageAnswer,
  UsageQuery,
} from '../api/admin.js';

const tag = 'Administration';
const tenant = '/v1/admin/tenants/:tenant';

/** What the document says of `/v1/admin`. */
export const ADMIN_DESCRIPTIONS = {
  'GET /v1/admin/tenants': { tag, summary: 'Tenants', answer: AdminTenants },
  'POST /v1/admin/tenants': { tag, summary: 'Make a tenant', body: NewTenantFields, answer: AdminTenant },
  [`GET ${tenant}`]: { tag, summary: 'A tenant and its limits', answer: AdminTenant },
  [`PATCH ${tenant}`]: {
    tag,
    summary: 'Change limits and policy, suspend or resume',
    body: TenantChangeFields,
    answer: AdminTenant,
  },
  [`DELETE ${tenant}`]: { tag, summary: 'Delete a tenant: its encryption keys first', answer: AdminTenant },
  [`GET ${tenant}/keys`]: { tag, summary: 'API keys', answer: AdminKeys },
  [`POST ${tenant}/keys`]: { tag, summary: 'Make an API key, shown once', body: NewKeyFields, answer: IssuedAdminKey },
  [`POST ${tenant}/keys/:key/rotate`]: {
    tag,
    summary: 'Make a successor; both work for a while',
    body: RotateKeyFields,
    bodyOptional: true,
    answer: IssuedAdminKey,
  },
  [`DELETE ${tenant}/keys/:key`]: { tag, summary: 'End an API key at once', answer: AdminKey },
  [`GET ${tenant}/members`]: { tag, summary: 'People', answer: AdminMembers },
  [`PUT ${tenant}/members`]: { tag, summary: 'Add a person, or give another role', body: MemberFields },
  [`DELETE ${tenant}/members`]: { tag, summary: 'Take a person out', query: MemberQuery },
  [`GET ${tenant}/usage`]: { tag, summary: 'Usage by hour, caller and voice', query: UsageQuery, answer: UsageAnswer },
  [`GET ${tenant}/audit`]: { tag, summary: 'Audit records as JSON lines, which verify anywhere' },
  [`GET ${tenant}/audit/verify`]: { tag, summary: 'Whether the audit chain is intact', answer: AuditReport },
  'GET /v1/admin/encryption-keys': { tag, summary: 'How old encryption keys are', answer: EncryptionKeys },
  [`POST ${tenant}/encryption-key/rotate`]: { tag, summary: 'Give a tenant a new encryption key', answer: KeyRotation },
} as const;
