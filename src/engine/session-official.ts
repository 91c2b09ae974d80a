import { AppError } from '../errors.js';
import type { Binding, BoundRun, Session, SessionOptions } from './session.js';
import type { EnvironmentOptions } from './session-native.js';
import { checkInputs, checkOutputs, DTYPES, type Dtype, type Tensor, type Tensors, type ValueInfo } from './tensor.js';

/** What we use of the official binding: its synchronous inner session, since the public one only defers it. */
export interface OfficialLibrary {
  readonly InferenceSession: new () => OfficialSession;
  readonly Tensor: new (type: string, data: Tensor['data'], dims: readonly number[]) => OfficialTensor;
}

interface OfficialSession {
  readonly inputMetadata: readonly OfficialMetadata[];
  readonly outputMetadata: readonly OfficialMetadata[];
  loadModel(path: string, options: object): void;
  loadModel(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, options: object): void;
  run(
    feeds: Readonly<Record<string, OfficialTensor>>,
    fetches: Readonly<Record<string, OfficialTensor | null>>,
    options: object,
  ): Record<string, OfficialTensor>;
  dispose(): void;
}

interface OfficialMetadata {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  readonly symbolicDimensions: readonly string[];
}

interface OfficialTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: Tensor['data'];
}

/**
 * Sessions through the official binding, for machines where the FFI cannot be loaded. Same results, but every output is
 * copied once more (18 ms a step with a full key/value cache), and each session has its own threads.
 */
export function officialBinding(library: OfficialLibrary, environment: EnvironmentOptions): Binding {
  return {
    name: 'official',
    createSession: (model, options) => new FallbackSession(library, environment, model, options),
    // Its loading is synchronous, and its asynchronous form only comes later.
    openSession: async (model, options) => new FallbackSession(library, environment, model, options),
    createPrepackedWeights: () => ({ close: () => {} }), // the binding has none; sessions keep their own
    close: () => {},
  };
}

class FallbackSession implements Session {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #library: OfficialLibrary;
  #session: OfficialSession | undefined;

  constructor(
    library: OfficialLibrary,
    environment: EnvironmentOptions,
    model: string | Uint8Array,
    options: SessionOptions,
  ) {
    this.#library = library;
    const session = new library.InferenceSession();
    const settings = {
      executionProviders: ['cpu'],
      intraOpNumThreads: environment.threads,
      interOpNumThreads: 1,
      logSeverityLevel: environment.logLevel,
      graphOptimizationLevel: OPTIMIZATION_LEVELS[options.optimization ?? 'all'],
      enableCpuMemArena: options.arena ?? true,
      ...(options.optimizedModelPath !== undefined && { optimizedModelFilePath: options.optimizedModelPath }),
      extra: { 'session.intra_op.allow_spinning': environment.spin ? '1' : '0', ...options.config },
    };
    translated(() =>
      typeof model === 'string'
        ? session.loadModel(model, settings)
        : session.loadModel(model.buffer, model.byteOffset, model.byteLength, settings),
    );
    this.#session = session;
    this.inputs = session.inputMetadata.map(describe);
    this.outputs = session.outputMetadata.map(describe);
  }

  run(feeds: Tensors, into: Tensors = {}, only?: readonly string[]): Record<string, Tensor> {
    const wanted = only ?? this.outputs.map((info) => info.name);
    const fresh = wanted.filter((name) => !(name in into));
    const results = this.#bind(feeds, into, fresh)();
    return { ...into, ...Object.fromEntries(fresh.map((name) => [name, results[name] as Tensor])) };
  }

  prepare(tensors: { readonly inputs: Tensors; readonly outputs: Tensors }): BoundRun {
    let run: (() => unknown) | undefined = this.#bind(tensors.inputs, tensors.outputs, []);
    return {
      run() {
        if (run === undefined) throw new AppError('ENGINE_RUNTIME', 'the prepared run is closed');
        run();
      },
      close() {
        run = undefined;
      },
    };
  }

  close(): void {
    this.#session?.dispose();
    this.#session = undefined;
  }

  #bind(feeds: Tensors, into: Tensors, fresh: readonly string[]): () => Record<string, Tensor> {
    this.#opened();
    checkInputs(this.inputs, feeds);
    checkOutputs(this.outputs, into, fresh);
    // The binding takes no SharedArrayBuffer: such tensors are copied in before, and out after, each run.
    const copies: { readonly value: Tensor; readonly copy: Tensor; readonly written: boolean }[] = [];
    const wrapAll = (tensors: Tensors, written: boolean) =>
      Object.entries(tensors).map(([name, value]) => {
        const copy = value.data.buffer instanceof SharedArrayBuffer ? { ...value, data: value.data.slice() } : value;
        if (copy !== value) copies.push({ value, copy, written });
        return [name, new this.#library.Tensor(copy.dtype, copy.data, copy.dims)] as const;
      });
    const inputs = Object.fromEntries(wrapAll(feeds, false));
    const outputs = Object.fromEntries([...wrapAll(into, true), ...fresh.map((name) => [name, null] as const)]);
    return () => {
      const session = this.#opened();
      for (const { value, copy, written } of copies) if (!written) bytesOf(copy).set(bytesOf(value));
      // Outputs given are written where they are; what comes back for them are copies, which we drop.
      const results = translated(() => session.run(inputs, outputs, {}));
      for (const { value, copy, written } of copies) if (written) bytesOf(value).set(bytesOf(copy));
      return Object.fromEntries(fresh.map((name) => [name, unwrap(results[name])]));
    };
  }

  #opened(): OfficialSession {
    if (this.#session === undefined) throw new AppError('ENGINE_RUNTIME', 'the session is closed');
    return this.#session;
  }
}

function describe(metadata: OfficialMetadata): ValueInfo {
  const dtype = (Object.keys(DTYPES) as Dtype[]).find((name) => DTYPES[name].code === metadata.type);
  if (dtype === undefined) {
    throw new AppError('ENGINE_RUNTIME', `tensor elements of ONNX type ${metadata.type} are not supported`);
  }
  const dims = metadata.shape.map((size, axis) => (size >= 0 ? size : metadata.symbolicDimensions[axis] || '?'));
  return { name: metadata.name, dtype, dims };
}

function unwrap(value: OfficialTensor | undefined): Tensor {
  if (value === undefined) throw new AppError('ENGINE_RUNTIME', 'ONNX Runtime returned no output');
  return { dtype: value.type as Dtype, dims: [...value.dims], data: value.data };
}

function bytesOf({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Runs a call into the library, whose errors become ours. */
function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('ENGINE_RUNTIME', `ONNX Runtime: ${message}`, { cause });
  }
}

const OPTIMIZATION_LEVELS = { none: 'disabled', basic: 'basic', extended: 'extended', all: 'all' } as const;
