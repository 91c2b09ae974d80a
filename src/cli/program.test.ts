import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyEmbeddedTemplate } from '../../test/fixtures/databases.js';
import { decodeWav } from '../audio/wav.js';
import { writeSafetensors } from '../checkpoint/safetensors-writer.js';
import type { CliContext } from './context.js';
import { runCli } from './program.js';

const ENGINE_MODULE = new URL('../../test/fixtures/scripted-engine.ts', import.meta.url).href;

let folder: string;
let exit: { readonly listeners: Map<string, () => void>; readonly code: Promise<number> } | null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-cli-'));
  exit = null;
});

afterEach(async () => {
  exit?.listeners.get('SIGTERM')?.();
  await exit?.code;
  rmSync(folder, { recursive: true, force: true });
});

class Capture extends Writable {
  readonly isTTY: boolean;
  readonly #parts: Buffer[] = [];

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  override _write(part: Buffer, _encoding: string, done: () => void): void {
    this.#parts.push(part);
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  get text(): string {
    return this.bytes.toString();
  }
}

async function timbre(
  argv: readonly string[],
  options: { stdin?: string; env?: NodeJS.ProcessEnv; tty?: boolean; signal?: AbortSignal } = {},
) {
  if (argv[0] === 'serve') await copyEmbeddedTemplate(join(folder, 'data'));
  const stdout = new Capture(options.tty);
  const stderr = new Capture(options.tty);
  const listeners = new Map<string, () => void>();
  let exited = (_code: number) => {};
  const code = new Promise<number>((resolve) => {
    exited = resolve;
  });
  const input = Buffer.from(options.stdin ?? '');
  const context: CliContext = {
    version: '1.2.3',
    stdout,
    stderr,
    stdin: Object.assign(
      (async function* () {
        yield input;
      })(),
      { isTTY: options.stdin === undefined },
    ),
    env: { TIMBRE_DATA: join(folder, 'data'), TIMBRE_MASTER_KEY_FILE: join(folder, 'key.json'), ...options.env },
    signal: options.signal ?? new AbortController().signal,
    signals: {
      on: (signal, listener) => {
        exit = { listeners, code };
        listeners.set(signal, listener);
      },
      exit: (value) => exited(value),
    },
    engineModule: ENGINE_MODULE,
  };
  return { exitCode: await runCli(argv, context), stdout, stderr };
}

describe('timbre', () => {
  it('explains itself, says its version, and exits with 2 on wrong usage', async () => {
    const help = await timbre(['--help']);
    expect([help.exitCode, help.stdout.text]).toEqual([
      0,
      expect.stringMatching(/say .*serve .*model .*voice .*doctor/s),
    ]);
    expect((await timbre(['--version'])).stdout.text).toBe('1.2.3\n');
    expect((await timbre(['sing'])).exitCode).toBe(2);
    const unknown = await timbre(['say', 'x', '--volume', '3']);
    expect([unknown.exitCode, unknown.stderr.text]).toEqual([2, expect.stringContaining('unknown option')]);
  });

  it('reports a wrong setting by its code', async () => {
    const { exitCode, stderr } = await timbre(['say', 'x'], { env: { TIMBRE_THREADS: 'many' } });
    expect([exitCode, stderr.text]).toEqual([
      1,
      'timbre: TIMBRE_THREADS is "many"; expected a whole number from 1 to 256 [CONFIG_INVALID]\n',
    ]);
  });
});

describe('timbre say', () => {
  it('writes a WAV file and says how fast it was', async () => {
    const output = join(folder, 'hello.wav');
    const { exitCode, stdout } = await timbre([
      'say',
      'sentences=2',
      'ms=100',
      '-o',
      output,
      '--seed',
      '7',
      '--speed',
      '2',
    ]);
    expect(exitCode).toBe(0);
    expect(stdout.text).toMatch(/hello\.wav: 0\.10 s of speech in .* s \(real-time factor .*, voice demo, seed 7\)\n$/);
    expect(decodeWav(readFileSync(output)).channels[0]).toHaveLength(1600);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('writes AAC where the ending says so, labelled', async () => {
    const output = join(folder, 'hello.aac');
    expect((await timbre(['say', 'ms=500', '-o', output])).exitCode).toBe(0);
    const bytes = readFileSync(output);
    expect(bytes.toString('latin1', 0, 3)).toBe('ID3');
    expect([bytes.includes('AIGC'), bytes.includes(Buffer.from([0xff, 0xf1]))]).toEqual([true, true]);
  });

  it('prints what it made as JSON, and takes the text from standard input', async () => {
    const output = join(folder, 'x.wav');
    const { stdout } = await timbre(['say', '-', '--json', '-o', output, '-v', 'demo-en'], { stdin: 'ms=250' });
    expect(JSON.parse(stdout.text)).toMatchObject({
      output,
      voice: 'demo-en',
      duration_ms: 250,
      sample_rate_hz: 16_000,
    });
  });

  it('streams to a pipe', async () => {
    const { stdout, stderr } = await timbre(['say', 'sentences=2 ms=50', '-o', '-']);
    expect(stdout.bytes.readUInt32LE(4)).toBe(0xffffffff);
    expect(stdout.bytes.includes('AIGC')).toBe(true);
    expect(decodeWav(stdout.bytes).channels[0]).toHaveLength(1600);
    expect(stderr.text).toContain('real-time factor');
  });

  it('rewrites one line on a terminal', async () => {
    const { stderr } = await timbre(['say', 'sentences=2', '-o', join(folder, 'x.wav')], { tty: true });
    expect(stderr.text).toMatch(/\r.*sentence 1\/2.*\r.*sentence 2\/2.*real-time factor/s);
  });

  const wrong: [name: string, argv: string[], code: string][] = [
    ['no text', ['say'], 'TEXT_EMPTY'],
    ['a speed that is no number', ['say', 'x', '--speed', 'fast'], 'REQUEST_INVALID'],
    ['a speed out of bounds', ['say', 'x', '--speed', '3'], 'REQUEST_INVALID'],
    ['an empty seed', ['say', 'x', '--seed', ''], 'REQUEST_INVALID'],
    ['an unknown language', ['say', 'x', '--lang', 'fr'], 'LANGUAGE_UNSUPPORTED'],
    ['an unknown voice', ['say', 'x', '--voice', 'nobody'], 'VOICE_NOT_FOUND'],
    ['an unknown adapter', ['say', 'x', '--adapter', 'none'], 'ADAPTER_NOT_FOUND'],
    ['a file that cannot be written', ['say', 'x', '-o', '/proc/nothing/x.wav'], 'CONFIG_INVALID'],
    ['an ending that is no audio of ours', ['say', 'x', '-o', 'x.m4a'], 'REQUEST_INVALID'],
    ['a failing engine', ['say', 'fail-at=0'], 'SYNTHESIS_FAILED'],
  ];
  for (const [name, argv, code] of wrong) {
    it(`fails with ${code} for ${name}`, async () => {
      const output = join(folder, 'x.wav');
      const { exitCode, stderr } = await timbre(argv.includes('-o') ? argv : [...argv, '-o', output]);
      expect([exitCode, stderr.text]).toEqual([1, expect.stringContaining(`[${code}]\n`)]);
      expect(readdirSync(folder).filter((file) => file !== 'data')).toEqual([]);
    });
  }

  it('refuses to write audio to a terminal', async () => {
    expect((await timbre(['say', 'x', '-o', '-'], { tty: true })).stderr.text).toContain(
      'standard output is a terminal',
    );
  });

  it('exits with 130 when interrupted, and leaves no file', async () => {
    const abort = new AbortController();
    const running = timbre(['say', 'sentences=10000 every=10', '-o', join(folder, 'x.wav')], { signal: abort.signal });
    setTimeout(() => abort.abort(new Error('interrupted')), 1500);
    expect((await running).exitCode).toBe(130);
    expect(readdirSync(folder).filter((name) => name !== 'data')).toEqual([]);
  });
});

describe('timbre model', () => {
  it('imports, lists and inspects', async () => {
    const imported = await timbre(['model', 'import', 's1.ckpt', 's2.pth', '--name', 'mine', '--model-version', 'v2']);
    expect(imported.stdout.text).toMatch(/^imported mine: v2, 16000 Hz, fp32, 1 B, in /);
    expect(imported.stderr.text).toContain('importing: reading\n');
    const listed = await timbre(['model', 'list']);
    expect(listed.stdout.text).toMatch(/^NAME +VERSION .*\nscripted +v2 +16000 Hz/);
    expect(JSON.parse((await timbre(['model', 'list', '--json'])).stdout.text)).toMatchObject([{ name: 'scripted' }]);
    const inspected = await timbre(['model', 'inspect', 'scripted']);
    expect(inspected.stdout.text).toMatch(/hidden +1\n\nNETWORK +PARAMETERS +FROM\nt2s +1 +script\n$/);
    expect((await timbre(['model', 'inspect', 'other'])).stderr.text).toContain('[MODEL_NOT_FOUND]');
    expect((await timbre(['model', 'import', 'x', '-n', 'y', '--model-version', 'v9'])).stderr.text).toContain('v9');
    expect((await timbre(['model', 'import', 'x'])).exitCode).toBe(2);
  });

  it('takes a checkpoint file apart without importing it', async () => {
    const path = join(folder, 'bert.safetensors');
    await writeSafetensors(path, [
      {
        name: 'bert.embeddings.word_embeddings.weight',
        dtype: 'F32',
        shape: [3, 2],
        load: () => new Float32Array(6),
      },
    ]);
    const { stdout } = await timbre(['model', 'inspect', path]);
    expect(stdout.text).toMatch(/a BERT\/RoBERTa encoder, safetensors, 1 tensors, 6 parameters/);
    expect(stdout.text).toMatch(/word_embeddings\.weight +F32 +3 × 2\n/);
    const json = JSON.parse((await timbre(['model', 'inspect', path, '--json'])).stdout.text);
    expect(json).toMatchObject({ kind: 'roberta', parameter_count: 6 });
    writeFileSync(path, 'nonsense');
    expect((await timbre(['model', 'inspect', path])).stderr.text).toMatch(/\[CHECKPOINT_[A-Z]+\]/);
  });
});

describe('timbre voice', () => {
  it('adds, lists and removes', async () => {
    const added = await timbre(['voice', 'add', 'anna', 'a.wav', '--text', '你好', '--lang', 'zh']);
    expect(added.stdout.text).toMatch(/^enrolled anna for model scripted from 3\.0 s of recordings\n/);
    const listed = await timbre(['voice', 'list']);
    expect(listed.stdout.text).toMatch(/^NAME .*\ndemo \(default\) +zh .*\(prompt-free\)\n/);
    expect(JSON.parse((await timbre(['voice', 'list', '--json'])).stdout.text)).toHaveLength(2);
    expect((await timbre(['voice', 'remove', 'demo'])).stdout.text).toBe('removed demo\n');
    expect((await timbre(['voice', 'remove', 'nobody'])).stderr.text).toContain('[VOICE_NOT_FOUND]');
    expect((await timbre(['voice', 'add', 'demo', 'a.wav', '--prompt-free'])).stderr.text).toContain('[VOICE_EXISTS]');
    const replaced = await timbre(['voice', 'add', 'demo', 'a.wav', '--prompt-free', '--replace', '--json']);
    expect(JSON.parse(replaced.stdout.text)).toMatchObject({ name: 'demo', transcript: null });
  });

  it('says which voices cannot speak any more, in the list and in the greeting of a server', async () => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    writeFileSync(join(folder, 'data', 'stale-voice'), '');
    const warning = '\nwarning for stale: its model has been replaced\n';
    expect((await timbre(['voice', 'list'])).stdout.text).toContain(warning);
    expect((await timbre(['serve', '--port', '0', '--log-format', 'json'])).stdout.text).toContain(warning);
  });

  it('wants a transcript, or to be told that there is none', async () => {
    for (const argv of [[], ['--text', 'x', '--prompt-free']]) {
      expect((await timbre(['voice', 'add', 'anna', 'a.wav', ...argv])).stderr.text).toContain('[VOICE_INVALID]');
    }
    const language = await timbre(['voice', 'add', 'anna', 'a.wav', '--text', 'x', '--lang', 'xx']);
    expect(language.stderr.text).toContain('[LANGUAGE_UNSUPPORTED]');
  });
});

describe('timbre doctor', () => {
  it('checks everything and speaks', async () => {
    const { stdout } = await timbre(['doctor', '--port', '0']);
    for (const line of [
      '✓ node: ',
      '✓ port: ',
      '✓ engine: scripted 1',
      '✓ model scripted: intact',
      '✓ speech: 0.10 s',
    ]) {
      expect(stdout.text).toContain(line);
    }
    const json = JSON.parse((await timbre(['doctor', '--port', '0', '--json'])).stdout.text);
    expect(json.findings.map((finding: { subject: string }) => finding.subject)).toContain('data folder');
  });

  it('exits with 1 and says what to do when the engine does not start', async () => {
    await timbre(['model', 'list']);
    writeFileSync(join(folder, 'data', 'start-script'), 'fail MODEL_STORE_CORRUPT');
    const { exitCode, stdout, stderr } = await timbre(['doctor', '--port', '0']);
    expect(exitCode).toBe(1);
    expect(stdout.text).toContain('✗ engine: MODEL_STORE_CORRUPT: scripted');
    expect(stdout.text).toContain('→ see MODEL_STORE_CORRUPT in docs/ERRORS.md');
    expect(stderr.text).toMatch(/thing keeps|things keep/);
  });

  it('does not start the engine on a folder that cannot be written', async () => {
    writeFileSync(join(folder, 'file'), '');
    const { exitCode, stdout } = await timbre(['doctor', '--port', '0', '--data', join(folder, 'file', 'data')]);
    expect([exitCode, stdout.text]).toEqual([1, expect.stringMatching(/✗ data folder: .*! engine: not checked/s)]);
  });
});

describe('timbre serve', () => {
  it('prints a line to paste that works, and ends in order on SIGTERM', async () => {
    const { exitCode, stdout, stderr } = await timbre(['serve', '--port', '0', '--log-format', 'json']);
    expect(exitCode).toBe(0);
    const url = /serves (http:\/\/127\.0\.0\.1:\d+) \(scripted 1; voices: demo, demo-en\)/.exec(stdout.text)?.[1];
    const body = /-d '(\{.*\})'/.exec(stdout.text)?.[1] ?? '';
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/synthesize`, { method: 'POST', headers, body });
    expect(await answer.json()).toMatchObject({
      duration_ms: 100,
      audio_url: expect.stringContaining(`${url}/audio/`),
    });
    exit?.listeners.get('SIGTERM')?.();
    expect(await exit?.code).toBe(0);
    expect(stderr.text).toContain('"shut down"');
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed');
  });

  it('lets a running stream finish before it ends, and refuses new ones meanwhile', async () => {
    const { stdout } = await timbre(['serve', '--port', '0', '--log-level', 'silent']);
    const url = /serves (\S+)/.exec(stdout.text)?.[1];
    const text = encodeURIComponent('sentences=5 ms=50 every=100');
    const stream = await fetch(`${url}/synthesize?stream=true&text=${text}`);
    exit?.listeners.get('SIGTERM')?.();
    const refused = await fetch(`${url}/synthesize?text=hi`);
    expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: 'SHUTTING_DOWN' } }]);
    expect(decodeWav(new Uint8Array(await stream.arrayBuffer())).channels[0]).toHaveLength(5 * 800);
    expect(await exit?.code).toBe(0);
  });

  it('says so when another program listens there', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { exitCode, stderr } = await timbre(['serve', '--port', String(port), '--log-level', 'silent']);
    expect([exitCode, stderr.text]).toEqual([1, expect.stringContaining('another program listens there')]);
    const check = await timbre(['doctor', '--port', String(port)]);
    expect([check.exitCode, check.stdout.text]).toEqual([0, expect.stringContaining('! port: something listens')]);
    other.close();
  });
});
