import type { Sql } from '../store/database.js';
import type { SpeakerMatch } from './speaker-match.js';
import { DEFAULT_STYLE, type Standing, type StandingFacts, standingOf } from './voice-access.js';

/** A voice as its tenant sees it. */
export interface Voice {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether it may speak now, and why not. */
  readonly status: Standing;
  readonly version: number;
  readonly model: string;
  readonly language: string;
  /** Besides the usual one. */
  readonly styles: readonly string[];
  readonly consentId: string | null;
  readonly durationMs: number;
  readonly warnings: readonly string[];
  readonly createdAt: Date;
  readonly createdBy: string;
  /** It is another tenant's. */
  readonly shared: boolean;
}

export interface VoiceVersion {
  readonly version: number;
  readonly current: boolean;
  readonly model: string;
  readonly consentId: string | null;
  readonly speakerMatch: SpeakerMatch;
  readonly styles: readonly string[];
  readonly createdAt: Date;
  readonly createdBy: string;
}

interface VoiceRow extends StandingFacts {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly current_version: number;
  readonly model: string;
  readonly created_at: Date;
  readonly created_by: string;
  readonly styles: readonly {
    readonly style: string;
    readonly language: string;
    readonly duration_ms: number;
    readonly warnings: readonly string[];
  }[];
}

const SELECT = `SELECT v.id, v.name, v.description, v.labels, v.current_version, v.disabled_at, v.created_at, v.created_by,
    r.model, r.consent_id, c.revoked_at, c.valid_from, c.valid_until, t.own_recordings_allowed,
    (SELECT json_agg(json_build_object('style', s.style, 'language', s.language, 'duration_ms', s.duration_ms,
       'warnings', s.warnings) ORDER BY s.style)
     FROM voice_styles s WHERE s.tenant_id = v.tenant_id AND s.voice_id = v.id AND s.version = v.current_version) AS styles
  FROM voices v
  JOIN tenants t ON t.id = v.tenant_id
  JOIN voice_versions r ON r.tenant_id = v.tenant_id AND r.voice_id = v.id AND r.version = v.current_version
  LEFT JOIN voice_consents c ON c.tenant_id = r.tenant_id AND c.id = r.consent_id`;

export async function readVoice(sql: Sql, tenantId: string, id: string): Promise<Voice | null> {
  const { rows } = await sql.query<VoiceRow>(`${SELECT} WHERE v.tenant_id = $1 AND v.id = $2`, [tenantId, id]);
  return rows[0] === undefined ? null : toVoice(rows[0]);
}

/** A voice of `ownerId` as those see it whom it is shared with; null too where its consent does not cover sharing. */
export async function readSharedVoice(sql: Sql, ownerId: string, id: string): Promise<Voice | null> {
  const { rows } = await sql.query<VoiceRow>(
    `${SELECT} WHERE v.tenant_id = $1 AND v.id = $2 AND c.sharing IS NOT FALSE`,
    [ownerId, id],
  );
  return rows[0] === undefined ? null : { ...toVoice(rows[0]), shared: true, consentId: null };
}

export async function readVoices(sql: Sql, tenantId: string): Promise<Voice[]> {
  const { rows } = await sql.query<VoiceRow>(`${SELECT} WHERE v.tenant_id = $1 ORDER BY v.id`, [tenantId]);
  return rows.map(toVoice);
}

/** The newest first; empty where there is no such voice. */
export async function versionsOf(sql: Sql, tenantId: string, id: string): Promise<VoiceVersion[]> {
  const { rows } = await sql.query<{
    version: number;
    current: boolean;
    model: string;
    consent_id: string | null;
    speaker_match: SpeakerMatch;
    styles: string[];
    created_at: Date;
    created_by: string;
  }>(
    `SELECT r.version, r.version = v.current_version AS current, r.model, r.consent_id, r.speaker_match, r.created_at,
       r.created_by, ARRAY(SELECT s.style FROM voice_styles s WHERE s.tenant_id = r.tenant_id AND s.voice_id = r.voice_id
         AND s.version = r.version ORDER BY s.style) AS styles
     FROM voice_versions r JOIN voices v ON v.tenant_id = r.tenant_id AND v.id = r.voice_id
     WHERE r.tenant_id = $1 AND r.voice_id = $2 ORDER BY r.version DESC`,
    [tenantId, id],
  );
  return rows.map((row) => ({
    version: row.version,
    current: row.current,
    model: row.model,
    consentId: row.consent_id,
    speakerMatch: row.speaker_match,
    styles: row.styles,
    createdAt: row.created_at,
    createdBy: row.created_by,
  }));
}

function toVoice(row: VoiceRow): Voice {
  const usual = row.styles.find(({ style }) => style === DEFAULT_STYLE) ?? row.styles[0];
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    labels: row.labels,
    status: standingOf(row),
    version: row.current_version,
    model: row.model,
    language: usual?.language ?? 'auto',
    styles: row.styles.map(({ style }) => style).filter((style) => style !== DEFAULT_STYLE),
    consentId: row.consent_id,
    durationMs: usual?.duration_ms ?? 0,
    warnings: usual?.warnings ?? [],
    createdAt: row.created_at,
    createdBy: row.created_by,
    shared: false,
  };
}
