import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { languagePhonemes, textToPhonemes } from './frontend.js';
import { LANGUAGE_MODES } from './language.js';

describe('textToPhonemes', () => {
  it('reads Chinese and English in one sentence, with an alignment for the Chinese', async () => {
    const sentence = await textToPhonemes('我在Apple公司上班。', { language: 'auto', symbols: 'v2' });
    expect(sentence.segments.map((segment) => segment.language)).toEqual(['zh', 'en', 'zh']);
    expect(sentence.phonemes.join(' ')).toBe('w o3 z ai4 AE1 P AH0 L g ong1 s i01 sh ang4 b an1 .');
    expect(sentence.phonemeIds).toHaveLength(sentence.phonemes.length);
    for (const { word2ph, phonemes, normalizedText } of sentence.segments) {
      if (word2ph === null) continue;
      expect(word2ph).toHaveLength([...normalizedText].length);
      expect(word2ph.reduce((a, b) => a + b, 0)).toBe(phonemes.length);
    }
  });

  it('puts a full stop in front of a text under six phonemes', async () => {
    const sentence = await textToPhonemes('你好', { language: 'zh', symbols: 'v1' });
    expect(sentence.phonemes).toEqual(['.', 'n', 'i2', 'h', 'ao3']);
  });

  it.each([
    ['and', 'en', '. AH0 N D'],
    ['3', 'zh', '. s an1'],
    ['10000', 'zh', '. y i2 w an4'],
    ['5', 'en', '. F AY1 V'],
  ] as const)('does not make %s a decimal or an address with it', async (text, language, spoken) => {
    const sentence = await textToPhonemes(text, { language, symbols: 'v2' });
    expect(sentence.phonemes.join(' ')).toBe(spoken);
  });

  it('reads Cantonese as it is written, where the step of the reference alone does as the reference', async () => {
    const sentence = await textToPhonemes('佢話email寄咗3隻㗎。', { language: 'yue', symbols: 'v2' });
    expect(sentence.segments.map(({ language, normalizedText }) => `${language}:${normalizedText}`)).toEqual([
      'yue:佢話',
      'en:email',
      'yue:寄咗三隻㗎.',
    ]);
    expect(sentence.phonemes.join(' ')).toContain('Ys Yaam1 Yz Yek3 Yg Yaa3 .');
    const step = await languagePhonemes('3隻㗎', { language: 'yue', symbols: 'v2' });
    expect(step.phonemes.join(' ')).toBe('Ys Yaam1 Yz Yi2');
  });

  it('reads Korean beside English and Chinese, without an alignment', async () => {
    const sentence = await textToPhonemes('오늘 meeting, 谢谢', { language: 'auto', symbols: 'v2' });
    expect(sentence.segments.map(({ language, word2ph }) => `${language} ${word2ph !== null}`)).toEqual([
      'ko false',
      'en false',
      'zh true',
    ]);
    expect(sentence.phonemes.slice(0, 5)).toEqual(['ㅇ', 'ㅗ', 'ㄴ', 'ㅡ', 'ㄹ']);
  });

  it('says so when Korean has no sound for anything in the text', async () => {
    await expect(textToPhonemes('你好', { language: 'ko', symbols: 'v2' })).rejects.toMatchObject({
      code: 'TEXT_UNREADABLE',
    });
  });

  it.each([
    ['你好', 'yue'],
    ['3시', 'all_ko'],
  ] as const)('refuses %s in %s with v1 symbols', async (text, language) => {
    await expect(textToPhonemes(text, { language, symbols: 'v1' })).rejects.toMatchObject({
      code: 'LANGUAGE_UNSUPPORTED',
      message: expect.stringContaining('v1'),
    });
  });

  it.each([
    ['', 'TEXT_EMPTY'],
    ['🎉🎉', 'TEXT_UNREADABLE'],
    ['\u0007\u0000', 'TEXT_UNREADABLE'],
    ['Привет', 'LANGUAGE_UNSUPPORTED'],
  ])('refuses %j with %s', async (text, code) => {
    await expect(textToPhonemes(text, { language: 'auto', symbols: 'v2' })).rejects.toMatchObject({ code });
  });

  it('never fails otherwise, on any text', async () => {
    const modes = fc.constantFrom(...LANGUAGE_MODES);
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 50 }),
      fc
        .array(fc.constantFrom(..."中不一两，。3.50%$km aBTHe'-😂é~한글㗎のカ駅ー".split('')), { maxLength: 40 })
        .map((p) => p.join('')),
    );
    await fc.assert(
      fc.asyncProperty(text, modes, fc.constantFrom('v1' as const, 'v2' as const), async (input, language, symbols) => {
        try {
          const sentence = await textToPhonemes(input, { language, symbols });
          const size = symbols === 'v1' ? 322 : 732;
          expect(sentence.phonemeIds.every((id) => id >= 0 && id < size)).toBe(true);
          for (const { word2ph, phonemes } of sentence.segments) {
            if (word2ph) expect(word2ph.reduce((a, b) => a + b, 0)).toBe(phonemes.length);
          }
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          expect(['TEXT_EMPTY', 'TEXT_UNREADABLE', 'LANGUAGE_UNSUPPORTED']).toContain(error.code);
        }
      }),
      { numRuns: 150 },
    );
  });

  it.each([
    ['zh', '好'],
    ['en', 'a'],
    ['ja', 'あ'],
    ['ko', '가'],
    ['yue', '佢'],
  ] as const)('reads a word of 10,000 characters in %s', async (language, letter) => {
    const { units } = await textToPhonemes(letter.repeat(10_000), { language, symbols: 'v2' });
    expect(units.at(-1)?.end).toBe(10_000);
  });

  it('passes over marks of direction and lone surrogates, in the middle of words too', async () => {
    const read = async (text: string) => (await textToPhonemes(text, { language: 'auto', symbols: 'v2' })).phonemes;
    for (const mark of ['\u200e', '\u200f', '\u202e', '\u2066', '\u2069', '\u061c']) {
      expect(await read(`今天${mark}天气很好`)).toEqual(await read('今天天气很好'));
    }
    expect(await read('今天天气\ud800，很好')).toEqual(await read('今天天气 ，很好'));
  });
});
