import { type KeyObject, sign } from 'node:crypto';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../store/database.js';

/** A day's signed word on how long a chain was and with which hash it ended. */
export interface AnchorRow {
  /** `2026-11-27`, UTC. */
  readonly day: string;
  readonly seq: number;
  /** Hex, as the signature. */
  readonly hash: string;
  readonly signature: string;
}

/** What an anchor's signature is over. */
export function anchorMessage(tenantId: string, { day, seq, hash }: Omit<AnchorRow, 'signature'>): Buffer {
  return Buffer.from(`timbre audit anchor 1\n${tenantId}\n${day}\n${seq}\n${hash}\n`);
}

/**
 * Anchors every chain that has grown since its last anchor, once a day each. Anchors are kept in the database and, line
 * by line, in `folder`: whoever rewrites the one has the other against him, and cannot sign new ones.
 *
 * @returns how many anchors were made.
 */
export async function anchorChains(
  database: Database,
  { signingKey, folder, now = new Date() }: { signingKey: KeyObject; folder: string; now?: Date },
): Promise<number> {
  const day = now.toISOString().slice(0, 10);
  const { rows: chains } = await database.asPlatform((sql) =>
    sql.query<{ tenant_id: string }>('SELECT tenant_id FROM audit_chains WHERE last_seq > 0 ORDER BY tenant_id'),
  );
  let made = 0;
  for (const { tenant_id: tenantId } of chains) {
    const anchor = await database.asTenant(tenantId, async (sql): Promise<AnchorRow | null> => {
      const { rows } = await sql.query<{ seq: number; hash: string }>(
        `SELECT last_seq AS seq, encode(last_hash, 'hex') AS hash FROM audit_chains c
         WHERE tenant_id = $1 AND last_seq > coalesce((SELECT max(seq) FROM audit_anchors WHERE tenant_id = $1), 0)
           AND NOT EXISTS (SELECT 1 FROM audit_anchors WHERE tenant_id = $1 AND day = $2::date)`,
        [tenantId, day],
      );
      const head = rows[0];
      if (head === undefined) return null;
      const signature = sign(null, anchorMessage(tenantId, { day, ...head }), signingKey).toString('hex');
      const { count } = await sql.query(
        `INSERT INTO audit_anchors (tenant_id, day, seq, hash, signature)
         VALUES ($1, $2::date, $3, decode($4, 'hex'), decode($5, 'hex')) ON CONFLICT DO NOTHING`,
        [tenantId, day, head.seq, head.hash, signature],
      );
      return count === 0 ? null : { day, ...head, signature };
    });
    if (anchor === null) continue;
    made++;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await appendFile(join(folder, `${tenantId}.jsonl`), `${JSON.stringify(anchor)}\n`, { flush: true });
  }
  return made;
}
