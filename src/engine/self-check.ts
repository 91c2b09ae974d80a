import type { SemanticPiece } from './decode-tasks.js';
import type { VoicePrompt } from './voice-profile.js';

/**
 * What can go wrong with the tokens of a sentence, since they are drawn: far fewer or more than its phonemes take in this
 * voice, going round in circles, or saying the reference recording again.
 */
export type TokenFault = 'too_short' | 'too_long' | 'loop' | 'leak';

/** A fault of a sentence, its waveform's included. */
export type SpeechFault = TokenFault | 'silent';

/** What became of it: drawn again, cut at its last good token, or given as it is. */
export type FaultOutcome = 'redrawn' | 'cut' | 'kept';

export interface SentenceExpectation {
  readonly phonemeCount: number;
  /** What the voice continues from; its pace is the voice's pace. */
  readonly prompt: Pick<VoicePrompt, 'semanticTokens' | 'phonemeIds'> | null;
}

/** Tokens a phoneme takes where no prompt tells: 4.5 syllables of two phonemes a second, at 25 tokens a second. */
const USUAL_TOKENS_PER_PHONEME = 2.8;
/** A voice whose prompt is mostly pause, or hurried, must not make the bounds absurd. */
const PACE_RANGE = [1.5, 5] as const;
/** Of the pace of the prompt; besides, 5 tokens less and 2 s of pauses more are nothing. */
const LEAST_SHARE = 0.35;
const MOST_SHARE = 2.5;
const SLACK_BELOW = 5;
const SLACK_ABOVE = 50;

/** One token over and over is a pause; 3 s of it are not. */
const LONGEST_PAUSE_TOKENS = 75;
/** Anything longer that comes again and again, three times and for 2 s at least. */
const LONGEST_PERIOD_TOKENS = 50;
const LOOP_REPEATS = 3;
const LOOP_TOKENS = 50;

/** As many tokens in a row as in the prompt (0.64 s), of which half differ, are no coincidence. */
const LEAK_TOKENS = 16;
const LEAK_DISTINCT = 8;

/** Watches the tokens of one sentence as they are drawn. */
export class TokenCheck {
  readonly #least: number;
  readonly #most: number;
  readonly #promptRuns: ReadonlySet<string>;
  readonly #tokens: number[] = [];

  constructor({ phonemeCount, prompt }: SentenceExpectation) {
    const own = prompt
      ? prompt.semanticTokens.length / Math.max(1, prompt.phonemeIds.length)
      : USUAL_TOKENS_PER_PHONEME;
    const pace = Math.min(PACE_RANGE[1], Math.max(PACE_RANGE[0], own));
    this.#least = LEAST_SHARE * pace * phonemeCount - SLACK_BELOW;
    this.#most = MOST_SHARE * pace * phonemeCount + SLACK_ABOVE;
    this.#promptRuns = prompt ? runsOf(prompt.semanticTokens) : new Set();
  }

