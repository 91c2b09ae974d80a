// Packs what export.py wrote into the format of src/text/zh/sections.ts: node pack.mjs FOLDER src/text/zh/data/polyphone-model.br
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const [, , folder, out] = process.argv;
const { layout: tensors, ...header } = JSON.parse(readFileSync(join(folder, 'header.json'), 'utf8'));
const bytes = readFileSync(join(folder, 'tensors.bin'));
const layout = {};
const parts = [];
let from = 0;
let to = 0;
for (const { name, type, length } of tensors) {
  const size = type === 'int8' ? length : 4 * length;
  layout[name] = { type, offset: to, length };
  const part = Buffer.alloc(Math.ceil(size / 8) * 8);
  bytes.copy(part, 0, from, from + size);
  parts.push(part);
  from += size;
  to += part.length;
}
let json = JSON.stringify({ ...header, layout });
while ((4 + Buffer.byteLength(json)) % 8 !== 0) json += ' ';
const head = Buffer.alloc(4);
head.writeUInt32LE(Buffer.byteLength(json));
const packed = brotliCompressSync(Buffer.concat([head, Buffer.from(json), ...parts]), {
  params: { [constants.BROTLI_PARAM_QUALITY]: 11 },
});
writeFileSync(out, packed);
console.log(packed.length, 'bytes');
