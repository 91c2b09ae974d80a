import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatBytes, renderTable } from './context.js';
import { checkMachine, checkPort, type Machine, readMachine } from './machine.js';

const good: Machine = {
  nodeVersion: '20.11.0',
  platform: 'linux',
  architecture: 'x64',
  cpuModel: 'Some CPU',
  cores: 4,
  cpuFlags: new Set(['avx2', 'avx512_vnni']),
  memoryBytes: 8e9,
};

function levels(change: Partial<Machine>): Record<string, string> {
  return Object.fromEntries(checkMachine({ ...good, ...change }).map(({ subject, level }) => [subject, level]));
}

describe('the machine', () => {
  it('is judged by what speech needs', () => {
    expect(levels({})).toEqual({ node: 'ok', platform: 'ok', processor: 'ok', memory: 'ok' });
    expect(levels({ nodeVersion: '20.10.9' })['node']).toBe('error');
    expect(levels({ nodeVersion: '18.20.0' })['node']).toBe('error');
    expect(levels({ nodeVersion: '24.0.0' })['node']).toBe('ok');
    expect(levels({ platform: 'freebsd' })['platform']).toBe('error');
    expect(levels({ cpuFlags: new Set(['sse2']) })['processor']).toBe('warning');
    expect(levels({ cores: 1 })['processor']).toBe('warning');
    expect(levels({ cpuFlags: null })['processor']).toBe('ok');
    expect(levels({ memoryBytes: 2e9 })['memory']).toBe('warning');
    expect(levels({ memoryBytes: 5e8 })['memory']).toBe('error');
  });

  it('is described by what speeds speech up', () => {
    const processor = checkMachine(good).find((finding) => finding.subject === 'processor');
    expect(processor?.message).toBe('Some CPU, 4 cores, AVX2 AVX512-VNNI');
    expect(readMachine().cores).toBeGreaterThan(0);
  });

  it.runIf(process.platform === 'linux')('is read with every flag of its processor', () => {
    const listed = /^(?:flags|Features)\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(' ');
    expect(listed?.length).toBeGreaterThan(3);
    expect([...(readMachine().cpuFlags ?? [])].filter((flag) => flag !== '')).toEqual(listed);
  });

  it('cannot listen on an address it does not have', async () => {
    expect(await checkPort('203.0.113.1', 0)).toMatchObject({ level: 'error', subject: 'port' });
  });
});

describe('what commands print', () => {
  it('lines columns up, wide characters too', () => {
    expect(
      renderTable(
        ['A', 'B'],
        [
          ['你好', '1'],
          ['abcde', '2'],
        ],
      ),
    ).toBe('A      B\n你好   1\nabcde  2\n');
  });

  it('has sizes for people', () => {
    expect([0, 999, 1500, 61_000_000, 123_456_789_000].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.5 kB',
      '61.0 MB',
      '123 GB',
    ]);
  });
});
