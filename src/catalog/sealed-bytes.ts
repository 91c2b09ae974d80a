import { AppError } from '../errors.js';

/** Bytes in memory as the stream that the vault takes. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

/** A text for people, without what cannot be seen. Throws `REQUEST_INVALID` naming the field. */
export function cleanText(field: string, text: string, minimum: number, maximum: number): string {
  const clean = text.trim();
  const length = [...clean].length;
  if (length < minimum || length > maximum) {
    throw new AppError('REQUEST_INVALID', `${field} has ${length} characters; expected ${minimum} to ${maximum}`);
  }
  if (/[\p{Cc}\p{Cs}]/u.test(clean.replace(/[\n\r\t]/g, ''))) {
    throw new AppError('REQUEST_INVALID', `${field} has control characters; expected plain text`);
  }
  return clean;
}
