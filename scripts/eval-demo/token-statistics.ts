/** Semantic tokens of one sentence and how it ended. */
export interface TokenRun {
  readonly tokens: readonly number[];
  /** Phonemes that sound, marks left out. */
  readonly phonemes: number;
  /** Whether the model said so, rather than the limit. */
  readonly ended: boolean;
}

export interface TokenFigures {
  readonly sentences: number;
  readonly endedShare: number;
  /** Sentences with a stretch that goes round. */
  readonly loops: number;
  /** Sentences of less than half the usual tokens per phoneme. */
  readonly omissions: number;
  readonly tokensPerPhoneme: number;
}

/** A stretch of this many tokens (1 s) that repeats itself is a loop, not a pause or a long vowel. */
const LOOP_TOKENS = 25;
const LOOP_PERIODS = 3;
const LONGEST_PERIOD = 15;

/** Whether somewhere the same tokens follow one another three times or more, for a second or longer. */
export function hasLoop(tokens: readonly number[]): boolean {
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    let same = 0;
    for (let at = period; at < tokens.length; at++) {
      same = tokens[at] === tokens[at - period] ? same + 1 : 0;
      if (same + period >= Math.max(LOOP_TOKENS, LOOP_PERIODS * period)) return true;
    }
  }
  return false;
}

export function tokenFigures(runs: readonly TokenRun[]): TokenFigures {
  const rates = runs.map(({ tokens, phonemes }) => tokens.length / Math.max(1, phonemes)).sort((a, b) => a - b);
  const usual = rates[rates.length >> 1] ?? 0;
  return {
    sentences: runs.length,
    endedShare: runs.filter((run) => run.ended).length / Math.max(1, runs.length),
    loops: runs.filter((run) => hasLoop(run.tokens)).length,
    omissions: rates.filter((rate) => rate < usual / 2).length,
    tokensPerPhoneme: usual,
  };
}
