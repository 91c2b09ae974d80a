import { createHash } from 'node:crypto';
import { AppError } from '../errors.js';
import { type Database, sqlState, UNIQUE_VIOLATION } from '../store/database.js';
import { randomId } from '../tenancy/api-keys.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import { type Caller, principalName } from '../tenancy/caller.js';
import type { Quotas } from '../tenancy/quotas.js';
import type { Vault } from '../vault/vault.js';
import { cleanText } from './clean-text.js';
import { readSealed, type Seal, sealing } from './sealed-objects.js';
import type { VoiceMaker } from './voice-maker.js';
import type { VoiceStop, VoiceStops } from './voice-stops.js';

/** Somebody's consent to a voice made of his recordings. */
export interface Consent {
  readonly id: string;
  /** What people call the record. */
  readonly name: string;
  /** BCP 47, of the statement. */
  readonly language: string;
  readonly kind: 'recording' | 'document';
  readonly mediaType: string;
  /** Of the recording or document, lower-case hex. */
  readonly sha256: string;
  readonly scope: string;
  readonly sharing: boolean;
  readonly validFrom: Date;
  readonly validUntil: Date | null;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly revokedAt: Date | null;
  readonly revokedBy: string | null;
  readonly revokeReason: string | null;
  readonly state: 'active' | 'not_yet_valid' | 'expired' | 'revoked';
}

/** What the vault keeps of a consent besides the evidence: it names people. */
export interface ConsentFacts {
  /** Whose voice it is. */
  readonly speaker: string | null;
  /** What the statement says. */
  readonly text: string | null;
}

export interface NewConsent extends ConsentFacts {
  readonly name: string;
  readonly language: string;
  readonly kind: 'recording' | 'document';
  readonly evidence: Uint8Array;
  readonly scope: string;
  readonly sharing: boolean;
  readonly validFrom: Date | null;
  readonly validUntil: Date | null;
  /** Of a request that may be repeated. */
  readonly requestKey: string | null;
}

export interface ConsentsOptions {
  readonly database: Database;
  readonly vault: Vault;
  readonly quotas: Quotas;
  readonly calls: CallLedger;
  readonly stops: VoiceStops;
}

export const MAX_EVIDENCE_BYTES = 10 * 1024 * 1024;
const MAX_STATEMENT_CHARACTERS = 10_000;
const COLUMNS = `id, name, language, kind, media_type, sha256, scope, sharing, valid_from, valid_until, created_at, created_by,
  revoked_at, revoked_by, revoke_reason, evidence_object, facts_object, request_digest`;

/** The consents of tenants. None is ever changed but for its name; it ends by being revoked, and stays on record. */
export class Consents {
  readonly #options: ConsentsOptions;

  constructor(options: ConsentsOptions) {
    this.#options = options;
  }

