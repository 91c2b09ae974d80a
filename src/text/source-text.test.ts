import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { languagePhonemes, textToPhonemes } from './frontend.js';
import { LANGUAGE_MODES, type Language } from './language.js';
import { SourceText } from './source-text.js';

const DOCUMENT = '在2024年花了$3.50，ＡＢ é';

/** What of the source stands behind a part of a rewritten text. */
function behind(source: string, text: SourceText, part: string): string {
  const at = text.text.indexOf(part);
  expect(at).toBeGreaterThanOrEqual(0);
  return source.slice(...text.sourceRange(at, at + part.length));
}

describe('SourceText', () => {
  it('points from what was rewritten to all that it replaced, and from the rest to itself', () => {
    const text = SourceText.of(DOCUMENT)
      .replace(/\$(\d)\.(\d+)/, 'three dollars')
      .replace('年', '年整');
    expect(text.text).toBe('在2024年整花了three dollars，ＡＢ é');
    expect(behind(DOCUMENT, text, 'dollars')).toBe('$3.50');
    expect(behind(DOCUMENT, text, '花了')).toBe('花了');
    expect(behind(DOCUMENT, text, '2024年')).toBe('2024年');
    expect(behind(DOCUMENT, text, '整')).toBe('');
    expect(behind(DOCUMENT, text, '，ＡＢ')).toBe('，ＡＢ');
  });

  it('keeps its places through several rewritings, cuts and joins', () => {
    const halves = SourceText.of(DOCUMENT).replaceAll('Ａ', 'A').replaceAll('Ｂ', 'B').normalize('NFD');
    const joined = SourceText.join([halves.slice(0, 5), halves.slice(6).trim()]).between('. ', '!');
    expect(joined.text).toBe(`. 在2024花了$3.50，AB ${'é'.normalize('NFD')}!`);
    expect(behind(DOCUMENT, joined, 'A')).toBe('Ａ');
    expect(behind(DOCUMENT, joined, 'é'.normalize('NFD'))).toBe('é');
    expect(behind(DOCUMENT, joined, '. ')).toBe('');
    expect(joined.unitsFrom(0, 1)).toEqual([2, 3]);
  });

  it('expands replacement strings as String.replace does', () => {
    const text = SourceText.of('5-7 a');
    for (const template of ['$2 to $1', '$&$&', '$$1', '$<n>', 'x']) {
      expect(text.replace(/(?<n>\d)-(\d)/, template).text).toBe('5-7 a'.replace(/(?<n>\d)-(\d)/, template));
    }
  });

  it('gives what a string gives for any chain, with places in order and within the source', () => {
    const step = fc.constantFrom<(text: SourceText | string) => SourceText | string>(
      (text) => (text as string).replace(/\d+/g, (digits) => `<${digits}>`),
      (text) => (text as string).replace(/[a-c]/gi, ''),
      (text) => (text as string).replace(/(.)(?=\1)/gu, '$1-'),
      (text) => (text as string).normalize('NFKD'),
      (text) => (text as string).normalize('NFC'),
      (text) => (text as string).replaceAll('-', '——'),
      (text) => (text as string).trim(),
      (text) => (text as string).slice(1, 12),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 24 }), fc.array(step, { maxLength: 6 }), (source, steps) => {
        let text = SourceText.of(source);
        let plain = source;
        for (const apply of steps) {
          text = apply(text) as SourceText;
          plain = apply(plain) as string;
        }
        expect(text.text).toBe(plain);
        let last = 0;
        for (let i = 0; i < text.length; i++) {
          const [start, end] = text.sourceRange(i, i + 1);
          expect(start).toBeLessThanOrEqual(end);
          expect(end).toBeLessThanOrEqual(source.length);
          expect(start).toBeGreaterThanOrEqual(last);
          last = start;
        }
      }),
    );
  });
});

describe('offsets of spoken units', () => {
  const cases: readonly (readonly [Language, string, string, string])[] = [
    ['zh', '会议在2024/5/20下午3:30开始。', '五', '2024/5/20'],
    ['zh', '票价￥199起', '百', '￥199'],
    ['zh', '臺灣的銀行', '银', '銀'],
    ['zh', '时速120km/h', '时', '时'],
    ['en', 'It costs $3.50 on May 20.', 'dollars', '$3.50'],
    ['en', 'It costs $3.50 on May 20.', 'costs', 'costs'],
    ['en', 'Mail support@example.com now', 'example', '@example.'],
    ['en', 'Use ChatGPT.', 'Chat', 'Chat'],
    ['ko', '사과 3개를 샀다', '개', '개'],
    ['ko', '오후 2시 30분', '삼', '30'],
    ['yue', '平均$3-$5，樓價$500萬', '万', '$500萬'],
    ['yue', '佢住喺18樓', '十', '18'],
  ];

  it.each(cases)('%s: %s: %s stands for %s', async (language, text, unit, written) => {
    const { units, phonemes } = await languagePhonemes(text, { language, symbols: 'v2' });
    const found = units.find((candidate) => candidate.text === unit);
    expect(found && text.slice(found.start, found.end)).toBe(written);
    expect(units.reduce((sum, { phonemeCount }) => sum + phonemeCount, 0)).toBe(phonemes.length);
  });

  it('lead from every phoneme of a mixed text back into it, in order', async () => {
    const piece = fc.constantFrom(
      '银行',
      '3.5kg',
      ' Hello',
      '，',
      '한국',
      '$5',
      '2024年',
      'é',
      '😀',
      '\ud800',
      '第2个',
      '.',
      ' ',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 12 }),
        fc.constantFrom(...LANGUAGE_MODES),
        async (pieces, language) => {
          const text = pieces.join('');
          const sentence = await textToPhonemes(text, { language, symbols: 'v2' }).catch((error) => {
            if (error instanceof AppError) return null;
            throw error;
          });
          if (sentence === null) return;
          expect(sentence.units.reduce((sum, { phonemeCount }) => sum + phonemeCount, 0)).toBe(
            sentence.phonemes.length,
          );
          let last = 0;
          for (const { start, end } of sentence.units) {
            expect(start).toBeGreaterThanOrEqual(last);
            expect(end).toBeGreaterThanOrEqual(start);
            expect(end).toBeLessThanOrEqual(text.length);
            last = start;
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
