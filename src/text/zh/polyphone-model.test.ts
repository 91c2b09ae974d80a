import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chinesePhonemes } from './chinese.js';
import { SentenceContext } from './polyphone-model.js';
import { spell } from './syllables.js';

describe('the model of the sentence', () => {
  it.each([
    ['海蜇每斤二十元。', '蜇', 'zhe2'],
    ['学前教育是藉由学校实施的。', '藉', 'jie4'],
    ['李源，直隶蔚州人，是一名政治人物。', '蔚', 'yu4'],
    ['他叫张晟，是个演员。', '晟', 'sheng4'],
    ['吧主试图以删帖抵挡进攻。', '帖', 'tie3'],
  ])('reads in %s the character %s as %s, which neither words nor rules decide', (text, character, reading) => {
    const unit = chinesePhonemes(text, { symbols: 'v2' }).units.find(({ text: written }) => written === character);
    expect(unit).toMatchObject({ reading, rule: 'context' });
  });

  it.each([
    ['理发店开始发放优惠券。', ['fa4', 'fa1']],
    ['银行的行长行动起来。', ['hang2', 'hang2', 'xing2']],
  ])('leaves what words and rules know to them: %s', (text, readings) => {
    const characters = '发行';
    const { units } = chinesePhonemes(text, { symbols: 'v2' });
    expect(units.filter((unit) => characters.includes(unit.text)).map(({ reading }) => reading)).toEqual(readings);
  });

  it('answers for any text, and only for characters of several readings', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), fc.nat(40), (text, at) => {
        const answer = new SentenceContext(text).readingAt(at);
        if (answer !== undefined) expect(spell(answer.reading)).toMatch(/^[a-z]+[1-5]$/);
      }),
      { numRuns: 100 },
    );
    expect(new SentenceContext('你好').readingAt(0)).toBeUndefined();
  });

  it('reads a long text window by window, as it reads a short one', () => {
    const sentence = '海蜇每斤二十元。';
    const context = new SentenceContext(sentence.repeat(2_000));
    const alone = new SentenceContext(sentence).readingAt(1);
    expect(context.readingAt(sentence.length * 20 + 1)?.reading).toBe(alone?.reading);
  });
});
