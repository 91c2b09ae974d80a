import type { TensorDtype } from './checkpoint.js';

/** What a pickle can build here: data of these kinds and nothing that acts. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleBytes
  | PickleList
  | PickleTuple
  | PickleSet
  | PickleDict
  | PickleRecord
  | PickleGlobal
  | PickleStorage
  | PickleTensor
  | PickleArrayType;

export interface PickleBytes {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

export interface PickleList {
  readonly kind: 'list';
  readonly items: PickleValue[];
}

export interface PickleTuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

export interface PickleSet {
  readonly kind: 'set';
  readonly items: PickleValue[];
}

export type PickleKey = null | boolean | number | bigint | string;

export interface PickleDict {
  readonly kind: 'dict';
  readonly items: Map<PickleKey, PickleValue>;
}

/** An instance of a configuration class, kept as its fields. */
export interface PickleRecord {
  readonly kind: 'record';
  readonly className: string;
  readonly fields: Map<PickleKey, PickleValue>;
}

/** A name of the allow-list, on its way to be called or to type a storage. */
export interface PickleGlobal {
  readonly kind: 'global';
  readonly name: string;
}

/** Raw elements in the file, shared by any number of tensors. */
export interface PickleStorage {
  readonly kind: 'storage';
  readonly key: string;
  readonly dtype: TensorDtype;
  /** Elements that the file holds for `key`. */
  readonly fileElements: number;
  /** The stretch of them meant here; all of them except in the oldest files, which have views of storages. */
  readonly firstElement: number;
  readonly elements: number;
}

export interface PickleTensor {
  readonly kind: 'tensor';
  readonly storage: PickleStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

/** A numpy dtype; its byte order arrives with BUILD. */
export interface PickleArrayType {
  readonly kind: 'numpy-dtype';
  readonly code: string;
  littleEndian: boolean;
}
