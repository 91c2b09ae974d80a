import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandContext, runCommand } from '../../test/fixtures/command-line.js';
import { copyEmbeddedTemplate, silentLog } from '../../test/fixtures/databases.js';
import { createEngine } from '../../test/fixtures/scripted-engine.js';
import { decodeAudio } from '../audio/decode.js';
import { loadConfig } from '../config.js';
import type { Engine } from '../engine/engine-types.js';
import { createTenant } from '../tenancy/tenants.js';
import { listenForCommands } from './admin-socket.js';
import { openPlatform, type Platform } from './platform.js';
import { runCli } from './program.js';

let folder: string;
let env: NodeJS.ProcessEnv;
let platform: Platform;
let engine: Engine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-voice-cli-'));
  env = { TIMBRE_DATA: join(folder, 'data'), TIMBRE_MASTER_KEY_FILE: join(folder, 'key.json') };
  await copyEmbeddedTemplate(join(folder, 'data'));
  platform = await openPlatform({ config: loadConfig({}, env), log: silentLog });
  engine = await createEngine({ dataDir: join(folder, 'engine') });
  for (const id of ['acme', 'austria']) await createTenant(platform.database, { id });
  writeFileSync(join(folder, 'sample.wav'), 'speech');
  writeFileSync(join(folder, 'noisy.wav'), 'noisy');
  writeFileSync(join(folder, 'statement.wav'), 'RIFF I agree. similarity=0.9');
});

