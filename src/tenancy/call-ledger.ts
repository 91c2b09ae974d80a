import { createHmac, randomUUID } from 'node:crypto';
import type { AuditLog } from '../audit/audit-log.js';
import type { AuditEntry, AuditValue, UsageDelta } from '../audit/chain.js';
import { AppError } from '../errors.js';
import { isoTime } from '../iso-time.js';
import type { Logger } from '../log.js';
import { type Caller, principalName } from './caller.js';
import type { Quotas } from './quotas.js';

type Details = Readonly<Record<string, AuditValue>>;

/** What is known of a synthesis before it starts. */
export interface SpeechCall {
  readonly requestId: string;
  /** `/v1/audio/speech`, …: the route, not the URL. */
  readonly route: string;
  readonly voice: string;
  /** Of the voice, where it has versions. */
  readonly voiceVersion?: number | null;
  /** Other voices that the call may use: those its markup names. */
  readonly cast?: readonly string[];
  /** Null: the voice's own. */
  readonly model: string | null;
  readonly adapter?: string | null;
  /** Stays here: the record has a digest of it. */
  readonly text: string;
  readonly characters: number;
}

export interface SpeechOutcome {
  /** `ok`, `cancelled`, or the code of the error. */
  readonly outcome: string;
  readonly audioMs: number;
  /** SHA-256 of the bytes that were sent, in hex; null: none were. */
  readonly audioDigest: string | null;
}

/** What the record of a call says of what was made: for when it is sent again. */
export interface RecordedOutcome extends SpeechOutcome {
  /** HMAC-SHA256 of the text under the tenant's key, in hex. */
  readonly textDigest: string;
}

export interface OpenCall {
  /**
   * Resolves when the record of the call's begin is safe: work may be done meanwhile, but nothing may be answered before.
   * Rejects with `AUDIT_UNAVAILABLE`.
   */
  readonly safe: Promise<void>;
  /** Rate headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Share of the machine under load, for the queue. */
  readonly weight: number;
  readonly textDigest: string;
  /** Once, when the last byte was made or nothing more will come. Never throws, and keeps nobody waiting. */
  end(outcome: SpeechOutcome): void;
}

/**
 * What every way to speech goes through: limits before the work, a record that is safe before the answer, a record of
 * how it ended, and what it used. One object for all dialects.
 */
export interface CallLedger {
  /**
   * Lets a call in, and begins to record it. Throws `RATE_LIMITED`, `QUOTA_EXCEEDED`, `UNAUTHENTICATED` (the tenant was
   * suspended); then nothing was begun.
   */
  begin(caller: Caller, call: SpeechCall): Promise<OpenCall>;
  /**
   * Lets a call in whose audio is there already, and records it at once, with what is sent. Throws as {@link begin}; then
   * nothing may be sent.
   */
  serve(caller: Caller, call: Omit<SpeechCall, 'text'>, outcome: RecordedOutcome): Promise<Pick<OpenCall, 'headers'>>;
  /** Records an act that is no synthesis (`key.created`, `voice.deleted`, …); resolves when the record is safe. */
  record(caller: Caller, type: string, details: Details): Promise<void>;
  /**
   * Does something that must be on record: a record that it begins is safe before it does, another says how it ended.
   * `found` adds to the latter what only the result tells, such as a new id.
   */
  act<T>(
    caller: Caller,
    type: string,
    details: Details,
    work: () => Promise<T>,
    found?: (result: T) => Details,
  ): Promise<T>;
}

export interface CallLedgerOptions {
  readonly quotas: Quotas;
  readonly audit: AuditLog;
  /** The tenant's key for digests of texts: without it nobody can try short texts until one fits. */
  readonly digestKey: (tenantId: string) => Promise<Uint8Array>;
  readonly log: Logger;
}

