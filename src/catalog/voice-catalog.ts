import { createHash } from 'node:crypto';
import { AppError } from '../errors.js';
import type { Logger } from '../log.js';
import { type Database, type Sql, sqlState, UNIQUE_VIOLATION } from '../store/database.js';
import { randomId } from '../tenancy/api-keys.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import { type Caller, principalName } from '../tenancy/caller.js';
import type { Quotas } from '../tenancy/quotas.js';
import type { Vault } from '../vault/vault.js';
import { removeAdaptersOf } from './adapters.js';
import { cleanText } from './clean-text.js';
import { audioType, Consents, digestOfRequest, keyReused } from './consents.js';
import { readAll, readSealed, type Seal, sealing } from './sealed-objects.js';
import { checkSpeaker, type SpeakerMatch } from './speaker-match.js';
import {
  DEFAULT_STYLE,
  type ProfileReference,
  RECORDING_VOICE_PREFIX,
  styledName,
  VoiceAccess,
  voiceNotFound,
} from './voice-access.js';
import type { MadeVoice, RecordingFile, SpeechLanguage, VoiceMaker } from './voice-maker.js';
import { readSharedVoice, readVoice, readVoices, type Voice, type VoiceVersion, versionsOf } from './voice-rows.js';
import { type VoiceStop, VoiceStops } from './voice-stops.js';

export interface VoiceCatalogOptions {
  readonly database: Database;
  readonly vault: Vault;
  readonly quotas: Quotas;
  readonly calls: CallLedger;
  /** Least similarity at which two recordings count as of one speaker. */
  readonly speakerThreshold: number;
  readonly log: Logger;
}

/** One way that a voice speaks. */
export interface NewStyle {
  readonly recordings: readonly RecordingFile[];
  readonly transcript: string | null;
  readonly language: SpeechLanguage;
}

export interface NewVersion {
  /** The style to add or to make anew; absent: {@link DEFAULT_STYLE}. The other styles stay as they are. */
  readonly style?: string;
  /** Null: all styles are made anew of the recordings there are, for another model or another consent. */
  readonly source: NewStyle | null;
  /** Absent: the engine's default one. A version speaks with one model: styles that stay must be of it. */
  readonly model?: string;
  /** Null: the tenant's own recordings, where its policy allows them. */
  readonly consentId: string | null;
  /** Who has compared the speaker of the statement with that of the recordings, where no speaker encoder can. */
  readonly attestedBy: string | null;
  readonly requestKey: string | null;
}

export interface NewVoice extends Omit<NewVersion, 'style' | 'source'> {
  readonly source: NewStyle;
  /** Absent: one is drawn. */
  readonly id?: string;
  readonly name: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface VoiceChanges {
  readonly name?: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly disabled?: boolean;
  /** An earlier version, to go back to; or a later one. */
  readonly currentVersion?: number;
}

/** A style as it was stored: for versions of another model. */
interface StoredStyle {
  readonly style: string;
  readonly language: string;
  readonly prompt_free: boolean;
  readonly duration_ms: number;
  readonly warnings: readonly string[];
  readonly profile_object: string;
  readonly profile_digest: string;
  readonly source_object: string;
  readonly recordings: readonly StoredRecording[];
}

/** A style to be made: of new recordings, or again of those that are stored. */
interface Making {
  readonly style: string;
  readonly source: NewStyle;
  readonly stored: Pick<StoredStyle, 'source_object' | 'recordings'> | null;
}

/** The version that another one is made from. */
interface Basis {
  readonly version: number;
  readonly modelDigest: string;
  readonly consentId: string | null;
  readonly styles: readonly StoredStyle[];
}

interface Wanted extends NewVersion {
  readonly style: string;
  readonly requestDigest: string;
}

interface StoredRecording {
  readonly object_id: string;
  readonly sha256: string;
  readonly size_bytes: number;
}

const VOICE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const STYLE = /^[a-z0-9][a-z0-9_-]{0,31}$/;
/** Names that routes have, and that clients send for the default voice. */
const RESERVED_IDS: ReadonlySet<string> = new Set(['add', 'check', 'settings', 'pvc', 'ivc']);
export const MAX_RECORDING_BYTES = 20 * 1024 * 1024;
const MAX_LABELS = 32;
const MAX_VOICES = 10_000;
const MAX_VERSIONS = 1000;
const MAX_STYLES = 32;
/** Each decodes and analyses recordings: more at once would take the processor from those who listen. */
const MAX_AT_ONCE = 4;
/** So that one tenant leaves room for another. */
const MAX_OF_TENANT = 2;

/**
 * The voices of tenants: rows in the database, recordings and profiles in the vault. Versions are never changed; what a
 * voice may do follows from its row, its current version and that version's consent each time it is used.
 */
export class VoiceCatalog {
  readonly stops: VoiceStops;
  readonly access: VoiceAccess;
  readonly consents: Consents;
  readonly #options: VoiceCatalogOptions;
  /** Voices that are being made, by tenant. */
  readonly #enrolling = new Map<string, number>();