afterAll(async () => {
  await engine.close();
  await platform.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A command that a running server carries out: with its platform and its engine, in the folder of whoever gave it. */
function timbre(...argv: string[]) {
  return runCommand(argv, env, { platform, engine, cwd: folder });
}

async function ok(...argv: string[]): Promise<string> {
  const { exit, out, err } = await timbre(...argv);
  expect({ argv, exit, err: exit === 0 ? '' : err }).toEqual({ argv, exit: 0, err: '' });
  return out;
}

async function failure(...argv: string[]): Promise<string> {
  const { exit, err } = await timbre(...argv);
  expect([argv, exit]).toEqual([argv, 1]);
  return err;
}

const ACME = ['--tenant', 'acme'];

it('makes a voice of a tenant under a consent, adds a style, goes back, and lets it be heard', async () => {
  expect(await failure('voice', 'add', 'anna', 'sample.wav', ...ACME)).toContain('[CONSENT_REQUIRED]');
  const statement = [
    '--name',
    'Anna 2026',
    '--lang',
    'en',
    '--recording',
    'statement.wav',
    '--speaker',
    'Anna Example',
  ];
  const consent = (await ok('consent', 'add', ...ACME, ...statement, '--sharing', '--until', '2100-01-01')).trim();
  expect(await ok('consent', 'list', ...ACME)).toMatch(new RegExp(`${consent} +active +recording +en +2100-01-01`));
  expect(JSON.parse(await ok('consent', 'show', consent, ...ACME))).toMatchObject({ speaker: 'Anna Example' });
  await ok('consent', 'evidence', consent, ...ACME, '-o', 'evidence.wav');
  expect(readFileSync(join(folder, 'evidence.wav'), 'utf8')).toContain('I agree');

  const under = [...ACME, '--consent', consent, '--lang', 'en'];
  const added = await ok('voice', 'add', 'anna', 'sample.wav', ...under, '--text', 'Hello.', '--display-name', 'Anna');
  expect(added).toContain('anna of acme: version 1, model scripted');
  expect(await ok('voice', 'add', 'anna', 'sample.wav', ...under, '--style', 'calm')).toContain('version 2');
  expect(await ok('voice', 'list', ...ACME)).toMatch(/anna +ready +2 +en +scripted +default,calm +Anna/);
  expect(await ok('voice', 'use-version', 'anna', '1', ...ACME)).toContain('speaks as version 1');
  await ok('voice', 'use-version', 'anna', '2', ...ACME);
  expect(JSON.parse(await ok('voice', 'show', 'anna', ...ACME))).toMatchObject({
    consentId: consent,
    versions: [{ version: 2 }, { version: 1 }],
  });
  await ok('voice', 'preview', 'anna', ...ACME, '--style', 'calm', '--text', 'ms=300', '-o', 'heard.wav');
  const { channels, sampleRateHz } = await decodeAudio(readFileSync(join(folder, 'heard.wav')));
  expect((channels[0]?.length ?? 0) / sampleRateHz).toBeCloseTo(0.3, 2);

  expect(await ok('voice', 'disable', 'anna', ...ACME)).toBe('anna: disabled\n');
  expect(await failure('voice', 'preview', 'anna', ...ACME)).toContain('[VOICE_DISABLED]');
  expect(await ok('voice', 'enable', 'anna', ...ACME)).toBe('anna: ready\n');
});

it('shares it, chooses voices of the pool, and ends all with the consent', async () => {
  await ok('voice', 'share', 'anna', ...ACME, '--with', 'austria');
  await ok('admin', 'tenant', 'policy', 'austria', '--pool', 'chosen');
  await ok('voice', 'share', 'demo', '--with', 'austria');
  expect(await ok('voice', 'shares')).toMatch(/anna +acme +austria\ndemo +\(pool\) +austria/);
  expect(await ok('voice', 'list', '--tenant', 'austria')).toContain('anna (shared)');
  for (const name of ['anna', 'demo']) expect((await platform.voices.access.use('austria', name)).name).toBe(name);
  await expect(platform.voices.access.use('austria', 'demo-en')).rejects.toMatchObject({ code: 'VOICE_NOT_FOUND' });
  await ok('voice', 'unshare', 'demo', '--with', 'austria');
  await expect(platform.voices.access.use('austria', 'demo')).rejects.toMatchObject({ code: 'VOICE_NOT_FOUND' });

  const [{ id: consent } = { id: '' }] = JSON.parse(await ok('consent', 'list', ...ACME, '--json')) as { id: string }[];
  expect(await ok('consent', 'revoke', consent, ...ACME, '--reason', 'asked')).toContain('speak no more');
  for (const tenant of ['acme', 'austria']) {
    await expect(platform.voices.access.use(tenant, 'anna')).rejects.toMatchObject({ code: 'CONSENT_REVOKED' });
  }
  await ok('voice', 'remove', 'anna', ...ACME);
  expect(await ok('consent', 'remove', consent, ...ACME)).toContain('destroyed');
  expect(await ok('voice', 'list', ...ACME)).not.toContain('anna');
  const types = (await ok('audit', 'export', ...ACME))
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(JSON.parse(line).record.body).type);
  expect(types).toEqual(
    expect.arrayContaining([
      'consent.create.ended',
      'voice.version.ended',
      'consent.revoke.ended',
      'voice.delete.ended',
    ]),
  );
});

it('says what is wrong with what it is given', async () => {
  expect(await ok('voice', 'check', 'sample.wav')).toMatch(/1 +noise +ok/);
  const noisy = await timbre('voice', 'check', 'sample.wav', 'noisy.wav');
  expect([noisy.exit, noisy.out]).toEqual([1, expect.stringMatching(/2 +noise +refused +.*quiet room/)]);
  const wrong: [string[], string][] = [
    [['consent', 'add', '--name', 'x', '--lang', 'en'], 'either a --recording or a --document'],
    [['consent', 'add', '--name', 'x', '--lang', '?', '--recording', 'statement.wav'], 'BCP 47'],
    [['consent', 'show', 'cons_x'], 'CONSENT_NOT_FOUND'],
    [['voice', 'show', 'nobody'], 'VOICE_NOT_FOUND'],
    [['voice', 'use-version', 'nobody', 'one'], 'expected a number'],
    [['voice', 'add', 'x', 'nothing.wav', ...ACME], 'AUDIO_NOT_FOUND'],
    [['admin', 'tenant', 'policy', 'acme'], 'say --own-recordings'],
    [['admin', 'tenant', 'policy', 'acme', '--pool', 'some'], 'say --own-recordings'],
  ];
  for (const [argv, message] of wrong) expect(await failure(...argv)).toContain(message);
});

it('is carried out by the server that has the embedded database, with paths as the caller means them', async () => {
  const engineOnServer = { ...commandContext(env, [], []), engine };
  const commands = await listenForCommands(join(folder, 'data'), platform, runCli, engineOnServer);
  const before = process.cwd();
  try {
    process.chdir(folder);
    const [out, err]: [string[], string[]] = [[], []];
    const argv = ['voice', 'add', 'remote', 'sample.wav'];
    const exit = await runCli([...argv, '--lang', 'en', '--tenant', 'default'], commandContext(env, out, err));
    expect([exit, err.join('')]).toEqual([0, '']);
    expect(out.join('')).toContain('remote of default: version 1');
  } finally {
    process.chdir(before);
    await commands.close();
  }
});
