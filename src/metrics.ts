/**
 * A small registry of counters, gauges and histograms, rendered as Prometheus text (exposition format 0.0.4). Own code
 * rather than prom-client: three kinds of number without default collectors are this page, and series stay bounded
 * because label values come from fixed sets in the code, never from a caller.
 */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  inc(labels?: Labels, by?: number): void;
  /** The number of these labels, for who counts it often. */
  of(labels: Labels): CounterSeries;
  /** For a count that is kept elsewhere. */
  set(value: number, labels?: Labels): void;
}

export interface CounterSeries {
  inc(by?: number): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
  /** The numbers of these labels, for who observes them often. */
  of(labels: Labels): HistogramObserver;
}

export interface HistogramObserver {
  observe(value: number): void;
}

export interface MetricsRegistry {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  /** `buckets` are upper bounds in ascending order, without +Inf. */
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
  /** Called before each rendering, to set gauges that are read rather than kept. */
  onCollect(collect: () => void): void;
  render(): string;
}

interface HistogramSeries {
  /** Of each bucket alone: the text adds up those below. */
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Makes an empty registry; names are registered once, a second registration of a name is a mistake and throws. */
export function createMetricsRegistry(): MetricsRegistry {
  const metrics = new Map<string, () => string[]>();
  const collectors: (() => void)[] = [];

  const register = (name: string, help: string, kind: string, lines: () => string[]) => {
    if (metrics.has(name)) throw new Error(`metric ${name} is registered twice`);
    metrics.set(name, () => [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...lines()]);
  };

  const registerNumbers = (name: string, help: string, kind: 'counter' | 'gauge') => {
    const series = new Map<string, { value: number }>();
    register(name, help, kind, () => [...series].map(([labels, { value }]) => `${name}${labels} ${format(value)}`));
    return (labels: Labels) => {
      const key = renderLabels(labels);
      const kept = series.get(key) ?? { value: 0 };
      series.set(key, kept);
      return kept;
    };
  };

  return {
    counter(name, help) {
      const numberOf = registerNumbers(name, help, 'counter');
      const of = (labels: Labels): CounterSeries => {
        const kept = numberOf(labels);
        return {
          inc(by = 1) {
            kept.value += by;
          },
        };
      };
      return {
        inc: (labels = {}, by = 1) => of(labels).inc(by),
        of,
        set(value, labels = {}) {
          numberOf(labels).value = value;
        },
      };
    },
    gauge(name, help) {
      const numberOf = registerNumbers(name, help, 'gauge');
      return {
        set(value, labels = {}) {
          numberOf(labels).value = value;
        },
      };
    },
    histogram(name, help, buckets) {
      const series = new Map<string, { labels: Labels; data: HistogramSeries }>();
      register(name, help, 'histogram', () =>
        [...series.values()].flatMap(({ labels, data }) => [
          ...buckets.map((bound, i) => {
            const below = data.counts.slice(0, i + 1).reduce((sum, count) => sum + count, 0);
            return `${name}_bucket${renderLabels({ ...labels, le: format(bound) })} ${below}`;
          }),
          `${name}_bucket${renderLabels({ ...labels, le: '+Inf' })} ${data.count}`,
          `${name}_sum${renderLabels(labels)} ${format(data.sum)}`,
          `${name}_count${renderLabels(labels)} ${data.count}`,
        ]),
      );
      const of = (labels: Labels): HistogramObserver => {
        const key = renderLabels(labels);
        const { data } = series.get(key) ?? { data: { counts: buckets.map(() => 0), sum: 0, count: 0 } };
        series.set(key, { labels, data });
        return {
          observe(value) {
            data.sum += value;
            data.count += 1;
            const bucket = buckets.findIndex((bound) => value <= bound);
            if (bucket >= 0) data.counts[bucket] = (data.counts[bucket] ?? 0) + 1;
          },
        };
      };
      return { observe: (value, labels = {}) => of(labels).observe(value), of };
    },
    onCollect: (collect) => void collectors.push(collect),
    render() {
      for (const collect of collectors) collect();
      return `${[...metrics.values()].flatMap((lines) => lines()).join('\n')}\n`;
    },
  };
}

/** The numbers that Timbre publishes; docs/OPERATIONS.md says what each is good for. */
export function createTimbreMetrics(registry: MetricsRegistry = createMetricsRegistry()) {
  return {
    registry,
    requests: registry.counter('timbre_http_requests_total', 'HTTP requests by route and status.'),
    requestSeconds: registry.histogram(
      'timbre_http_request_seconds',
      'Time from a request to the end of its answer, by route.',
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    ),
    syntheses: registry.counter('timbre_syntheses_total', 'Syntheses by outcome: ok, cancelled, or the error code.'),
    firstAudioSeconds: registry.histogram(
      'timbre_first_audio_seconds',
      'Time from a synthesis request to its first audio.',
      [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30],
    ),
    realTimeFactor: registry.histogram(
      'timbre_real_time_factor',
      'Time spent on a synthesis over the length of its audio.',
      [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5],
    ),
    audioSeconds: registry.counter('timbre_audio_seconds_total', 'Audio made.'),
    characters: registry.counter('timbre_text_characters_total', 'Characters of text accepted for synthesis.'),
    queueDepth: registry.gauge('timbre_queue_depth', 'Speech jobs by state: waiting, running.'),
    storedAudioBytes: registry.gauge('timbre_stored_audio_bytes', 'Audio files kept for /audio.'),
    engineUp: registry.gauge('timbre_engine_up', '1 while the engine process answers.'),
    engineRssBytes: registry.gauge('timbre_engine_rss_bytes', 'Resident memory of the engine process.'),
    engineRestarts: registry.counter('timbre_engine_restarts_total', 'Engine processes lost, by reason: crash, hang.'),
    engineRetries: registry.counter(
      'timbre_engine_retries_total',
      'Requests begun again on a new engine process because the old one was lost before any audio.',
    ),
    cacheLookups: registry.counter(
      'timbre_cache_lookups_total',
      'Lookups in the caches by cache and result: hit, miss.',
    ),
    cacheEvictions: registry.counter('timbre_cache_evictions_total', 'Entries that went to make room, by cache.'),
    speechFaults: registry.counter(
      'timbre_speech_faults_total',
      'What the self-check found: too_short, too_long, loop, leak, silent; and its outcome: redrawn, cut, kept.',
    ),
    cacheBytes: registry.gauge('timbre_cache_bytes', 'What the caches hold, by cache.'),
    decodeRows: registry.gauge(
      'timbre_decode_rows',
      'Sentences being decoded: used, and allowed by the time of a step.',
    ),
    decodeWaiting: registry.gauge('timbre_decode_waiting', 'Sentences that wait for a row of the decoder.'),
    decodeQueueAgeSeconds: registry.gauge(
      'timbre_decode_queue_age_seconds',
      'How long the sentence has waited that has waited longest.',
    ),
    decodeStepSeconds: registry.gauge('timbre_decode_step_seconds', 'One decoding step for all rows, smoothed.'),
    decodeTokens: registry.counter('timbre_decode_tokens_total', 'Semantic tokens decoded.'),
    decodeSteps: registry.counter('timbre_decode_steps_total', 'Decoding steps; tokens over steps is the occupancy.'),
    decodeStageSeconds: registry.counter('timbre_decode_seconds_total', 'Time of the decoder by stage: prefill, step.'),
    renderListeners: registry.gauge('timbre_render_listeners', 'Sentences whose waveform is being made.'),
    renderHeadroomSeconds: registry.gauge(
      'timbre_render_headroom_seconds',
      'Audio still to be heard by the listener who runs dry first.',
    ),
    renderWindows: registry.counter(
      'timbre_render_windows_total',
      'Windows of waveform, by whether they came late: yes, no.',
    ),
    renderSeconds: registry.counter('timbre_render_seconds_total', 'Time of the waveform decoder.'),
    processRssBytes: registry.gauge('timbre_server_rss_bytes', 'Resident memory of the server process.'),
    buildInfo: registry.gauge('timbre_build_info', 'Always 1; the labels say what runs.'),
  };
}

/** Publishes what the engine process counts about itself, as of its last ping. */
export function publishEngineStatistics(metrics: TimbreMetrics, statistics: EngineCounts): void {
  for (const [cache, counts] of Object.entries(statistics.caches)) {
    metrics.cacheLookups.set(counts.hits, { cache, result: 'hit' });
    metrics.cacheLookups.set(counts.misses, { cache, result: 'miss' });
    metrics.cacheEvictions.set(counts.evictions, { cache });
    metrics.cacheBytes.set(counts.sizeBytes, { cache });
  }
  for (const [found, count] of Object.entries(statistics.faults)) {
    const [fault = '', outcome = ''] = found.split(' ');
    metrics.speechFaults.set(count, { fault, outcome });
  }
  const { decode, render } = statistics;
  if (render) {
    metrics.renderListeners.set(render.listeners);
    // Without a listener there is nothing to run dry.
    metrics.renderHeadroomSeconds.set((render.leastHeadroomMs ?? 0) / 1000);
    metrics.renderWindows.set(render.windowCount - render.lateWindowCount, { late: 'no' });
    metrics.renderWindows.set(render.lateWindowCount, { late: 'yes' });
    metrics.renderSeconds.set(render.windowSeconds);
  }
  if (!decode) return;
  metrics.decodeRows.set(decode.rows, { rows: 'used' });
  metrics.decodeRows.set(decode.rowLimit, { rows: 'allowed' });
  metrics.decodeWaiting.set(decode.waiting);
  metrics.decodeQueueAgeSeconds.set(decode.queueAgeMs / 1000);
  metrics.decodeStepSeconds.set(decode.stepMs / 1000);
  metrics.decodeTokens.set(decode.tokenCount);
  metrics.decodeSteps.set(decode.stepCount);
  metrics.decodeStageSeconds.set(decode.prefillSeconds, { stage: 'prefill' });
  metrics.decodeStageSeconds.set(decode.stepSeconds, { stage: 'step' });
}

/** The counts that are published; the engine's own type has more. */
export interface EngineCounts {
  readonly decode: {
    readonly rows: number;
    readonly rowLimit: number;
    readonly waiting: number;
    readonly queueAgeMs: number;
    readonly stepMs: number;
    readonly stepCount: number;
    readonly tokenCount: number;
    readonly stepSeconds: number;
    readonly prefillSeconds: number;
  } | null;
  readonly render: {
    readonly listeners: number;
    readonly leastHeadroomMs: number | null;
    readonly windowCount: number;
    readonly windowSeconds: number;
    readonly lateWindowCount: number;
  } | null;
  readonly faults: Readonly<Record<string, number>>;
  readonly caches: Readonly<
    Record<
      string,
      { readonly hits: number; readonly misses: number; readonly evictions: number; readonly sizeBytes: number }
    >
  >;
}

export type TimbreMetrics = ReturnType<typeof createTimbreMetrics>;

function renderLabels(labels: Labels): string {
  let inner = '';
  for (const name in labels) inner += `${inner === '' ? '' : ','}${name}="${escapeValue(labels[name] ?? '')}"`;
  return inner === '' ? '' : `{${inner}}`;
}

function escapeValue(value: string): string {
  // Hardly any has one, and this runs several times a request.
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function format(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
