import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, DecodeScheduler, type WaitingSentence } from './decode-scheduler.js';

interface Sentence extends WaitingSentence {
  readonly name: string;
}

function sentence(name: string, changes: Partial<WaitingSentence> = {}): Sentence {
  return { name, urgency: 'stream', tenant: 'a', deadlineMs: null, ...changes };
}

function drain(scheduler: DecodeScheduler<Sentence>): string[] {
  const names: string[] = [];
  for (let next = scheduler.next(); next; next = scheduler.next()) names.push(next.name);
  return names;
}

describe('the scheduler of rows', () => {
  it('serves streams before batch jobs, and first the one whose listener runs dry first', () => {
    const scheduler = new DecodeScheduler<Sentence>();
    scheduler.add(sentence('batch', { urgency: 'batch' }), 0);
    scheduler.add(sentence('plays for 5 s', { deadlineMs: 6000 }), 1000);
    scheduler.add(sentence('plays for 0.05 s', { deadlineMs: 1050 }), 1000);
    scheduler.add(sentence('just arrived'), 1000);
    expect(drain(scheduler)).toEqual(['plays for 0.05 s', 'just arrived', 'plays for 5 s', 'batch']);
  });

  it('lets tenants take turns among equals, however many sentences one of them sends', () => {
    const scheduler = new DecodeScheduler<Sentence>();
    for (let index = 0; index < 6; index++) scheduler.add(sentence(`a${index}`, { tenant: 'a' }), index);
    for (let index = 0; index < 2; index++) scheduler.add(sentence(`b${index}`, { tenant: 'b' }), 10 + index);
    expect(drain(scheduler).slice(0, 4)).toEqual(['a0', 'b0', 'a1', 'b1']);
  });

  it('keeps a quarter of the rows from batch jobs, so that a stream finds room', () => {
    const scheduler = new DecodeScheduler<Sentence>();
    for (let index = 0; index < 20; index++) scheduler.add(sentence(`job ${index}`, { urgency: 'batch' }), index);
    expect(drain(scheduler)).toHaveLength(6);
    scheduler.add(sentence('stream'), 100);
    expect(drain(scheduler)).toEqual(['stream']);
  });

  it('gives a row that was freed to the next one, and forgets who no longer waits', () => {
    const scheduler = new DecodeScheduler<Sentence>({ ...DEFAULT_LIMITS, fewestRows: 1, mostRows: 1 });
    const [first, second, third] = [sentence('first'), sentence('second'), sentence('third')];
    for (const each of [first, second, third]) scheduler.add(each, 0);
    expect(scheduler.next()).toBe(first);
    expect(scheduler.next()).toBeNull();
    scheduler.remove(second); // cancelled while it waited
    scheduler.remove(first);
    expect(scheduler.next()).toBe(third);
    expect(scheduler.waiting).toBe(0);
  });

  it('refuses more than may wait', () => {
    const scheduler = new DecodeScheduler<Sentence>({ ...DEFAULT_LIMITS, mostWaiting: 2 });
    scheduler.add(sentence('one'), 0);
    scheduler.add(sentence('two'), 50);
    expect(() => scheduler.add(sentence('three'), 0)).toThrow(expect.objectContaining({ code: 'ENGINE_OVERLOADED' }));
    expect(scheduler.queueAgeMs(80)).toBe(80);
  });

  it('allows more rows while steps are quick, and fewer while they are slow', () => {
    const scheduler = new DecodeScheduler<Sentence>();
    for (let step = 0; step < 100; step++) scheduler.observeStep(scheduler.limit, 5);
    expect(scheduler.limit).toBe(32);
    for (let step = 0; step < 100; step++) scheduler.observeStep(32, 60);
    expect(scheduler.limit).toBe(8);
    for (let step = 0; step < 100; step++) scheduler.observeStep(3, 5); // rows are not the bound
    expect(scheduler.limit).toBe(8);
  });
});
