import { AppError } from '../errors.js';
import type { SpeechRequest } from './speech-queue.js';

export interface LoadPredictorOptions {
  /** Jobs that the worker runs at once. */
  readonly maxRunning: number;
  /** Longest predicted wait of a job that is accepted. */
  readonly maxDelayMs: number;
  /** Listeners that are taken even where they would be late; absent: 1, so that a slow machine serves at all. */
  readonly minListeners?: number;
  /** Milliseconds from any fixed point; for tests. */
  readonly now?: () => number;
}

/** What is known of one job. */
interface JobLoad {
  readonly streams: boolean;
  readonly characters: number;
  readonly language: string;
  /** Audio made so far. */
  madeSeconds: number;
  running: boolean;
  /** When its next audio began to be made; null while its caller keeps it from being made. */
  busySinceMs: number | null;
  /** The caller has held it back: how fast it is made says nothing any more. */
  heldBack: boolean;
}

/** How much a new observation counts against those before it. */
const LEARNING_RATE = 0.2;
/** A character of Chinese takes 0.22 s; what a language really takes is learned from the first texts. */
const USUAL_SECONDS_PER_CHARACTER = 0.2;

/**
 * Predicts how long a further speech job would wait, and whether those who listen while audio is made would still get it
 * in time, from what the jobs before took: seconds of audio made for each second that they were worked on, and seconds of
 * audio for each character of a language. It is told what happens (arrival, start, audio, end) and looks at no clock but
 * its own, so it knows nothing before the first audio: then it refuses nobody.
 */
export class LoadPredictor {
  readonly #options: LoadPredictorOptions;
  readonly #now: () => number;
  readonly #jobs = new Map<object, JobLoad>();
  readonly #secondsPerCharacter = new Map<string, number>();
  /** Seconds of audio that all jobs together get in a second; null before any was made. */
  #capacity: number | null = null;

  constructor(options: LoadPredictorOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Seconds of audio a second, as far as is known. */
  get capacity(): number | null {
    return this.#capacity;
  }

  /**
   * Accepts a job, under an object that stands for it, or throws `ENGINE_OVERLOADED` with the time after which it would be
   * accepted: when it would wait too long for a place, or when one more listener would make all of them wait.
   */
  arrive(key: object, request: SpeechRequest): void {
    const job: JobLoad = {
      streams: request.urgency !== 'batch',
      characters: Array.from(request.text).length,
      language: request.language,
      madeSeconds: 0,
      running: false,
      busySinceMs: null,
      heldBack: false,
    };
    if (this.#capacity !== null) {
      const delayMs = 1000 * this.#delaySeconds(this.#capacity);
      if (delayMs > this.#options.maxDelayMs) {
        throw overloaded(
          `a request that came now would wait ${Math.round(delayMs / 1000)} s`,
          (delayMs - this.#options.maxDelayMs) / 1000,
        );
      }
      const listeners = [...this.#jobs.values()].filter((other) => other.streams);
      const limit = Math.max(this.#options.minListeners ?? 1, this.#capacity);
      if (job.streams && listeners.length + 1 > limit) {
        throw overloaded(
          `${listeners.length} listeners are served, and one more would make all of them wait`,
          Math.min(...listeners.map((listener) => this.#remainingSeconds(listener))),
        );
      }
    }
    this.#jobs.set(key, job);
  }

  /** A worker has taken the job. */
  start(key: object): void {
    const job = this.#jobs.get(key);
    if (!job) return;
    job.running = true;
    job.busySinceMs = this.#now();
  }

  /** The worker has made audio. */
  audio(key: object, seconds: number): void {
    const job = this.#jobs.get(key);
    if (!job) return;
    job.madeSeconds += seconds;
    const nowMs = this.#now();
    if (job.busySinceMs !== null && !job.heldBack && nowMs > job.busySinceMs) {
      // Those who are worked on share the machine: together they get as many times more.
      const sharing = [...this.#jobs.values()].filter((other) => other.busySinceMs !== null).length;
      const rate = (1000 * seconds * sharing) / (nowMs - job.busySinceMs);
      this.#capacity = blend(this.#capacity, rate);
    }
    job.busySinceMs = nowMs;
  }

  /** The caller has not taken what was made, so the worker waits for him, from now (`true`) to when he does (`false`). */
  holdBack(key: object, held: boolean): void {
    const job = this.#jobs.get(key);
    if (!job) return;
    job.heldBack = true;
    job.busySinceMs = held ? null : this.#now();
  }

  /** The job has ended; `whole` where all of its text was spoken. */
  end(key: object, whole: boolean): void {
    const job = this.#jobs.get(key);
    if (!job) return;
    this.#jobs.delete(key);
    if (!whole || job.characters === 0 || job.madeSeconds === 0) return;
    const known = this.#secondsPerCharacter.get(job.language) ?? null;
    this.#secondsPerCharacter.set(job.language, blend(known, job.madeSeconds / job.characters));
  }

  /** Until a place is free for one who comes now. */
  #delaySeconds(capacity: number): number {
    const jobs = [...this.#jobs.values()];
    const ahead = jobs.length - this.#options.maxRunning + 1;
    if (ahead <= 0) return 0;
    // Those who run share what is made; the `ahead`-th of those who are done, running or waiting, leaves us its place.
    const remaining = jobs.map((job) => this.#remainingSeconds(job)).sort((a, b) => a - b);
    return remaining.slice(0, ahead).reduce((sum, seconds) => sum + seconds, 0) / capacity;
  }

  #remainingSeconds(job: JobLoad): number {
    const perCharacter = this.#secondsPerCharacter.get(job.language) ?? USUAL_SECONDS_PER_CHARACTER;
    return Math.max(0, job.characters * perCharacter - job.madeSeconds);
  }
}

function blend(known: number | null, seen: number): number {
  return known === null ? seen : known + LEARNING_RATE * (seen - known);
}

function overloaded(why: string, retryAfterSeconds: number): AppError {
  const seconds = Math.max(1, Math.ceil(retryAfterSeconds));
  return new AppError('ENGINE_OVERLOADED', `the server is at its limit: ${why}; try again in ${seconds} s`, {
    retryAfterSeconds: seconds,
  });
}
