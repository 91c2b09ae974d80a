import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import websocket from '@fastify/websocket';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { AdapterCatalog } from '../catalog/adapters.js';
import type { LexiconCatalog } from '../catalog/lexicons.js';
import type { VoiceCatalog } from '../catalog/voice-catalog.js';
import type { Config } from '../config.js';
import { ERROR_CODES } from '../errors.js';
import type { EngineCatalog } from '../jobs/engine-catalog.js';
import type { SpeechQueue } from '../jobs/speech-queue.js';
import type { Logger } from '../log.js';
import type { CounterSeries, HistogramObserver, TimbreMetrics } from '../metrics.js';
import type { Database } from '../store/database.js';
import type { Authenticator } from '../tenancy/authenticator.js';
import type { CallLedger } from '../tenancy/call-ledger.js';
import type { Administration } from './administration.js';
import type { AudioStore } from './audio-store.js';
import { registerAuthentication, registerRateHeaders } from './authentication.js';
import { registerCors } from './cors.js';
import { answerClientError, answerNotFound, handleError } from './error-answers.js';
import { acceptForms } from './forms.js';
import { registerOpenApi } from './openapi.js';
import { registerAdapterRoutes } from './routes/adapters.js';
import { registerAdminAccessRoutes } from './routes/admin-access.js';
import { registerAdminRecordRoutes } from './routes/admin-records.js';
import { registerAdminTenantRoutes } from './routes/admin-tenants.js';
import { registerAudioRoutes } from './routes/audio.js';
import { registerCatalogRoutes } from './routes/catalog.js';
import { registerConsentRoutes } from './routes/consents.js';
import { registerElevenLabsRoutes } from './routes/elevenlabs.js';
import { registerElevenLabsVoiceRoutes } from './routes/elevenlabs-voices.js';
import { registerElevenLabsWebSockets } from './routes/elevenlabs-websocket.js';
import { registerHealthRoutes } from './routes/health.js';
import { registerLexiconRoutes } from './routes/lexicons.js';
import { registerOpenAiRoutes } from './routes/openai.js';
import { registerOpenAiVoiceRoutes } from './routes/openai-voices.js';
import { registerReferenceRoutes } from './routes/reference.js';
import { registerStreamRoute } from './routes/stream.js';
import { registerSynthesizeRoutes } from './routes/synthesize.js';
import { registerVerifyRoute } from './routes/verify.js';
import { registerVoiceRoutes } from './routes/voices.js';
import { WEBSOCKET_OPTIONS } from './socket.js';
import type { SpeechCache } from './speech-cache.js';
import type { TextSegmenter } from './speech-context.js';
import type { TlsOptions } from './tls.js';

export interface GatewayOptions {
  readonly config: Pick<
    Config,
    | 'publicUrl'
    | 'trustProxy'
    | 'defaultVoice'
    | 'maxTextCharacters'
    | 'requestTimeoutMs'
    | 'readerTimeoutMs'
    | 'defaultSeed'
    | 'audioBufferBytes'
    | 'contentProducer'
    | 'corsOrigins'
    | 'watermark'
    | 'audibleCue'
    | 'referenceFolder'
  >;
  readonly queue: SpeechQueue;
  readonly catalog: EngineCatalog;
  readonly audioStore: AudioStore;
  readonly speechCache: SpeechCache;
  readonly authenticator: Authenticator;
  readonly calls: CallLedger;
  readonly adapters: AdapterCatalog;
  readonly lexicons: LexiconCatalog;
  readonly voices: VoiceCatalog;
  /** For what the operator does over HTTP. */
  readonly database: Database;
  /** What `/v1/admin` works on. */
  readonly administration: Administration;
  readonly metrics: TimbreMetrics;
  readonly log: Logger;
  /** Absent: plain HTTP. */
  readonly tls?: TlsOptions;
  /** Aborted when the server refuses new work: `/readyz` says so, syntheses get `SHUTTING_DOWN`. */
  readonly draining: AbortSignal;
  /** For text that comes in pieces over a WebSocket. */
  readonly createSegmenter: () => TextSegmenter;
  /** What the reference's `/control` does; absent: it is off. */
  readonly control?: (command: 'restart' | 'exit') => void;
}

