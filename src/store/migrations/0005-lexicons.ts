import { tenantTable } from '../row-security.js';

const script = `
-- Pronunciation lexicons: one row a version, never changed; the newest one of a name is what requests use.
CREATE TABLE lexicon_versions (
  tenant_id text NOT NULL REFERENCES tenants (id),
  name text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'),
  version integer NOT NULL CHECK (version > 0),
  -- CSV or PLS as it was sent, so that line numbers stay true.
  body text NOT NULL CHECK (octet_length(body) <= 4194304),
  -- SHA-256 of the body, lower-case hex.
  digest text NOT NULL,
  entries integer NOT NULL CHECK (entries >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, name, version)
);
${tenantTable('lexicon_versions', 'SELECT, INSERT, DELETE')}
`;

export const lexicons = { name: '0005-lexicons', script };
