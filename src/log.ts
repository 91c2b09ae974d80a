import { pino, stdSerializers } from 'pino';
import { isoTime } from './iso-time.js';

export type Logger = import('pino').Logger;
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one object a line, for machines; `text`: one readable line, for a terminal. */
  readonly format: 'json' | 'text';
  /** Where lines go; absent: standard error, which keeps standard output for results. */
  readonly write?: (line: string) => void;
}

/**
 * The one logger of a process. Customer text, audio and voice names never go in: requests are described by counts,
 * codes and ids. Fields that could carry text are removed here as well, should a call site forget.
 */
export function createLogger(options: LogOptions): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${isoTime()}"`,
      formatters: { level: (label) => ({ level: label }), log: withoutText },
      serializers: { err: (error: Error) => withoutNested('err', stdSerializers.err(error)) },
    },
    { write: options.format === 'json' ? write : (line) => write(renderLine(line)) },
  );
}

/** What holds a customer's text, in a line or in an object in it. Pino's own `redact` takes as long as the rest of a request's line. */
const TEXT_FIELDS: ReadonlySet<string> = new Set(['text', 'transcript']);
const REQUEST_FIELDS: ReadonlySet<string> = new Set(['request', 'req']);

function withoutText(fields: Record<string, unknown>): Record<string, unknown> {
  if (isPlain(fields)) return fields;
  const kept: Record<string, unknown> = {};
  for (const name in fields) if (!TEXT_FIELDS.has(name)) kept[name] = withoutNested(name, fields[name]);
  return kept;
}

/** Nearly every line has counts and codes, and nothing to look into. */
function isPlain(fields: Record<string, unknown>): boolean {
  for (const name in fields) if (TEXT_FIELDS.has(name) || typeof fields[name] === 'object') return false;
  return true;
}

/** An error of the usual name is still to be made an object. */
function withoutNested(name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || (name === 'err' && value instanceof Error)) return value;
  const isText = (field: string) => TEXT_FIELDS.has(field) || (field === 'body' && REQUEST_FIELDS.has(name));
  const entries = Object.entries(value);
  return entries.some(([field]) => isText(field))
    ? Object.fromEntries(entries.filter(([field]) => !isText(field)))
    : value;
}

const RESERVED = new Set(['level', 'time', 'msg', 'err']);

/** `12:00:01 INFO  server started port=9880`; an error's stack follows on its own lines. */
function renderLine(json: string): string {
  const record: Record<string, unknown> = JSON.parse(json);
  const time = String(record['time']).slice(11, 19);
  const level = String(record['level']).toUpperCase().padEnd(5);
  const fields = Object.entries(record)
    .filter(([key]) => !RESERVED.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  const head = [time, level, record['msg'] ?? '', ...fields].join(' ');
  const error = record['err'];
  const stack = typeof error === 'object' && error !== null && 'stack' in error ? `\n  ${String(error.stack)}` : '';
  return `${head}${stack}\n`;
}
