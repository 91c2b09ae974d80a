import { MODES, type Mode } from './demo-model.js';
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
/** Lines of less weight may be missing from a candidate's evaluation. */
const WEIGHT_THAT_COUNTS = 5;
const MODE_NAMES: Readonly<Record<Mode, string>> = { prompted: 'with prompt', promptFree: 'prompt-free' };

/**
 * The lines of the evaluation with their bars. `human` stands in where the evaluation has no recordings.
 *
 * Weights: being understood is what the voice is for and has 60 of 100 (English 25, Mandarin syllables 20, words 10,
 * copy-synthesis, the ceiling of the others, 5); how it sounds has 30 (tones, harmonics, opinion 10 each); that it ends,
 * is small and quick 10. What the whole chain says counts half with a prompt and half without one, however the model's
 * own voices are served: a newcomer's recording with a transcript is a prompt (docs/adr/0018).
 */
export function scorecard({ columns, sizeBytes }: Evaluation, human: ColumnFigures | null): ScoreLine[] {
  const people = columns.human ?? human;
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
  const inBothModes = (
    line: Omit<ScoreLine, 'value' | 'columns'>,
    pick: (figures: ColumnFigures) => number | undefined,
  ): ScoreLine[] =>
    MODES.map((mode) => {
      const figures = columns[mode];
      return {
        ...line,
        name: `${line.name}, ${MODE_NAMES[mode]}`,
        value: (figures && pick(figures)) ?? null,
        weight: line.weight / MODES.length,
        columns: all(pick),
      };
    });
  return [
    ...inBothModes(
      {
        name: 'English word error',
        bar: above(words, 0.25),
        lower: true,
        unit: 'rate',
        weight: 25,
        worst: 1,
        barText: '≤ human + 0.25',
      },
      (figures) => figures.englishWords?.rate,
    ),
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
    ...inBothModes(
      {
        name: 'Mandarin words identified among the held-out ones',
        bar: 0.9,
        lower: false,
        unit: 'rate',
        weight: 10,
        worst: 0,
        barText: '≥ 0.90',
      },
      (figures) => share(figures.wordsIdentified),
    ),
    ...inBothModes(
      {
        name: 'Mandarin syllable error, sentences',
        bar: 0.25,
        lower: true,
        unit: 'rate',
        weight: 20,
        worst: 1,
        barText: '≤ 0.25',
      },
      (figures) => figures.syllables?.rate,
    ),
    ...inBothModes(
      {
        name: 'tones right, words and sentences',
        bar: 0.85,
        lower: false,
        unit: 'percent',
        weight: 10,
        worst: 0.25,
        barText: '≥ 85 %',
      },
      pooledTones,
    ),
    ...inBothModes(
      {
        name: 'frames with clear harmonics, against people',
        bar: 0.8,
        lower: false,
        unit: 'percent',
        weight: 10,
        worst: 0,
        barText: '≥ 80 %',
      },
      ({ voice }) => (voice && clear ? voice.clearShare / clear : undefined),
    ),
    ...inBothModes(
      { name: 'DNSMOS overall', bar: 3, lower: false, unit: 'score', weight: 10, worst: 1, barText: '≥ 3.0' },
      (figures) => figures.opinion?.overall,
    ),
    ...inBothModes(
      {
        name: 'sentences that end by themselves',
        bar: 0.98,
        lower: false,
        unit: 'percent',
        weight: 3,
        worst: 0,
        barText: '≥ 98 %',
      },
      (figures) => figures.tokens?.endedShare,
    ),
    {
      name: 'sentences with loops, both modes',
      value: ofBothModes(
        columns,
        (figures) => figures.tokens?.loops,
        (a, b) => a + b,
      ),
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
      name: 'real-time factor, processor time on one thread, the slower mode',
      value: ofBothModes(columns, (figures) => figures.realTimeFactor, Math.max),
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
  const unmeasured = candidate.lines.filter((line) => line.weight >= WEIGHT_THAT_COUNTS && line.value === null);
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

function share(count: Count | undefined): number | undefined {
  return count && count.total > 0 ? count.right / count.total : undefined;
}

function pooledTones({ wordTones, sentenceTones }: ColumnFigures): number | undefined {
  if (!wordTones || !sentenceTones) return undefined;
  return (wordTones.right + sentenceTones.right) / Math.max(1, wordTones.total + sentenceTones.total);
}

/** One value of both modes' values; null where one of them was not measured. */
function ofBothModes(
  { prompted, promptFree }: Evaluation['columns'],
  pick: (figures: ColumnFigures) => number | undefined,
  join: (one: number, other: number) => number,
): number | null {
  const one = prompted && pick(prompted);
  const other = promptFree && pick(promptFree);
  return one === undefined || other === undefined ? null : join(one, other);
}
