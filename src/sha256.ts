import * as crypto from 'node:crypto';

/** In one call, where Node has it (20.12 and later): making an object for it takes twice as long as hashing a short text. */
const hash = (crypto as Partial<typeof crypto>).hash;

/** The SHA-256 of a text (as UTF-8) or of bytes. */
export const sha256: (data: string | Uint8Array) => Buffer =
  hash === undefined
    ? (data) => crypto.createHash('sha256').update(data).digest()
    : (data) => hash('sha256', data, 'buffer');
