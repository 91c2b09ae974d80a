import { pino, stdTimeFunctions } from 'pino';

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
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['text', 'transcript', '*.text', '*.transcript', 'request.body', 'req.body'], remove: true },
    },
    { write: options.format === 'json' ? write : (line) => write(renderLine(line)) },
  );
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
