import { loadSections } from './sections.js';

const IMPOSSIBLE = -3.14e100;
const FIRST_HAN = 0x4e00;
const POSITIONS = ['B', 'M', 'E', 'S'] as const;
type Position = (typeof POSITIONS)[number];

/** The two positions that may precede each position, in the order jieba_fast tries them (the first of equals wins). */
const BEFORE: Record<Position, readonly [Position, Position]> = {
  B: ['E', 'S'],
  M: ['M', 'B'],
  E: ['B', 'M'],
  S: ['S', 'E'],
};

/** Where every predecessor is impossible jieba_fast takes the one with the greater letter. */
const WITHOUT_EVIDENCE: Record<Position, Position> = { B: 'S', M: 'M', E: 'M', S: 'S' };

interface Cutter {
  readonly start: Record<Position, number>;
  readonly transitions: Record<Position, Partial<Record<Position, number>>>;
  readonly values: Float64Array;
  /** Index into `values` + 1 per Han character; 0 where never seen. */
  readonly emissions: Record<Position, Uint16Array>;
}

let loaded: Cutter | undefined;

/** Splits a run of Han characters that is not in the dictionary into words with jieba's plain word-boundary HMM. */
export function splitUnknownWords(run: string): string[] {
  const cutter = (loaded ??= loadCutter());
  let scores = scoresOf((position) => cutter.start[position] + emission(cutter, position, run.charCodeAt(0)));
  const back: Record<Position, Position>[] = [];
  for (let i = 1; i < run.length; i++) {
    const from = { ...WITHOUT_EVIDENCE };
    const previous = scores;
    scores = scoresOf((position) => {
      const emitted = emission(cutter, position, run.charCodeAt(i));
      let best = IMPOSSIBLE;
      let chosen: Position | undefined;
      for (const before of BEFORE[position]) {
        const score = emitted + previous[before] + (cutter.transitions[before][position] ?? IMPOSSIBLE);
        if (score > best) {
          best = score;
          chosen = before;
        }
      }
      from[position] = chosen ?? WITHOUT_EVIDENCE[position];
      return best;
    });
    back.push(from);
  }
  const route: Position[] = [];
  let position: Position = scores.S > scores.E ? 'S' : 'E';
  for (let i = run.length - 1; i >= 0; i--) {
    route[i] = position;
    if (i > 0) position = back[i - 1]![position];
  }
  const words: string[] = [];
  let begin = 0;
  let next = 0;
  route.forEach((at, i) => {
    if (at === 'B') begin = i;
    else if (at === 'E') words.push(run.slice(begin, i + 1));
    else if (at === 'S') words.push(run[i]!);
    if (at === 'E' || at === 'S') next = i + 1;
  });
  if (next < run.length) words.push(run.slice(next));
  return words;
}

function scoresOf(score: (position: Position) => number): Record<Position, number> {
  return { B: score('B'), M: score('M'), E: score('E'), S: score('S') };
}

function emission(cutter: Cutter, position: Position, code: number): number {
  const index = cutter.emissions[position][code - FIRST_HAN] ?? 0;
  return index === 0 ? IMPOSSIBLE : cutter.values[index - 1]!;
}

function loadCutter(): Cutter {
  const sections = loadSections<Pick<Cutter, 'start' | 'transitions'>>('cutter');
  const [B, M, E, S] = POSITIONS.map((position) => sections.uint16(position));
  return {
    start: sections.header.start,
    transitions: sections.header.transitions,
    values: sections.float64('values'),
    emissions: { B: B!, M: M!, E: E!, S: S! },
  };
}
