import { AwsClient } from 'aws4fetch';
import { AppError } from '../errors.js';
import { OBJECT_NAME, type ObjectOptions, type ObjectRange, type ObjectStore } from './objects.js';

export interface S3Options {
  /** `https://s3.example.com`: any S3-compatible storage. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Before every name, so that several installations can share a bucket. */
  readonly prefix?: string;
}

/** S3 takes no smaller parts but the last; larger ones only cost memory. */
const PART_BYTES = 8 * 1024 * 1024;
const TIMEOUT_MS = 60_000;
/** Of a request whose answer was an error of the storage or none, with a pause that doubles. */
const RETRIES = 3;

/** Objects in a bucket. */
export class S3Objects implements ObjectStore {
  readonly #client: AwsClient;
  readonly #base: string;
  readonly #prefix: string;

  constructor(options: S3Options) {
    this.#client = new AwsClient({
      accessKeyId: options.accessKeyId,
      secretAccessKey: options.secretAccessKey,
      region: options.region,
      service: 's3',
      retries: RETRIES,
    });
    this.#base = `${options.endpoint.replace(/\/{1,9}$/, '')}/${encodeURIComponent(options.bucket)}`;
    this.#prefix = options.prefix ?? '';
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, { signal }: ObjectOptions = {}): Promise<void> {
    const url = this.#url(name);
    const parts = inParts(source);
    let part = await parts.next();
    let next = await parts.next();
    if (next.done) {
      const body = part.done ? new Uint8Array() : part.value;
      await this.#send('PUT', url, { body, signal });
      return;
    }
    const begun = await this.#send('POST', `${url}?uploads=`, { signal });
    const upload = encodeURIComponent(unescapeXml(tag(await begun.text(), 'UploadId')));
    try {
      const tags: string[] = [];
      while (!part.done) {
        const number = tags.length + 1;
        const sent = await this.#send('PUT', `${url}?partNumber=${number}&uploadId=${upload}`, {
          body: part.value,
          signal,
        });
        await sent.arrayBuffer();
        tags.push(sent.headers.get('etag') ?? '');
        part = next;
        next = part.done ? part : await parts.next();
      }
      const list = tags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
      const body = `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`;
      const completed = await this.#send('POST', `${url}?uploadId=${upload}`, { body, signal });
      // S3 may answer 200 and say in the body that it failed.
      const answer = await completed.text();
      if (answer.includes('<Error>')) throw unavailable(new Error(tag(answer, 'Code')));
    } catch (error) {
      await this.#send('DELETE', `${url}?uploadId=${upload}`, {}).catch(() => {});
      throw error;
    }
  }

  async get(name: string, range?: ObjectRange, { signal }: ObjectOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    if (range !== undefined && range.end <= range.start) return (async function* () {})();
    const headers = range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
    const answer = await this.#send('GET', this.#url(name), { headers, signal });
    // A body is there after a good answer to GET; Node's is an async iterable.
    return (answer.body ?? (async function* () {})()) as AsyncIterable<Uint8Array>;
  }

  async remove(name: string, { signal }: ObjectOptions = {}): Promise<void> {
    await this.#send('DELETE', this.#url(name), { signal, missingIsFine: true });
  }

  async *list(prefix: string, { signal }: ObjectOptions = {}): AsyncGenerator<string> {
    let from = '';
    for (;;) {
      const query = new URLSearchParams({ 'list-type': '2', prefix: this.#prefix + prefix });
      if (from !== '') query.set('continuation-token', from);
      const answer = await (await this.#send('GET', `${this.#base}?${query}`, { signal })).text();
      for (const [, key] of answer.matchAll(/<Key>([^<]*)<\/Key>/g)) {
        const name = unescapeXml(key ?? '').slice(this.#prefix.length);
        if (OBJECT_NAME.test(name)) yield name;
      }
      if (tag(answer, 'IsTruncated') !== 'true') return;
      from = unescapeXml(tag(answer, 'NextContinuationToken'));
    }
  }

  #url(name: string): string {
    if (!OBJECT_NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of an object`);
    return `${this.#base}/${this.#prefix}${name}`;
  }

  async #send(
    method: string,
    url: string,
    {
      signal,
      body,
      headers = {},
      missingIsFine = false,
    }: {
      readonly signal?: AbortSignal | undefined;
      readonly body?: Uint8Array | string;
      readonly headers?: Record<string, string>;
      readonly missingIsFine?: boolean;
    },
  ): Promise<Response> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let answer: Response;
    try {
      answer = await this.#client.fetch(url, {
        method,
        headers,
        ...(body === undefined ? {} : { body: body as string }),
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw unavailable(error);
    }
    if (answer.ok) return answer;
    const text = await answer.text().catch(() => '');
    if (answer.status === 404 && missingIsFine) return answer;
    if (answer.status === 404 && !text.includes('NoSuchBucket')) {
      throw new AppError('OBJECT_NOT_FOUND', 'there is no such object; it was removed, or its storage is another one');
    }
    throw unavailable(new Error(`${answer.status} ${tag(text, 'Code')}`));
  }
}

/** Pieces of at least the size that a multipart upload takes, but the last. */
async function* inParts(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const bytes of source) {
    pending.push(bytes);
    pendingBytes += bytes.length;
    if (pendingBytes < PART_BYTES) continue;
    yield Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}

function tag(xml: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? '';
}

function unescapeXml(text: string): string {
  const entities: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => entities[name] ?? '');
}

function unavailable(cause: unknown): AppError {
  return new AppError('STORE_UNAVAILABLE', 'the object storage cannot be used just now; try again', { cause });
}
