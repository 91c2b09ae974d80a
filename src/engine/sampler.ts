/** How a token is drawn from logits; names and order of application are upstream's. */
export interface SamplingParameters {
  /** Only the k likeliest tokens stay, with all that tie with the last of them; null: all. */
  readonly topK: number | null;
  /** Tokens whose cumulative probability exceeds this are dropped, the likeliest never; 1 or null: none. */
  readonly topP: number | null;
  /** Divides the logits; 0 means as cold as upstream goes (1e-5). */
  readonly temperature: number;
  /** Makes tokens that already occurred less likely; 1: not. */
  readonly repetitionPenalty: number;
}

/** The distinct tokens of a row so far, the prompt's included. */
export class TokenHistory {
  readonly #seen: Uint8Array;
  readonly #distinct: Int32Array;
  #size = 0;

  constructor(vocabulary: number) {
    this.#seen = new Uint8Array(vocabulary);
    this.#distinct = new Int32Array(vocabulary);
  }

  add(token: number): void {
    if (this.#seen[token] !== 0) return;
    this.#seen[token] = 1;
    this.#distinct[this.#size++] = token;
  }

  /** In order of first occurrence; valid until the next `add`. */
  get distinct(): Int32Array {
    return this.#distinct.subarray(0, this.#size);
  }
}

/** Draws tokens; owns the scratch memory for one draw at a time, so that a draw allocates nothing but small views. */
export interface Sampler {
  /**
   * Probabilities after penalty, top-p, temperature and top-k, as a view that the next call overwrites. The penalty is
   * written into `logits`, as upstream does. The length of `logits` is the number of columns that may be drawn.
   */
  probabilities(logits: Float32Array, history: TokenHistory, parameters: SamplingParameters): Float32Array;
  /**
   * Draws a token: the largest probability over exponential noise. `noise(token)` must be above 0 and is asked only for
   * tokens that can be drawn.
   */
  sample(
    logits: Float32Array,
    history: TokenHistory,
    parameters: SamplingParameters,
    noise: (token: number) => number,
  ): number;
}

/**
 * Makes a sampler for at most `vocabulary` columns. About 10 µs for 1,025 columns and top-k 15.
 *
 * upstream: AR/models/utils.py logits_to_probs, multinomial_sample_one_no_sync. Arithmetic is rounded to float32 where
 * upstream's tensors round.
 */
export function createSampler(vocabulary: number): Sampler {
  const scores = new Float32Array(vocabulary);
  const sorted = new Float32Array(vocabulary);
  const largest = new Float32Array(MAX_INSERTED);

  const probabilities: Sampler['probabilities'] = (logits, history, parameters) => {
    const columns = logits.length;
    applyRepetitionPenalty(logits, history, parameters.repetitionPenalty);
    const result = scores.subarray(0, columns);
    result.set(logits);
    if (parameters.topP !== null && parameters.topP < 1) {
      keepTopP(result, parameters.topP, sorted.subarray(0, columns));
    }
    const temperature = Math.fround(Math.max(parameters.temperature, 1e-5));
    if (temperature !== 1) for (let index = 0; index < columns; index++) result[index] = result[index]! / temperature;
    if (parameters.topK !== null && parameters.topK < columns) {
      const pivot =
        parameters.topK <= MAX_INSERTED
          ? kthLargest(result, parameters.topK, largest)
          : kthLargestBySort(result, parameters.topK, sorted.subarray(0, columns));
      for (let index = 0; index < columns; index++) if (result[index]! < pivot) result[index] = -Infinity;
    }
    softmax(result);
    return result;
  };

  const sample: Sampler['sample'] = (logits, history, parameters, noise) => {
    const chances = probabilities(logits, history, parameters);
    let best = 0;
    let bestScore = -1;
    for (let token = 0; token < chances.length; token++) {
      const chance = chances[token]!;
      if (chance === 0) continue;
      const score = Math.fround(chance / Math.fround(noise(token)));
      if (score > bestScore) {
        bestScore = score;
        best = token;
      }
    }
    return best;
  };

  return { probabilities, sample };
}

/** The first of the largest values. */
export function argMax(values: Float32Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! > values[best]!) best = index;
  return best;
}

/** Up to this k the k largest values are kept in order by insertion, beyond it all are sorted. */
const MAX_INSERTED = 64;

function applyRepetitionPenalty(logits: Float32Array, history: TokenHistory, repetitionPenalty: number): void {
  if (repetitionPenalty === 1) return;
  const penalty = Math.fround(repetitionPenalty);
  const { distinct } = history;
  for (let index = 0; index < distinct.length; index++) {
    const token = distinct[index]!;
    if (token >= logits.length) continue; // the end token's column may be cut off
    const logit = logits[token]!;
    logits[token] = logit < 0 ? logit * penalty : logit / penalty;
  }
}

/**
 * Drops every token whose cumulative probability, from the likeliest down, exceeds `topP`, the one that crosses the
 * limit included; the likeliest stays. Among equal logits the lower token comes first.
 */
function keepTopP(scores: Float32Array, topP: number, sorted: Float32Array): void {
  const columns = scores.length;
  sorted.set(scores);
  sorted.sort(); // ascending
  const top = sorted[columns - 1]!;
  let sum = 0;
  for (let index = columns - 1; index >= 0; index--) sum += Math.exp(sorted[index]! - top);
  const limit = Math.fround(topP);
  let kept = 1;
  let cumulative = Math.fround(1 / sum);
  while (kept < columns) {
    cumulative += Math.fround(Math.exp(sorted[columns - 1 - kept]! - top) / sum);
    if (Math.fround(cumulative) > limit) break;
    kept += 1;
  }
  const pivot = sorted[columns - kept]!;
  let ties = 0; // how many of the tokens at the pivot are kept
  for (let index = columns - kept; index < columns && sorted[index] === pivot; index++) ties += 1;
  for (let index = 0; index < columns; index++) {
    const score = scores[index]!;
    if (score > pivot) continue;
    if (score === pivot && ties > 0) ties -= 1;
    else scores[index] = -Infinity;
  }
}

function kthLargest(values: Float32Array, k: number, largest: Float32Array): number {
  largest.fill(-Infinity, 0, k); // descending
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (!(value > largest[k - 1]!)) continue;
    let place = k - 1;
    while (place > 0 && largest[place - 1]! < value) {
      largest[place] = largest[place - 1]!;
      place -= 1;
    }
    largest[place] = value;
  }
  return largest[k - 1]!;
}

function kthLargestBySort(values: Float32Array, k: number, sorted: Float32Array): number {
  sorted.set(values);
  sorted.sort();
  return sorted[sorted.length - k]!;
}

function softmax(values: Float32Array): void {
  let top = -Infinity;
  for (let index = 0; index < values.length; index++) if (values[index]! > top) top = values[index]!;
  let sum = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    // Most are -Infinity after top-k, and exp is the dear part.
    const power = value === -Infinity ? 0 : Math.exp(Math.fround(value - top));
    values[index] = power;
    sum += power;
  }
  for (let index = 0; index < values.length; index++) values[index] = values[index]! / sum;
}
