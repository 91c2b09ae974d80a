import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import type { Caller } from './caller.js';
import { ROLE_SCOPES, ROLES, type Role, type Scope } from './scopes.js';

/** Recognises people by a token of the company's identity provider. */
export interface PersonVerifier {
  /** Whether this looks like a token rather than an API key. */
  recognises(secret: string): boolean;
  verify(token: string): Promise<Caller>;
}

export interface OidcOptions {
  readonly database: Database;
  readonly issuer: string;
  readonly audience: string;
  /** Where the provider's keys are; by default as its discovery document says. */
  readonly jwksUrl?: string;
  /** Tests bring their keys along. */
  readonly keys?: JWTVerifyGetKey;
}

/** Never `none`, and never a shared secret: a provider signs with a key of its own. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const CLOCK_TOLERANCE_SECONDS = 30;
const DISCOVERY_TIMEOUT_MS = 5000;

/**
 * Validates OpenID Connect tokens (issuer, audience, signature, times) and takes the person's roles from the members of
 * a tenant. A person of several tenants says which with the claim `timbre_tenant`.
 */
export function createPersonVerifier({ database, issuer, audience, jwksUrl, keys }: OidcOptions): PersonVerifier {
  let getKey: JWTVerifyGetKey | null = keys ?? null;
  return {
    recognises(secret) {
      try {
        return decodeProtectedHeader(secret).alg !== undefined;
      } catch {
        return false;
      }
    },
    async verify(token) {
      getKey ??= createRemoteJWKSet(new URL(jwksUrl ?? (await discoverKeys(issuer))), {
        timeoutDuration: DISCOVERY_TIMEOUT_MS,
      });
      let claims: JWTPayload;
      try {
        const options = { issuer, audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_SECONDS };
        ({ payload: claims } = await jwtVerify(token, getKey, { ...options, requiredClaims: ['sub', 'exp'] }));
      } catch (error) {
        throw tokenError(error);
      }
      return memberOf(database, issuer, claims);
    },
  };
}

async function memberOf(database: Database, issuer: string, claims: JWTPayload): Promise<Caller> {
  const subject = claims.sub ?? '';
  const { rows } = await database.asPlatform((sql) =>
    sql.query<{ tenant_id: string; role: string }>(
      `SELECT m.tenant_id, m.role FROM members m JOIN tenants t ON t.id = m.tenant_id
       WHERE m.issuer = $1 AND m.subject = $2 AND t.state = 'active' ORDER BY m.tenant_id`,
      [issuer, subject],
    ),
  );
  const wanted = claims['timbre_tenant'];
  const member = typeof wanted === 'string' ? rows.find((row) => row.tenant_id === wanted) : rows[0];
  if (member === undefined || (typeof wanted !== 'string' && rows.length > 1)) {
    throw new AppError(
      'FORBIDDEN',
      member === undefined
        ? 'this person is no member of a tenant here; an owner adds people with: timbre admin member add'
        : 'this person is a member of several tenants; the token must name one in the claim timbre_tenant',
    );
  }
  return {
    tenantId: member.tenant_id,
    principal: { type: 'person', id: subject },
    scopes: new Set<Scope>(isRole(member.role) ? ROLE_SCOPES[member.role] : []),
  };
}

export function isRole(value: string): value is Role {
  return (ROLES as readonly string[]).includes(value);
}

async function discoverKeys(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(DISCOVERY_TIMEOUT_MS), redirect: 'error' });
    const document: unknown = await answer.json();
    if (typeof document === 'object' && document !== null && 'jwks_uri' in document && 'issuer' in document) {
      if (document.issuer === issuer && typeof document.jwks_uri === 'string') return document.jwks_uri;
    }
    throw new Error(`the discovery document is not one of ${issuer}`);
  } catch (error) {
    throw providerAway(error);
  }
}

/** A token that is wrong is the caller's matter; keys that cannot be fetched are the provider's. */
function tokenError(error: unknown): AppError {
  if (error instanceof errors.JWTExpired) {
    return new AppError('UNAUTHENTICATED', 'the token has expired; sign in again', { cause: error });
  }
  const wrong =
    error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && error.code !== 'ERR_JOSE_GENERIC';
  if (!wrong) return providerAway(error);
  return new AppError('UNAUTHENTICATED', 'the token is not one that the identity provider made for this server', {
    cause: error,
  });
}

function providerAway(cause: unknown): AppError {
  return new AppError('STORE_UNAVAILABLE', 'the keys of the identity provider cannot be fetched; try again', { cause });
}
