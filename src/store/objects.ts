/** Bytes under names: what is too large for SQL. Everything that goes in is encrypted before (vault/). */
export interface ObjectStore {
  /** Written whole or not at all; an object of this name is replaced. Throws `STORE_UNAVAILABLE`. */
  put(name: string, source: AsyncIterable<Uint8Array>, options?: ObjectOptions): Promise<void>;
  /**
   * The bytes from `start` to before `end`, or to the object's end where it comes first. Throws `OBJECT_NOT_FOUND`,
   * `STORE_UNAVAILABLE`.
   */
  get(name: string, range?: ObjectRange, options?: ObjectOptions): Promise<AsyncIterable<Uint8Array>>;
  /** Harmless when there is none. */
  remove(name: string, options?: ObjectOptions): Promise<void>;
  /** Names that begin with `prefix`, in no order. */
  list(prefix: string, options?: ObjectOptions): AsyncIterable<string>;
}

export interface ObjectOptions {
  readonly signal?: AbortSignal;
}

export interface ObjectRange {
  readonly start: number;
  readonly end: number;
}

/** Plain on every file system and in every bucket: no `..`, nothing hidden, no case that two names share. */
export const OBJECT_NAME = /^[a-z0-9-]+(\/[a-z0-9-]+)*(\.[a-z0-9]+)?$/;
