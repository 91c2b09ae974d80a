import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { AppError } from '../errors.js';
import { GraphBuilder, type GraphModel } from '../onnx/graph.js';
import { encodeModel } from '../onnx/model-file.js';

/**
 * ONNX Runtime through its C API, called by FFI on the library that the official package ships: outputs are written
 * where the caller says, inputs are never copied, and a call costs about 2 µs. The only file that knows the binding.
 */
export const ONNXRUNTIME_VERSION = '1.30.0';

/** The typed array that holds each element type; fp16 and bf16 as their bits. */
interface ArrayOf {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

export type Dtype = keyof ArrayOf;

/** A view of memory with a shape; `data` may be a subarray or lie in a SharedArrayBuffer, and is never copied. */
export interface Tensor<D extends Dtype = Dtype> {
  readonly dtype: D;
  readonly dims: readonly number[];
  readonly data: ArrayOf[D];
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** An input or output of a graph; a dimension known only at run time is its symbolic name, or `?`. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly dims: readonly (number | string)[];
}

export interface RuntimeOptions {
  /** Threads that all sessions of the process share; the number of processors by default. */
  readonly threads?: number;
  /** Whether idle workers spin for a moment before they sleep (default): 30 % less latency for some idle load. */
  readonly spin?: boolean;
  /** What the library prints itself; `fatal` by default, since errors are thrown. */
  readonly logLevel?: 'verbose' | 'info' | 'warning' | 'error' | 'fatal';
}

export interface SessionOptions {
  /** How far ONNX Runtime rewrites the graph at load; `all` by default. */
  readonly optimization?: 'none' | 'basic' | 'extended' | 'all';
  /** Where to write the rewritten graph, to be loaded with `none` the next time. */
  readonly optimizedModelPath?: string;
  /** Session configuration entries, e.g. `session.disable_prepacking`. */
  readonly config?: Readonly<Record<string, string>>;
  /** Weights in kernel layout, shared by every session created with the same container. */
  readonly prepackedWeights?: PrepackedWeights;
  /** Keep freed activations for the next run (default). Without, every run allocates and frees its own. */
  readonly arena?: boolean;
}

/** Wraps a typed array as a tensor without copying; throws `ENGINE_RUNTIME` where `dims` and the length disagree. */
export function tensor<D extends Dtype>(dtype: D, dims: readonly number[], data: ArrayOf[D]): Tensor<D> {
  const expected = elementCount(dims);
  if (!(data instanceof DTYPES[dtype].array)) {
    throw new AppError('ENGINE_RUNTIME', `a ${dtype} tensor needs a ${DTYPES[dtype].array.name}`);
  }
  if (data.length !== expected) {
    throw new AppError(
      'ENGINE_RUNTIME',
      `a tensor of shape [${dims.join(', ')}] has ${expected} elements, but its array has ${data.length}`,
    );
  }
  return { dtype, dims, data };
}

/** A tensor of zeros. */
export function zeros<D extends Dtype>(dtype: D, dims: readonly number[]): Tensor<D> {
  return { dtype, dims, data: new DTYPES[dtype].array(elementCount(dims)) as ArrayOf[D] };
}

/** The named tensor of a result, checked to be of the element type asked for. */
export function output<D extends Dtype>(results: Tensors, name: string, dtype: D): Tensor<D> {
  const found = results[name];
  if (found === undefined) {
    throw new AppError('ENGINE_RUNTIME', `no output "${name}"; there are ${Object.keys(results).join(', ') || 'none'}`);
  }
  if (found.dtype !== dtype) {
    throw new AppError('ENGINE_RUNTIME', `output "${name}" is ${found.dtype}, expected ${dtype}`);
  }
  return found as Tensor<D>; // the element type was compared above
}

let current: Runtime | undefined;

/**
 * The runtime of this thread, opened at the first call. ONNX Runtime has one environment a process: the threads of
 * the pool are those of the first opening anywhere in the process. Throws `ENGINE_RUNTIME` where the library cannot be
 * loaded or is not the pinned version.
 */
export function openRuntime(options: RuntimeOptions = {}): Runtime {
  current ??= new Runtime(bind(), options);
  return current;
}

/** ONNX Runtime with its one thread pool; makes sessions. */
export class Runtime {
  readonly version = ONNXRUNTIME_VERSION;
  readonly threads: number;
  readonly #api: Api;
  readonly #env: Pointer;

