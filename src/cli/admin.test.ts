import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandContext, runCommand } from '../../test/fixtures/command-line.js';
import { copyEmbeddedTemplate, silentLog } from '../../test/fixtures/databases.js';
import { loadConfig } from '../config.js';
import { findKeyHolder } from '../tenancy/api-keys.js';
import { Vault } from '../vault/vault.js';
import { adminSocketPath, listenForCommands, runOnServer } from './admin-socket.js';
import { openPlatform, type Platform } from './platform.js';
import { runCli } from './program.js';

let folder: string;
let env: NodeJS.ProcessEnv;
/** Opened once; commands work on it as those that a server carries out do. */
let platform: Platform;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-admin-'));
  env = { TIMBRE_DATA: join(folder, 'data'), TIMBRE_MASTER_KEY_FILE: join(folder, 'key.json') };
  await copyEmbeddedTemplate(join(folder, 'data'));
  platform = await openPlatform({ config: loadConfig({}, env), log: silentLog });
});

afterAll(async () => {
  await platform.close();
  rmSync(folder, { recursive: true, force: true });
});

/** As a process of its own would: it has no platform yet. */
let alone = false;

async function timbre(...argv: string[]): Promise<{ exit: number; out: string; err: string }> {
  return runCommand(argv, env, alone ? {} : { platform });
}

async function ok(...argv: string[]): Promise<string> {
  const { exit, out, err } = await timbre(...argv);
  expect({ exit, argv, err: exit === 0 ? '' : err }).toEqual({ exit: 0, argv, err: '' });
  return out;
}

describe('timbre admin', () => {
  it('makes tenants, keys and members, limits them, and puts every act on record', async () => {
    await ok('admin', 'tenant', 'create', 'acme', '--name', 'Acme Bank');
    await ok('admin', 'tenant', 'limits', 'acme', '--requests-per-minute', '10', '--weight', '2');
    await ok('admin', 'tenant', 'policy', 'acme', '--own-recordings', 'yes');
    const secret = (await ok('admin', 'key', 'create', '--tenant', 'acme', '--name', 'app')).trim();
    const id = secret.split('_')[1] ?? '';
    const next = (await ok('admin', 'key', 'rotate', id, '--tenant', 'acme')).trim();
    await ok('admin', 'key', 'revoke', id, '--tenant', 'acme');
    const person = ['--tenant', 'acme', '--issuer', 'https://id.example', '--subject', 'alice'];
    await ok('admin', 'member', 'add', ...person, '--role', 'auditor');
    expect(await ok('admin', 'member', 'list', '--tenant', 'acme')).toContain('auditor  alice    https://id.example');
    await ok('admin', 'member', 'remove', ...person);
    const list = await ok('admin', 'tenant', 'list');
    expect(list).toMatch(/acme +active +requests-per-minute 10, weight 2 +Acme Bank/);
    const keys = await ok('admin', 'key', 'list', '--tenant', 'acme');
    expect(keys).toMatch(new RegExp(`${id} +revoked`));
    expect(keys).not.toContain(secret.slice(-43));
    expect(await ok('admin', 'usage', '--tenant', 'acme', '--csv')).toContain('hour,principal,voice');

    const records = (await ok('audit', 'export', '--tenant', 'acme')).trim().split('\n');
    const types = records
      .slice(1)
      .map((line) => JSON.parse(JSON.parse(line).record.body))
      .map((record) => `${record.type} ${record.details.outcome ?? ''}`.trim());
    expect(types).toEqual([
      'tenant.created',
      ...[
        'tenant.limits',
        'tenant.policy',
        'key.create',
        'key.rotate',
        'key.revoke',
        'member.add',
        'member.remove',
      ].flatMap((type) => [`${type}.started`, `${type}.ended ok`]),
      'audit.exported',
    ]);
    expect(JSON.parse(JSON.parse(records[1] ?? '').record.body).actor).toMatch(/^operator:/);
    const { database } = platform;
    expect(await findKeyHolder(database, next)).toMatchObject({ tenantId: 'acme' });
    expect(await findKeyHolder(database, secret)).toBe(null);
  });

  it('says what is wrong with what it is given', async () => {
    const wrong: [string[], string][] = [
      [['admin', 'tenant', 'create', 'Not Good'], 'a-z, 0-9'],
      [['admin', 'tenant', 'limits', 'default'], 'say which'],
      [['admin', 'tenant', 'limits', 'default', '--storage-bytes', 'lots'], '--storage-bytes is "lots"'],
      [['admin', 'tenant', 'delete', 'acme'], 'add --yes'],
      [['admin', 'key', 'create', '--name', 'x', '--scopes', 'speech,fly'], 'no scope "fly"'],
      [['admin', 'key', 'create', '--name', 'x', '--tenant', 'nobody'], 'TENANT_NOT_FOUND'],
      [['admin', 'key', 'revoke', 'nokey'], 'KEY_NOT_FOUND'],
      [['admin', 'member', 'add', '--issuer', 'i', '--subject', 's', '--role', 'king'], 'owner, voice_designer'],
      [['admin', 'usage', '--from', 'yesterday'], 'expected a date'],
      [['audit', 'prune', '--days', '179'], 'AUDIT_RETAINED'],
    ];
    for (const [argv, message] of wrong) {
      const { exit, err } = await timbre(...argv);
      expect({ argv, exit, err }).toEqual({ argv, exit: 1, err: expect.stringContaining(message) });
    }
  });

  it('destroys a tenant, whose audit records stay and verify', async () => {
    await ok('admin', 'tenant', 'create', 'leaving');
    await ok('admin', 'tenant', 'delete', 'leaving', '--yes');
    expect(await ok('admin', 'tenant', 'list')).toMatch(/leaving +deleted/);
    expect(await ok('audit', 'verify', '--tenant', 'leaving')).toContain('leaving: 3 records (1 to 3) verify');
  });
});

