import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkText, type TextChunk } from './chunks.js';
import { Segmenter } from './segmenter.js';

const PARTS = [
  ...[
    '今天',
    '天气',
    '好',
    '银行',
    '，',
    '。',
    '！',
    '？',
    '…',
    '：',
    '；',
    '”',
    '“',
    '、',
    '9：30',
    '3.14',
    '1,234.50',
    '1',
    '2.',
  ],
  ...[
    'Hello',
    'world',
    'state-of-the-art',
    'Dr.',
    'a.m.',
    '$5',
    '.',
    ',',
    '!',
    '?',
    '-',
    "'",
    ' ',
    '  ',
    '\n',
    'é',
    '😂',
  ],
  ...['한국어', '문장', '<break time="1s"/>', '行[hang2]', '[', '<', 'https://example.com/a?b=1'],
];
const text = fc.array(fc.constantFrom(...PARTS), { maxLength: 60 }).map((parts) => parts.join(''));

function pushAll(segmenter: Segmenter, pieces: readonly string[]): TextChunk[] {
  return [...pieces.flatMap((piece) => segmenter.push(piece)), ...segmenter.end()];
}

function cutAt(whole: string, cuts: readonly number[]): string[] {
  const borders = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
  return borders.slice(1).map((border, i) => whole.slice(borders[i], border));
}

describe('Segmenter', () => {
  it('gives the same chunks however the text comes in pieces', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 12 }), (whole, cuts) => {
        const at = pushAll(new Segmenter(), [whole]);
        expect(pushAll(new Segmenter(), cutAt(whole, cuts))).toEqual(at);
        expect(pushAll(new Segmenter(), whole.split(''))).toEqual(at);
      }),
      { numRuns: 300 },
    );
  });

  it('gives what cutting the whole text at once gives, where the first chunk is not made small', () => {
    fc.assert(
      fc.property(text, (whole) => {
        const segmenter = new Segmenter({ maxLength: 30, smallFirst: false });
        expect(pushAll(segmenter, whole.split(''))).toEqual(chunkText(whole, 30));
      }),
      { numRuns: 300 },
    );
  });

  it('loses nothing, and its chunks say where they stand', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 12 }), (whole, cuts) => {
        const chunks = pushAll(new Segmenter(), cutAt(whole, cuts));
        expect(
          chunks
            .map((chunk) => chunk.text)
            .join('')
            .replace(/\s/g, ''),
        ).toBe(whole.replace(/\s/g, ''));
        for (const chunk of chunks) expect(whole.slice(chunk.start, chunk.end)).toBe(chunk.text);
      }),
      { numRuns: 300 },
    );
  });

  it('gives a sentence when the next word begins, not before', () => {
    const segmenter = new Segmenter();
    const given = [...'He paid 3.5 dollars to Dr. Smith. Then he left. '].map((letter) => segmenter.push(letter));
    const at = given.findIndex((chunks) => chunks.length > 0);
    expect(given[at]?.map((chunk) => chunk.text)).toEqual(['He paid 3.5 dollars to Dr. Smith.']);
    expect(at).toBeLessThanOrEqual('He paid 3.5 dollars to Dr. Smith. Then h'.length);
    expect(segmenter.end().map((chunk) => chunk.text)).toEqual(['Then he left.']);
  });

  it('makes the first chunk small at a clause mark, and only the first', () => {
    const sentence = '今天下午我们去公园散步，然后一起去吃饭，最后再回家看书。';
    const chunks = pushAll(new Segmenter(), [sentence, sentence]);
    expect(chunks.map(({ text: said, endsSentence }) => [said, endsSentence])).toEqual([
      ['今天下午我们去公园散步，', false],
      ['然后一起去吃饭，最后再回家看书。', true],
      [sentence, true],
    ]);
  });

  it('gives at a deadline what breaks no word or number, and keeps the rest', () => {
    const segmenter = new Segmenter();
    expect(segmenter.push('The price is about 3.')).toEqual([]);
    expect(segmenter.deadline().map((chunk) => [chunk.text, chunk.endsSentence])).toEqual([
      ['The price is about', false],
    ]);
    expect(segmenter.pending).toBe(2);
    segmenter.push('5 euros, they sa');
    expect(segmenter.deadline().map((chunk) => chunk.text)).toEqual(['3.5 euros,']);
    expect(segmenter.end().map((chunk) => [chunk.text, chunk.start])).toEqual([['they sa', 30]]);
    const chinese = new Segmenter();
    chinese.push('我在中国工商银行');
    expect(chinese.deadline().map((chunk) => chunk.text)).toEqual(['我在中国工商']);
  });

  it('never cuts a tag, a reading in brackets, or an entry of a lexicon', () => {
    const find = (buffer: string) => [...buffer.matchAll(/哇！哈/g)].map(({ index }) => [index, index + 3] as const);
    const segmenter = new Segmenter({ whole: { find, longest: 3 }, smallFirst: false, maxLength: 12 });
    const whole =
      '我们昨天看了一场哇！哈组合的演唱会。银行[hang2]里<say-as interpret-as="date">2024. 5. 20</say-as>有人。';
    const chunks = pushAll(segmenter, whole.split(''));
    expect(chunks.some((chunk) => chunk.text.includes('哇！哈'))).toBe(true);
    expect(chunks.some((chunk) => chunk.text.includes('行[hang2]'))).toBe(true);
    expect(chunks.some((chunk) => chunk.text.includes('<say-as interpret-as="date">'))).toBe(true);
  });

  it('holds a bounded stretch of a text that never ends', () => {
    for (const unit of ['x', '啊', 'a ', '，', '\n', '<', '3', '한']) {
      const segmenter = new Segmenter();
      for (let i = 0; i < 60; i++) segmenter.push(unit.repeat(200));
      expect(segmenter.pending).toBeLessThanOrEqual(4000);
    }
  });
});
