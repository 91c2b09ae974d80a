import type { AudioChunk, Engine, SuppliedAdapter, SuppliedLexicon, SynthesisRequest } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import type {
  AdapterReference,
  ClaimedSpeechJob,
  ProfileReference,
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
  /** The bytes of a voice's profile, when the engine has not seen it yet. */
  readonly loadProfile: (profile: ProfileReference) => Promise<Uint8Array>;
  /** The bytes of a tenant's adapter, when the engine has not seen it yet. */
  readonly loadAdapter: (adapter: AdapterReference) => Promise<Uint8Array>;
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

async function runJob(claimed: ClaimedSpeechJob, options: SpeechWorkerOptions): Promise<void> {
  const { job, signal } = claimed;
  const { log } = options;
  try {
    await claimed.publish({ type: 'started' });
    for await (const chunk of synthesize(job.request, options, signal)) {
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
 * Asks the engine by the digests of voices, adapters and lexicons that it does not keep, which is enough once it has seen them; with
 * what it then says that it lacks, which it does before any audio.
 */
async function* synthesize(
  { profiles, suppliedAdapters, suppliedLexicons, ...request }: SpeechRequest,
  { engine, loadProfile, loadAdapter, loadLexicon }: SpeechWorkerOptions,
  signal: AbortSignal,
): AsyncGenerator<AudioChunk, void, undefined> {
  let asked: SynthesisRequest = {
    ...request,
    ...(profiles && { profiles: mapValues(profiles, ({ digest }) => ({ digest })) }),
    ...(suppliedAdapters && { suppliedAdapters: mapValues(suppliedAdapters, nameAdapter) }),
    ...(suppliedLexicons && { suppliedLexicons: suppliedLexicons.map(nameLexicon) }),
  };
  const sent = new Set<string>();
  for (;;) {
    try {
      return yield* engine.synthesize(asked, { signal });
    } catch (error) {
      const lacking = error instanceof AppError ? error.code : '';
      if (sent.has(lacking)) throw error;
      sent.add(lacking);
      if (lacking === 'VOICE_NOT_LOADED' && profiles) {
        const load = async (profile: ProfileReference) => ({
          digest: profile.digest,
          bytes: await loadProfile(profile),
        });
        asked = { ...asked, profiles: await loadEach(profiles, load) };
      } else if (lacking === 'ADAPTER_NOT_LOADED' && suppliedAdapters) {
        const load = async (adapter: AdapterReference) => ({
          ...nameAdapter(adapter),
          bytes: await loadAdapter(adapter),
        });
        asked = { ...asked, suppliedAdapters: await loadEach(suppliedAdapters, load) };
      } else if (lacking === 'LEXICON_NOT_LOADED' && suppliedLexicons) {
        asked = { ...asked, suppliedLexicons: await loadLexicons(suppliedLexicons, loadLexicon) };
      } else throw error;
    }
  }
}

function nameLexicon({ lexicon, version, digest }: SuppliedLexiconReference): SuppliedLexicon {
  return { name: `${lexicon}@${version}`, digest };
}

function loadLexicons(
  lexicons: readonly SuppliedLexiconReference[],
  load: SpeechWorkerOptions['loadLexicon'],
): Promise<SuppliedLexicon[]> {
  return Promise.all(
    lexicons.map(async (reference) => ({ ...nameLexicon(reference), text: reference.text ?? (await load(reference)) })),
  );
}

function nameAdapter({ name, digest }: AdapterReference): SuppliedAdapter {
  return { name, digest };
}

async function loadEach<V, W>(
  record: Readonly<Record<string, V>>,
  load: (value: V) => Promise<W>,
): Promise<Record<string, W>> {
  const entries = Object.entries(record).map(async ([name, value]) => [name, await load(value)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

function mapValues<V, W>(record: Readonly<Record<string, V>>, change: (value: V) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
