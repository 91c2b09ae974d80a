import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { sha256 } from './sha256.js';

it('is that of a text as UTF-8, or of bytes', () => {
  for (const data of ['', 'abc', '你好 🎧', Buffer.from([0, 255, 128]), new Uint8Array(1000).fill(7)]) {
    expect(sha256(data)).toEqual(createHash('sha256').update(data).digest());
  }
});