  /** Sees one more token; says what is wrong from here on, and how many tokens were good. */
  push(token: number): { readonly fault: TokenFault; readonly goodTokens: number } | null {
    const tokens = this.#tokens;
    tokens.push(token);
    if (tokens.length > this.#most) return { fault: 'too_long', goodTokens: tokens.length - 1 };
    const loopStart = startOfLoop(tokens);
    if (loopStart !== null) return { fault: 'loop', goodTokens: loopStart };
    if (this.#promptRuns.size > 0 && tokens.length >= LEAK_TOKENS) {
      const start = tokens.length - LEAK_TOKENS;
      if (this.#promptRuns.has(tokens.slice(start).join())) return { fault: 'leak', goodTokens: start };
    }
    return null;
  }

  /** The sentence is over; says whether it is too short for its text. */
  end(): TokenFault | null {
    return this.#tokens.length < this.#least ? 'too_short' : null;
  }
}

/** Where a repetition that has gone on for too long began its second round; null: there is none at the end. */
function startOfLoop(tokens: readonly number[]): number | null {
  const last = tokens.length - 1;
  const pausing = tokens[last] === tokens[last - 1];
  for (let period = 1; period <= LONGEST_PERIOD_TOKENS; period++) {
    if (tokens[last] !== tokens[last - period]) continue;
    // One token over and over has every period; it is a pause, which may be longer.
    if (pausing && period > 1 && sameTokens(tokens, period)) continue;
    const needed = period === 1 ? LONGEST_PAUSE_TOKENS : Math.max(LOOP_TOKENS, LOOP_REPEATS * period);
    let same = 1;
    while (same < needed && last - period - same >= 0 && tokens[last - same] === tokens[last - period - same])
      same += 1;
    if (same >= needed) return last - same + 1;
  }
  return null;
}

/** Whether the last `count` tokens are all the same. */
function sameTokens(tokens: readonly number[], count: number): boolean {
  for (let back = 2; back <= count; back++)
    if (tokens[tokens.length - back] !== tokens[tokens.length - 1]) return false;
  return true;
}

/** All runs of the prompt that would be recognised. */
function runsOf(prompt: Int32Array): Set<string> {
  const runs = new Set<string>();
  for (let start = 0; start + LEAK_TOKENS <= prompt.length; start++) {
    const run = prompt.subarray(start, start + LEAK_TOKENS);
    if (new Set(run).size >= LEAK_DISTINCT) runs.add(run.join());
  }
  return runs;
}

/** Draws of a sentence at most: the first, and two more. */
export const MAX_DRAWS = 3;

/** The seed of the n-th draw: a fixed ladder, so that the same request takes the same steps. */
export function seedOfDraw(seed: number, draw: number): number {
  return (seed + Math.imul(draw, 0x9e3779b1)) >>> 0;
}

export interface CheckedOptions {
  readonly seed: number;
  /** The first draw of this reading; above 0 where earlier draws were found wanting. */
  readonly firstDraw?: number;
  readonly expectation: SentenceExpectation;
  /**
   * Tokens that are held back until they are known to be good. A fault among them is drawn again; one behind them, which
   * may have been heard, ends the sentence at its last good token. A fixed number, not a matter of who is faster: the
   * same request must give the same audio however busy the machine is.
   */
  readonly heldTokens: number;
  readonly onFault?: (fault: TokenFault, outcome: FaultOutcome) => void;
}

/** The tokens of a sentence, checked as they come. Reading them starts when the iteration does. */
export async function* checkedTokens(
  decode: (seed: number) => AsyncIterable<SemanticPiece>,
  options: CheckedOptions,
): AsyncGenerator<SemanticPiece, void, undefined> {
  const { seed, firstDraw = 0, expectation, heldTokens, onFault } = options;
  for (let draw = firstDraw; ; draw++) {
    const last = draw >= MAX_DRAWS - 1;
    const found = yield* oneDraw(decode(seedOfDraw(seed, draw)), new TokenCheck(expectation), heldTokens, last);
    if (found === null) return;
    onFault?.(found.fault, found.outcome);
    if (found.outcome !== 'redrawn') return;
  }
}

interface Finding {
  readonly fault: TokenFault;
  readonly outcome: FaultOutcome;
}

/** Yields one draw's tokens; null where nothing was wrong with them. */
async function* oneDraw(
  pieces: AsyncIterable<SemanticPiece>,
  check: TokenCheck,
  heldTokens: number,
  last: boolean,
): AsyncGenerator<SemanticPiece, Finding | null, undefined> {
  let held: number[] = [];
  let count = 0;
  let kept: Finding | null = null;
  for await (const { tokens, finished } of pieces) {
    for (const token of tokens) {
      const wrong = check.push(token);
      const again = !last && count < heldTokens;
      if (wrong && again) return { fault: wrong.fault, outcome: 'redrawn' };
      if (wrong?.fault === 'leak') {
        // The text may well say what the reference says: a sentence is not cut for it.
        kept ??= { fault: 'leak', outcome: 'kept' };
      } else if (wrong) {
        const good = held.slice(0, Math.max(0, wrong.goodTokens - (count - held.length)));
        yield { tokens: Int32Array.from(good), finished: 'limit' };
        return { fault: wrong.fault, outcome: 'cut' };
      }
      held.push(token);
      count += 1;
    }
    if (finished !== null) {
      const fault = check.end();
      if (fault && !last && count < heldTokens) return { fault, outcome: 'redrawn' };
      yield { tokens: Int32Array.from(held), finished };
      return fault ? { fault, outcome: 'kept' } : kept;
    }
    if (count >= heldTokens && held.length > 0) {
      yield { tokens: Int32Array.from(held), finished: null };
      held = [];
    }
  }
  return kept;
}

/** The level of nothing at all: −60 dB of full scale, which no breath or room is below. */
const SILENT_RMS = 1e-3;

/** Silence at the beginning that is held back, since it may be all there is: 1.5 s. Nobody hears the difference. */
const HELD_SILENCE_MS = 1500;

/**
 * Passes a sentence's windows on once one of them can be heard. Returns `silent`, having yielded nothing, where none can
 * for too long or to the end.
 */
export async function* audibleWindows(
  windows: AsyncIterable<Float32Array>,
  sampleRateHz: number,
): AsyncGenerator<Float32Array, 'audible' | 'silent', undefined> {
  let held: Float32Array[] | null = [];
  let heldSamples = 0;
  for await (const window of windows) {
    if (held === null) {
      yield window;
    } else if (rms(window) >= SILENT_RMS) {
      yield* held;
      held = null;
      yield window;
    } else {
      held.push(window);
      heldSamples += window.length;
      if (heldSamples > (HELD_SILENCE_MS / 1000) * sampleRateHz) return 'silent';
    }
  }
  return held === null ? 'audible' : 'silent';
}

function rms(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length);
}