  /** Throws `REQUEST_INVALID`, `AUDIO_…` for a statement that is none, `QUOTA_EXCEEDED`. */
  async create(
    caller: Caller,
    wanted: NewConsent,
    maker: Pick<VoiceMaker, 'compareSpeakers'>,
    signal?: AbortSignal,
  ): Promise<Consent> {
    const { vault, quotas, calls, database } = this.#options;
    const { tenantId } = caller;
    const name = cleanText('name', wanted.name, 1, 200);
    const language = cleanText('language', wanted.language, 1, 35);
    if (!/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(language)) {
      throw new AppError('REQUEST_INVALID', 'language is not a BCP 47 tag; expected one such as zh-CN or en');
    }
    const scope = cleanText('scope', wanted.scope, 0, 2000);
    const facts: ConsentFacts = {
      speaker: wanted.speaker === null ? null : cleanText('speaker', wanted.speaker, 1, 200),
      text: wanted.text === null ? null : cleanText('text', wanted.text, 1, MAX_STATEMENT_CHARACTERS),
    };
    const validFrom = wanted.validFrom ?? new Date();
    if (wanted.validUntil !== null && wanted.validUntil <= validFrom) {
      throw new AppError('REQUEST_INVALID', 'valid_until is not after valid_from');
    }
    const { evidence } = wanted;
    if (evidence.length === 0) throw new AppError('AUDIO_EMPTY', 'the consent has no statement: its file is empty');
    if (evidence.length > MAX_EVIDENCE_BYTES) {
      throw new AppError('AUDIO_TOO_LARGE', `the file of a consent has at most ${MAX_EVIDENCE_BYTES / 2 ** 20} MiB`);
    }
    const sha256 = createHash('sha256').update(evidence).digest('hex');
    const { kind, sharing, validFrom: from, validUntil: until } = wanted;
    const requestDigest = digestOfRequest([name, language, kind, sha256, scope, sharing, facts, from, until]);
    const earlier = await this.#repeated(tenantId, wanted.requestKey, requestDigest);
    if (earlier !== null) return earlier;
    const mediaType = kind === 'document' ? documentType(evidence) : audioType(evidence);
    if (kind === 'recording') {
      await maker.compareSpeakers({ statement: evidence, recordings: [] }, signal ? { signal } : {});
    }
    await quotas.checkStorage(tenantId, await vault.storedBytes(tenantId), evidence.length);

    const id = `cons_${randomId(16)}`;
    const details = { consent: id, kind, sha256, sharing };
    return await calls.act(caller, 'consent.create', details, async () => {
      const insert = async (seal: Seal) => {
        const evidenceObject = await seal('consent-evidence', evidence);
        const factsObject = await seal('consent-facts', Buffer.from(JSON.stringify(facts)));
        const { rows } = await database.asTenant(tenantId, (sql) =>
          sql.query<ConsentRow>(
            `INSERT INTO voice_consents (tenant_id, id, name, language, kind, media_type, sha256, evidence_object,
               facts_object, scope, sharing, valid_from, valid_until, created_by, request_key, request_digest)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING ${COLUMNS}`,
            [
              tenantId,
              id,
              name,
              language,
              kind,
              mediaType,
              sha256,
              evidenceObject,
              factsObject,
              scope,
              sharing,
              validFrom,
              wanted.validUntil,
              principalName(caller.principal),
              wanted.requestKey,
              requestDigest,
            ],
          ),
        );
        return toConsent(rows[0]);
      };
      try {
        return await sealing(vault, tenantId, insert, signal ? { signal } : {});
      } catch (error) {
        if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
        // The same request, sent twice at once: the other one has made the record.
        const twin = await this.#repeated(tenantId, wanted.requestKey, requestDigest);
        if (twin === null) throw error;
        return twin;
      }
    });
  }

