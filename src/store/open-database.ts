import { join } from 'node:path';
import type { Logger } from '../log.js';
import type { Database } from './database.js';
import { openEmbedded } from './embedded.js';
import { migrate } from './migrations.js';
import { openPostgres } from './postgres.js';

export interface DatabaseOptions {
  /** Null: the embedded one, in the data folder. */
  readonly url: string | null;
  readonly dataDir: string;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/** Opens the database that the configuration names and brings its tables up to date. */
export async function openDatabase({ url, dataDir, log, signal }: DatabaseOptions): Promise<Database> {
  const cancel = signal === undefined ? {} : { signal };
  const database =
    url === null ? await openEmbedded({ folder: join(dataDir, 'store'), ...cancel }) : await openPostgres({ url, log });
  try {
    const applied = await migrate(database, undefined, cancel);
    if (applied.length > 0) log.info({ applied, kind: database.kind }, 'the database was migrated');
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