  /** @internal use {@link openRuntime} */
  constructor(api: Api, options: RuntimeOptions) {
    this.#api = api;
    this.threads = options.threads ?? availableParallelism();
    const threading = api.create((out) => api.CreateThreadingOptions(out));
    api.check(api.SetGlobalIntraOpNumThreads(threading, this.threads));
    api.check(api.SetGlobalInterOpNumThreads(threading, 1));
    api.check(api.SetGlobalSpinControl(threading, options.spin === false ? 0 : 1));
    const level = LOG_LEVELS[options.logLevel ?? 'fatal'];
    this.#env = api.create((out) => api.CreateEnvWithGlobalThreadPools(level, cString('timbre'), threading, out));
    api.ReleaseThreadingOptions(threading);
  }

  /** Loads a graph from a file (external data beside it) or from bytes; throws `ENGINE_RUNTIME` with the reason. */
  createSession(model: string | Uint8Array, options: SessionOptions = {}): Session {
    const api = this.#api;
    const settings = api.create((out) => api.CreateSessionOptions(out));
    try {
      api.check(api.DisablePerSessionThreads(settings));
      api.check(api.SetSessionGraphOptimizationLevel(settings, OPTIMIZATION_LEVELS[options.optimization ?? 'all']));
      if (options.arena === false) api.check(api.DisableCpuMemArena(settings));
      if (options.optimizedModelPath !== undefined) {
        api.check(api.SetOptimizedModelFilePath(settings, pathString(options.optimizedModelPath)));
      }
      for (const [key, value] of Object.entries(options.config ?? {})) {
        api.check(api.AddSessionConfigEntry(settings, cString(key), cString(value)));
      }
      const container = options.prepackedWeights?.pointer;
      const handle = api.create((out) => {
        if (typeof model === 'string') {
          return container === undefined
            ? api.CreateSession(this.#env, pathString(model), settings, out)
            : api.CreateSessionWithPrepackedWeightsContainer(this.#env, pathString(model), settings, container, out);
        }
        return container === undefined
          ? api.CreateSessionFromArray(this.#env, model, model.byteLength, settings, out)
          : api.CreateSessionFromArrayWithPrepackedWeightsContainer(
              this.#env,
              model,
              model.byteLength,
              settings,
              container,
              out,
            );
      });
      return new Session(api, handle, options.prepackedWeights);
    } finally {
      api.ReleaseSessionOptions(settings);
    }
  }

  /** A container through which sessions over the same weights share their kernel layout; outlives its sessions. */
  createPrepackedWeights(): PrepackedWeights {
    const api = this.#api;
    return new PrepackedWeights(
      api,
      api.create((out) => api.CreatePrepackedWeightsContainer(out)),
    );
  }

  /**
   * Runs a small graph whose result is known, so that a library that loads but computes wrongly (a processor it was not
   * built for, a broken install) is found at start. Throws `ENGINE_RUNTIME`.
   */
  selfCheck(): void {
    const session = this.createSession(encodeModel(selfCheckGraph(), null));
    try {
      const x = Float32Array.from({ length: 32 }, (_, index) => (index % 7) - 3);
      const y = output(session.run({ x: tensor('float32', [2, 16], x) }), 'y', 'float32').data;
      for (let row = 0; row < 2; row++) {
        for (let column = 0; column < 16; column++) {
          let sum = 0;
          for (let k = 0; k < 16; k++) sum += (x[row * 16 + k] ?? 0) * selfCheckWeight(k, column);
          const expected = Math.max(0, sum + 0.5);
          const got = y[row * 16 + column] ?? Number.NaN;
          if (!(Math.abs(got - expected) <= 1e-4)) {
            throw new AppError(
              'ENGINE_RUNTIME',
              `ONNX Runtime computed ${got} where ${expected} is right; reinstall it, or use another processor`,
            );
          }
        }
      }
    } finally {
      session.close();
    }
  }

  /** Tells the environment that this thread has done with it; sessions must be closed before. */
  close(): void {
    if (current !== this) return;
    current = undefined;
    this.#api.ReleaseEnv(this.#env);
  }
}

/** Weights in the layout that kernels want, kept once for all sessions made with it. */
export class PrepackedWeights {
  readonly #api: Api;
  #pointer: Pointer | undefined;
  #users = 0;
  #closing = false;

  /** @internal use {@link Runtime.createPrepackedWeights} */
  constructor(api: Api, pointer: Pointer) {
    this.#api = api;
    this.#pointer = pointer;
  }

  /** @internal */
  get pointer(): Pointer {
    if (this.#pointer === undefined || this.#closing) {
      throw new AppError('ENGINE_RUNTIME', 'the container of prepacked weights is closed');
    }
    return this.#pointer;
  }

  /** @internal */
  retain(): void {
    this.#users++;
  }

  /** @internal */
  release(): void {
    this.#users--;
    if (this.#closing) this.close();
  }

  /** Frees the weights as soon as the last session that uses them is closed. */
  close(): void {
    this.#closing = true;
    if (this.#users > 0 || this.#pointer === undefined) return;
    this.#api.ReleasePrepackedWeightsContainer(this.#pointer);
    this.#pointer = undefined;
  }
}

/** A loaded graph. Runs are synchronous and belong to the thread that made the session. */
export class Session {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #api: Api;
  readonly #inputNames: NameTable;
  readonly #outputNames: NameTable;
  readonly #prepackedWeights: PrepackedWeights | undefined;
  readonly #bound = new Set<BoundRun>();
  #handle: Pointer | undefined;

  /** @internal use {@link Runtime.createSession} */
  constructor(api: Api, handle: Pointer, prepackedWeights: PrepackedWeights | undefined) {
    this.#api = api;
    this.#handle = handle;
    this.#prepackedWeights = prepackedWeights;
    prepackedWeights?.retain();
    this.inputs = describe(api, handle, api.SessionGetInputCount, api.SessionGetInputName, api.SessionGetInputTypeInfo);
    this.outputs = describe(
      api,
      handle,
      api.SessionGetOutputCount,
      api.SessionGetOutputName,
      api.SessionGetOutputTypeInfo,
    );
    this.#inputNames = new NameTable(this.inputs);
    this.#outputNames = new NameTable(this.outputs);
  }

  /**
   * Runs the graph once. Outputs in `into` are written in place (an output may be the memory of an input); the others
   * are returned in fresh arrays. `only` names the outputs to compute besides those in `into`; all by default.
   */
  run(feeds: Tensors, into: Tensors = {}, only?: readonly string[]): Record<string, Tensor> {
    const wanted = only ?? this.outputs.map((info) => info.name);
    const fresh = wanted.filter((name) => !(name in into));
    const bound = this.#bind(feeds, into, fresh);
    try {
      bound.run();
      const results: Record<string, Tensor> = { ...into };
      for (const name of fresh) results[name] = bound.take(name);
      return results;
    } finally {
      bound.close();
    }
  }

  /**
   * Prepares a run that is repeated on the same memory: inputs are read from, and outputs written to, the arrays given
   * here, at one FFI call a run. `inputs` must be complete; outputs not named are not computed.
   */
  prepare(tensors: { readonly inputs: Tensors; readonly outputs: Tensors }): BoundRun {
    return this.#bind(tensors.inputs, tensors.outputs, []);
  }

  close(): void {
    if (this.#handle === undefined) return;
    for (const bound of this.#bound) bound.close();
    this.#api.ReleaseSession(this.#handle);
    this.#handle = undefined;
    this.#prepackedWeights?.release();
  }

  #bind(feeds: Tensors, into: Tensors, fresh: readonly string[]): BoundRun {
    if (this.#handle === undefined) throw new AppError('ENGINE_RUNTIME', 'the session is closed');
    this.#inputNames.checkComplete(feeds);
    const inputs = Object.entries(feeds).map(([name, value]) => ({
      name,
      address: this.#inputNames.address(name, 'input'),
      value: this.#inputNames.checked(name, value),
    }));
    const outputs: BoundValue[] = [
      ...Object.entries(into).map(([name, value]) => ({
        name,
        address: this.#outputNames.address(name, 'output'),
        value: this.#outputNames.checked(name, value),
      })),
      ...fresh.map((name) => ({ name, address: this.#outputNames.address(name, 'output'), value: undefined })),
    ];
    const bound = new BoundRun(this.#api, this.#handle, inputs, outputs, () => this.#bound.delete(bound));
    this.#bound.add(bound);
    return bound;
  }
}

interface BoundValue {
  readonly name: string;
  /** Address of the value's C name. */
  readonly address: Pointer;
  /** The memory to use; where absent, ONNX Runtime allocates (outputs only). */
  readonly value: Tensor | undefined;
}

/** A run with its pointer arrays built once; reads and writes the memory it was prepared with. */
export class BoundRun {
  readonly #api: Api;
  readonly #session: Pointer;
  readonly #outputs: readonly BoundValue[];
  readonly #inputNames: BigUint64Array;
  readonly #inputValues: BigUint64Array;
  readonly #outputNames: BigUint64Array;
  readonly #outputValues: BigUint64Array;
  /** Everything the native side points into, kept from the garbage collector. */
  readonly #keep: readonly unknown[];
  readonly #onClose: () => void;
  #closed = false;

  /** @internal use {@link Session.prepare} */
  constructor(
    api: Api,
    session: Pointer,
    inputs: readonly BoundValue[],
    outputs: readonly BoundValue[],
    onClose: () => void,
  ) {
    this.#api = api;
    this.#session = session;
    this.#outputs = outputs;
    this.#inputNames = BigUint64Array.from(inputs, (input) => input.address);
    this.#outputNames = BigUint64Array.from(outputs, (entry) => entry.address);
    this.#inputValues = new BigUint64Array(inputs.length);
    this.#outputValues = new BigUint64Array(outputs.length);
    this.#keep = [inputs, outputs];
    this.#onClose = onClose;
    try {
      wrapAll(api, inputs, this.#inputValues);
      wrapAll(api, outputs, this.#outputValues);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Runs the graph on the bound memory; throws `ENGINE_RUNTIME` with ONNX Runtime's message. */
  run(): void {
    if (this.#closed) throw new AppError('ENGINE_RUNTIME', 'the prepared run is closed');
    const status = this.#api.Run(
      this.#session,
      null,
      this.#inputNames,
      this.#inputValues,
      this.#inputValues.length,
      this.#outputNames,
      this.#outputValues.length,
      this.#outputValues,
    );
    if (status) this.#api.check(status);
  }

  /** @internal Copies an output that ONNX Runtime allocated. */
  take(name: string): Tensor {
    const index = this.#outputs.findIndex((entry) => entry.name === name);
    return copyOut(this.#api, this.#outputValues[index] ?? 0n);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
    this.#onClose();
  }

  #release(): void {
    for (const values of [this.#inputValues, this.#outputValues]) {
      for (const value of values) if (value !== 0n) this.#api.ReleaseValue(value);
      values.fill(0n);
    }
    void this.#keep; // held until here
  }
}

/** The C names of a session's inputs or outputs, and the checks of what is bound to them. */
class NameTable {
  readonly #infos: ReadonlyMap<string, { info: ValueInfo; address: Pointer; bytes: Buffer }>;

  constructor(infos: readonly ValueInfo[]) {
    this.#infos = new Map(
      infos.map((info) => {
        const bytes = cString(info.name);
        return [info.name, { info, bytes, address: koffi.address(bytes) }];
      }),
    );
  }

  address(name: string, kind: string): Pointer {
    const entry = this.#infos.get(name);
    if (entry === undefined) {
      const known = [...this.#infos.keys()].join(', ');
      throw new AppError('ENGINE_RUNTIME', `the graph has no ${kind} "${name}"; it has ${known}`);
    }
    return entry.address;
  }

  checkComplete(feeds: Tensors): void {
    const missing = [...this.#infos.keys()].filter((name) => !(name in feeds));
    if (missing.length > 0) throw new AppError('ENGINE_RUNTIME', `missing graph inputs: ${missing.join(', ')}`);
  }

  /** The tensor, once its element type and rank are those of the graph. */
  checked(name: string, value: Tensor): Tensor {
    const info = this.#infos.get(name)?.info;
    if (info === undefined) return value;
    const fits =
      info.dims.length === value.dims.length &&
      info.dims.every((dim, axis) => typeof dim === 'string' || dim === value.dims[axis]);
    if (value.dtype !== info.dtype || !fits) {
      throw new AppError(
        'ENGINE_RUNTIME',
        `"${name}" is ${value.dtype} [${value.dims.join(', ')}], the graph has ${info.dtype} [${info.dims.join(', ')}]`,
      );
    }
    return value;
  }
}

function wrapAll(api: Api, entries: readonly BoundValue[], pointers: BigUint64Array): void {
  for (const [index, { value }] of entries.entries()) {
    if (value !== undefined) pointers[index] = wrap(api, value);
  }
}

/** An OrtValue over the tensor's own memory. */
function wrap(api: Api, value: Tensor): Pointer {
  // Small typed arrays live inside the V8 heap until their buffer is asked for; only then does the address stay.
  void value.data.buffer;
  const memory = value.data.length === 0 ? EMPTY : value.data;
  const dims = BigInt64Array.from(value.dims, BigInt);
  return api.create((out) =>
    api.CreateTensorWithDataAsOrtValue(
      api.cpu,
      memory,
      value.data.byteLength,
      dims,
      dims.length,
      DTYPES[value.dtype].code,
      out,
    ),
  );
}

function copyOut(api: Api, value: Pointer): Tensor {
  const info = api.create((out) => api.GetTensorTypeAndShape(value, out));
  let shape: { dtype: Dtype; dims: (number | string)[] };
  try {
    shape = readShape(api, info);
  } finally {
    api.ReleaseTensorTypeAndShapeInfo(info);
  }
  const dims = shape.dims.map(Number);
  const result = zeros(shape.dtype, dims);
  if (result.data.byteLength > 0) {
    const source = api.create((out) => api.GetTensorMutableData(value, out));
    api.memcpy(result.data, source, result.data.byteLength);
  }
  return result;
}

type Describe = Pick<Api, 'SessionGetInputCount' | 'SessionGetInputName' | 'SessionGetInputTypeInfo'>;

function describe(
  api: Api,
  session: Pointer,
  count: Describe['SessionGetInputCount'],
  nameOf: Describe['SessionGetInputName'],
  typeOf: Describe['SessionGetInputTypeInfo'],
): ValueInfo[] {
  const total = Number(api.create((out) => count(session, out)));
  const allocator = api.create((out) => api.GetAllocatorWithDefaultOptions(out));
  return Array.from({ length: total }, (_, index) => {
    const namePointer = api.create((out) => nameOf(session, index, allocator, out));
    const name = koffi.decode.string(namePointer);
    api.check(api.AllocatorFree(allocator, namePointer));
    const type = api.create((out) => typeOf(session, index, out));
    try {
      const info = api.create((out) => api.CastTypeInfoToTensorInfo(type, out));
      if (info === 0n) throw new AppError('ENGINE_RUNTIME', `"${name}" is not a tensor`);
      return { name, ...readShape(api, info) };
    } finally {
      api.ReleaseTypeInfo(type);
    }
  });
}

function readShape(api: Api, info: Pointer): { dtype: Dtype; dims: (number | string)[] } {
  const code = Number(api.create((out) => api.GetTensorElementType(info, out))) & 0xffff;
  const dtype = DTYPE_OF_CODE.get(code);
  if (dtype === undefined)
    throw new AppError('ENGINE_RUNTIME', `tensor elements of ONNX type ${code} are not supported`);
  const rank = Number(api.create((out) => api.GetDimensionsCount(info, out)));
  const sizes = new BigInt64Array(rank);
  const names = new BigUint64Array(rank);
  if (rank > 0) {
    api.check(api.GetDimensions(info, sizes, rank));
    api.check(api.GetSymbolicDimensions(info, names, rank));
  }
  const dims = Array.from(sizes, (size, axis) => {
    if (size >= 0n) return Number(size);
    const symbol = names[axis];
    return (symbol ? koffi.decode.string(symbol) : '') || '?';
  });
  return { dtype, dims };
}

function selfCheckGraph(): GraphModel {
  const graph = new GraphBuilder('self-check');
  const x = graph.input('x', 'float32', ['rows', 16]);
  const weights = Float32Array.from({ length: 256 }, (_, index) => selfCheckWeight(index >> 4, index & 15));
  const w = graph.weight('w', [16, 16], () => weights);
  graph.output('y', graph.relu(graph.linear(x, w, graph.scalar(0.5))), 'float32', ['rows', 16]);
  return graph.build();
}

function selfCheckWeight(row: number, column: number): number {
  return (((row * 5 + column * 3) % 11) - 5) / 8;
}

function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

const EMPTY = new Uint8Array(64);

const DTYPES = {
  float32: { code: 1, array: Float32Array },
  uint8: { code: 2, array: Uint8Array },
  int8: { code: 3, array: Int8Array },
  int16: { code: 5, array: Int16Array },
  int32: { code: 6, array: Int32Array },
  int64: { code: 7, array: BigInt64Array },
  bool: { code: 9, array: Uint8Array },
  float16: { code: 10, array: Uint16Array },
  float64: { code: 11, array: Float64Array },
  bfloat16: { code: 16, array: Uint16Array },
} as const satisfies Record<Dtype, { code: number; array: unknown }>;

const DTYPE_OF_CODE = new Map((Object.keys(DTYPES) as Dtype[]).map((dtype) => [DTYPES[dtype].code as number, dtype]));

const OPTIMIZATION_LEVELS = { none: 0, basic: 1, extended: 2, all: 99 } as const;
const LOG_LEVELS = { verbose: 0, info: 1, warning: 2, error: 3, fatal: 4 } as const;

type Pointer = bigint;
type Argument = Pointer | number | NodeJS.ArrayBufferView | null;
type Call = (...args: readonly Argument[]) => Pointer | null;

/**
 * Positions in `OrtApi` (onnxruntime_c_api.cc, `ort_api_1_to_25`; the order never changes after a release) and the C
 * types of the arguments: `p` a pointer, `i` an int, `z` a size_t. Functions in {@link RELEASES} return nothing, the
 * others an `OrtStatus*`.
 */
const SLOTS = {
  CreateSession: [7, 'pppp'],
  CreateSessionFromArray: [8, 'ppzpp'],
  Run: [9, 'ppppzpzp'],
  CreateSessionOptions: [10, 'p'],
  SetOptimizedModelFilePath: [11, 'pp'],
  DisableCpuMemArena: [19, 'p'],
  SetSessionGraphOptimizationLevel: [23, 'pi'],
  SessionGetInputCount: [30, 'pp'],
  SessionGetOutputCount: [31, 'pp'],
  SessionGetInputTypeInfo: [33, 'pzp'],
  SessionGetOutputTypeInfo: [34, 'pzp'],
  SessionGetInputName: [36, 'pzpp'],
  SessionGetOutputName: [37, 'pzpp'],
  CreateTensorWithDataAsOrtValue: [49, 'ppzpzip'],
  GetTensorMutableData: [51, 'pp'],
  CastTypeInfoToTensorInfo: [55, 'pp'],
  GetTensorElementType: [60, 'pp'],
  GetDimensionsCount: [61, 'pp'],
  GetDimensions: [62, 'ppz'],
  GetSymbolicDimensions: [63, 'ppz'],
  GetTensorTypeAndShape: [65, 'pp'],
  CreateCpuMemoryInfo: [69, 'iip'],
  AllocatorFree: [76, 'pp'],
  GetAllocatorWithDefaultOptions: [78, 'p'],
  ReleaseEnv: [92, 'p'],
  ReleaseStatus: [93, 'p'],
  ReleaseSession: [95, 'p'],
  ReleaseValue: [96, 'p'],
  ReleaseTypeInfo: [98, 'p'],
  ReleaseTensorTypeAndShapeInfo: [99, 'p'],
  ReleaseSessionOptions: [100, 'p'],
  CreateEnvWithGlobalThreadPools: [119, 'ippp'],
  DisablePerSessionThreads: [120, 'p'],
  CreateThreadingOptions: [121, 'p'],
  ReleaseThreadingOptions: [122, 'p'],
  AddSessionConfigEntry: [130, 'ppp'],
  SetGlobalIntraOpNumThreads: [147, 'pi'],
  SetGlobalInterOpNumThreads: [148, 'pi'],
  SetGlobalSpinControl: [149, 'pi'],
  CreatePrepackedWeightsContainer: [166, 'p'],
  ReleasePrepackedWeightsContainer: [167, 'p'],
  CreateSessionWithPrepackedWeightsContainer: [168, 'ppppp'],
  CreateSessionFromArrayWithPrepackedWeightsContainer: [169, 'ppzppp'],
} as const satisfies Record<string, readonly [number, string]>;

const GET_ERROR_MESSAGE_SLOT = 2;

/** The newest `OrtApi` whose layout all of the above belong to; ONNX Runtime keeps older layouts working. */
const API_VERSION = 20;

type Api = Record<keyof typeof SLOTS, Call> & {
  /** `OrtMemoryInfo` of ordinary memory. */
  readonly cpu: Pointer;
  /** Throws the error a status stands for, and frees it. */
  check(status: Pointer | null): void;
  /** Calls with a fresh out parameter and returns what was written there. */
  create(call: (out: BigUint64Array) => Pointer | null): Pointer;
  memcpy(destination: NodeJS.ArrayBufferView, source: Pointer, sizeBytes: number): void;
};

function bind(): Api {
  const path = libraryPath();
  const table = loadTable(path);
  const at = (slot: number): Pointer => koffi.decode(table, slot * 8, 'uint64') as Pointer;
  const message = koffi.decode(BigInt(at(GET_ERROR_MESSAGE_SLOT)), koffi.proto('const char *', ['void *'])) as (
    status: Pointer,
  ) => string;
  const functions = Object.fromEntries(
    Object.entries(SLOTS).map(([name, [slot, signature]]) => {
      const result = name.startsWith('Release') ? 'void' : 'void *';
      const prototype = koffi.proto(
        result,
        Array.from(signature, (letter) => ({ p: 'void *', i: 'int', z: 'size_t' })[letter] ?? 'void *'),
      );
      return [name, koffi.decode(BigInt(at(slot)), prototype)];
    }),
  ) as Record<keyof typeof SLOTS, Call>; // one entry for each slot
  const check = (status: Pointer | null): void => {
    if (!status) return;
    const text = message(status);
    functions.ReleaseStatus(status);
    throw new AppError('ENGINE_RUNTIME', `ONNX Runtime: ${text}`);
  };
  const create = (call: (out: BigUint64Array) => Pointer | null): Pointer => {
    const out = new BigUint64Array(1);
    check(call(out));
    return out[0] ?? 0n;
  };
  const DEVICE_ALLOCATOR = 0;
  const MEM_TYPE_DEFAULT = 0;
  const cpu = create((out) => functions.CreateCpuMemoryInfo(DEVICE_ALLOCATOR, MEM_TYPE_DEFAULT, out));
  const c = koffi.load(process.platform === 'win32' ? 'ucrtbase.dll' : null);
  const memcpy = c.func('memcpy', 'void', ['void *', 'void *', 'size_t']);
  return { ...functions, cpu, check, create, memcpy };
}

/** Loads the library, checks its version, and returns the address of its function table. */
function loadTable(path: string): Pointer {
  let library: LibraryHandle;
  try {
    keepLoaded(path);
    library = koffi.load(path);
  } catch (cause) {
    throw new AppError(
      'ENGINE_RUNTIME',
      `cannot load ONNX Runtime from ${path}: ${cause instanceof Error ? cause.message : cause}; ` +
        'reinstall with "npm ci" on this machine (glibc 2.28 or newer on Linux)',
      { cause },
    );
  }
  const base = library.func('OrtGetApiBase', 'void *', [])() as Pointer;
  const [getApi, getVersion] = [0, 8].map((offset) => BigInt(koffi.decode(base, offset, 'uint64') as Pointer));
  const version = koffi.call(getVersion, koffi.proto('const char *', [])) as string;
  if (version !== ONNXRUNTIME_VERSION) {
    throw new AppError(
      'ENGINE_RUNTIME',
      `${path} is ONNX Runtime ${version}, expected ${ONNXRUNTIME_VERSION}; install the pinned version with "npm ci"`,
    );
  }
  return koffi.call(getApi, koffi.proto('void *', ['uint32']), API_VERSION) as Pointer;
}

/**
 * Takes a reference to the library that is never given back: should koffi drop its own when the last thread that used
 * it ends, the workers of ONNX Runtime's pool would run in unmapped code. (Linux keeps this library mapped anyway.)
 */
function keepLoaded(path: string): void {
  if (process.platform === 'win32') {
    koffi.load('kernel32.dll').func('LoadLibraryW', 'void *', ['str16'])(path);
    return;
  }
  const RTLD_NOW = 2;
  koffi.load(null).func('dlopen', 'void *', ['str', 'int'])(path, RTLD_NOW);
}

function libraryPath(): string {
  const names: Partial<Record<NodeJS.Platform, string>> = {
    linux: 'libonnxruntime.so.1',
    darwin: `libonnxruntime.${ONNXRUNTIME_VERSION}.dylib`,
    win32: 'onnxruntime.dll',
  };
  const name = names[process.platform];
  if (name === undefined) {
    throw new AppError('ENGINE_RUNTIME', `no ONNX Runtime for ${process.platform}; use Linux, macOS or Windows`);
  }
  const home = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return join(home, 'bin', 'napi-v6', process.platform, process.arch, name);
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

/** A path as ONNX Runtime takes it: UTF-16 on Windows, UTF-8 elsewhere. */
function pathString(path: string): Buffer {
  return process.platform === 'win32' ? Buffer.from(`${path}\0`, 'utf16le') : cString(path);
}
