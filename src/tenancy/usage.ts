import type { WrittenEntry } from '../audit/chain.js';
import type { Database, Sql } from '../store/database.js';

export interface UsageRow {
  /** The hour that it counts, UTC. */
  readonly hour: Date;
  /** `key:…`, `person:…` or `local:local`. */
  readonly principal: string;
  readonly voice: string;
  readonly requests: number;
  readonly failures: number;
  readonly characters: number;
  readonly audioMs: number;
}

interface Sum {
  readonly hour: string;
  readonly principal: string;
  readonly voice: string;
  requests: number;
  failures: number;
  characters: number;
  audioMs: number;
}

/** Books what calls used, in the transaction that keeps their audit records: the two cannot disagree. */
export async function bookUsage(
  sql: Sql,
  tenantId: string,
  entries: readonly Pick<WrittenEntry, 'at' | 'usage'>[],
): Promise<void> {
  const sums = new Map<string, Sum>();
  for (const { at, usage } of entries) {
    if (usage === undefined) continue;
    const hour = `${at.slice(0, 13)}:00:00Z`;
    const key = JSON.stringify([hour, usage.principal, usage.voice]);
    let sum = sums.get(key);
    if (sum === undefined) {
      const { principal, voice } = usage;
      sum = { hour, principal, voice, requests: 0, failures: 0, characters: 0, audioMs: 0 };
      sums.set(key, sum);
    }
    sum.requests++;
    if (usage.failed) sum.failures++;
    sum.characters += usage.characters;
    sum.audioMs += usage.audioMs;
  }
  if (sums.size === 0) return;
  const rows = [...sums.values()];
  await sql.query(
    `INSERT INTO usage_hours AS u (tenant_id, hour, principal, voice, requests, failures, characters, audio_ms)
     SELECT $1, n.* FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) AS n
     ON CONFLICT (tenant_id, hour, principal, voice) DO UPDATE SET
       requests = u.requests + excluded.requests, failures = u.failures + excluded.failures,
       characters = u.characters + excluded.characters, audio_ms = u.audio_ms + excluded.audio_ms`,
    [
      tenantId,
      rows.map((row) => row.hour),
      rows.map((row) => row.principal),
      rows.map((row) => row.voice),
      rows.map((row) => row.requests),
      rows.map((row) => row.failures),
      rows.map((row) => row.characters),
      rows.map((row) => row.audioMs),
    ],
  );
}

export async function readUsage(
  database: Database,
  tenantId: string,
  { from, to }: { readonly from: Date; readonly to: Date },
): Promise<UsageRow[]> {
  const { rows } = await database.asTenant(tenantId, (sql) =>
    sql.query<Omit<UsageRow, 'audioMs'> & { audio_ms: number }>(
      `SELECT hour, principal, voice, requests, failures, characters, audio_ms FROM usage_hours
       WHERE hour >= $1 AND hour < $2 ORDER BY hour, principal, voice`,
      [from, to],
    ),
  );
  return rows.map(({ audio_ms, ...row }) => ({ ...row, audioMs: audio_ms }));
}

/** For bills and spreadsheets. */
export function usageCsv(rows: readonly UsageRow[]): string {
  const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = rows.map(({ hour, principal, voice, requests, failures, characters, audioMs }) =>
    [hour.toISOString(), quote(principal), quote(voice), requests, failures, characters, audioMs / 1000].join(','),
  );
  return `${['hour,principal,voice,requests,failures,characters,audio_seconds', ...lines].join('\n')}\n`;
}

/** Characters of the calendar month, UTC, that calls ended with. */
export async function charactersSince(database: Database, tenantId: string, from: Date): Promise<number> {
  const { rows } = await database.asTenant(tenantId, (sql) =>
    sql.query<{ characters: number }>(
      'SELECT coalesce(sum(characters), 0)::bigint AS characters FROM usage_hours WHERE hour >= $1',
      [from],
    ),
  );
  return rows[0]?.characters ?? 0;
}
