import { expect, it } from 'vitest';
import { describeDatabases, insertTenant } from '../../test/fixtures/databases.js';

/** A row of a tenant in each table that has rows of tenants, in an order that references allow. */
const ROWS: Readonly<Record<string, string>> = {
  api_keys: `(id, tenant_id, name, secret_hash, scopes, created_by)
    VALUES (repeat('a', 16), '$T', 'n', decode(repeat('00', 32), 'hex'), '{speech}', 't')`,
  members: `(tenant_id, issuer, subject, role, created_by) VALUES ('$T', 'i', 's', 'owner', 't')`,
  usage_hours: `(tenant_id, hour, principal, voice, requests, failures, characters, audio_ms)
    VALUES ('$T', now(), 'p', 'v', 1, 0, 1, 1)`,
  audit_chains: `(tenant_id) VALUES ('$T')`,
  audit_records: `(tenant_id, seq, id, recorded_at, type, body, hash)
    VALUES ('$T', 1, gen_random_uuid(), now(), 't', '{}', decode(repeat('00', 32), 'hex'))`,
  audit_anchors: `(tenant_id, day, seq, hash, signature) VALUES ('$T', now(), 1, '', '')`,
  tenant_keys: `(tenant_id, version, master_key, wrapped) VALUES ('$T', 1, 'm', '')`,
  adapter_versions: `(tenant_id, name, version, object_id, size_bytes, digest, model, text2semantic_rank, sovits_rank,
    parameter_count, created_by) VALUES ('$T', 'calm', 1, 'o', 1, 'd', 'm', 4, 0, 1, 't')`,
  lexicon_versions: `(tenant_id, name, version, body, digest, entries, created_by)
    VALUES ('$T', 'default', 1, 'AI,,,A I', 'd', 1, 't')`,
  vault_objects: `(tenant_id, id, kind, size_bytes, key_version, wrapped_key)
    VALUES ('$T', repeat('a', 26), 'voice', 1, 1, '')`,
  voice_consents: `(tenant_id, id, name, language, kind, media_type, sha256, scope, sharing, valid_from, created_by)
    VALUES ('$T', 'cons_' || repeat('a', 16), 'n', 'en', 'recording', 'audio/wav', '', '', false, now(), 't')`,
  voices: `(tenant_id, id, name, description, labels, current_version, created_by)
    VALUES ('$T', 'v', 'n', '', '{}', 1, 't')`,
  voice_versions: `(tenant_id, voice_id, version, model, model_digest, speaker_match, created_by)
    VALUES ('$T', 'v', 1, 'm', 'd', '{}', 't')`,
  voice_styles: `(tenant_id, voice_id, version, style, language, prompt_free, duration_ms, warnings, profile_object,
    profile_digest, source_object) VALUES ('$T', 'v', 1, 'default', 'en', true, 1, '[]', 'o', 'd', 'o')`,
  voice_recordings: `(tenant_id, voice_id, version, style, position, object_id, sha256, size_bytes)
    VALUES ('$T', 'v', 1, 'default', 0, 'o', '', 1)`,
  voice_shares: `(tenant_id, voice_id, created_by) VALUES ('$T', 's', 't')`,
  voice_stops: `(tenant_id, voice_id, reason) VALUES ('$T', 'v', 'r')`,
};

/** Rows about a tenant that only the operator adds. */
const BY_PLATFORM: ReadonlySet<string> = new Set(['voice_shares']);

describeDatabases('isolation', (get) => {
  it('of every table: another tenant reads, changes, deletes and adds nothing', async () => {
    const { database } = get();
    const { rows: tables } = await database.asOwner((sql) =>
      sql.query<{ name: string }>(
        `SELECT table_name AS name FROM information_schema.columns
         WHERE column_name = 'tenant_id' AND table_schema = 'public' ORDER BY 1`,
      ),
    );
    expect(tables.map((table) => table.name)).toEqual(Object.keys(ROWS).sort());
    for (const tenant of ['mine', 'theirs']) await insertTenant(database, tenant);
    const insert = (table: string, owner: string) => `INSERT INTO ${table} ${ROWS[table]?.replaceAll('$T', owner)}`;
    for (const table of Object.keys(ROWS)) {
      if (BY_PLATFORM.has(table)) await database.asPlatform((sql) => sql.query(insert(table, 'mine')));
      else await database.asTenant('mine', (sql) => sql.query(insert(table, 'mine')));
      const as = (statement: string) => database.asTenant('theirs', (sql) => sql.query(statement));
      const outcome = async (statement: string) =>
        as(statement).then(
          ({ rows, count }) => (rows.length > 0 ? 'read' : count > 0 ? 'touched' : 'nothing'),
          (error: { code?: string }) => error.code,
        );
      const outcomes = {
        read: await outcome(`SELECT * FROM ${table} WHERE tenant_id = 'mine'`),
        readAll: await outcome(`SELECT * FROM ${table}`),
        change: await outcome(`UPDATE ${table} SET tenant_id = 'theirs'`),
        delete: await outcome(`DELETE FROM ${table}`),
        add: await outcome(insert(table, 'mine')),
      };
      // 42501: not allowed at all, by the role's privileges or by the policy.
      for (const each of Object.values(outcomes))
        expect([table, each]).toEqual([table, expect.toBeOneOf(['nothing', '42501'])]);
      expect([table, outcomes.add]).toEqual([table, '42501']);
    }
  });
});
