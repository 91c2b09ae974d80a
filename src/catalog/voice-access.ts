import { AppError } from '../errors.js';
import { Recall, whenKnown } from '../recall.js';
import type { Database, Sql } from '../store/database.js';
import type { VoiceStops, WatchedUse } from './voice-stops.js';

/** Where the profile of a voice's style lies. */
export interface ProfileReference {
  readonly tenant: string;
  /** Of the vault. */
  readonly object: string;
  /** SHA-256 of the profile, lower-case hex. */
  readonly digest: string;
}

/** A voice that a tenant may use now. */
export interface AllowedVoice {
  /** What the engine calls it: a voice of the operator's pool, or a name in `profiles`. */
  readonly name: string;
  /** Null: a voice file of the pool, which the engine keeps itself. */
  readonly profiles: Readonly<Record<string, ProfileReference>> | null;
  /** What audit and usage say: null for the pool's. */
  readonly version: number | null;
  readonly model: string | null;
  /** Ends with the voice; to be released when the use is over. Null: the pool's are not stopped. */
  watch(): WatchedUse | null;
}

/** Whether a voice may speak, by what its row, its version and its consent say. */
export type Standing = 'ready' | 'disabled' | 'consent_required' | 'consent_revoked' | 'consent_expired';

export interface StandingFacts {
  readonly disabled_at: Date | null;
  readonly consent_id: string | null;
  readonly revoked_at: Date | null;
  readonly valid_from: Date | null;
  readonly valid_until: Date | null;
  readonly own_recordings_allowed: boolean;
}

interface OwnVoiceRow extends StandingFacts {
  readonly id: string;
  readonly current_version: number;
  readonly model: string;
  readonly sharing: boolean | null;
  readonly styles: readonly { readonly style: string; readonly object: string; readonly digest: string }[];
}

interface UseOptions {
  /** The caller has just made this voice, of a recording that the operator lets the tenant use. */
  readonly madeOfRecording?: boolean;
}

type Looked =
  | { readonly kind: 'voice'; readonly ownerId: string; readonly row: OwnVoiceRow; readonly checkedMs: number }
  | { readonly kind: 'pool'; readonly allowed: boolean };

/** A change on another server that stops nobody (a new version, a new voice) is seen after so long. */
const TTL_MS = 500;
const MAX_REMEMBERED = 10_000;
export const DEFAULT_STYLE = 'default';
/** Voices that are made of a recording for a request (the reference's `/tts`): nobody else may name them. */
export const RECORDING_VOICE_PREFIX = 'ref-';
/** `anna`, or `anna.calm`: a style of it. */
const VOICE_NAME = /^([A-Za-z0-9][A-Za-z0-9_-]{0,63})(?:\.([a-z0-9][a-z0-9_-]{0,31}))?$/;

/**
 * Which voices a tenant may use: its own, those that were shared with it, and those of the operator's pool as far as the
 * tenant may. Every way to speech asks here.
 */
export class VoiceAccess {
  readonly #database: Database;
  readonly #stops: VoiceStops;
  readonly #remembered = new Recall<Looked>({ ttlMs: TTL_MS, maxEntries: MAX_REMEMBERED });

