import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';

/** What the law asks for at least; the database itself refuses to delete anything younger. */
export const MIN_RETENTION_DAYS = 180;
const DAY_MS = 86_400_000;

/**
 * Removes a tenant's records older than `retentionDays` from the beginning of its chain, and notes the hash of the last
 * one removed, so that the rest verifies from there.
 *
 * @returns how many were removed. Throws `AUDIT_RETAINED` for less than 180 days.
 */
export async function pruneChain(
  database: Database,
  tenantId: string,
  { retentionDays, now = new Date() }: { readonly retentionDays: number; readonly now?: Date },
): Promise<number> {
  if (!(retentionDays >= MIN_RETENTION_DAYS)) {
    throw new AppError(
      'AUDIT_RETAINED',
      `audit records are kept for at least ${MIN_RETENTION_DAYS} days; ${retentionDays} is less`,
    );
  }
  const before = new Date(now.getTime() - retentionDays * DAY_MS);
  return database.asTenant(tenantId, async (sql) => {
    await sql.query('SELECT 1 FROM audit_chains WHERE tenant_id = $1 FOR UPDATE', [tenantId]);
    const { rows } = await sql.query<{ seq: number; hash: Buffer }>(
      `SELECT seq, hash FROM audit_records WHERE tenant_id = $1 AND seq < coalesce(
         (SELECT min(seq) FROM audit_records WHERE tenant_id = $1 AND recorded_at >= $2),
         (SELECT max(seq) + 1 FROM audit_records WHERE tenant_id = $1))
       ORDER BY seq DESC LIMIT 1`,
      [tenantId, before],
    );
    const last = rows[0];
    if (last === undefined) return 0;
    const { count } = await sql.query('DELETE FROM audit_records WHERE tenant_id = $1 AND seq <= $2', [
      tenantId,
      last.seq,
    ]);
    await sql.query('UPDATE audit_chains SET pruned_seq = $2, pruned_hash = $3 WHERE tenant_id = $1', [
      tenantId,
      last.seq,
      last.hash,
    ]);
    return count;
  });
}
