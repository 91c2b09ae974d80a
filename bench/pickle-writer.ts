/** Assembles pickles of protocol 2 (and single instructions of any other, for the tests) without a memo. */
export class PickleWriter {
  readonly #parts: Buffer[] = [];

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  raw(...parts: readonly (number | string | Uint8Array)[]): this {
    for (const part of parts) {
      if (typeof part === 'number') this.#parts.push(Buffer.from([part]));
      else this.#parts.push(typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part));
    }
    return this;
  }

  protocol(version = 2): this {
    return this.raw(0x80, version);
  }

  stop(): this {
    return this.raw('.');
  }

  mark(): this {
    return this.raw('(');
  }

  none(): this {
    return this.raw('N');
  }

  boolean(value: boolean): this {
    return this.raw(value ? 0x88 : 0x89);
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return this.raw('X', length, bytes);
  }

  /** An integer in the shortest of BININT1, BININT2, BININT and LONG1. */
  integer(value: number): this {
    if (value >= 0 && value < 256) return this.raw('K', value);
    if (value >= 0 && value < 65_536) return this.raw('M', value & 0xff, value >> 8);
    const bytes = Buffer.alloc(8);
    if (value === (value | 0)) {
      bytes.writeInt32LE(value);
      return this.raw('J', bytes.subarray(0, 4));
    }
    bytes.writeBigInt64LE(BigInt(value));
    return this.raw(0x8a, 8, bytes);
  }

  float(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return this.raw('G', bytes);
  }

  global(module: string, name: string): this {
    return this.raw('c', Buffer.from(`${module}\n${name}\n`));
  }

  /** A tuple of whatever `write` pushes. */
  tuple(write: () => void): this {
    this.mark();
    write();
    return this.raw('t');
  }

  integers(values: readonly number[]): this {
    return this.tuple(() => values.forEach((value) => void this.integer(value)));
  }

  reduce(): this {
    return this.raw('R');
  }

  /** `torch._utils._rebuild_tensor_v2` over the storage `key`, with all its arguments. */
  tensor(options: {
    readonly storageClass: string;
    readonly key: string;
    readonly elements: number;
    readonly shape: readonly number[];
    readonly stride?: readonly number[];
    readonly offset?: number;
  }): this {
    const { storageClass, key, elements, shape, stride = rowMajorStride(shape), offset = 0 } = options;
    this.global('torch._utils', '_rebuild_tensor_v2');
    this.tuple(() => {
      this.tuple(() => {
        this.text('storage').global('torch', storageClass).text(key).text('cpu').integer(elements);
      });
      this.raw('Q').integer(offset).integers(shape).integers(stride).boolean(false);
      this.global('collections', 'OrderedDict').raw(')').reduce();
    });
    return this.reduce();
  }
}

export function rowMajorStride(shape: readonly number[]): number[] {
  const stride: number[] = [];
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    stride[axis] = step;
    step *= shape[axis] ?? 1;
  }
  return stride;
}
