/** The wire form of administration: tenants, their keys, people, limits, usage and records. */
import { type Static, Type } from 'typebox';

const tenantId = Type.String({ minLength: 1, maxLength: 63, description: 'a-z, 0-9 and "-".' });
const time = Type.String({ description: 'ISO 8601, UTC.' });
const maybe = <Schema extends Parameters<typeof Type.Optional>[0]>(schema: Schema) => Type.Union([schema, Type.Null()]);
const limit = (description: string) =>
  maybe(Type.Integer({ minimum: 0, maximum: 1_000_000_000_000, description: `${description}; null: no limit.` }));

const limits = {
  weight: Type.Number({ minimum: 0.001, maximum: 1000, description: 'Share of the machine under load, against 1.' }),
  requests_per_minute: maybe(Type.Integer({ minimum: 0, maximum: 2_147_483_647, description: 'null: no limit.' })),
  characters_per_minute: maybe(Type.Integer({ minimum: 0, maximum: 2_147_483_647, description: 'null: no limit.' })),
  characters_per_month: limit('Of the calendar month, UTC'),
  concurrent_streams: maybe(Type.Integer({ minimum: 0, maximum: 2_147_483_647, description: 'null: no limit.' })),
  storage_bytes: limit('Of all stored objects'),
};

export const AdminTenant = Type.Object({
  id: tenantId,
  name: Type.String(),
  state: Type.Enum(['active', 'suspended', 'deleted']),
  created_at: time,
  deleted_at: maybe(time),
  own_recordings_allowed: Type.Boolean({ description: 'Voices may be made without a consent record.' }),
  pool_voices: Type.Enum(['all', 'chosen'], {
    description: "Which voices of the operator's pool it may use: all, or those that were shared with it.",
  }),
  limits: Type.Object(limits),
});
export type AdminTenant = Static<typeof AdminTenant>;
export const AdminTenants = Type.Object({ tenants: Type.Array(AdminTenant) });

export const NewTenantFields = Type.Object(
  { id: tenantId, name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })) },
  { additionalProperties: false },
);

/** What is absent stays as it is. */
export const TenantChangeFields = Type.Object(
  {
    state: Type.Optional(Type.Enum(['active', 'suspended'], { description: 'suspended: all calls are refused.' })),
    own_recordings_allowed: Type.Optional(Type.Boolean()),
    pool_voices: Type.Optional(Type.Enum(['all', 'chosen'])),
    limits: Type.Optional(Type.Partial(Type.Object(limits, { additionalProperties: false }))),
  },
  { additionalProperties: false },
);

export const AdminKey = Type.Object({
  id: Type.String(),
  name: Type.String(),
  scopes: Type.Array(Type.String()),
  created_at: time,
  created_by: Type.String(),
  expires_at: maybe(time),
  revoked_at: maybe(time),
  replaced_by: maybe(Type.String({ description: 'Its successor, where it was rotated.' })),
});
export type AdminKey = Static<typeof AdminKey>;
export const AdminKeys = Type.Object({ keys: Type.Array(AdminKey) });
export const IssuedAdminKey = Type.Object({
  key: AdminKey,
  secret: Type.String({ description: 'The key itself: it is not shown again.' }),
});

export const NewKeyFields = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200, description: 'Which application it is for.' }),
    scopes: Type.Optional(
      Type.Array(Type.String({ maxLength: 40 }), {
        minItems: 1,
        maxItems: 40,
        description: "None beyond the caller's.",
      }),
    ),
    expires_in_days: Type.Optional(Type.Number({ minimum: 0.001, maximum: 36_500 })),
  },
  { additionalProperties: false },
);
export const RotateKeyFields = Type.Object(
  {
    overlap_hours: Type.Optional(
      Type.Number({ minimum: 0, maximum: 8760, description: 'How long both work; 24 by default.' }),
    ),
  },
  { additionalProperties: false },
);

export const AdminMember = Type.Object({
  issuer: Type.String(),
  subject: Type.String(),
  role: Type.String(),
  created_at: time,
  created_by: Type.String(),
});
export type AdminMember = Static<typeof AdminMember>;
export const AdminMembers = Type.Object({ members: Type.Array(AdminMember) });

const issuer = Type.String({ minLength: 1, maxLength: 500, description: 'The identity provider.' });
const subject = Type.String({ minLength: 1, maxLength: 255, description: 'What the provider calls the person.' });
export const MemberFields = Type.Object(
  { issuer, subject, role: Type.Enum(['owner', 'voice_designer', 'developer', 'auditor']) },
  { additionalProperties: false },
);
export const MemberQuery = Type.Object({ issuer, subject }, { additionalProperties: false });

export const UsageQuery = Type.Object(
  {
    from: Type.Optional(Type.String({ maxLength: 40, description: 'UTC; by default the first of this month.' })),
    to: Type.Optional(Type.String({ maxLength: 40, description: 'UTC, not included; by default now.' })),
    format: Type.Optional(Type.Enum(['json', 'csv'])),
  },
  { additionalProperties: false },
);
export const UsageAnswer = Type.Object({
  usage: Type.Array(
    Type.Object({
      hour: time,
      caller: Type.String(),
      voice: Type.String(),
      requests: Type.Integer(),
      failures: Type.Integer(),
      characters: Type.Integer(),
      audio_seconds: Type.Number(),
    }),
  ),
});

export const AuditReport = Type.Object({
  tenant: Type.String(),
  intact: Type.Boolean(),
  problem: maybe(Type.String({ description: 'Which record does not fit, and how.' })),
  records: Type.Integer(),
  first_seq: Type.Integer(),
  last_seq: Type.Integer(),
  anchors: Type.Integer({ description: 'Signed daily anchors that the chain agrees with.' }),
  waiting: Type.Integer({ description: 'Records of all tenants on their way from the spool.' }),
});
export type AuditReport = Static<typeof AuditReport>;

export const EncryptionKeys = Type.Object({
  master_key: Type.String(),
  tenants: Type.Array(
    Type.Object({
      tenant: Type.String(),
      version: Type.Integer(),
      created_at: time,
      age_days: Type.Integer(),
      master_key: Type.String(),
      behind: Type.Integer({ description: 'Objects whose keys an older version wraps.' }),
      versions: Type.Integer(),
    }),
  ),
});
export const KeyRotation = Type.Object({
  tenant: Type.String(),
  version: Type.Integer(),
  rewrapped_objects: Type.Integer(),
  destroyed_versions: Type.Integer(),
});