  constructor(options: VoiceCatalogOptions) {
    this.#options = options;
    const { database, vault, quotas, calls, log } = options;
    this.stops = new VoiceStops(database, log);
    this.access = new VoiceAccess(database, this.stops);
    this.consents = new Consents({ database, vault, quotas, calls, stops: this.stops });
  }

  /**
   * Makes a voice of recordings. `taken`: names of the operator's pool that the tenant sees.
   *
   * Throws `VOICE_EXISTS`, `CONSENT_…`, `AUDIO_…` and `TEXT_…` with what to improve, `QUOTA_EXCEEDED`.
   */
  async create(
    caller: Caller,
    wanted: NewVoice,
    maker: VoiceMaker,
    { taken = [], signal }: { readonly taken?: readonly string[]; readonly signal?: AbortSignal } = {},
  ): Promise<Voice> {
    const { tenantId } = caller;
    const id = wanted.id ?? `voice_${randomId(16)}`;
    checkVoiceId(id);
    const facts = {
      name: cleanText('name', wanted.name, 1, 200),
      description: cleanText('description', wanted.description ?? '', 0, 2000),
      labels: checkLabels(wanted.labels ?? {}),
    };
    const requestDigest = digestOfRequest([wanted.id ?? null, facts, describeRequest(wanted)]);
    const earlier = await this.#repeated(tenantId, wanted.requestKey, requestDigest);
    if (earlier !== null) return await this.get(tenantId, earlier);
    await this.#checkFree(tenantId, id, taken);
    const details = { voice: id, consent: wanted.consentId, recordings: digestsOf(wanted.source.recordings) };
    const request = { ...wanted, style: DEFAULT_STYLE, requestDigest };
    const insertVoice: InsertVoice = async (sql, version) => {
      await sql.query(
        `INSERT INTO voices (tenant_id, id, name, description, labels, current_version, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [
          tenantId,
          id,
          facts.name,
          facts.description,
          JSON.stringify(facts.labels),
          version,
          principalName(caller.principal),
        ],
      );
    };
    return await this.calls.act(
      caller,
      'voice.create',
      details,
      () => this.#ifRoom(tenantId, () => this.#makeVersion(caller, id, request, maker, signal, insertVoice)),
      (voice) => ({ version: voice.version, model: voice.model }),
    );
  }

  /** Makes another version with a style added or made anew, and lets it speak. Streams under way go on as they are. */
  async addVersion(
    caller: Caller,
    id: string,
    wanted: NewVersion,
    maker: VoiceMaker,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Voice> {
    const { tenantId } = caller;
    const style = wanted.style ?? DEFAULT_STYLE;
    if (!STYLE.test(style)) {
      throw new AppError('REQUEST_INVALID', 'a style is named with 1 to 32 of a-z, 0-9, "_" and "-"');
    }
    const requestDigest = digestOfRequest([id, style, describeRequest(wanted)]);
    const earlier = await this.#repeated(tenantId, wanted.requestKey, requestDigest);
    if (earlier !== null) return await this.get(tenantId, earlier);
    await this.get(tenantId, id);
    const recordings = digestsOf(wanted.source?.recordings ?? []);
    const details = { voice: id, style: wanted.source === null ? null : style, consent: wanted.consentId, recordings };
    const request = { ...wanted, style, requestDigest };
    return await this.calls.act(
      caller,
      'voice.version',
      details,
      () => this.#ifRoom(tenantId, () => this.#makeVersion(caller, id, request, maker, signal, null)),
      (voice) => ({ version: voice.version, model: voice.model }),
    );
  }

  async list(tenantId: string): Promise<Voice[]> {
    return await this.#options.database.asTenant(tenantId, (sql) => readVoices(sql, tenantId));
  }

  /** Voices of others that the operator lets the tenant use, as they are now. */
  async listShared(tenantId: string): Promise<Voice[]> {
    const { database } = this.#options;
    const { rows } = await database.asTenant(tenantId, (sql) =>
      sql.query<{ voice_id: string; owner_id: string }>(
        'SELECT voice_id, owner_id FROM voice_shares WHERE tenant_id = $1 AND owner_id IS NOT NULL ORDER BY voice_id',
        [tenantId],
      ),
    );
    const shared: Voice[] = [];
    for (const { voice_id, owner_id } of rows) {
      const voice = await database.asTenant(owner_id, (sql) => readSharedVoice(sql, owner_id, voice_id));
      if (voice !== null) shared.push(voice);
    }
    return shared;
  }

  /** Throws `VOICE_NOT_FOUND`. */
  async get(tenantId: string, id: string): Promise<Voice> {
    const voice = await this.#options.database.asTenant(tenantId, (sql) => readVoice(sql, tenantId, id));
    if (voice === null) throw voiceNotFound();
    return voice;
  }

  async versions(tenantId: string, id: string): Promise<VoiceVersion[]> {
    const versions = await this.#options.database.asTenant(tenantId, (sql) => versionsOf(sql, tenantId, id));
    if (versions.length === 0) throw voiceNotFound();
    return versions;
  }

  /** A recording that a style of the current version was made of, as it was given. */
  async recording(
    tenantId: string,
    id: string,
    { style = DEFAULT_STYLE, position = 0 }: { readonly style?: string; readonly position?: number } = {},
  ): Promise<{ readonly sizeBytes: number; readonly mediaType: string; read(): AsyncGenerator<Buffer> }> {
    const { database, vault } = this.#options;
    const { rows } = await database.asTenant(tenantId, (sql) =>
      sql.query<{ object_id: string }>(
        `SELECT r.object_id FROM voice_recordings r JOIN voices v
           ON v.tenant_id = r.tenant_id AND v.id = r.voice_id AND v.current_version = r.version
         WHERE r.tenant_id = $1 AND r.voice_id = $2 AND r.style = $3 AND r.position = $4`,
        [tenantId, id, style, position],
      ),
    );
    if (rows[0] === undefined) throw new AppError('VOICE_NOT_FOUND', 'the voice has no such recording');
    const object = await vault.open(tenantId, rows[0].object_id);
    const head = await readAll(object.read({ start: 0, end: 16 }));
    return { sizeBytes: object.sizeBytes, mediaType: audioType(head), read: () => object.read() };
  }

  async update(caller: Caller, id: string, changes: VoiceChanges): Promise<Voice> {
    const { database } = this.#options;
    const { tenantId } = caller;
    const values = {
      ...(changes.name === undefined ? {} : { name: cleanText('name', changes.name, 1, 200) }),
      ...(changes.description === undefined
        ? {}
        : { description: cleanText('description', changes.description, 0, 2000) }),
      ...(changes.labels === undefined ? {} : { labels: JSON.stringify(checkLabels(changes.labels)) }),
      ...(changes.currentVersion === undefined ? {} : { current_version: changes.currentVersion }),
    };
    await this.get(tenantId, id);
    const details = {
      voice: id,
      fields: Object.keys(changes),
      disabled: changes.disabled ?? null,
      version: changes.currentVersion ?? null,
    };
    const stop: VoiceStop = { ownerId: tenantId, subject: id, userId: null, reason: 'disabled' };
    if (changes.disabled === true) await this.stops.stopAhead(stop);
    return await this.calls.act(caller, 'voice.update', details, async () => {
      await database.asTenant(tenantId, async (sql) => {
        if (changes.currentVersion !== undefined) {
          const known = await sql.query(
            'SELECT 1 FROM voice_versions WHERE tenant_id = $1 AND voice_id = $2 AND version = $3',
            [tenantId, id, changes.currentVersion],
          );
          if (known.rows.length === 0) {
            throw new AppError('VOICE_NOT_FOUND', `the voice has no version ${changes.currentVersion}`);
          }
        }
        const names = Object.keys(values);
        const assignments = names.map((name, index) => `${name} = $${index + 3}`);
        if (changes.disabled === true) assignments.push('disabled_at = coalesce(disabled_at, now())');
        if (changes.disabled === false) assignments.push('disabled_at = NULL');
        if (assignments.length > 0) {
          const { count } = await sql.query(
            `UPDATE voices SET ${assignments.join(', ')} WHERE tenant_id = $1 AND id = $2`,
            [tenantId, id, ...Object.values(values)],
          );
          if (count === 0) throw voiceNotFound();
        }
        if (changes.disabled === true) await this.stops.announce(sql, stop);
      });
      if (changes.disabled === true) this.stops.stopHere(stop);
      this.access.forgetTenant(tenantId);
      return await this.get(tenantId, id);
    });
  }

  /**
   * Destroys a voice with all its versions and its adapters: the keys of its recordings, profiles and adapters with the rows,
   * then their bytes.
   */
  async remove(caller: Caller, id: string): Promise<void> {
    const { database, vault } = this.#options;
    const { tenantId } = caller;
    await this.get(tenantId, id);
    const stop: VoiceStop = { ownerId: tenantId, subject: id, userId: null, reason: 'deleted' };
    await this.stops.stopAhead(stop);
    await this.calls.act(caller, 'voice.delete', { voice: id }, async () => {
      // Before the voice: a share that outlived it would let others use the next voice of this id.
      await database.asPlatform((sql) =>
        sql.query('DELETE FROM voice_shares WHERE owner_id = $1 AND voice_id = $2', [tenantId, id]),
      );
      const objects = await database.asTenant(tenantId, async (sql) => {
        // Nothing may be added meanwhile.
        const { rows: locked } = await sql.query('SELECT 1 FROM voices WHERE tenant_id = $1 AND id = $2 FOR UPDATE', [
          tenantId,
          id,
        ]);
        if (locked.length === 0) throw voiceNotFound();
        const { rows } = await sql.query<{ id: string }>(
          `SELECT profile_object AS id FROM voice_styles WHERE tenant_id = $1 AND voice_id = $2
           UNION SELECT source_object FROM voice_styles WHERE tenant_id = $1 AND voice_id = $2
           UNION SELECT object_id FROM voice_recordings WHERE tenant_id = $1 AND voice_id = $2`,
          [tenantId, id],
        );
        const ids = [...rows.map((row) => row.id), ...(await removeAdaptersOf(sql, id))];
        await sql.query('DELETE FROM voices WHERE tenant_id = $1 AND id = $2', [tenantId, id]);
        await sql.query('DELETE FROM vault_objects WHERE tenant_id = $1 AND id = ANY($2::text[])', [tenantId, ids]);
        await this.stops.announce(sql, stop);
        return ids;
      });
      this.stops.stopHere(stop);
      // Noise already, without their keys.
      for (const object of objects) await vault.remove(tenantId, object);
      this.access.forgetTenant(tenantId);
    });
  }

  /** The bytes of a profile, for the engine. Throws `VOICE_NOT_LOADED` when they are gone meanwhile. */
  async loadProfile({ tenant, object }: ProfileReference): Promise<Uint8Array> {
    try {
      return await readSealed(this.#options.vault, tenant, object);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'OBJECT_NOT_FOUND') throw error;
      throw new AppError('VOICE_NOT_LOADED', 'the profile of the voice is not there; it may have been deleted', {
        cause: error,
      });
    }
  }

  get calls(): CallLedger {
    return this.#options.calls;
  }

  async close(): Promise<void> {
    await this.stops.close();
  }

  async #checkFree(tenantId: string, id: string, taken: readonly string[]): Promise<void> {
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<{ voices: number; taken: boolean }>(
        `SELECT (SELECT count(*) FROM voices WHERE tenant_id = $1)::int AS voices,
           EXISTS (SELECT 1 FROM voices WHERE tenant_id = $1 AND id = $2)
           OR EXISTS (SELECT 1 FROM voice_shares WHERE tenant_id = $1 AND voice_id = $2) AS taken`,
        [tenantId, id],
      ),
    );
    if (rows[0]?.taken === true || taken.includes(id)) throw voiceExists();
    if ((rows[0]?.voices ?? 0) >= MAX_VOICES) {
      throw new AppError('QUOTA_EXCEEDED', `the tenant has ${MAX_VOICES} voices, which is all it may; delete some`);
    }
  }

  /** Makes a voice unless too many are being made. Throws `ENGINE_OVERLOADED`. */
  async #ifRoom(tenantId: string, make: () => Promise<Voice>): Promise<Voice> {
    const ofTenant = this.#enrolling.get(tenantId) ?? 0;
    const all = [...this.#enrolling.values()].reduce((sum, count) => sum + count, 0);
    if (ofTenant >= MAX_OF_TENANT || all >= MAX_AT_ONCE) {
      throw new AppError(
        'ENGINE_OVERLOADED',
        `${all} voices are being made already, ${ofTenant} of them for this tenant; try again shortly`,
      );
    }
    this.#enrolling.set(tenantId, ofTenant + 1);
    try {
      return await make();
    } finally {
      const left = (this.#enrolling.get(tenantId) ?? 1) - 1;
      if (left === 0) this.#enrolling.delete(tenantId);
      else this.#enrolling.set(tenantId, left);
    }
  }

  async #makeVersion(
    caller: Caller,
    id: string,
    wanted: Wanted,
    maker: VoiceMaker,
    signal: AbortSignal | undefined,
    insertVoice: InsertVoice | null,
  ): Promise<Voice> {
    const { database, vault, quotas, speakerThreshold: threshold } = this.#options;
    const { tenantId } = caller;
    const cancellable = signal === undefined ? {} : { signal };
    const addedBytes = wanted.source === null ? 0 : checkFiles(wanted.source.recordings);
    await quotas.checkStorage(tenantId, await vault.storedBytes(tenantId), addedBytes);
    const statement = await this.#statementFor(tenantId, wanted.consentId);
    const basis =
      insertVoice === null ? await database.asTenant(tenantId, (sql) => readBasis(sql, tenantId, id)) : null;
    const makings = await this.#makings(tenantId, wanted, basis);
    const kept = (basis?.styles ?? []).filter(({ style }) => makings.every((making) => making.style !== style));
    checkConsentKept(wanted.source === null ? (basis?.styles ?? []) : kept, basis, wanted);

    const made: MadeVoice[] = [];
    for (const { style, source } of makings) {
      const model = wanted.model === undefined ? {} : { model: wanted.model };
      made.push(await maker.prepareVoice({ ...source, name: styledName(id, style), ...model }, cancellable));
    }
    const recordings = makings.flatMap(({ source }) => source.recordings);
    // Under another consent, what stays must be of the speaker who gave that one.
    if (basis !== null && basis.consentId !== wanted.consentId) {
      for (const style of kept) recordings.push(...(await this.#loadRecordings(tenantId, style.recordings)));
    }
    const { attestedBy } = wanted;
    const match = await checkSpeaker({ statement, recordings, attestedBy, threshold, maker, ...cancellable });

    const insert = async (seal: Seal): Promise<void> => {
      const styles: StoredStyle[] = [...kept];
      for (const [index, { style, source, stored }] of makings.entries()) {
        const { profile, digest, summary } = made[index] ?? unreachable();
        const facts = { transcript: source.transcript, language: source.language };
        const files: StoredRecording[] = [...(stored?.recordings ?? [])];
        if (stored === null) {
          for (const { bytes } of source.recordings) {
            const object_id = await seal('voice-recording', bytes);
            files.push({ object_id, sha256: sha256(bytes), size_bytes: bytes.length });
          }
        }
        styles.push({
          style,
          language: source.language,
          prompt_free: source.transcript === null,
          duration_ms: Math.round(summary.durationMs),
          warnings: summary.warnings,
          profile_object: await seal('voice-profile', profile),
          profile_digest: digest,
          source_object: stored?.source_object ?? (await seal('voice-source', Buffer.from(JSON.stringify(facts)))),
          recordings: files,
        });
      }
      // Two that came at the same moment see each other's objects here.
      await quotas.checkStorage(tenantId, await vault.storedBytes(tenantId), 0);
      const version = { wanted, basis, made: made[0] ?? unreachable(), match, styles, insertVoice };
      await database.asTenant(tenantId, (sql) => insertVersion(sql, caller, id, version));
    };
    try {
      await sealing(vault, tenantId, insert, cancellable);
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
      // The same request, sent twice at once: the other one has made the voice.
      const twin = await this.#repeated(tenantId, wanted.requestKey, wanted.requestDigest);
      if (twin === null) throw voiceExists(error);
      return await this.get(tenantId, twin);
    }
    this.access.forgetTenant(tenantId);
    return await this.get(tenantId, id);
  }

  /** The styles that the version needs made. */
  async #makings(tenantId: string, { style, source }: Wanted, basis: Basis | null): Promise<Making[]> {
    if (source !== null) return [{ style, source, stored: null }];
    const makings: Making[] = [];
    for (const stored of basis?.styles ?? []) {
      const kept = await readSealed(this.#options.vault, tenantId, stored.source_object);
      // Only this class writes these objects.
      const facts = JSON.parse(kept.toString('utf8')) as Omit<NewStyle, 'recordings'>;
      const recordings = await this.#loadRecordings(tenantId, stored.recordings);
      makings.push({ style: stored.style, source: { ...facts, recordings }, stored });
    }
    return makings;
  }

  async #loadRecordings(tenantId: string, stored: readonly StoredRecording[]): Promise<RecordingFile[]> {
    const files: RecordingFile[] = [];
    for (const [index, { object_id }] of stored.entries()) {
      const bytes = await readSealed(this.#options.vault, tenantId, object_id);
      files.push({ bytes, fileName: `recording ${index + 1}` });
    }
    return files;
  }

  /** What the consent has to show; throws where there is none and there must be one. */
  async #statementFor(
    tenantId: string,
    consentId: string | null,
  ): Promise<{ readonly kind: 'recording' | 'document'; readonly bytes: Uint8Array } | null> {
    if (consentId === null) {
      await this.access.requireOwnRecordings(tenantId);
      return null;
    }
    const consent = await this.consents.get(tenantId, consentId);
    if (consent.state === 'revoked') throw new AppError('CONSENT_REVOKED', 'this consent was revoked; make a new one');
    if (consent.state !== 'active') {
      throw new AppError(
        'CONSENT_EXPIRED',
        'this consent is not valid now; make one whose time has begun and not ended',
      );
    }
    const { read } = await this.consents.evidence(tenantId, consentId);
    return { kind: consent.kind, bytes: await readAll(read()) };
  }

  async #repeated(tenantId: string, requestKey: string | null, digest: string): Promise<string | null> {
    if (requestKey === null) return null;
    const { rows } = await this.#options.database.asTenant(tenantId, (sql) =>
      sql.query<{ voice_id: string; request_digest: string }>(
        'SELECT voice_id, request_digest FROM voice_versions WHERE tenant_id = $1 AND request_key = $2',
        [tenantId, requestKey],
      ),
    );
    if (rows[0] === undefined) return null;
    if (rows[0].request_digest !== digest) throw keyReused();
    return rows[0].voice_id;
  }
}

type InsertVoice = (sql: Sql, version: number) => Promise<void>;

interface VersionToInsert {
  readonly wanted: Wanted;
  readonly basis: Basis | null;
  readonly made: MadeVoice;
  readonly match: SpeakerMatch;
  readonly styles: readonly StoredStyle[];
  readonly insertVoice: InsertVoice | null;
}

/** Adds a version with its styles, in one transaction with the voice's row, and makes it the current one. */
async function insertVersion(
  sql: Sql,
  caller: Caller,
  id: string,
  { wanted, basis, made, match, styles, insertVoice }: VersionToInsert,
): Promise<void> {
  const { tenantId } = caller;
  await holdConsent(sql, tenantId, wanted.consentId);
  const version = basis === null ? 1 : await nextVersion(sql, tenantId, id, basis);
  await insertVoice?.(sql, version);
  if (basis !== null && styles.length > 1) checkModels(styles, basis, made, wanted);
  if (styles.length > MAX_STYLES) throw new AppError('VOICE_INVALID', `a voice has at most ${MAX_STYLES} styles`);
  await sql.query(
    `INSERT INTO voice_versions (tenant_id, voice_id, version, model, model_digest, consent_id, speaker_match, created_by,
       request_key, request_digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      tenantId,
      id,
      version,
      made.summary.model,
      made.modelDigest,
      wanted.consentId,
      JSON.stringify(match),
      principalName(caller.principal),
      wanted.requestKey,
      wanted.requestDigest,
    ],
  );
  for (const style of styles) await insertStyle(sql, tenantId, id, version, style);
  await sql.query('UPDATE voices SET current_version = $3 WHERE tenant_id = $1 AND id = $2', [tenantId, id, version]);
}

/** Holds the voice, which nobody may have changed since its styles were looked at. */
async function nextVersion(sql: Sql, tenantId: string, id: string, basis: Basis): Promise<number> {
  const { rows } = await sql.query<{ current_version: number }>(
    'SELECT current_version FROM voices WHERE tenant_id = $1 AND id = $2 FOR UPDATE',
    [tenantId, id],
  );
  if (rows[0] === undefined) throw voiceNotFound();
  if (rows[0].current_version !== basis.version) {
    throw new AppError('VOICE_EXISTS', 'another version of the voice was made meanwhile; look at it, and send again');
  }
  const { rows: newest } = await sql.query<{ version: number }>(
    'SELECT max(version)::int AS version FROM voice_versions WHERE tenant_id = $1 AND voice_id = $2',
    [tenantId, id],
  );
  const version = (newest[0]?.version ?? 0) + 1;
  if (version > MAX_VERSIONS) throw new AppError('VOICE_INVALID', `a voice has at most ${MAX_VERSIONS} versions`);
  return version;
}

async function readBasis(sql: Sql, tenantId: string, id: string): Promise<Basis> {
  const { rows } = await sql.query<{ version: number; model_digest: string; consent_id: string | null }>(
    `SELECT r.version, r.model_digest, r.consent_id FROM voices v JOIN voice_versions r
       ON r.tenant_id = v.tenant_id AND r.voice_id = v.id AND r.version = v.current_version
     WHERE v.tenant_id = $1 AND v.id = $2`,
    [tenantId, id],
  );
  const row = rows[0];
  if (row === undefined) throw voiceNotFound();
  const styles = await readStyles(sql, tenantId, id, row.version);
  return { version: row.version, modelDigest: row.model_digest, consentId: row.consent_id, styles };
}

/** Throws where styles that stay, or whose recordings do, would lose their speaker's consent. */
function checkConsentKept(styles: readonly StoredStyle[], basis: Basis | null, { consentId }: Wanted): void {
  if (styles.length === 0 || basis === null || basis.consentId === null || consentId !== null) return;
  throw new AppError(
    'CONSENT_REQUIRED',
    `the styles that stay (${styles.map(({ style }) => style).join(', ')}) were made under a consent; name it, or another one of the same speaker`,
  );
}

/** All styles of a version speak with one model. */
function checkModels(styles: readonly StoredStyle[], basis: Basis, made: MadeVoice, { source }: Wanted): void {
  if (source === null || basis.modelDigest === made.modelDigest) return;
  throw new AppError(
    'VOICE_INVALID',
    `the styles of the voice (${styles.map(({ style }) => style).join(', ')}) were made with another model than "${made.summary.model}"; name theirs, or make all anew by sending no recordings`,
  );
}

/** A revocation that comes at this moment waits for the version, and finds it; or was first, and this one ends. */
async function holdConsent(sql: Sql, tenantId: string, consentId: string | null): Promise<void> {
  if (consentId === null) return;
  const { rows } = await sql.query<{ revoked_at: Date | null }>(
    'SELECT revoked_at FROM voice_consents WHERE tenant_id = $1 AND id = $2 FOR SHARE',
    [tenantId, consentId],
  );
  if (rows[0]?.revoked_at !== null) throw new AppError('CONSENT_REVOKED', 'this consent was revoked just now');
}

async function readStyles(sql: Sql, tenantId: string, id: string, version: number): Promise<StoredStyle[]> {
  const { rows } = await sql.query<Omit<StoredStyle, 'recordings'>>(
    `SELECT style, language, prompt_free, duration_ms, warnings, profile_object, profile_digest, source_object
     FROM voice_styles WHERE tenant_id = $1 AND voice_id = $2 AND version = $3 ORDER BY style`,
    [tenantId, id, version],
  );
  const { rows: recordings } = await sql.query<StoredRecording & { style: string }>(
    `SELECT style, object_id, sha256, size_bytes FROM voice_recordings
     WHERE tenant_id = $1 AND voice_id = $2 AND version = $3 ORDER BY style, position`,
    [tenantId, id, version],
  );
  return rows.map((row) => ({ ...row, recordings: recordings.filter(({ style }) => style === row.style) }));
}

async function insertStyle(
  sql: Sql,
  tenantId: string,
  id: string,
  version: number,
  { recordings, ...style }: StoredStyle,
): Promise<void> {
  await sql.query(
    `INSERT INTO voice_styles (tenant_id, voice_id, version, style, language, prompt_free, duration_ms, warnings,
       profile_object, profile_digest, source_object) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      tenantId,
      id,
      version,
      style.style,
      style.language,
      style.prompt_free,
      style.duration_ms,
      JSON.stringify(style.warnings),
      style.profile_object,
      style.profile_digest,
      style.source_object,
    ],
  );
  for (const [position, { object_id, sha256: digest, size_bytes }] of recordings.entries()) {
    await sql.query(
      `INSERT INTO voice_recordings (tenant_id, voice_id, version, style, position, object_id, sha256, size_bytes)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [tenantId, id, version, style.style, position, object_id, digest, size_bytes],
    );
  }
}

export function checkVoiceId(id: string): void {
  if (VOICE_ID.test(id) && !RESERVED_IDS.has(id) && !id.startsWith(RECORDING_VOICE_PREFIX)) return;
  throw new AppError(
    'REQUEST_INVALID',
    `a voice's id has 1 to 64 of a-z, A-Z, 0-9, "_" and "-", begins with a letter or digit, not with "${RECORDING_VOICE_PREFIX}", and is none of ${[...RESERVED_IDS].join(', ')}`,
  );
}

function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) throw new AppError('REQUEST_INVALID', `a voice has at most ${MAX_LABELS} labels`);
  return Object.fromEntries(
    entries.map(([key, value]) => [cleanText('a label', key, 1, 64), cleanText('a label', String(value), 0, 200)]),
  );
}

/** @returns their bytes together. */
function checkFiles(files: readonly RecordingFile[]): number {
  let sum = 0;
  for (const { bytes } of files) {
    if (bytes.length > MAX_RECORDING_BYTES) {
      throw new AppError('AUDIO_TOO_LARGE', `a recording has at most ${MAX_RECORDING_BYTES / 2 ** 20} MiB; cut it`);
    }
    sum += bytes.length;
  }
  return sum;
}

function describeRequest({ source, model, consentId, attestedBy }: Omit<NewVersion, 'requestKey'>): unknown {
  const made = source === null ? null : [digestsOf(source.recordings), source.transcript, source.language];
  return [made, model ?? null, consentId, attestedBy];
}

function digestsOf(files: readonly RecordingFile[]): string[] {
  return files.map(({ bytes }) => sha256(bytes));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function unreachable(): never {
  throw new Error('a version was made of no style');
}

function voiceExists(cause?: unknown): AppError {
  return new AppError('VOICE_EXISTS', 'there is a voice of this id already; choose another, or add a version to it', {
    cause,
  });
}
