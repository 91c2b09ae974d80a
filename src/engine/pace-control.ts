/** The pace of a synthesis under way: whoever holds it may change it, and it is heard from the next window on. */
export class PaceControl {
  #speed: number;
  /** Ends following another control. */
  #release = (): void => {};
  readonly #listeners = new Set<(speed: number) => void>();

  /** 2 is twice as fast. */
  constructor(speed: number) {
    this.#speed = speed;
  }

  get speed(): number {
    return this.#speed;
  }

  /** 0.5–2; whoever takes it from a network caller checks it. */
  set(speed: number): void {
    if (speed === this.#speed) return;
    this.#speed = speed;
    for (const listener of [...this.#listeners]) listener(speed);
  }

  /** The pace of a stretch that is said faster or slower than the rest; it follows this one until it is released. */
  scaled(factor: number): PaceControl {
    const own = new PaceControl(within(this.#speed * factor));
    own.#release = this.subscribe((speed) => own.set(within(speed * factor)));
    return own;
  }

  release(): void {
    this.#release();
  }

  /** Calls `listener` at every change until the returned function is called. */
  subscribe(listener: (speed: number) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

/** What a model speaks. */
function within(speed: number): number {
  return Math.min(2, Math.max(0.5, speed));
}
