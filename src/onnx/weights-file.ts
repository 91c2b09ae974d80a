import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import type { GraphModel } from './graph.js';
import { bytesOf, ELEMENT_TYPES, elementCount, type Weight } from './tensor.js';

/** Where each weight lies inside a weights file. */
export interface WeightsFile {
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly places: ReadonlyMap<string, { readonly offsetBytes: number; readonly sizeBytes: number }>;
}

/** Weights start at multiples of this, so that the runtime can use them where they are mapped (a cache line, SIMD). */
const ALIGNMENT_BYTES = 64;

export interface WeightsFileOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** True: it need not survive the machine, which saves the wait for the disk. */
  readonly scratch?: boolean;
}

/**
 * Writes the weights of some graphs, each once, into one safetensors file that the graphs then share as external data:
 * two graphs over the same weights map the same pages. Weights are loaded one at a time.
 *
 * The format allows no holes between tensors, so padding is itself a tensor (`__padding__.N`).
 *
 * @throws if two graphs give one name different shapes or types, or a weight loads another number of values.
 */
export function writeWeightsFile(
  path: string,
  graphs: readonly GraphModel[],
  { metadata = {}, scratch = false }: WeightsFileOptions = {},
): WeightsFile {
  const weights = uniqueWeights(graphs);
  const places = new Map<string, { offsetBytes: number; sizeBytes: number }>();
  const header: Record<string, unknown> = { __metadata__: { format: 'timbre', ...metadata } };
  let end = 0;
  let paddings = 0;
  for (const weight of weights) {
    const padding = (ALIGNMENT_BYTES - (end % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;
    if (padding > 0) {
      header[`__padding__.${paddings++}`] = { dtype: 'U8', shape: [padding], data_offsets: [end, end + padding] };
      end += padding;
    }
    const sizeBytes = elementCount(weight.shape) * ELEMENT_TYPES[weight.type].sizeBytes;
    header[weight.name] = {
      dtype: ELEMENT_TYPES[weight.type].safetensors,
      shape: weight.shape,
      data_offsets: [end, end + sizeBytes],
    };
    places.set(weight.name, { offsetBytes: end, sizeBytes });
    end += sizeBytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  // The header is padded with spaces to the alignment, which the format permits.
  const headerBytes = Math.ceil((8 + json.length) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES - 8;
  const head = Buffer.alloc(8 + headerBytes, ' ');
  head.writeBigUInt64LE(BigInt(headerBytes), 0);
  json.copy(head, 8);

  const partial = `${path}.partial`;
  const file = openSync(partial, 'w');
  try {
    writeAll(file, head, 0);
    for (const weight of weights) {
      const place = places.get(weight.name);
      if (!place) throw new Error(`no place for ${weight.name}`);
      place.offsetBytes += head.length;
      const bytes = bytesOf(weight.load());
      if (bytes.byteLength !== place.sizeBytes) {
        throw new Error(
          `weight ${weight.name} [${weight.shape}] loaded ${bytes.byteLength} bytes, not ${place.sizeBytes}`,
        );
      }
      writeAll(file, bytes, place.offsetBytes);
    }
    if (!scratch) fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(partial, path);
  return { fileName: basename(path), sizeBytes: head.length + end, places };
}

function uniqueWeights(graphs: readonly GraphModel[]): Weight[] {
  const weights = new Map<string, Weight>();
  for (const weight of graphs.flatMap((graph) => graph.weights)) {
    const known = weights.get(weight.name);
    if (known && (known.type !== weight.type || known.shape.join() !== weight.shape.join())) {
      throw new Error(
        `weight ${weight.name} is ${known.type}[${known.shape}] in one graph, ${weight.type}[${weight.shape}] in another`,
      );
    }
    if (!known) weights.set(weight.name, weight);
  }
  return [...weights.values()];
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  let written = 0;
  // One write call moves at most 2 GiB − 4 KiB on Linux.
  while (written < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - written, 1 << 30);
    written += writeSync(file, bytes, written, length, position + written);
  }
}
