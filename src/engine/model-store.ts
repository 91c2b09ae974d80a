import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import { COMPILER_VERSION, type ComponentKind, type ComponentManifest, ComponentStore } from './component-store.js';
import type { ModelDetails, ModelSummary, ModelVersion, SamplingOptions } from './engine-types.js';

/** `models/<name>.json`: a name for a set of compiled networks. */
export interface ModelRecord {
  readonly name: string;
  readonly version: ModelVersion;
  readonly sampleRateHz: number;
  /** SHA-256 over the components' digests, lower-case hex. */
  readonly digest: string;
  readonly createdAt: string;
  readonly warnings: readonly string[];
  /** Digest of each network's component. */
  readonly components: Readonly<Partial<Record<ComponentKind, string>>>;
  /** Sampling for requests that ask for none; absent: upstream's. */
  readonly sampling?: SamplingOptions;
}

/** A model with its networks' manifests at hand. */
export interface StoredModel extends ModelRecord {
  readonly manifests: Readonly<Partial<Record<ComponentKind, ComponentManifest>>>;
}

const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Throws `REQUEST_INVALID` unless `name` may name a model or a voice: it becomes a file name. */
export function checkName(what: 'model' | 'voice' | 'lexicon' | 'adapter', name: string): void {
  if (NAME_PATTERN.test(name)) return;
  throw new AppError(
    'REQUEST_INVALID',
    `a ${what} cannot be named "${name.slice(0, 80)}": use 1 to 64 letters, digits, "_", "-" or ".", beginning with a letter or digit`,
  );
}

/** The models of a data folder: names over content-addressed components, which models share. */
export class ModelStore {
  readonly components: ComponentStore;
  readonly #folder: string;

  constructor(dataDir: string) {
    this.components = new ComponentStore(dataDir);
    this.#folder = join(dataDir, 'models');
    mkdirSync(this.#folder, { recursive: true });
  }

  has(name: string): boolean {
    checkName('model', name);
    return existsSync(this.#path(name));
  }

  names(): string[] {
    return readdirSync(this.#folder)
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -'.json'.length))
      .sort();
  }

  /** Throws `MODEL_NOT_FOUND`, or `MODEL_STORE_CORRUPT` where a component is gone or of an older compiler. */
  load(name: string): StoredModel {
    const record = this.record(name);
    const manifests: Partial<Record<ComponentKind, ComponentManifest>> = {};
    for (const [kind, digest] of Object.entries(record.components) as [ComponentKind, string][]) {
      const manifest = this.components.load(digest);
      if (manifest.compilerVersion !== COMPILER_VERSION) {
        throw new AppError(
          'MODEL_STORE_CORRUPT',
          `model "${name}" was compiled by an earlier release (compiler ${manifest.compilerVersion}, now ${COMPILER_VERSION}); import its checkpoints again: timbre model import --replace --name ${name} FILES`,
        );
      }
      manifests[kind] = manifest;
    }
    return { ...record, manifests };
  }

  record(name: string): ModelRecord {
    if (!this.has(name)) {
      const known = this.names();
      throw new AppError(
        'MODEL_NOT_FOUND',
        `there is no model "${name}"; ${known.length > 0 ? `there are: ${known.join(', ')}` : 'none has been imported yet'}`,
      );
    }
    try {
      return JSON.parse(readFileSync(this.#path(name), 'utf8')) as ModelRecord;
    } catch (cause) {
      throw new AppError('MODEL_STORE_CORRUPT', `the record of model "${name}" is unreadable; import it again`, {
        cause,
      });
    }
  }

  /** Names a set of components; an earlier model of that name is replaced in one step, and what it alone used dropped. */
  save(record: ModelRecord): void {
    const earlier = this.has(record.name) ? Object.values(this.record(record.name).components) : [];
    const partial = `${this.#path(record.name)}.partial`;
    writeFileSync(partial, `${JSON.stringify(record, null, 2)}\n`);
    renameSync(partial, this.#path(record.name));
    this.#dropUnused(earlier);
  }

  /** Forgets a model and the components that no other model uses. */
  remove(name: string): void {
    const record = this.record(name);
    rmSync(this.#path(name));
    this.#dropUnused(Object.values(record.components));
  }

  /** Deletes those of `digests` that no model names any more. */
  #dropUnused(digests: readonly string[]): void {
    const used = new Set(this.names().flatMap((name) => Object.values(this.record(name).components)));
    for (const digest of digests) if (!used.has(digest)) this.components.remove(digest);
  }

  summary(model: StoredModel): ModelSummary {
    const manifests = Object.values(model.manifests);
    return {
      name: model.name,
      version: model.version,
      sampleRateHz: model.sampleRateHz,
      sizeBytes: manifests.reduce(
        (sum, manifest) => sum + folderSizeBytes(this.components.folderOf(manifest.digest)),
        0,
      ),
      digest: model.digest,
      precision: [...new Set(manifests.map((manifest) => manifest.precision))].join('+'),
      hasBert: model.manifests.bert !== undefined,
      createdAt: model.createdAt,
      warnings: model.warnings,
    };
  }

  details(model: StoredModel): ModelDetails {
    const networks = Object.values(model.manifests).map((manifest) => ({
      name: manifest.kind,
      parameterCount: manifest.parameterCount,
      source: manifest.sources.map((source) => source.fileName).join(', '),
    }));
    const settings: Record<string, string | number | boolean | null> = {};
    for (const manifest of Object.values(model.manifests)) flatten(manifest.kind, manifest.settings, settings);
    const quality = Object.values(model.manifests).flatMap((manifest) => manifest.quality ?? []);
    return { ...this.summary(model), networks, settings, quality };
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.json`);
  }
}

function folderSizeBytes(folder: string): number {
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
}

/** Nested settings as one level of dotted names; lists become text. */
function flatten(prefix: string, value: unknown, into: Record<string, string | number | boolean | null>): void {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    into[prefix] = value;
  } else if (Array.isArray(value)) {
    into[prefix] = JSON.stringify(value);
  } else if (typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) flatten(`${prefix}.${key}`, inner, into);
  }
}
