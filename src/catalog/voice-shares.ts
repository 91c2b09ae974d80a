import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import type { Caller } from '../tenancy/caller.js';
import { principalName } from '../tenancy/caller.js';
import { getTenant } from '../tenancy/tenants.js';
import { voiceNotFound } from './voice-access.js';
import type { VoiceCatalog } from './voice-catalog.js';
import type { VoiceStop } from './voice-stops.js';

/** A voice that a tenant may use though it is not its own. */
export interface VoiceShare {
  readonly tenantId: string;
  readonly voiceId: string;
  /** Whose it is; null: a voice file of the operator's pool. */
  readonly ownerId: string | null;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/**
 * Lets a tenant use another tenant's voice, or, without an owner, one of the pool's files. What the owner does to the
 * voice, and what becomes of its consent, counts for everybody it is shared with.
 *
 * Throws `VOICE_NOT_FOUND`, `TENANT_NOT_FOUND`, `CONSENT_REQUIRED` where the consent does not cover sharing, `VOICE_EXISTS`
 * where the tenant has a voice of that id.
 */
export async function shareVoice(
  database: Database,
  voices: VoiceCatalog,
  operator: Caller,
  {
    voiceId,
    ownerId,
    tenantId,
  }: { readonly voiceId: string; readonly ownerId: string | null; readonly tenantId: string },
): Promise<VoiceShare> {
  const tenant = await getTenant(database, tenantId);
  if (tenant.state === 'deleted') throw new AppError('TENANT_NOT_FOUND', `the tenant "${tenantId}" was deleted`);
  if (ownerId !== null) {
    if (ownerId === tenantId) throw new AppError('REQUEST_INVALID', 'the voice is this tenant’s own already');
    const { consentId } = await voices.get(ownerId, voiceId);
    const consent = consentId === null ? null : await voices.consents.get(ownerId, consentId);
    if (consent !== null && !consent.sharing) {
      throw new AppError(
        'CONSENT_REQUIRED',
        "the speaker's consent does not cover sharing the voice with others; make a version under one that does",
      );
    }
  }
  const own = await database.asTenant(tenantId, (sql) =>
    sql.query('SELECT 1 FROM voices WHERE tenant_id = $1 AND id = $2', [tenantId, voiceId]),
  );
  if (own.rows.length > 0) {
    throw new AppError(
      'VOICE_EXISTS',
      `the tenant "${tenantId}" has a voice of this id; it must be renamed or deleted first`,
    );
  }
  const { rows } = await database.asPlatform((sql) =>
    sql.query<ShareRow>(
      `INSERT INTO voice_shares AS s (tenant_id, voice_id, owner_id, created_by) VALUES ($1, $2, $3, $4)
       ON CONFLICT (tenant_id, voice_id) DO NOTHING RETURNING *`,
      [tenantId, voiceId, ownerId, principalName(operator.principal)],
    ),
  );
  if (rows[0] === undefined) {
    const known = (await listShares(database, { tenantId })).find((share) => share.voiceId === voiceId);
    if (known?.ownerId === ownerId) return known;
    throw new AppError('VOICE_EXISTS', 'another voice of this id is shared with the tenant already');
  }
  voices.access.forgetTenant(tenantId);
  return toShare(rows[0]);
}

/** Ends it at once, for streams under way too. Throws `VOICE_NOT_FOUND` where it was not shared. */
export async function unshareVoice(
  database: Database,
  voices: VoiceCatalog,
  { voiceId, tenantId }: { readonly voiceId: string; readonly tenantId: string },
): Promise<void> {
  const stop = await database.asPlatform(async (sql) => {
    const { rows } = await sql.query<ShareRow>(
      'DELETE FROM voice_shares WHERE tenant_id = $1 AND voice_id = $2 RETURNING *',
      [tenantId, voiceId],
    );
    const row = rows[0];
    if (row === undefined) throw voiceNotFound();
    if (row.owner_id === null) return null;
    const unshared: VoiceStop = { ownerId: row.owner_id, subject: voiceId, userId: tenantId, reason: 'unshared' };
    await voices.stops.announce(sql, unshared);
    return unshared;
  });
  if (stop !== null) voices.stops.stopHere(stop);
  voices.access.forgetTenant(tenantId);
}

export async function listShares(
  database: Database,
  { tenantId, ownerId }: { readonly tenantId?: string; readonly ownerId?: string } = {},
): Promise<VoiceShare[]> {
  const { rows } = await database.asPlatform((sql) =>
    sql.query<ShareRow>(
      `SELECT * FROM voice_shares WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR owner_id = $2)
       ORDER BY tenant_id, voice_id`,
      [tenantId ?? null, ownerId ?? null],
    ),
  );
  return rows.map(toShare);
}

interface ShareRow {
  readonly tenant_id: string;
  readonly voice_id: string;
  readonly owner_id: string | null;
  readonly created_at: Date;
  readonly created_by: string;
}

function toShare(row: ShareRow): VoiceShare {
  return {
    tenantId: row.tenant_id,
    voiceId: row.voice_id,
    ownerId: row.owner_id,
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
