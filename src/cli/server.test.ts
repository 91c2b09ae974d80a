import { expect, it } from 'vitest';
import { silentLog } from '../../test/fixtures/databases.js';
import { loadConfig } from '../config.js';
import { startServer } from './server.js';

/** Refused before anything is opened or written. */
function start(env: NodeJS.ProcessEnv) {
  const config = loadConfig({}, { TIMBRE_DATA: '/nonexistent/timbre', ...env });
  return startServer({ config, log: silentLog, version: '0' });
}

it.each(['0.0.0.0', '::', '192.0.2.7', 'voice.example.com'])(
  'refuses to carry keys and texts in the clear beyond this machine: plain HTTP on %s',
  async (host) => {
    await expect(start({ TIMBRE_HOST: host })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('TIMBRE_ALLOW_PLAIN_HTTP=true'),
    });
  },
);

it.each(['TIMBRE_TLS_CERT', 'TIMBRE_TLS_KEY'])('refuses half of a pair: %s alone', async (name) => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    await expect(start({ [name]: '/etc/timbre/tls.pem', TIMBRE_HOST: host })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('go together'),
    });
  }
});

it('refuses certificates that are not there, before it starts an engine', async () => {
  const files = { TIMBRE_TLS_CERT: '/nonexistent/cert.pem', TIMBRE_TLS_KEY: '/nonexistent/key.pem' };
  await expect(start({ ...files, TIMBRE_HOST: '0.0.0.0' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
