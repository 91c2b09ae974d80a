import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LoadedCache } from './loaded-cache.js';

describe('things loaded for a while', () => {
  const closed: string[] = [];

  beforeEach(() => {
    closed.length = 0;
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const close = (value: string): void => {
    closed.push(value);
  };

  it('loads a thing once and closes the least recently used when its room is needed', () => {
    const cache = new LoadedCache(2, close);
    const load = vi.fn((key: string) => key);
    for (const key of ['a', 'b', 'a', 'c']) cache.acquire(key, () => load(key)).release();
    expect(load.mock.calls.flat()).toEqual(['a', 'b', 'c']);
    expect(closed).toEqual(['b']);
  });

  it('closes nothing that a task holds, even beyond its capacity', () => {
    const cache = new LoadedCache(1, close);
    const first = cache.acquire('a', () => 'a');
    const second = cache.acquire('b', () => 'b');
    expect(closed).toEqual([]);
    first.release();
    second.release();
    cache.acquire('c', () => 'c').release();
    expect(closed).toEqual(['a', 'b']);
  });

  it('closes what has been idle for the time given, and not what was used again', () => {
    const cache = new LoadedCache(2, close, { idleMs: 1000 });
    cache.acquire('a', () => 'a').release();
    const held = cache.acquire('b', () => 'b');
    vi.advanceTimersByTime(900);
    cache.acquire('a', () => 'never').release();
    vi.advanceTimersByTime(900);
    expect(closed).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(closed).toEqual(['a']);
    vi.advanceTimersByTime(10_000);
    expect(cache.values()).toEqual(['b']);
    held.release();
    vi.advanceTimersByTime(1000);
    expect(closed).toEqual(['a', 'b']);
  });

  it('keeps things for good where no time is given', () => {
    const cache = new LoadedCache(1, close);
    cache.acquire('a', () => 'a').release();
    vi.advanceTimersByTime(1e9);
    expect(closed).toEqual([]);
  });

  it('closes everything once when it is closed', () => {
    const cache = new LoadedCache(2, close, { idleMs: 1000 });
    cache.acquire('a', () => 'a').release();
    const held = cache.acquire('b', () => 'b');
    cache.close();
    held.release();
    vi.advanceTimersByTime(1000);
    expect(closed.sort()).toEqual(['a', 'b']);
  });
});
