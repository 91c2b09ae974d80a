import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spellFormulas } from './formulas.js';
import { textToPhonemes } from './frontend.js';
import { LANGUAGE_MODES, type LanguageMode } from './language.js';
import { SourceText } from './source-text.js';

const spell = (text: string, mode: LanguageMode) => spellFormulas(SourceText.of(text), mode).text;

describe('formulas in single letters', () => {
  it.each<[LanguageMode, string, string]>([
    ['zh', 'y=2x+1', 'Y等于二X加一'],
    ['zh', 'E=mc²', 'E等于M C平方'],
    ['auto', '其中x²+y² = z²。', '其中X平方加Y平方等于Z平方。'],
    ['zh', '设f(x)=ax²+bx+c，则', '设F X等于A X平方加B X加C，则'],
    ['zh', 'x=-3', 'X等于负三'],
    ['yue', 'a³', 'A立方'],
    ['ja', 'x=2y+1とする', 'Xイコール2Yプラス1とする'],
    ['ko', 'y=x²', ' Y  이퀄  X  제곱 '],
    ['en', 'y = 2x + 1', ' Y  equals 2 X  plus 1'],
    ['auto', 'a² + b²', ' A  squared  plus  B  squared '],
  ])('in %s of %s', (mode, written, spoken) => {
    expect(spell(written, mode)).toBe(spoken);
  });

  it.each([
    '面积325m²',
    '100+200=300',
    'https://a.example/x?b=1&c=2',
    'TIMBRE_PORT=9880',
    'C++和A+级',
    'A/B测试',
    'a<b>粗体</b>',
    '>_<',
  ])('are not seen in %s', (written) => {
    expect(spell(written, 'zh')).toBe(written);
  });

  it('keep the places of their letters', async () => {
    const { units } = await textToPhonemes('设y=2x。', { language: 'zh', symbols: 'v2' });
    const x = units.find(({ text }) => /x/i.test(text));
    expect([x?.start, x?.end]).toEqual([4, 5]);
  });

  it('are looked for in any text without failing', () => {
    const parts = fc.array(fc.constantFrom(...'xyE=+-²³()2 .中か가<>/'.split('')), { maxLength: 60 });
    fc.assert(
      fc.property(parts, fc.constantFrom(...LANGUAGE_MODES), (written, mode) => {
        expect(typeof spell(written.join(''), mode)).toBe('string');
      }),
    );
  });
});
