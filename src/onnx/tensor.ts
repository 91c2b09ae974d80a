/** Element types of ONNX tensors that our graphs use, with their number in the standard (`TensorProto.DataType`). */
export const ELEMENT_TYPES = {
  float32: { code: 1, sizeBytes: 4, safetensors: 'F32' },
  uint8: { code: 2, sizeBytes: 1, safetensors: 'U8' },
  int8: { code: 3, sizeBytes: 1, safetensors: 'I8' },
  int32: { code: 6, sizeBytes: 4, safetensors: 'I32' },
  int64: { code: 7, sizeBytes: 8, safetensors: 'I64' },
  bool: { code: 9, sizeBytes: 1, safetensors: 'BOOL' },
  float16: { code: 10, sizeBytes: 2, safetensors: 'F16' },
} as const;

export type ElementType = keyof typeof ELEMENT_TYPES;

export type TensorData = Float32Array | Uint8Array | Int8Array | Int32Array | BigInt64Array | Uint16Array;

/** A weight whose values are produced when the weights file is written, so that a large model is never held whole. */
export interface Weight {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Row-major values; called once per file written. */
  readonly load: () => TensorData;
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The values' bytes, little-endian, without copying. */
export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
