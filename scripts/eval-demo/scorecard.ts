import type { Column, ColumnFigures, Count, Evaluation } from './evaluate.js';

/** One line of the scorecard. */
export interface ScoreLine {
  readonly name: string;
  /** What the bar is held against; null where it could not be measured. */
  readonly value: number | null;
  readonly bar: number | null;
  /** Whether smaller is better. */
  readonly lower: boolean;
  /** How the value is written. */
  readonly unit: 'rate' | 'percent' | 'score' | 'megabytes' | 'count';
  /** Share of the whole score. */
  readonly weight: number;
  /** Value that is worth nothing. */
  readonly worst: number;
  /** The value of each column, for the table. */
  readonly columns: Readonly<Partial<Record<Column, number>>>;
  readonly barText: string;
}

const MEGABYTE = 1e6;
const MAX_SIZE_MB = 20;

/**
 * The lines of the evaluation with their bars. The whole chain is judged in the mode that the model's description serves
 * (English and Mandarin may differ). `human` stands in where the evaluation has no recordings.
 *
 * Weights: being understood is what the voice is for and has 60 of 100 (English 25, Mandarin syllables 20, words 10,
 * copy-synthesis, the ceiling of the others, 5); how it sounds has 30 (tones, harmonics, opinion 10 each); that it ends,
 * is small and quick 10.
 */
export function scorecard({ columns, served, sizeBytes }: Evaluation, human: ColumnFigures | null): ScoreLine[] {
  const people = columns.human ?? human;
  const english = columns[served.en];
  const mandarin = columns[served.zh];
  const all = (pick: (figures: ColumnFigures) => number | undefined): Partial<Record<Column, number>> => {
    const found = Object.entries(columns).flatMap(([column, figures]) => {
      const value = pick(figures);
      return value === undefined ? [] : [[column, value] as const];
    });
    return Object.fromEntries(found);
  };
  const above = (value: number | undefined, more: number): number | null => (value === undefined ? null : value + more);
  const words = people?.englishWords?.rate;
  const clear = people?.voice?.clearShare;
  const clearRatio = (figures: ColumnFigures | undefined): number | undefined =>
    figures?.voice && clear ? figures.voice.clearShare / clear : undefined;
  const servedModes = [...new Set([served.zh, served.en])];
  const servedWorst = (pick: (figures: ColumnFigures) => number | undefined, lower: boolean): number | null => {
    const values = servedModes.flatMap((mode) => {
      const figures = columns[mode];
      return (figures && pick(figures)) ?? [];
    });
    if (values.length === 0) return null;
    return lower ? Math.max(...values) : Math.min(...values);
  };
  return [
    {
      name: 'English word error, whole chain',
      value: english?.englishWords?.rate ?? null,
      bar: above(words, 0.25),
      lower: true,
      unit: 'rate',
      weight: 25,
      worst: 1,
      columns: all((figures) => figures.englishWords?.rate),
      barText: '≤ human + 0.25',
    },
    {
      name: 'English word error, copy-synthesis',
      value: columns.copy?.englishWords?.rate ?? null,
      bar: above(words, 0.15),
      lower: true,
      unit: 'rate',
      weight: 5,
      worst: 1,
      columns: {},
      barText: '≤ human + 0.15',
    },
    {
      name: 'Mandarin words identified among the held-out ones',
      value: share(mandarin?.wordsIdentified),
      bar: 0.9,
      lower: false,
      unit: 'rate',
      weight: 10,
      worst: 0,
      columns: all((figures) => share(figures.wordsIdentified) ?? undefined),
      barText: '≥ 0.90',
    },
    {
      name: 'Mandarin syllable error, sentences',
      value: mandarin?.syllables?.rate ?? null,
      bar: 0.25,
      lower: true,
      unit: 'rate',
      weight: 20,
      worst: 1,
      columns: all((figures) => figures.syllables?.rate),
      barText: '≤ 0.25',
    },
    {
      name: 'tones right, words and sentences',
      value: mandarin ? pooledTones(mandarin) : null,
      bar: 0.85,
      lower: false,
      unit: 'percent',
      weight: 10,
      worst: 0.25,
      columns: all((figures) => pooledTones(figures) ?? undefined),
      barText: '≥ 85 %',
    },
    {
      name: 'frames with clear harmonics, against people',
      value: servedWorst(clearRatio, false),
      bar: 0.8,
      lower: false,
      unit: 'percent',
      weight: 10,
      worst: 0,
      columns: all(clearRatio),
      barText: '≥ 80 %',
    },
    {
      name: 'DNSMOS overall',
      value: servedWorst((figures) => figures.opinion?.overall, false),
      bar: 3,
      lower: false,
      unit: 'score',
      weight: 10,
      worst: 1,
      columns: all((figures) => figures.opinion?.overall),
      barText: '≥ 3.0',
    },
    ...(['prompted', 'promptFree'] as const).map((mode): ScoreLine => {
      const tokens = columns[mode]?.tokens;
      return {
        name: `sentences that end by themselves, ${mode === 'prompted' ? 'prompted' : 'prompt-free'}`,
        value: tokens?.endedShare ?? null,
        bar: 0.98,
        lower: false,
        unit: 'percent',
        weight: 1.5,
        worst: 0,
        columns: tokens ? { [mode]: tokens.endedShare } : {},
        barText: '≥ 98 %',
      };
    }),
    {
      name: 'sentences with loops, both modes',
      value: addIfAll([columns.prompted?.tokens?.loops, columns.promptFree?.tokens?.loops]),
      bar: 0,
      lower: true,
      unit: 'count',
      weight: 2,
      worst: 40,
      columns: all((figures) => figures.tokens?.loops),
      barText: 'none',
    },
    {
      name: 'model files together',
      value: sizeBytes / MEGABYTE,
      bar: MAX_SIZE_MB,
      lower: true,
      unit: 'megabytes',
      weight: 2.5,
      worst: 60,
      columns: {},
      barText: '≤ 20 MB',
    },
    {
      name: 'real-time factor, processor time on one thread',
      value: servedWorst((figures) => figures.realTimeFactor, true),
      bar: 0.1,
      lower: true,
      unit: 'rate',
      weight: 2.5,
      worst: 1,
      columns: all((figures) => figures.realTimeFactor),
      barText: '≤ 0.1',
    },
  ];
}

