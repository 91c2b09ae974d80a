/**
 * Every error a caller can meet, once: its stable code, its HTTP status, and whether the same call may succeed later.
 * docs/ERRORS.md describes each; a test holds the two equal.
 */
export const ERROR_CODES = {
  // Requests
  REQUEST_INVALID: { status: 400, retryable: false },
  REQUEST_NOT_JSON: { status: 400, retryable: false },
  REQUEST_TOO_LARGE: { status: 413, retryable: false },
  REQUEST_CANCELLED: { status: 499, retryable: false },
  REQUEST_TIMEOUT: { status: 504, retryable: true },
  ROUTE_NOT_FOUND: { status: 404, retryable: false },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, retryable: false },
  // Text
  TEXT_EMPTY: { status: 400, retryable: false },
  TEXT_TOO_LONG: { status: 400, retryable: false },
  TEXT_UNREADABLE: { status: 400, retryable: false },
  LANGUAGE_UNSUPPORTED: { status: 400, retryable: false },
  SSML_INVALID: { status: 400, retryable: false },
  LEXICON_NOT_FOUND: { status: 404, retryable: false },
  LEXICON_INVALID: { status: 400, retryable: false },
  LEXICON_NOT_LOADED: { status: 503, retryable: true },
  // Voices and recordings
  VOICE_NOT_FOUND: { status: 404, retryable: false },
  ADAPTER_NOT_FOUND: { status: 404, retryable: false },
  ADAPTER_INVALID: { status: 400, retryable: false },
  ADAPTER_NOT_LOADED: { status: 503, retryable: true },
  VOICE_EXISTS: { status: 409, retryable: false },
  VOICE_INVALID: { status: 400, retryable: false },
  VOICE_DISABLED: { status: 403, retryable: false },
  VOICE_NOT_LOADED: { status: 503, retryable: true },
  CONSENT_REQUIRED: { status: 403, retryable: false },
  CONSENT_REVOKED: { status: 403, retryable: false },
  CONSENT_EXPIRED: { status: 403, retryable: false },
  CONSENT_MISMATCH: { status: 422, retryable: false },
  CONSENT_NOT_FOUND: { status: 404, retryable: false },
  AUDIO_NOT_FOUND: { status: 404, retryable: false },
  AUDIO_EMPTY: { status: 400, retryable: false },
  AUDIO_TOO_LARGE: { status: 413, retryable: false },
  AUDIO_TOO_SHORT: { status: 400, retryable: false },
  AUDIO_TOO_LONG: { status: 400, retryable: false },
  AUDIO_SILENT: { status: 400, retryable: false },
  AUDIO_UNREADABLE: { status: 400, retryable: false },
  AUDIO_UNFIT: { status: 422, retryable: false },
  // Checkpoints and models
  CHECKPOINT_NOT_FOUND: { status: 404, retryable: false },
  CHECKPOINT_TOO_LARGE: { status: 400, retryable: false },
  CHECKPOINT_CORRUPT: { status: 400, retryable: false },
  CHECKPOINT_UNSAFE: { status: 400, retryable: false },
  CHECKPOINT_LIMIT: { status: 400, retryable: false },
  CHECKPOINT_UNSUPPORTED: { status: 400, retryable: false },
  MODEL_NOT_FOUND: { status: 404, retryable: false },
  MODEL_EXISTS: { status: 409, retryable: false },
  MODEL_INVALID: { status: 400, retryable: false },
  MODEL_STORE_CORRUPT: { status: 500, retryable: false },
  // Engine
  ENGINE_OVERLOADED: { status: 503, retryable: true },
  ENGINE_CRASHED: { status: 503, retryable: true },
  ENGINE_NOT_READY: { status: 503, retryable: true },
  ENGINE_RUNTIME: { status: 500, retryable: false },
  SYNTHESIS_FAILED: { status: 500, retryable: true },
  // Callers and tenants
  UNAUTHENTICATED: { status: 401, retryable: false },
  FORBIDDEN: { status: 403, retryable: false },
  RATE_LIMITED: { status: 429, retryable: true },
  QUOTA_EXCEEDED: { status: 429, retryable: true },
  TENANT_NOT_FOUND: { status: 404, retryable: false },
  TENANT_EXISTS: { status: 409, retryable: false },
  KEY_NOT_FOUND: { status: 404, retryable: false },
  MEMBER_NOT_FOUND: { status: 404, retryable: false },
  // Records and keys
  AUDIT_UNAVAILABLE: { status: 503, retryable: true },
  AUDIT_BROKEN: { status: 500, retryable: false },
  AUDIT_RETAINED: { status: 409, retryable: false },
  MASTER_KEY_MISSING: { status: 500, retryable: false },
  VAULT_SHREDDED: { status: 404, retryable: false },
  VAULT_CORRUPT: { status: 500, retryable: false },
  OBJECT_NOT_FOUND: { status: 404, retryable: false },
  STORE_UNAVAILABLE: { status: 503, retryable: true },
  STORE_LOCKED: { status: 500, retryable: false },
  STORE_NOT_EMPTY: { status: 409, retryable: false },
  BACKUP_INVALID: { status: 400, retryable: false },
  STORE_INCOMPATIBLE: { status: 500, retryable: false },
  // Operation
  CONFIG_INVALID: { status: 500, retryable: false },
  SHUTTING_DOWN: { status: 503, retryable: true },
  INTERNAL: { status: 500, retryable: false },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** The JSON form of an {@link AppError}, as it crosses the process boundary and the wire. */
export interface ErrorPayload {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface AppErrorOptions extends ErrorOptions {
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * An operating error (bad input, missing thing, no capacity) with a message for its caller: what was wrong, the value
 * seen, what was expected, and the way out. Broken invariants are plain assertions instead.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  /** When to try again, where that is known. */
  readonly retryAfterSeconds: number | undefined;
  /** What the answer's headers say besides. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  toJSON(): ErrorPayload {
    return { code: this.code, message: this.message };
  }
}

/** Rebuilds the error that another process sent with {@link AppError.toJSON}. */
export function errorFromPayload(payload: ErrorPayload): AppError {
  return new AppError(payload.code in ERROR_CODES ? payload.code : 'INTERNAL', payload.message);
}

/** What the system calls an error of its own (`ENOENT`, `EEXIST`); undefined for any other. */
export function errnoCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
