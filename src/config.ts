import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { AppError } from './errors.js';

interface Setting<Schema extends TSchema> {
  /** The environment variable; its flag, where the command has one, has the same name in kebab-case. */
  readonly env: string;
  readonly schema: Schema;
  /** As one would write it in the environment; null: no value. */
  readonly fallback: string | null;
  readonly description: string;
}

function setting<Schema extends TSchema>(
  env: string,
  schema: Schema,
  fallback: string | null,
  description: string,
): Setting<Schema> {
  return { env, schema, fallback, description };
}

const cacheBytes = Type.Integer({ minimum: 0, maximum: 1_099_511_627_776 });
const milliseconds = Type.Integer({ minimum: 1, maximum: 86_400_000 });

/** Every setting there is. docs/OPERATIONS.md holds the same table; a test compares them. */
export const SETTINGS = {
  dataDir: setting('TIMBRE_DATA', Type.String({ minLength: 1 }), null, 'Folder of models, voices and audio.'),
  databaseUrl: setting(
    'TIMBRE_DATABASE_URL',
    Type.Union([Type.Null(), Type.String({ pattern: '^postgres(ql)?://' })]),
    null,
    'PostgreSQL, as postgres://user:password@host/database; by default an embedded one in the data folder.',
  ),
  s3Url: setting(
    'TIMBRE_S3_URL',
    Type.Union([Type.Null(), Type.String({ pattern: '^https?://[^/]+/[^/]{3,}' })]),
    null,
    'S3-compatible storage, as https://host/bucket or https://host/bucket/prefix, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; by default a folder in the data folder.',
  ),
  s3Region: setting(
    'TIMBRE_S3_REGION',
    Type.String({ minLength: 1 }),
    'us-east-1',
    'Region that requests to it are signed for.',
  ),
  masterKeyFile: setting(
    'TIMBRE_MASTER_KEY_FILE',
    Type.String({ minLength: 1 }),
    null,
    'File of the key that everything stored is encrypted under; made on the first start. Keep it apart from the data.',
  ),
  auth: setting(
    'TIMBRE_AUTH',
    Type.Enum(['auto', 'required', 'open']),
    'auto',
    'Who needs an API key. auto: everybody but callers on this machine before the first key is made; required: everybody; open: nobody, something in front asks.',
  ),
  oidcIssuer: setting(
    'TIMBRE_OIDC_ISSUER',
    Type.Union([Type.Null(), Type.String({ pattern: '^https?://' })]),
    null,
    'Identity provider whose tokens are taken for people.',
  ),
  oidcAudience: setting(
    'TIMBRE_OIDC_AUDIENCE',
    Type.String({ minLength: 1 }),
    'timbre',
    'Audience that such a token must be for.',
  ),
  speakerThreshold: setting(
    'TIMBRE_SPEAKER_THRESHOLD',
    Type.Number({ minimum: -1, maximum: 1 }),
    '0.36',
    "Least similarity of speakers, by the speaker encoder, at which a consent's statement counts as spoken by whom the recordings have.",
  ),
  auditRetentionDays: setting(
    'TIMBRE_AUDIT_RETENTION_DAYS',
    Type.Integer({ minimum: 180, maximum: 36_500 }),
    '400',
    'How long audit records are kept; at least 180 days.',
  ),
  host: setting('TIMBRE_HOST', Type.String({ minLength: 1 }), '127.0.0.1', 'Address to listen on.'),
  port: setting(
    'TIMBRE_PORT',
    Type.Integer({ minimum: 0, maximum: 65535 }),
    '9880',
    'Port to listen on; 0 takes a free one.',
  ),
  tlsCert: setting(
    'TIMBRE_TLS_CERT',
    Type.Union([Type.Null(), Type.String({ minLength: 1 })]),
    null,
    'PEM file of the certificate; with it and its key, only TLS 1.3 is spoken. A new one is served within seconds.',
  ),
  tlsKey: setting(
    'TIMBRE_TLS_KEY',
    Type.Union([Type.Null(), Type.String({ minLength: 1 })]),
    null,
    "PEM file of the certificate's private key.",
  ),
  allowPlainHttp: setting(
    'TIMBRE_ALLOW_PLAIN_HTTP',
    Type.Boolean(),
    'false',
    'Listen beyond the loopback address without TLS; only behind something that ends TLS.',
  ),
  publicUrl: setting(
    'TIMBRE_PUBLIC_URL',
    Type.Union([Type.Null(), Type.String({ pattern: '^https?://[^/]+' })]),
    null,
    'Base of the audio URLs in answers; by default the address the caller used.',
  ),
  trustProxy: setting(
    'TIMBRE_TRUST_PROXY',
    Type.Boolean(),
    'false',
    'Believe X-Forwarded-Proto, -Host and -For; only behind a proxy that sets them.',
  ),
  defaultVoice: setting(
    'TIMBRE_DEFAULT_VOICE',
    Type.Union([Type.Null(), Type.String({ minLength: 1, maxLength: 64 })]),
    null,
    "Voice of requests that name none; by default the engine's own.",
  ),
  maxTextCharacters: setting(
    'TIMBRE_MAX_TEXT_CHARACTERS',
    Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    '5000',
    'Longest text of one request.',
  ),
  threads: setting(
    'TIMBRE_THREADS',
    Type.Union([Type.Null(), Type.Integer({ minimum: 1, maximum: 256 })]),
    null,
    'Threads of the inference pool; by default one a core, at most 8.',
  ),
  maxRunning: setting(
    'TIMBRE_MAX_RUNNING',
    Type.Integer({ minimum: 1, maximum: 256 }),
    '4',
    'Syntheses that run in the engine at once.',
  ),
  maxWaiting: setting(
    'TIMBRE_MAX_WAITING',
    Type.Integer({ minimum: 0, maximum: 100_000 }),
    '64',
    'Syntheses that may wait for a place; more get ENGINE_OVERLOADED.',
  ),
  maxDelayMs: setting(
    'TIMBRE_MAX_DELAY_MS',
    milliseconds,
    '30000',
    'Longest predicted wait for a place; a request that would wait longer gets ENGINE_OVERLOADED and Retry-After.',
  ),
  minListeners: setting(
    'TIMBRE_MIN_LISTENERS',
    Type.Integer({ minimum: 1, maximum: 100_000 }),
    '1',
    'Streams that are taken at once even where the prediction says that they would be late.',
  ),
  voiceCacheBytes: setting(
    'TIMBRE_VOICE_CACHE_BYTES',
    cacheBytes,
    '67108864',
    'Voices kept in memory (about 0.3 MB each); the others are read when they speak.',
  ),
  textCacheBytes: setting(
    'TIMBRE_TEXT_CACHE_BYTES',
    cacheBytes,
    '67108864',
    'Phonemes and BERT features of sentences said before (4 KB a character of Chinese); 0: none.',
  ),
  adapterCacheBytes: setting(
    'TIMBRE_ADAPTER_CACHE_BYTES',
    cacheBytes,
    '268435456',
    "Files of tenants' adapters kept in memory (3 to 25 MB each); the others are read when they speak.",
  ),
  utteranceCacheBytes: setting(
    'TIMBRE_UTTERANCE_CACHE_BYTES',
    cacheBytes,
    '67108864',
    'Whole utterances, for requests that are the same to the seed (64 KB a second); 0: none.',
  ),
  encodedCacheBytes: setting(
    'TIMBRE_ENCODED_CACHE_BYTES',
    cacheBytes,
    '67108864',
    'Encoded streams of requests that are the same to the seed, in memory (mp3 8 to 12 KB a second); 0: none.',
  ),
  encodedCacheTtlMs: setting('TIMBRE_ENCODED_CACHE_TTL_MS', milliseconds, '3600000', 'How long such a stream is kept.'),
  g2pwFolder: setting(
    'TIMBRE_G2PW_FOLDER',
    Type.Union([Type.Null(), Type.String({ minLength: 1 })]),
    null,
    'Folder of a g2pW model (g2pW.onnx, POLYPHONIC_CHARS.txt, vocab.txt) that decides the polyphones of Chinese; by default our own does.',
  ),
  defaultSeed: setting(
    'TIMBRE_DEFAULT_SEED',
    Type.Union([Type.Null(), Type.Integer({ minimum: 0, maximum: 4294967295 })]),
    null,
    'Seed of requests that name none, which makes repeated texts cacheable; by default drawn anew.',
  ),
  audioBufferBytes: setting(
    'TIMBRE_AUDIO_BUFFER_BYTES',
    Type.Integer({ minimum: 1024, maximum: 16_777_216 }),
    '65536',
    'Encoded audio of one stream between the queue and a slow reader (audio_buffer_size); about 1 s.',
  ),
  requestTimeoutMs: setting(
    'TIMBRE_REQUEST_TIMEOUT_MS',
    milliseconds,
    '600000',
    'Longest time from a request to its last audio; then REQUEST_TIMEOUT.',
  ),
  readerTimeoutMs: setting(
    'TIMBRE_READER_TIMEOUT_MS',
    milliseconds,
    '30000',
    'A caller who takes nothing of a stream for so long is disconnected.',
  ),
  audioTtlMs: setting('TIMBRE_AUDIO_TTL_MS', milliseconds, '3600000', 'How long /audio keeps a file.'),
  audioMaxBytes: setting(
    'TIMBRE_AUDIO_MAX_BYTES',
    Type.Integer({ minimum: 1_000_000 }),
    '1073741824',
    'Size of all files under /audio; the oldest go first.',
  ),
  contentProducer: setting(
    'TIMBRE_CONTENT_PRODUCER',
    Type.String({ minLength: 1, maxLength: 200 }),
    'timbre',
    'Who makes the audio, as its AIGC label says (GB 45438-2025 ContentProducer).',
  ),
  watermark: setting('TIMBRE_WATERMARK', Type.Boolean(), 'true', 'Mark the sound itself as made by AI, inaudibly.'),
  audibleCue: setting(
    'TIMBRE_AUDIBLE_CUE',
    Type.Enum(['off', 'start', 'end', 'both']),
    'off',
    'Say aloud that speech is made by AI: four soft beeps (short-long-short-short) before or after it.',
  ),
  corsOrigins: setting(
    'TIMBRE_CORS_ORIGINS',
    Type.Union([Type.Null(), Type.String({ pattern: '^(\\*|https?://[^\\s,/]+)(,https?://[^\\s,/]+)*$' })]),
    null,
    'Web pages that may call this server: origins such as https://app.example.com, separated by commas; * is all.',
  ),
  referenceFolder: setting(
    'TIMBRE_REFERENCE_FOLDER',
    Type.Union([Type.Null(), Type.String({ minLength: 1 })]),
    null,
    'Folder of recordings that requests to /tts may name; without one they may only name voices.',
  ),
  referenceControl: setting(
    'TIMBRE_REFERENCE_CONTROL',
    Type.Boolean(),
    'false',
    "Whether the reference's /control may end the server.",
  ),
  startTimeoutMs: setting(
    'TIMBRE_START_TIMEOUT_MS',
    milliseconds,
    '180000',
    'Longest start of the engine process, first import included.',
  ),
  pingTimeoutMs: setting(
    'TIMBRE_PING_TIMEOUT_MS',
    milliseconds,
    '20000',
    'An engine process that is silent for so long is replaced.',
  ),
  shutdownGraceMs: setting(
    'TIMBRE_SHUTDOWN_GRACE_MS',
    Type.Integer({ minimum: 0, maximum: 86_400_000 }),
    '20000',
    'How long running requests may take to finish after SIGTERM.',
  ),
  logLevel: setting(
    'TIMBRE_LOG_LEVEL',
    Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'info',
    'Least level that is logged.',
  ),
  logFormat: setting(
    'TIMBRE_LOG_FORMAT',
    Type.Enum(['auto', 'json', 'text']),
    'auto',
    'json, text, or auto: text on a terminal, JSON elsewhere.',
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;
export type Config = { readonly [Name in SettingName]: Static<(typeof SETTINGS)[Name]['schema']> };

/**
 * The configuration from flags (first), the environment, and defaults, validated as a whole.
 *
 * Throws `CONFIG_INVALID` naming the setting, its value, and what it should be.
 */
export function loadConfig(
  flags: Readonly<Partial<Record<SettingName, string | undefined>>> = {},
  env: NodeJS.ProcessEnv = process.env,
): Config {
  const values: Record<string, unknown> = {};
  for (const [name, { env: variable, schema, fallback }] of Object.entries(SETTINGS)) {
    // An empty variable is an unset one: that is what `VAR= command` and empty lines in env files mean.
    const fromEnv = env[variable] === '' ? undefined : env[variable];
    const flag = flags[name as SettingName];
    const text = flag ?? fromEnv ?? PLACES[name]?.(env) ?? fallback;
    const value = text === null ? null : parse(schema, text);
    if (!Value.Check(schema, value)) {
      const source = flag === undefined ? variable : `--${kebabCase(name)}`;
      throw new AppError('CONFIG_INVALID', `${source} is ${JSON.stringify(text)}; expected ${describe(schema)}`);
    }
    values[name] = name in PLACES ? resolve(String(value)) : value;
  }
  // Each value was checked against the schema that its type comes from.
  return values as Config;
}

/** Where data go by default: what the platform says programs should use. */
export function defaultDataDir(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  if (platform === 'win32') return join(env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), 'timbre');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'timbre');
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'timbre');
}

