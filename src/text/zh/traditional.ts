import type { SourceText } from '../source-text.js';
import { loadSections } from './sections.js';

let loaded: ReadonlyMap<string, string> | undefined;

/** Traditional characters replaced one by one by their simplified form (upstream: zh_normalization/char_convert.py). */
export function toSimplified(text: string): string {
  const table = (loaded ??= loadTable());
  let simplified = '';
  for (const character of text) simplified += table.get(character) ?? character;
  return simplified;
}

/** As toSimplified, with the source kept: one character stands for one. */
export function simplified(text: SourceText): SourceText {
  return text.withCharacters(toSimplified(text.text));
}

function loadTable(): ReadonlyMap<string, string> {
  const sections = loadSections('traditional');
  const to = sections.uint16('to');
  return new Map(
    [...sections.uint16('from')].map((code, i) => [String.fromCharCode(code), String.fromCharCode(to[i]!)]),
  );
}
