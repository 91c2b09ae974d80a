import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint, openCheckpointBytes } from '../checkpoint/open-checkpoint.js';
import { AppError } from '../errors.js';
import { type AdapterFile, readAdapterFile } from '../models/adapter-file.js';
import type { ModelSpec } from '../models/model-spec.js';
import { readSovitsAdapter, type SovitsAdapter } from '../models/sovits/adapter.js';
import type { Text2SemanticSettings } from '../models/text2semantic.js';
import { readText2SemanticAdapter, type Text2SemanticAdapter } from '../models/text2semantic-adapter.js';
import { checkName } from './model-store.js';

const SUFFIX = '.safetensors';

/** Adapters kept ready; the one that was used longest ago goes first. */
const MAX_RESIDENT = 256;

/** The networks of a model that adapters may change. */
export interface AdaptableNetworks {
  readonly text2semantic: Text2SemanticSettings;
  readonly sovits: ModelSpec;
}

/** What an adapter changes of each network; null: nothing. */
export interface Adapter {
  readonly text2semantic: Text2SemanticAdapter | null;
  readonly sovits: SovitsAdapter | null;
}

/** An adapter that the engine does not keep: a safetensors file in memory that threads share. */
export interface AdapterBytes {
  /** What messages call it. */
  readonly name: string;
  /** SHA-256 of the bytes, lower-case hex. */
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** An adapter by its name in the data folder, or as it came with a request. */
export type AdapterSource = string | AdapterBytes;

/** What an adapter changes of both networks. Throws `CHECKPOINT_*` where it does not fit them. */
export function readAdapter(source: { readonly path: string } | AdapterBytes, networks: AdaptableNetworks): Adapter {
  return read(source, (file) => ({
    text2semantic: readText2SemanticAdapter(file, networks.text2semantic),
    sovits: readSovitsAdapter(file, networks.sovits),
  }));
}

/**
 * Adapters of a data folder, `adapters/<name>.safetensors`, read when a sentence first asks for one, and those that come
 * with requests.
 */
export class AdapterStore {
  readonly #folder: string;
  /** In order of use, by name, version of the file, and the network's sizes. */
  readonly #text2semantic = new Map<string, Text2SemanticAdapter | null>();
  readonly #sovits = new Map<string, SovitsAdapter | null>();

  constructor(dataDir: string) {
    this.#folder = join(dataDir, 'adapters');
  }

  names(): string[] {
    if (!existsSync(this.#folder)) return [];
    return readdirSync(this.#folder)
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length))
      .sort();
  }

  /** Keeps a copy of an adapter file under a name; `CHECKPOINT_*` where it does not fit networks of these sizes. */
  add(name: string, path: string, networks: AdaptableNetworks): Adapter {
    checkName('adapter', name);
    const adapter = readAdapter({ path }, networks);
    mkdirSync(this.#folder, { recursive: true });
    copyFileSync(path, `${this.#path(name)}.partial`);
    renameSync(`${this.#path(name)}.partial`, this.#path(name));
    return adapter;
  }

  remove(name: string): void {
    rmSync(this.#existing(name));
  }

  /** What an adapter changes of text-to-semantic. Throws `ADAPTER_NOT_FOUND`, `CHECKPOINT_*` where it does not fit. */
  loadText2Semantic(source: AdapterSource, settings: Text2SemanticSettings): Text2SemanticAdapter | null {
    const { layers, heads, width, feedForwardWidth } = settings;
    const sizes = [layers, heads, width, feedForwardWidth].join();
    return this.#load(this.#text2semantic, source, sizes, (file) => readText2SemanticAdapter(file, settings));
  }

  /** What an adapter changes of SoVITS. Throws `ADAPTER_NOT_FOUND`, `CHECKPOINT_*` where it does not fit. */
  loadSovits(source: AdapterSource, spec: ModelSpec): SovitsAdapter | null {
    return this.#load(this.#sovits, source, JSON.stringify(spec), (file) => readSovitsAdapter(file, spec));
  }

  /** Tells one file under a name from another that took its place. Throws `ADAPTER_NOT_FOUND`. */
  version(name: string): string {
    const { ino, size, mtimeMs } = statSync(this.#existing(name));
    return `${ino} ${size} ${mtimeMs}`;
  }

  #load<T>(resident: Map<string, T>, source: AdapterSource, sizes: string, part: (file: AdapterFile) => T): T {
    // Equal digests are equal bytes, whatever they are called.
    const file = typeof source === 'string' ? `${source} ${this.version(source)}` : source.digest;
    const key = [typeof source, file, sizes].join('\0');
    const known = resident.get(key);
    const from = typeof source === 'string' ? { path: this.#path(source) } : source;
    const adapter = known === undefined ? read(from, part) : known; // null: known to change nothing
    resident.delete(key);
    resident.set(key, adapter); // the last one used comes last
    for (const oldest of resident.keys()) {
      if (resident.size <= MAX_RESIDENT) break;
      resident.delete(oldest);
    }
    return adapter;
  }

  #existing(name: string): string {
    checkName('adapter', name);
    const path = this.#path(name);
    if (existsSync(path)) return path;
    const known = this.names();
    throw new AppError(
      'ADAPTER_NOT_FOUND',
      `there is no adapter "${name}"; ${known.length > 0 ? `there are: ${known.join(', ')}` : 'none has been added yet'}`,
    );
  }

  #path(name: string): string {
    return join(this.#folder, `${name}${SUFFIX}`);
  }
}

function read<T>(source: { readonly path: string } | AdapterBytes, part: (file: AdapterFile) => T): T {
  const checkpoint = 'path' in source ? openCheckpoint(source.path) : openCheckpointBytes(source.bytes, source.name);
  try {
    return part(readAdapterFile(checkpoint));
  } finally {
    checkpoint.close();
  }
}
