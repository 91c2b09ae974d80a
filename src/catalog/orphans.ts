import type { Database } from '../store/database.js';
import type { Vault } from '../vault/vault.js';

/** Longer than any enrolment takes: a younger object may be one whose row is still to come. */
const ABANDONED_AFTER_HOURS = 24;

/**
 * Removes objects of voices, consents and adapters, and keys of lexicons, that no row names: their process ended between the two.
 *
 * @returns how many there were.
 */
export async function sweepOrphans(
  database: Database,
  vault: Vault,
  tenantId: string,
  { olderThanHours = ABANDONED_AFTER_HOURS }: { readonly olderThanHours?: number } = {},
): Promise<number> {
  const { rows } = await database.asTenant(tenantId, (sql) =>
    sql.query<{ id: string }>(
      `SELECT id FROM vault_objects o
       WHERE tenant_id = $1 AND kind IN ('voice-profile', 'voice-source', 'voice-recording', 'consent-evidence', 'consent-facts', 'adapter', 'row-lexicon')
         AND created_at < now() - make_interval(hours => $2)
         AND NOT EXISTS (SELECT 1 FROM voice_styles s
           WHERE s.tenant_id = o.tenant_id AND (s.profile_object = o.id OR s.source_object = o.id))
         AND NOT EXISTS (SELECT 1 FROM voice_recordings r WHERE r.tenant_id = o.tenant_id AND r.object_id = o.id)
         AND NOT EXISTS (SELECT 1 FROM voice_consents c
           WHERE c.tenant_id = o.tenant_id AND (c.evidence_object = o.id OR c.facts_object = o.id))
         AND NOT EXISTS (SELECT 1 FROM adapter_versions a WHERE a.tenant_id = o.tenant_id AND a.object_id = o.id)
         AND NOT EXISTS (SELECT 1 FROM lexicon_versions l WHERE l.tenant_id = o.tenant_id AND l.seal = o.id)`,
      [tenantId, olderThanHours],
    ),
  );
  for (const { id } of rows) await vault.remove(tenantId, id);
  return rows.length;
}
