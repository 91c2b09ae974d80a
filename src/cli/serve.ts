import type { Command } from 'commander';
import { createLogger } from '../log.js';
import { shutdownOnSignals } from '../shutdown.js';
import { listenForCommands, type RunCommand } from './admin-socket.js';
import { type CliContext, isTerminal } from './context.js';
import { createProgressLine, showImport } from './progress.js';
import { type Server, startServer } from './server.js';
import { addEngineFlags, configFromFlags, type EngineFlags } from './with-engine.js';

interface ServeFlags extends EngineFlags {
  readonly host?: string;
  readonly port?: string;
  readonly publicUrl?: string;
  readonly defaultVoice?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

/** Beyond the grace for running requests: closing the engine, flushing answers. */
const FORCE_AFTER_GRACE_MS = 10_000;

/** `timbre serve`: the HTTP server, until SIGTERM or Ctrl-C. */
export function addServeCommand(program: Command, context: CliContext, run: RunCommand): void {
  const command = program
    .command('serve')
    .description('serve speech over HTTP')
    .option('--host <address>', 'address to listen on (TIMBRE_HOST, 127.0.0.1)')
    .option('-p, --port <port>', 'port to listen on (TIMBRE_PORT, 9880)')
    .option('--public-url <url>', 'base of the audio URLs in answers (TIMBRE_PUBLIC_URL)')
    .option('--default-voice <name>', 'voice of requests that name none (TIMBRE_DEFAULT_VOICE)')
    .option('--log-level <level>', 'least level that is logged (TIMBRE_LOG_LEVEL)')
    .option('--log-format <format>', 'json, text or auto (TIMBRE_LOG_FORMAT)');
  addEngineFlags(command).action(async (flags: ServeFlags) => {
    await serve(context, flags, run);
  });
}

async function serve(context: CliContext, flags: ServeFlags, run: RunCommand): Promise<Server> {
  const config = configFromFlags(context, flags, {
    host: flags.host,
    port: flags.port,
    publicUrl: flags.publicUrl,
    defaultVoice: flags.defaultVoice,
    logLevel: flags.logLevel,
    logFormat: flags.logFormat,
  });
  const readable = config.logFormat === 'auto' ? isTerminal(context.stderr) : config.logFormat === 'text';
  const log = createLogger({
    level: config.logLevel,
    format: readable ? 'text' : 'json',
    write: (line) => void context.stderr.write(line),
  });
  const line = createProgressLine(context.stderr);
  const server = await startServer({
    config,
    log,
    version: context.version,
    ...(context.engineModule === undefined ? {} : { engineModule: context.engineModule }),
    onProgress: showImport(line),
    commands: (platform, engine) => listenForCommands(config.dataDir, platform, run, { ...context, engine }),
    signal: context.signal,
  });
  line.clear();
  shutdownOnSignals(server.shutdown, {
    forceAfterMs: config.shutdownGraceMs + FORCE_AFTER_GRACE_MS,
    log,
    source: context.signals,
  });
  context.stdout.write(await welcome(context.version, server));
  return server;
}

/** What to paste next. */
async function welcome(version: string, { url, pool }: Server): Promise<string> {
  const listed = await pool.listVoices();
  const voices = listed.map((voice) => voice.name);
  const voice = pool.info.defaultVoice ?? voices[0] ?? 'VOICE';
  return [
    `Timbre ${version} serves ${url} (${pool.info.runtime}; voices: ${voices.join(', ') || 'none yet'})`,
    ...listed.flatMap(({ name, warnings }) => warnings.map((warning) => `warning for ${name}: ${warning}`)),
    '',
    'Try:',
    `  curl ${url}/synthesize -H 'Content-Type: application/json' -d '{"text": "你好，世界。", "speaker_id": "${voice}"}'`,
    `  curl -N '${url}/synthesize?stream=true&text=hello' -o hello.wav`,
    '',
    '',
  ].join('\n');
}