/** Whether a line reaches its bar; null where it was not measured. */
export function passes({ value, bar, lower }: ScoreLine): boolean | null {
  if (value === null || bar === null) return null;
  return lower ? value <= bar : value >= bar;
}

/**
 * How far a line has come from its worst (0) to its bar (1). Beyond the bar there is a little more to gain, so that two
 * models that both pass can be told apart, but never enough to pay for another line.
 */
export function attainment({ value, bar, worst }: ScoreLine): number | null {
  if (value === null || bar === null) return null;
  const way = bar === worst ? 1 : (value - worst) / (bar - worst);
  return Math.max(0, Math.min(1.1, way));
}

/** Weighted attainment in percent over the lines that both cards, or the one given, could measure. */
export function totalScore(lines: readonly ScoreLine[], other: readonly ScoreLine[] = lines): number {
  let sum = 0;
  let weights = 0;
  for (const [index, line] of lines.entries()) {
    const reached = attainment(line);
    const counterpart = other[index];
    if (reached === null || !counterpart || attainment(counterpart) === null) continue;
    sum += line.weight * reached;
    weights += line.weight;
  }
  return weights === 0 ? 0 : (100 * sum) / weights;
}

/** A candidate must win by more than the sets' own noise (one sentence of twenty misheard is worth about one point). */
export const LEAST_GAIN = 1;

export interface Verdict {
  readonly replace: boolean;
  readonly presentScore: number;
  readonly candidateScore: number;
  /** Why not, or what to mind. */
  readonly reasons: readonly string[];
}

/** Whether a candidate should take the present model's place. */
export function compareModels(
  present: { readonly lines: readonly ScoreLine[]; readonly sizeBytes: number },
  candidate: { readonly lines: readonly ScoreLine[]; readonly sizeBytes: number },
): Verdict {
  const presentScore = totalScore(present.lines, candidate.lines);
  const candidateScore = totalScore(candidate.lines, present.lines);
  const reasons: string[] = [];
  const gain = candidateScore - presentScore;
  let replace = gain >= LEAST_GAIN;
  if (!replace) {
    reasons.push(`the score changes by ${gain.toFixed(1)}; at least ${LEAST_GAIN} more is needed to be sure`);
  }
  const unmeasured = candidate.lines.filter((line) => line.weight >= 10 && line.value === null);
  if (unmeasured.length > 0) {
    replace = false;
    reasons.push(`not measured: ${unmeasured.map((line) => line.name).join('; ')}`);
  }
  const megabytes = candidate.sizeBytes / MEGABYTE;
  if (megabytes > MAX_SIZE_MB) {
    const smaller = candidate.sizeBytes <= present.sizeBytes;
    const size = `the files are ${megabytes.toFixed(1)} MB together, more than ${MAX_SIZE_MB}`;
    if (!smaller) replace = false;
    reasons.push(
      smaller ? `${size}; accepted because the present model is no smaller` : `${size} and the present model's`,
    );
  }
  return { replace, presentScore, candidateScore, reasons };
}

function share(count: Count | undefined): number | null {
  return count && count.total > 0 ? count.right / count.total : null;
}

function pooledTones({ wordTones, sentenceTones }: ColumnFigures): number | null {
  if (!wordTones || !sentenceTones) return null;
  return (wordTones.right + sentenceTones.right) / Math.max(1, wordTones.total + sentenceTones.total);
}

function addIfAll(values: readonly (number | undefined)[]): number | null {
  let sum = 0;
  for (const value of values) {
    if (value === undefined) return null;
    sum += value;
  }
  return sum;
}
