import { createHash } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { CliContext } from './context.js';
import type { Platform } from './platform.js';

/** Runs one command line and gives its exit code. */
export type RunCommand = (argv: readonly string[], context: CliContext) => Promise<number>;

/** Commands that a running server carries out, because the embedded database is its alone. */
const REMOTE_COMMANDS: ReadonlySet<string> = new Set([
  'admin',
  'keys',
  'audit',
  'voice',
  'consent',
  'adapter',
  'lexicon',
]);
const MAX_REQUEST_BYTES = 64 * 1024;

/** Where the server of a data folder listens for commands: only this user reaches it. */
export function adminSocketPath(dataDir: string): string {
  const name = `timbre-${createHash('sha256').update(dataDir).digest('hex').slice(0, 16)}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  const path = join(dataDir, 'store', 'admin.sock');
  // The kernel takes 107 bytes.
  return Buffer.byteLength(path) <= 100 ? path : join(tmpdir(), `${name}.sock`);
}

/** Takes commands over the socket and runs them as the command line would, on the server's own platform. */
export async function listenForCommands(
  dataDir: string,
  platform: Platform,
  run: RunCommand,
  context: CliContext,
): Promise<{ close(): Promise<void> }> {
  const path = adminSocketPath(dataDir);
  // The lock of the folder says that no other server is behind an old one.
  if (process.platform !== 'win32') await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      if (received.length > MAX_REQUEST_BYTES) return void socket.destroy();
      const end = received.indexOf('\n');
      if (end < 0) return;
      const line = received.slice(0, end);
      received = '';
      void answer(line, socket);
    });
  });
  const answer = async (line: string, socket: Socket) => {
    const send = (message: Record<string, unknown>) => void socket.write(`${JSON.stringify(message)}\n`);
    const part = (name: string) =>
      new Writable({
        write(bytes, _encoding, done) {
          send({ [name]: String(bytes) });
          done();
        },
      });
    let exit = 1;
    try {
      const request: unknown = JSON.parse(line);
      const { argv, user, cwd } = request as { argv?: unknown; user?: unknown; cwd?: unknown };
      const isCommand = Array.isArray(argv) && argv.every((each) => typeof each === 'string');
      if (isCommand && REMOTE_COMMANDS.has(String(argv[0]))) {
        const gone = new AbortController();
        socket.once('close', () => gone.abort(new Error('the command was interrupted')));
        exit = await run(argv, {
          ...context,
          platform,
          userName: typeof user === 'string' ? user.slice(0, 64) : 'unknown',
          ...(typeof cwd === 'string' ? { cwd } : {}),
          stdout: part('out'),
          stderr: part('err'),
          signal: gone.signal,
        });
      }
    } catch (error) {
      send({ err: `timbre: ${error instanceof Error ? error.message : String(error)}\n` });
    }
    send({ exit });
    socket.end();
  };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  if (process.platform !== 'win32') await chmod(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Has the server that holds the data folder run a command. Null: none listens there. */
export function runOnServer(
  dataDir: string,
  argv: readonly string[],
  { stdout, stderr }: Pick<CliContext, 'stdout' | 'stderr'>,
  userName: string,
): Promise<number | null> {
  return new Promise((resolve) => {
    const socket = connect(adminSocketPath(dataDir));
    let exit: number | null = null;
    let received = '';
    socket.once('connect', () => socket.write(`${JSON.stringify({ argv, user: userName, cwd: process.cwd() })}\n`));
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      const lines = received.split('\n');
      received = lines.pop() ?? '';
      for (const line of lines) {
        const message = JSON.parse(line) as { out?: string; err?: string; exit?: number };
        if (message.out !== undefined) stdout.write(message.out);
        if (message.err !== undefined) stderr.write(message.err);
        if (message.exit !== undefined) exit = message.exit;
      }
    });
    socket.once('error', () => resolve(exit));
    socket.once('close', () => resolve(exit));
  });
}
