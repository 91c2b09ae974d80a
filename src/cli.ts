#!/usr/bin/env node
import { createRequire } from 'node:module';
import { runCli } from './cli/program.js';

const { version }: { version: string } = createRequire(import.meta.url)('../package.json');

// The first Ctrl-C ends a command in order; `serve` has its own way to end once it listens.
const interrupt = new AbortController();
const onInterrupt = () => {
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort(new Error('interrupted'));
};
process.on('SIGINT', onInterrupt);

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  signal: interrupt.signal,
  signals: {
    on: (signal, listener) => {
      process.off('SIGINT', onInterrupt);
      process.on(signal, listener);
    },
    exit: (code) => process.exit(code),
  },
});