/** Where the master key is by default: not in the data folder, so that whoever takes that cannot read it. */
export function defaultMasterKeyFile(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  if (platform === 'win32') {
    return join(env['APPDATA'] || join(homedir(), 'AppData', 'Roaming'), 'timbre', 'master-key.json');
  }
  return join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'timbre', 'master-key.json');
}

/** Settings that are paths, and where they lead by default. */
const PLACES: Readonly<Record<string, (env: NodeJS.ProcessEnv) => string>> = {
  dataDir: defaultDataDir,
  masterKeyFile: defaultMasterKeyFile,
};

export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The one reading of the text that the schema could accept; what does not read stays text and fails its check. */
function parse(schema: TSchema, text: string): unknown {
  const kinds = schemaTypes(schema);
  if (kinds.has('boolean')) {
    if (/^(true|1|yes|on)$/i.test(text)) return true;
    if (/^(false|0|no|off)$/i.test(text)) return false;
  }
  if (kinds.has('integer') && /^\d+$/.test(text)) return Number(text);
  if (kinds.has('number') && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return text;
}

interface SchemaFacts {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly SchemaFacts[];
}

function schemaTypes(schema: SchemaFacts): ReadonlySet<string | undefined> {
  return new Set([schema.type, ...(schema.anyOf ?? []).map((option) => option.type)]);
}

function describe(schema: SchemaFacts): string {
  const facts = schema.anyOf?.find((option) => option.type !== 'null') ?? schema;
  if (facts.enum !== undefined) return `one of ${facts.enum.join(', ')}`;
  if (facts.type === 'boolean') return 'true or false';
  if (facts.type === 'number') return `a number from ${facts.minimum} to ${facts.maximum}`;
  if (facts.type === 'integer') {
    return facts.maximum === undefined
      ? `a whole number of at least ${facts.minimum}`
      : `a whole number from ${facts.minimum} to ${facts.maximum}`;
  }
  if (facts.pattern?.startsWith('^postgres')) return 'a URL such as postgres://timbre:password@db.example.com/timbre';
  if (facts.pattern?.includes('{3,}')) return 'a URL such as https://s3.example.com/bucket';
  if (facts.pattern !== undefined) return 'a URL such as https://voice.example.com';
  return 'a text that is not empty';
}
