import { platformTable, tenantTable } from '../row-security.js';

const script = `
CREATE TABLE audit_chains (
  tenant_id text PRIMARY KEY REFERENCES tenants (id),
  -- Of the newest record; 0 and 32 zero bytes before the first.
  last_seq bigint NOT NULL DEFAULT 0,
  last_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
  -- Of the newest record that was pruned: what is left verifies from there.
  pruned_seq bigint NOT NULL DEFAULT 0,
  pruned_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
);
${tenantTable('audit_chains', 'SELECT, INSERT, UPDATE')}
${platformTable('audit_chains', 'SELECT')}

CREATE TABLE audit_records (
  tenant_id text NOT NULL REFERENCES tenants (id),
  seq bigint NOT NULL,
  id uuid NOT NULL,
  recorded_at timestamptz NOT NULL,
  type text NOT NULL,
  -- The record as it was hashed, to the byte.
  body text NOT NULL,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (tenant_id, seq),
  UNIQUE (tenant_id, id)
);
CREATE INDEX audit_records_time ON audit_records (tenant_id, recorded_at);
${tenantTable('audit_records', 'SELECT, INSERT, DELETE')}

-- The law asks for 180 days: nobody shortens that, whoever is connected.
CREATE FUNCTION audit_records_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.recorded_at < now() - interval '180 days' THEN RETURN OLD; END IF;
  RAISE EXCEPTION 'audit records are never changed, and kept for 180 days' USING ERRCODE = 'TBA01';
END $$;
CREATE TRIGGER audit_records_kept BEFORE UPDATE OR DELETE ON audit_records
  FOR EACH ROW EXECUTE FUNCTION audit_records_kept();
CREATE TRIGGER audit_records_not_truncated BEFORE TRUNCATE ON audit_records
  FOR EACH STATEMENT EXECUTE FUNCTION audit_records_kept();

CREATE TABLE audit_anchors (
  tenant_id text NOT NULL REFERENCES tenants (id),
  day date NOT NULL,
  seq bigint NOT NULL,
  hash bytea NOT NULL,
  -- Ed25519 over tenant, day, seq and hash.
  signature bytea NOT NULL,
  PRIMARY KEY (tenant_id, day)
);
${tenantTable('audit_anchors', 'SELECT, INSERT')}
`;

export const audit = { name: '0002-audit', script };
