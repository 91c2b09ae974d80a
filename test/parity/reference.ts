import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One case of the reference data (`manifest.json`). */
export interface ManifestCase {
  readonly name: string;
  readonly file: string;
  readonly upstream: string;
  /** A file, a folder, or the files by role; null where the case needs no model. */
  readonly checkpoint?: string | Readonly<Record<string, string>> | null;
  /** One absolute tolerance, or one per tensor name (`out_*` patterns) with `default`. */
  readonly tolerance_abs: number | Readonly<Record<string, number | string>>;
  // biome-ignore lint/suspicious/noExplicitAny: the parameters differ from case to case and come from a trusted file
  readonly params: Readonly<Record<string, any>>;
  readonly tensors: Readonly<
    Record<string, { readonly dtype: string; readonly shape: readonly number[]; readonly about?: string }>
  >;
}

export type CaseArray = Float32Array | Int32Array | Int16Array | Uint8Array;

export interface CaseTensor {
  readonly shape: readonly number[];
  readonly data: CaseArray;
}

export interface ReferenceData {
  readonly root: string;
  readonly cases: readonly ManifestCase[];
  /** The tensors of a case by name. */
  load(testCase: ManifestCase): Map<string, CaseTensor>;
  /** Absolute path of a file inside the reference folder. */
  path(relativePath: string): string;
}

/** Where the reference data lie unless told otherwise: beside the repository, or where TIMBRE_REFERENCE points. */
export function defaultReferenceFolder(): string {
  const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
  return process.env['TIMBRE_REFERENCE'] ?? resolve(repository, '../shared/reference');
}

/** Opens a folder of reference data; fails with the way out when it is not there. */
export function openReference(folder = defaultReferenceFolder()): ReferenceData {
  const manifestPath = join(folder, 'manifest.json');
  if (!existsSync(manifestPath)) {
    throw new Error(
      `no reference data at ${folder}: manifest.json is missing. Pass the folder, set TIMBRE_REFERENCE, or put it at ../shared/reference beside the repository.`,
    );
  }
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as { cases: ManifestCase[] };
  return {
    root: folder,
    cases: manifest.cases,
    load: (testCase) => readCaseTensors(join(folder, testCase.file)),
    path: (relativePath) => join(folder, relativePath),
  };
}

/** The tolerance of one tensor of a case: its own entry, a `prefix_*` pattern, or the default. */
export function toleranceOf(testCase: ManifestCase, tensor: string): number {
  const tolerance = testCase.tolerance_abs;
  if (typeof tolerance === 'number') return tolerance;
  const patterns = Object.keys(tolerance).filter((key) => key.endsWith('*') && tensor.startsWith(key.slice(0, -1)));
  const value = tolerance[tensor] ?? tolerance[patterns[0] ?? ''] ?? tolerance['default'];
  if (typeof value !== 'number') throw new Error(`case ${testCase.name} gives no tolerance for ${tensor}`);
  return value;
}

function readCaseTensors(path: string): Map<string, CaseTensor> {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, CaseTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [begin, end] = entry.data_offsets;
    // Copied, because a view into the file's buffer need not be aligned.
    const raw = new Uint8Array(bytes.subarray(8 + headerBytes + begin, 8 + headerBytes + end)).buffer;
    tensors.set(name, { shape: entry.shape, data: view(entry.dtype, raw) });
  }
  return tensors;
}

function view(dtype: string, raw: ArrayBuffer): CaseArray {
  switch (dtype) {
    case 'F32':
      return new Float32Array(raw);
    case 'I32':
      return new Int32Array(raw);
    case 'I16':
      return new Int16Array(raw);
    case 'U8':
      return new Uint8Array(raw);
    default:
      throw new Error(`reference data of type ${dtype}`);
  }
}
