import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import type { LibraryHandle } from 'koffi';
import { AppError } from '../errors.js';
import { GraphBuilder, type GraphModel } from '../onnx/graph.js';
import { encodeModel } from '../onnx/model-file.js';
import type { Binding, PrepackedWeights, Session, SessionOptions } from './session.js';
import {
  API_VERSION,
  type Api,
  type Argument,
  type Call,
  GET_ERROR_MESSAGE_SLOT,
  nativeBinding,
  type Pointer,
  SLOTS,
} from './session-native.js';
import { type OfficialLibrary, officialBinding } from './session-official.js';
import { output, tensor } from './tensor.js';

// What callers of a session need besides it.
export type { BoundRun, PrepackedWeights, Session, SessionOptions } from './session.js';
export { type Dtype, output, type Tensor, type Tensors, tensor, type ValueInfo, zeros } from './tensor.js';

/**
 * ONNX Runtime through its C API, called by FFI on the library that the official package ships: outputs are written
 * where the caller says, inputs are never copied, and a call costs about 2 µs. Where the FFI cannot be loaded, the
 * official binding does the same, slower. The only file that names either package.
 */
export const ONNXRUNTIME_VERSION = '1.30.0';

export interface RuntimeOptions {
  /** Threads that all sessions of the process share; the number of processors by default. */
  readonly threads?: number;
  /** Whether idle workers spin for a moment before they sleep (default): 30 % less latency for some idle load. */
  readonly spin?: boolean;
  /** What the library prints itself; `fatal` by default, since errors are thrown. */
  readonly logLevel?: 'verbose' | 'info' | 'warning' | 'error' | 'fatal';
  /** Which way to take to the library; by default its C API, and the official binding where that cannot be loaded. */
  readonly binding?: Binding['name'];
}

let current: Runtime | undefined;

/**
 * The runtime of this thread, opened at the first call. ONNX Runtime has one environment a process: the threads of
 * the pool are those of the first opening anywhere in the process. Throws `ENGINE_RUNTIME` where the library cannot be
 * loaded or is not the pinned version.
 */
export function openRuntime(options: RuntimeOptions = {}): Runtime {
  current ??= new Runtime(options);
  return current;
}

const PAGE_BYTES = 4096;

/** ONNX Runtime with its one thread pool; makes sessions. */
export class Runtime {
  readonly version = ONNXRUNTIME_VERSION;
  readonly threads: number;
  readonly #binding: Binding;

  /** @internal use {@link openRuntime} */
  constructor(options: RuntimeOptions) {
    this.threads = options.threads ?? availableParallelism();
    const environment = {
      threads: this.threads,
      spin: options.spin ?? true,
      logLevel: LOG_LEVELS[options.logLevel ?? 'fatal'],
    };
    const ffi = options.binding === 'official' ? undefined : loadFfi(options.binding === 'c-api');
    this.#binding = ffi
      ? nativeBinding(bind(ffi), environment)
      : officialBinding(loadOfficial(environment.logLevel), environment);
  }

  /** How the library is called: `c-api`, or `official` where the FFI could not be loaded (5–8 times slower a token). */
  get binding(): Binding['name'] {
    return this.#binding.name;
  }

  /** Loads a graph from a file (external data beside it) or from bytes; throws `ENGINE_RUNTIME` with the reason. */
  createSession(model: string | Uint8Array, options: SessionOptions = {}): Session {
    return this.#binding.createSession(model, options);
  }

