import { platformTable, tenantTable } from '../row-security.js';

const script = `
-- Which voices of the operator's shared pool a tenant may use: all of them, or those in voice_shares.
ALTER TABLE tenants ADD COLUMN pool_voices text NOT NULL DEFAULT 'all' CHECK (pool_voices IN ('all', 'chosen'));

CREATE TABLE voice_consents (
  tenant_id text NOT NULL REFERENCES tenants (id),
  id text NOT NULL CHECK (id ~ '^cons_[a-z2-7]{16}$'),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  language text NOT NULL CHECK (length(language) BETWEEN 1 AND 35),
  -- A recording of the speaker who says the statement, or a signed document.
  kind text NOT NULL CHECK (kind IN ('recording', 'document')),
  media_type text NOT NULL,
  sha256 text NOT NULL,
  -- Objects of the vault: the recording or document itself; who consents and what the statement says, as JSON. Null
  -- once they were destroyed.
  evidence_object text,
  facts_object text,
  -- What the voice may be used for, in words.
  scope text NOT NULL CHECK (length(scope) <= 2000),
  -- Whether voices made under it may be shared with other tenants.
  sharing boolean NOT NULL,
  valid_from timestamptz NOT NULL,
  valid_until timestamptz CHECK (valid_until > valid_from),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  revoked_at timestamptz,
  revoked_by text,
  revoke_reason text CHECK (length(revoke_reason) <= 500),
  removed_at timestamptz,
  -- A repeated request gets what the first one made.
  request_key text,
  request_digest text,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, request_key)
);
${tenantTable('voice_consents', 'SELECT, INSERT, UPDATE, DELETE')}

CREATE TABLE voices (
  tenant_id text NOT NULL REFERENCES tenants (id),
  id text NOT NULL CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  description text NOT NULL CHECK (length(description) <= 2000),
  labels jsonb NOT NULL,
  current_version integer NOT NULL CHECK (current_version > 0),
  disabled_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
${tenantTable('voices', 'SELECT, INSERT, UPDATE, DELETE')}

-- Never changed: a voice that is to sound different gets another version.
CREATE TABLE voice_versions (
  tenant_id text NOT NULL,
  voice_id text NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  model text NOT NULL,
  model_digest text NOT NULL,
  -- Null: the operator's policy let the tenant use its own recordings.
  consent_id text,
  -- How it was found that the speaker of the statement is that of the recordings.
  speaker_match jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  request_key text,
  request_digest text,
  PRIMARY KEY (tenant_id, voice_id, version),
  UNIQUE (tenant_id, request_key),
  FOREIGN KEY (tenant_id, voice_id) REFERENCES voices (tenant_id, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, consent_id) REFERENCES voice_consents (tenant_id, id)
);
CREATE INDEX voice_versions_consent ON voice_versions (tenant_id, consent_id);
${tenantTable('voice_versions', 'SELECT, INSERT, DELETE')}

CREATE TABLE voice_styles (
  tenant_id text NOT NULL,
  voice_id text NOT NULL,
  version integer NOT NULL,
  style text NOT NULL CHECK (style ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
  language text NOT NULL,
  prompt_free boolean NOT NULL,
  duration_ms integer NOT NULL,
  warnings jsonb NOT NULL,
  -- Objects of the vault: what the model speaks with, and the transcript as JSON. Versions share those that stay.
  profile_object text NOT NULL,
  profile_digest text NOT NULL,
  source_object text NOT NULL,
  PRIMARY KEY (tenant_id, voice_id, version, style),
  FOREIGN KEY (tenant_id, voice_id, version) REFERENCES voice_versions (tenant_id, voice_id, version) ON DELETE CASCADE
);
${tenantTable('voice_styles', 'SELECT, INSERT, DELETE')}

CREATE TABLE voice_recordings (
  tenant_id text NOT NULL,
  voice_id text NOT NULL,
  version integer NOT NULL,
  style text NOT NULL,
  position integer NOT NULL,
  object_id text NOT NULL,
  sha256 text NOT NULL,
  size_bytes bigint NOT NULL,
  PRIMARY KEY (tenant_id, voice_id, version, style, position),
  FOREIGN KEY (tenant_id, voice_id, version, style)
    REFERENCES voice_styles (tenant_id, voice_id, version, style) ON DELETE CASCADE
);
${tenantTable('voice_recordings', 'SELECT, INSERT, DELETE')}

-- Voices that the operator lets a tenant use besides its own.
CREATE TABLE voice_shares (
  tenant_id text NOT NULL REFERENCES tenants (id),
  voice_id text NOT NULL,
  -- Whose voice it is; null: a voice file of the operator's pool.
  owner_id text REFERENCES tenants (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, voice_id)
);
CREATE INDEX voice_shares_owner ON voice_shares (owner_id, voice_id);
${tenantTable('voice_shares', 'SELECT, DELETE')}
${platformTable('voice_shares', 'SELECT, INSERT, DELETE')}

-- What running servers must stop at once: each looks several times a second.
CREATE TABLE voice_stops (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Whose voice it is.
  tenant_id text NOT NULL REFERENCES tenants (id),
  voice_id text NOT NULL,
  -- Who may not use it any more; null: nobody may.
  user_id text REFERENCES tenants (id),
  reason text NOT NULL,
  stopped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX voice_stops_time ON voice_stops (stopped_at);
${tenantTable('voice_stops', 'INSERT, DELETE')}
${platformTable('voice_stops', 'SELECT, INSERT, DELETE')}
`;

export const catalog = { name: '0004-catalog', script };
