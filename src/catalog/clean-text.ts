import { AppError } from '../errors.js';

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