  /**
   * Like {@link createSession}, while this thread does other things: the graph is read, rewritten and packed by a thread of
   * Node's pool (with the official binding by this one after all).
   */
  openSession(model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> {
    return this.#binding.openSession(model, options);
  }

  /**
   * A container through which sessions over the same weights share their kernel layout; outlives its sessions. ONNX
   * Runtime 1.30 shares only weights that are given as memory or were saved prepacked, not those of a model file.
   */
  createPrepackedWeights(): PrepackedWeights {
    return this.#binding.createPrepackedWeights();
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

  /**
   * Asks Linux to put memory that is read through again and again on large pages (2 MB): a step of the network, which reads
   * all its weights, takes a fifth less time. Without effect elsewhere, and where the system does not allow it.
   */
  adviseLargePages(bytes: Uint8Array): void {
    if (process.platform !== 'linux') return;
    try {
      const LARGE_PAGES = 14; // MADV_HUGEPAGE
      const madvise = loadFfi(true)?.load(null).func('int madvise(void *, size_t, int)');
      // It takes whole pages: those inside.
      const skipped = (PAGE_BYTES - (bytes.byteOffset % PAGE_BYTES)) % PAGE_BYTES;
      const whole = Math.floor((bytes.length - skipped) / PAGE_BYTES) * PAGE_BYTES;
      if (whole > 0) madvise?.(bytes.subarray(skipped, skipped + whole), whole, LARGE_PAGES);
    } catch {
      // Only slower.
    }
  }

  /** Tells the environment that this thread has done with it; sessions must be closed before. */
  close(): void {
    if (current !== this) return;
    current = undefined;
    this.#binding.close();
  }
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

const LOG_LEVELS = { verbose: 0, info: 1, warning: 2, error: 3, fatal: 4 } as const;

const require = createRequire(import.meta.url);

type Ffi = typeof import('koffi').default;

/** The FFI, or nothing where its native part is missing (installed without optional packages) and not insisted upon. */
function loadFfi(required: boolean): Ffi | undefined {
  try {
    return require('koffi') as Ffi;
  } catch (cause) {
    if (!required) return undefined;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('ENGINE_RUNTIME', `cannot load koffi: ${reason}; reinstall with "npm ci" on this machine`, {
      cause,
    });
  }
}

function loadOfficial(logLevel: number): OfficialLibrary {
  try {
    const { Tensor } = require('onnxruntime-node') as Pick<OfficialLibrary, 'Tensor'>;
    const { binding } = require('onnxruntime-node/dist/binding.js') as {
      binding: OfficialLibrary & { initOrtOnce(logLevel: number, tensor: unknown, isMainThread: boolean): void };
    };
    binding.initOrtOnce(logLevel, Tensor, isMainThread);
    return { InferenceSession: binding.InferenceSession, Tensor };
  } catch (cause) {
    throw cannotLoad(libraryPath(), cause);
  }
}

function bind(koffi: Ffi): Api {
  const path = libraryPath();
  const table = loadTable(koffi, path);
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
      return [name, withLater(koffi.decode(BigInt(at(slot)), prototype) as NativeFunction)];
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
  return {
    ...functions,
    cpu,
    check,
    create,
    memcpy,
    addressOf: (bytes) => koffi.address(bytes),
    readString: (address) => koffi.decode.string(address),
  };
}

interface NativeFunction {
  (...args: readonly Argument[]): Pointer | null;
  async(...args: readonly unknown[]): void;
}

function withLater(native: NativeFunction): Call {
  const later = (...args: readonly Argument[]): Promise<Pointer | null> =>
    new Promise((resolve, reject) => {
      native.async(...args, (error: Error | null, result: Pointer | null) => (error ? reject(error) : resolve(result)));
    });
  return Object.assign(native, { later });
}

/** Loads the library, checks its version, and returns the address of its function table. */
function loadTable(koffi: Ffi, path: string): Pointer {
  let library: LibraryHandle;
  try {
    keepLoaded(koffi, path);
    library = koffi.load(path);
  } catch (cause) {
    throw cannotLoad(path, cause);
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

function cannotLoad(path: string, cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AppError(
    'ENGINE_RUNTIME',
    `cannot load ONNX Runtime from ${path}: ${reason}; reinstall with "npm ci" on this machine (glibc 2.28 or newer on Linux)`,
    { cause },
  );
}

/**
 * Takes a reference to the library that is never given back: should koffi drop its own when the last thread that used
 * it ends, the workers of ONNX Runtime's pool would run in unmapped code. (Linux keeps this library mapped anyway.)
 */
function keepLoaded(koffi: Ffi, path: string): void {
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
  const home = dirname(require.resolve('onnxruntime-node/package.json'));
  return join(home, 'bin', 'napi-v6', process.platform, process.arch, name);
}
