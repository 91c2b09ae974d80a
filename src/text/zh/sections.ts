import { readPackedFile } from '../packed-file.js';

/**
 * Reads one table of `src/text/zh/data/`: brotli over [header size u32][JSON header][arrays, each at a multiple of 8
 * bytes], little-endian; the header's `layout` says where each array lies. scripts/build-zh-data.mjs writes it.
 */
export function loadSections<Header>(
  name: 'words' | 'tagger' | 'cutter' | 'readings' | 'traditional',
): Sections<Header> {
  return readSections(new URL(`./data/${name}.br`, import.meta.url));
}

/** Typed views of one table file. */
export interface Sections<Header> {
  readonly header: Header;
  readonly uint8: (key: string) => Uint8Array;
  readonly uint16: (key: string) => Uint16Array;
  readonly int16: (key: string) => Int16Array;
  readonly int8: (key: string) => Int8Array;
  readonly float32: (key: string) => Float32Array;
  readonly float64: (key: string) => Float64Array;
}

/** Reads a table of the same format from any place. `sizeBytes` is at least what it is when unpacked, if it is large. */
export function readSections<Header>(file: URL, sizeBytes?: number): Sections<Header> {
  const unpacked = readPackedFile(file, sizeBytes);
  // Offsets have to be aligned: those of a buffer that is shared with others are not.
  const raw = unpacked.byteOffset === 0 ? unpacked : new Uint8Array(unpacked);
  const headerBytes = new DataView(raw.buffer).getUint32(0, true);
  const start = 4 + headerBytes;
  // Our own file, written by our own script: its shape is known.
  const header = JSON.parse(new TextDecoder().decode(raw.subarray(4, start))) as Header & { layout: Layout };
  const place = (key: string): Layout[string] => {
    const found = header.layout[key];
    if (!found) throw new Error(`${file.pathname} has no section "${key}"`);
    return found;
  };
  return {
    header,
    uint8: (key) => new Uint8Array(raw.buffer, start + place(key).offset, place(key).length),
    uint16: (key) => new Uint16Array(raw.buffer, start + place(key).offset, place(key).length),
    int16: (key) => new Int16Array(raw.buffer, start + place(key).offset, place(key).length),
    int8: (key) => new Int8Array(raw.buffer, start + place(key).offset, place(key).length),
    float32: (key) => new Float32Array(raw.buffer, start + place(key).offset, place(key).length),
    float64: (key) => new Float64Array(raw.buffer, start + place(key).offset, place(key).length),
  };
}

type Layout = Record<string, { readonly type: string; readonly offset: number; readonly length: number }>;