  async list(tenantId: string): Promise<Consent[]> {
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<ConsentRow>(
        `SELECT ${COLUMNS} FROM voice_consents WHERE tenant_id = $1 AND removed_at IS NULL ORDER BY created_at DESC, id`,
        [tenantId],
      ),
    );
    return rows.map(toConsent);
  }

  /** Throws `CONSENT_NOT_FOUND`. */
  async get(tenantId: string, id: string): Promise<Consent> {
    return toConsent(await this.#row(tenantId, id));
  }

  /** With who speaks and what the statement says. */
  async facts(tenantId: string, id: string): Promise<ConsentFacts> {
    const { facts_object } = await this.#row(tenantId, id);
    if (facts_object === null) return { speaker: null, text: null };
    const facts = await readSealed(this.#options.vault, tenantId, facts_object);
    // Only this class writes these objects.
    return JSON.parse(facts.toString('utf8')) as ConsentFacts;
  }

  /** The recording or document, as it was given. */
  async evidence(
    tenantId: string,
    id: string,
  ): Promise<{ readonly consent: Consent; readonly sizeBytes: number; read(): AsyncGenerator<Buffer> }> {
    const row = await this.#row(tenantId, id);
    if (row.evidence_object === null) throw notFound();
    const object = await this.#options.vault.open(tenantId, row.evidence_object);
    return { consent: toConsent(row), sizeBytes: object.sizeBytes, read: () => object.read() };
  }

  async rename(caller: Caller, id: string, wanted: string): Promise<Consent> {
    const { calls, database } = this.#options;
    const name = cleanText('name', wanted, 1, 200);
    await this.#row(caller.tenantId, id);
    return calls.act(caller, 'consent.rename', { consent: id }, async () => {
      const { rows } = await database.asTenant(caller.tenantId, (sql) =>
        sql.query<ConsentRow>(
          `UPDATE voice_consents SET name = $3 WHERE tenant_id = $1 AND id = $2 AND removed_at IS NULL RETURNING ${COLUMNS}`,
          [caller.tenantId, id, name],
        ),
      );
      if (rows[0] === undefined) throw notFound();
      return toConsent(rows[0]);
    });
  }

  /** Ends a consent for good: every voice made under it stops, on every server, within a second. */
  async revoke(caller: Caller, id: string, reason: string | null): Promise<Consent> {
    const row = await this.#row(caller.tenantId, id);
    const why = reason === null ? null : cleanText('reason', reason, 1, 500);
    if (row.revoked_at !== null) return toConsent(row);
    const { calls, stops } = this.#options;
    // What is being said ends before the act is written: a slow audit must not let it go on.
    await stops.stopAhead(revocationOf(caller.tenantId, id));
    return await calls.act(
      caller,
      'consent.revoke',
      { consent: id, reason: why },
      async () => {
        await this.#end(caller, id, why, false);
        return await this.get(caller.tenantId, id);
      },
      () => ({}),
    );
  }

  /** Revokes a consent and destroys the statement; the record of it stays with the audit. */
  async remove(caller: Caller, id: string): Promise<void> {
    const { calls, vault, stops } = this.#options;
    const { tenantId } = caller;
    const row = await this.#row(tenantId, id);
    await stops.stopAhead(revocationOf(tenantId, id));
    await calls.act(caller, 'consent.delete', { consent: id, sha256: row.sha256 }, async () => {
      await this.#end(caller, id, 'the record was deleted', true);
      for (const object of [row.evidence_object, row.facts_object]) {
        if (object !== null) await vault.remove(tenantId, object);
      }
    });
  }

  async #end(caller: Caller, id: string, reason: string | null, remove: boolean): Promise<void> {
    const { database, stops } = this.#options;
    const { tenantId } = caller;
    const stop = revocationOf(tenantId, id);
    await database.asTenant(tenantId, async (sql) => {
      await sql.query(
        `UPDATE voice_consents SET revoked_at = coalesce(revoked_at, now()), revoked_by = coalesce(revoked_by, $3),
           revoke_reason = coalesce(revoke_reason, $4)
         WHERE tenant_id = $1 AND id = $2`,
        [tenantId, id, principalName(caller.principal), reason],
      );
      if (remove) {
        const { rows } = await sql.query<{ evidence_object: string | null; facts_object: string | null }>(
          'SELECT evidence_object, facts_object FROM voice_consents WHERE tenant_id = $1 AND id = $2 FOR UPDATE',
          [tenantId, id],
        );
        await sql.query(
          `UPDATE voice_consents SET removed_at = now(), evidence_object = NULL, facts_object = NULL
           WHERE tenant_id = $1 AND id = $2`,
          [tenantId, id],
        );
        // Their keys go with the transaction: nobody can read them again, whatever becomes of the bytes.
        const objects = [rows[0]?.evidence_object, rows[0]?.facts_object].filter((each) => typeof each === 'string');
        await sql.query('DELETE FROM vault_objects WHERE tenant_id = $1 AND id = ANY($2::text[])', [tenantId, objects]);
      }
      await stops.announce(sql, stop);
    });
    stops.stopHere(stop);
  }

  async #repeated(tenantId: string, requestKey: string | null, digest: string): Promise<Consent | null> {
    if (requestKey === null) return null;
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<ConsentRow>(`SELECT ${COLUMNS} FROM voice_consents WHERE tenant_id = $1 AND request_key = $2`, [
        tenantId,
        requestKey,
      ]),
    );
    if (rows[0] === undefined) return null;
    if (rows[0].request_digest !== digest) throw keyReused();
    return toConsent(rows[0]);
  }

  async #row(tenantId: string, id: string): Promise<ConsentRow> {
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<ConsentRow>(
        `SELECT ${COLUMNS} FROM voice_consents WHERE tenant_id = $1 AND id = $2 AND removed_at IS NULL`,
        [tenantId, id],
      ),
    );
    if (rows[0] === undefined) throw notFound();
    return rows[0];
  }
}

