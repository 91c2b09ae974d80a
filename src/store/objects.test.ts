import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type S3Server, startS3Server } from '../../test/fixtures/s3-server.js';
import { FolderObjects } from './folder-objects.js';
import type { ObjectStore } from './objects.js';
import { openObjects } from './open-objects.js';
import { S3Objects } from './s3-objects.js';

let folder: string;
let s3: S3Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-objects-'));
  s3 = await startS3Server();
});

afterAll(async () => {
  await s3.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function* pieces(bytes: Uint8Array, pieceBytes = 1_000_000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
}

async function read(source: Promise<AsyncIterable<Uint8Array>>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of await source) parts.push(part);
  return Buffer.concat(parts);
}

async function names(source: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const name of source) found.push(name);
  return found.sort();
}

const STORES: [string, () => ObjectStore][] = [
  ['a folder', () => new FolderObjects(folder)],
  ['S3', () => new S3Objects({ ...s3, region: 'us-east-1', prefix: 'installation/' })],
];

describe.each(STORES)('objects in %s', (_, store) => {
  it('come back as they were, whole and by range', async () => {
    const bytes = randomBytes(300_000);
    await store().put('tenant/aa/one', pieces(bytes, 70_001));
    expect((await read(store().get('tenant/aa/one'))).equals(bytes)).toBe(true);
    for (const [start, end] of [
      [0, 1],
      [100, 70_005],
      [299_999, 300_000],
      [299_990, 400_000],
      [5, 5],
    ] as const) {
      const part = await read(store().get('tenant/aa/one', { start, end }));
      expect(part.equals(bytes.subarray(start, end))).toBe(true);
    }
  });

  it('may be empty, and may be larger than one part', async () => {
    await store().put('tenant/empty', pieces(new Uint8Array()));
    expect((await read(store().get('tenant/empty'))).length).toBe(0);
    const bytes = randomBytes(21 * 1024 * 1024);
    await store().put('tenant/large', pieces(bytes));
    expect((await read(store().get('tenant/large'))).equals(bytes)).toBe(true);
  });

  it('are replaced, removed and listed by prefix', async () => {
    await store().put('other/a', pieces(Buffer.from('1')));
    await store().put('other/a', pieces(Buffer.from('22')));
    await store().put('other/b/c', pieces(Buffer.from('3')));
    expect((await read(store().get('other/a'))).toString()).toBe('22');
    expect(await names(store().list('other/'))).toEqual(['other/a', 'other/b/c']);
    await store().remove('other/a');
    await store().remove('other/a');
    expect(await names(store().list('other/'))).toEqual(['other/b/c']);
    await expect(store().get('other/a')).rejects.toMatchObject({ code: 'OBJECT_NOT_FOUND' });
  });

  it('are not there when their source fails or is cancelled in the middle', async () => {
    const failing = (async function* () {
      yield* pieces(randomBytes(9 * 1024 * 1024));
      yield* pieces(randomBytes(9 * 1024 * 1024));
      throw new Error('the source broke');
    })();
    await expect(store().put('failed/x', failing)).rejects.toThrow('the source broke');
    const cancel = new AbortController();
    const cancelled = (async function* () {
      yield* pieces(randomBytes(9 * 1024 * 1024));
      cancel.abort(new Error('enough'));
      yield* pieces(randomBytes(9 * 1024 * 1024));
    })();
    await expect(store().put('failed/y', cancelled, { signal: cancel.signal })).rejects.toThrow('enough');
    expect(await names(store().list('failed/'))).toEqual([]);
  });

  it('have plain names only', async () => {
    for (const name of ['../x', 'a//b', 'A', 'a/../b', '', '/a', 'a b', '.hidden']) {
      await expect(store().put(name, pieces(new Uint8Array()))).rejects.toThrow('no name of an object');
    }
  });
});

describe('a folder of objects', () => {
  it('keeps no drafts', () => {
    const files = readdirSync(folder, { recursive: true }).map(String);
    expect(files.filter((name) => name.includes('.part'))).toEqual([]);
  });
});

describe('an S3 storage', () => {
  it('refuses a wrong secret and a bucket that is not there, as unavailable', async () => {
    const options = { ...s3, region: 'us-east-1' };
    const wrong = new S3Objects({ ...options, secretAccessKey: 'another' });
    await expect(wrong.get('tenant/aa/one')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    const missing = new S3Objects({ ...options, bucket: 'not-there' });
    await expect(missing.put('x', pieces(Buffer.from('1')))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('is chosen by its URL, with the keys of the environment', async () => {
    const config = { dataDir: folder, s3Url: `${s3.endpoint}/${s3.bucket}/some/place`, s3Region: 'us-east-1' };
    expect(() => openObjects(config, {})).toThrow('AWS_ACCESS_KEY_ID');
    const env = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
    await openObjects(config, env).put('x', pieces(Buffer.from('1')));
    expect(await names(new S3Objects({ ...s3, region: 'us-east-1' }).list('some/'))).toEqual(['some/place/x']);
    expect(openObjects({ ...config, s3Url: null })).toBeInstanceOf(FolderObjects);
  });
});
