import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { AppError } from '../errors.js';
import type { Text2SemanticSettings } from '../models/text2semantic.js';
import { readText2SemanticAdapter, type Text2SemanticAdapter } from '../models/text2semantic-adapter.js';
import { checkName } from './model-store.js';

const SUFFIX = '.safetensors';

/** Adapters kept ready; the one that was used longest ago goes first. */
const MAX_RESIDENT = 256;

/** Adapters of a data folder: `adapters/<name>.safetensors`, read when a row first asks for one. */
export class AdapterStore {
  readonly #folder: string;
  /** In order of use, by name, version of the file, and the network's sizes. */
  readonly #resident = new Map<string, Text2SemanticAdapter>();

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

  /** Keeps a copy of an adapter file under a name; `CHECKPOINT_*` where it fits no network of these sizes. */
  add(name: string, path: string, settings: Text2SemanticSettings): void {
    checkName('adapter', name);
    read(path, settings);
    mkdirSync(this.#folder, { recursive: true });
    copyFileSync(path, `${this.#path(name)}.partial`);
    renameSync(`${this.#path(name)}.partial`, this.#path(name));
  }

  remove(name: string): void {
    rmSync(this.#existing(name));
  }

  /** Throws `ADAPTER_NOT_FOUND`, or `CHECKPOINT_*` where the file does not fit the network. */
  load(name: string, settings: Text2SemanticSettings): Text2SemanticAdapter {
    const { layers, heads, width, feedForwardWidth } = settings;
    const key = [name, this.version(name), layers, heads, width, feedForwardWidth].join('\0');
    const adapter = this.#resident.get(key) ?? read(this.#path(name), settings);
    this.#resident.delete(key);
    this.#resident.set(key, adapter); // the last one used comes last
    for (const oldest of this.#resident.keys()) {
      if (this.#resident.size <= MAX_RESIDENT) break;
      this.#resident.delete(oldest);
    }
    return adapter;
  }

  /** Tells one file under a name from another that took its place. Throws `ADAPTER_NOT_FOUND`. */
  version(name: string): string {
    const { ino, size, mtimeMs } = statSync(this.#existing(name));
    return `${ino} ${size} ${mtimeMs}`;
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

function read(path: string, settings: Text2SemanticSettings): Text2SemanticAdapter {
  const file = openCheckpoint(path);
  try {
    return readText2SemanticAdapter(file, settings);
  } finally {
    file.close();
  }
}
