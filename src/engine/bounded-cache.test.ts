import { describe, expect, it } from 'vitest';
import { BoundedCache } from './bounded-cache.js';

describe('a bounded cache', () => {
  it('lets the least recently used go when the bytes are full', () => {
    const cache = new BoundedCache<string>(3000);
    for (const key of ['a', 'b', 'c']) cache.set(key, key, 700);
    expect(cache.get('a')).toBe('a');
    cache.set('d', 'd', 700);
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual(['a', undefined, 'c', 'd']);
    expect(cache.statistics).toMatchObject({ hits: 4, misses: 1, evictions: 1, entries: 3 });
    expect(cache.statistics.sizeBytes).toBeLessThanOrEqual(3000);
  });

  it('does not give up what it has for something that would not fit anyway', () => {
    const cache = new BoundedCache<string>(1000);
    cache.set('small', 'small', 100);
    cache.set('large', 'large', 5000);
    expect([cache.get('small'), cache.get('large')]).toEqual(['small', undefined]);
  });

  it('counts an entry that is set again once', () => {
    const cache = new BoundedCache<number>(10_000);
    cache.set('key', 1, 1000);
    const { sizeBytes } = cache.statistics;
    cache.set('key', 2, 1000);
    expect(cache.statistics).toMatchObject({ sizeBytes, entries: 1, evictions: 0 });
    cache.delete('key');
    expect(cache.statistics).toMatchObject({ sizeBytes: 0, entries: 0 });
  });

  it('keeps nothing with a bound of 0', () => {
    const cache = new BoundedCache<number>(0);
    cache.set('key', 1, 0);
    expect(cache.get('key')).toBeUndefined();
  });
});
