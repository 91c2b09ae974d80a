import type { AudioChunk, Engine, SynthesisRequest } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import type { ClaimedSpeechJob, ProfileReference, SpeechJobSource, SpeechRequest } from '../jobs/speech-queue.js';
import type { Logger } from '../log.js';

export interface SpeechWorkerOptions {
  readonly source: SpeechJobSource;
  readonly engine: Pick<Engine, 'synthesize'>;
  /** The bytes of a voice's profile, when the engine has not seen it yet. */
  readonly loadProfile: (profile: ProfileReference) => Promise<Uint8Array>;
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

async function claimLoop(options: SpeechWorkerOptions): Promise<void> {
  const { source, signal } = options;
  for (;;) {
    let claimed: ClaimedSpeechJob;
    try {
      claimed = await source.claim({ signal });
    } catch (error) {
      if (signal.aborted || (error instanceof AppError && error.code === 'SHUTTING_DOWN')) return;
      throw error;
    }
    await runJob(claimed, options);
  }
}

async function runJob(claimed: ClaimedSpeechJob, { engine, loadProfile, log }: SpeechWorkerOptions): Promise<void> {
  const { job, signal } = claimed;
  try {
    await claimed.publish({ type: 'started' });
    for await (const chunk of synthesize(engine, job.request, loadProfile, signal)) {
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

/**
 * Speaks in a voice that the engine may not know yet: by its digest first, and with its bytes where that is not enough,
 * which is before any audio.
 */
async function* synthesize(
  engine: Pick<Engine, 'synthesize'>,
  { profiles, ...request }: SpeechRequest,
  loadProfile: SpeechWorkerOptions['loadProfile'],
  signal: AbortSignal,
): AsyncGenerator<AudioChunk, void, undefined> {
  if (profiles === undefined) return yield* engine.synthesize(request, { signal });
  const entries = Object.entries(profiles);
  const byDigest: SynthesisRequest = {
    ...request,
    profiles: Object.fromEntries(entries.map(([name, { digest }]) => [name, { digest }])),
  };
  try {
    return yield* engine.synthesize(byDigest, { signal });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'VOICE_NOT_LOADED') throw error;
  }
  const loaded = await Promise.all(
    entries.map(
      async ([name, profile]) => [name, { digest: profile.digest, bytes: await loadProfile(profile) }] as const,
    ),
  );
  yield* engine.synthesize({ ...byDigest, profiles: Object.fromEntries(loaded) }, { signal });
}
