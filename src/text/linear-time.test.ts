import { describe, expect, it } from 'vitest';
import { readText, textToPhonemes } from './frontend.js';
import type { LanguageMode } from './language.js';
import { compileLexicon } from './lexicon.js';
import { readCsv } from './lexicon-files.js';
import { Segmenter } from './segmenter.js';
import { parseXml, SSML } from './xml.js';

/** What patterns could go over again and again: beginnings that never end, and runs that fit several parts of a pattern. */
const UNITS = [
  ...[
    '[',
    '<',
    '&',
    '"',
    '“',
    '（',
    '.',
    ',',
    '…',
    '-',
    ' ',
    '\n',
    '1',
    '1,',
    '1.',
    '1:',
    '1-',
    'a',
    'A',
    'a.',
    "a'",
    'a@',
    'a/',
  ],
  ...[
    '行',
    '行[',
    '行[a',
    '行，',
    'a[',
    'a[A ',
    '<a',
    '<a b="',
    '<!--',
    '&#',
    'é',
    '\u0301',
    '한',
    '한 ',
    'か',
    '$',
    '$1',
    '第',
    '。',
    '！',
  ],
];

/** Processor time in milliseconds, which a busy machine does not stretch much. */
async function processorTime(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Whether eight times the text takes no more than eight times the time, give or take a factor of three. */
async function expectLinear(work: (text: string) => unknown, unit: string, length: number): Promise<void> {
  const count = Math.ceil(length / unit.length);
  // Loads, compiles, and fills caches.
  await work(unit.repeat(count));
  await work(unit.repeat(8 * count));
  const short = await processorTime(() => work(unit.repeat(count)));
  const long = await processorTime(() => work(unit.repeat(8 * count)));
  expect(long, JSON.stringify(unit)).toBeLessThan(24 * short + 150);
}

async function readAll(text: string, inputType: 'text' | 'ssml' = 'text'): Promise<number> {
  let items = 0;
  try {
    for await (const _ of readText(text, { inputType, language: 'auto', method: 'sentence', symbols: 'v2' })) items++;
  } catch {
    // Most of these texts cannot be spoken; that must not take long either.
  }
  return items;
}

describe('time linear in the text', () => {
  it('for sentences of plain text', async () => {
    for (const unit of UNITS) await expectLinear((text) => readAll(`好${text}好`), unit, 700);
  });

  it('for text that comes in pieces', async () => {
    for (const unit of UNITS) {
      const push = (text: string): void => {
        const segmenter = new Segmenter();
        for (let at = 0; at < text.length; at += 50) segmenter.push(text.slice(at, at + 50));
        segmenter.end();
      };
      await expectLinear(push, unit, 700);
    }
  });

  it('for documents of markup', async () => {
    for (const unit of UNITS) {
      await expectLinear((text) => readAll(`<speak>${text}</speak>`, 'ssml'), unit, 700);
      const parse = (text: string): void => {
        try {
          parseXml(`<speak a="${text}">${text}`, SSML);
        } catch {
          // Ill-formed, as meant.
        }
      };
      await expectLinear(parse, unit, 1500);
    }
  });

  it('for words of a lexicon that almost match everywhere', async () => {
    const { entries } = readCsv(`${'a'.repeat(60)}b,en,arpabet,AE1\n${'行'.repeat(30)}止,zh,replacement,x\n`);
    const { lexicon } = await compileLexicon([{ name: 'long', entries }]);
    for (const unit of ['a', '行', 'a行']) {
      const read = async (text: string): Promise<void> => {
        for await (const _ of readText(text, { language: 'zh', method: 'sentence', lexicon })) void _;
      };
      await expectLinear(read, unit, 2000);
    }
  });

  it.each<readonly [LanguageMode, string]>([
    ['en', 'a'],
    ['en', 'ab-'],
    ['en', "a'"],
    ['zh', '好'],
    ['zh', '1'],
    ['zh', '一不'],
    ['ko', '한'],
    ['yue', '好'],
  ])('for one word without an end in %s: %s', async (language, unit) => {
    const read = async (text: string): Promise<void> => {
      await textToPhonemes(text, { language, symbols: 'v2' });
    };
    await expectLinear(read, unit, 1250); // 10,000 characters at most
  });
});
