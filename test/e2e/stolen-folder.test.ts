import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.js';
import { readModelSpec } from '../../src/models/model-spec.js';
import { runCommand } from '../fixtures/command-line.js';
import { sovitsAdapterFile } from '../fixtures/sovits-adapter.js';
import { type ServerProcess, startServerProcess } from './server-process.js';

/**
 * What a thief of the data folder reads without the master key: nothing that was said, recorded or written. Models and the
 * names of things are plain; see docs/security.md.
 */

const RECORDING = fileURLToPath(new URL('../../demo-voice/ref_en.wav', import.meta.url));
const TRANSCRIPT = 'Their forces were already moving into the north country.';
/** Each in one place: a pool voice's transcript, a pool lexicon, a tenant's lexicon, voice and adapter, a text that is spoken. */
const SECRETS = ['were already moving', 'Quibbleworth', 'Zanzibarovna', 'Mellifluously', 'Pemberley', 'Fotheringay'];

let folder: string;
let dataDir: string;
let keyFile: string;
let server: ServerProcess | null = null;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-stolen-'));
  dataDir = join(folder, 'data');
  keyFile = join(folder, 'data-master-key.json'); // as startServerProcess calls it
});

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function timbre(argv: readonly string[], masterKeyFile = keyFile): Promise<{ exit: number; said: string }> {
  const env = { TIMBRE_DATA: dataDir, TIMBRE_MASTER_KEY_FILE: masterKeyFile, TIMBRE_THREADS: '1' };
  const { exit, out, err } = await runCommand(argv, env);
  return { exit, said: out + err };
}

/** Which secrets stand in the files below a folder, in UTF-8 or UTF-16. */
function found(root: string): string[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(root, name)).isFile(),
  );
  return SECRETS.filter((secret) =>
    names.some((name) => {
      const stored = readFileSync(join(root, name));
      const bytes = name.endsWith('.gz') ? gunzipSync(stored) : stored;
      return bytes.includes(secret) || bytes.includes(Buffer.from(secret, 'utf16le'));
    }),
  );
}

/** An adapter of the demo model, with a name in it that nobody else has. */
async function adapterFile(): Promise<Uint8Array> {
  const checkpoint = openCheckpoint(fileURLToPath(new URL('../../demo-voice/s2.pth', import.meta.url)));
  const { tensors } = sovitsAdapterFile(readModelSpec(checkpoint), { seed: 1, rank: 2, only: /enc_p.proj|flow/ });
  checkpoint.close();
  const path = join(folder, 'adapter.safetensors');
  const entries = [...tensors.values()].map(({ name, shape, readFloat32 }) => ({
    name: name.replace('base_model', 'Pemberley'),
    dtype: 'F32' as const,
    shape,
    load: readFloat32,
  }));
  await writeSafetensors(path, entries);
  return readFileSync(path);
}

async function put(
  path: string,
  body: string | FormData | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<void> {
  const answer = await fetch(`${server?.url}${path}`, {
    method: path.endsWith('voices') ? 'POST' : 'PUT',
    body,
    headers,
  });
  expect([path, answer.status, answer.ok ? '' : await answer.text()]).toEqual([path, answer.status, '']);
}

describe('a stolen data folder', () => {
  it('reveals nothing once a server has run on it, and works for whoever has the key', {
    timeout: 240_000,
  }, async () => {
    const lexicon = join(folder, 'lexicon.csv');
    writeFileSync(lexicon, 'Quibbleworth,en,arpabet,K W IH1 B AH0 L\n');
    // Before there is a key, files are as they are: this is how the search finds them.
    expect(await timbre(['lexicon', 'import', 'default', lexicon])).toMatchObject({ exit: 0 });
    const voice = ['voice', 'add', 'ann', RECORDING, '--text', TRANSCRIPT, '--lang', 'en'];
    expect(await timbre(voice)).toMatchObject({ exit: 0 });
    expect(found(dataDir)).toEqual(['were already moving', 'Quibbleworth']);

    server = await startServerProcess(dataDir);
    await put('/v1/lexicons/default', 'Zanzibarovna,en,arpabet,Z AE1 N\n', { 'content-type': 'text/csv' });
    const form = new FormData();
    form.set('name', 'Ben');
    form.set('id', 'ben');
    form.set('transcript', `${TRANSCRIPT} Mellifluously.`);
    form.set('language', 'en');
    form.set('recordings', new Blob([Uint8Array.from(readFileSync(RECORDING))]), 'ben.wav');
    await put('/v1/voices', form);
    const speak = async (): Promise<Buffer> => {
      const asked = { text: 'Good morning.', speaker_id: 'ben', language: 'en', seed: 1, stream: true, format: 'pcm' };
      const answer = await fetch(`${server?.url}/synthesize`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(asked),
      });
      expect(answer.status).toBe(200);
      return Buffer.from(await answer.arrayBuffer());
    };
    const plain = await speak();
    await put('/v1/adapters/ben', Uint8Array.from(await adapterFile()), { 'content-type': 'application/octet-stream' });
    const adapted = await speak();
    expect(adapted.equals(plain)).toBe(false);
    expect((await speak()).equals(adapted)).toBe(true);
    const spoken = await fetch(`${server.url}/synthesize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: 'Fotheringay and Quibbleworth.', speaker_id: 'ann', language: 'en' }),
    });
    expect(spoken.status).toBe(200);
    await server.stop();
    server = null;
    expect(found(dataDir)).toEqual([]);

    const backup = join(folder, 'backup');
    expect(await timbre(['backup', backup])).toMatchObject({ exit: 0 });
    expect(found(backup)).toEqual([]);

    const wav = join(folder, 'ann.wav');
    expect(await timbre(['say', 'Hello.', '-v', 'ann', '-l', 'en', '-o', wav])).toMatchObject({ exit: 0 });
    expect(statSync(wav).size).toBeGreaterThan(10_000);
    expect(await timbre(['lexicon', 'export', 'default'])).toMatchObject({
      exit: 0,
      said: expect.stringContaining('Quibbleworth'),
    });
    const thief = await timbre(['say', 'Hello.', '-v', 'ann', '-l', 'en', '-o', wav], join(folder, 'none.json'));
    expect(thief).toMatchObject({ exit: 1, said: expect.stringContaining('MASTER_KEY_MISSING') });

    // The master key is rotated and the old one goes: files are not touched, their key is wrapped anew.
    expect(await timbre(['keys', 'rotate', '--master'])).toMatchObject({ exit: 0 });
    expect(await timbre(['keys', 'retire'])).toMatchObject({ exit: 0 });
    expect(await timbre(['lexicon', 'export', 'default'])).toMatchObject({ exit: 0 });
    dataDir = join(folder, 'elsewhere');
    expect(await timbre(['restore', backup])).toMatchObject({
      exit: 1,
      said: expect.stringContaining('MASTER_KEY_MISSING'),
    });
  });
});
