import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { contentTypeOf } from '../../audio/encode/encoder.js';
import type { GatewayOptions } from '../app.js';
import type { StoredAudio } from '../audio-store.js';

/** `GET /audio/ID.wav`: a finished file, whole or by range, for as long as the store keeps it. */
export function registerAudioRoutes(app: FastifyInstance, { audioStore }: GatewayOptions): void {
  // Who knows the name may listen: it is 128 random bits, and players cannot send keys.
  app.get<{ Params: { file: string } }>('/audio/:file', { config: { access: 'public' } }, async (request, reply) => {
    return sendAudio(audioStore.find(request.params.file), request, reply);
  });
}

/** Answers with the bytes of a stored file: all of them, or the one range that was asked for (206), or 416. */
export function sendAudio(stored: StoredAudio, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'private, max-age=3600, immutable')
    .header('etag', `"${stored.fileName}"`)
    .type(contentTypeOf(stored.extension));
  const range = parseRange(request.headers.range, stored.sizeBytes);
  if (range === 'unsatisfiable') {
    return reply.code(416).header('content-range', `bytes */${stored.sizeBytes}`).send();
  }
  const { start, end } = range ?? { start: 0, end: stored.sizeBytes - 1 };
  if (range !== null) reply.code(206).header('content-range', `bytes ${start}-${end}/${stored.sizeBytes}`);
  reply.header('content-length', end - start + 1);
  return reply.send(Readable.from(stored.read({ start, end: end + 1 }), { objectMode: false }));
}

/** One byte range, inclusive; null for none, for several, and for what is no byte range, which all mean the whole. */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  const [, first, last] = match ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return null;
  if (first === '') {
    const suffixBytes = Number(last);
    if (suffixBytes === 0) return 'unsatisfiable';
    return { start: Math.max(0, sizeBytes - suffixBytes), end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (start >= sizeBytes) return 'unsatisfiable';
  return end < start ? null : { start, end };
}
