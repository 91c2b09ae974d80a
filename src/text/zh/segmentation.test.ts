import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { splitUnknownWords } from './cutter.js';
import { frequencyOf, getDictionary, tagOf } from './dictionary.js';
import { searchWords, segmentWords } from './segmentation.js';
import { childOf, nodeOf } from './trie.js';

const REFERENCE = process.env['TIMBRE_REFERENCE'] ?? join(process.cwd(), '../shared/reference');

function tagged(text: string): string {
  return segmentWords(text)
    .map(({ word, tag }) => `${word}/${tag}`)
    .join(' ');
}

describe('segmentWords', () => {
  it.each([
    ['我爱北京天安门', '我/r 爱/v 北京/ns 天安门/ns'],
    ['结过婚的和尚未结过婚的', '结过婚/v 的/uj 和/c 尚未/d 结过婚/v 的/uj'],
    ['他来到了网易杭研大厦.', '他/r 来到/v 了/ul 网易/n 杭/j 研/vn 大厦/n ./x'],
    ['好.', '好/a ./m'],
    ['!', '!/x'],
    ['', ''],
  ])('cuts %s', (text, expected) => {
    expect(tagged(text)).toBe(expected);
  });

  it('cuts and tags every segment of the reference traces alike', () => {
    const lines = readFileSync(join(REFERENCE, 'text/zh.trace.jsonl'), 'utf8').trim().split('\n');
    let segments = 0;
    for (const line of lines) {
      const trace = JSON.parse(line) as { segments: { segment: string; cut: [string, string][] }[] };
      for (const { segment, cut } of trace.segments) {
        segments++;
        expect(tagged(segment), segment).toBe(cut.map((pair) => pair.join('/')).join(' '));
      }
    }
    expect(segments).toBeGreaterThan(0);
  });

  it('loses no character of rare and unknown words', () => {
    for (const text of ['龘靐齉爩', '魑魅魍魉彳亍', '张三丰李四光王五', '的的的的的的']) {
      expect(
        segmentWords(text)
          .map(({ word }) => word)
          .join(''),
      ).toBe(text);
    }
  });
});

describe('searchWords', () => {
  it('puts the dictionary words inside a word before it', () => {
    expect(searchWords('纸老虎')).toEqual(['老虎', '纸老虎']);
    expect(searchWords('中国科学院')).toEqual(['中国', '科学', '学院', '科学院', '中国科学院']);
  });

  it('keeps punctuation apart', () => {
    expect(searchWords('一,')).toEqual(['一', ',']);
  });
});

describe('splitUnknownWords', () => {
  it('cuts unknown runs by word position', () => {
    expect(splitUnknownWords('杭研')).toEqual(['杭研']);
    expect(splitUnknownWords('龘').join('')).toBe('龘');
  });
});

describe('the dictionary', () => {
  it('knows frequencies and tags, and 0 and x for what it lacks', () => {
    const dictionary = getDictionary();
    expect(frequencyOf(dictionary, '的')).toBe(318825);
    expect(tagOf(dictionary, '北京')).toBe('ns');
    expect(frequencyOf(dictionary, '龘龘')).toBe(0);
    expect(tagOf(dictionary, '龘龘')).toBe('x');
  });

  it('finds no child over a character outside Han', () => {
    const { trie } = getDictionary();
    expect(childOf(trie, 0, 'a'.charCodeAt(0))).toBe(0);
    expect(nodeOf(trie, '北a')).toBe(0);
  });
});
