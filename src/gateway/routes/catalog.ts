import type { FastifyInstance, FastifyRequest } from 'fastify';
import { voiceNotFound } from '../../catalog/voice-access.js';
import { AppError } from '../../errors.js';
import type { ModelRecord } from '../../jobs/engine-catalog.js';
import type { GatewayOptions } from '../app.js';
import { visibleVoices, withinTime } from '../voice-directory.js';

/**
 * `/v1/voices` and `/v1/models`. Three dialects ask for them at the same address, so an answer has the fields of all:
 * ours, ElevenLabs's `voice_id` and `category`, OpenAI's `object` and `data`. Only ElevenLabs's list of models, which is
 * an array, needs to know who asks: its clients send `xi-api-key`.
 */
export function registerCatalogRoutes(app: FastifyInstance, gateway: GatewayOptions): void {
  const { catalog, config } = gateway;
  const listModels = () => withinTime((signal) => catalog.listModels({ signal }));

  app.get('/v1/voices', VOICES, async (request) => ({
    default_voice: config.defaultVoice ?? catalog.defaultVoice,
    voices: await visibleVoices(gateway, request),
  }));

  app.get<{ Querystring: { page_size?: string; next_page_token?: string } }>('/v2/voices', VOICES, async (request) => {
    const voices = await visibleVoices(gateway, request);
    const start = wholeNumber(request.query.next_page_token, 0, voices.length) ?? 0;
    const end = start + (wholeNumber(request.query.page_size, 1, 100) ?? 10);
    const hasMore = end < voices.length;
    return {
      voices: voices.slice(start, end),
      has_more: hasMore,
      total_count: voices.length,
      next_page_token: hasMore ? String(end) : null,
    };
  });

  app.get<{ Params: { voice: string } }>('/v1/voices/:voice', VOICES, async (request) => {
    const voice = (await visibleVoices(gateway, request)).find(({ id }) => id === request.params.voice);
    if (voice !== undefined) return voice;
    throw voiceNotFound();
  });

  app.get('/v1/models', MODELS, async (request) => {
    const models = await listModels();
    if (asksElevenLabs(request)) return models.map(renderElevenLabsModel);
    return { object: 'list', data: models.map(renderOpenAiModel), models: models.map(renderModel) };
  });

  app.get<{ Params: { model: string } }>(
    '/v1/models/:model',
    { config: { ...MODELS.config, dialect: 'openai' } },
    async (request) => {
      const model = (await listModels()).find(({ name }) => name === request.params.model);
      if (model !== undefined) return { ...renderModel(model), ...renderOpenAiModel(model) };
      throw new AppError('MODEL_NOT_FOUND', 'there is no such model; GET /v1/models lists those there are');
    },
  );
}

const VOICES = { config: { access: 'voices:read' } } as const;
const MODELS = { config: { access: 'models:read' } } as const;

function renderModel(model: ModelRecord) {
  return {
    name: model.name,
    version: model.version,
    sample_rate_hz: model.sampleRateHz,
    size_bytes: model.sizeBytes,
    digest: model.digest,
    precision: model.precision,
    has_bert: model.hasBert,
    created_at: model.createdAt,
    warnings: [...model.warnings],
  };
}

function renderOpenAiModel({ name, createdAt }: ModelRecord) {
  return { id: name, object: 'model', created: unixSeconds(createdAt), owned_by: 'timbre' };
}

function renderElevenLabsModel({ name, version }: ModelRecord) {
  return {
    model_id: name,
    name,
    description: `GPT-SoVITS ${version}`,
    can_do_text_to_speech: true,
    can_do_voice_conversion: false,
    can_be_finetuned: false,
    can_use_style: false,
    can_use_speaker_boost: false,
    languages: ['zh', 'en'].map((language) => ({ language_id: language, name: language })),
  };
}

function asksElevenLabs(request: FastifyRequest): boolean {
  return 'xi-api-key' in request.headers && request.headers.authorization === undefined;
}

function unixSeconds(iso: string): number {
  return Math.floor(Date.parse(iso) / 1000);
}

function wholeNumber(text: string | undefined, minimum: number, maximum: number): number | null {
  if (text === undefined || !/^\d{1,6}$/.test(text)) return null;
  return Math.min(maximum, Math.max(minimum, Number(text)));
}
