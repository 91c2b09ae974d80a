import type { TensorDtype } from './checkpoint.js';
import type {
  PickleArrayType,
  PickleGlobal,
  PickleKey,
  PickleRecord,
  PickleStorage,
  PickleTensor,
  PickleValue,
} from './pickle-values.js';

/**
 * Refuses a pickle from inside one of the functions below: `unsafe` where it asks for something to be run, `corrupt`
 * where a known function is called with arguments it cannot have.
 */
export interface PickleRefusal {
  unsafe(what: string): never;
  corrupt(what: string): never;
  unsupported(what: string): never;
}

type Build = (args: readonly PickleValue[], refuse: PickleRefusal) => PickleValue;

const MAX_DIMENSIONS = 16;

/** The storage classes of torch and what their elements are. */
const STORAGES: ReadonlyMap<string, TensorDtype> = new Map([
  ['torch.DoubleStorage', 'F64'],
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
  ['torch.storage.UntypedStorage', 'U8'],
  ['torch.UntypedStorage', 'U8'],
]);

const STORAGES_UNSUPPORTED: ReadonlySet<string> = new Set([
  'torch.ComplexFloatStorage',
  'torch.ComplexDoubleStorage',
  'torch.ComplexHalfStorage',
  'torch.QInt8Storage',
  'torch.QUInt8Storage',
  'torch.QInt32Storage',
  'torch.QUInt4x2Storage',
  'torch.QUInt2x4Storage',
  'torch.storage.TypedStorage',
  'torch.storage._TypedStorage',
]);

/** Classes kept as inert records of their fields; they take no arguments. */
const RECORDS: ReadonlySet<string> = new Set(['utils.HParams', 'GPT_SoVITS.utils.HParams', 'argparse.Namespace']);

const PATH_SEPARATORS: ReadonlyMap<string, string> = new Map(
  ['pathlib', 'pathlib._local'].flatMap((module) => [
    [`${module}.PosixPath`, '/'],
    [`${module}.PurePosixPath`, '/'],
    [`${module}.WindowsPath`, '\\'],
    [`${module}.PureWindowsPath`, '\\'],
  ]),
);

const TORCH_DTYPES: ReadonlySet<string> = new Set(
  ['float64', 'float32', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool'].map(
    (name) => `torch.${name}`,
  ),
);

/** Functions and classes that a pickle may call; each only arranges its arguments into data. */
const CALLABLE: ReadonlyMap<string, Build> = new Map<string, Build>([
  ['collections.OrderedDict', buildOrderedDict],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_parameter', rebuildParameter],
  ['torch._utils._rebuild_parameter_with_state', rebuildParameter],
  ['torch.Size', buildTuple],
  ['torch.device', buildDevice],
  ...[...PATH_SEPARATORS].map(([name, separator]): [string, Build] => [name, buildPath(separator)]),
  ...[...RECORDS].map((name): [string, Build] => [name, buildRecord(name)]),
  ...['builtins', '__builtin__'].flatMap((module): [string, Build][] => [
    [`${module}.set`, buildSet],
    [`${module}.frozenset`, buildSet],
    [`${module}.bytearray`, buildByteArray],
  ]),
  ['_codecs.encode', encodeLatin1],
  ['numpy.dtype', buildArrayType],
  ['numpy.core.multiarray.scalar', buildScalar],
  ['numpy._core.multiarray.scalar', buildScalar],
]);

/** Looks a global up in the allow-list; null if it isn't there. `module` and `name` are compared as they stand. */
export function findPickleGlobal(module: string, name: string): PickleValue | 'unsupported' | null {
  const full = `${module}.${name}`;
  // A dotted name would reach attributes of a class; none of the allowed ones needs it.
  if (name.includes('.')) return null;
  if (STORAGES_UNSUPPORTED.has(full)) return 'unsupported';
  if (TORCH_DTYPES.has(full)) return full;
  if (CALLABLE.has(full) || STORAGES.has(full)) return { kind: 'global', name: full };
  return null;
}

/** Calls an allowed global: builds the data that the arguments describe. */
export function callPickleGlobal(
  target: PickleGlobal,
  args: readonly PickleValue[],
  refuse: PickleRefusal,
): PickleValue {
  const build = CALLABLE.get(target.name);
  if (build === undefined) return refuse.unsafe(`it calls ${target.name}, which may only be named`);
  return build(args, refuse);
}

/**
 * Resolves torch's persistent id `("storage", class, key, device, elements[, view])`; anything else is refused, among
 * it `("module", …)`, by which old torch shipped source code.
 */
