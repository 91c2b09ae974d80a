import type { Command } from 'commander';
import { type Config, loadConfig, type SettingName } from '../config.js';
import type { CreateEngine, Engine, EngineOptions } from '../engine/engine-types.js';
import { SealedFiles } from '../engine/sealed-files.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import { hasPoolKey, openPoolKey } from '../vault/pool-key.js';
import type { CliContext } from './context.js';
import { createProgressLine, type ProgressLine, showImport } from './progress.js';

/** Flags that commands with an engine share; each stands for a setting of `config.ts`. */
export interface EngineFlags {
  readonly data?: string;
  readonly threads?: string;
}

export function addEngineFlags(command: Command): Command {
  return command
    .option('--data <folder>', 'folder of models and voices (TIMBRE_DATA)')
    .option('--threads <n>', 'threads of the inference pool (TIMBRE_THREADS)');
}

export function configFromFlags(
  context: CliContext,
  flags: EngineFlags,
  more: Partial<Record<SettingName, string | undefined>> = {},
): Config {
  return loadConfig({ dataDir: flags.data, threads: flags.threads, ...more }, context.env);
}

/**
 * The key of a data folder's voices and lexicons; undefined where no server has ever run on it, which makes one: its files
 * are plain. Throws `MASTER_KEY_MISSING`.
 */
export async function fileKeyOf({
  dataDir,
  masterKeyFile,
}: Pick<Config, 'dataDir' | 'masterKeyFile'>): Promise<Buffer | undefined> {
  if (!hasPoolKey(dataDir)) return undefined;
  return await openPoolKey(dataDir, await openMasterKeyFile(masterKeyFile, { create: false }));
}

/** For commands that look into the files themselves. */
export async function sealedFilesOf(config: Pick<Config, 'dataDir' | 'masterKeyFile'>): Promise<SealedFiles> {
  return new SealedFiles((await fileKeyOf(config)) ?? null);
}

/**
 * Runs `use` with an engine of this very process, given out while it is still loading: a command that ends with its engine
 * needs none in a process apart, which takes a third longer to the first sound.
 */
export async function withEngine<T>(
  context: CliContext,
  config: Config,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const line = createProgressLine(context.stderr);
  const { createEngine }: { readonly createEngine: CreateEngine } =
    context.engineModule === undefined ? await import('../engine/engine.js') : await import(context.engineModule);
  const engine = await createEngine({ ...(await engineOptions(config, line)), ready: 'at-once' });
  line.clear();
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/** Runs `use` with an engine in a process of its own, as a server has it, which ends afterwards whatever happens. */
export async function withEngineProcess<T>(
  context: CliContext,
  config: Config,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const line = createProgressLine(context.stderr);
  const { signal } = context;
  const { EnginePool } = await import('../engine/pool.js');
  const pool = await EnginePool.start(
    {
      engine: await engineOptions(config, line),
      ...(context.engineModule === undefined ? {} : { engineModule: context.engineModule }),
      startTimeoutMs: config.startTimeoutMs,
      pingTimeoutMs: config.pingTimeoutMs,
    },
    { signal },
  );
  line.clear();
  try {
    return await use(pool);
  } finally {
    await pool.close();
  }
}

async function engineOptions(config: Config, line: ProgressLine): Promise<EngineOptions> {
  const { dataDir, threads, g2pwFolder } = config;
  const fileKey = await fileKeyOf(config);
  return {
    dataDir,
    ...(threads === null ? {} : { threads }),
    ...(fileKey === undefined ? {} : { fileKey }),
    ...(g2pwFolder === null ? {} : { g2pwFolder }),
    onProgress: showImport(line),
  };
}
