import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createMetricsRegistry, createTimbreMetrics } from './metrics.js';

describe('the metrics registry', () => {
  it('renders counters and gauges by labels, escaped', () => {
    const registry = createMetricsRegistry();
    const counter = registry.counter('c_total', 'Things.');
    counter.inc();
    counter.inc({ a: '1' }, 2);
    counter.inc({ a: '1' });
    const gauge = registry.gauge('g', 'Level.');
    gauge.set(1.5, { path: 'a"b\\c\nd' });
    gauge.set(Number.POSITIVE_INFINITY);
    gauge.set(Number.NEGATIVE_INFINITY, { sign: '-' });
    expect(registry.render()).toBe(
      [
        '# HELP c_total Things.',
        '# TYPE c_total counter',
        'c_total 1',
        'c_total{a="1"} 3',
        '# HELP g Level.',
        '# TYPE g gauge',
        'g{path="a\\"b\\\\c\\nd"} 1.5',
        'g +Inf',
        'g{sign="-"} -Inf',
        '',
      ].join('\n'),
    );
  });

  it('renders histograms with cumulative buckets', () => {
    const registry = createMetricsRegistry();
    const histogram = registry.histogram('h', 'Times.', [1, 2]);
    for (const value of [0.5, 1, 1.5, 9]) histogram.observe(value, { route: '/x' });
    expect(registry.render().split('\n').slice(2, 7)).toEqual([
      'h_bucket{route="/x",le="1"} 2',
      'h_bucket{route="/x",le="2"} 3',
      'h_bucket{route="/x",le="+Inf"} 4',
      'h_sum{route="/x"} 12',
      'h_count{route="/x"} 4',
    ]);
  });

  it('counts the same for who keeps the numbers of some labels as for who names them each time', () => {
    const registry = createMetricsRegistry();
    const counter = registry.counter('c_total', 'Things.');
    const histogram = registry.histogram('h', 'Times.', [1, 2]);
    const kept = { counter: counter.of({ a: '1' }), histogram: histogram.of({ route: '/x' }) };
    kept.counter.inc();
    counter.inc({ a: '1' }, 2);
    kept.counter.inc(0.5);
    for (const value of [0.5, 1.5]) kept.histogram.observe(value);
    for (const value of [1, 9]) histogram.observe(value, { route: '/x' });
    const text = registry.render();
    expect(text).toContain('c_total{a="1"} 3.5\n');
    expect(text).toContain('h_bucket{route="/x",le="1"} 2\nh_bucket{route="/x",le="2"} 3\n');
    expect(text).toContain('h_sum{route="/x"} 12\nh_count{route="/x"} 4\n');
  });

  it('asks collectors before each rendering, and takes a name once', () => {
    const registry = createMetricsRegistry();
    const gauge = registry.gauge('g', 'Level.');
    let level = 0;
    registry.onCollect(() => gauge.set(++level));
    registry.render();
    expect(registry.render()).toContain('g 2\n');
    expect(() => registry.counter('g', 'Again.')).toThrow('registered twice');
  });
});

describe('docs/OPERATIONS.md', () => {
  it('lists every metric there is, and no other', () => {
    const page = readFileSync(new URL('../docs/OPERATIONS.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\| `(timbre_[a-z_]+)(?:\{[a-z,]+\})?` \| (counter|gauge|histogram) \|/gm)];
    const { registry } = createTimbreMetrics();
    const defined = [...registry.render().matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    const pairs = (matches: RegExpMatchArray[]) => matches.map((match) => `${match[1]} ${match[2]}`).sort();
    expect(pairs(documented)).toEqual(pairs(defined));
  });
});
