import { AppError } from '../errors.js';

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

/** Throws `ENGINE_RUNTIME` unless `feeds` are the inputs of a graph, all of them, in its element types and shapes. */
export function checkInputs(infos: readonly ValueInfo[], feeds: Tensors): void {
  const missing = infos.filter((info) => !(info.name in feeds)).map((info) => info.name);
  if (missing.length > 0) throw new AppError('ENGINE_RUNTIME', `missing graph inputs: ${missing.join(', ')}`);
  for (const [name, value] of Object.entries(feeds)) checkValue(infos, 'input', name, value);
}

/** Throws `ENGINE_RUNTIME` unless the graph has outputs of these names, element types and shapes. */
export function checkOutputs(infos: readonly ValueInfo[], into: Tensors, names: readonly string[]): void {
  for (const [name, value] of Object.entries(into)) checkValue(infos, 'output', name, value);
  for (const name of names) findInfo(infos, 'output', name);
}

function checkValue(infos: readonly ValueInfo[], kind: string, name: string, value: Tensor): void {
  const info = findInfo(infos, kind, name);
  const fits =
    info.dims.length === value.dims.length &&
    info.dims.every((dim, axis) => typeof dim === 'string' || dim === value.dims[axis]);
  if (value.dtype === info.dtype && fits) return;
  throw new AppError(
    'ENGINE_RUNTIME',
    `"${name}" is ${value.dtype} [${value.dims.join(', ')}], the graph has ${info.dtype} [${info.dims.join(', ')}]`,
  );
}

function findInfo(infos: readonly ValueInfo[], kind: string, name: string): ValueInfo {
  const info = infos.find((candidate) => candidate.name === name);
  if (info !== undefined) return info;
  const known = infos.map((candidate) => candidate.name).join(', ');
  throw new AppError('ENGINE_RUNTIME', `the graph has no ${kind} "${name}"; it has ${known}`);
}

function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Numbers of the element types in the standard (`TensorProto.DataType`), and their arrays. */
export const DTYPES = {
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