  constructor(database: Database, stops: VoiceStops) {
    this.#database = database;
    this.#stops = stops;
    // Rare, and it may concern tenants that the voice is shared with.
    stops.onStop(() => this.#remembered.clear());
  }

  /**
   * The voice that a tenant means by a name. A name that no voice has is taken for one of the pool's: the engine knows
   * those, and refuses others.
   *
   * Throws `VOICE_NOT_FOUND`, `VOICE_DISABLED`, `CONSENT_REQUIRED`, `CONSENT_REVOKED`, `CONSENT_EXPIRED`.
   */
  async use(tenantId: string, name: string, options: UseOptions = {}): Promise<AllowedVoice> {
    return await this.useKnown(tenantId, name, options);
  }

  /** As {@link use}, but at once where the voice was looked at a moment ago: throws, or rejects with, the same. */
  useKnown(
    tenantId: string,
    name: string,
    { madeOfRecording = false }: UseOptions = {},
  ): AllowedVoice | Promise<AllowedVoice> {
    if (name.startsWith(RECORDING_VOICE_PREFIX)) {
      if (!madeOfRecording) throw voiceNotFound();
      return poolVoice(name);
    }
    const [, id, style = DEFAULT_STYLE] = VOICE_NAME.exec(name) ?? [];
    return whenKnown(this.#look(tenantId, id ?? name, name), (looked) => this.#allowed(tenantId, looked, name, style));
  }

  #allowed(tenantId: string, looked: Looked, name: string, style: string): AllowedVoice {
    if (looked.kind === 'pool') {
      if (!looked.allowed) throw voiceNotFound();
      return poolVoice(name);
    }
    const { ownerId, row, checkedMs } = looked;
    throwUnlessReady(row);
    if (!row.styles.some((each) => each.style === style)) {
      const styles = row.styles.map((each) => each.style).filter((each) => each !== DEFAULT_STYLE);
      throw new AppError(
        'VOICE_NOT_FOUND',
        `the voice has no such style; ${styles.length > 0 ? `it has ${styles.join(', ')}` : 'it has only its usual one'}`,
      );
    }
    const profiles = Object.fromEntries(
      row.styles.map(({ style: each, object, digest }) => [
        styledName(row.id, each),
        { tenant: ownerId, object, digest },
      ]),
    );
    const untilMs = row.valid_until?.getTime() ?? null;
    const uses = { ownerId, voiceId: row.id, consentId: row.consent_id, userId: tenantId };
    return {
      name: styledName(row.id, style),
      profiles,
      version: row.current_version,
      model: row.model,
      watch: () => this.#stops.watch({ ...uses, checkedMs, untilMs }),
    };
  }

  /** Whether the tenant has a voice of this name, or one is shared with it, apart from the pool. */
  async has(tenantId: string, name: string): Promise<boolean> {
    const [, id] = VOICE_NAME.exec(name) ?? [];
    return id !== undefined && (await this.#look(tenantId, id, name)).kind === 'voice';
  }

  /** Which voices of the pool the tenant may use, by name. */
  async pool(tenantId: string): Promise<(name: string) => boolean> {
    return await this.#database.asTenant(tenantId, async (sql) => {
      const { rows: tenants } = await sql.query<{ pool_voices: string }>(
        'SELECT pool_voices FROM tenants WHERE id = $1',
        [tenantId],
      );
      if (tenants[0]?.pool_voices === 'all') return () => true;
      const { rows } = await sql.query<{ voice_id: string }>(
        'SELECT voice_id FROM voice_shares WHERE tenant_id = $1 AND owner_id IS NULL',
        [tenantId],
      );
      const chosen = new Set(rows.map((row) => row.voice_id));
      return (name) => chosen.has(name) || chosen.has(baseName(name));
    });
  }

  /** Throws `CONSENT_REQUIRED` where the operator has not allowed the tenant recordings without a consent. */
  async requireOwnRecordings(tenantId: string): Promise<void> {
    const { rows } = await this.#database.asTenant(tenantId, (sql) =>
      sql.query<{ own_recordings_allowed: boolean }>('SELECT own_recordings_allowed FROM tenants WHERE id = $1', [
        tenantId,
      ]),
    );
    if (rows[0]?.own_recordings_allowed === true) return;
    throw new AppError(
      'CONSENT_REQUIRED',
      "a voice needs the speaker's consent: make one with POST /v1/consents and name it in consent, or ask the operator to allow this tenant its own recordings",
    );
  }

  /** Something about a tenant's voices changed in this process. */
  forgetTenant(tenantId: string): void {
    this.#remembered.forgetWhere((key) => key.startsWith(`${tenantId}/`));
  }

  #look(tenantId: string, id: string, name: string): Looked | Promise<Looked> {
    return this.#remembered.get(`${tenantId}/${name}`, () => this.#load(tenantId, id, name, Date.now()));
  }

  async #load(tenantId: string, id: string, name: string, checkedMs: number): Promise<Looked> {
    const found = await this.#database.asTenant(tenantId, async (sql) => {
      const row = await readStanding(sql, tenantId, id);
      if (row !== null) return { ownerId: tenantId, row };
      const { rows } = await sql.query<{ owner_id: string | null }>(
        'SELECT owner_id FROM voice_shares WHERE tenant_id = $1 AND voice_id = $2 AND owner_id IS NOT NULL',
        [tenantId, id],
      );
      const ownerId = rows[0]?.owner_id ?? null;
      return ownerId === null ? { pool: await poolAllowed(sql, tenantId, name) } : { ownerId };
    });
    if (found.ownerId === undefined) return { kind: 'pool', allowed: found.pool };
    const { ownerId } = found;
    if (found.row !== undefined) return { kind: 'voice', ownerId, row: found.row, checkedMs };
    // What was shared is read as its owner's: the share says that it may be.
    const row = await this.#database.asTenant(ownerId, (sql) => readStanding(sql, ownerId, id));
    if (row === null || row.sharing === false) throw voiceNotFound();
    return { kind: 'voice', ownerId, row, checkedMs };
  }
}