/** 100,000 characters escaped in JSON are 600 kB: they get an answer about their text, not about their size. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
/** A text of 5,000 Chinese characters in a query is 45 kB. */
const MAX_HEADER_BYTES = 128 * 1024;
const RECEIVE_TIMEOUT_MS = 60_000;
const CLIENT_CLOSED_REQUEST = ERROR_CODES.REQUEST_CANCELLED.status;
/** Polled by machines every few seconds. */
const QUIET_ROUTES: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);
/** Nothing we send is a page that may load anything or be framed; audio may be played by any page that has its URL. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'cross-origin',
};
const REQUEST_ID = /^[A-Za-z0-9._:/+=-]{1,128}$/;

/** Builds the HTTP server; it holds no state but `audioStore`, and knows engines only as a queue and a catalog. */
export function buildGateway(options: GatewayOptions): FastifyInstance {
  const { metrics, config } = options;
  // Typed as Fastify's own logger: a narrower one would make every route's type carry it.
  const loggerInstance: FastifyBaseLogger = options.log;
  const app = fastify({
    loggerInstance,
    // Our own line per request: Fastify's has the URL, which may hold a customer's text.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: RECEIVE_TIMEOUT_MS,
    trustProxy: config.trustProxy,
    genReqId: requestId,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    ...(options.tls === undefined
      ? { http: { maxHeaderSize: MAX_HEADER_BYTES } }
      : { https: { ...options.tls, maxHeaderSize: MAX_HEADER_BYTES } }),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
    ajv: { customOptions: { coerceTypes: false } },
  });

  const defaultJsonParser = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // `POST /synthesize?text=…` with a JSON content type and no body is a query.
    if (body === '') done(null, undefined);
    // With `parseAs: 'string'` the body is one.
    else defaultJsonParser(request, body as string, done);
  });

  app.setErrorHandler((error, request, reply) => {
    // Fastify ends the connection where it refuses a body, and whoever is still sending it would not read why. So the rest is
    // read and dropped, for no longer than any body may take to arrive.
    if (!options.draining.aborted) reply.removeHeader('connection');
    return handleError(error, request, reply);
  });
  app.setNotFoundHandler(answerNotFound);

  // Hooks that wait for nothing take a callback: a promise for each would be a tenth of what a short answer costs.
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    reply.headers(SECURITY_HEADERS);
    // Behind a proxy that ends TLS it is the proxy's to promise.
    if (options.tls !== undefined) reply.header('strict-transport-security', 'max-age=31536000');
    if (options.draining.aborted) reply.header('connection', 'close');
    // `onResponse` is for answers that reached their end; the others only close.
    reply.raw.on('close', () => {
      if (!reply.raw.writableFinished) finishRequest(request, reply, CLIENT_CLOSED_REQUEST);
    });
    done();
  });
  const numbers = new Map<string, { readonly count: CounterSeries; readonly seconds: HistogramObserver }>();
  const numbersOf = (route: string, method: string, status: number) => {
    const name = `${method} ${status} ${route}`;
    let known = numbers.get(name);
    if (known === undefined) {
      const count = metrics.requests.of({ route, method, status: String(status) });
      known = { count, seconds: metrics.requestSeconds.of({ route }) };
      numbers.set(name, known);
    }
    return known;
  };
  const finishRequest = (request: FastifyRequest, reply: FastifyReply, status: number) => {
    const route = request.routeOptions.url ?? 'none';
    const { count, seconds } = numbersOf(route, request.method, status);
    const ms = reply.elapsedTime;
    count.inc();
    seconds.observe(ms / 1000);
    const level = QUIET_ROUTES.has(route) ? 'debug' : 'info';
    request.log[level]({ method: request.method, route, status, ms: Math.round(100 * ms) / 100 }, 'request');
  };
  app.addHook('onResponse', (request, reply, done) => {
    finishRequest(request, reply, reply.statusCode);
    done();
  });

  // What may be heard no more is not kept either.
  options.voices.stops.onStop(({ ownerId }) => options.speechCache.forget(ownerId));
  registerCors(app, config.corsOrigins);
  registerAuthentication(app, options.authenticator);
  registerRateHeaders(app);
  registerOpenApi(app);
  registerHealthRoutes(app, options);
  registerAdminTenantRoutes(app, options);
  registerAdminAccessRoutes(app, options);
  registerAdminRecordRoutes(app, options);
  registerCatalogRoutes(app, options);
  registerAudioRoutes(app, options);
  registerSynthesizeRoutes(app, options);
  registerOpenAiRoutes(app, options);
  // Their own scope: only here a body may be a form.
  app.register(async (scope) => {
    acceptForms(scope);
    registerVoiceRoutes(scope, options);
    registerConsentRoutes(scope, options);
    registerOpenAiVoiceRoutes(scope, options);
    registerElevenLabsVoiceRoutes(scope, options);
  });
  registerElevenLabsRoutes(app, options);
  registerReferenceRoutes(app, options);
  // Scopes of their own: only here a body may be CSV or XML, or audio.
  app.register(async (scope) => registerAdapterRoutes(scope, options));
  app.register(async (scope) => registerLexiconRoutes(scope, options));
  app.register(async (scope) => registerVerifyRoute(scope, options));
  app.register(websocket, WEBSOCKET_OPTIONS);
  // The plugin has to be there before the routes that it serves.
  app.register(async (scope) => {
    registerStreamRoute(scope, options);
    registerElevenLabsWebSockets(scope, options);
  });
  return app;
}

/** The caller's own id where it is a plain one, so that both sides' logs meet; else a new one. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}
