import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorAnswer } from '../api/resources.js';
import { AppError, type ERROR_CODES, type ErrorCode } from '../errors.js';
import { dialectOf, renderError } from './dialects.js';

const RETRY_AFTER_SECONDS = 1;

/** The one place where a thrown thing becomes an answer: `{ error: { code, message, request_id } }`. */
export function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const appError = toAppError(error);
  if (appError.code === 'INTERNAL') request.log.error({ err: error }, 'request failed');
  else if (appError.status >= 500 && appError.code !== 'SHUTTING_DOWN') {
    request.log.warn({ code: appError.code, err: appError.cause }, 'request failed');
  } else request.log.debug({ code: appError.code }, 'request refused');
  const retryAfterSeconds = appError.retryAfterSeconds ?? (appError.status === 503 ? RETRY_AFTER_SECONDS : undefined);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  if (appError.status === 401) reply.header('www-authenticate', 'Bearer');
  const { status, body } = renderError(appError, request.id, dialectOf(request));
  return reply
    .headers(appError.headers)
    .code(status)
    .header('x-request-id', request.id)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(body);
}

export function answerNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?')[0] ?? '';
  const message = `there is no ${request.method} ${path}; docs/API.md lists what there is`;
  return handleError(new AppError('ROUTE_NOT_FOUND', message), request, reply);
}

/** Answers what never became a request: bytes that are not HTTP, or a header section that is too large. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const appError =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new AppError('REQUEST_TOO_LARGE', 'the URL and headers are too large; send the text as a JSON body instead')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new AppError('REQUEST_TIMEOUT', 'the request did not arrive in time; send it again')
        : error.code === 'HPE_INVALID_URL'
          ? new AppError(
              'REQUEST_INVALID',
              'the URL holds characters that must be percent-encoded; with curl: -G --data-urlencode "text=…", or send a JSON body',
            )
          : new AppError('REQUEST_INVALID', 'this is not an HTTP request; see docs/API.md');
  const body = JSON.stringify(errorAnswer(appError, ''));
  socket.end(
    `HTTP/1.1 ${appError.status} ${appError.code}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

export function errorAnswer(error: AppError, requestId: string): ErrorAnswer {
  return { error: { code: error.code, message: error.message, request_id: requestId } };
}

/** Fastify's own errors under our codes; whatever we do not know is INTERNAL, and its words stay in the log. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const facts = typeof error === 'object' && error !== null ? error : {};
  const frameworkCode = 'code' in facts ? String(facts.code) : '';
  const known = FRAMEWORK_ERRORS[frameworkCode];
  if (known !== undefined) return new AppError(known.code, known.message, { cause: error });
  const status = 'statusCode' in facts ? Number(facts.statusCode) : 500;
  if (error instanceof SyntaxError && status === 400) {
    return new AppError('REQUEST_NOT_JSON', NOT_JSON, { cause: error });
  }
  if (status >= 400 && status < 500) {
    return new AppError('REQUEST_INVALID', 'the request cannot be understood; see docs/API.md', { cause: error });
  }
  return new AppError('INTERNAL', 'the server failed unexpectedly; its log says more under this request id', {
    cause: error,
  });
}

const NOT_JSON = 'the body is not valid JSON; expected an object such as {"text": "你好", "speaker_id": "demo"}';

const FRAMEWORK_ERRORS: Readonly<Record<string, { code: ErrorCode & keyof typeof ERROR_CODES; message: string }>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'REQUEST_NOT_JSON', message: NOT_JSON },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'REQUEST_NOT_JSON', message: NOT_JSON },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'REQUEST_TOO_LARGE',
    message: 'the body is larger than 4 MiB; split the text into several requests',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'MEDIA_TYPE_UNSUPPORTED',
    message:
      'the body must be JSON: send it with the header "Content-Type: application/json" ' +
      '(to /v1/verify the audio file itself, with its type, such as "Content-Type: audio/wav")',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'REQUEST_INVALID',
    message: 'the body is not as long as its Content-Length says; send it again',
  },
  FST_ERR_BAD_URL: { code: 'REQUEST_INVALID', message: 'the URL is not properly percent-encoded' },
};
