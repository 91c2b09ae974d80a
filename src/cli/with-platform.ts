import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { type Config, loadConfig } from '../config.js';
import { AppError } from '../errors.js';
import { createLogger } from '../log.js';
import { getTenant } from '../tenancy/tenants.js';
import { runOnServer } from './admin-socket.js';
import { type CliContext, RanOnServer } from './context.js';
import { openPlatform, type Platform } from './platform.js';

export interface PlatformFlags {
  readonly data?: string;
  /** Whom the command is about, where that is one tenant. */
  readonly tenant?: string;
}

export function addDataFlag(command: Command): Command {
  return command.option('--data <folder>', 'data folder, where the embedded database is (TIMBRE_DATA)');
}

/**
 * Runs `use` on the platform's state: in this process, or, where a running server has the embedded database, there.
 * `use` writes only to the context's streams, so that either looks the same.
 *
 * @throws AppError `TENANT_NOT_FOUND` where the flags name a tenant that there is not: it would look like one without anything.
 */
export async function withPlatform<T>(
  context: CliContext,
  flags: PlatformFlags,
  use: (platform: Platform, config: Config) => Promise<T>,
): Promise<T> {
  const config = loadConfig({ dataDir: flags.data }, context.env);
  const useOf = async (platform: Platform): Promise<T> => {
    if (flags.tenant !== undefined) await getTenant(platform.database, flags.tenant);
    return await use(platform, config);
  };
  if (context.platform !== undefined) return useOf(context.platform);
  const log = createLogger({ level: 'warn', format: 'text', write: (line) => void context.stderr.write(line) });
  let platform: Platform;
  try {
    platform = await openPlatform({ config, log, signal: context.signal });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'STORE_LOCKED' || context.argv === undefined) throw error;
    const exit = await runOnServer(config.dataDir, context.argv, context, operatorName(context));
    if (exit === null) throw error;
    throw new RanOnServer(exit);
  }
  try {
    return await useOf(platform);
  } finally {
    await platform.close();
  }
}

/** Who is at the command line, for the record. */
export function operatorName(context: CliContext): string {
  if (context.userName !== undefined) return context.userName;
  try {
    return userInfo().username;
  } catch {
    // A container's user may have no name.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
