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

/** Encoders of streams that are over: making one takes milliseconds and megabytes. */
const idle: { readonly [T in MediaType]: WasmMediaEncoder<T>[] } = { 'audio/mpeg': [], 'audio/ogg': [] };
/** Of each type. */
const MAX_IDLE = 8;

/** An encoder for the next stream, which nobody configures again or uses behind its end. */
export function keepWasmEncoder<T extends MediaType>(type: T, encoder: WasmMediaEncoder<T>): void {
  if (idle[type].length < MAX_IDLE) idle[type].push(encoder);
}

/** An encoder with a memory of its own, to be configured for one stream; the code is read and compiled once. */
export async function createWasmEncoder<T extends MediaType>(type: T): Promise<WasmMediaEncoder<T>> {
  const kept = idle[type].pop();
  if (kept !== undefined) return kept;
  const source = sources.get(type) ?? (await readFile(createRequire(import.meta.url).resolve(FILES[type])));
  return await createEncoder(type, source, (module) => void sources.set(type, module));
}