function poolVoice(name: string): AllowedVoice {
  return { name, profiles: null, version: null, model: null, watch: unwatched };
}

const unwatched = () => null;

/** The engine's name for a style of a voice. */
export function styledName(voiceId: string, style: string): string {
  return style === DEFAULT_STYLE ? voiceId : `${voiceId}.${style}`;
}

export function standingOf(facts: StandingFacts, nowMs = Date.now()): Standing {
  if (facts.disabled_at !== null) return 'disabled';
  if (facts.consent_id === null) return facts.own_recordings_allowed ? 'ready' : 'consent_required';
  if (facts.revoked_at !== null) return 'consent_revoked';
  const { valid_from: from, valid_until: until } = facts;
  if (from === null || from.getTime() > nowMs || (until !== null && until.getTime() <= nowMs)) return 'consent_expired';
  return 'ready';
}

function throwUnlessReady(facts: StandingFacts): void {
  const standing = standingOf(facts);
  switch (standing) {
    case 'ready':
      return;
    case 'disabled':
      throw new AppError('VOICE_DISABLED', 'the voice is switched off; its owner can switch it on again');
    case 'consent_required':
      throw new AppError(
        'CONSENT_REQUIRED',
        'the voice has no consent record, and its tenant is not allowed its own recordings any more; make a version with a consent',
      );
    case 'consent_revoked':
      throw new AppError('CONSENT_REVOKED', "the speaker's consent was revoked: the voice speaks no more");
    case 'consent_expired':
      throw new AppError('CONSENT_EXPIRED', "the speaker's consent is not valid now; make a version with a new one");
    default:
      standing satisfies never;
  }
}

async function readStanding(sql: Sql, tenantId: string, id: string): Promise<OwnVoiceRow | null> {
  const { rows } = await sql.query<OwnVoiceRow>(
    `SELECT v.id, v.current_version, v.disabled_at, r.model, r.consent_id, c.revoked_at, c.valid_from, c.valid_until,
       c.sharing, t.own_recordings_allowed,
       (SELECT json_agg(json_build_object('style', s.style, 'object', s.profile_object, 'digest', s.profile_digest))
        FROM voice_styles s WHERE s.tenant_id = v.tenant_id AND s.voice_id = v.id AND s.version = v.current_version) AS styles
     FROM voices v
     JOIN tenants t ON t.id = v.tenant_id
     JOIN voice_versions r ON r.tenant_id = v.tenant_id AND r.voice_id = v.id AND r.version = v.current_version
     LEFT JOIN voice_consents c ON c.tenant_id = r.tenant_id AND c.id = r.consent_id
     WHERE v.tenant_id = $1 AND v.id = $2`,
    [tenantId, id],
  );
  return rows[0] ?? null;
}

async function poolAllowed(sql: Sql, tenantId: string, name: string): Promise<boolean> {
  const { rows } = await sql.query<{ allowed: boolean }>(
    `SELECT t.pool_voices = 'all' OR EXISTS (
       SELECT 1 FROM voice_shares s WHERE s.tenant_id = t.id AND s.owner_id IS NULL AND s.voice_id IN ($2, $3)
     ) AS allowed FROM tenants t WHERE t.id = $1`,
    [tenantId, name, baseName(name)],
  );
  return rows[0]?.allowed ?? false;
}

/** `demo.calm` is a style of the pool's `demo`. */
function baseName(name: string): string {
  return name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : name;
}

export function voiceNotFound(): AppError {
  return new AppError('VOICE_NOT_FOUND', 'there is no such voice; GET /v1/voices lists those there are');
}