export function createCallLedger({ quotas, audit, digestKey, log }: CallLedgerOptions): CallLedger {
  // In the order of a record's names, which it would be put into otherwise.
  const asked = (call: Omit<SpeechCall, 'text'>, textDigest: string, outcome: SpeechOutcome | null): Details => {
    const details: Record<string, AuditValue> = { adapter: call.adapter ?? null };
    if (outcome !== null) {
      details['audio_digest'] = outcome.audioDigest;
      details['audio_ms'] = Math.round(outcome.audioMs);
    }
    if (call.cast !== undefined) details['cast'] = call.cast;
    details['characters'] = call.characters;
    details['model'] = call.model;
    if (outcome !== null) details['outcome'] = outcome.outcome;
    details['request'] = call.requestId;
    details['route'] = call.route;
    details['text_digest'] = textDigest;
    details['voice'] = call.voice;
    details['voice_version'] = call.voiceVersion ?? null;
    return details;
  };
  return {
    async begin(caller, call) {
      const admission = await quotas.admit(caller.tenantId, { characters: call.characters });
      let textDigest: string;
      try {
        const key = await digestKey(caller.tenantId);
        textDigest = createHmac('sha256', key).update(call.text, 'utf8').digest('hex');
      } catch (error) {
        admission.release();
        throw error;
      }
      const started = entryOf(caller, 'speech.started', asked(call, textDigest, null));
      const safe = audit.append(started);
      // Whoever asks hears of it.
      safe.catch(() => {});
      let ended = false;
      return {
        safe,
        headers: admission.headers,
        weight: admission.weight,
        textDigest,
        end(outcome) {
          if (ended) return;
          ended = true;
          const details = {
            audio_digest: outcome.audioDigest,
            audio_ms: Math.round(outcome.audioMs),
            call: started.id,
            outcome: outcome.outcome,
          };
          const entry = entryOf(caller, 'speech.ended', details, usageOf(caller, call, outcome));
          const append = () =>
            audit
              .append(entry)
              .catch((error: unknown) =>
                log.error({ err: error, call: started.id }, 'the end of a call is not on record'),
              );
          // A call that is not on record has no end either.
          safe.then(append, () => {}).finally(() => admission.release());
        },
      };
    },
    async serve(caller, call, outcome) {
      const admitted = quotas.admit(caller.tenantId, { characters: call.characters });
      const admission = admitted instanceof Promise ? await admitted : admitted;
      try {
        const details = asked(call, outcome.textDigest, outcome);
        await audit.append(entryOf(caller, 'speech.served', details, usageOf(caller, call, outcome)));
        return { headers: admission.headers };
      } finally {
        admission.release();
      }
    },
    record: (caller, type, details) => audit.append(entryOf(caller, type, details)),
    async act(caller, type, details, work, found = () => ({})) {
      const started = entryOf(caller, `${type}.started`, details);
      await audit.append(started);
      const ended = (outcome: string, more: Details) =>
        audit.append(entryOf(caller, `${type}.ended`, { act: started.id, outcome, ...more }));
      try {
        const result = await work();
        await ended('ok', found(result));
        return result;
      } catch (error) {
        await ended(error instanceof AppError ? error.code : 'INTERNAL', {}).catch(() => {});
        throw error;
      }
    },
  };
}

function usageOf(
  { principal }: Caller,
  { voice, characters }: Pick<SpeechCall, 'voice' | 'characters'>,
  { outcome, audioMs }: SpeechOutcome,
): UsageDelta {
  return {
    principal: principalName(principal),
    voice,
    characters,
    audioMs: Math.round(audioMs),
    failed: outcome !== 'ok' && outcome !== 'cancelled',
  };
}

function entryOf(caller: Caller, type: string, details: Details, usage?: UsageDelta): AuditEntry {
  const { tenantId, principal } = caller;
  const id = randomUUID();
  const at = isoTime();
  const actor = principalName(principal);
  return usage === undefined
    ? { id, tenantId, at, type, actor, details }
    : { id, tenantId, at, type, actor, details, usage };
}
