import type { Command } from 'commander';
import { type Config, loadConfig, type SettingName } from '../config.js';
import { EnginePool } from '../engine/pool.js';
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

/** Runs `use` with an engine in a process of its own, which ends afterwards whatever happens. */
export async function withEngine<T>(
  context: CliContext,
  config: Config,
  use: (engine: EnginePool) => Promise<T>,
): Promise<T> {
  const line = createProgressLine(context.stderr);
  const { signal } = context;
  const pool = await EnginePool.start(
    {
      engine: {
        dataDir: config.dataDir,
        ...(config.threads === null ? {} : { threads: config.threads }),
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
