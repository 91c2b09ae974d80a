/** A whole server over the engine that needs no time; tells its parent where it listens, a key, and its processor time. */
import { join } from 'node:path';
import { startServer } from '../../src/cli/server.js';
import { loadConfig } from '../../src/config.js';
import { createLogger } from '../../src/log.js';
import { createApiKey } from '../../src/tenancy/api-keys.js';
import { DEFAULT_TENANT } from '../../src/tenancy/caller.js';

const dataDir = process.argv[2] ?? '';
let key = '';
const config = loadConfig({ dataDir, masterKeyFile: join(dataDir, 'master-key.json'), port: '0' });
const { url, shutdown } = await startServer({
  config,
  // As a server writes it: a line a request.
  log: createLogger({ level: 'info', format: 'json', write: (line) => void process.stderr.write(line) }),
  version: 'bench',
  engineModule: new URL('./instant-engine.ts', import.meta.url).href,
  async commands({ database }) {
    const wanted = { name: 'bench', scopes: ['speech'] as const, createdBy: 'bench' };
    key = (await createApiKey(database, DEFAULT_TENANT, wanted)).secret;
    return { close: async () => {} };
  },
});
process.send?.({ type: 'listening', url, key });
process.on('message', () => process.send?.({ type: 'usage', usage: process.cpuUsage() }));
process.on('disconnect', () => void shutdown.run('the bench has ended').then(() => process.exit(0)));