function revocationOf(tenantId: string, consentId: string): VoiceStop {
  return { ownerId: tenantId, subject: consentId, userId: null, reason: 'consent_revoked' };
}

export function digestOfRequest(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

export function keyReused(): AppError {
  return new AppError('REQUEST_INVALID', 'this Idempotency-Key was used for another request; use a new one');
}

const DOCUMENTS: readonly (readonly [type: string, magic: readonly number[]])[] = [
  ['application/pdf', [0x25, 0x50, 0x44, 0x46, 0x2d]],
  ['image/png', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ['image/jpeg', [0xff, 0xd8, 0xff]],
  ['image/tiff', [0x49, 0x49, 0x2a, 0x00]],
  ['image/tiff', [0x4d, 0x4d, 0x00, 0x2a]],
];

/** By what its bytes are, whatever its name says. */
function documentType(bytes: Uint8Array): string {
  const known = DOCUMENTS.find(([, magic]) => magic.every((byte, index) => bytes[index] === byte));
  if (known !== undefined) return known[0];
  throw new AppError('REQUEST_INVALID', 'the document is none that is kept here; expected PDF, PNG, JPEG or TIFF');
}

/** Of a recording that is read; it was decoded by then, whatever this says. */
export function audioType(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.subarray(0, 4)).toString('latin1');
  if (start === 'RIFF') return 'audio/wav';
  if (start === 'fLaC') return 'audio/flac';
  if (start === 'OggS') return 'audio/ogg';
  if (Buffer.from(bytes.subarray(4, 8)).toString('latin1') === 'ftyp') return 'audio/mp4';
  // A frame of ADTS says layer 0, one of MP3 layer III; behind a tag it is taken for the more frequent one.
  return bytes[0] === 0xff && (bytes[1]! & 0xf6) === 0xf0 ? 'audio/aac' : 'audio/mpeg';
}

interface ConsentRow {
  readonly id: string;
  readonly name: string;
  readonly language: string;
  readonly kind: Consent['kind'];
  readonly media_type: string;
  readonly sha256: string;
  readonly scope: string;
  readonly sharing: boolean;
  readonly valid_from: Date;
  readonly valid_until: Date | null;
  readonly created_at: Date;
  readonly created_by: string;
  readonly revoked_at: Date | null;
  readonly revoked_by: string | null;
  readonly revoke_reason: string | null;
  readonly evidence_object: string | null;
  readonly facts_object: string | null;
  readonly request_digest: string | null;
}

function toConsent(row: ConsentRow | undefined): Consent {
  if (row === undefined) throw new Error('a statement that returns a consent returned none');
  const nowMs = Date.now();
  const state =
    row.revoked_at !== null
      ? 'revoked'
      : row.valid_from.getTime() > nowMs
        ? 'not_yet_valid'
        : row.valid_until !== null && row.valid_until.getTime() <= nowMs
          ? 'expired'
          : 'active';
  return {
    id: row.id,
    name: row.name,
    language: row.language,
    kind: row.kind,
    mediaType: row.media_type,
    sha256: row.sha256,
    scope: row.scope,
    sharing: row.sharing,
    validFrom: row.valid_from,
    validUntil: row.valid_until,
    createdAt: row.created_at,
    createdBy: row.created_by,
    revokedAt: row.revoked_at,
    revokedBy: row.revoked_by,
    revokeReason: row.revoke_reason,
    state,
  };
}

function notFound(): AppError {
  return new AppError('CONSENT_NOT_FOUND', 'there is no such consent; GET /v1/consents lists those there are');
}
