import { sha256 } from '../sha256.js';
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

/** An entry as its record begins: written once, whether its place in the chain is known yet or not. */
export interface WrittenEntry {
  readonly id: string;
  readonly tenantId: string;
  readonly at: string;
  readonly type: string;
  /** Of the record's body, all up to the place. */
  readonly head: string;
  readonly usage: UsageDelta | undefined;
}

export function writeEntry({ id, tenantId, at, type, actor, details, usage }: AuditEntry): WrittenEntry {
  return { id, tenantId, at, type, head: canonicalJson({ actor, at, details, id }).slice(0, -1), usage };
}

/** A record as it is hashed: JSON with sorted keys, so that equal records are equal bytes. */
export function recordBody(
  { head, tenantId, type }: Pick<WrittenEntry, 'head' | 'tenantId' | 'type'>,
  seq: number,
): string {
  return `${head},"seq":${seq},"tenant":${JSON.stringify(tenantId)},"type":${JSON.stringify(type)}}`;
}

/** A record's hash covers its body and, through the hash before it, every earlier record of the tenant. */
export function chainHash(previous: Uint8Array, body: string): Buffer {
  const bytes = Buffer.allocUnsafe(previous.length + Buffer.byteLength(body));
  bytes.set(previous);
  bytes.write(body, previous.length);
  return sha256(bytes);
}

export function canonicalJson(value: AuditValue): string {
  if (isCanonical(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = value as { readonly [key: string]: AuditValue };
    const keys = Object.keys(fields).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(fields[key] ?? null)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/** Whether all names are in order as they are, so that `JSON.stringify` says the same in a quarter of the time. */
function isCanonical(value: AuditValue | undefined): boolean {
  if (typeof value !== 'object' || value === null) return value !== undefined;
  if (Array.isArray(value)) return value.every(isCanonical);
  const fields = value as { readonly [key: string]: AuditValue };
  let before = '';
  for (const name in fields) {
    if (name < before || !isCanonical(fields[name])) return false;
    before = name;
  }
  return true;
}

/**
 * Appends entries of one tenant to its chain, in a transaction under that tenant's role; the chain's row is locked, so
 * that servers take turns. Some may be there already (after a lost answer, or a crash): with `checked` they are looked
 * for first, and kept once; without, the database refuses them all with a unique violation.
 *
 * @returns the entries that were added.
 */
export async function appendToChain(
  sql: Sql,
  tenantId: string,
  entries: readonly WrittenEntry[],
  { checked }: { readonly checked: boolean },
): Promise<readonly WrittenEntry[]> {
  const head = (await lockHead(sql, tenantId)) ?? (await beginChain(sql, tenantId));
  const known = checked ? await presentOf(sql, tenantId, entries) : new Set<string>();
  const added: WrittenEntry[] = [];
  const rows: object[] = [];
  let seq = head.last_seq;
  let hash: Uint8Array = head.last_hash;
  for (const entry of entries) {
    if (known.has(entry.id)) continue;
    if (checked) known.add(entry.id);
    const body = recordBody(entry, ++seq);
    const next = chainHash(hash, body);
    hash = next;
    added.push(entry);
    rows.push({ seq, id: entry.id, at: entry.at, type: entry.type, body, hash: next.toString('hex') });
  }
  if (added.length === 0) return added;
  // One value: arrays are written and read an element at a time, which takes the embedded database twice as long.
  await sql.query(
    `INSERT INTO audit_records (tenant_id, seq, id, recorded_at, type, body, hash)
     SELECT $1, r.seq, r.id, r.at, r.type, r.body, decode(r.hash, 'hex')
     FROM json_to_recordset($2::json) AS r (seq bigint, id uuid, at timestamptz, type text, body text, hash text)`,
    [tenantId, JSON.stringify(rows)],
  );
  await sql.query('UPDATE audit_chains SET last_seq = $2, last_hash = $3 WHERE tenant_id = $1', [
    tenantId,
    seq,
    Buffer.from(hash),
  ]);
  return added;
}

interface ChainHead {
  readonly last_seq: number;
  readonly last_hash: Buffer;
}

async function lockHead(sql: Sql, tenantId: string): Promise<ChainHead | undefined> {
  const { rows } = await sql.query<ChainHead>(
    'SELECT last_seq, last_hash FROM audit_chains WHERE tenant_id = $1 FOR UPDATE',
    [tenantId],
  );
  return rows[0];
}

async function beginChain(sql: Sql, tenantId: string): Promise<ChainHead> {
  // Another server may begin it at the same moment.
  await sql.query('INSERT INTO audit_chains (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING', [tenantId]);
  const head = await lockHead(sql, tenantId);
  if (head === undefined) throw new Error(`the audit chain of ${tenantId} has no head`);
  return head;
}

async function presentOf(sql: Sql, tenantId: string, entries: readonly WrittenEntry[]): Promise<Set<string>> {
  const { rows } = await sql.query<{ id: string }>(
    'SELECT id FROM audit_records WHERE tenant_id = $1 AND id = ANY($2::uuid[])',
    [tenantId, entries.map((entry) => entry.id)],
  );
  return new Set(rows.map((row) => row.id));
}
