import { describe, expect, it } from 'vitest';
import { Recall, whenKnown } from './recall.js';

function recall(maxEntries = 10) {
  let nowMs = 0;
  const asked: { readonly resolve: (value: string) => void; readonly reject: (error: Error) => void }[] = [];
  const known = new Recall<string>({ ttlMs: 1000, maxEntries, now: () => nowMs });
  return {
    known,
    asked,
    pass: (ms: number) => void (nowMs += ms),
    get: (key = 'a') =>
      known.get(key, () => new Promise<string>((resolve, reject) => void asked.push({ resolve, reject }))),
  };
}

/** Whatever was resolved has been told to whom it concerns. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('what was asked a moment ago', () => {
  it('is there at once, and asked for once, however many come meanwhile', async () => {
    const { get, asked } = recall();
    const [first, second] = [get(), get()];
    asked[0]?.resolve('x');
    expect(await Promise.all([first, second])).toEqual(['x', 'x']);
    expect(get()).toBe('x');
    expect(asked).toHaveLength(1);
  });

  it('is asked for anew ahead of its end, once, by somebody who need not wait', async () => {
    const { get, asked, pass } = recall();
    void get();
    asked[0]?.resolve('old');
    await settled();
    pass(749);
    get();
    expect(asked).toHaveLength(1);
    pass(1);
    expect([get(), get()]).toEqual(['old', 'old']);
    expect(asked).toHaveLength(2);
    asked[1]?.resolve('new');
    await settled();
    expect(get()).toBe('new');
  });

  it('is believed no longer than its time from when it was asked for, refreshed or not', async () => {
    const { get, asked, pass } = recall();
    void get();
    asked[0]?.resolve('old');
    await settled();
    pass(800);
    get();
    pass(200);
    // The one that was to replace it has not come.
    const waiting = get();
    expect(waiting).toBeInstanceOf(Promise);
    asked[2]?.resolve('newest');
    expect(await waiting).toBe('newest');
    asked[1]?.resolve('late');
    await settled();
    expect(get()).toBe('newest');
  });

  it('is not what was being asked for when it was forgotten', async () => {
    const { known, get, asked, pass } = recall();
    void get();
    asked[0]?.resolve('old');
    await settled();
    pass(800);
    get();
    known.forget('a');
    asked[1]?.resolve('of before');
    await settled();
    expect(get()).toBeInstanceOf(Promise);
    expect(asked).toHaveLength(3);
  });

  it('is not remembered where it failed, and serves to its end where only its refreshing failed', async () => {
    const { get, asked, pass } = recall();
    const failed = get();
    asked[0]?.reject(new Error('away'));
    await expect(failed).rejects.toThrow('away');
    void get();
    asked[1]?.resolve('x');
    await settled();
    pass(800);
    get();
    asked[2]?.reject(new Error('away'));
    await settled();
    expect(get()).toBe('x');
    pass(200);
    const again = get();
    asked.at(-1)?.reject(new Error('still away'));
    await expect(again).rejects.toThrow('still away');
  });

  it('makes room for what came later', async () => {
    const { get, asked } = recall(2);
    for (const key of ['a', 'b', 'c']) {
      void get(key);
      asked.at(-1)?.resolve(key);
    }
    await settled();
    expect([get('b'), get('c')]).toEqual(['b', 'c']);
    expect(get('a')).toBeInstanceOf(Promise);
  });
});

describe('what follows from something known', () => {
  it('is there at once, or as soon as that is', async () => {
    const double = (n: number) => 2 * n;
    expect(whenKnown(2, double)).toBe(4);
    const later = whenKnown(Promise.resolve(3), double);
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toBe(6);
    const fails = () => {
      throw new Error('no');
    };
    expect(() => whenKnown(1, fails)).toThrow('no');
    await expect(whenKnown(Promise.resolve(1), fails)).rejects.toThrow('no');
  });
});
