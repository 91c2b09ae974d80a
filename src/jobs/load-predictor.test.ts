import { describe, expect, it } from 'vitest';
import { AppError } from '../errors.js';
import { LoadPredictor } from './load-predictor.js';
import type { SpeechRequest } from './speech-queue.js';

/** A predictor and its own clock, in which jobs are made at a speed that the test sets. */
class Server {
  nowMs = 0;
  readonly predictor: LoadPredictor;

  constructor(options: { maxRunning?: number; maxDelayMs?: number } = {}) {
    this.predictor = new LoadPredictor({
      maxRunning: options.maxRunning ?? 4,
      maxDelayMs: options.maxDelayMs ?? 5000,
      now: () => this.nowMs,
    });
  }

  arrive(characters: number, urgency: 'stream' | 'batch' = 'stream'): object {
    const job = {};
    const text = '好'.repeat(characters);
    const request: SpeechRequest = { text, voice: 'v', language: 'zh', speed: 1, seed: 1, urgency };
    this.predictor.arrive(job, request);
    return job;
  }

  /** Makes audio for some jobs that share a machine of a capacity. */
  make(jobs: readonly object[], secondsEach: number, capacity: number): void {
    this.nowMs += (1000 * secondsEach * jobs.length) / capacity;
    for (const job of jobs) this.predictor.audio(job, secondsEach);
  }

  /** Runs jobs from their start to their end at a capacity, so that the predictor knows the machine. */
  learn(capacity: number, characters = 10): void {
    for (let round = 0; round < 20; round++) {
      const job = this.arrive(characters, 'batch');
      this.predictor.start(job);
      this.make([job], 0.2 * characters, capacity);
      this.predictor.end(job, true);
    }
  }

  refusal(characters: number, urgency?: 'stream' | 'batch'): AppError | null {
    try {
      this.arrive(characters, urgency);
      return null;
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
  }
}

describe('admission by predicted load', () => {
  it('refuses nobody before anything was made', () => {
    const server = new Server({ maxRunning: 1, maxDelayMs: 1 });
    for (let index = 0; index < 50; index++) expect(server.refusal(1000)).toBeNull();
  });

  it('learns what the machine makes, from one job and from several that share it', () => {
    const alone = new Server();
    alone.learn(5);
    expect(alone.predictor.capacity).toBeCloseTo(5, 1);
    const shared = new Server();
    const jobs = [shared.arrive(100), shared.arrive(100), shared.arrive(100)];
    for (const job of jobs) shared.predictor.start(job);
    for (let round = 0; round < 30; round++) shared.make(jobs, 0.5, 8);
    expect(shared.predictor.capacity).toBeCloseTo(8, 1);
  });

  it('refuses one listener more than can be served in time, and says when one of them will be done', () => {
    const server = new Server({ maxRunning: 100 });
    server.learn(3.5);
    const listeners = [server.arrive(100), server.arrive(20), server.arrive(100)];
    for (const job of listeners) server.predictor.start(job);
    const refused = server.refusal(10);
    expect(refused).toMatchObject({ code: 'ENGINE_OVERLOADED', retryAfterSeconds: 4 });
    server.predictor.end(listeners[1]!, true);
    expect(server.refusal(10)).toBeNull();
  });

  it('takes work that nobody listens to while listeners are at their limit', () => {
    const server = new Server({ maxRunning: 100 });
    server.learn(2);
    for (let index = 0; index < 2; index++) server.predictor.start(server.arrive(50));
    expect(server.refusal(10, 'stream')).not.toBeNull();
    expect(server.refusal(10, 'batch')).toBeNull();
  });

  it('always serves one listener, however slow the machine', () => {
    const server = new Server();
    server.learn(0.2);
    expect(server.refusal(10)).toBeNull();
  });

  it('refuses who would wait too long for a place, with the time after which he would not', () => {
    const server = new Server({ maxRunning: 2, maxDelayMs: 10_000 });
    server.learn(2);
    // Each is 20 s of audio, 10 s of work: both places are taken, so the next waits 10 s, the one behind him 20 s.
    for (let index = 0; index < 2; index++) server.predictor.start(server.arrive(100, 'batch'));
    expect(server.refusal(100, 'batch')).toBeNull();
    expect(server.refusal(100, 'batch')).toMatchObject({ retryAfterSeconds: 10 });
  });

  it('counts what is left of a job, not what it was', () => {
    const server = new Server({ maxRunning: 1, maxDelayMs: 1000 });
    server.learn(2);
    const job = server.arrive(100, 'batch');
    server.predictor.start(job);
    expect(server.refusal(10, 'batch')).not.toBeNull();
    for (let second = 0; second < 19; second++) server.make([job], 1, 2);
    expect(server.refusal(10, 'batch')).toBeNull();
  });

  it('does not take a slow reader for a slow machine', () => {
    const server = new Server();
    server.learn(5);
    const job = server.arrive(1000);
    server.predictor.start(job);
    for (let second = 0; second < 50; second++) {
      server.predictor.holdBack(job, true);
      server.nowMs += 1000;
      server.predictor.holdBack(job, false);
      server.make([job], 0.1, 5);
    }
    expect(server.predictor.capacity).toBeCloseTo(5, 1);
  });

  it('forgets a job that was cancelled', () => {
    const server = new Server({ maxRunning: 1, maxDelayMs: 1000 });
    server.learn(1);
    const job = server.arrive(1000, 'batch');
    expect(server.refusal(10, 'batch')).not.toBeNull();
    server.predictor.end(job, false);
    expect(server.refusal(10, 'batch')).toBeNull();
  });
});