describe('timbre keys', () => {
  it('tells how old keys are, rotates them, and the master key, without losing anything', async () => {
    const secret = await platform.vault.digestKey('default');
    expect(await ok('keys', 'status')).toMatch(/default +1 +0 d +m[0-9a-f]{8} +0/);
    expect(await ok('keys', 'rotate', '--tenant', 'default')).toContain(
      'default: version 2, 1 object keys wrapped again',
    );
    expect(await ok('keys', 'rotate', '--master')).toContain('default: version 3');
    expect(JSON.parse(readFileSync(join(folder, 'key.json'), 'utf8')).keys.length).toBe(2);
    await ok('keys', 'retire');
    expect(JSON.parse(readFileSync(join(folder, 'key.json'), 'utf8')).keys.length).toBe(1);
    const { database, masterKeys, objects } = platform;
    const restarted = new Vault({ database, masterKeys, objects });
    expect((await restarted.digestKey('default')).equals(secret)).toBe(true);
  });
});

describe('timbre audit', () => {
  it('verifies the database and an export, and finds a changed one', async () => {
    expect(await ok('audit', 'verify')).toMatch(/default: \d+ records .*verify/);
    const file = join(folder, 'export.jsonl');
    const lines = await ok('audit', 'export');
    writeFileSync(file, lines);
    expect(await ok('audit', 'verify', file)).toMatch(/default: \d+ records verify/);
    writeFileSync(file, lines.replace('operator:', 'operatrix:'));
    const broken = await timbre('audit', 'verify', file);
    expect([broken.exit, broken.err]).toEqual([1, expect.stringContaining('AUDIT_BROKEN')]);
  });
});

describe('a running server with the embedded database', () => {
  it('carries commands out for this user, and nothing else', async () => {
    alone = true;
    expect((await timbre('admin', 'tenant', 'list')).err).toContain('STORE_LOCKED');
    const commands = await listenForCommands(join(folder, 'data'), platform, runCli, commandContext(env, [], []));
    try {
      expect(statSync(adminSocketPath(join(folder, 'data'))).mode & 0o777).toBe(0o600);
      expect(await ok('admin', 'tenant', 'list')).toMatch(/default +active/);
      const secret = (await ok('admin', 'key', 'create', '--name', 'remote')).trim();
      expect(await findKeyHolder(platform.database, secret)).toMatchObject({ tenantId: 'default' });
      const refused = await timbre('admin', 'key', 'revoke', 'nokey');
      expect([refused.exit, refused.err]).toEqual([1, expect.stringContaining('KEY_NOT_FOUND')]);
      expect((await ok('audit', 'export')).split('\n')[0]).toContain('timbre audit export 1');
      expect(await runOnServer(join(folder, 'data'), ['serve'], commandContext(env, [], []), 'x')).toBe(1);
    } finally {
      alone = false;
      await commands.close();
    }
  });
});
