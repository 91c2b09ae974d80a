import type { Logger } from './log.js';

/**
 * The order in which a process ends: take no more, let what runs finish, stop what did not, let go of everything, and at
 * the very end of what the last answers were still recorded in.
 */
const PHASES = ['refuse', 'drain', 'abort', 'close', 'flush'] as const;
export type ShutdownPhase = (typeof PHASES)[number];

export interface ShutdownStep {
  readonly phase: ShutdownPhase;
  readonly name: string;
  /** `signal` aborts when the grace is over; only steps of the phase `drain` need to heed it. */
  run(signal: AbortSignal): Promise<void> | void;
}

export interface Shutdown {
  /** Steps of one phase run side by side; add them in any order. */
  add(step: ShutdownStep): void;
  /** Runs all phases once; later calls wait for the same end. A step that fails is logged and does not stop the rest. */
  run(reason: string): Promise<void>;
}

export interface ShutdownOptions {
  /** For the phase `drain`. */
  readonly graceMs: number;
  readonly log: Logger;
}

export function createShutdown({ graceMs, log }: ShutdownOptions): Shutdown {
  const steps: ShutdownStep[] = [];
  let running: Promise<void> | null = null;

  const runPhases = async (reason: string) => {
    log.info({ reason, graceMs }, 'shutting down');
    const grace = new AbortController();
    const timer = setTimeout(() => grace.abort(new Error('the grace is over')), graceMs);
    for (const phase of PHASES) {
      const ofPhase = steps.filter((step) => step.phase === phase);
      await Promise.all(
        ofPhase.map(async (step) => {
          try {
            await step.run(grace.signal);
          } catch (error) {
            log.error({ err: error, phase, step: step.name }, 'shutdown step failed');
          }
        }),
      );
    }
    clearTimeout(timer);
    log.info('shut down');
  };

  return {
    add: (step) => void steps.push(step),
    run(reason) {
      running ??= runPhases(reason);
      return running;
    },
  };
}

/** What {@link shutdownOnSignals} needs of a process; tests hand in their own. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  exit(code: number): void;
}

/**
 * Runs the shutdown on SIGTERM and SIGINT and exits with 0. A second signal, or `forceAfterMs` beyond the first, ends
 * the process at once with 1: nothing may keep it alive.
 */
export function shutdownOnSignals(
  shutdown: Shutdown,
  { forceAfterMs, log, source = process }: { forceAfterMs: number; log: Logger; source?: SignalSource },
): void {
  let signals = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    source.on(signal, () => {
      signals++;
      if (signals > 1) {
        log.warn({ signal }, 'second signal: exiting at once');
        source.exit(1);
        return;
      }
      const force = setTimeout(() => {
        log.error({ forceAfterMs }, 'shutdown took too long: exiting at once');
        source.exit(1);
      }, forceAfterMs);
      force.unref();
      void shutdown.run(signal).then(() => source.exit(0));
    });
  }
}
