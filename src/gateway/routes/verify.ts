import type { FastifyInstance } from 'fastify';
import type { VerifyAnswer } from '../../api/resources.js';
import { verifyAudio } from '../../audio/verify.js';
import { WATERMARK_THRESHOLD } from '../../audio/watermark-detector.js';
import { AppError } from '../../errors.js';
import type { GatewayOptions } from '../app.js';

const MAX_BYTES = 32 * 1024 * 1024;
const MAX_DURATION_SECONDS = 600;
/** Each takes processor time from the syntheses. */
const MAX_AT_ONCE = 2;

/** `POST /v1/verify`: the body is an audio file; the answer says what its labels say. */
export function registerVerifyRoute(app: FastifyInstance, _gateway: GatewayOptions): void {
  let running = 0;
  app.addContentTypeParser(
    /^(audio\/|application\/(octet-stream|ogg))/,
    { parseAs: 'buffer', bodyLimit: MAX_BYTES },
    (_request, body, done) => done(null, body),
  );
  app.post(
    '/v1/verify',
    { config: { access: 'any' }, bodyLimit: MAX_BYTES },
    async (request): Promise<VerifyAnswer> => {
      if (!Buffer.isBuffer(request.body)) {
        throw new AppError(
          'MEDIA_TYPE_UNSUPPORTED',
          'the body must be an audio file: send it with its type, such as "Content-Type: audio/wav"',
        );
      }
      if (running >= MAX_AT_ONCE) {
        throw new AppError('ENGINE_OVERLOADED', `${MAX_AT_ONCE} files are being verified already; try again shortly`);
      }
      running++;
      try {
        const { label, watermark, durationSeconds } = await verifyAudio(request.body, {
          maxSizeBytes: MAX_BYTES,
          maxDurationSeconds: MAX_DURATION_SECONDS,
        });
        return {
          made_by_ai: watermark.found || label?.Label === '1',
          label,
          watermark: { ...watermark, score: Math.round(watermark.score * 100) / 100, threshold: WATERMARK_THRESHOLD },
          duration_ms: Math.round(durationSeconds * 1000),
        };
      } finally {
        running--;
      }
    },
  );
}
