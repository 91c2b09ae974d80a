import type { FastifyRequest } from 'fastify';
import type { VoiceAnswer } from '../api/voices.js';
import { RECORDING_VOICE_PREFIX, type VoiceAccess } from '../catalog/voice-access.js';
import { AppError } from '../errors.js';
import type { EngineCatalog, VoiceRecord } from '../jobs/engine-catalog.js';
import type { GatewayOptions } from './app.js';
import { callerOf } from './authentication.js';
import { renderPoolVoice, renderVoice } from './render-voices.js';

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

/** A tenant's view of them. */
export interface TenantVoiceNames extends VoiceNames {
  readonly access: VoiceAccess;
  readonly tenantId: string;
}

/** What the routes of a dialect need to find the voice that a caller means. */
export function voiceNamesOf({ config, catalog, voices }: GatewayOptions, request: FastifyRequest): TenantVoiceNames {
  const { tenantId } = callerOf(request);
  return { configured: config.defaultVoice, catalog, access: voices.access, tenantId };
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

/**
 * The voice that a client of another service means. A name we do not know stays as it is, for the one place that lets
 * voices speak to refuse.
 */
export function resolveVoice(name: string, names: TenantVoiceNames): string | Promise<string> {
  return STAND_INS.has(name) ? resolveStandIn(name, names) : name;
}

async function resolveStandIn(name: string, names: TenantVoiceNames): Promise<string> {
  if (await names.access.has(names.tenantId, name)) return name;
  const voices = await listPool(names);
  return voices.some((voice) => voice.name === name) ? name : defaultVoice(names);
}

/** The voices of the operator's pool that the tenant may use. */
export async function listPool({ catalog, access, tenantId }: Omit<TenantVoiceNames, 'configured'>) {
  const [voices, isAllowed] = await Promise.all([listVoices(catalog), access.pool(tenantId)]);
  return voices.filter(({ name }) => !name.startsWith(RECORDING_VOICE_PREFIX) && isAllowed(name));
}

/** All voices that the caller's tenant may use: its own, those shared with it, the pool's. */
export async function visibleVoices(gateway: GatewayOptions, request: FastifyRequest): Promise<VoiceAnswer[]> {
  const { voices } = gateway;
  const names = voiceNamesOf(gateway, request);
  const [own, shared, pool] = await Promise.all([
    voices.list(names.tenantId),
    voices.listShared(names.tenantId),
    listPool(names),
  ]);
  const catalogued = [...own, ...shared].map(renderVoice);
  const taken = new Set(catalogued.map(({ id }) => id));
  return [...catalogued, ...pool.filter(({ name }) => !taken.has(name)).map(renderPoolVoice)];
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
