import { platformTable, tenantTable } from '../row-security.js';

const script = `
CREATE TABLE tenants (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'deleted')),
  created_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  -- Share of the machine under load, against other tenants.
  weight real NOT NULL DEFAULT 1 CHECK (weight > 0 AND weight <= 1000),
  -- Limits; null: none.
  requests_per_minute integer CHECK (requests_per_minute >= 0),
  characters_per_minute integer CHECK (characters_per_minute >= 0),
  characters_per_month bigint CHECK (characters_per_month >= 0),
  concurrent_streams integer CHECK (concurrent_streams >= 0),
  storage_bytes bigint CHECK (storage_bytes >= 0),
  -- Whether voices may be made without a consent record.
  own_recordings_allowed boolean NOT NULL DEFAULT false
);
${tenantTable('tenants', 'SELECT', 'id')}
${platformTable('tenants', 'SELECT, INSERT, UPDATE')}

CREATE TABLE api_keys (
  id text PRIMARY KEY CHECK (id ~ '^[a-z2-7]{16}$'),
  tenant_id text NOT NULL REFERENCES tenants (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  replaced_by text REFERENCES api_keys (id)
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id);
${tenantTable('api_keys', 'SELECT, INSERT, UPDATE, DELETE')}
${platformTable('api_keys', 'SELECT')}

CREATE TABLE members (
  tenant_id text NOT NULL REFERENCES tenants (id),
  issuer text NOT NULL,
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
  role text NOT NULL CHECK (role IN ('owner', 'voice_designer', 'developer', 'auditor')),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  PRIMARY KEY (issuer, subject, tenant_id)
);
CREATE INDEX members_tenant ON members (tenant_id);
${tenantTable('members', 'SELECT, INSERT, UPDATE, DELETE')}
${platformTable('members', 'SELECT')}

CREATE TABLE usage_hours (
  tenant_id text NOT NULL REFERENCES tenants (id),
  hour timestamptz NOT NULL,
  principal text NOT NULL,
  voice text NOT NULL,
  requests bigint NOT NULL,
  failures bigint NOT NULL,
  characters bigint NOT NULL,
  audio_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, hour, principal, voice)
);
${tenantTable('usage_hours', 'SELECT, INSERT, UPDATE, DELETE')}
`;

export const tenancy = { name: '0001-tenancy', script };
