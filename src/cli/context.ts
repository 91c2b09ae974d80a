import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { Engine } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import type { SignalSource } from '../shutdown.js';
import type { Platform } from './platform.js';

/** What a command has of the world around it, so that tests can give it another one. */
export interface CliContext {
  readonly version: string;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  /** Aborts on the first Ctrl-C of a command that is not the server, which has its own way to end. */
  readonly signal: AbortSignal;
  readonly signals: SignalSource;
  /** File URL of another engine than ours. */
  readonly engineModule?: string;
  /** The command line as it was given, to hand it to a running server. */
  readonly argv?: readonly string[];
  /** In a server that carries out a command for somebody: its own state, and his name. */
  readonly platform?: Platform;
  readonly userName?: string;
  /** Of the server that carries the command out. */
  readonly engine?: Engine;
  /** Where whoever gave the command is; absent: where this process is. */
  readonly cwd?: string;
}

/** A path as whoever gave the command means it. */
export function pathOf({ cwd }: Pick<CliContext, 'cwd'>, path: string): string {
  return resolve(cwd ?? process.cwd(), path);
}

/** A text given as words on the command line, or on standard input. */
export async function readWords(context: CliContext, words: readonly string[]): Promise<string> {
  if (words.length > 0 && !(words.length === 1 && words[0] === '-')) return words.join(' ');
  if (words.length === 0 && context.stdin.isTTY) {
    throw new AppError('TEXT_EMPTY', 'there is no text; write it behind the command, as in: timbre say "你好，世界。"');
  }
  const parts: Uint8Array[] = [];
  for await (const part of context.stdin) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

export function isTerminal(stream: Writable): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}

/** Writes a result for machines: pretty-printed JSON on standard output. */
export function printJson(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Columns of a list, as wide as their longest cell; the last one is not padded. */
export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => displayWidth(row[column] ?? ''))));
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - displayWidth(cell)),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Columns that a terminal uses: East Asian wide characters take two. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text)
    width += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/.test(character) ? 2 : 1;
  return width;
}

/** `1.5 GB`: decimal units, as disks are sold. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A command that the running server carried out instead; what it returned is this command's exit code. */
export class RanOnServer extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('the server ran this command');
    this.exitCode = exitCode;
  }
}
