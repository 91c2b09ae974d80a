import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairOrder, type FairShare } from './fair-order.js';

const share = (tenant: string, more: Partial<FairShare> = {}): FairShare => ({
  tenant,
  weight: 1,
  priority: 'interactive',
  characters: 80,
  ...more,
});

function drain<T>(order: FairOrder<T>, count = Number.POSITIVE_INFINITY): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const item = order.shift();
    if (item === undefined) break;
    taken.push(item);
  }
  return taken;
}

describe('the fair order', () => {
  it('takes one tenant’s jobs as they came', () => {
    const order = new FairOrder<number>();
    for (let n = 0; n < 5; n++) order.push(n, share('a', { characters: 500 - n * 100 }));
    expect(drain(order)).toEqual([0, 1, 2, 3, 4]);
  });

  it('puts the one who comes now and then before the flood that was there first', () => {
    const order = new FairOrder<string>();
    for (let n = 0; n < 100; n++) order.push('flood', share('a'));
    expect(drain(order, 3)).toEqual(['flood', 'flood', 'flood']);
    order.push('other', share('b'));
    expect(drain(order, 2)).toContain('other');
  });

  it('shares characters, not jobs, and by weight', () => {
    const order = new FairOrder<string>();
    for (let n = 0; n < 400; n++) {
      order.push('long', share('a', { characters: 380 }));
      order.push('short', share('b', { characters: 80 }));
      order.push('heavy', share('c', { characters: 80, weight: 3 }));
    }
    const taken = drain(order, 400);
    const count = (name: string) => taken.filter((each) => each === name).length;
    // One of 400 for each four of 100; the third tenant's weight is three times as much.
    expect(count('short') / count('long')).toBeCloseTo(4, 0);
    expect(count('heavy') / count('short')).toBeCloseTo(3, 0);
  });

  it('lets batch wait for interactive, but not for ever', () => {
    const order = new FairOrder<string>();
    for (let n = 0; n < 220; n++) {
      order.push('batch', share('a', { priority: 'batch' }));
      order.push('interactive', share('a'));
    }
    const taken = drain(order, 110);
    const batch = taken.filter((each) => each === 'batch').length;
    expect(batch).toBeGreaterThanOrEqual(9);
    expect(batch).toBeLessThanOrEqual(12);
  });

  it('gives no credit for having been away', () => {
    const order = new FairOrder<string>();
    order.push('b', share('b'));
    drain(order);
    for (let n = 0; n < 50; n++) order.push('a', share('a'));
    drain(order, 40);
    for (let n = 0; n < 10; n++) order.push('b', share('b'));
    const next = drain(order, 10);
    expect(next.filter((each) => each === 'b').length).toBeLessThanOrEqual(6);
  });

  it('names the newest of the largest tenant when there is no room, and nobody for the largest itself', () => {
    const order = new FairOrder<string>();
    for (let n = 0; n < 5; n++) order.push(`a${n}`, share('a'));
    order.push('b0', share('b'));
    expect(order.excessOver('b')).toBe('a4');
    expect(order.excessOver('a')).toBe(undefined);
    for (let n = 1; n < 4; n++) order.push(`b${n}`, share('b'));
    expect(order.excessOver('b')).toBe(undefined);
  });

  it('loses and doubles nothing, whatever is pushed, taken and removed', () => {
    const action = fc.record({
      kind: fc.constantFrom('push', 'push', 'shift', 'remove'),
      tenant: fc.constantFrom('a', 'b', 'c'),
      weight: fc.double({ min: 0.001, max: 1000, noNaN: true }),
      priority: fc.constantFrom('interactive' as const, 'batch' as const),
      characters: fc.nat(100_000),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const order = new FairOrder<number>();
        const there = new Set<number>();
        for (const [n, each] of actions.entries()) {
          if (each.kind === 'push') {
            order.push(n, each);
            there.add(n);
          } else if (each.kind === 'shift') {
            const item = order.shift();
            if (item === undefined) expect(there.size).toBe(0);
            else expect(there.delete(item)).toBe(true);
          } else {
            const some = [...there][0];
            if (some !== undefined) {
              expect(order.remove(some)).toBe(true);
              there.delete(some);
            }
          }
          expect(order.length).toBe(there.size);
          expect(new Set(order)).toEqual(there);
        }
        expect(new Set(drain(order))).toEqual(there);
      }),
    );
  });
});
