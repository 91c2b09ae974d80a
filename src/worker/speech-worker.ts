import type { Engine } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import type { ClaimedSpeechJob, SpeechJobSource } from '../jobs/speech-queue.js';
import type { Logger } from '../log.js';

export interface SpeechWorkerOptions {
  readonly source: SpeechJobSource;
  readonly engine: Pick<Engine, 'synthesize'>;
  /** Jobs in hand at once: the engine's places. */
  readonly concurrency: number;
  readonly log: Logger;
  /** Aborting stops claiming; jobs in hand go on until they end or are cancelled. */
  readonly signal: AbortSignal;
}

/** Claims speech jobs and runs them on the engine until `signal` aborts and the last job in hand has ended. */
export async function runSpeechWorker(options: SpeechWorkerOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.concurrency }, () => claimLoop(options)));
}

async function claimLoop({ source, engine, log, signal }: SpeechWorkerOptions): Promise<void> {
  for (;;) {
    let claimed: ClaimedSpeechJob;
    try {
      claimed = await source.claim({ signal });
    } catch (error) {
      if (signal.aborted || (error instanceof AppError && error.code === 'SHUTTING_DOWN')) return;
      throw error;
    }
    await runJob(claimed, engine, log);
  }
}

async function runJob(claimed: ClaimedSpeechJob, engine: Pick<Engine, 'synthesize'>, log: Logger): Promise<void> {
  const { job, signal } = claimed;
  try {
    await claimed.publish({ type: 'started' });
    for await (const chunk of engine.synthesize(job.request, { signal })) {
      await claimed.publish({ type: 'audio', ...chunk });
    }
    claimed.finish();
  } catch (error) {
    if (!signal.aborted && !(error instanceof AppError)) log.error({ err: error, job: job.id }, 'speech job failed');
    claimed.fail(
      error instanceof AppError
        ? error
        : new AppError('INTERNAL', 'the speech job failed unexpectedly', { cause: error }),
    );
  }
}
