import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SourceText } from '../source-text.js';
import { phonemeIds, symbolTable } from '../symbols.js';
import { cantonesePhonemes } from './cantonese.js';
import { readJyutping } from './jyutping.js';
import { normalizeCantonese, spokenCantonese } from './normalization.js';
import { jyutpingPhonemes } from './phonemes.js';

const TEXT = join(process.env.TIMBRE_REFERENCE ?? '../shared/reference', 'text');
const jyutping = (text: string) =>
  readJyutping(text)
    .map(({ syllables }) => syllables.join('+'))
    .join(' ');
const spoken = (text: string) => cantonesePhonemes(text, { asSpoken: true }).phonemes.join(' ');

describe('readJyutping', () => {
  it.each([
    ['银行行人', 'ngan4 hong4 hang4 jan4'],
    ['部长长大', 'bou6 zoeng2 zoeng2 daai6'],
    ['食饭未呀', 'sik6 faan6 mei6 aa3'],
    ['卅年', 'saa1+aa6 nin4'],
    ['搭𨋢', 'daap3 lip1'],
    ['a你', ' nei5'],
    ['', ''],
  ])('reads %s as "%s"', (text, expected) => {
    expect(jyutping(text)).toBe(expected);
  });
});

describe('jyutpingPhonemes', () => {
  it.each([
    ['nei5', 'Yn', 'Yei5'],
    ['gwok3', 'Ygw', 'Yok3'],
    ['ngo5', 'Yng', 'Yo5'],
    ['aa3', 'Yaa', 'Ya3'],
    ['aai1', 'Yaa', 'Yi1'],
    ['uk1', 'Yuk', 'Yk1'],
    ['m4', 'Ym', 'Ym4'],
    ['ng5', 'Yng', 'Yg5'],
    // the symbol table has tones of these finals, but not the bare vowel
    ['ung2', 'UNK', 'Yg2'],
  ])('parts %s into %s and %s', (syllable, initial, final) => {
    expect(jyutpingPhonemes(syllable)).toEqual([initial, final]);
  });
});

describe('words of our own', () => {
  it.each([
    ['星期二下晝', 'sing1 kei4 ji6 haa6 zau3'],
    ['行長好客氣', 'hong4 zoeng2 hou2 haak3 hei3'],
    ['銀行長期', 'ngan4 hong4 coeng4 kei4'],
    ['影嘅相', 'jing2 ge3 soeng2'],
  ])('in %s are %s', (text, syllables) => {
    const { units } = cantonesePhonemes(text, { asSpoken: true });
    expect(units.map(({ reading }) => reading).join(' ')).toBe(syllables);
  });
});

describe('Cantonese normalisation', () => {
  it.each([
    ['今日係2024年5月20日，星期一。', '今日系二零二四年五月二十日,星期一.'],
    ['架巴士朝早7:30開，8:15到。', '架巴士朝早七点半开,八点十五分到.'],
    ['第2個問題', '第二个问题'],
    ['吓？！你講真㗎？', '吓?!你讲真?'],
    ['「唔好嘈！」等陣……唉～', '唔好嘈!等阵……唉-'],
    ['我send個email', '我个'],
  ])('reads %s as the reference does: %s', (text, expected) => {
    expect(normalizeCantonese(SourceText.of(text)).text).toBe(expected);
  });

  it.each([
    ['呢對鞋要399蚊，平時賣1,598蚊。', '呢對鞋要三百九十九蚊,平時賣一千五百九十八蚊.'],
    ['2蚊一個，10-20蚊一打', '兩蚊一個,十至二十蚊一打'],
    ['售價$50，HK$1,280', '售價五十元,港幣一千二百八十元'],
    ['平均$3-$5，樓價$500萬', '平均三至五元,樓價五百萬元'],
    ['US$50', '五十美元'],
    ['行咗12.5km，重2kg', '行咗十二点五公里,重两公斤'],
    ['請打2888-1234', '請打二八八八,一二三四'],
    ['升312點，糖2茶匙', '升三百一十二點,糖两茶匙'],
    ['血壓135/85', '血壓一百三十五,八十五'],
    ['打成2-2', '打成二比二'],
    ['電話21234567', '電話二一二三四五六七'],
    ['搭𨋢上18樓㗎', '搭𨋢上十八樓㗎'],
    ['佢2024年得3隻狗，50%係隻隻都肥', '佢二零二四年得三隻狗,百分之五十係隻隻都肥'],
  ])('says %s as %s', (text, expected) => {
    expect(spokenCantonese(SourceText.of(text)).text).toBe(expected);
  });
});

