// Packs a file with brotli: node pack.mjs IN OUT
import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

const [, , from, to] = process.argv;
const packed = brotliCompressSync(readFileSync(from), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
writeFileSync(to, packed);
console.log(packed.length, 'bytes');
