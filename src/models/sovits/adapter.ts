import type { CheckpointTensor } from '../../checkpoint/checkpoint.js';
import { type AdapterFile, type ChangedModule, rankOf, unfit } from '../adapter-file.js';
import type { ModelSpec } from '../model-spec.js';

/** The graphs whose modules an adapter may change; the generator and what enrols a voice stay as they are. */
export const ADAPTED_GRAPHS = ['text', 'tokens', 'flow'] as const;
export type AdaptedGraph = (typeof ADAPTED_GRAPHS)[number];

/** A module that an adapter may change, and where the compiled network has its channels. */
export interface AdaptedModule {
  readonly graph: AdaptedGraph;
  readonly inputs: number;
  readonly outputs: number;
  /** Of a convolution over time; null for a product of rows, whatever it is upstream. */
  readonly kernel: number | null;
  /** What the compiled network multiplies the module's result by. */
  readonly scale: number;
  /** Channels that the compiled network has in reverse order. */
  readonly reversed: 'inputs' | 'outputs' | null;
}

/** A low-rank change of a SoVITS network: each named module adds b · (a ∗ x). */
export interface SovitsAdapter {
  readonly rank: number;
  /** By module: a (rank, inputs, kernel) and b (outputs, rank) in the compiled network's order, alpha's scale within b. */
  readonly changes: ReadonlyMap<string, { readonly a: Float32Array; readonly b: Float32Array }>;
  readonly sizeBytes: number;
}

/** The modules that an adapter of a model may change, by their names upstream. */
export function adaptedModules(spec: ModelSpec): ReadonlyMap<string, AdaptedModule> {
  const { hiddenChannels: hidden, filterChannels: filter, mrteChannels: mrte, interChannels: inter } = spec;
  const modules = new Map<string, AdaptedModule>();
  const add = (graph: AdaptedGraph, name: string, inputs: number, outputs: number, rest: Partial<AdaptedModule> = {}) =>
    modules.set(name, { graph, inputs, outputs, kernel: null, scale: 1, reversed: null, ...rest });
  const encoder = (graph: AdaptedGraph, prefix: string, layers: number): void => {
    for (let layer = 0; layer < layers; layer++) {
      const [attention, forward] = [`${prefix}.attn_layers.${layer}`, `${prefix}.ffn_layers.${layer}`];
      add(graph, `${attention}.conv_q`, hidden, hidden, { scale: 1 / Math.sqrt(hidden / spec.headCount) });
      for (const name of ['conv_k', 'conv_v', 'conv_o']) add(graph, `${attention}.${name}`, hidden, hidden);
      add(graph, `${forward}.conv_1`, hidden, filter, { kernel: spec.kernelSize });
      add(graph, `${forward}.conv_2`, filter, hidden, { kernel: spec.kernelSize });
    }
  };
  encoder('text', 'enc_p.encoder_text', spec.layerCounts.text);
  add('text', 'enc_p.mrte.text_pre', hidden, mrte);
  add('text', 'enc_p.mrte.cross_attention.conv_k', mrte, mrte);
  add('text', 'enc_p.mrte.cross_attention.conv_v', mrte, mrte);

  add('tokens', 'enc_p.ssl_proj', spec.sslWidth, hidden);
  encoder('tokens', 'enc_p.encoder_ssl', spec.layerCounts.ssl);
  add('tokens', 'enc_p.mrte.c_pre', hidden, mrte);
  add('tokens', 'enc_p.mrte.cross_attention.conv_q', mrte, mrte);
  add('tokens', 'enc_p.mrte.cross_attention.conv_o', mrte, mrte);
  add('tokens', 'enc_p.mrte.c_post', mrte, hidden);
  encoder('tokens', 'enc_p.encoder2', spec.layerCounts.post);

  add('flow', 'enc_p.proj', hidden, 2 * inter);
  const { couplings, layers, kernel } = spec.flow;
  for (let coupling = 0; coupling < couplings; coupling++) {
    const at = `flow.flows.${2 * coupling}`;
    const flipped = isFlipped(spec, coupling);
    add('flow', `${at}.pre`, inter / 2, hidden, { kernel: 1, reversed: flipped ? 'inputs' : null });
    add('flow', `${at}.enc.cond_layer`, spec.globalEmbeddingWidth, 2 * hidden * layers);
    for (let layer = 0; layer < layers; layer++) {
      add('flow', `${at}.enc.in_layers.${layer}`, hidden, 2 * hidden, { kernel });
      add('flow', `${at}.enc.res_skip_layers.${layer}`, hidden, (layer < layers - 1 ? 2 : 1) * hidden, { kernel: 1 });
    }
    add('flow', `${at}.post`, hidden, inter / 2, { kernel: 1, reversed: flipped ? 'outputs' : null });
  }
  return modules;
}

