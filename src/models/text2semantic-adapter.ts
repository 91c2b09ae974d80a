import { type AdapterFile, rankOf, unfit } from './adapter-file.js';
import { ADAPTED_PRODUCTS, type Text2SemanticSettings } from './text2semantic.js';

export type AdaptedProduct = (typeof ADAPTED_PRODUCTS)[number];

/** A low-rank change of a text-to-semantic network: each named product adds (x · a) · b. */
export interface Text2SemanticAdapter {
  readonly rank: number;
  /** By `layer.product`: a (in, rank) and b (rank, out) in the compiled network's widths, the scale of alpha within b. */
  readonly changes: ReadonlyMap<string, { readonly a: Float32Array; readonly b: Float32Array }>;
  readonly sizeBytes: number;
}

/** Names of the changed modules in an adapter file. */
const MODULES: Record<AdaptedProduct, string> = {
  qkv: 'self_attn.in_proj',
  out: 'self_attn.out_proj',
  inner: 'linear1',
  outer: 'linear2',
};

/**
 * The change of a text-to-semantic network that an adapter file holds (see {@link readAdapterFile}): MODULE one of
 * `self_attn.in_proj`, `self_attn.out_proj`, `linear1`, `linear2`. A module that is absent is not changed; null where all are.
 *
 * @throws `CHECKPOINT_UNSUPPORTED` where a layer is not there, a tensor has another shape, the rank exceeds
 * {@link MAX_ADAPTER_RANK}, or a module has only one of its two.
 */
export function readText2SemanticAdapter(
  file: AdapterFile,
  settings: Text2SemanticSettings,
): Text2SemanticAdapter | null {
  if (file.text2semantic.size === 0) return null;
  const rank = rankOf(file, file.text2semantic);
  const scale = (file.alpha ?? rank) / rank;
  const changes = new Map<string, { a: Float32Array; b: Float32Array }>();
  let sizeBytes = 0;
  for (const [name, { A, B }] of file.text2semantic) {
    const at = name.indexOf('.');
    const layer = Number(name.slice(0, at));
    const product = ADAPTED_PRODUCTS.find((known) => MODULES[known] === name.slice(at + 1));
    if (!product || layer >= settings.layers) {
      const tensor = (A ?? B)?.name;
      throw unfit(file.path, `has a tensor "${tensor}" that names no layer of a network with ${settings.layers}`);
    }
    const key = `${layer}.${product}`;
    const [inputs, outputs] = sizesOf(product, settings);
    if (A?.shape.join() !== `${rank},${inputs}` || B?.shape.join() !== `${outputs},${rank}`) {
      const shapes = `[${A?.shape.join(', ') ?? 'absent'}] and [${B?.shape.join(', ') ?? 'absent'}]`;
      throw unfit(file.path, `has shapes ${shapes} in ${key}, expected [${rank}, ${inputs}] and [${outputs}, ${rank}]`);
    }
    const change = compiled(product, A.readFloat32(), B.readFloat32(), rank, scale, settings);
    sizeBytes += 4 * (change.a.length + change.b.length);
    changes.set(key, change);
  }
  return { rank, changes, sizeBytes };
}

/** Widths of a product in the compiled network, whose heads may be wider than the checkpoint's. */
export function adaptedWidths(
  product: AdaptedProduct,
  settings: Text2SemanticSettings,
): { readonly inputs: number; readonly outputs: number } {
  const [inputs, outputs] = sizesOf(product, settings);
  const own = settings.width / settings.heads;
  return {
    inputs: product === 'out' ? (inputs / own) * settings.headWidth : inputs,
    outputs: product === 'qkv' ? (outputs / own) * settings.headWidth : outputs,
  };
}

function sizesOf(product: AdaptedProduct, { width, feedForwardWidth }: Text2SemanticSettings): [number, number] {
  switch (product) {
    case 'qkv':
      return [width, 3 * width];
    case 'out':
      return [width, width];
    case 'inner':
      return [width, feedForwardWidth];
    case 'outer':
      return [feedForwardWidth, width];
  }
}

/** A (rank, in) and B (out, rank) turned to a (in, rank) and b (rank, out), at the compiled network's places. */
function compiled(
  product: AdaptedProduct,
  A: Float32Array,
  B: Float32Array,
  rank: number,
  scale: number,
  settings: Text2SemanticSettings,
): { a: Float32Array; b: Float32Array } {
  const { inputs, outputs } = adaptedWidths(product, settings);
  const own = settings.width / settings.heads;
  const place = (index: number, widened: boolean) =>
    widened ? Math.floor(index / own) * settings.headWidth + (index % own) : index;
  const a = new Float32Array(inputs * rank);
  const b = new Float32Array(rank * outputs);
  const [storedInputs, storedOutputs] = [A.length / rank, B.length / rank];
  for (let r = 0; r < rank; r++) {
    for (let index = 0; index < storedInputs; index++) {
      a[place(index, product === 'out') * rank + r] = A[r * storedInputs + index]!;
    }
    for (let index = 0; index < storedOutputs; index++) {
      b[r * outputs + place(index, product === 'qkv')] = scale * B[index * rank + r]!;
    }
  }
  return { a, b };
}
