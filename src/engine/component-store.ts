import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import type { GraphModel } from '../onnx/graph.js';
import { writeModelFile } from '../onnx/model-file.js';
import { elementCount } from '../onnx/tensor.js';
import { writeWeightsFile } from '../onnx/weights-file.js';
import type { Runtime, Session, SessionOptions } from './onnxruntime.js';
import type { Precision, QualityReport } from './quality-report.js';

/** The networks a model is made of; each is compiled, stored and shared on its own. */
export type ComponentKind = 'text2semantic' | 'sovits' | 'hubert' | 'bert' | 'speaker-encoder';

/**
 * Raised whenever a compiled network changes its inputs, outputs or results, so that what an earlier release compiled
 * is recognised instead of run.
 */
export const COMPILER_VERSION = 5;

/**
 * Weights stay mapped and are packed anew by every run: a session opens in milliseconds, for networks that are run once
 * a sentence or less. (The results differ from those of packed weights by rounding, so a network always uses one way.)
 */
export const MAPPED_WEIGHTS: SessionOptions = { config: { 'session.disable_prepacking': '1' } };

/** How folders under construction are called. */
const PARTIAL = 'partial-';
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** The file a component was compiled from. */
export interface ComponentSource {
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** `component.json`: everything about a compiled network but its weights. */
export interface ComponentManifest {
  readonly kind: ComponentKind;
  /** SHA-256 over the sources, the kind, the precision and the compiler's version; also the folder's name. */
  readonly digest: string;
  readonly compilerVersion: number;
  /** That asked for; `quality.kept` says what stayed in a higher one. */
  readonly precision: Precision;
  /** What quantising cost; absent in fp32. */
  readonly quality?: QualityReport;
  readonly sources: readonly ComponentSource[];
  /** File names in the component's folder, by graph name. */
  readonly graphs: Readonly<Record<string, string>>;
  /** Nodes of each graph as built. */
  readonly nodeCounts: Readonly<Record<string, number>>;
  readonly weightsFile: string;
  readonly parameterCount: number;
  /** SHA-256 of every file in the folder, lower-case hex. */
  readonly files: Readonly<Record<string, { readonly sizeBytes: number; readonly sha256: string }>>;
  /** Sizes and constants that running the network needs. */
  readonly settings: unknown;
}

/** A network read from its checkpoint, ready to be compiled. */
export interface NetworkSource {
  readonly kind: ComponentKind;
  readonly sources: readonly ComponentSource[];
  readonly settings: unknown;
  readonly precision: Precision;
  /** Builds the graphs by name; called only when the store does not hold them yet. `folder` is for intermediate files. */
  readonly compile: (runtime: Runtime, folder: string) => CompiledNetwork;
  /** Further graphs of the same parameters, for which a component is compiled again that an earlier release made without. */
  readonly graphNames?: readonly string[];
  /** Files kept as they are, such as a tokenizer's vocabulary. */
  readonly attachments: Readonly<Record<string, Uint8Array>>;
}

/** A network's graphs by name, and what their precision cost where that is not fp32. */
export interface CompiledNetwork {
  readonly graphs: Readonly<Record<string, GraphModel>>;
  /** Files beside the graphs, by name. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly quality?: QualityReport;
}

/**
 * Compiled networks by content: `components/<digest>/`. A component is written once, by renaming a finished folder into
 * place, and its files never change; importing the same checkpoint again finds it.
 */
export class ComponentStore {
  readonly #folder: string;

