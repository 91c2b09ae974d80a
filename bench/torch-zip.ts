import type { TensorDtype } from '../src/checkpoint/checkpoint.js';
import type { TensorElements } from '../src/checkpoint/safetensors-writer.js';
import { PickleWriter } from './pickle-writer.js';
import { type StoredZipMember, writeStoredZip } from './stored-zip.js';

/** A tensor whose elements are made when they are written. The same object at two places shares one storage. */
export class TorchTensor {
  constructor(
    readonly dtype: TensorDtype,
    readonly shape: readonly number[],
    readonly load: () => TensorElements,
  ) {}
}

/** An instance of upstream's `utils.HParams`, nested sections included. */
export class HParams {
  constructor(readonly fields: Readonly<Record<string, TorchValue>>) {}
}

/** What can be saved: a Map becomes an OrderedDict, an object a dict; whole numbers become int, others float. */
export type TorchValue =
  | null
  | boolean
  | number
  | string
  | TorchTensor
  | HParams
  | readonly TorchValue[]
  | ReadonlyMap<string, TorchValue>
  | { readonly [key: string]: TorchValue };

export interface TorchZipOptions {
  /** Folder that all members lie in: the file's base name, a temporary file's name, or `archive`. */
  readonly root?: string;
  /** Upstream's version tag in place of `PK`. */
  readonly tag?: string;
}

const STORAGE_CLASSES: Readonly<Record<TensorDtype, string>> = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  I16: 'ShortStorage',
  I8: 'CharStorage',
  U8: 'ByteStorage',
  BOOL: 'BoolStorage',
};

/** Saves `value` as `torch.save` does (zip, pickle protocol 2), holding one tensor at a time in memory. */
export function writeTorchZip(path: string, value: TorchValue, options: TorchZipOptions = {}): void {
  const { root = 'archive', tag = 'PK' } = options;
  const storages: TorchTensor[] = [];
  const pickle = new PickleWriter().protocol();
  save(pickle, value, storages);
  writeStoredZip(path, members(root, pickle.stop().bytes(), storages), tag);
}

function* members(root: string, pickle: Buffer, storages: readonly TorchTensor[]): Iterable<StoredZipMember> {
  const text = (name: string, content: string): StoredZipMember => ({
    name: `${root}/${name}`,
    parts: [Buffer.from(content)],
  });
  yield { name: `${root}/data.pkl`, parts: [pickle] };
  yield text('.format_version', '1');
  yield text('.storage_alignment', '64');
  yield text('byteorder', 'little');
  for (const [index, tensor] of storages.entries()) {
    yield { name: `${root}/data/${index}`, parts: elementBytes(tensor) };
  }
  yield text('version', '3\n');
  yield text('.data/serialization_id', '0000000000000000000000000000000000000000');
}

function* elementBytes(tensor: TorchTensor): Iterable<Uint8Array> {
  const elements = tensor.load();
  yield new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
}

function save(pickle: PickleWriter, value: TorchValue, storages: TorchTensor[]): void {
  if (value === null) pickle.none();
  else if (typeof value === 'boolean') pickle.boolean(value);
  else if (typeof value === 'string') pickle.text(value);
  else if (typeof value === 'number') Number.isSafeInteger(value) ? pickle.integer(value) : pickle.float(value);
  else if (value instanceof TorchTensor) saveTensor(pickle, value, storages);
  else if (value instanceof HParams) {
    pickle.global('utils', 'HParams').raw(')', 0x81);
    pickle.raw('}').mark();
    for (const [key, item] of Object.entries(value.fields)) save(pickle.text(key), item, storages);
    pickle.raw('u', 'b');
  } else if (Array.isArray(value)) {
    pickle.raw(']').mark();
    for (const item of value) save(pickle, item, storages);
    pickle.raw('e');
  } else if (value instanceof Map) {
    pickle.global('collections', 'OrderedDict').raw(')').reduce().mark();
    for (const [key, item] of value) save(pickle.text(key), item, storages);
    pickle.raw('u');
  } else {
    pickle.raw('}').mark();
    for (const [key, item] of Object.entries(value)) save(pickle.text(key), item as TorchValue, storages);
    pickle.raw('u');
  }
}

function saveTensor(pickle: PickleWriter, tensor: TorchTensor, storages: TorchTensor[]): void {
  let index = storages.indexOf(tensor);
  if (index < 0) index = storages.push(tensor) - 1;
  pickle.tensor({
    storageClass: STORAGE_CLASSES[tensor.dtype],
    key: String(index),
    elements: tensor.shape.reduce((product, size) => product * size, 1),
    shape: tensor.shape,
  });
}
