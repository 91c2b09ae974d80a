import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunk30, chunkText } from './chunks.js';
import { SPLIT_METHODS, splitSentences } from './sentences.js';

describe('splitSentences', () => {
  it('gives a short opening a pause, joins short pieces and ends each sentence in a mark', () => {
    expect(splitSentences('好，开始。', { method: 'cut0', language: 'zh' })).toEqual(['。好，开始。']);
    expect(splitSentences('今天天气很好，我们一起走吧', { method: 'cut5', language: 'zh' })).toEqual([
      '今天天气很好，',
      '我们一起走吧。',
    ]);
    expect(splitSentences('Hello there. All is well', { method: 'cut4', language: 'en' })).toEqual([
      'Hello there.',
      ' All is well.',
    ]);
  });

  it('keeps streaming pieces with their closing marks within 30 characters', () => {
    const text =
      '人工智能是计算机科学的一个分支它企图了解智能的实质并生产出一种新的能以人类智能相似的方式做出反应的智能机器';
    const pieces = splitSentences(text, { method: 'chunk30', language: 'zh' });
    expect(pieces.every((piece) => [...piece].length <= 30)).toBe(true);
    expect(pieces.slice(0, -1).every((piece) => piece.endsWith('，'))).toBe(true);
    expect(pieces.at(-1)).toMatch(/。$/);
  });

  it.each([
    ['', 'TEXT_EMPTY'],
    [' \n\t ', 'TEXT_EMPTY'],
    ['😂😂😂', 'TEXT_UNREADABLE'],
    ['\u0000\u200b', 'TEXT_UNREADABLE'],
    ['。。。！？', 'TEXT_UNREADABLE'],
  ])('refuses %j with %s', (text, code) => {
    for (const method of SPLIT_METHODS) {
      expect(() => splitSentences(text, { method, language: 'zh' })).toThrow(expect.objectContaining({ code }));
    }
  });

  it('refuses words of a script that cannot be read before any sentence is spoken', () => {
    const text = '今天天气很好。안녕하세요。';
    expect(() => splitSentences(text, { method: 'cut5', language: 'zh' })).toThrow(
      expect.objectContaining({ code: 'LANGUAGE_UNSUPPORTED' }),
    );
  });

  it('takes a text of 100,000 characters at once', () => {
    const text = '今天天气很好，我们去公园。It costs 3.5 dollars! '.repeat(3000).slice(0, 100_000);
    for (const method of SPLIT_METHODS) {
      expect(splitSentences(text, { method, language: 'auto' }).length).toBeGreaterThan(0);
    }
  });
});

describe('chunk30', () => {
  const words = fc.constantFrom(
    ...[
      '今天',
      '天气',
      '好',
      '，',
      '。',
      '！',
      'Hello',
      'world',
      ' ',
      '3.14',
      '2024-05-20',
      'Dr.',
      '$1,234.50',
      '😂',
      '“',
      '”',
      '\n',
      '、',
      'state-of-the-art',
    ],
  );

  it('loses nothing, stays within 30 characters, and cuts no number or Latin word', () => {
    fc.assert(
      fc.property(fc.array(words, { maxLength: 60 }), (parts) => {
        // Without white space between them, words and numbers would be one endless token.
        const text = parts.join(' ');
        const pieces = chunk30(text);
        expect(pieces.join('').replace(/\s/g, '')).toBe(text.replace(/\s/g, ''));
        for (const piece of pieces) expect([...piece].length, piece).toBeLessThanOrEqual(30);
        for (const token of parts.filter((part) => /^[A-Za-z0-9$.,-]+$/.test(part))) {
          const inPieces = pieces.reduce((sum, piece) => sum + piece.split(token).length - 1, 0);
          expect(inPieces, token).toBeGreaterThanOrEqual(parts.filter((part) => part === token).length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('keeps a word of more than 30 letters whole, and cuts addresses at their joints', () => {
    const word = 'Pneumonoultramicroscopicsilicovolcanoconiosis';
    expect(chunk30(`这个词${word}很长。`)).toContain(word);
    for (const piece of chunk30('https://www.example.com/some/very/long/path/index.html?page=1')) {
      expect(piece.length).toBeLessThanOrEqual(30);
    }
    expect(chunk30('x'.repeat(1000)).every((piece) => piece.length <= 60)).toBe(true);
  });

  it('keeps Korean words whole and ends their sentences', () => {
    const text =
      '오늘 오전 10시 30분부터 서울특별시 강남구에 있는 본사 회의실에서 3.5시간 동안 회의했어요.그래서 iPhone을 껐습니다.';
    const words = new Set(text.split(/(?<=\.)(?=\p{L})|\s/u));
    const pieces = chunk30(text);
    expect(
      pieces
        .join(' ')
        .split(' ')
        .filter((word) => !words.has(word)),
    ).toEqual([]);
    expect(pieces.at(-1)).toBe('그래서 iPhone을 껐습니다.');
  });

  it('does not end a sentence at an abbreviation, an initial, or a list number', () => {
    expect(chunk30('Dr. Smith met J. K. Rowling.')).toEqual(['Dr. Smith met J. K. Rowling.']);
    expect(chunk30('1. 请勿吸烟。')).toEqual(['1. 请勿吸烟。']);
  });

  it('says which pieces end a sentence', () => {
    const chunks = chunkText('The quick brown fox jumps over the lazy dog again. Yes, it does that.', 30);
    expect(chunks.map((chunk) => chunk.endsSentence)).toEqual([false, true, true]);
  });
});
