import type { FastifyInstance } from 'fastify';
import { ModelsAnswer, VoicesAnswer } from '../../api/resources.js';
import { AppError } from '../../errors.js';
import type { GatewayOptions } from '../app.js';

const CATALOG_TIMEOUT_MS = 15_000;

/** `GET /v1/voices` and `GET /v1/models`. */
export function registerCatalogRoutes(app: FastifyInstance, { catalog, config }: GatewayOptions): void {
  app.get('/v1/voices', { schema: { response: { 200: VoicesAnswer } } }, async (): Promise<VoicesAnswer> => {
    const voices = await withinTime((signal) => catalog.listVoices({ signal }));
    return {
      default_voice: config.defaultVoice ?? catalog.defaultVoice,
      voices: voices.map((voice) => ({
        name: voice.name,
        language: voice.language,
        transcript: voice.transcript,
        model: voice.model,
        duration_ms: voice.durationMs,
        created_at: voice.createdAt,
        warnings: [...voice.warnings],
      })),
    };
  });

  app.get('/v1/models', { schema: { response: { 200: ModelsAnswer } } }, async (): Promise<ModelsAnswer> => {
    const models = await withinTime((signal) => catalog.listModels({ signal }));
    return {
      models: models.map((model) => ({
        name: model.name,
        version: model.version,
        sample_rate_hz: model.sampleRateHz,
        size_bytes: model.sizeBytes,
        digest: model.digest,
        precision: model.precision,
        has_bert: model.hasBert,
        created_at: model.createdAt,
        warnings: [...model.warnings],
      })),
    };
  });
}

async function withinTime<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
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
