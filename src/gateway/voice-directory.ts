import { AppError } from '../errors.js';
import type { EngineCatalog, VoiceRecord } from '../jobs/engine-catalog.js';

const CATALOG_TIMEOUT_MS = 15_000;

/** Names that client libraries send when nobody chose a voice; they mean the default voice where no voice has them. */
const STAND_INS: ReadonlySet<string> = new Set([
  'alloy',
  'ash',
  'ballad',
  'coral',
  'echo',
  'fable',
  'onyx',
  'nova',
  'sage',
  'shimmer',
  'verse',
  'marin',
  'cedar',
]);

export interface VoiceNames {
  readonly configured: string | null;
  readonly catalog: EngineCatalog;
}

/** The default voice, or `VOICE_NOT_FOUND` where there is none. */
export function defaultVoice({ configured, catalog }: VoiceNames): string {
  const voice = configured ?? catalog.defaultVoice;
  if (voice !== null) return voice;
  throw new AppError(
    'VOICE_NOT_FOUND',
    'no voice was named and there is no default voice; GET /v1/voices lists voices',
  );
}

/** The voice that a client of another service means. A name we do not know stays as it is, for the engine to refuse. */
export async function resolveVoice(name: string, names: VoiceNames): Promise<string> {
  if (!STAND_INS.has(name)) return name;
  const voices = await listVoices(names.catalog);
  return voices.some((voice) => voice.name === name) ? name : defaultVoice(names);
}

export async function listVoices(catalog: EngineCatalog): Promise<readonly VoiceRecord[]> {
  return await withinTime((signal) => catalog.listVoices({ signal }));
}

/** A catalog question with an end: an engine that is busy for long gives `REQUEST_TIMEOUT`. */
export async function withinTime<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(CATALOG_TIMEOUT_MS);
  try {
    return await ask(signal);
  } catch (error) {
    if (signal.aborted && error === signal.reason) {
      throw new AppError('REQUEST_TIMEOUT', 'the engine is too busy to answer; try again shortly');
    }
    throw error;
  }
}
