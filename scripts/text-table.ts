/**
 * Writes the tables of docs/text.md: hard sentences of each language, as the reference reads them and as we do.
 *
 *     npx tsx scripts/text-table.ts [REFERENCE_FOLDER]
 *
 * The sentences and the reference's answers are those of the reference data (text/<language>.v2.jsonl); each category
 * gives in turn, sentences that are read differently first.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { languagePhonemes, textToPhonemes } from '../src/text/frontend.js';
import type { Language, LanguageMode } from '../src/text/language.js';

const SENTENCES = 40;
const PAGE = new URL('../docs/text.md', import.meta.url);
const BEGIN = '<!-- tables: npx tsx scripts/text-table.ts -->';

const LANGUAGES: readonly (readonly [Language, string])[] = [
  ['zh' as Language, 'Chinese'],
  ['en' as Language, 'English'],
  ['ja' as Language, 'Japanese'],
  ['ko' as Language, 'Korean'],
  ['yue' as Language, 'Cantonese'],
];

interface Row {
  readonly category: string;
  readonly text: string;
  readonly norm_text: string;
  readonly phones: readonly string[];
  readonly word2ph?: readonly number[];
}

interface Reading {
  readonly normalizedText: string;
  readonly phonemes: readonly string[];
  readonly word2ph: readonly number[] | null;
}

interface Compared {
  readonly row: Row;
  readonly ours: Reading;
  readonly differs: boolean;
}

const folder =
  process.argv[2] ?? process.env['TIMBRE_REFERENCE'] ?? join(import.meta.dirname, '../../shared/reference');
const tables: string[] = [];
for (const [language, name] of LANGUAGES) {
  const file = join(folder, 'text', `${language}.v2.jsonl`);
  if (!existsSync(file)) throw new Error(`no reference data at ${file}; pass its folder`);
  const rows = readFileSync(file, 'utf8').trim().split('\n');
  const compared: Compared[] = [];
  for (const line of rows) {
    const row = JSON.parse(line) as Row; // our own data, whose README says its shape
    const ours = await read(row.text, language);
    if (!ours) continue;
    compared.push({ row, ours, differs: ours.phonemes.join(' ') !== row.phones.join(' ') });
  }
  if (compared.length === 0) continue;
  tables.push(table(name, choose(compared)));
}
const page = readFileSync(PAGE, 'utf8');
writeFileSync(PAGE, `${page.slice(0, page.indexOf(BEGIN))}${BEGIN}\n\n${tables.join('\n')}`);

/** As a sentence of that language alone is read; null where this build does not speak it. */
async function read(text: string, language: Language): Promise<Reading | null> {
  try {
    if (language !== 'yue') return await languagePhonemes(text, { language, symbols: 'v2' });
    const { segments } = await textToPhonemes(text, { language: language as LanguageMode, symbols: 'v2' });
    const own = segments.filter((segment) => segment.language === language);
    return {
      normalizedText: own.map((segment) => segment.normalizedText).join(''),
      phonemes: own.flatMap((segment) => segment.phonemes),
      word2ph: own.flatMap((segment) => segment.word2ph ?? []),
    };
  } catch {
    return null;
  }
}

/** In turn from each category, the different ones first. */
function choose(compared: readonly Compared[]): Compared[] {
  const categories = new Map<string, Compared[]>();
  for (const one of compared) {
    const list = categories.get(one.row.category) ?? [];
    categories.set(one.row.category, list);
    list.push(one);
  }
  for (const list of categories.values()) list.sort((a, b) => Number(b.differs) - Number(a.differs));
  const chosen: Compared[] = [];
  for (let turn = 0; chosen.length < Math.min(SENTENCES, compared.length); turn++) {
    for (const list of categories.values()) {
      const one = list[turn];
      if (one !== undefined && chosen.length < SENTENCES) chosen.push(one);
    }
  }
  return chosen;
}

function table(name: string, compared: readonly Compared[]): string {
  const rows = compared.map(({ row, ours, differs }) => {
    const theirs: Reading = { normalizedText: row.norm_text, phonemes: row.phones, word2ph: row.word2ph ?? null };
    const [reference, own] = differs ? cells(theirs, ours) : [cell(row.norm_text), 'the same'];
    return `| ${cell(row.text)} | ${reference} | ${own} |`;
  });
  return `### ${name}\n\n| Text | The reference | Timbre |\n|---|---|---|\n${rows.join('\n')}\n`;
}

/** What is said where that differs, else the sounds that do. */
function cells(theirs: Reading, ours: Reading): [string, string] {
  if (theirs.normalizedText !== ours.normalizedText) return [cell(theirs.normalizedText), cell(ours.normalizedText)];
  if (theirs.word2ph !== null && ours.word2ph !== null && theirs.word2ph.length === ours.word2ph.length) {
    return [annotated(theirs, ours), annotated(ours, theirs)];
  }
  return [differing(theirs.phonemes, ours.phonemes), differing(ours.phonemes, theirs.phonemes)];
}

/** The text, with the sounds behind each character that the other reads otherwise. */
function annotated(reading: Reading, other: Reading): string {
  const sounds = soundsOf(reading);
  const others = soundsOf(other);
  return cell(
    [...reading.normalizedText]
      .map((character, i) => (sounds[i] === others[i] ? character : `${character}(${sounds[i]})`))
      .join(''),
  );
}

function soundsOf({ phonemes, word2ph }: Reading): string[] {
  let at = 0;
  return (word2ph ?? []).map((count) => {
    at += count;
    return phonemes
      .slice(at - count, at)
      .join('')
      .replaceAll('Y', '');
  });
}

function differing(phonemes: readonly string[], other: readonly string[]): string {
  let start = 0;
  while (start < phonemes.length && phonemes[start] === other[start]) start++;
  let tail = 0;
  while (tail < Math.min(phonemes.length, other.length) - start && phonemes.at(-1 - tail) === other.at(-1 - tail))
    tail++;
  const from = Math.max(0, start - 3);
  const to = Math.min(phonemes.length, phonemes.length - tail + 3);
  return cell(`${from > 0 ? '… ' : ''}${phonemes.slice(from, to).join(' ')}${to < phonemes.length ? ' …' : ''}`);
}

function cell(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|')
    .replace(/[<>*_`~[\]]/g, '\\$&')
    .replace(/\s+/g, ' ');
}