describe('cantonesePhonemes', () => {
  it('aligns phonemes with characters, marks counting one', () => {
    expect(cantonesePhonemes('你好，唔該！')).toMatchObject({
      normalizedText: '你好,唔该!',
      phonemes: ['Yn', 'Yei5', 'Yh', 'You2', ',', 'Ym', 'Ym4', 'Yg', 'Yoi1', '!'],
      word2ph: [2, 2, 1, 2, 2, 1],
    });
  });

  it.each([
    ['隻狗', 'Yz Yek3 Yg Yau2'],
    ['三只狗', 'Ys Yaam1 Yz Yek3 Yg Yau2'],
    ['有幾多', 'Yj Yau5 Yg Yei2 Yd Yo1'],
    ['好几年', 'Yh You2 Yg Yei2 Yn Yin4'],
    ['楼价', 'Yl Yau4 Yg Yaa3'],
    ['請問', 'Yc Ying2 Ym Yan6'],
    ['請食飯', 'Yc Yeng2 Ys Yik6 Yf Yaan6'],
    ['為咗你', 'Yw Yai6 Yz Yo2 Yn Yei5'],
    ['为每日', 'Yw Yai4 Ym Yui5 Yj Yat6'],
    ['嚟㗎', 'Yl Yai4 Yg Yaa3'],
  ])('says %s as %s', (text, expected) => {
    expect(spoken(text)).toBe(expected);
  });

  it('gives the phonemes and alignment of every golden sentence without digits or Latin letters', () => {
    const rows = readFileSync(join(TEXT, 'yue.v2.jsonl'), 'utf8').trim().split('\n');
    let compared = 0;
    for (const line of rows) {
      const row = JSON.parse(line) as { text: string; norm_text: string; phone_ids: number[]; word2ph: number[] };
      if (/[0-9A-Za-z]/.test(row.text)) continue;
      compared++;
      const read = cantonesePhonemes(row.text);
      expect(read.normalizedText).toBe(row.norm_text);
      expect(phonemeIds(read.phonemes, 'v2')).toEqual(row.phone_ids);
      expect(read.word2ph).toEqual(row.word2ph);
    }
    expect(compared).toBeGreaterThan(0);
  });

  it('reads any text without failing, into known symbols, one count per character', () => {
    const known = new Set(symbolTable('v2'));
    const pieces = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
      fc.constantFrom(...'隻幾請為只𨋢㗎卅蚊$-~～…！。，1200.%年月第'),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), fc.boolean(), (parts, asSpoken) => {
        const { normalizedText, phonemes, word2ph } = cantonesePhonemes(parts.join(''), { asSpoken });
        expect(normalizedText).toMatch(/^[\p{Script=Han}!?…,.-]*$/u);
        expect(word2ph).toHaveLength([...normalizedText].length);
        expect((word2ph ?? []).reduce((sum, count) => sum + count, 0)).toBe(phonemes.length);
        expect(phonemes.filter((symbol) => !known.has(symbol))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it.each(['9', '9蚊', '$9', '1-', '幾', '隻只', '請', '龘', '公里', '9km', '…', '😀', '12:'])(
    'reads a long run of %s in linear time',
    (unit) => {
      const time = (characters: number): number => {
        const text = unit.repeat(Math.ceil(characters / unit.length));
        // Processor time, which other programs on the machine do not lengthen.
        const start = process.cpuUsage();
        cantonesePhonemes(text, { asSpoken: true });
        return process.cpuUsage(start).user / 1000;
      };
      time(500);
      const short = time(2000);
      expect(time(16_000)).toBeLessThan(24 * short + 300);
    },
  );
});
