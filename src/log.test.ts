import { describe, expect, it } from 'vitest';
import { createLogger } from './log.js';

function lines(format: 'json' | 'text') {
  const written: string[] = [];
  return { written, log: createLogger({ level: 'info', format, write: (line) => written.push(line) }) };
}

describe('the log', () => {
  it('writes one JSON object a line, with the level in words, from the level that was asked for', () => {
    const { log, written } = lines('json');
    log.debug('hidden');
    log.warn({ port: 1 }, 'shown');
    expect(written).toHaveLength(1);
    expect(JSON.parse(written[0] ?? '')).toEqual({ level: 'warn', time: expect.any(String), port: 1, msg: 'shown' });
  });

  it('writes lines for people, an error with its stack', () => {
    const { log, written } = lines('text');
    log.info({ port: 1, list: [1, 2] }, 'started');
    log.error({ err: new Error('broken') }, 'failed');
    expect(written[0]).toMatch(/^\d\d:\d\d:\d\d INFO {2}started port=1 list=\[1,2\]\n$/);
    expect(written[1]).toMatch(/^\d\d:\d\d:\d\d ERROR failed\n {2}Error: broken\n +at /);
  });

  it('drops fields that would hold a customer’s text', () => {
    const { log, written } = lines('json');
    log.info({ text: 'secret', job: { text: 'secret', transcript: 'secret', id: 1 }, req: { body: 'secret' } }, 'x');
    expect(written[0]).not.toContain('secret');
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ job: { id: 1 } });
  });
});
