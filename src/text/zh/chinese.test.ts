import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SymbolVersion } from '../language.js';
import { chinesePhonemes, normalizeChinese } from './chinese.js';
import { resolvePolyphones } from './polyphones.js';
import { segmentWords } from './segmentation.js';

const TEXT = join(process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference'), 'text');

function expectPhonemes(text: string, expected: string, symbols: SymbolVersion = 'v2'): void {
  expect(chinesePhonemes(text, { symbols }).phonemes.join(' ')).toBe(expected);
}

describe('chinesePhonemes', () => {
  it.each([
    ['你好，世界！', 'n i2 h ao3 , sh ir4 j ie4 !'],
    ['中文语音', 'zh ong1 w en2 y v3 y in1'],
    ['一等奖', 'y i1 d eng3 j iang3'],
    ['一千二百', 'y i4 q ian1 EE er4 b ai3'],
    ['慢慢地走', 'm an4 m an4 d e5 z ou3'],
    ['你得去', 'n i3 d ei3 q v4'],
    ['达到目的。', 'd a2 d ao4 m u4 d i4 .'],
    ['安全', 'AA an1 q van2'],
    ['恩爱', 'EE en1 AA ai4'],
    ['嗯', 'EE en1'],
    ['自己知道', 'z i04 j i3 zh ir1 d ao4'],
    ['夜晚烟雨', 'y E4 w an3 y En1 y v3'],
    ['只要￥9', 'zh ir3 y ao4 j iu3 y van2'],
    ['你好￥世界', 'n i2 h ao3 SP2 sh ir4 j ie4'],
    ['你好^世界，好', 'n i2 h ao3 SP3 sh ir4 j ie4 SP3 h ao3'],
  ])('reads %s as %s', (text, expected) => {
    expectPhonemes(text, expected);
  });

  it('merges 儿 in v2 and keeps it apart in v1', () => {
    expectPhonemes('这儿', 'zh e4 EE er4', 'v2');
    expectPhonemes('这儿', 'zh e4 EE er2', 'v1');
  });

  it.each(['', '   ', '😀🎉', 'ABC', '\u0000', '\ud800'])('gives no phonemes for %j', (text) => {
    expect(chinesePhonemes(text, { symbols: 'v2' })).toMatchObject({
      normalizedText: '',
      phonemes: [],
      word2ph: [],
      units: [],
    });
  });

  it('counts the phonemes of every character of the text as read', () => {
    const { normalizedText, phonemes, word2ph } = chinesePhonemes('共3个，好！', { symbols: 'v2' });
    expect(normalizedText).toBe('共三个,好!');
    expect(word2ph).toEqual([2, 2, 2, 1, 2, 1]);
    expect(phonemes).toHaveLength(10);
  });

  it('reads any text without failing, into known symbols, one count per character', () => {
    const known = new Set(JSON.parse(readFileSync(join(TEXT, 'symbols.v2.json'), 'utf8')) as string[]);
    const pieces = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.integer({ min: 0x4e00, max: 0x9fff }).map((code) => String.fromCharCode(code)) }),
      fc.constantFrom(
        '一',
        '不',
        '儿',
        '得',
        '地',
        '重',
        '1',
        '2',
        '.',
        ',',
        '-',
        '~',
        ':',
        '/',
        '%',
        '￥',
        '^',
        'kg',
        '年',
        '月',
        '第',
        '℃',
      ),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const { normalizedText, phonemes, word2ph } = chinesePhonemes(parts.join(''), { symbols: 'v2' });
        expect(normalizedText).toMatch(/^[\u4e00-\u9fa5!?…,.-]*$/);
        expect(word2ph).toHaveLength(normalizedText.length);
        expect((word2ph ?? []).reduce((sum, count) => sum + count, 0)).toBe(phonemes.length);
        expect(phonemes.filter((symbol) => !known.has(symbol))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  // Twice the text may take about twice the time; a pattern that rescans would take four times and minutes at 100,000.
  it.each([
    '1',
    '1.',
    '1,',
    '123,',
    '1+',
    '1:',
    '2024/',
    '3-5',
    '5kg-',
    '010-',
    '一',
    '不',
    '得',
    '重',
    '龘靐',
    '²',
    '...',
    '1万',
  ])('reads a long run of %s in linear time', (unit) => {
    const time = (characters: number): number => {
      const text = unit.repeat(Math.ceil(characters / unit.length));
      // Processor time, which other programs on the machine do not lengthen.
      const start = process.cpuUsage();
      chinesePhonemes(text, { symbols: 'v2' });
      return process.cpuUsage(start).user / 1000;
    };
    time(500);
    const short = time(1000);
    expect(time(4000)).toBeLessThan(12 * short + 200);
  });
});

/** Whether context rules decide any reading of a text. */
function contextDecides(text: string): boolean {
  const segments = normalizeChinese(text).match(/[^!?…,.-]*[!?…,.-]|[^!?…,.-]+$/g) ?? [];
  return segments.some((segment) => resolvePolyphones(segment, segmentWords(segment)).size > 0);
}

describe('golden sentences', () => {
  // What context rules and the Improve list change on purpose is compared by `npm run parity:text`; these rows touch
  // neither: no digits, no Latin, no polyphone that the rules decide.
  it.each(['v1', 'v2'] as const)('are identical in %s where nothing is read better on purpose', (symbols) => {
    const lines = readFileSync(join(TEXT, `zh.${symbols}.jsonl`), 'utf8')
      .trim()
      .split('\n');
    let compared = 0;
    let identical = 0;
    for (const line of lines) {
      const row = JSON.parse(line) as { text: string; phones: string[]; word2ph: number[] };
      if (/[0-9０-９A-Za-z一得地目〇/]/.test(row.text) || contextDecides(row.text)) continue;
      compared++;
      const read = chinesePhonemes(row.text, { symbols });
      if (read.phonemes.join(' ') === row.phones.join(' ') && `${read.word2ph}` === `${row.word2ph}`) identical++;
    }
    expect(compared).toBeGreaterThan(0);
    expect(identical / compared).toBeGreaterThanOrEqual(0.98);
  });
});
