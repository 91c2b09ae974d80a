import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { setTimeSlice } from './time-slice.js';

describe('slices of a thread', () => {
  it('may be as short as the system takes them, and any other number changes nothing', () => {
    for (const sliceMs of [0.5, 3, 0, -1, Number.NaN]) expect(() => setTimeSlice(sliceMs)).not.toThrow();
  });

  it.runIf(process.platform === 'linux')('leave the priority of the thread as it is', async () => {
    // In a process of its own, since slices last.
    const program = `
      import { getPriority, setPriority } from 'node:os';
      import { readFileSync } from 'node:fs';
      import { setTimeSlice } from ${JSON.stringify(new URL('./time-slice.ts', import.meta.url).href)};
      setPriority(0, 7);
      setTimeSlice(0.5);
      console.log(JSON.stringify({ priority: getPriority(0), sched: readFileSync('/proc/self/sched', 'utf8') }));
    `;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    const { priority, sched } = JSON.parse(output) as { priority: number; sched: string };
    expect(priority).toBe(7);
    // Kernels since 6.12 say what a thread's slice is.
    const slice = /^se\\.slice\\s*:\\s*(\\d+)/m.exec(sched)?.[1];
    if (slice !== undefined) expect(Number(slice)).toBe(500_000);
  });
});
