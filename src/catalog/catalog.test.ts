import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases, insertTenant, silentLog } from '../../test/fixtures/databases.js';
import { createEngine } from '../../test/fixtures/scripted-engine.js';
import { AuditLog } from '../audit/audit-log.js';
import type { Engine } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import { FolderObjects } from '../store/folder-objects.js';
import { type CallLedger, createCallLedger } from '../tenancy/call-ledger.js';
import { type Caller, operatorOf } from '../tenancy/caller.js';
import { Quotas } from '../tenancy/quotas.js';
import { deleteTenant, setLimits, setOwnRecordingsAllowed, setPoolVoices } from '../tenancy/tenants.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import { Vault } from '../vault/vault.js';
import type { NewConsent } from './consents.js';
import { sweepOrphans } from './orphans.js';
import { type NewVoice, VoiceCatalog } from './voice-catalog.js';
import { listShares, shareVoice, unshareVoice } from './voice-shares.js';

/** Resolves when a use is over, which it may be already. */
function untilEnded(use: { readonly signal: AbortSignal } | null): Promise<unknown> {
  return new Promise((resolve) => {
    if (use === null || use.signal.aborted) resolve(null);
    else use.signal.addEventListener('abort', resolve, { once: true });
  });
}

describeDatabases('the catalog of voices', (get) => {
  let folder: string;
  let engine: Engine;
  let audit: AuditLog;
  let vault: Vault;
  /** Two servers on the same database. */
  let here: VoiceCatalog;
  let there: VoiceCatalog;
  let open: (database?: Database, calls?: CallLedger) => VoiceCatalog;
  let calls: CallLedger;
  let closing: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'timbre-catalog-'));
    engine = await createEngine({ dataDir: join(folder, 'engine') });
    const { database } = get();
    const masterKeys = await openMasterKeyFile(join(folder, 'master.json'), { create: true });
    vault = new Vault({ database, objects: new FolderObjects(join(folder, 'objects')), masterKeys });
    audit = await AuditLog.open({ database, spoolFolder: join(folder, 'spool'), log: silentLog });
    const quotas = new Quotas({ database });
    calls = createCallLedger({ quotas, audit, digestKey: (id) => vault.digestKey(id), log: silentLog });
    const settings = { vault, quotas, speakerThreshold: 0.5, log: silentLog };
    open = (of = database, by = calls) => new VoiceCatalog({ ...settings, database: of, calls: by });
    here = open();
    there = open();
    closing = [() => here.close(), () => there.close(), () => audit.close(), () => engine.close()];
  });

  afterAll(async () => {
    for (const close of closing) await close();
    rmSync(folder, { recursive: true, force: true });
  });

  const newTenant = async ({ own = false } = {}): Promise<Caller> => {
    const id = await insertTenant(get().database, `c-${randomUUID().slice(0, 13)}`);
    if (own) await setOwnRecordingsAllowed(get().database, id, true);
    return operatorOf(id, 'test');
  };

  const recording = (content = 'speech') => ({ bytes: Buffer.from(content), fileName: 'a.wav' });

  const voiceOf = (changes: Partial<NewVoice> = {}): NewVoice => ({
    name: 'Anna',
    source: { recordings: [recording()], transcript: 'a very private sentence', language: 'en' },
    consentId: null,
    attestedBy: null,
    requestKey: null,
    ...changes,
  });

  const consentOf = (changes: Partial<NewConsent> = {}): NewConsent => ({
    name: 'Anna 2026',
    language: 'en',
    kind: 'recording',
    evidence: Buffer.from('RIFF I agree. similarity=0.9'),
    speaker: 'Anna Example',
    text: 'I agree to a voice made of my recordings.',
    scope: 'customer service',
    sharing: true,
    validFrom: null,
    validUntil: null,
    requestKey: null,
    ...changes,
  });

  const codeOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'no error',
      (error: unknown) => (error instanceof AppError ? error.code : String(error)),
    );

  const recordsOf = async (caller: Caller) => {
    await audit.flush();
    const { rows } = await get().database.asTenant(caller.tenantId, (sql) =>
      sql.query<{ type: string; body: string }>('SELECT type, body FROM audit_records ORDER BY seq'),
    );
    return rows;
  };

  it('makes a voice that its tenant alone can use, with recordings and transcript encrypted', async () => {
    const [mine, other] = [await newTenant({ own: true }), await newTenant({ own: true })];
    const voice = await here.create(mine, voiceOf({ id: 'anna', labels: { accent: 'northern' } }), engine);
    expect(voice).toMatchObject({ id: 'anna', status: 'ready', version: 1, model: 'scripted', language: 'en' });
    const allowed = await here.access.use(mine.tenantId, 'anna');
    expect(allowed).toMatchObject({ name: 'anna', version: 1, model: 'scripted' });
    const profile = await here.loadProfile(allowed.profiles!['anna']!);
    expect(JSON.parse(Buffer.from(profile).toString())).toMatchObject({ name: 'anna', language: 'en' });
    // The name is one of the pool's to whoever has no such voice: the engine knows that one, or refuses it.
    expect(await here.access.use(other.tenantId, 'anna')).toMatchObject({ name: 'anna', profiles: null });
    for (const attempt of [
      () => here.get(other.tenantId, 'anna'),
      () => here.versions(other.tenantId, 'anna'),
      () => here.recording(other.tenantId, 'anna'),
      () => here.update(other, 'anna', { disabled: true }),
      () => here.remove(other, 'anna'),
    ]) {
      expect(await codeOf(attempt())).toBe('VOICE_NOT_FOUND');
    }
    const stored = readdirSync(join(folder, 'objects'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name)).toString('latin1'));
    expect(stored.length).toBeGreaterThanOrEqual(3);
    for (const secret of ['a very private sentence', 'speech']) expect(stored.join('')).not.toContain(secret);
    const rows = await get().database.asOwner((sql) =>
      sql.query<{ text: string }>(`SELECT row_to_json(s)::text AS text FROM voice_styles s`),
    );
    expect(JSON.stringify(rows.rows)).not.toContain('private');
  });

  it('needs a consent, unless the operator lets the tenant use its own recordings', async () => {
    const caller = await newTenant();
    expect(await codeOf(here.create(caller, voiceOf(), engine))).toBe('CONSENT_REQUIRED');
    const consent = await here.consents.create(caller, consentOf(), engine);
    const voice = await here.create(caller, voiceOf({ consentId: consent.id }), engine);
    expect(voice).toMatchObject({ status: 'ready', consentId: consent.id });
    expect((await here.versions(caller.tenantId, voice.id))[0]?.speakerMatch).toEqual({
      method: 'speaker_encoder',
      similarity: 0.9,
      threshold: 0.5,
    });
    const other = await newTenant();
    expect(await codeOf(here.create(other, voiceOf({ consentId: consent.id }), engine))).toBe('CONSENT_NOT_FOUND');

    const own = await newTenant({ own: true });
    const made = await here.create(own, voiceOf(), engine);
    await setOwnRecordingsAllowed(get().database, own.tenantId, false);
    await expect
      .poll(() => codeOf(here.access.use(own.tenantId, made.id)), { timeout: 10_000 })
      .toBe('CONSENT_REQUIRED');
    expect(await here.get(own.tenantId, made.id)).toMatchObject({ status: 'consent_required' });
  });

  it('wants the statement spoken by whom the recordings have, or a person who says so where no encoder can', async () => {
    const caller = await newTenant();
    const evidence = Buffer.from('RIFF I agree. similarity=0.2');
    const stranger = await here.consents.create(caller, consentOf({ evidence }), engine);
    const create = (changes: Partial<NewVoice>) => here.create(caller, voiceOf(changes), engine);
    expect(await codeOf(create({ consentId: stranger.id }))).toBe('CONSENT_MISMATCH');
    // Nobody's word overrules the encoder.
    expect(await codeOf(create({ consentId: stranger.id, attestedBy: 'Bob' }))).toBe('CONSENT_MISMATCH');

    const unknown = await here.consents.create(caller, consentOf({ evidence: Buffer.from('RIFF I agree.') }), engine);
    await expect(create({ consentId: unknown.id })).rejects.toThrow(
      /no imported model has a speaker encoder.*attested_by/,
    );
    const attested = await create({ consentId: unknown.id, attestedBy: 'Bob Checker' });
    expect((await here.versions(caller.tenantId, attested.id))[0]?.speakerMatch).toEqual({
      method: 'attested',
      by: 'Bob Checker',
    });

    const document = { kind: 'document', evidence: Buffer.from('%PDF-1.7 signed') } as const;
    const signed = await here.consents.create(caller, consentOf(document), engine);
    expect(signed.mediaType).toBe('application/pdf');
    await expect(create({ consentId: signed.id })).rejects.toThrow(/document, which has no voice/);
    expect(await codeOf(create({ consentId: signed.id, attestedBy: 'Bob Checker' }))).toBe('no error');
    const text = { kind: 'document', evidence: Buffer.from('I agree') } as const;
    expect(await codeOf(here.consents.create(caller, consentOf(text), engine))).toBe('REQUEST_INVALID');
  });

  it('stops what speaks under a revoked consent on every server, and lets nothing begin', async () => {
    const caller = await newTenant();
    const consent = await here.consents.create(caller, consentOf(), engine);
    const voice = await here.create(caller, voiceOf({ consentId: consent.id }), engine);
    const second = await newTenant();
    await shareVoice(get().database, here, caller, {
      voiceId: voice.id,
      ownerId: caller.tenantId,
      tenantId: second.tenantId,
    });
    const servers = get().database.kind === 'postgres' ? [here, there] : [here];
    const uses = await Promise.all(
      servers.flatMap((server) =>
        [caller, second].map(async ({ tenantId }) => (await server.access.use(tenantId, voice.id)).watch()),
      ),
    );
    const ended = Promise.all(
      uses.map(
        (use) =>
          new Promise((resolve) =>
            use?.signal.addEventListener('abort', () => resolve(use.signal.reason), { once: true }),
          ),
      ),
    );
    expect(await here.consents.revoke(caller, consent.id, 'the speaker asked')).toMatchObject({ state: 'revoked' });
    for (const reason of await ended) expect(reason).toMatchObject({ code: 'CONSENT_REVOKED' });
    for (const server of servers) {
      for (const { tenantId } of [caller, second]) {
        expect(await codeOf(server.access.use(tenantId, voice.id))).toBe('CONSENT_REVOKED');
      }
    }
    for (const use of uses) use?.release();
    expect(await codeOf(here.create(caller, voiceOf({ consentId: consent.id }), engine))).toBe('CONSENT_REVOKED');
    expect(await here.get(caller.tenantId, voice.id)).toMatchObject({ status: 'consent_revoked' });
    const record = (await recordsOf(caller)).find(({ type }) => type === 'consent.revoke.started');
    expect(JSON.parse(record?.body ?? '{}').details).toEqual({ consent: consent.id, reason: 'the speaker asked' });
    // Once is enough, and stays what it was.
    expect((await here.consents.revoke(caller, consent.id, 'again')).revokeReason).toBe('the speaker asked');
  });

  it('stops every server before the act is on record, however long that takes', async () => {
    let record = (): void => {};
    const recorded = new Promise<void>((resolve) => {
      record = resolve;
    });
    const slow = open(get().database, {
      ...calls,
      async act(...call) {
        await recorded;
        return await calls.act(...call);
      },
    });
    const servers = get().database.kind === 'postgres' ? [slow, there] : [slow];
    const acts: ((caller: Caller, consentId: string, voiceId: string) => Promise<unknown>)[] = [
      (caller, consentId) => slow.consents.revoke(caller, consentId, null),
      (caller, _, voiceId) => slow.remove(caller, voiceId),
    ];
    const acting: Promise<unknown>[] = [];
    const endings: Promise<unknown>[] = [];
    for (const act of acts) {
      const caller = await newTenant();
      const consent = await here.consents.create(caller, consentOf(), engine);
      const voice = await here.create(caller, voiceOf({ consentId: consent.id }), engine);
      const begin = async (server: VoiceCatalog) => (await server.access.use(caller.tenantId, voice.id)).watch();
      const uses = await Promise.all(servers.map(begin));
      acting.push(act(caller, consent.id, voice.id));
      await Promise.all(uses.map(untilEnded));
      for (const use of uses) use?.release();
      // What begins meanwhile ends with the act itself.
      if (get().database.kind === 'postgres') endings.push(untilEnded(await begin(there)));
    }
    record();
    await Promise.all([...acting, ...endings]);
    await slow.close();
  });

  it('stops a use that was found allowed just before the revocation and begins after it', async () => {
    const caller = await newTenant();
    const consent = await here.consents.create(caller, consentOf(), engine);
    const voice = await here.create(caller, voiceOf({ consentId: consent.id }), engine);
    const allowed = await here.access.use(caller.tenantId, voice.id);
    await here.consents.revoke(caller, consent.id, null);
    const use = allowed.watch();
    expect(use?.signal.reason).toMatchObject({ code: 'CONSENT_REVOKED' });
    use?.release();
  });

  it('ends with the time that a consent is valid', async () => {
    const caller = await newTenant();
    const validUntil = new Date(Date.now() + 3_600_000);
    const consent = await here.consents.create(caller, consentOf({ validUntil }), engine);
    const voice = await here.create(caller, voiceOf({ consentId: consent.id }), engine);
    await get().database.asTenant(caller.tenantId, (sql) =>
      sql.query('UPDATE voice_consents SET valid_until = $1', [new Date(Date.now() + 500)]),
    );
    const use = (await here.access.use(caller.tenantId, voice.id)).watch();
    await new Promise((resolve) => use?.signal.addEventListener('abort', resolve, { once: true }));
    expect(use?.signal.reason).toMatchObject({ code: 'CONSENT_EXPIRED' });
    use?.release();
    expect(await codeOf(here.access.use(caller.tenantId, voice.id))).toBe('CONSENT_EXPIRED');
    const later = { validFrom: new Date(Date.now() + 60_000) };
    const notYet = await here.consents.create(caller, consentOf(later), engine);
    expect(notYet.state).toBe('not_yet_valid');
    expect(await codeOf(here.create(caller, voiceOf({ consentId: notYet.id }), engine))).toBe('CONSENT_EXPIRED');
  });

  it('adds styles as versions that never change, and goes back to one', async () => {
    const caller = await newTenant({ own: true });
    const { tenantId } = caller;
    await here.create(caller, voiceOf({ id: 'anna' }), engine);
    const source = { recordings: [recording('calm speech')], transcript: null, language: 'en' as const };
    const rest = { consentId: null, attestedBy: null, requestKey: null };
    const calm = await here.addVersion(caller, 'anna', { ...rest, style: 'calm', source }, engine);
    expect(calm).toMatchObject({ version: 2, styles: ['calm'] });
    const allowed = await here.access.use(tenantId, 'anna.calm');
    expect([allowed.name, Object.keys(allowed.profiles ?? {}).sort()]).toEqual(['anna.calm', ['anna', 'anna.calm']]);
    const firstDigest = allowed.profiles?.['anna']?.digest;
    expect(await codeOf(here.access.use(tenantId, 'anna.sad'))).toBe('VOICE_NOT_FOUND');
    expect(await codeOf(here.addVersion(caller, 'anna', { ...rest, style: 'No!', source }, engine))).toBe(
      'REQUEST_INVALID',
    );

    // All styles again, of the recordings that are stored: for another model.
    const anew = await here.addVersion(caller, 'anna', { ...rest, source: null }, engine);
    expect(anew).toMatchObject({ version: 3, styles: ['calm'] });
    const again = await here.access.use(tenantId, 'anna');
    expect(again.profiles?.['anna']?.digest).not.toBe(firstDigest);
    expect(await here.update(caller, 'anna', { currentVersion: 2 })).toMatchObject({ version: 2 });
    expect((await here.access.use(tenantId, 'anna')).profiles?.['anna']?.digest).toBe(firstDigest);
    expect(await codeOf(here.update(caller, 'anna', { currentVersion: 9 }))).toBe('VOICE_NOT_FOUND');
    const versions = await here.versions(tenantId, 'anna');
    expect(versions.map(({ version, current }) => [version, current])).toEqual([
      [3, false],
      [2, true],
      [1, false],
    ]);
    await expect(
      get().database.asTenant(tenantId, (sql) => sql.query("UPDATE voice_versions SET model = 'x'")),
    ).rejects.toMatchObject({ code: '42501' });
  });

  it('keeps the styles of a voice under the consent of who speaks in them', async () => {
    const caller = await newTenant({ own: true });
    const consent = await here.consents.create(caller, consentOf(), engine);
    await here.create(caller, voiceOf({ id: 'anna', consentId: consent.id }), engine);
    const source = { recordings: [recording('calm speech')], transcript: null, language: 'en' as const };
    const version = { style: 'calm', source, attestedBy: null, requestKey: null };
    expect(await codeOf(here.addVersion(caller, 'anna', { ...version, consentId: null }, engine))).toBe(
      'CONSENT_REQUIRED',
    );
    const next = await here.consents.create(caller, consentOf({ name: 'Anna 2027' }), engine);
    expect(await here.addVersion(caller, 'anna', { ...version, consentId: next.id }, engine)).toMatchObject({
      consentId: next.id,
      styles: ['calm'],
    });
    // Made anew of the recordings that were given under it, the styles are still of that speaker.
    const anew = { ...version, source: null, consentId: null };
    expect(await codeOf(here.addVersion(caller, 'anna', anew, engine))).toBe('CONSENT_REQUIRED');
    // What speaks under the first one is over; the voice speaks under the second.
    await here.consents.revoke(caller, consent.id, null);
    expect((await here.access.use(caller.tenantId, 'anna.calm')).version).toBe(2);
    expect(await here.update(caller, 'anna', { currentVersion: 1 })).toMatchObject({ status: 'consent_revoked' });
  });

  it('destroys a voice: its keys with its rows, then the bytes, while others stay', async () => {
    const caller = await newTenant({ own: true });
    const { tenantId } = caller;
    await here.create(caller, voiceOf({ id: 'keep' }), engine);
    await here.create(caller, voiceOf({ id: 'gone' }), engine);
    const before = await vault.storedBytes(tenantId);
    const allowed = await here.access.use(tenantId, 'gone');
    const use = allowed.watch();
    await here.remove(caller, 'gone');
    expect(use?.signal.reason).toMatchObject({ code: 'VOICE_NOT_FOUND' });
    use?.release();
    expect(await vault.storedBytes(tenantId)).toBeCloseTo(before / 2, -2);
    expect(await codeOf(here.loadProfile(allowed.profiles!['gone']!))).toBe('VOICE_NOT_LOADED');
    expect((await vault.list(tenantId)).map(({ kind }) => kind).sort()).toEqual([
      'voice-profile',
      'voice-recording',
      'voice-source',
    ]);
    const files = readdirSync(join(folder, 'objects', tenantId), { recursive: true, withFileTypes: true });
    expect(files.filter((entry) => entry.isFile())).toHaveLength(3);
    expect((await here.list(tenantId)).map(({ id }) => id)).toEqual(['keep']);
    expect(await codeOf(here.remove(caller, 'gone'))).toBe('VOICE_NOT_FOUND');
  });

  it('takes a deleted consent back and destroys its statement', async () => {
    const caller = await newTenant();
    const consent = await here.consents.create(caller, consentOf(), engine);
    const voice = await here.create(caller, voiceOf({ consentId: consent.id }), engine);
    expect(await here.consents.facts(caller.tenantId, consent.id)).toEqual({
      speaker: 'Anna Example',
      text: 'I agree to a voice made of my recordings.',
    });
    await here.consents.remove(caller, consent.id);
    expect(await codeOf(here.consents.get(caller.tenantId, consent.id))).toBe('CONSENT_NOT_FOUND');
    expect(await codeOf(here.access.use(caller.tenantId, voice.id))).toBe('CONSENT_REVOKED');
    expect((await vault.list(caller.tenantId)).filter(({ kind }) => kind.startsWith('consent'))).toEqual([]);
    expect((await recordsOf(caller)).map(({ type }) => type)).toEqual([
      'consent.create.started',
      'consent.create.ended',
      'voice.create.started',
      'voice.create.ended',
      'consent.delete.started',
      'consent.delete.ended',
    ]);
    expect(JSON.stringify(await recordsOf(caller))).not.toContain('Anna Example');
  });

  it('shares a voice with whom the operator says, as long as he says so, and only where the consent covers it', async () => {
    const [owner, user] = [await newTenant(), await newTenant()];
    const { database } = get();
    const narrow = await here.consents.create(owner, consentOf({ sharing: false }), engine);
    await here.create(owner, voiceOf({ id: 'brand', consentId: narrow.id }), engine);
    const share = { voiceId: 'brand', ownerId: owner.tenantId, tenantId: user.tenantId };
    expect(await codeOf(shareVoice(database, here, owner, share))).toBe('CONSENT_REQUIRED');
    const wide = await here.consents.create(owner, consentOf(), engine);
    const source = { recordings: [recording()], transcript: null, language: 'en' as const };
    await here.addVersion(owner, 'brand', { source, consentId: wide.id, attestedBy: null, requestKey: null }, engine);
    await shareVoice(database, here, owner, share);
    expect(await listShares(database, { ownerId: owner.tenantId })).toMatchObject([share]);
    expect((await here.listShared(user.tenantId)).map(({ id, shared }) => [id, shared])).toEqual([['brand', true]]);
    const allowed = await here.access.use(user.tenantId, 'brand');
    expect(allowed.profiles?.['brand']?.tenant).toBe(owner.tenantId);
    // Used, not owned.
    for (const attempt of [
      () => here.get(user.tenantId, 'brand'),
      () => here.recording(user.tenantId, 'brand'),
      () => here.remove(user, 'brand'),
    ]) {
      expect(await codeOf(attempt())).toBe('VOICE_NOT_FOUND');
    }
    expect(await codeOf(here.create(user, voiceOf({ id: 'brand', consentId: null }), engine))).toBe('VOICE_EXISTS');
    const use = allowed.watch();
    await unshareVoice(database, here, share);
    expect(use?.signal.reason).toMatchObject({ code: 'VOICE_NOT_FOUND' });
    use?.release();
    expect(await here.access.use(user.tenantId, 'brand')).toMatchObject({ profiles: null });
    expect((await here.access.use(owner.tenantId, 'brand')).version).toBe(2);
  });

  it('lists a shared voice no more once it speaks under a consent that does not cover sharing', async () => {
    const [owner, user] = [await newTenant(), await newTenant()];
    const wide = await here.consents.create(owner, consentOf(), engine);
    await here.create(owner, voiceOf({ id: 'brand', consentId: wide.id }), engine);
    const share = { voiceId: 'brand', ownerId: owner.tenantId, tenantId: user.tenantId };
    await shareVoice(get().database, here, owner, share);
    const narrow = await here.consents.create(owner, consentOf({ sharing: false }), engine);
    const version = { source: null, consentId: narrow.id, attestedBy: null, requestKey: null };
    await here.addVersion(owner, 'brand', version, engine);
    expect(await codeOf(here.access.use(user.tenantId, 'brand'))).toBe('VOICE_NOT_FOUND');
    expect(await here.listShared(user.tenantId)).toEqual([]);
  });

  it('never hands the shares of a deleted voice to the next one of its id', async () => {
    const [owner, user] = [await newTenant({ own: true }), await newTenant()];
    const { database } = get();
    await here.create(owner, voiceOf({ id: 'brand' }), engine);
    await shareVoice(database, here, owner, { voiceId: 'brand', ownerId: owner.tenantId, tenantId: user.tenantId });
    // The database goes away before the shares of other tenants are deleted.
    const server = open({
      kind: database.kind,
      asTenant: (...work) => database.asTenant(...work),
      asPlatform: () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'gone')),
      asOwner: (...work) => database.asOwner(...work),
      close: () => Promise.resolve(),
    });
    expect(await codeOf(server.remove(owner, 'brand'))).toBe('STORE_UNAVAILABLE');
    await server.close();
    await here.remove(owner, 'brand');
    await here.create(owner, voiceOf({ id: 'brand' }), engine);
    expect(await here.access.use(user.tenantId, 'brand')).toMatchObject({ profiles: null });
  });

  it('gives a tenant the voices of the pool, or only those that were chosen for it', async () => {
    const { tenantId } = await newTenant();
    const { database } = get();
    expect(await here.access.use(tenantId, 'demo.sad')).toMatchObject({ name: 'demo.sad', profiles: null });
    await setPoolVoices(database, tenantId, 'chosen');
    here.access.forgetTenant(tenantId);
    expect(await codeOf(here.access.use(tenantId, 'demo'))).toBe('VOICE_NOT_FOUND');
    await shareVoice(database, here, operatorOf(tenantId, 'test'), { voiceId: 'demo', ownerId: null, tenantId });
    for (const name of ['demo', 'demo.sad']) expect(await codeOf(here.access.use(tenantId, name))).toBe('no error');
    expect(await codeOf(here.access.use(tenantId, 'demo-en'))).toBe('VOICE_NOT_FOUND');
    const isAllowed = await here.access.pool(tenantId);
    expect(['demo', 'demo.sad', 'demo-en'].map(isAllowed)).toEqual([true, true, false]);
    // Made for a request of the reference's clients: nobody else may name one.
    expect(await codeOf(here.access.use(tenantId, `ref-${'0'.repeat(40)}`))).toBe('VOICE_NOT_FOUND');
  });

  it('does a repeated request once, and refuses its key for another', async () => {
    const caller = await newTenant({ own: true });
    const wanted = voiceOf({ requestKey: 'key-1' });
    const first = await here.create(caller, wanted, engine);
    expect(await here.create(caller, wanted, engine)).toMatchObject({ id: first.id, version: 1 });
    expect(await here.list(caller.tenantId)).toHaveLength(1);
    expect(await codeOf(here.create(caller, { ...wanted, name: 'Bella' }, engine))).toBe('REQUEST_INVALID');
    const consent = await here.consents.create(caller, consentOf({ requestKey: 'key-2' }), engine);
    expect(await here.consents.create(caller, consentOf({ requestKey: 'key-2' }), engine)).toEqual(consent);
    const longer = consentOf({ requestKey: 'key-2', validUntil: new Date(Date.now() + 60_000) });
    expect(await codeOf(here.consents.create(caller, longer, engine))).toBe('REQUEST_INVALID');
  });

  it('does a request once that comes twice at the same moment', async () => {
    const caller = await newTenant({ own: true });
    const create = () => here.create(caller, voiceOf({ requestKey: 'key-1' }), engine);
    const [voice, twin] = await Promise.all([create(), create()]);
    expect(twin.id).toBe(voice.id);
    const consent = () => here.consents.create(caller, consentOf({ requestKey: 'key-2' }), engine);
    const [one, other] = await Promise.all([consent(), consent()]);
    expect(other).toEqual(one);
    const kinds = (await vault.list(caller.tenantId)).map(({ kind }) => kind).sort();
    expect(kinds).toEqual(['consent-evidence', 'consent-facts', 'voice-profile', 'voice-recording', 'voice-source']);
  });

  it('holds the storage that a tenant may use, and leaves nothing of what was refused', async () => {
    const limited = async (storageBytes: number | null, content: string) => {
      const caller = await newTenant({ own: true });
      await setLimits(get().database, caller.tenantId, { storageBytes });
      const source = { recordings: [recording(content)], transcript: null, language: 'en' as const };
      const code = await codeOf(here.create(caller, voiceOf({ source }), engine));
      return [code, await vault.storedBytes(caller.tenantId), (await here.list(caller.tenantId)).length];
    };
    expect(await limited(1000, 'x'.repeat(2000))).toEqual(['QUOTA_EXCEEDED', 0, 0]);
    // The recording fits; what is made of it does not.
    expect(await limited(20, 'speech')).toEqual(['QUOTA_EXCEEDED', 0, 0]);
    expect(await limited(null, 'noisy')).toEqual(['AUDIO_UNFIT', 0, 0]);
  });

  it('switches a voice off at once, and on again', async () => {
    const caller = await newTenant({ own: true });
    const { id } = await here.create(caller, voiceOf(), engine);
    const use = (await here.access.use(caller.tenantId, id)).watch();
    expect(await here.update(caller, id, { disabled: true, name: 'Off' })).toMatchObject({
      status: 'disabled',
      name: 'Off',
    });
    expect(use?.signal.reason).toMatchObject({ code: 'VOICE_DISABLED' });
    use?.release();
    expect(await codeOf(here.access.use(caller.tenantId, id))).toBe('VOICE_DISABLED');
    await here.update(caller, id, { disabled: false });
    const again = (await here.access.use(caller.tenantId, id)).watch();
    // Nor does the stop come round again when this server looks for those of others.
    await here.stops.look();
    expect(again?.signal.aborted).toBe(false);
    again?.release();
  });

  it('leaves nothing of an enrolment that was cut off between its objects and its rows', async () => {
    const caller = await newTenant({ own: true });
    await here.consents.create(caller, consentOf(), engine);
    await here.create(caller, voiceOf(), engine);
    const kept = await vault.list(caller.tenantId);
    const lost = async function* () {
      yield Buffer.from('lost');
    };
    for (const kind of ['voice-recording', 'consent-evidence']) await vault.put(caller.tenantId, kind, lost());
    const other = await vault.put(caller.tenantId, 'voice', lost());
    const { database } = get();
    expect(await sweepOrphans(database, vault, caller.tenantId)).toBe(0);
    expect(await sweepOrphans(database, vault, caller.tenantId, { olderThanHours: 0 })).toBe(2);
    expect((await vault.list(caller.tenantId)).map(({ id }) => id)).toEqual([...kept.map(({ id }) => id), other.id]);
  });

  it('goes with its tenant', async () => {
    const caller = await newTenant({ own: true });
    const consent = await here.consents.create(caller, consentOf(), engine);
    const { id } = await here.create(caller, voiceOf({ consentId: consent.id }), engine);
    const use = (await here.access.use(caller.tenantId, id)).watch();
    await deleteTenant(get().database, caller.tenantId);
    await here.stops.look();
    expect(use?.signal.reason).toMatchObject({ code: 'VOICE_NOT_FOUND' });
    use?.release();
    for (const table of ['voices', 'voice_versions', 'voice_styles', 'voice_recordings', 'voice_consents']) {
      const { rows } = await get().database.asTenant(caller.tenantId, (sql) => sql.query(`SELECT 1 FROM ${table}`));
      expect([table, rows]).toEqual([table, []]);
    }
  });

  it('refuses names that cannot be a voice', async () => {
    const caller = await newTenant({ own: true });
    for (const id of ['', 'a.b', '../x', 'x'.repeat(65), 'add', 'ref-1', '-a']) {
      expect([id, await codeOf(here.create(caller, voiceOf({ id }), engine))]).toEqual([id, 'REQUEST_INVALID']);
    }
    expect(await codeOf(here.create(caller, voiceOf({ id: 'demo' }), engine, { taken: ['demo'] }))).toBe(
      'VOICE_EXISTS',
    );
  });
});
