import { platformTable, tenantTable } from '../row-security.js';

const script = `
CREATE TABLE tenant_keys (
  tenant_id text NOT NULL REFERENCES tenants (id),
  version integer NOT NULL CHECK (version > 0),
  -- Which master key wrapped it; the wrapped key is useless without that.
  master_key text NOT NULL,
  wrapped bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- Replaced by a later version; kept for what is still encrypted under it.
  retired_at timestamptz,
  PRIMARY KEY (tenant_id, version)
);
${tenantTable('tenant_keys', 'SELECT, INSERT, UPDATE, DELETE')}
${platformTable('tenant_keys', 'SELECT')}

CREATE TABLE vault_objects (
  tenant_id text NOT NULL REFERENCES tenants (id),
  id text NOT NULL CHECK (id ~ '^[a-z2-7]{26}$'),
  kind text NOT NULL,
  size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
  -- The version of the tenant's key that wraps this object's own.
  key_version integer NOT NULL,
  wrapped_key bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, key_version) REFERENCES tenant_keys (tenant_id, version)
);
CREATE INDEX vault_objects_key ON vault_objects (tenant_id, key_version);
-- An object without bytes, whose key is the tenant's key for digests.
CREATE UNIQUE INDEX vault_objects_digest_key ON vault_objects (tenant_id) WHERE kind = 'digest-key';
${tenantTable('vault_objects', 'SELECT, INSERT, UPDATE, DELETE')}
`;

export const vault = { name: '0003-vault', script };
