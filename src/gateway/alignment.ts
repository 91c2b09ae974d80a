import type { SpeechPiece } from './speech.js';

/** When each character of a text is heard, in seconds from the beginning. */
export interface Alignment {
  readonly characters: string[];
  readonly startSeconds: number[];
  readonly endSeconds: number[];
}

/**
 * Spreads the characters of a text evenly over the time they take together: sounds are not told apart within it.
 * Spaces and marks take no time of their own.
 */
export function alignEvenly(text: string, startSeconds: number, endSeconds: number): Alignment {
  const characters = [...text];
  const weights = characters.map((character) => (/[\p{L}\p{N}\p{S}]/u.test(character) ? 1 : 0));
  const total = weights.reduce((sum: number, weight) => sum + weight, 0) || 1;
  const starts: number[] = [];
  const ends: number[] = [];
  let passed = 0;
  for (const weight of weights) {
    starts.push(round(startSeconds + ((endSeconds - startSeconds) * passed) / total));
    passed += weight;
    ends.push(round(startSeconds + ((endSeconds - startSeconds) * passed) / total));
  }
  return { characters, startSeconds: starts, endSeconds: ends };
}

/** Where pieces of audio lie in time. */
export class PieceClock {
  readonly #sampleRateHz: number;
  #samples = 0;

  constructor(sampleRateHz: number) {
    this.#sampleRateHz = sampleRateHz;
  }

  /** Adds a piece and gives its stretch, in seconds. */
  add({ lengthSamples }: Pick<SpeechPiece, 'lengthSamples'>): { readonly start: number; readonly end: number } {
    const start = this.#samples / this.#sampleRateHz;
    this.#samples += lengthSamples;
    return { start, end: this.seconds };
  }

  get seconds(): number {
    return this.#samples / this.#sampleRateHz;
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
