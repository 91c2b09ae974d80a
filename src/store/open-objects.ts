import { join } from 'node:path';
import { AppError } from '../errors.js';
import { FolderObjects } from './folder-objects.js';
import type { ObjectStore } from './objects.js';
import { S3Objects } from './s3-objects.js';

export interface ObjectsConfig {
  readonly dataDir: string;
  /** `https://host/bucket/prefix`; null: a folder in the data folder. */
  readonly s3Url: string | null;
  readonly s3Region: string;
}

/** The object storage that the configuration names; the keys of S3 come from the environment, as every client's do. */
export function openObjects(
  { dataDir, s3Url, s3Region }: ObjectsConfig,
  env: NodeJS.ProcessEnv = process.env,
): ObjectStore {
  if (s3Url === null) return new FolderObjects(join(dataDir, 'objects'));
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (!accessKeyId || !secretAccessKey) {
    throw new AppError('CONFIG_INVALID', 'TIMBRE_S3_URL needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY beside it');
  }
  const { origin, pathname } = new URL(s3Url);
  const [bucket = '', ...prefix] = pathname.split('/').filter((part) => part !== '');
  return new S3Objects({
    endpoint: origin,
    bucket,
    region: s3Region,
    accessKeyId,
    secretAccessKey,
    prefix: prefix.map((part) => `${part}/`).join(''),
  });
}
