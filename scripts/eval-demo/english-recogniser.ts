import { spawn, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatenate } from '../../src/audio/concatenate.js';
import { encodeWav } from '../../src/audio/wav.js';
import { SAMPLE_RATE_HZ } from './cepstra.js';

const PROGRAM = 'pocketsphinx_continuous';

export const INSTALL_POCKETSPHINX = `${PROGRAM} is not installed; English word error needs it: apt-get install pocketsphinx pocketsphinx-en-us (Debian)`;

export function hasPocketsphinx(): boolean {
  return spawnSync(PROGRAM, [], { stdio: 'ignore' }).error === undefined;
}

/** What pocketsphinx hears with Debian's en-us models in speech at 16 kHz, in lower case. */
export async function hearEnglish(samples: Float32Array): Promise<string> {
  const quiet = new Float32Array(SAMPLE_RATE_HZ / 5);
  const path = join(tmpdir(), `timbre-heard-${process.pid}-${counter++}.wav`);
  writeFileSync(path, encodeWav(concatenate([quiet, samples, quiet]), SAMPLE_RATE_HZ));
  try {
    return (await run(['-infile', path, '-logfn', '/dev/null'])).replace(/\s+/g, ' ').trim().toLowerCase();
  } finally {
    rmSync(path, { force: true });
  }
}

/** Words as they are compared. */
export function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .replace(/[^a-z' ]/g, ' ')
    .split(' ')
    .filter((word) => word !== '');
}

let counter = 0;

function run(options: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, options, { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${PROGRAM} ended with status ${code}; run it by hand to see why`)),
    );
  });
}
