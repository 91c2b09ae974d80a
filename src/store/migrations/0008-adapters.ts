import { tenantTable } from '../row-security.js';

const script = `
-- Adapters (LoRA): one row a version, never changed; the newest one of a name is what requests use.
CREATE TABLE adapter_versions (
  tenant_id text NOT NULL REFERENCES tenants (id),
  name text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,96}$'),
  version integer NOT NULL CHECK (version > 0),
  -- The file, in the vault (vault_objects, kind adapter).
  object_id text NOT NULL,
  size_bytes bigint NOT NULL CHECK (size_bytes > 0),
  -- SHA-256 of the file, lower-case hex.
  digest text NOT NULL,
  -- What it was held against when it was stored, and what it changes of it; rank 0: nothing.
  model text NOT NULL,
  text2semantic_rank integer NOT NULL CHECK (text2semantic_rank >= 0),
  sovits_rank integer NOT NULL CHECK (sovits_rank >= 0),
  parameter_count bigint NOT NULL CHECK (parameter_count >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, name, version)
);
${tenantTable('adapter_versions', 'SELECT, INSERT, DELETE')}
`;

export const adapters = { name: '0008-adapters', script };
