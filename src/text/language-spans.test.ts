import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import type { LanguageMode } from './language.js';
import { languageSpans } from './language-spans.js';

const split = (text: string, mode: LanguageMode = 'zh') =>
  languageSpans(text, mode)
    .map((span) => `${span.language}:${span.text}`)
    .join('|');

describe('language spans', () => {
  it.each([
    ['我在Apple公司上班，每天用MacBook写代码。', 'zh:我在|en:Apple|zh:公司上班，每天用|en:MacBook|zh:写代码。'],
    ['Netflix和YouTube都是视频平台。', 'en:Netflix|zh:和|en:YouTube|zh:都是视频平台。'],
    ['iPhone 15的价格是5999元', 'en:iPhone 15|zh:的价格是5999元'],
    ['Room 1208在12楼。', 'en:Room 1208|zh:在12楼。'],
    ['COVID-19疫情期间', 'en:COVID-19|zh:疫情期间'],
    ['他跑了10km，用时45min。', 'zh:他跑了10km，用时45min。'],
    ['他说：“I will be back.”然后走了', 'zh:他说：“|en:I will be back.”|zh:然后走了'],
    ['“AI”改变了一切。', 'en:“AI”|zh:改变了一切。'],
    ['3', 'zh:3'],
    ['优の品', 'zh:优的品'],
    ['ＡＰＰ１', 'en:APP1'],
  ])('of %s', (text, expected) => {
    expect(split(text)).toBe(expected);
  });

  it('read every number as Chinese in all_zh, and everything as English in en', () => {
    expect(split('iPhone 15的价格', 'all_zh')).toBe('en:iPhone |zh:15的价格');
    expect(split('Room 12, 3rd floor', 'en')).toBe('en:Room 12, 3rd floor');
  });

  it('name the words that no language of the mode reads', () => {
    for (const [text, mode, word] of [
      ['他说ありがとう', 'auto', 'ありがとう'],
      ['안녕하세요', 'zh', '안녕하세요'],
      ['Привет, world', 'en', 'Привет'],
      ['Hello 世界', 'en', '世界'],
    ] as const) {
      expect(() => languageSpans(text, mode)).toThrow(expect.objectContaining({ code: 'LANGUAGE_UNSUPPORTED' }));
      expect(() => languageSpans(text, mode)).toThrow(word);
    }
  });

  it('keep single letters that serve as symbols', () => {
    expect(split('α粒子 (^_^)ノ')).toBe('zh:α粒子 (^_^)ノ');
  });

  it('lose nothing, whatever the text, or say what they cannot read', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(fc.constantFrom(...'中文和a B9,。 -$%10km'.split('')), { maxLength: 40 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, fc.constantFrom<LanguageMode>('auto', 'zh', 'all_zh', 'en'), (input, mode) => {
        try {
          const joined = languageSpans(input, mode)
            .map((span) => span.text)
            .join('');
          expect(joined.normalize('NFKC')).toBe(
            input.replace(/(?<=\p{Script=Han})の(?=\p{Script=Han})/gu, '的').normalize('NFKC'),
          );
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          expect(error.code).toBe('LANGUAGE_UNSUPPORTED');
        }
      }),
      { numRuns: 500 },
    );
  });
});
