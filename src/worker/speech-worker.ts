import type { AudioChunk, Engine, SuppliedLexicon } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import type {
  ClaimedSpeechJob,
  SpeechJobSource,
  SpeechRequest,
  SuppliedLexiconReference,
} from '../jobs/speech-queue.js';
import type { Logger } from '../log.js';

export interface SpeechWorkerOptions {
  readonly source: SpeechJobSource;
  readonly engine: Pick<Engine, 'synthesize'>;
  /** The text of a tenant's lexicon, for an engine that does not have it yet. */
  readonly loadLexicon: (lexicon: SuppliedLexiconReference) => Promise<string>;
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

async function runJob(claimed: ClaimedSpeechJob, { engine, loadLexicon, log }: SpeechWorkerOptions): Promise<void> {
  const { job, signal } = claimed;
  try {
    await claimed.publish({ type: 'started' });
    for await (const chunk of synthesize(engine, job.request, loadLexicon, signal)) {
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
 * Asks the engine with the lexicons' digests first, which is enough once it has seen them; with their texts where that is
 * not enough, which it says before any audio.
 */
async function* synthesize(
  engine: Pick<Engine, 'synthesize'>,
  { suppliedLexicons, ...request }: SpeechRequest,
  loadLexicon: SpeechWorkerOptions['loadLexicon'],
  signal: AbortSignal,
): AsyncGenerator<AudioChunk, void, undefined> {
  if (suppliedLexicons === undefined) return yield* engine.synthesize(request, { signal });
  const named = suppliedLexicons.map(({ lexicon, version, digest }) => ({ name: `${lexicon}@${version}`, digest }));
  try {
    return yield* engine.synthesize({ ...request, suppliedLexicons: named }, { signal });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'LEXICON_NOT_LOADED') throw error;
  }
  const loaded: SuppliedLexicon[] = await Promise.all(
    suppliedLexicons.map(async (reference, i) => ({
      ...named[i]!,
      text: reference.text ?? (await loadLexicon(reference)),
    })),
  );
  yield* engine.synthesize({ ...request, suppliedLexicons: loaded }, { signal });
}
