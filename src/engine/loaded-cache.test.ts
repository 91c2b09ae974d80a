import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LoadedCache, whenLoaded, withLoaded } from './loaded-cache.js';

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

  it('shares what is being loaded, and lets a task wait for it', async () => {
    const cache = new LoadedCache(2, close);
    const { promise, resolve } = deferred<string>();
    const load = vi.fn(() => promise);
    const [first, second] = [cache.acquire('a', load), cache.acquire('a', load)];
    expect(load).toHaveBeenCalledTimes(1);
    expect(cache.values()).toEqual([]);
    expect(() => first.value).toThrow('still being loaded');
    const task = whenLoaded(second);
    expect(task.next()).toEqual({ done: false, value: first.loading });
    resolve('a');
    await first.loading;
    expect(task.next()).toEqual({ done: true, value: 'a' });
    expect(first.loading).toBeNull();
    expect(cache.values()).toEqual(['a']);
    expect(await withLoaded(cache.acquire('a', load), (value) => value + value)).toBe('aa');
  });

  it('tells all who wait that loading failed, and tries again for who comes next', async () => {
    const cache = new LoadedCache(2, close);
    const failing = () => Promise.reject(new Error('no such graph'));
    const held = [cache.acquire('a', failing), cache.acquire('a', failing)];
    await Promise.all(held.map(({ loading }) => loading));
    for (const one of held) {
      expect(() => one.value).toThrow('no such graph');
      one.release();
    }
    await expect(withLoaded(cache.acquire('a', failing), (value) => value)).rejects.toThrow('no such graph');
    expect(
      await withLoaded(
        cache.acquire('a', async () => 'there'),
        (value) => value,
      ),
    ).toBe('there');
    expect(closed).toEqual([]);
  });

  it('closes what is loaded when its room has been given away', async () => {
    const cache = new LoadedCache(1, close);
    const { promise, resolve } = deferred<string>();
    const abandoned = cache.acquire('a', () => promise);
    abandoned.release();
    cache.acquire('b', () => 'b').release();
    resolve('a');
    await abandoned.loading;
    expect(closed).toEqual(['a']);
    expect(cache.values()).toEqual(['b']);
  });
});

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
