import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../errors.js';

const EXPOSED = 'x-request-id, x-timbre-seed, x-timbre-sample-rate, x-timbre-duration-ms, x-timbre-faults, retry-after';
const ALLOWED_HEADERS = 'authorization, content-type, accept, x-request-id, xi-api-key, x-api-key';
const MAX_AGE_SECONDS = 600;

/**
 * Lets web pages of the configured origins call this server (`*`: of all; nothing: of none). A WebSocket is no matter of
 * CORS for a browser, so that one from a foreign page is refused here.
 */
export function registerCors(app: FastifyInstance, origins: string | null): void {
  const allowed = new Set(origins?.split(',') ?? []);
  const isAllowed = (origin: string) => allowed.has('*') || allowed.has(origin);
  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    if (origin === undefined) return done();
    if (request.headers.upgrade !== undefined && !isAllowed(origin) && !isOwn(origin, request)) {
      // A refused upgrade has no server left that would close its socket.
      reply.raw.once('finish', () => request.raw.socket.destroySoon());
      throw new AppError(
        'REQUEST_INVALID',
        'web pages of this origin may not connect; TIMBRE_CORS_ORIGINS lists those that may',
      );
    }
    if (!isAllowed(origin)) return done();
    // Keys come in headers that a page must set itself, never in cookies: no credentials to guard.
    reply.header('access-control-allow-origin', allowed.has('*') ? '*' : origin).header('vary', 'origin');
    reply.header('access-control-expose-headers', EXPOSED);
    if (request.method === 'OPTIONS' && 'access-control-request-method' in request.headers) {
      reply.header('access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE');
      reply.header('access-control-allow-headers', ALLOWED_HEADERS);
      reply.header('access-control-max-age', String(MAX_AGE_SECONDS));
      void reply.code(204).send();
      return;
    }
    done();
  });
}

function isOwn(origin: string, request: FastifyRequest): boolean {
  return URL.canParse(origin) && new URL(origin).host === request.host;
}