  constructor(dataDir: string) {
    this.#folder = join(dataDir, 'components');
    mkdirSync(this.#folder, { recursive: true });
    this.#sweep();
  }

  /** Removes what imports left behind that were killed long ago; a younger folder may be someone's work. */
  #sweep(): void {
    for (const name of readdirSync(this.#folder)) {
      if (!name.startsWith(PARTIAL)) continue;
      const path = join(this.#folder, name);
      const ageMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (ageMs > ABANDONED_AFTER_MS) rmSync(path, { recursive: true, force: true });
    }
  }

  folderOf(digest: string): string {
    return join(this.#folder, digest);
  }

  list(): ComponentManifest[] {
    return readdirSync(this.#folder)
      .filter((digest) => existsSync(join(this.#folder, digest, 'component.json')))
      .map((digest) => this.load(digest));
  }

  /** Throws `MODEL_STORE_CORRUPT` when the component is missing or unreadable. */
  load(digest: string): ComponentManifest {
    const path = join(this.folderOf(digest), 'component.json');
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as ComponentManifest;
    } catch (cause) {
      throw new AppError(
        'MODEL_STORE_CORRUPT',
        `the model store lost component ${digest.slice(0, 12)} (no readable component.json); import the model again`,
        { cause },
      );
    }
  }

  /**
   * Compiles a network into the store, unless it is there with all its graphs: weights in one file, and the graphs over it,
   * each of which ONNX Runtime has accepted.
   */
  compile(source: NetworkSource, runtime: Runtime): ComponentManifest {
    const digest = digestOf(source);
    if (this.#has(digest, source.graphNames)) return this.load(digest);
    const folder = join(this.#folder, `${PARTIAL}${randomUUID()}`);
    mkdirSync(folder);
    try {
      const compiled = source.compile(runtime, this.#folder);
      const named = Object.entries(compiled.graphs);
      const graphs = named.map(([, graph]) => graph);
      const weights = writeWeightsFile(join(folder, 'weights.safetensors'), graphs, { metadata: { digest } });
      for (const [name, graph] of named) writeModelFile(join(folder, `${name}.onnx`), graph, weights);
      const files = { ...source.attachments, ...compiled.files };
      for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
      // The further graphs have the same parameters in other forms.
      const first = named.filter(([name]) => !source.graphNames?.includes(name)).map(([, graph]) => graph);
      const unique = new Map(first.flatMap((graph) => graph.weights).map((weight) => [weight.name, weight.shape]));
      const manifest: ComponentManifest = {
        kind: source.kind,
        digest,
        compilerVersion: COMPILER_VERSION,
        precision: source.precision,
        ...(compiled.quality && { quality: compiled.quality }),
        sources: source.sources,
        graphs: Object.fromEntries(named.map(([name]) => [name, `${name}.onnx`])),
        nodeCounts: Object.fromEntries(named.map(([name, graph]) => [name, graph.nodes.length])),
        weightsFile: weights.fileName,
        parameterCount: [...unique.values()].reduce((sum, shape) => sum + elementCount(shape), 0),
        files: fileDigests(folder),
        settings: source.settings,
      };
      writeFileSync(join(folder, 'component.json'), `${JSON.stringify(manifest, null, 2)}\n`);
      for (const file of Object.values(manifest.graphs)) {
        runtime.createSession(join(folder, file), MAPPED_WEIGHTS).close();
      }
      this.#put(folder, digest, source.graphNames);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      // Another process that compiled the same network at the same time has won the rename; its result is ours.
      if (this.#has(digest, source.graphNames)) return this.load(digest);
      throw error;
    }
    return this.load(digest);
  }

  #has(digest: string, graphNames: readonly string[] = []): boolean {
    if (!existsSync(join(this.folderOf(digest), 'component.json'))) return false;
    const { graphs } = this.load(digest);
    return graphNames.every((name) => Object.hasOwn(graphs, name));
  }

  /** Puts a finished folder in its place; one that lacked graphs makes way (whoever has mapped its files keeps them). */
  #put(folder: string, digest: string, graphNames: readonly string[] | undefined): void {
    const place = this.folderOf(digest);
    const old = join(this.#folder, `${PARTIAL}${randomUUID()}`);
    if (existsSync(place) && !this.#has(digest, graphNames)) renameSync(place, old);
    renameSync(folder, place);
    rmSync(old, { recursive: true, force: true });
  }

  /**
   * A session over one of a component's graphs. By default the weights are packed for the processor as they are loaded,
   * at about 1 GB/s, and the mapped file is let go (resident: once their size); see {@link MAPPED_WEIGHTS}.
   */
  createSession(manifest: ComponentManifest, graph: string, runtime: Runtime, options: SessionOptions = {}): Session {
    return runtime.createSession(this.#graphPath(manifest, graph), options);
  }

  /** Like {@link createSession}, while the thread does other things. */
  async openSession(
    manifest: ComponentManifest,
    graph: string,
    runtime: Runtime,
    options: SessionOptions = {},
  ): Promise<Session> {
    return runtime.openSession(this.#graphPath(manifest, graph), options);
  }

  #graphPath(manifest: ComponentManifest, graph: string): string {
    const file = manifest.graphs[graph];
    if (!file) {
      throw new AppError(
        'MODEL_STORE_CORRUPT',
        `component ${manifest.kind} has no graph "${graph}"; import the model again`,
      );
    }
    return join(this.folderOf(manifest.digest), file);
  }

  /** What differs from the digests written at import, as sentences; empty when all is well. */
  verify(manifest: ComponentManifest): string[] {
    const folder = this.folderOf(manifest.digest);
    return Object.entries(manifest.files).flatMap(([name, expected]) => {
      const path = join(folder, name);
      if (!existsSync(path)) return [`${manifest.kind}: ${name} is missing`];
      if (statSync(path).size !== expected.sizeBytes)
        return [`${manifest.kind}: ${name} has another size than at import`];
      return sha256OfFile(path) === expected.sha256
        ? []
        : [`${manifest.kind}: ${name} has other contents than at import`];
    });
  }

  remove(digest: string): void {
    rmSync(this.folderOf(digest), { recursive: true, force: true });
  }
}

/** SHA-256 of a file in lower-case hex, read in pieces. */
export function sha256OfFile(path: string): string {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(1 << 20);
  const file = openSync(path, 'r');
  try {
    for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) hash.update(piece.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

function digestOf(source: NetworkSource): string {
  const hash = createHash('sha256');
  const identity = {
    compilerVersion: COMPILER_VERSION,
    kind: source.kind,
    precision: source.precision,
    sources: source.sources.map((file) => file.sha256).sort(),
    settings: source.settings,
  };
  return hash.update(JSON.stringify(identity)).digest('hex');
}

function fileDigests(folder: string): ComponentManifest['files'] {
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => {
        const path = join(folder, name);
        return [name, { sizeBytes: statSync(path).size, sha256: sha256OfFile(path) }];
      }),
  );
}
