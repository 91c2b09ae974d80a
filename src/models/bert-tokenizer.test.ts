import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { alignBertFeatures, bertFeatures } from './bert-features.js';
import { createBertTokenizer } from './bert-tokenizer.js';

const TOKENS = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  '[MASK]',
  '今',
  '天',
  '。',
  '…',
  'a',
  '##b',
  '##c',
  'ab',
  '1',
  '##2',
  '!',
];
const ID = Object.fromEntries(TOKENS.map((token, id) => [token, id])) as Record<string, number>;
const VOCABULARY = `${TOKENS.join('\n')}\n`;

const tokenizer = createBertTokenizer({ vocabulary: VOCABULARY });

function tokensOf(text: string): string[] {
  return tokenizer
    .encode(text)
    .ids.slice(1, -1)
    .map((id) => TOKENS[id] ?? '?');
}

function json(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    normalizer: { type: 'BertNormalizer', lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    model: { type: 'WordPiece', vocab: ID },
    ...changes,
  });
}

describe('createBertTokenizer', () => {
  it.each([
    ['今天。', ['今', '天', '。']],
    ['今 天', ['今', '天']],
    ['今歌…', ['今', '[UNK]', '…']],
    ['abc', ['ab', '##c']],
    ['ABC', ['ab', '##c']],
    ['àb́c', ['ab', '##c']],
    ['acb', ['a', '##c', '##b']],
    ['abd', ['[UNK]']],
    ['12今a!', ['1', '##2', '今', 'a', '!']],
    ['a\u0007b', ['ab']],
    ['😀', ['[UNK]']],
    ['', []],
    ['a'.repeat(101), ['[UNK]']],
  ])('reads %j as BERT does', (text, expected) => {
    expect(tokensOf(text)).toEqual(expected);
  });

  it('frames the tokens and tells which of them holds each character', () => {
    expect(tokenizer.encode('今 abc。')).toEqual({
      ids: [ID['[CLS]'], ID['今'], ID['ab'], ID['##c'], ID['。'], ID['[SEP]']],
      tokenOfCharacter: [1, -1, 2, 2, 3, 4],
    });
    expect(tokenizer.encode('😀天').tokenOfCharacter).toEqual([1, 2]);
  });

  it('reads tokenizer.json and vocab.txt alike', () => {
    const other = createBertTokenizer({ tokenizerJson: json() });
    expect(other.vocabularySize).toBe(TOKENS.length);
    for (const text of ['今天ABC 12!', 'Àb']) expect(other.encode(text)).toEqual(tokenizer.encode(text));
  });

  it('keeps case and accents where the model was trained with them', () => {
    const cased = createBertTokenizer({ vocabulary: VOCABULARY, tokenizerConfig: '{"do_lower_case": false}' });
    expect(cased.encode('AB').ids[1]).toBe(ID['[UNK]']);
    const json2 = json({ normalizer: { type: 'BertNormalizer', lowercase: false } });
    expect(createBertTokenizer({ tokenizerJson: json2 }).encode('AB').ids[1]).toBe(ID['[UNK]']);
  });

  it.each([
    ['nothing', {}],
    ['no JSON', { tokenizerJson: 'vocab' }],
    ['a list', { tokenizerJson: '[]' }],
    ['a BPE model', { tokenizerJson: json({ model: { type: 'BPE', vocab: ID } }) }],
    ['another splitter', { tokenizerJson: json({ pre_tokenizer: { type: 'ByteLevel' } }) }],
    ['no normalizer', { tokenizerJson: json({ normalizer: null }) }],
    ['a vocabulary without [CLS]', { vocabulary: '[UNK]\na\n' }],
    ['ids that are no numbers', { tokenizerJson: json({ model: { type: 'WordPiece', vocab: { a: 'b' } } }) }],
  ])('refuses %s', (_, files) => {
    expect(() => createBertTokenizer(files)).toThrow(AppError);
    expect(() => createBertTokenizer(files)).toThrow(/BERT model cannot be used/);
  });
});

describe('bertFeatures', () => {
  /** Row of token t: [id, id × 10]; counts the runs. */
  function fakeRun() {
    const lengths: number[] = [];
    const run = (ids: readonly number[]): Float32Array => {
      lengths.push(ids.length);
      return Float32Array.from(ids.flatMap((id) => [id, 10 * id]));
    };
    return { lengths, run };
  }

  it('repeats the row of each character for each of its phonemes', async () => {
    const { run } = fakeRun();
    const features = await bertFeatures('今天。', [2, 2, 1], { tokenizer, width: 2, maxTokens: 512, run });
    expect(Array.from(features)).toEqual([5, 50, 5, 50, 6, 60, 6, 60, 7, 70]);
  });

  it('gives a character without a token zeros, and characters of one word the same row', async () => {
    const { run } = fakeRun();
    const features = await bertFeatures('今 ab', [1, 1, 1, 1], { tokenizer, width: 2, maxTokens: 512, run });
    expect(Array.from(features)).toEqual([5, 50, 0, 0, 12, 120, 12, 120]);
  });

  it('reads a text beyond the longest sequence in parts', async () => {
    const { run, lengths } = fakeRun();
    const text = '今天'.repeat(10);
    const word2ph = Array.from(text, () => 1);
    const features = await bertFeatures(text, word2ph, { tokenizer, width: 2, maxTokens: 8, run });
    expect(Math.max(...lengths)).toBeLessThanOrEqual(8);
    expect(features.filter((_, index) => index % 2 === 0)).toEqual(Float32Array.from(text, (c) => ID[c] ?? -1));
  });

  it('takes no alignment of another text', async () => {
    const { run } = fakeRun();
    await expect(bertFeatures('今天', [2], { tokenizer, width: 2, maxTokens: 512, run })).rejects.toThrow(
      /2 characters/,
    );
  });

  it('drops characters without phonemes', () => {
    expect(Array.from(alignBertFeatures(Float32Array.of(1, 2, 3), [0, 2, 1], 1))).toEqual([2, 2, 3]);
  });
});
