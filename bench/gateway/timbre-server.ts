/**
 * Runs compiled. A whole server over the engine that needs no time; tells its parent where it listens, a key, and its
 * processor time.
 */
import { join } from 'node:path';
import { startServer } from '../../src/cli/server.js';
import { loadConfig } from '../../src/config.js';
import { createLogger } from '../../src/log.js';
import { createApiKey } from '../../src/tenancy/api-keys.js';
import { DEFAULT_TENANT } from '../../src/tenancy/caller.js';

/** More are not asked for at once. */
const MAX_TIMES = 1000;

const dataDir = process.argv[2] ?? '';
let key = '';
/** Of each request for speech, by the server's own clock: from its headers to the last byte of its answer. */
let ownMs: number[] = [];
const config = loadConfig({ dataDir, masterKeyFile: join(dataDir, 'master-key.json'), port: '0' });
const { url, shutdown } = await startServer({
  config,
  // As a server writes it: a line a request.
  log: createLogger({
    level: 'info',
    format: 'json',
    write(line) {
      process.stderr.write(line);
      if (ownMs.length >= MAX_TIMES) return;
      const { route, ms } = JSON.parse(line) as { route?: string; ms?: number };
      if (route === '/v1/audio/speech' && ms !== undefined) ownMs.push(ms);
    },
  }),
  version: 'bench',
  engineModule: new URL('./instant-engine.js', import.meta.url).href,
  async commands({ database }) {
    const wanted = { name: 'bench', scopes: ['speech'] as const, createdBy: 'bench' };
    key = (await createApiKey(database, DEFAULT_TENANT, wanted)).secret;
    return { close: async () => {} };
  },
});
process.send?.({ type: 'listening', url, key });
process.on('message', (asked) => {
  if (asked === 'usage') process.send?.({ type: 'usage', usage: process.cpuUsage() });
  else {
    process.send?.({ type: 'times', times: ownMs });
    ownMs = [];
  }
});
process.on('disconnect', () => void shutdown.run('the bench has ended').then(() => process.exit(0)));
