import { describe, expect, it } from 'vitest';
import { cardinal, decimal, digitByDigit } from './numbers.js';

describe('cardinal', () => {
  it.each([
    ['0', '零'],
    ['000', '零'],
    ['', ''],
    ['7', '七'],
    ['10', '十'],
    ['11', '十一'],
    ['20', '二十'],
    ['100', '一百'],
    ['101', '一百零一'],
    ['110', '一百一十'],
    ['1001', '一千零一'],
    ['1010', '一千零一十'],
    ['1100', '一千一百'],
    ['10000', '一万'],
    ['10010', '一万零一十'],
    ['100200', '十万零二百'],
    ['123456', '十二万三千四百五十六'],
    ['1000000', '一百万'],
    ['100000000', '一亿'],
    ['1411750000', '十四亿一千一百七十五万'],
    ['007', '七'],
    ['12345678901234567', '一二三四五六七八九零一二三四五六七'],
  ])('reads %s as %s', (digits, spoken) => {
    expect(cardinal(digits)).toBe(spoken);
  });
});

describe('decimal', () => {
  it.each([
    ['3.14', '三点一四'],
    ['3.20', '三点二零'],
    ['1.500', '一点五零'],
    ['0.5', '零点五'],
    ['.5', '零点五'],
    ['100.01', '一百点零一'],
    ['12', '十二'],
    ['1.0', '一点零'],
  ])('reads %s as %s', (number, spoken) => {
    expect(decimal(number)).toBe(spoken);
  });
});

describe('digitByDigit', () => {
  it('says 幺 for 一 in telephone numbers and codes', () => {
    expect(digitByDigit('1208')).toBe('一二零八');
    expect(digitByDigit('1208', { yao: true })).toBe('幺二零八');
  });
});