/** Whether the flow in reverse computes a coupling on flipped halves, which come as they are and meet flipped weights. */
export function isFlipped(spec: ModelSpec, coupling: number): boolean {
  return (spec.flow.couplings - 1 - coupling) % 2 === 0;
}

/** Shapes of a module's inputs in the graphs. */
export function changeShapes({ inputs, outputs, kernel }: AdaptedModule, rank: number): { a: number[]; b: number[] } {
  return kernel === null
    ? { a: [rank, inputs], b: [outputs, rank] }
    : { a: [rank, inputs, kernel], b: [outputs, rank, 1] };
}

/**
 * The change of a SoVITS network that an adapter file holds (see `readAdapterFile`), by the modules of
 * {@link adaptedModules}. It adds to a module's effective weight, weight norm or not. A module that is absent is not
 * changed; null where all are.
 *
 * @throws `CHECKPOINT_UNSUPPORTED` where a tensor names no such module or has another shape, a module has only one of its
 * two, or the rank is out of bounds.
 */
export function readSovitsAdapter(file: AdapterFile, spec: ModelSpec): SovitsAdapter | null {
  if (file.sovits.size === 0) return null;
  const modules = adaptedModules(spec);
  const rank = rankOf(file, file.sovits);
  const scale = (file.alpha ?? rank) / rank;
  const changes = new Map<string, { a: Float32Array; b: Float32Array }>();
  let sizeBytes = 0;
  for (const [name, halves] of file.sovits) {
    const module = modules.get(name);
    if (!module) {
      const tensor = (halves.A ?? halves.B)?.name;
      throw unfit(file.path, `has a tensor "${tensor}"; a ${spec.version} model has no "${name}" that adapters change`);
    }
    const { inputs, outputs, kernel } = module;
    const a = read(file, halves, 'A', [rank, inputs, kernel ?? 1]);
    const b = read(file, halves, 'B', [outputs, rank, 1]);
    for (let index = 0; index < b.length; index++) b[index]! *= scale * module.scale;
    if (module.reversed === 'inputs') for (let row = 0; row < rank; row++) reverseRows(a, inputs, kernel ?? 1, row);
    if (module.reversed === 'outputs') reverseRows(b, outputs, rank, 0);
    sizeBytes += 4 * (a.length + b.length);
    changes.set(name, { a, b });
  }
  return { rank, changes, sizeBytes };
}

/** One half of a change, of a convolution of kernel 1 also as the matrix it is. */
function read(file: AdapterFile, halves: ChangedModule, half: 'A' | 'B', expected: readonly number[]): Float32Array {
  const tensor = halves[half];
  const wanted = `[${expected.join(', ')}]`;
  if (!tensor) {
    const other = (halves.A ?? halves.B) as CheckpointTensor; // one of them made the entry
    const [from, to] = half === 'A' ? ['lora_B', 'lora_A'] : ['lora_A', 'lora_B'];
    throw unfit(file.path, `has "${other.name}" without "${other.name.replace(from, to)}", expected shape ${wanted}`);
  }
  const shape = tensor.shape.length === 2 && expected[2] === 1 ? [...tensor.shape, 1] : tensor.shape;
  if (shape.join() !== expected.join()) {
    throw unfit(file.path, `has shape [${tensor.shape.join(', ')}] in "${tensor.name}", expected ${wanted}`);
  }
  return tensor.readFloat32().slice(); // the caller scales it
}

/** Reverses the order of `count` rows of `width` values that begin at the `block`th such group. */
function reverseRows(data: Float32Array, count: number, width: number, block: number): void {
  const rows = data.slice(block * count * width, (block + 1) * count * width);
  for (let row = 0; row < count; row++) {
    data.set(rows.subarray(row * width, (row + 1) * width), (block * count + count - 1 - row) * width);
  }
}
