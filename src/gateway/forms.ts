import type { Readable } from 'node:stream';
import { Busboy, type BusboyHeaders } from '@fastify/busboy';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../errors.js';
import { kindOf } from './check-fields.js';

/** A file that came with a request. */
export interface FormFile {
  /** The field's name: `recordings`, `audio_sample`, … */
  readonly field: string;
  readonly fileName: string;
  readonly bytes: Uint8Array;
}

/** What a form or a JSON object says, whichever it came as. */
export interface ReceivedForm {
  readonly values: Readonly<Record<string, unknown>>;
  readonly files: readonly FormFile[];
}

/** Of one form with all its files: 16 recordings of half a minute at 48 kHz have this much. */
export const MAX_FORM_BYTES = 48 * 1024 * 1024;
const MAX_FILE_BYTES = 20 * 1024 * 1024;
const MAX_FILES = 17;
const MAX_FIELDS = 32;
const MAX_FIELD_BYTES = 64 * 1024;
/** A JSON object without files is no larger. */
const SMALL_BODY_BYTES = 256 * 1024;
/** Bodies with files that are being received or worked on; each is in memory as a whole. */
const MAX_FORMS = 4;

declare module 'fastify' {
  interface FastifyRequest {
    /** Files of the body, where it is a form. */
    form: ReceivedForm | null;
  }
}

/**
 * Lets the routes of a scope take `multipart/form-data`, read as it arrives and refused at its first byte too many. A body
 * with files, form or JSON, is in memory until its request is answered, so only a few are let in at once.
 */
export function acceptForms(scope: FastifyInstance): void {
  let open = 0;
  scope.decorateRequest('form', null);
  scope.addHook('preParsing', async (request, reply) => {
    const isForm = /^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '');
    // What has no length may be of any.
    const announced = Number(
      request.headers['content-length'] ?? (request.headers['transfer-encoding'] ? Infinity : 0),
    );
    if (!isForm && announced <= SMALL_BODY_BYTES) return;
    if (open >= MAX_FORMS) {
      throw new AppError(
        'ENGINE_OVERLOADED',
        `${MAX_FORMS} requests with files are at work already; try again shortly`,
      );
    }
    open++;
    // When the answer is out, or the caller gone.
    reply.raw.once('close', () => {
      open--;
    });
  });
  scope.addContentTypeParser('multipart/form-data', async (request: FastifyRequest, payload: Readable) => {
    request.form = await readForm(request, payload);
    return request.form.values;
  });
}

async function readForm(request: FastifyRequest, payload: Readable): Promise<ReceivedForm> {
  const { promise, resolve, reject } = withResolvers<void>();
  const values: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  const files: FormFile[] = [];
  let sizeBytes = 0;
  let parser: InstanceType<typeof Busboy>;
  try {
    parser = Busboy({
      // Fastify has matched the content type by then.
      headers: request.headers as BusboyHeaders,
      limits: {
        fileSize: MAX_FILE_BYTES,
        files: MAX_FILES,
        fields: MAX_FIELDS,
        fieldSize: MAX_FIELD_BYTES,
        headerPairs: 32,
        headerSize: 8192,
      },
    });
  } catch (error) {
    payload.resume();
    throw new AppError('REQUEST_INVALID', 'the form has no boundary; send it as multipart/form-data with one', {
      cause: error,
    });
  }
  const add = (bytes: number) => {
    sizeBytes += bytes;
    if (sizeBytes > MAX_FORM_BYTES) reject(tooLarge(`the form has more than ${MAX_FORM_BYTES / 2 ** 20} MiB`));
  };
  parser.on('file', (field, stream, fileName) => {
    const parts: Uint8Array[] = [];
    stream.on('data', (part: Uint8Array) => {
      parts.push(part);
      add(part.length);
    });
    stream.once('limit', () => reject(tooLarge(`a file has more than ${MAX_FILE_BYTES / 2 ** 20} MiB; cut it`)));
    stream.once('error', reject);
    stream.once('end', () => files.push({ field, fileName: fileName ?? '', bytes: Buffer.concat(parts) }));
  });
  parser.on('field', (field, value, _nameCut, valueCut) => {
    add(value.length);
    if (valueCut) reject(tooLarge(`the field ${JSON.stringify(field.slice(0, 32))} is too long`));
    values[field] = value;
  });
  for (const limit of ['filesLimit', 'fieldsLimit', 'partsLimit'] as const) {
    parser.once(limit, () => reject(tooLarge(`the form has more than ${MAX_FILES} files or ${MAX_FIELDS} fields`)));
  }
  parser.once('error', (error) =>
    reject(new AppError('REQUEST_INVALID', 'the form is damaged or cut short; send it again', { cause: error })),
  );
  parser.once('finish', resolve);
  payload.once('error', reject);
  payload.once('close', () => {
    if (!payload.readableEnded) reject(new AppError('REQUEST_CANCELLED', 'the caller left before the end of the form'));
  });
  payload.pipe(parser);
  try {
    await promise;
  } catch (error) {
    payload.unpipe(parser);
    // The rest of what the caller sends is thrown away, so that it reads our answer.
    payload.resume();
    throw error;
  }
  return { values: { ...values }, files };
}

/** The form of a request, or its JSON object with files in base64 under `fileFields`. */
export function formOf(request: FastifyRequest, fileFields: readonly string[]): ReceivedForm {
  if (request.form !== null) return request.form;
  const { body } = request;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AppError(
      'REQUEST_INVALID',
      `the body is ${kindOf(body)}; expected multipart/form-data, or a JSON object with the files in base64`,
    );
  }
  const values: Record<string, unknown> = { ...body };
  const files: FormFile[] = [];
  for (const field of fileFields) {
    const given = values[field];
    delete values[field];
    if (given === undefined || given === null) continue;
    for (const each of [given].flat()) files.push(decodeFile(field, each));
  }
  if (files.length > MAX_FILES) throw tooLarge(`the request has more than ${MAX_FILES} files`);
  return { values, files };
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

function decodeFile(field: string, value: unknown): FormFile {
  const text = typeof value === 'string' ? value : undefined;
  // `data:audio/wav;base64,…` is what browsers make of a file.
  const data = text?.startsWith('data:') ? text.slice(text.indexOf(',') + 1) : text;
  if (data === undefined || !BASE64.test(data)) {
    throw new AppError('REQUEST_INVALID', `${field} is ${kindOf(value)}; expected a file in base64`);
  }
  const bytes = Buffer.from(data, 'base64');
  if (bytes.length > MAX_FILE_BYTES) throw tooLarge(`a file has more than ${MAX_FILE_BYTES / 2 ** 20} MiB; cut it`);
  return { field, fileName: field, bytes };
}

function tooLarge(what: string): AppError {
  return new AppError('REQUEST_TOO_LARGE', what);
}

/** Node 20 has no `Promise.withResolvers`. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
