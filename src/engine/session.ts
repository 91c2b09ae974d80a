import type { Tensor, Tensors, ValueInfo } from './tensor.js';

export interface SessionOptions {
  /** How far ONNX Runtime rewrites the graph at load; `all` by default. */
  readonly optimization?: 'none' | 'basic' | 'extended' | 'all';
  /** Where to write the rewritten graph, to be loaded with `none` the next time. */
  readonly optimizedModelPath?: string;
  /** Where to write how long each node took, as a Chrome trace; a time stamp and `.json` are added. For benchmarks. */
  readonly profilePath?: string;
  /** Session configuration entries, e.g. `session.disable_prepacking`. */
  readonly config?: Readonly<Record<string, string>>;
  /** Weights in kernel layout, shared by every session created with the same container. */
  readonly prepackedWeights?: PrepackedWeights;
  /** Keep freed activations for the next run (default). Without, every run allocates and frees its own. */
  readonly arena?: boolean;
}

/** Weights in the layout that kernels want, kept once for all sessions made with it. */
export interface PrepackedWeights {
  /** Frees the weights as soon as the last session that uses them is closed. */
  close(): void;
}

/** A loaded graph. Runs are synchronous and belong to the thread that made the session. */
export interface Session {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * Runs the graph once. Outputs in `into` are written in place (an output may be the memory of an input); the others
   * are returned in fresh arrays. `only` names the outputs to compute besides those in `into`; all by default.
   */
  run(feeds: Tensors, into?: Tensors, only?: readonly string[]): Record<string, Tensor>;
  /**
   * Prepares a run that is repeated on the same memory: inputs are read from, and outputs written to, the arrays given
   * here, at one FFI call a run. `inputs` must be complete; outputs not named are not computed.
   */
  prepare(tensors: { readonly inputs: Tensors; readonly outputs: Tensors }): BoundRun;
  close(): void;
}

/** A run on memory it was prepared with. */
export interface BoundRun {
  /** Throws `ENGINE_RUNTIME` with ONNX Runtime's message. */
  run(): void;
  close(): void;
}

/** One of the two ways to the library: its C API, or the official binding. */
export interface Binding {
  readonly name: 'c-api' | 'official';
  createSession(model: string | Uint8Array, options: SessionOptions): Session;
  /** The same on another thread, where the binding can. */
  openSession(model: string | Uint8Array, options: SessionOptions): Promise<Session>;
  createPrepackedWeights(): PrepackedWeights;
  close(): void;
}
