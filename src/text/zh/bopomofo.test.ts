import { describe, expect, it } from 'vitest';
import { pinyinOf } from './bopomofo.js';

describe('bopomofo', () => {
  it.each([
    ['ㄏㄤ2', 'hang2'],
    ['ㄒㄧㄥ2', 'xing2'],
    ['ㄓ1', 'zhi1'],
    ['ㄙ4', 'si4'],
    ['ㄖ4', 'ri4'],
    ['ㄉㄨㄟ4', 'dui4'],
    ['ㄌㄧㄡ2', 'liu2'],
    ['ㄉㄨㄥ4', 'dong4'],
    ['ㄍㄨㄣ3', 'gun3'],
    ['ㄌㄩ4', 'lv4'],
    ['ㄋㄩㄝ4', 'nve4'],
    ['ㄐㄩㄢ3', 'juan3'],
    ['ㄒㄩㄥ2', 'xiong2'],
    ['ㄩㄥ3', 'yong3'],
    ['ㄩ4', 'yu4'],
    ['ㄩㄝ4', 'yue4'],
    ['ㄧㄡ3', 'you3'],
    ['ㄧㄥ1', 'ying1'],
    ['ㄨㄟ4', 'wei4'],
    ['ㄨㄥ1', 'weng1'],
    ['ㄨ4', 'wu4'],
    ['ㄦ2', 'er2'],
    ['ㄉㄜ5', 'de5'],
    ['lu:4', 'lv4'],
    ['nu:e4', 'nve4'],
    ['hang2', 'hang2'],
    ['ㄅ1', undefined],
    ['ㄏㄤ', undefined],
    ['', undefined],
  ])('%s is %s', (written, pinyin) => {
    expect(pinyinOf(written)).toBe(pinyin);
  });
});
