import type { Command } from 'commander';
import { type Config, loadConfig, type SettingName } from '../config.js';
import { EnginePool } from '../engine/pool.js';
import { SealedFiles } from '../engine/sealed-files.js';
import { openMasterKeyFile } from '../vault/master-keys.js';
import { hasPoolKey, openPoolKey } from '../vault/pool-key.js';
import type { CliContext } from './context.js';
import { createProgressLine, showImport } from './progress.js';

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

/** Runs `use` with an engine in a process of its own, which ends afterwards whatever happens. */
export async function withEngine<T>(
  context: CliContext,
  config: Config,
  use: (engine: EnginePool) => Promise<T>,
): Promise<T> {
  const line = createProgressLine(context.stderr);
  const { signal } = context;
  const fileKey = await fileKeyOf(config);
  const pool = await EnginePool.start(
    {
      engine: {
        dataDir: config.dataDir,
        ...(config.threads === null ? {} : { threads: config.threads }),
        ...(fileKey === undefined ? {} : { fileKey }),
        ...(config.g2pwFolder === null ? {} : { g2pwFolder: config.g2pwFolder }),
        onProgress: showImport(line),
      },
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
