import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { copyEmbeddedTemplate } from '../fixtures/databases.js';

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Of the engine process that runs now. */
  enginePid(): Promise<number>;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>;
}

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const START_TIMEOUT_MS = 120_000;

/** `timbre serve` as a user starts it, from the sources, on a free port; resolves when it prints where it listens. */
export async function startServerProcess(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<ServerProcess> {
  if (!existsSync(join(dataDir, 'store'))) await copyEmbeddedTemplate(dataDir);
  const masterKey = join(dataDir, '..', `${basename(dataDir)}-master-key.json`);
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = spawn(process.execPath, ['--import', loader, CLI, 'serve', '--port', '0', '--data', dataDir], {
    // A busy machine is too slow for several listeners, and tests are not about that.
    env: {
      ...process.env,
      TIMBRE_LOG_FORMAT: 'json',
      TIMBRE_MASTER_KEY_FILE: masterKey,
      TIMBRE_MIN_LISTENERS: '64',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  child.stderr.on('data', (data) => log.push(String(data)));
  const url = await listeningUrl(child, log);
  return {
    url,
    pid: child.pid ?? 0,
    async enginePid() {
      const pids = [...log.join('').matchAll(/"pid":(\d+),"runtime"/g)].map((match) => Number(match[1]));
      return pids.at(-1) ?? 0;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number | null];
      return code;
    },
  };
}

async function listeningUrl(child: ChildProcess, log: readonly string[]): Promise<string> {
  let printed = '';
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  try {
    for await (const data of child.stdout ?? []) {
      printed += String(data);
      const url = /serves (https?:\S+)/.exec(printed)?.[1];
      if (url !== undefined) {
        child.stdout?.resume();
        return url;
      }
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`the server ended before it listened:\n${printed}${log.join('')}`);
}
