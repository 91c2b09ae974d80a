/**
 * A model, other than our own, that decides readings of Chinese characters; whoever has one passes it in. It is asked for
 * the characters that words and rules leave open, and for no others.
 */
export interface PolyphonePredictor {
  /** How explanations call what it decided. */
  readonly name: string;
  /** Whether it has an opinion on a (simplified) character. */
  knows(character: string): boolean;
  /** For each offset into the text its likeliest reading, in pinyin with a tone number, or null. */
  predict(text: string, offsets: readonly number[]): Promise<readonly (PredictedReading | null)[]>;
}

export interface PredictedReading {
  readonly reading: string;
  /** From 0 to 1. */
  readonly confidence: number;
}