export function resolvePersistentId(id: PickleValue, refuse: PickleRefusal): PickleStorage {
  if (!isKind(id, 'tuple')) return refuse.unsafe('it refers to an external object that is not a torch storage');
  const [tag, type, key, device, elements, view] = id.items;
  if (tag !== 'storage') {
    return refuse.unsafe(`it refers to an external object of kind ${shown(tag)} instead of "storage"`);
  }
  const dtype = isKind(type, 'global') ? STORAGES.get(type.name) : undefined;
  if (dtype === undefined) return refuse.corrupt('a storage has no known element type');
  if (typeof key !== 'string' || typeof device !== 'string' || id.items.length > 6) {
    return refuse.corrupt('a storage is described wrongly');
  }
  const count = size(elements, 'the length of a storage', refuse);
  const storage = { kind: 'storage', key, dtype, fileElements: count } as const;
  if (view === undefined || view === null) return { ...storage, firstElement: 0, elements: count };
  if (!isKind(view, 'tuple') || view.items.length !== 3)
    return refuse.corrupt('a view of a storage is described wrongly');
  const firstElement = size(view.items[1], 'the offset of a storage view', refuse);
  const viewElements = size(view.items[2], 'the length of a storage view', refuse);
  if (firstElement + viewElements > count) return refuse.corrupt('a view reaches beyond its storage');
  return { ...storage, firstElement, elements: viewElements };
}

function rebuildTensor(args: readonly PickleValue[], refuse: PickleRefusal): PickleTensor {
  const [storage, offset, shape, stride] = args;
  if (!isKind(storage, 'storage') || args.length < 4 || args.length > 7) {
    return refuse.corrupt('a tensor is built from something that is not a storage');
  }
  if (!isKind(shape, 'tuple') || !isKind(stride, 'tuple') || shape.items.length !== stride.items.length) {
    return refuse.corrupt('a tensor has no proper shape');
  }
  if (shape.items.length > MAX_DIMENSIONS) {
    return refuse.corrupt(`a tensor has ${shape.items.length} dimensions, expected at most ${MAX_DIMENSIONS}`);
  }
  return {
    kind: 'tensor',
    storage,
    offset: size(offset, 'the offset of a tensor', refuse),
    shape: shape.items.map((item) => size(item, 'the shape of a tensor', refuse)),
    stride: stride.items.map((item) => size(item, 'the stride of a tensor', refuse)),
  };
}

function rebuildParameter(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const [tensor] = args;
  if (!isKind(tensor, 'tensor')) return refuse.corrupt('a parameter is built from something that is not a tensor');
  return tensor;
}

function buildOrderedDict(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const items = new Map<PickleKey, PickleValue>();
  if (args.length === 0) return { kind: 'dict', items };
  // Python 2 wrote OrderedDict([[key, value], …]).
  const [pairs] = args;
  if (args.length !== 1 || !isKind(pairs, 'list')) return refuse.corrupt('an OrderedDict is built wrongly');
  for (const pair of pairs.items) {
    if (!(isKind(pair, 'list') || isKind(pair, 'tuple')) || pair.items.length !== 2) {
      return refuse.corrupt('an OrderedDict is built wrongly');
    }
    items.set(pickleKey(pair.items[0], refuse), pair.items[1] ?? null);
  }
  return { kind: 'dict', items };
}

/** A value that may be a dictionary key here: a plain scalar that isn't JavaScript's prototype accessor. */
export function pickleKey(value: PickleValue | undefined, refuse: PickleRefusal): PickleKey {
  if (value === null || typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return value;
  }
  if (typeof value !== 'string') {
    return refuse.corrupt('a dictionary key is not a string, a number, a boolean or None');
  }
  if (value === '__proto__') return refuse.unsafe('it sets a key called "__proto__"');
  return value;
}

function buildRecord(name: string): Build {
  return (args, refuse): PickleRecord => {
    if (args.length > 0) return refuse.corrupt(`a ${name} is built with arguments`);
    return { kind: 'record', className: name, fields: new Map() };
  };
}

function buildTuple(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const [items] = args;
  if (args.length === 0) return { kind: 'tuple', items: [] };
  if (args.length !== 1 || !(isKind(items, 'tuple') || isKind(items, 'list'))) {
    return refuse.corrupt('a torch.Size is built wrongly');
  }
  return { kind: 'tuple', items: items.items };
}

