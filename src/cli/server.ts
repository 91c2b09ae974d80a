import { existsSync } from 'node:fs';
import type { Server as HttpsServer } from 'node:https';
import { join } from 'node:path';
import type { Config } from '../config.js';
import type { Engine, ImportProgress } from '../engine/engine-types.js';
import { EnginePool } from '../engine/pool.js';
import { AppError, errnoCode } from '../errors.js';
import { buildGateway } from '../gateway/app.js';
import { AudioStore } from '../gateway/audio-store.js';
import { isLoopback } from '../gateway/authentication.js';
import { SpeechCache } from '../gateway/speech-cache.js';
import { loadTls, reloadTls, type TlsFiles } from '../gateway/tls.js';
import type { EngineCatalog } from '../jobs/engine-catalog.js';
import { InProcessSpeechQueue } from '../jobs/in-process-speech-queue.js';
import { LoadPredictor } from '../jobs/load-predictor.js';
import type { Logger } from '../log.js';
import { createTimbreMetrics, publishEngineStatistics, type TimbreMetrics } from '../metrics.js';
import { createShutdown, type Shutdown } from '../shutdown.js';
import { Segmenter } from '../text/segmenter.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import { openPoolKey } from '../vault/pool-key.js';
import { runSpeechWorker } from '../worker/speech-worker.js';
import { startHousekeeping } from './housekeeping.js';
import { openPlatform, type Platform } from './platform.js';

export interface ServerOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly version: string;
  /** File URL of another engine than ours. */
  readonly engineModule?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
  /** Takes administrative commands for the embedded database, which is this process's alone. */
  readonly commands?: (platform: Platform, engine: Engine) => Promise<{ close(): Promise<void> }>;
  readonly signal?: AbortSignal;
}

export interface Server {
  /** `http://127.0.0.1:9880`, with the port that was taken. */
  readonly url: string;
  readonly shutdown: Shutdown;
  readonly pool: EnginePool;
}

/**
 * The whole server in one process and its engine process: gateway → queue → worker → pool. It listens as soon as the
 * engine is ready; `shutdown.run` ends it in order.
 *
 * Throws the engine's error when it does not start, `CONFIG_INVALID` when the address cannot be listened on.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, log } = options;
  const metrics = createTimbreMetrics();
  metrics.buildInfo.set(1, { version: options.version, node: process.version });
  const shutdown = createShutdown({ graceMs: config.shutdownGraceMs, log });
  const draining = new AbortController();
  const stopClaiming = new AbortController();
  shutdown.add({ phase: 'refuse', name: 'gateway', run: () => draining.abort() });

  try {
    const tlsFiles = tlsFilesOf(config);
    const tls = tlsFiles === null ? null : await loadTls(tlsFiles);
    const audioStore = await AudioStore.open({
      folder: join(config.dataDir, 'audio'),
      ttlMs: config.audioTtlMs,
      maxBytes: config.audioMaxBytes,
    });
    shutdown.add({ phase: 'close', name: 'audio store', run: () => audioStore.close() });

    // Side by side: either takes a second or two.
    const opening = openPlatform({ config, log, ...(options.signal === undefined ? {} : { signal: options.signal }) });
    const starting = startEngine(opening, options, metrics);
    const [opened, started] = await Promise.allSettled([opening, starting]);
    if (opened.status === 'fulfilled') {
      shutdown.add({ phase: 'flush', name: 'platform', run: () => opened.value.close() });
    }
    if (started.status === 'rejected') throw started.reason;
    const pool = started.value;
    if (opened.status === 'rejected') {
      await pool.close();
      throw opened.reason;
    }
    const platform = opened.value;
    metrics.registry.onCollect(() => {
      const { engineStatistics } = pool.status;
      if (engineStatistics) publishEngineStatistics(metrics, engineStatistics);
    });
    const housekeeping = startHousekeeping(platform, config, log);
    shutdown.add({ phase: 'close', name: 'housekeeping', run: () => housekeeping.stop() });
    if (config.databaseUrl === null && options.commands !== undefined) {
      const commands = await options.commands(platform, pool);
      shutdown.add({ phase: 'close', name: 'commands', run: () => commands.close() });
    }
    const queue = new InProcessSpeechQueue({
      maxWaiting: config.maxWaiting,
      predictor: new LoadPredictor({
        maxRunning: config.maxRunning,
        maxDelayMs: config.maxDelayMs,
        minListeners: config.minListeners,
      }),
    });
    const worker = runSpeechWorker({
      source: queue,
      engine: pool,
      loadLexicon: (lexicon) => platform.lexicons.load(lexicon),
      loadAdapter: (adapter) => platform.adapters.load(adapter),
      loadProfile: (profile) => platform.voices.loadProfile(profile),
      concurrency: config.maxRunning,
      log,
      signal: stopClaiming.signal,
    });
    shutdown.add({ phase: 'drain', name: 'speech queue', run: (signal) => queue.idle({ signal }) });
    shutdown.add({
      phase: 'abort',
      name: 'speech worker',
      run: () => {
        queue.close();
        stopClaiming.abort();
      },
    });
    shutdown.add({
      phase: 'close',
      name: 'engine',
      run: async () => {
        await pool.close();
        await worker;
      },
    });

    const catalog = catalogOf(pool);
    const speechCache = new SpeechCache({
      maxBytes: config.encodedCacheBytes,
      ttlMs: config.encodedCacheTtlMs,
      catalog,
      metrics,
    });
    const sweeping = setInterval(() => speechCache.sweep(), SWEEP_INTERVAL_MS);
    shutdown.add({ phase: 'close', name: 'speech cache', run: () => clearInterval(sweeping) });
    const app = buildGateway({
      config,
      queue,
      catalog,
      audioStore,
      speechCache,
      authenticator: platform.authenticator,
      calls: platform.calls,
      adapters: platform.adapters,
      lexicons: platform.lexicons,
      voices: platform.voices,
      database: platform.database,
      administration: platform,
      ...(tls === null ? {} : { tls }),
      metrics,
      log,
      draining: draining.signal,
      createSegmenter: () => new Segmenter(),
      ...(config.referenceControl ? { control: () => void shutdown.run('/control') } : {}),
    });
    shutdown.add({ phase: 'close', name: 'gateway', run: () => closeGateway(app) });
    if (tlsFiles !== null) {
      // With `tls` the gateway's server is one of TLS.
      const reloading = reloadTls(app.server as HttpsServer, tlsFiles, { log });
      shutdown.add({ phase: 'refuse', name: 'certificates', run: () => reloading.stop() });
    }
    const url = await listen(app, config);
    return { url, shutdown, pool };
  } catch (error) {
    await shutdown.run('the start failed');
    throw error;
  }
}

/** The engine, which gets the key of the data folder's own files. The first server of all waits for the platform to make it. */
async function startEngine(
  opening: Promise<unknown>,
  options: ServerOptions,
  metrics: TimbreMetrics,
): Promise<EnginePool> {
  const { config, log } = options;
  if (!existsSync(config.masterKeyFile)) await opening;
  const fileKey = await openPoolKey(config.dataDir, await openMasterKeyFile(config.masterKeyFile, { create: false }));
  return await EnginePool.start(
    {
      engine: {
        dataDir: config.dataDir,
        fileKey,
        cacheBytes: {
          voices: config.voiceCacheBytes,
          texts: config.textCacheBytes,
          utterances: config.utteranceCacheBytes,
          adapters: config.adapterCacheBytes,
        },
        ...(config.threads === null ? {} : { threads: config.threads }),
        ...(config.g2pwFolder === null ? {} : { g2pwFolder: config.g2pwFolder }),
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      },
      ...(options.engineModule === undefined ? {} : { engineModule: options.engineModule }),
      maxRunning: config.maxRunning,
      pingTimeoutMs: config.pingTimeoutMs,
      startTimeoutMs: config.startTimeoutMs,
      log,
      metrics,
    },
    options.signal === undefined ? {} : { signal: options.signal },
  );
}

