import { existsSync, readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';

/**
 * The contents of a table in a `data/` folder: `name.br` in the repository, or `name.bin`, which the build unpacks it into so
 * that no process spends its first moments on that. `sizeBytes` is at least what it is when unpacked, if it is large: it is
 * then unpacked into one buffer.
 */
export function readPackedFile(file: URL, sizeBytes?: number): Buffer {
  const unpacked = new URL(file.href.replace(/\.br$/, '.bin'));
  if (existsSync(unpacked)) return readFileSync(unpacked);
  return brotliDecompressSync(readFileSync(file), sizeBytes === undefined ? {} : { chunkSize: sizeBytes });
}
