import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));

/** What every run should say about where it was made. */
export function environment(): Record<string, string> {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: REPOSITORY, encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'src') === '' ? '' : ' with changes';
  return {
    machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'} (${instructionSets()})`,
    node: process.version,
    commit: `${git('rev-parse', '--short', 'HEAD')}${changed}`,
    date: new Date().toISOString().slice(0, 16),
    'load average at the start': loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
  };
}

/** Those that decide how fast matrix products are, where the system says. */
function instructionSets(): string {
  if (process.platform !== 'linux') return process.arch;
  const flags = /^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
  const known = ['avx2', 'avx512f', 'avx_vnni', 'avx512_vnni', 'avx512_bf16', 'amx_int8'];
  return known.filter((name) => flags.includes(name)).join(', ') || process.arch;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that at least this share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}

/** Resident memory of this process. */
export function residentBytes(): number {
  return process.platform === 'linux'
    ? 1024 * Number(/^Rss:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1] ?? 0)
    : process.memoryUsage().rss;
}
