import { AppError } from '../errors.js';
import { Recall } from '../recall.js';
import { sha256 } from '../sha256.js';
import type { Database } from '../store/database.js';
import { findKeyHolder, hasApiKeys, type KeyHolder } from './api-keys.js';
import { type Caller, LOCAL_CALLER } from './caller.js';
import type { PersonVerifier } from './people.js';

/** What a request brings to say who makes it. */
export interface Credentials {
  /** An API key, or a person's token; null: none was sent. */
  readonly secret: string | null;
  /** It came from this machine's own address, and through no proxy. */
  readonly local: boolean;
}

export interface Authenticator {
  /**
   * The caller, at once where it was recognised a moment ago. Throws, or rejects with, `UNAUTHENTICATED` with the way to a
   * key, and `STORE_UNAVAILABLE` when keys cannot be looked up.
   */
  authenticate(credentials: Credentials): Caller | Promise<Caller>;
}

export interface AuthenticatorOptions {
  readonly database: Database;
  /**
   * `auto`: this machine's own callers need no key until the first one is made; `required`: everybody needs one;
   * `open`: nobody does, because something in front of the server asks.
   */
  readonly mode: 'auto' | 'required' | 'open';
  readonly people?: PersonVerifier;
  readonly now?: () => number;
}

/** A revoked key works for no longer than this, on every server. */
const KEY_TTL_MS = 1000;
const MAX_REMEMBERED_KEYS = 10_000;
/** Looking for keys that do not exist must not crowd out those that do. */
const MAX_LOOKUPS = 64;

/** Recognises callers by API key or by a person's token; remembers keys for a second, so that they cost nothing. */
export function createAuthenticator({ database, mode, people, now = Date.now }: AuthenticatorOptions): Authenticator {
  const remembered = new Recall<Caller | null>({ ttlMs: KEY_TTL_MS, maxEntries: MAX_REMEMBERED_KEYS, now });
  const door = new Recall<boolean>({ ttlMs: KEY_TTL_MS, maxEntries: 1, now });
  let lookups = 0;

  const lookUp = async (secret: string): Promise<Caller | null> => {
    if (lookups >= MAX_LOOKUPS) {
      throw new AppError('STORE_UNAVAILABLE', 'too many keys are being looked up; try again shortly');
    }
    lookups++;
    try {
      const holder = await findKeyHolder(database, secret);
      return holder === null ? null : toCaller(holder);
    } finally {
      lookups--;
    }
  };

  const byKey = (secret: string): Caller | null | Promise<Caller | null> => {
    // Secrets themselves stay out of long-lived memory.
    const name = sha256(secret).toString('base64');
    return remembered.get(name, () => lookUp(secret));
  };

  const doorIsOpen = () => door.get('', () => hasApiKeys(database).then((any) => !any));

  /** Whom nobody knows by a key. Client libraries insist on sending some; where none is needed, any will do. */
  const withoutKey = async (local: boolean, given: boolean): Promise<Caller> => {
    if (mode === 'open' || (mode === 'auto' && local && (await doorIsOpen()))) return LOCAL_CALLER;
    throw unauthenticated(given);
  };

  return {
    authenticate({ secret, local }) {
      if (secret === null) return withoutKey(local, false);
      if (people?.recognises(secret)) return people.verify(secret);
      const found = byKey(secret);
      if (found instanceof Promise) return found.then((caller) => caller ?? withoutKey(local, true));
      return found ?? withoutKey(local, true);
    },
  };
}

function toCaller({ id, tenantId, scopes }: KeyHolder): Caller {
  return { tenantId, principal: { type: 'key', id }, scopes: new Set(scopes) };
}

function unauthenticated(given: boolean): AppError {
  return new AppError(
    'UNAUTHENTICATED',
    given
      ? 'this API key is unknown, expired or revoked; ask for a new one, or make one: timbre admin key create'
      : 'this needs an API key: send it as "Authorization: Bearer KEY"; make one with: timbre admin key create',
  );
}
