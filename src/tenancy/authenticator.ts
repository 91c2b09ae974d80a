import { createHash } from 'node:crypto';
import { AppError } from '../errors.js';
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
  /** Throws `UNAUTHENTICATED` with the way to a key; `STORE_UNAVAILABLE` when keys cannot be looked up. */
  authenticate(credentials: Credentials): Promise<Caller>;
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
  const remembered = new Map<string, { readonly untilMs: number; readonly caller: Promise<Caller | null> }>();
  let lookups = 0;
  let door: { readonly untilMs: number; readonly open: Promise<boolean> } | null = null;

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

  const byKey = (secret: string): Promise<Caller | null> => {
    // Secrets themselves stay out of long-lived memory.
    const name = createHash('sha256').update(secret).digest('base64');
    const known = remembered.get(name);
    if (known !== undefined && known.untilMs > now()) return known.caller;
    const caller = lookUp(secret);
    remembered.delete(name);
    if (remembered.size >= MAX_REMEMBERED_KEYS) {
      const oldest = remembered.keys().next();
      if (!oldest.done) remembered.delete(oldest.value);
    }
    remembered.set(name, { untilMs: now() + KEY_TTL_MS, caller });
    caller.catch(() => remembered.delete(name));
    return caller;
  };

  const doorIsOpen = (): Promise<boolean> => {
    if (door !== null && door.untilMs > now()) return door.open;
    const open = hasApiKeys(database).then((any) => !any);
    door = { untilMs: now() + KEY_TTL_MS, open };
    open.catch(() => {
      door = null;
    });
    return open;
  };

  return {
    async authenticate({ secret, local }) {
      if (secret !== null) {
        if (people?.recognises(secret)) return people.verify(secret);
        const caller = await byKey(secret);
        if (caller !== null) return caller;
        // Client libraries insist on some key; where none is needed, any will do.
        if (mode !== 'open' && !(mode === 'auto' && local && (await doorIsOpen()))) throw unauthenticated(true);
        return LOCAL_CALLER;
      }
      if (mode === 'open' || (mode === 'auto' && local && (await doorIsOpen()))) return LOCAL_CALLER;
      throw unauthenticated(false);
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
