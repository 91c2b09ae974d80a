import type { FastifyRequest } from 'fastify';
import type { AppError, ErrorCode } from '../errors.js';
import { FieldError } from './check-fields.js';

/** Whose client libraries speak to a route, and so how its errors look. */
export type Dialect = 'timbre' | 'openai' | 'elevenlabs' | 'reference';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Absent: ours. */
    dialect?: Dialect;
  }
}

/** Of the route, or, where a request reached none, of the place it asked for. */
export function dialectOf(request: FastifyRequest): Dialect {
  const { dialect } = request.routeOptions.config;
  if (dialect !== undefined) return dialect;
  if (request.url.startsWith('/v1/audio/')) return 'openai';
  return request.url.startsWith('/v1/text-to-speech') || 'xi-api-key' in request.headers ? 'elevenlabs' : 'timbre';
}

/** An error as the clients of a dialect expect it. */
export function renderError(error: AppError, requestId: string, dialect: Dialect): { status: number; body: unknown } {
  switch (dialect) {
    case 'openai':
      return { status: error.status, body: { error: openAiError(error) } };
    case 'elevenlabs':
      return elevenLabsError(error);
    case 'reference':
      // One status for all that the reference refuses; overload keeps its own, so that proxies try elsewhere.
      return {
        status: error.status >= 500 ? error.status : 400,
        body: { message: 'tts failed', Exception: error.message },
      };
    case 'timbre':
      return {
        status: error.status,
        body: { error: { code: error.code, message: error.message, request_id: requestId } },
      };
  }
}

export interface OpenAiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

export function openAiError(error: AppError): OpenAiError {
  const { status } = error;
  const type =
    status === 401
      ? 'authentication_error'
      : status === 403
        ? 'permission_error'
        : status === 429
          ? 'rate_limit_error'
          : status >= 500
            ? 'server_error'
            : 'invalid_request_error';
  return {
    message: error.message,
    type,
    param: error instanceof FieldError && error.field !== '' ? error.field : null,
    code: OPENAI_CODES[error.code] ?? error.code.toLowerCase(),
  };
}

const OPENAI_CODES: Readonly<Partial<Record<string, string>>> = {
  UNAUTHENTICATED: 'invalid_api_key',
  RATE_LIMITED: 'rate_limit_exceeded',
  QUOTA_EXCEEDED: 'insufficient_quota',
  TEXT_TOO_LONG: 'string_above_max_length',
};

/** `detail` is one status and message, or for wrong fields a list that names each, as its framework does. */
function elevenLabsError(error: AppError): { status: number; body: unknown } {
  if (error instanceof FieldError) {
    const loc = ['body', ...error.field.split('.').filter((step) => step !== '')];
    return { status: 422, body: { detail: [{ loc, msg: error.message, type: 'value_error' }] } };
  }
  const known = ELEVENLABS_STATUSES[error.code];
  return {
    status: known?.status ?? error.status,
    body: { detail: { status: known?.name ?? error.code.toLowerCase(), message: error.message } },
  };
}

const ELEVENLABS_STATUSES: Readonly<Partial<Record<ErrorCode | string, { name: string; status?: number }>>> = {
  UNAUTHENTICATED: { name: 'invalid_api_key' },
  FORBIDDEN: { name: 'missing_permissions', status: 401 },
  QUOTA_EXCEEDED: { name: 'quota_exceeded', status: 401 },
  RATE_LIMITED: { name: 'too_many_concurrent_requests' },
  ENGINE_OVERLOADED: { name: 'system_busy', status: 429 },
  VOICE_NOT_FOUND: { name: 'voice_not_found' },
  LEXICON_NOT_FOUND: { name: 'pronunciation_dictionary_not_found' },
  TEXT_TOO_LONG: { name: 'max_character_limit_exceeded' },
  TEXT_EMPTY: { name: 'input_text_empty' },
};
