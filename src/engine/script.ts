import type { SpeechItem, SpokenText } from '../text/frontend.js';

/** A sentence with the breaks and marks that come before it; those behind the last sentence have none. */
export interface Line {
  readonly before: readonly Exclude<SpeechItem, SpokenText>[];
  readonly text: SpokenText | null;
}

/** Lines read in one go, before others may run: reading is quick, but a long text has thousands. */
const LINES_AT_ONCE = 32;

/**
 * The lines of a request by number, read ahead in the background, so that a long text does not keep its first sentence
 * waiting. Reading ends when the signal aborts.
 */
export class Script {
  readonly #lines: Line[] = [];
  #over = false;
  #failure: { readonly error: unknown } | null = null;
  readonly #waiting: (() => void)[] = [];

  constructor(items: AsyncIterable<SpeechItem>, signal: AbortSignal) {
    void this.#read(items, signal);
  }

  /** Sentences so far; of all but very long texts, all there are. */
  get sentenceCount(): number {
    const last = this.#lines.at(-1);
    return this.#lines.length - (last !== undefined && last.text === null ? 1 : 0);
  }

  /** A line, or null behind the last one. Throws what reading the text threw. */
  async at(index: number): Promise<Line | null> {
    for (;;) {
      const line = this.#lines[index];
      if (line !== undefined) return line;
      if (this.#failure !== null) throw this.#failure.error;
      if (this.#over) return null;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async #read(items: AsyncIterable<SpeechItem>, signal: AbortSignal): Promise<void> {
    let before: Exclude<SpeechItem, SpokenText>[] = [];
    try {
      for await (const item of items) {
        if (signal.aborted) break;
        if (item.type !== 'text') {
          before.push(item);
          continue;
        }
        this.#lines.push({ before, text: item });
        before = [];
        if (this.#lines.length % LINES_AT_ONCE !== 0) continue;
        this.#wake();
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (before.length > 0) this.#lines.push({ before, text: null });
    } catch (error) {
      this.#failure = { error };
    }
    this.#over = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
