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

let forms: ReadonlyMap<string, readonly string[]> | undefined;

/** The traditional characters that a simplified one stands for; none where it is the same, or unknown. */
export function traditionalForms(character: string): readonly string[] {
  if (forms === undefined) {
    const collected = new Map<string, string[]>();
    for (const [from, to] of (loaded ??= loadTable())) collected.set(to, [...(collected.get(to) ?? []), from]);
    forms = collected;
  }
  return forms.get(character) ?? [];
}

function loadTable(): ReadonlyMap<string, string> {
  const sections = loadSections('traditional');
  const to = sections.uint16('to');
  return new Map(
    [...sections.uint16('from')].map((code, i) => [String.fromCharCode(code), String.fromCharCode(to[i]!)]),
  );
}
