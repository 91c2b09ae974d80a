import { AppError } from '../errors.js';
import type { Binding, BoundRun, PrepackedWeights, Session, SessionOptions } from './session.js';
import {
  checkInputs,
  checkOutputs,
  DTYPES,
  type Dtype,
  type Tensor,
  type Tensors,
  type ValueInfo,
  zeros,
} from './tensor.js';

export type Pointer = bigint;
export type Argument = Pointer | number | NodeJS.ArrayBufferView | null;
export interface Call {
  (...args: readonly Argument[]): Pointer | null;
  /** The same on another thread; what the arguments point to must live until then. */
  later(...args: readonly Argument[]): Promise<Pointer | null>;
}

/**
 * Positions in `OrtApi` (onnxruntime_c_api.cc, `ort_api_1_to_25`; the order never changes after a release) and the C
 * types of the arguments: `p` a pointer, `i` an int, `z` a size_t. Functions named `Release…` return nothing, the others
 * an `OrtStatus*`.
 */
export const SLOTS = {
  CreateSession: [7, 'pppp'],
  CreateSessionFromArray: [8, 'ppzpp'],
  Run: [9, 'ppppzpzp'],
  CreateSessionOptions: [10, 'p'],
  SetOptimizedModelFilePath: [11, 'pp'],
  EnableProfiling: [14, 'pp'],
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

export const GET_ERROR_MESSAGE_SLOT = 2;

/** The newest `OrtApi` whose layout all of the above belong to; ONNX Runtime keeps older layouts working. */
export const API_VERSION = 20;

/** The library's functions, and what calling them through an FFI needs. */
export type Api = Record<keyof typeof SLOTS, Call> & {
  /** `OrtMemoryInfo` of ordinary memory. */
  readonly cpu: Pointer;
  /** Throws the error a status stands for, and frees it. */
  check(status: Pointer | null): void;
  /** Calls with a fresh out parameter and returns what was written there. */
  create(call: (out: BigUint64Array) => Pointer | null): Pointer;
  memcpy(destination: NodeJS.ArrayBufferView, source: Pointer, sizeBytes: number): void;
  /** Where the bytes lie; stays valid while they are referenced. */
  addressOf(bytes: Uint8Array): Pointer;
  /** The C string at an address. */
  readString(address: Pointer): string;
};

export interface EnvironmentOptions {
  readonly threads: number;
  readonly spin: boolean;
  /** 0 verbose … 4 fatal. */
  readonly logLevel: number;
}

/** Sessions through the C API, all on one thread pool of the process. */
export function nativeBinding(api: Api, options: EnvironmentOptions): Binding {
  const threading = api.create((out) => api.CreateThreadingOptions(out));
  api.check(api.SetGlobalIntraOpNumThreads(threading, options.threads));
  api.check(api.SetGlobalInterOpNumThreads(threading, 1));
  api.check(api.SetGlobalSpinControl(threading, options.spin ? 1 : 0));
  const env = api.create((out) =>
    api.CreateEnvWithGlobalThreadPools(options.logLevel, cString('timbre'), threading, out),
  );
  api.ReleaseThreadingOptions(threading);
  return {
    name: 'c-api',
    createSession: (model, sessionOptions) => createSession(api, env, model, sessionOptions),
    openSession: (model, sessionOptions) => openSession(api, env, model, sessionOptions),
    createPrepackedWeights: () =>
      new NativePrepackedWeights(
        api,
        api.create((out) => api.CreatePrepackedWeightsContainer(out)),
      ),
    close: () => {
      api.ReleaseEnv(env);
    },
  };
}

function createSession(api: Api, env: Pointer, model: string | Uint8Array, options: SessionOptions): Session {
  const opening = new SessionOpening(api, env, model, options);
  try {
    const [call, args] = opening.call;
    return opening.finish(call(...args));
  } finally {
    opening.close();
  }
}

async function openSession(
  api: Api,
  env: Pointer,
  model: string | Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  const opening = new SessionOpening(api, env, model, options);
  try {
    const [call, args] = opening.call;
    return opening.finish(await call.later(...args));
  } finally {
    opening.close();
  }
}

/** A session about to be created: the call that does it, and all that the call points to. */
class SessionOpening {
  readonly call: readonly [Call, readonly Argument[]];
  readonly #api: Api;
  readonly #settings: Pointer;
  readonly #shared: NativePrepackedWeights | undefined;
  readonly #handle = new BigUint64Array(1);

  constructor(api: Api, env: Pointer, model: string | Uint8Array, options: SessionOptions) {
    const { prepackedWeights } = options;
    this.#api = api;
    this.#shared = prepackedWeights instanceof NativePrepackedWeights ? prepackedWeights : undefined;
    this.#settings = api.create((out) => api.CreateSessionOptions(out));
    try {
      applyOptions(api, this.#settings, options);
      this.call = this.#callFor(env, model);
      this.#shared?.retain();
    } catch (error) {
      api.ReleaseSessionOptions(this.#settings);
      throw error;
    }
  }

  /** The session that the call has created; throws what its status stands for. */
  finish(status: Pointer | null): Session {
    this.#api.check(status);
    return new NativeSession(this.#api, this.#handle[0] ?? 0n, this.#shared);
  }

  close(): void {
    this.#shared?.release();
    this.#api.ReleaseSessionOptions(this.#settings);
  }

  #callFor(env: Pointer, model: string | Uint8Array): readonly [Call, readonly Argument[]] {
    const source = typeof model === 'string' ? [pathString(model)] : [model, model.byteLength];
    const shared = this.#shared ? [this.#shared.pointer] : [];
    const args = [env, ...source, this.#settings, ...shared, this.#handle];
    const { CreateSession, CreateSessionWithPrepackedWeightsContainer } = this.#api;
    const { CreateSessionFromArray, CreateSessionFromArrayWithPrepackedWeightsContainer } = this.#api;
    if (typeof model === 'string') {
      return [this.#shared ? CreateSessionWithPrepackedWeightsContainer : CreateSession, args];
    }
    return [this.#shared ? CreateSessionFromArrayWithPrepackedWeightsContainer : CreateSessionFromArray, args];
  }
}

function applyOptions(api: Api, settings: Pointer, options: SessionOptions): void {
  api.check(api.DisablePerSessionThreads(settings));
  api.check(api.SetSessionGraphOptimizationLevel(settings, OPTIMIZATION_LEVELS[options.optimization ?? 'all']));
  if (options.profilePath !== undefined) api.check(api.EnableProfiling(settings, pathString(options.profilePath)));
  if (options.arena === false) api.check(api.DisableCpuMemArena(settings));
  if (options.optimizedModelPath !== undefined) {
    api.check(api.SetOptimizedModelFilePath(settings, pathString(options.optimizedModelPath)));
  }
  for (const [key, value] of Object.entries(options.config ?? {})) {
    api.check(api.AddSessionConfigEntry(settings, cString(key), cString(value)));
  }
}

class NativePrepackedWeights implements PrepackedWeights {
  readonly #api: Api;
  #pointer: Pointer | undefined;
  #users = 0;
  #closing = false;

  constructor(api: Api, pointer: Pointer) {
    this.#api = api;
    this.#pointer = pointer;
  }

  get pointer(): Pointer {
    if (this.#pointer === undefined || this.#closing) {
      throw new AppError('ENGINE_RUNTIME', 'the container of prepacked weights is closed');
    }
    return this.#pointer;
  }

  retain(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#closing) this.close();
  }

  close(): void {
    this.#closing = true;
    if (this.#users > 0 || this.#pointer === undefined) return;
    this.#api.ReleasePrepackedWeightsContainer(this.#pointer);
    this.#pointer = undefined;
  }
}

class NativeSession implements Session {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #api: Api;
  readonly #names: NameTable;
  readonly #prepackedWeights: NativePrepackedWeights | undefined;
  readonly #bound = new Set<NativeRun>();
  #handle: Pointer | undefined;

  constructor(api: Api, handle: Pointer, prepackedWeights: NativePrepackedWeights | undefined) {
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
    this.#names = new NameTable(api);
  }

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

  #bind(feeds: Tensors, into: Tensors, fresh: readonly string[]): NativeRun {
    if (this.#handle === undefined) throw new AppError('ENGINE_RUNTIME', 'the session is closed');
    checkInputs(this.inputs, feeds);
    checkOutputs(this.outputs, into, fresh);
    const bindTo = ([name, value]: [string, Tensor | undefined]): BoundValue => ({
      name,
      value,
      nameAddress: this.#names.address(name),
    });
    const inputs = Object.entries(feeds).map(bindTo);
    const outputs = [...Object.entries(into), ...fresh.map((name): [string, undefined] => [name, undefined])].map(
      bindTo,
    );
    const bound = new NativeRun(this.#api, this.#handle, inputs, outputs, () => this.#bound.delete(bound));
    this.#bound.add(bound);
    return bound;
  }
}

interface BoundValue {
  readonly name: string;
  readonly nameAddress: Pointer;
  /** The memory to use; where absent, ONNX Runtime allocates (outputs only). */
  readonly value: Tensor | undefined;
}

/** A run with its pointer arrays built once. */
class NativeRun implements BoundRun {
  readonly #api: Api;
  readonly #session: Pointer;
  /** Everything the native side points into, kept from the garbage collector with the run. */
  readonly #inputs: readonly BoundValue[];
  readonly #outputs: readonly BoundValue[];
  readonly #inputNames: BigUint64Array;
  readonly #inputValues: BigUint64Array;
  readonly #outputNames: BigUint64Array;
  readonly #outputValues: BigUint64Array;
  readonly #onClose: () => void;
  #closed = false;

  constructor(
    api: Api,
    session: Pointer,
    inputs: readonly BoundValue[],
    outputs: readonly BoundValue[],
    onClose: () => void,
  ) {
    this.#api = api;
    this.#session = session;
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.#inputNames = BigUint64Array.from(inputs, (input) => input.nameAddress);
    this.#outputNames = BigUint64Array.from(outputs, (entry) => entry.nameAddress);
    this.#inputValues = new BigUint64Array(inputs.length);
    this.#outputValues = new BigUint64Array(outputs.length);
    this.#onClose = onClose;
    try {
      wrapAll(api, this.#inputs, this.#inputValues);
      wrapAll(api, this.#outputs, this.#outputValues);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

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

  /** Copies an output that ONNX Runtime allocated. */
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
  }
}

/** The C strings of a session's names, made when first used. */
class NameTable {
  readonly #api: Api;
  readonly #strings = new Map<string, { readonly bytes: Buffer; readonly address: Pointer }>();

  constructor(api: Api) {
    this.#api = api;
  }

  address(name: string): Pointer {
    let entry = this.#strings.get(name);
    if (entry === undefined) {
      const bytes = cString(name);
      entry = { bytes, address: this.#api.addressOf(bytes) };
      this.#strings.set(name, entry);
    }
    return entry.address;
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
    const name = api.readString(namePointer);
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
    return (symbol ? api.readString(symbol) : '') || '?';
  });
  return { dtype, dims };
}

const EMPTY = new Uint8Array(64);

const DTYPE_OF_CODE = new Map((Object.keys(DTYPES) as Dtype[]).map((dtype) => [DTYPES[dtype].code as number, dtype]));

const OPTIMIZATION_LEVELS = { none: 0, basic: 1, extended: 2, all: 99 } as const;

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

/** A path as ONNX Runtime takes it: UTF-16 on Windows, UTF-8 elsewhere. */
function pathString(path: string): Buffer {
  return process.platform === 'win32' ? Buffer.from(`${path}\0`, 'utf16le') : cString(path);
}
