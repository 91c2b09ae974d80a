import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createEncoder, type WasmMediaEncoder } from 'wasm-media-encoders';

type MediaType = 'audio/mpeg' | 'audio/ogg';

const FILES: Readonly<Record<MediaType, string>> = {
  'audio/mpeg': 'wasm-media-encoders/wasm/mp3',
  'audio/ogg': 'wasm-media-encoders/wasm/ogg',
};

/** A compiled module, or the bytes until the first encoder has compiled them. */
const sources = new Map<MediaType, Parameters<typeof createEncoder>[1]>();

/** An encoder with a memory of its own, for one stream; the code is read and compiled once. */
export async function createWasmEncoder<T extends MediaType>(type: T): Promise<WasmMediaEncoder<T>> {
  const source = sources.get(type) ?? (await readFile(createRequire(import.meta.url).resolve(FILES[type])));
  return await createEncoder(type, source, (module) => void sources.set(type, module));
}