function buildDevice(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const [type, index] = args;
  if (typeof type !== 'string' || args.length > 2) return refuse.corrupt('a torch.device is built wrongly');
  return typeof index === 'number' ? `${type}:${index}` : type;
}

function buildPath(separator: string): Build {
  return (args, refuse) => {
    const parts = args.filter((part): part is string => typeof part === 'string');
    if (parts.length !== args.length) return refuse.corrupt('a path is built from something that is not text');
    // The first part of an absolute path ends in its own separator: ("/", "a", "b").
    return parts.reduce(
      (path, part) => (path === '' || path.endsWith(separator) ? path + part : path + separator + part),
      '',
    );
  };
}

function buildSet(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const [items] = args;
  if (args.length === 0) return { kind: 'set', items: [] };
  if (args.length !== 1 || !(isKind(items, 'list') || isKind(items, 'tuple'))) {
    return refuse.corrupt('a set is built wrongly');
  }
  return { kind: 'set', items: items.items.map((item) => pickleKey(item, refuse)) };
}

function buildByteArray(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const [content] = args;
  if (args.length === 0) return { kind: 'bytes', bytes: new Uint8Array(0) };
  // bytearray(n) would allocate n zeros; pickles hold the content itself.
  if (isKind(content, 'bytes') && args.length === 1) return content;
  if (typeof content === 'string') return encodeLatin1(args, refuse);
  return refuse.corrupt('a bytearray is built wrongly');
}

/** Protocol 2 writes bytes as `_codecs.encode(text, "latin1")`; no other codec is run. */
function encodeLatin1(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const [text, encoding] = args;
  const latin1 = encoding === 'latin1' || encoding === 'latin-1';
  if (typeof text !== 'string' || !latin1 || args.length !== 2) {
    return refuse.unsafe('it calls _codecs.encode for something else than bytes as latin1');
  }
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 255) return refuse.corrupt('a byte string holds characters above 255');
  }
  return { kind: 'bytes', bytes: Buffer.from(text, 'latin1') };
}

const ARRAY_TYPES: ReadonlySet<string> = new Set([
  'b1',
  'i1',
  'u1',
  'i2',
  'u2',
  'i4',
  'u4',
  'i8',
  'u8',
  'f2',
  'f4',
  'f8',
]);

function buildArrayType(args: readonly PickleValue[], refuse: PickleRefusal): PickleArrayType {
  const [code] = args;
  if (typeof code !== 'string' || !ARRAY_TYPES.has(code)) {
    return refuse.unsupported(`it holds a numpy value of type ${shown(code)}; only numbers are read`);
  }
  return { kind: 'numpy-dtype', code, littleEndian: true };
}

function buildScalar(args: readonly PickleValue[], refuse: PickleRefusal): PickleValue {
  const [type, content] = args;
  if (!isKind(type, 'numpy-dtype') || !isKind(content, 'bytes') || args.length !== 2) {
    return refuse.corrupt('a numpy number is built wrongly');
  }
  const width = Number(type.code.slice(1));
  if (content.bytes.length !== width) return refuse.corrupt('a numpy number has the wrong size');
  const view = new DataView(content.bytes.buffer, content.bytes.byteOffset, width);
  const little = type.littleEndian;
  switch (type.code) {
    case 'b1':
      return view.getUint8(0) !== 0;
    case 'i1':
      return view.getInt8(0);
    case 'u1':
      return view.getUint8(0);
    case 'i2':
      return view.getInt16(0, little);
    case 'u2':
      return view.getUint16(0, little);
    case 'i4':
      return view.getInt32(0, little);
    case 'u4':
      return view.getUint32(0, little);
    case 'i8':
      return integer(view.getBigInt64(0, little));
    case 'u8':
      return integer(view.getBigUint64(0, little));
    case 'f4':
      return view.getFloat32(0, little);
    case 'f8':
      return view.getFloat64(0, little);
    default:
      return refuse.unsupported('it holds a half-precision numpy number outside a tensor');
  }
}

/** A Python integer as a number where that is exact. */
export function integer(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

export function isKind<K extends Extract<PickleValue, { kind: string }>['kind']>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { kind: K }> {
  return typeof value === 'object' && value !== null && value.kind === kind;
}

function size(value: PickleValue | undefined, what: string, refuse: PickleRefusal): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    return refuse.corrupt(`${what} is ${shown(value)}, expected a whole number from 0`);
  }
  return value;
}

/** A value for an error message, short and on one line. */
export function shown(value: PickleValue | undefined): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'object' && value !== null) return `a ${value.kind}`;
  return String(value).slice(0, 60);
}
