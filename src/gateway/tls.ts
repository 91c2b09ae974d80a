import { readFile, stat } from 'node:fs/promises';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import { AppError } from '../errors.js';
import type { Logger } from '../log.js';

export interface TlsFiles {
  /** PEM: the certificate, and those up to the authority's behind it. */
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TlsOptions {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly minVersion: 'TLSv1.3';
  readonly ciphers: string;
}

/** All of TLS 1.3 that protects with 128 bits and a full tag; there is nothing to choose from in older versions. */
const CIPHERS = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
const LOOK_EVERY_MS = 5000;

/** Reads certificate and key. Throws `CONFIG_INVALID` when they cannot be read, or do not belong together. */
export async function loadTls({ certFile, keyFile }: TlsFiles): Promise<TlsOptions> {
  try {
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    const options = { cert, key, minVersion: 'TLSv1.3', ciphers: CIPHERS } as const;
    createSecureContext(options);
    return options;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError('CONFIG_INVALID', `certificate ${certFile} and key ${keyFile} cannot be used: ${why}`, {
      cause: error,
    });
  }
}

/**
 * Serves a new certificate as soon as its files change, to new connections; those there are go on. Files that do not
 * fit together (one is replaced before the other) are tried again at the next look.
 */
export function reloadTls(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  { log, everyMs = LOOK_EVERY_MS }: { readonly log: Logger; readonly everyMs?: number },
): { stop(): void } {
  let served: string | null = null;
  let failed: string | null = null;
  const look = async () => {
    const seen = await versionOf(files);
    served ??= seen;
    if (seen === served) return;
    try {
      server.setSecureContext(await loadTls(files));
      served = seen;
      log.info('a new certificate is served');
    } catch (error) {
      if (failed !== seen) log.error({ err: error }, 'the new certificate cannot be used; the old one is still served');
      failed = seen;
    }
  };
  let looking = Promise.resolve();
  const timer = setInterval(() => {
    looking = looking.then(look).catch(() => {});
  }, everyMs);
  timer.unref();
  looking = look().catch(() => {});
  return { stop: () => clearInterval(timer) };
}

async function versionOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const stats = await Promise.all([stat(certFile), stat(keyFile)]);
  return stats.map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`).join(' ');
}
