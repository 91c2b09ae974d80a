import { createHash } from 'node:crypto';
import type { Sql } from '../store/database.js';

export type AuditValue =
  | string
  | number
  | boolean
  | null
  | readonly AuditValue[]
  | { readonly [key: string]: AuditValue };

/** One thing that happened: who did what to what. Texts and recordings never go in, only digests of them. */
export interface AuditEntry {
  /** UUID: an entry that is written twice (after a lost answer) is kept once. */
  readonly id: string;
  readonly tenantId: string;
  /** ISO time, UTC. */
  readonly at: string;
  /** `speech.started`, `key.created`, …: docs/security.md lists them. */
  readonly type: string;
  /** `key:…`, `person:…`, `local:…` or `system`. */
  readonly actor: string;
  readonly details: Readonly<Record<string, AuditValue>>;
  /** What the call used, booked together with the record. */
  readonly usage?: UsageDelta;
}

export interface UsageDelta {
  readonly principal: string;
  readonly voice: string;
  readonly characters: number;
  readonly audioMs: number;
  readonly failed: boolean;
}

/** A record as it is hashed: JSON with sorted keys, so that equal records are equal bytes. */
export function recordBody(entry: AuditEntry, seq: number): string {
  const { id, tenantId, at, type, actor, details } = entry;
  return canonicalJson({ actor, at, details, id, seq, tenant: tenantId, type });
}

/** A record's hash covers its body and, through the hash before it, every earlier record of the tenant. */
export function chainHash(previous: Uint8Array, body: string): Buffer {
  return createHash('sha256').update(previous).update(body, 'utf8').digest();
}

export function canonicalJson(value: AuditValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/**
 * Appends entries of one tenant to its chain, in a transaction under that tenant's role; the chain's row is locked, so
 * that servers take turns.
 *
 * @returns the entries that were not there yet.
 */
export async function appendToChain(
  sql: Sql,
  tenantId: string,
  entries: readonly AuditEntry[],
): Promise<readonly AuditEntry[]> {
  await sql.query('INSERT INTO audit_chains (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING', [tenantId]);
  const { rows: heads } = await sql.query<{ last_seq: number; last_hash: Buffer }>(
    'SELECT last_seq, last_hash FROM audit_chains WHERE tenant_id = $1 FOR UPDATE',
    [tenantId],
  );
  const head = heads[0];
  if (head === undefined) throw new Error(`the audit chain of ${tenantId} has no head`);
  const { rows: present } = await sql.query<{ id: string }>(
    'SELECT id FROM audit_records WHERE tenant_id = $1 AND id = ANY($2::uuid[])',
    [tenantId, entries.map((entry) => entry.id)],
  );
  const known = new Set(present.map((row) => row.id));
  const added: AuditEntry[] = [];
  const bodies: string[] = [];
  const hashes: string[] = [];
  let seq = head.last_seq;
  let hash: Uint8Array = head.last_hash;
  for (const entry of entries) {
    if (known.has(entry.id)) continue;
    known.add(entry.id);
    const body = recordBody(entry, ++seq);
    hash = chainHash(hash, body);
    added.push(entry);
    bodies.push(body);
    hashes.push(Buffer.from(hash).toString('hex'));
  }
  if (added.length === 0) return added;
  await sql.query(
    `INSERT INTO audit_records (tenant_id, seq, id, recorded_at, type, body, hash)
     SELECT $1, r.seq, r.id, r.at, r.type, r.body, decode(r.hash, 'hex')
     FROM unnest($2::bigint[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
       AS r (seq, id, at, type, body, hash)`,
    [
      tenantId,
      added.map((_, index) => head.last_seq + 1 + index),
      added.map((entry) => entry.id),
      added.map((entry) => entry.at),
      added.map((entry) => entry.type),
      bodies,
      hashes,
    ],
  );
  await sql.query('UPDATE audit_chains SET last_seq = $2, last_hash = $3 WHERE tenant_id = $1', [
    tenantId,
    seq,
    Buffer.from(hash),
  ]);
  return added;
}
