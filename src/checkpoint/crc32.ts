import * as zlib from 'node:zlib';

/** CRC-32 of `bytes`, continuing from `previous`. Node has it from 20.15; before, a table does the same at 0.4 GB/s. */
export const crc32: (bytes: Uint8Array, previous: number) => number =
  'crc32' in zlib ? (bytes, previous) => zlib.crc32(bytes, previous) : crc32ByTable;

let table: Uint32Array | null = null;

export function crc32ByTable(bytes: Uint8Array, previous: number): number {
  table ??= Uint32Array.from({ length: 256 }, (_, value) => {
    let rest = value;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
    return rest;
  });
  let sum = ~previous;
  for (let i = 0; i < bytes.length; i++) sum = (sum >>> 8) ^ table[(sum ^ bytes[i]!) & 0xff]!;
  return ~sum >>> 0;
}
