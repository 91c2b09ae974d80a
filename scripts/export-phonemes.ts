/**
 * Phonemes for the training recipe, by the same front end that serves requests.
 * Reads lines of `id <tab> language <tab> text` (language: zh, en, or pinyin for one syllable such as zuo4) from
 * standard input and writes a line of JSON each: {id, language, text, phonemes, ids}. Texts that cannot be read are left
 * out and named on standard error.
 */
import { createInterface } from 'node:readline';
import { AppError } from '../src/errors.js';
import { textToPhonemes } from '../src/text/frontend.js';
import { phonemeIds } from '../src/text/symbols.js';
import { syllable, symbolsOf } from '../src/text/zh/syllables.js';

const SYMBOLS = 'v2';

async function main(): Promise<void> {
  let number = 0;
  let unreadable = 0;
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (line.trim() === '') continue;
    const [id, language, text] = line.split('\t');
    if (!id || !language || !text) {
      throw new Error(`line ${number} is "${line}"; expected id, language and text separated by tabs`);
    }
    const phonemes = await phonemesOf(language, text, number);
    if (phonemes === undefined) {
      unreadable++;
      process.stderr.write(`line ${number}: nothing to speak in "${text}" (${language})\n`);
      continue;
    }
    process.stdout.write(`${JSON.stringify({ id, language, text, phonemes, ids: phonemeIds(phonemes, SYMBOLS) })}\n`);
  }
  process.stderr.write(`${number} lines, ${unreadable} unreadable\n`);
}

/** The phonemes of a line, or undefined when its text cannot be spoken in its language. */
async function phonemesOf(language: string, text: string, line: number): Promise<readonly string[] | undefined> {
  switch (language) {
    case 'pinyin':
      return pinyinPhonemes(text);
    case 'zh':
    case 'en':
      try {
        return (await textToPhonemes(text, { language, symbols: SYMBOLS })).phonemes;
      } catch (error) {
        if (error instanceof AppError) return undefined;
        throw error;
      }
    default:
      throw new Error(`line ${line} has language "${language}"; expected zh, en or pinyin`);
  }
}

function pinyinPhonemes(written: string): readonly string[] | undefined {
  try {
    return symbolsOf(syllable(written));
  } catch {
    return undefined; // not a syllable that the symbol table has
  }
}

await main();
