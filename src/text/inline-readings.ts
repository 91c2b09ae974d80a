import type { FixedReading, Language, LanguageMode } from './language.js';
import { languagesOf } from './language-spans.js';
import { carrierOf, type LookedUpText } from './lexicon.js';
import { type Alphabet, DEFAULT_ALPHABET, parseReading } from './readings.js';
import { SourceText } from './source-text.js';

/**
 * Readings written behind their word in brackets: 行[hang2], 银行[yin2 hang2], 行[hong4] in Cantonese, 橋[ハシ↓], live[L AY1 V]. What
 * stands in brackets but is no reading of what stands before it is left as text.
 */
export async function applyInlineReadings(text: SourceText, mode: LanguageMode): Promise<LookedUpText> {
  if (!text.text.includes('[')) return { text, readings: [], whole: [] };
  const pieces: SourceText[] = [];
  const readings: FixedReading[] = [];
  let from = 0;
  for (const match of text.text.matchAll(INLINE)) {
    const [whole] = match;
    const written = match[1] ?? match[3] ?? match[5] ?? '';
    const notation = match[2] ?? match[4] ?? match[6] ?? '';
    const found = await readingOf(written, notation, mode);
    if (found === undefined) continue;
    const { language, syllables } = found;
    const length = language === 'zh' || language === 'yue' ? syllables.length : written.length;
    const end = match.index + written.length;
    const start = end - length;
    const [sourceStart, sourceEnd] = text.sourceRange(start, end);
    readings.push({ start: sourceStart, end: sourceEnd, language, reading: syllables, rule: 'in the text' });
    pieces.push(
      text.slice(from, start),
      text.slice(start, end).saidAs(await carrierOf(text.text.slice(start, end), language, syllables)),
    );
    from = match.index + whole.length;
  }
  if (pieces.length === 0) return { text, readings, whole: [] };
  pieces.push(text.slice(from));
  const whole = readings.map(({ start, end }) => [start, end] as const);
  return { text: SourceText.join(pieces), readings, whole };
}

/** A word of one script, each letter of which no other match begins with, and what stands in brackets behind it. */
const INLINE =
  /(?<![\p{Script=Han}])(\p{Script=Han}{1,200})\[([a-zü:]{1,8}[1-6]?(?: [a-zü:]{1,8}[1-6]?){0,15})\]|(?<![\p{Script=Han}\p{Script=Katakana}\p{Script=Hiragana}])([\p{Script=Han}\p{Script=Katakana}]{1,40})\[([ぁ-ゖァ-ヺー↓ꜜ]{1,40})\]|(?<![A-Za-z'])([A-Za-z']{1,40})\[([A-Z]{1,2}[012]?(?: [A-Z]{1,2}[012]?){0,30})\]/gu;

async function readingOf(
  written: string,
  notation: string,
  mode: LanguageMode,
): Promise<{ readonly language: Language; readonly syllables: readonly string[] } | undefined> {
  if (/^[ぁ-ゖァ-ヺー↓ꜜ]/.test(notation)) {
    const kana = languagesOf(mode).includes('ja') ? await parseReading('kana', notation) : '';
    return typeof kana === 'object' && 'syllables' in kana ? kana : undefined;
  }
  const languages = /^\p{Script=Han}/u.test(written)
    ? languagesOf(mode).filter((language) => language !== 'en')
    : (['en'] as const);
  for (const language of languages) {
    const alphabet = DEFAULT_ALPHABET[language] as Alphabet;
    if (language !== 'zh' && language !== 'yue' && language !== 'en') continue;
    if (language !== 'en' && !/[1-6]/.test(notation)) continue;
    const reading = await parseReading(alphabet, notation);
    if (typeof reading === 'string' || !('syllables' in reading)) continue;
    if (language !== 'en' && reading.syllables.length > written.length) continue;
    return { language, syllables: reading.syllables };
  }
  return undefined;
}
