import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultDataDir, defaultMasterKeyFile, loadConfig, SETTINGS } from './config.js';

function problem(env: NodeJS.ProcessEnv): unknown {
  try {
    return loadConfig({}, env);
  } catch (error) {
    return error;
  }
}

describe('the configuration', () => {
  it('has a default for everything', () => {
    expect(loadConfig({}, { HOME: '/home/x' })).toMatchObject({
      host: '127.0.0.1',
      port: 9880,
      publicUrl: null,
      threads: null,
      trustProxy: false,
      logLevel: 'info',
    });
  });

  it('takes the environment, and flags before it', () => {
    const env = { TIMBRE_PORT: '1000', TIMBRE_THREADS: '3', TIMBRE_TRUST_PROXY: 'Yes', TIMBRE_DATA: 'data' };
    expect(loadConfig({ port: '2000' }, env)).toMatchObject({
      port: 2000,
      threads: 3,
      trustProxy: true,
      dataDir: resolve('data'),
    });
  });

  it('treats an empty variable as none, and an absent flag as none', () => {
    expect(loadConfig({ port: undefined }, { TIMBRE_PORT: '', TIMBRE_TRUST_PROXY: '0' })).toMatchObject({
      port: 9880,
      trustProxy: false,
    });
  });

  const wrong: [variable: string, value: string, expected: string][] = [
    ['TIMBRE_PORT', 'http', 'a whole number from 0 to 65535'],
    ['TIMBRE_PORT', '65536', 'a whole number from 0 to 65535'],
    ['TIMBRE_PORT', '-1', 'a whole number from 0 to 65535'],
    ['TIMBRE_THREADS', '1.5', 'a whole number from 1 to 256'],
    ['TIMBRE_AUDIO_MAX_BYTES', '5', 'a whole number of at least 1000000'],
    ['TIMBRE_TRUST_PROXY', 'maybe', 'true or false'],
    ['TIMBRE_LOG_LEVEL', 'loud', 'one of fatal, error, warn, info, debug, trace, silent'],
    ['TIMBRE_PUBLIC_URL', 'voice.example.com', 'a URL such as https://voice.example.com'],
    ['TIMBRE_DATABASE_URL', 'mysql://x', 'a URL such as postgres://timbre:password@db.example.com/timbre'],
    ['TIMBRE_AUTH', 'never', 'one of auto, required, open'],
    ['TIMBRE_AUDIT_RETENTION_DAYS', '179', 'a whole number from 180 to 36500'],
    ['TIMBRE_DEFAULT_VOICE', 'x'.repeat(65), 'a text'],
  ];
  for (const [variable, value, expected] of wrong) {
    it(`refuses ${variable}=${value.slice(0, 20)} and says what it may be`, () => {
      const message = expect.stringContaining(`${variable} is "${value}"; expected ${expected}`);
      expect(problem({ [variable]: value })).toMatchObject({ code: 'CONFIG_INVALID', message });
    });
  }

  it('names the flag where that was wrong', () => {
    expect(() => loadConfig({ logLevel: 'loud' }, {})).toThrow('--log-level is "loud"');
  });

  it('puts data where the platform says', () => {
    expect(defaultDataDir({ XDG_DATA_HOME: '/x' }, 'linux')).toBe('/x/timbre');
    expect(defaultDataDir({}, 'linux')).toMatch(/\.local\/share\/timbre$/);
    expect(defaultDataDir({}, 'darwin')).toMatch(/Library\/Application Support\/timbre$/);
    expect(defaultDataDir({ LOCALAPPDATA: 'C:/L' }, 'win32')).toMatch(/^C:\/L.timbre$/);
  });
});

describe('the master key', () => {
  it('is kept apart from the data, where the platform says', () => {
    expect(defaultMasterKeyFile({ XDG_CONFIG_HOME: '/x' }, 'linux')).toBe('/x/timbre/master-key.json');
    expect(defaultMasterKeyFile({}, 'linux')).toMatch(/\.config\/timbre\/master-key\.json$/);
    expect(defaultMasterKeyFile({ APPDATA: 'C:/R' }, 'win32')).toMatch(/^C:\/R.timbre.master-key\.json$/);
  });
});

describe('docs/OPERATIONS.md', () => {
  it('has the table of settings as the source has it', () => {
    const page = readFileSync(new URL('../docs/OPERATIONS.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `(TIMBRE_[A-Z0-9_]+)` \| (.+?) \| (.+?) \|$/gm)].map((match) =>
      match.slice(1, 4),
    );
    const expected = Object.values(SETTINGS).map(({ env, fallback, description }) => [
      env,
      env === 'TIMBRE_DATA' || env === 'TIMBRE_MASTER_KEY_FILE'
        ? 'see below'
        : fallback === null
          ? 'none'
          : `\`${fallback}\``,
      description,
    ]);
    expect(rows).toEqual(expected);
  });
});
