import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyErhua } from './erhua.js';
import { segmentWords } from './segmentation.js';
import { isPhrase, readWord, spell, syllable, symbolsOf, toneOf, withTone } from './syllables.js';
import { applySandhi, mergeForSandhi } from './tone-sandhi.js';
import { toneOfYi } from './yi-tone.js';

const TEXT = join(process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference'), 'text');

/** The syllables of a text after sandhi alone, without context rules. */
function sandhi(text: string): string {
  return mergeForSandhi(segmentWords(text))
    .flatMap(({ word, tag }) => applySandhi(word, tag, readWord(word)))
    .map(spell)
    .join(' ');
}

describe('tone sandhi', () => {
  it.each([
    ['不怕', 'bu2 pa4'],
    ['不好', 'bu4 hao3'],
    ['看不懂', 'kan4 bu5 dong3'],
    ['一天', 'yi4 tian1'],
    ['一定', 'yi2 ding4'],
    ['看一看', 'kan4 yi5 kan4'],
    ['第一次', 'di4 yi1 ci4'],
    ['一百', 'yi4 bai3'],
    ['你好', 'ni2 hao3'],
    ['老虎', 'lao2 hu3'],
    ['纸老虎', 'zhi3 lao2 hu3'],
    ['展览馆', 'zhan2 lan2 guan3'],
    ['所有人', 'suo2 you3 ren2'],
    ['奶奶', 'nai3 nai5'],
    ['我们', 'wo3 men5'],
    ['桌子', 'zhuo1 zi5'],
    ['量子', 'liang4 zi3'],
    ['东西', 'dong1 xi5'],
    ['三个', 'san1 ge5'],
    ['桌上', 'zhuo1 shang5'],
    ['出去', 'chu1 qu5'],
    ['走吧', 'zou3 ba5'],
    ['他的', 'ta1 de5'],
    ['洗脸水', 'xi2 lian2 shui3'],
    ['总统府', 'zong2 tong2 fu3'],
    ['雨伞', 'yu2 san3'],
    ['老板娘', 'lao2 ban3 niang2'],
    ['不错', 'bu2 cuo4'],
    ['一碗', 'yi4 wan3'],
    ['想想', 'xiang2 xiang3'],
  ])('reads %s as %s', (text, expected) => {
    expect(sandhi(text)).toBe(expected);
  });

  it('merges and changes every case of the reference list alike', () => {
    const rows = readFileSync(join(TEXT, 'zh_tone_sandhi.jsonl'), 'utf8').trim().split('\n');
    expect(rows.length).toBeGreaterThan(0);
    for (const line of rows) {
      const row = JSON.parse(line) as {
        text: string;
        merged: [string, string][];
        words: { word: string; pos: string; final: string[] }[];
      };
      const merged = mergeForSandhi(segmentWords(row.text));
      expect(merged.map(({ word, tag }) => [word, tag])).toEqual(row.merged);
      const read = merged.map(({ word, tag }) => applyErhua(word, tag, applySandhi(word, tag, readWord(word))));
      const tones = read.map((syllables) => syllables.map((code) => (code < 0 ? spell(code) : String(toneOf(code)))));
      const expected = row.words.map(({ final }) => final.map((written) => written.at(-1)));
      // the reference has two syllables in 小猫儿, which nobody says
      if (row.text === '小猫儿') expected[0] = ['3', '1', '1'];
      expect(tones, row.text).toEqual(expected);
    }
  });
});

describe('erhua', () => {
  const read = (word: string, tag = 'n') => applyErhua(word, tag, readWord(word)).map(spell).join(' ');
  it('gives 儿 the tone before it', () => {
    expect(read('这儿', 'r')).toBe('zhe4 er4');
    expect(read('小院儿')).toBe('xiao3 yuan4 er4');
    expect(read('冰棍儿')).toBe('bing1 gun4 er4');
  });

  it('leaves 儿 a syllable of its own where it means a child or names a creature', () => {
    expect(read('女儿')).toBe('nv3 er2');
    expect(read('鸟儿')).toBe('niao3 er2');
  });

  it('colours the syllable before it in the middle of a word too', () => {
    expect(read('馅儿饼')).toBe('xian4 er4 bing3');
    expect(read('玩儿命', 'v')).toBe('wan2 er2 ming4');
    expect(read('片儿警')).toBe('pian1 er1 jing3');
    expect(read('份儿饭')).toBe('fen4 er4 fan4');
  });

  it('keeps a child a child in the middle of a word', () => {
    expect(read('婴儿车')).toBe('ying1 er2 che1');
    expect(read('幼儿园')).toBe('you4 er2 yuan2');
    expect(read('女儿国')).toBe('nv3 er2 guo2');
    expect(read('小儿科')).toBe('xiao3 er2 ke1');
    expect(read('少儿频道')).toBe('shao4 er2 pin2 dao4');
  });

  it('colours the name of a small creature', () => {
    expect(read('小猫儿')).toBe('xiao3 mao1 er1');
    expect(read('小鸟儿')).toBe('xiao3 niao3 er3');
    expect(read('猫儿')).toBe('mao1 er2');
    expect(read('小女儿')).toBe('xiao3 nv3 er2');
  });

  it('leaves words without 儿 alone', () => {
    expect(read('耳朵')).toBe(readWord('耳朵').map(spell).join(' '));
  });
});

describe('the tone of 一', () => {
  it.each([
    ['一月一日', 0, 1],
    ['一月一日', 2, 1],
    ['十一月', 1, 1],
    ['一号线', 0, 1],
    ['一等奖', 0, 1],
    ['一年级', 0, 1],
    ['一级建造师', 0, 1],
    ['高一级', 1, undefined],
    ['一线城市', 0, 1],
    ['一线生机', 0, undefined],
    ['第一名', 1, 1],
    ['周一上午', 1, 1],
    ['高一新生', 1, 1],
    ['一九九八年', 0, 1],
    ['二零二一年', 3, 1],
    ['一五一十', 0, undefined],
    ['一五一十', 2, undefined],
    ['统一标准', 1, 1],
    ['万一出事', 1, 1],
    ['两万一千', 2, 4],
    ['一万一千一百', 2, 4],
    ['一万一千一百', 4, 4],
    ['三亿一万', 2, 2],
    ['零点五三二一元', 5, 1],
    ['百分之四点一到百分之五', 5, 1],
    ['四十二点一九五', 4, 1],
    ['三点一起走', 2, undefined],
    ['八点一刻', 2, undefined],
    ['三比一逆转', 2, 1],
    ['一千元', 0, 4],
    ['一百元', 0, 4],
    ['一万元', 0, 2],
    ['一亿', 0, 2],
    ['二千一百', 2, 4],
    ['一个', 0, undefined],
    ['二个', 0, undefined],
  ])('in %s at %i is %s', (text, at, tone) => {
    expect(toneOfYi(text, at)).toBe(tone);
  });
});

describe('syllables', () => {
  it('have the symbols of the reference table', () => {
    const table = JSON.parse(readFileSync(join(TEXT, 'opencpop_pinyin_phones.json'), 'utf8')) as Record<
      string,
      string[]
    >;
    let compared = 0;
    for (const [pinyin, [initial, final]] of Object.entries(table)) {
      if (pinyin === 'yo') continue; // upstream never gets there: its 哟 is o
      let code: number;
      try {
        code = syllable(`${pinyin}1`);
      } catch {
        continue; // spellings such as jv that the reading tables do not use
      }
      compared++;
      expect(symbolsOf(code), pinyin).toEqual([initial, `${final}1`]);
    }
    expect(compared).toBeGreaterThan(390);
  });

  it('keep punctuation as it is', () => {
    const [comma = 0] = readWord(',');
    expect([toneOf(comma), withTone(comma, 5), spell(comma)]).toEqual([0, comma, ',']);
  });

  it('refuse what is no pinyin', () => {
    expect(() => syllable('xyz1')).toThrow('is not a syllable');
  });

  it('follow the phrase table before single characters', () => {
    expect(readWord('重庆').map(spell)).toEqual(['chong2', 'qing4']);
    expect(readWord('重').map(spell)).toEqual(['zhong4']);
    expect([isPhrase('重庆'), isPhrase('庆重')]).toEqual([true, false]);
  });
});