function catalogOf(pool: EnginePool): EngineCatalog {
  return {
    defaultVoice: pool.info.defaultVoice,
    listVoices: (options) => pool.listVoices(options),
    listModels: (options) => pool.listModels(options),
    sourcesDigest: (names, options) => pool.sourcesDigest(names, options),
    enrolVoice: (request, options) => pool.enrolVoice(request, options),
    readLexicon: (text, options) => pool.readLexicon(text, options),
    convertLexicon: (text, format, language, options) => pool.convertLexicon(text, format, language, options),
    compareReadings: (request, options) => pool.compareReadings(request, options),
    checkRecordings: (request, options) => pool.checkRecordings(request, options),
    prepareVoice: (request, options) => pool.prepareVoice(request, options),
    compareSpeakers: (request, options) => pool.compareSpeakers(request, options),
    checkAdapter: (request, options) => pool.checkAdapter(request, options),
    status() {
      const { state, lastFailure, engineRssBytes } = pool.status;
      return { state, reason: lastFailure, rssBytes: engineRssBytes };
    },
  };
}

/** Answers that are done may still be on their way to slow callers: they get a moment, then their connections end. */
async function closeGateway(app: ReturnType<typeof buildGateway>): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), FLUSH_MS);
  await app.close();
  clearTimeout(timer);
}

const FLUSH_MS = 2000;
const SWEEP_INTERVAL_MS = 60_000;

/** Throws `CONFIG_INVALID` for half of a pair, and for plain HTTP beyond this machine unless that is allowed. */
function tlsFilesOf({ tlsCert, tlsKey, host, allowPlainHttp }: Config): TlsFiles | null {
  if (tlsCert !== null && tlsKey !== null) return { certFile: tlsCert, keyFile: tlsKey };
  if (tlsCert !== null || tlsKey !== null) {
    throw new AppError('CONFIG_INVALID', 'TIMBRE_TLS_CERT and TIMBRE_TLS_KEY go together; one of them is missing');
  }
  if (!allowPlainHttp && host !== 'localhost' && !isLoopback(host)) {
    throw new AppError(
      'CONFIG_INVALID',
      `plain HTTP on ${host} would carry keys and texts in the clear; give TIMBRE_TLS_CERT and TIMBRE_TLS_KEY, or, ` +
        'behind something that ends TLS, TIMBRE_ALLOW_PLAIN_HTTP=true',
    );
  }
  return null;
}

async function listen(app: ReturnType<typeof buildGateway>, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const code = errnoCode(error) ?? '';
    const problem = LISTEN_PROBLEMS[code] ?? `it cannot be listened on (${code || String(error)})`;
    throw new AppError('CONFIG_INVALID', `address ${host}, port ${port}: ${problem}`, { cause: error });
  }
}

const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; choose another port with --port, or stop it',
  EACCES: 'this user may not listen there; choose a port from 1024 up with --port',
  EADDRNOTAVAIL: 'this machine has no such address; choose one with --host (0.0.0.0 is all of them)',
  ENOTFOUND: 'this host name is unknown; choose an address with --host',
};
