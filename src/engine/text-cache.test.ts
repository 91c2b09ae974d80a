import { describe, expect, it } from 'vitest';
import { textToPhonemes } from '../text/frontend.js';
import { TextCache } from './text-cache.js';

describe('the text cache', () => {
  it('reads a sentence once for each tenant and each way of reading', async () => {
    const cache = new TextCache(1e6);
    let reads = 0;
    const say = (tenant: string, text: string, language: 'zh' | 'auto') =>
      cache.phonemes(tenant, text, { language }, () => {
        reads += 1;
        return textToPhonemes(text, { language, symbols: 'v2' });
      });
    const first = await say('a', '您好。', 'zh');
    expect(await say('a', '您好。', 'zh')).toEqual(first);
    expect(reads).toBe(1);
    await say('b', '您好。', 'zh');
    await say('a', '您好。', 'auto');
    await say('a', '您好！', 'zh');
    expect(reads).toBe(4);
  });

  it('keeps the features of BERT apart by model and tenant, and within its bytes', async () => {
    const cache = new TextCache(50_000);
    const run = (value: number) => async () => new Float32Array(5000).fill(value);
    const of = async (tenant: string, digest: string, value: number) =>
      (await cache.hiddenStates(tenant, digest, [101, 7, 102], run(value)))[0];
    expect(await of('a', 'x', 1)).toBe(1);
    expect(await of('a', 'x', 2)).toBe(1);
    expect(await of('b', 'x', 3)).toBe(3);
    expect(await of('a', 'y', 4)).toBe(4);
    expect(cache.statistics).toMatchObject({ entries: 2, evictions: 1 });
    expect(await of('a', 'x', 5)).toBe(5);
  });
});
