import { join } from 'node:path';
import { anchorChains } from '../audit/anchors.js';
import { pruneChain } from '../audit/retention.js';
import { sweepOrphans } from '../catalog/orphans.js';
import { pruneStops } from '../catalog/voice-stops.js';
import type { Config } from '../config.js';
import type { Logger } from '../log.js';
import { listTenants } from '../tenancy/tenants.js';
import { rewrapPoolKey } from '../vault/pool-key.js';
import { rotateDueKeys } from '../vault/rotation.js';
import type { Platform } from './platform.js';

const EVERY_MS = 3_600_000;
const FIRST_AFTER_MS = 60_000;

/**
 * What a server does every hour: anchors audit chains (once a day), prunes what is past its time, removes what enrolments
 * that were cut off left behind, rotates old keys.
 */
export async function keepHouse(
  platform: Pick<Platform, 'database' | 'masterKeys' | 'vault'>,
  config: Pick<Config, 'dataDir' | 'auditRetentionDays'>,
  log: Logger,
): Promise<void> {
  const { database, masterKeys, vault } = platform;
  const anchors = await anchorChains(database, {
    signingKey: masterKeys.signingKey,
    folder: join(config.dataDir, 'audit-anchors'),
  });
  let pruned = 0;
  for (const tenant of await listTenants(database)) {
    pruned += await pruneChain(database, tenant.id, { retentionDays: config.auditRetentionDays });
  }
  await pruneStops(database);
  let orphans = 0;
  for (const tenant of await listTenants(database)) orphans += await sweepOrphans(database, vault, tenant.id);
  // Other servers' master keys are rotated elsewhere.
  await rewrapPoolKey(config.dataDir, masterKeys);
  const rotated = await rotateDueKeys(database, masterKeys, {
    keys: vault.keys,
    onFailure: (tenant, error) => log.error({ err: error, tenant }, 'the keys of a tenant could not be rotated'),
  });
  log.debug({ anchors, pruned, rotated: rotated.length, orphans }, 'house kept');
}

/** Runs {@link keepHouse} until it is stopped; what fails is logged and tried again an hour later. */
export function startHousekeeping(
  platform: Platform,
  config: Pick<Config, 'dataDir' | 'auditRetentionDays'>,
  log: Logger,
): { stop(): Promise<void> } {
  let running: Promise<void> | null = null;
  const run = () => {
    running ??= keepHouse(platform, config, log)
      .catch((error: unknown) => log.error({ err: error }, 'housekeeping failed; it is tried again in an hour'))
      .finally(() => {
        running = null;
      });
  };
  const first = setTimeout(run, FIRST_AFTER_MS);
  const timer = setInterval(run, EVERY_MS);
  first.unref();
  timer.unref();
  return {
    async stop() {
      clearTimeout(first);
      clearInterval(timer);
      await running;
    },
  };
}
