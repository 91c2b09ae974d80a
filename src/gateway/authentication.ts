import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../errors.js';
import type { Authenticator, Credentials } from '../tenancy/authenticator.js';
import { type Caller, requireScope } from '../tenancy/caller.js';
import type { Scope } from '../tenancy/scopes.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; null on public routes, and until `signIn` on those that sign in late. */
    caller: Caller | null;
    /** How much the tenant may still do: on the answer, once a call was let in. */
    rateHeaders: Readonly<Record<string, string>> | null;
  }
  interface FastifyContextConfig {
    /**
     * Who may call this route; every route says it.
     * A scope: callers that have it. `public`: anyone, without a key. `any`: any caller who is somebody.
     * `late`: the handler calls {@link signIn}, because the key comes in a message of a WebSocket.
     */
    access?: Scope | 'public' | 'any' | 'late';
  }
}

/**
 * Makes every request say who calls before its body is read: `Authorization: Bearer KEY`, `xi-api-key: KEY` or
 * `x-api-key: KEY`. A route that does not say who may call it cannot be registered.
 */
export function registerAuthentication(app: FastifyInstance, authenticator: Authenticator): void {
  app.decorateRequest('caller', null);
  app.decorateRequest('rateHeaders', null);
  authenticators.set(app.server, authenticator);
  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) {
      throw new Error(`the route ${String(route.method)} ${route.url} does not say who may call it (config.access)`);
    }
  });
  app.addHook('onRequest', (request, _reply, done) => {
    // A path that is no route is answered as such, to anyone.
    if (request.is404) return done();
    const { access } = request.routeOptions.config;
    if (access === 'public' || access === 'late') return done();
    const admit = (caller: Caller) => {
      request.caller = caller;
      if (access !== undefined && access !== 'any') requireScope(caller, access);
    };
    const found = authenticator.authenticate(credentialsOf(request));
    // Who was recognised a moment ago need not wait.
    if (!(found instanceof Promise)) {
      admit(found);
      return done();
    }
    found.then(admit).then(() => done(), done);
  });
}

/** Puts on every answer how much its tenant may still do. */
export function registerRateHeaders(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    addRateHeaders(reply);
    done();
  });
}

/** For answers that are written past Fastify, which calls no `onSend` for them. */
export function addRateHeaders(reply: FastifyReply): void {
  const { rateHeaders } = reply.request;
  if (rateHeaders !== null) reply.headers(rateHeaders);
}

/** One authenticator a server; routes need not pass it around. */
const authenticators = new WeakMap<object, Authenticator>();

/**
 * Recognises the caller of a route that signs in late, by the key it sent in a message, or else by the headers of the
 * request. Throws `UNAUTHENTICATED` and `FORBIDDEN`.
 */
export async function signIn(request: FastifyRequest, scope: Scope, secret: string | null = null): Promise<Caller> {
  const authenticator = authenticators.get(request.server.server);
  if (authenticator === undefined) throw new Error('no authenticator was registered');
  const caller = await authenticator.authenticate(credentialsOf(request, secret));
  requireScope(caller, scope);
  request.caller = caller;
  return caller;
}

function credentialsOf(request: FastifyRequest, secret: string | null = null): Credentials {
  return { secret: secret ?? secretOf(request), local: isLocal(request) };
}

/** The caller of a route that needs one. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error('this route is public, or signs in late, and has no caller yet');
  return request.caller;
}

/** The key or token of the request's headers, or null. */
export function secretOf(request: Pick<FastifyRequest, 'headers'>): string | null {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const [, bearer] = /^Bearer +([^\s]{1,8192})$/i.exec(authorization) ?? [];
    if (bearer !== undefined) return bearer;
    throw new AppError('UNAUTHENTICATED', 'the Authorization header is not understood; expected "Bearer KEY"');
  }
  const key = request.headers['xi-api-key'] ?? request.headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? key : null;
}

/** From this very machine, to its own address, and not through a proxy that would make everybody look so. */
function isLocal(request: FastifyRequest): boolean {
  const { remoteAddress } = request.socket;
  const { headers } = request;
  const forwarded = FORWARDING.some((name) => name in headers);
  return !forwarded && isLoopback(remoteAddress) && isLoopbackHost(request.headers.host);
}

const FORWARDING = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'];

export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(127\.|::1$|::ffff:127\.)/.test(address);
}

/** A web page may name its own host for this address (DNS rebinding); a browser then sends that name. */
function isLoopbackHost(host: string | undefined): boolean {
  return host === undefined || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(host);
}
