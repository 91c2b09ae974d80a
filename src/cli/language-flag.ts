import { SPEECH_LANGUAGES } from '../api/synthesis.js';
import { AppError } from '../errors.js';

/** What `--lang` names. Throws `LANGUAGE_UNSUPPORTED`. */
export function languageFlag(language: string): (typeof SPEECH_LANGUAGES)[number] {
  const known = SPEECH_LANGUAGES.find((candidate) => candidate === language);
  if (known !== undefined) return known;
  const all = SPEECH_LANGUAGES.join(', ');
  throw new AppError('LANGUAGE_UNSUPPORTED', `--lang is ${JSON.stringify(language)}; expected one of ${all}`);
}
