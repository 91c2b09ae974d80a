import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AppError, ERROR_CODES, errorFromPayload } from './errors.js';

describe('docs/ERRORS.md', () => {
  const page = readFileSync(new URL('../docs/ERRORS.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (yes|no) \| (.+?) \| (.+?) \|$/gm)];

  it('describes every code once, in the order of the source, with its status and whether to try again', () => {
    const documented = rows.map(([, code, status, again]) => [code, Number(status), again === 'yes']);
    const defined = Object.entries(ERROR_CODES).map(([code, { status, retryable }]) => [code, status, retryable]);
    expect(documented).toEqual(defined);
  });

  it('mentions no code that there is not', () => {
    const mentioned = [...page.matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map((match) => match[1] ?? '');
    const unknown = mentioned.filter((name) => !(name in ERROR_CODES) && !name.startsWith('TIMBRE_'));
    expect(unknown).toEqual([]);
  });
});

describe('an AppError', () => {
  it('carries status and retryability by its code, and crosses a process boundary as JSON', () => {
    const error = new AppError('ENGINE_OVERLOADED', 'full', { cause: new Error('inner') });
    expect([error.status, error.retryable]).toEqual([503, true]);
    const copy = errorFromPayload(JSON.parse(JSON.stringify(error)));
    expect(copy).toMatchObject({ name: 'AppError', code: 'ENGINE_OVERLOADED', message: 'full' });
  });

  it('becomes INTERNAL when another release sent a code we do not know', () => {
    // What arrives is not what the type says: that is the point.
    const payload = { code: 'NEWER_CODE', message: 'x' } as unknown as Parameters<typeof errorFromPayload>[0];
    expect(errorFromPayload(payload).code).toBe('INTERNAL');
  });
});
