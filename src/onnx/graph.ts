import { bytesOf, ELEMENT_TYPES, type ElementType, elementCount, type TensorData, type Weight } from './tensor.js';

/** A tensor inside a graph: the result of a node, an input, a weight or a constant. */
export interface Value {
  readonly name: string;
}

export type AttributeValue =
  | number // float when named in FLOAT_ATTRIBUTES or wrapped by float(), else int
  | string
  | readonly number[]
  | { readonly float: number };

/** Marks a number as a float attribute (ONNX tells 1 and 1.0 apart). */
export function float(value: number): { readonly float: number } {
  return { float: value };
}

/** A dimension: a size, or the name of one that is known only when the graph runs. */
export type Dimension = number | string;

export interface GraphPort {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly Dimension[];
}

export interface GraphNode {
  readonly opType: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export interface GraphConstant {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A finished graph: plain data, ready for the writer. */
export interface GraphModel {
  readonly name: string;
  readonly inputs: readonly GraphPort[];
  readonly outputs: readonly GraphPort[];
  readonly nodes: readonly GraphNode[];
  readonly constants: readonly GraphConstant[];
  readonly weights: readonly Weight[];
  /** Facts that travel inside the file (ONNX `metadata_props`). */
  readonly metadata: Readonly<Record<string, string>>;
}

type Attributes = Record<string, AttributeValue | undefined>;

/**
 * Builds an ONNX graph by calling it like the maths: every operation takes and gives {@link Value}s; shapes are
 * row-major. Operators are those of the standard (opset 21) and, through {@link GraphBuilder.op} with a domain, of
 * ONNX Runtime (`com.microsoft`).
 */
export class GraphBuilder {
  readonly name: string;
  readonly #inputs: GraphPort[] = [];
  readonly #outputs: GraphPort[] = [];
  readonly #nodes: GraphNode[] = [];
  readonly #constants = new Map<string, GraphConstant>();
  readonly #constantsByContent = new Map<string, Value>();
  readonly #weights = new Map<string, Weight>();
  readonly #metadata: Record<string, string> = {};
  readonly #names = new Set<string>();
  #scope = '';
  #counter = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs `body` with `name/` in front of every node name made inside, so that profiles can be read. */
  scope<T>(name: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${name}/`;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  metadata(key: string, value: string): void {
    this.#metadata[key] = value;
  }

  input(name: string, type: ElementType, dims: readonly Dimension[]): Value {
    this.#claim(name);
    this.#inputs.push({ name, type, dims });
    return { name };
  }

  /** Declares `value` as the graph's output `name`. */
  output(name: string, value: Value, type: ElementType, dims: readonly Dimension[]): void {
    if (value.name !== name) {
      this.#claim(name);
      this.#nodes.push(node('Identity', '', `output/${name}`, [value.name], [name], {}));
    }
    this.#outputs.push({ name, type, dims });
  }

  /** A trained tensor, kept outside the graph file; the same name is the same weight, in this graph and in others. */
  weight(name: string, shape: readonly number[], load: () => TensorData, type: ElementType = 'float32'): Value {
    const known = this.#weights.get(name);
    if (known) {
      if (known.type !== type || known.shape.join() !== shape.join()) {
        throw new Error(`weight ${name} is defined twice: [${known.shape}] and [${shape}]`);
      }
      return { name };
    }
    this.#claim(name);
    this.#weights.set(name, { name, type, shape: [...shape], load });
    return { name };
  }

  /** A small tensor inside the graph file; equal constants are stored once. */
  constant(values: number | readonly number[] | TensorData, type: ElementType, shape?: readonly number[]): Value {
    const data = typeof values === 'number' ? toData([values], type) : isData(values) ? values : toData(values, type);
    const dims = shape ?? (typeof values === 'number' ? [] : [data.length]);
    if (elementCount(dims) !== data.length) throw new Error(`constant of ${data.length} values has shape [${dims}]`);
    const bytes = bytesOf(data);
    const key = `${type}:${dims.join()}:${Buffer.from(bytes).toString('latin1')}`;
    const known = this.#constantsByContent.get(key);
    if (known) return known;
    const name = this.#unique('const');
    this.#constants.set(name, { name, type, shape: [...dims], bytes: bytes.slice() });
    const value = { name };
    this.#constantsByContent.set(key, value);
    return value;
  }

  scalar(value: number): Value {
    return this.constant(value, 'float32');
  }

  ints(values: readonly number[]): Value {
    return this.constant(values, 'int64');
  }

  /** Any operator with one output. `null` stands for an omitted optional input. */
  op(opType: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, domain = ''): Value {
    return this.ops(opType, inputs, 1, attributes, domain)[0] as Value;
  }

  /** Any operator with several outputs. */
  ops(
    opType: string,
    inputs: readonly (Value | null)[],
    outputs: number,
    attributes: Attributes = {},
    domain = '',
  ): Value[] {
    const name = this.#unique(opType);
    const names = Array.from({ length: outputs }, (_, index) => (outputs === 1 ? name : `${name}:${index}`));
    for (const output of names) this.#names.add(output);
    this.#nodes.push(
      node(
        opType,
        domain,
        name,
        inputs.map((input) => input?.name ?? ''),
        names,
        attributes,
      ),
    );
    return names.map((output) => ({ name: output }));
  }

  // Arithmetic, with numpy broadcasting.
  add(a: Value, b: Value): Value {
    return this.op('Add', [a, b]);
  }
  sub(a: Value, b: Value): Value {
    return this.op('Sub', [a, b]);
  }
  mul(a: Value, b: Value): Value {
    return this.op('Mul', [a, b]);
  }
  div(a: Value, b: Value): Value {
    return this.op('Div', [a, b]);
  }
  pow(a: Value, b: Value): Value {
    return this.op('Pow', [a, b]);
  }
  matmul(a: Value, b: Value): Value {
    return this.op('MatMul', [a, b]);
  }
  neg(x: Value): Value {
    return this.op('Neg', [x]);
  }
  exp(x: Value): Value {
    return this.op('Exp', [x]);
  }
  sqrt(x: Value): Value {
    return this.op('Sqrt', [x]);
  }
  tanh(x: Value): Value {
    return this.op('Tanh', [x]);
  }
  sigmoid(x: Value): Value {
    return this.op('Sigmoid', [x]);
  }
  relu(x: Value): Value {
    return this.op('Relu', [x]);
  }
  gelu(x: Value): Value {
    return this.op('Gelu', [x]);
  }
  leakyRelu(x: Value, slope: number): Value {
    return this.op('LeakyRelu', [x], { alpha: float(slope) });
  }
  prelu(x: Value, slope: Value): Value {
    return this.op('PRelu', [x, slope]);
  }
  clip(x: Value, low: number, high: number): Value {
    return this.op('Clip', [x, this.scalar(low), this.scalar(high)]);
  }
  softmax(x: Value, axis = -1): Value {
    return this.op('Softmax', [x], { axis });
  }
  where(condition: Value, yes: Value, no: Value): Value {
    return this.op('Where', [condition, yes, no]);
  }
  cast(x: Value, type: ElementType): Value {
    return this.op('Cast', [x], { to: ELEMENT_TYPES[type].code });
  }

  // Shapes.
  shape(x: Value, start?: number, end?: number): Value {
    return this.op('Shape', [x], { start, end });
  }
  reshape(x: Value, dims: readonly number[] | Value): Value {
    return this.op('Reshape', [x, isValue(dims) ? dims : this.ints(dims)]);
  }
  transpose(x: Value, perm: readonly number[]): Value {
    return this.op('Transpose', [x], { perm });
  }
  concat(xs: readonly Value[], axis: number): Value {
    return this.op('Concat', xs, { axis });
  }
  split(x: Value, sizes: readonly number[], axis: number): Value[] {
    return this.ops('Split', [x, this.ints(sizes)], sizes.length, { axis });
  }
  slice(x: Value, axis: number, start: number | Value, end: number | Value, step = 1): Value {
    return this.op('Slice', [x, this.#index(start), this.#index(end), this.ints([axis]), this.ints([step])]);
  }
  gather(x: Value, indices: Value, axis = 0): Value {
    return this.op('Gather', [x, indices], { axis });
  }
  unsqueeze(x: Value, axes: readonly number[]): Value {
    return this.op('Unsqueeze', [x, this.ints(axes)]);
  }
  squeeze(x: Value, axes: readonly number[]): Value {
    return this.op('Squeeze', [x, this.ints(axes)]);
  }
  expand(x: Value, dims: Value): Value {
    return this.op('Expand', [x, dims]);
  }
  /** `pads`: all begins, then all ends, one per axis of `x`. */
  pad(x: Value, pads: readonly number[] | Value, mode: 'constant' | 'reflect' | 'edge' = 'constant'): Value {
    return this.op('Pad', [x, isValue(pads) ? pads : this.ints(pads)], { mode });
  }

  // Reductions; axes are kept unless said otherwise.
  reduceMean(x: Value, axes: readonly number[], keep = true): Value {
    return this.op('ReduceMean', [x, this.ints(axes)], { keepdims: keep ? 1 : 0 });
  }
  reduceSum(x: Value, axes: readonly number[], keep = true): Value {
    return this.op('ReduceSum', [x, this.ints(axes)], { keepdims: keep ? 1 : 0 });
  }
  argMin(x: Value, axis: number, keep = false): Value {
    return this.op('ArgMin', [x], { axis, keepdims: keep ? 1 : 0 });
  }
  argMax(x: Value, axis: number, keep = false): Value {
    return this.op('ArgMax', [x], { axis, keepdims: keep ? 1 : 0 });
  }

  /** x (B, …, in) · weight (in, out) + bias (out). */
  linear(x: Value, weight: Value, bias: Value | null): Value {
    const product = this.matmul(x, weight);
    return bias ? this.add(product, bias) : product;
  }

  /** Normalises the last axis. */
  layerNorm(x: Value, scale: Value, bias: Value, epsilon = 1e-5): Value {
    return this.op('LayerNormalization', [x, scale, bias], { axis: -1, epsilon: float(epsilon) });
  }

  /**
   * Normalises the last axis of x + y. ONNX Runtime makes one node of an `Add` before a norm, `SkipLayerNormalization`, which
   * takes three times as long as both for more than a few rows; it leaves a `Sum` alone.
   */
  sumNorm(x: Value, y: Value, scale: Value, bias: Value, epsilon = 1e-5): Value {
    return this.layerNorm(this.op('Sum', [x, y]), scale, bias, epsilon);
  }

  /** x (B, in, T), weight (out, in/groups, k) → (B, out, T′); `padding` on both sides or [begin, end]. */
  conv1d(x: Value, weight: Value, bias: Value | null, options: ConvOptions = {}): Value {
    const padding = options.padding ?? 0;
    return this.op('Conv', bias ? [x, weight, bias] : [x, weight], {
      strides: [options.stride ?? 1],
      dilations: [options.dilation ?? 1],
      group: options.groups ?? 1,
      pads: typeof padding === 'number' ? [padding, padding] : [...padding],
    });
  }

  /** x (B, in, T), weight (in, out/groups, k) → (B, out, (T − 1)·stride − 2·padding + k). */
  convTranspose1d(x: Value, weight: Value, bias: Value | null, options: { stride: number; padding: number }): Value {
    return this.op('ConvTranspose', bias ? [x, weight, bias] : [x, weight], {
      strides: [options.stride],
      pads: [options.padding, options.padding],
    });
  }

  build(): GraphModel {
    return {
      name: this.name,
      inputs: this.#inputs,
      outputs: this.#outputs,
      nodes: this.#nodes,
      constants: [...this.#constants.values()],
      weights: [...this.#weights.values()],
      metadata: this.#metadata,
    };
  }

  #index(value: number | Value): Value {
    return isValue(value) ? value : this.ints([value]);
  }

  #unique(stem: string): string {
    this.#counter += 1;
    const name = `${this.#scope}${stem}.${this.#counter}`;
    this.#claim(name);
    return name;
  }

  #claim(name: string): void {
    if (this.#names.has(name)) throw new Error(`graph ${this.name} has two tensors named ${name}`);
    this.#names.add(name);
  }
}

export interface ConvOptions {
  readonly stride?: number;
  readonly dilation?: number;
  readonly groups?: number;
  readonly padding?: number | readonly [number, number];
}

function node(
  opType: string,
  domain: string,
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes,
): GraphNode {
  let last = inputs.length;
  while (last > 0 && inputs[last - 1] === '') last -= 1;
  const given = Object.entries(attributes).filter((entry): entry is [string, AttributeValue] => entry[1] !== undefined);
  return { opType, domain, name, inputs: inputs.slice(0, last), outputs, attributes: Object.fromEntries(given) };
}

function isValue(value: unknown): value is Value {
  return typeof value === 'object' && value !== null && 'name' in value;
}

function isData(values: readonly number[] | TensorData): values is TensorData {
  return ArrayBuffer.isView(values);
}

function toData(values: readonly number[], type: ElementType): TensorData {
  switch (type) {
    case 'float32':
      return Float32Array.from(values);
    case 'int64':
      return BigInt64Array.from(values, BigInt);
    case 'int32':
      return Int32Array.from(values);
    case 'int8':
      return Int8Array.from(values);
    case 'bool':
    case 'uint8':
      return Uint8Array.from(values);
    case 'float16':
      throw new Error('a float16 constant is given as its bits in a Uint16Array');
  }
}
