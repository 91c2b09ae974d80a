/**
 * Measures what reading a checkpoint needs besides its tensors, and how long it takes, for 1 GB files of each format:
 *
 *     npx tsx bench/checkpoint-memory.ts [--megabytes 1000] [FILE…]
 *
 * Each file is read in a process of its own, which keeps every tensor as float32; the figure is the peak resident
 * memory less what the process had before, less the tensors. FILEs are measured instead of made ones where given.
 */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import { writeSafetensors } from '../src/checkpoint/safetensors-writer.js';
import { RandomWeights } from './random-weights.js';
import { ScratchCheckpoints } from './scratch-checkpoints.js';
import { type TorchTensor, writeTorchZip } from './torch-zip.js';

interface Reading {
  readonly tensors: number;
  readonly tensorBytes: number;
  readonly openMs: number;
  readonly readMs: number;
  readonly besidesBytes: number;
}

/** Reads one file and keeps all of its tensors; run in a fresh process. */
function readKeeping(path: string): Reading {
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const checkpoint = openCheckpoint(path);
  const opened = performance.now();
  const kept: Float32Array[] = [];
  for (const tensor of checkpoint.tensors.values()) kept.push(tensor.readFloat32());
  const done = performance.now();
  checkpoint.close();
  const tensorBytes = kept.reduce((sum, values) => sum + values.byteLength, 0);
  const peak = process.resourceUsage().maxRSS * 1024;
  return {
    tensors: kept.length,
    tensorBytes,
    openMs: opened - start,
    readMs: done - opened,
    besidesBytes: peak - before - tensorBytes,
  };
}

function measure(label: string, path: string): void {
  // The child inherits the loader that runs this file.
  const script = fileURLToPath(import.meta.url);
  const output = execFileSync(process.execPath, [...process.execArgv, script, '--read', path], { encoding: 'utf8' });
  const reading = JSON.parse(output) as Reading; // written by main() below
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  console.log(
    `${label.padEnd(24)} ${megabytes(statSync(path).size)}, ${reading.tensors} tensors of ${megabytes(reading.tensorBytes)} as float32: ` +
      `open ${reading.openMs.toFixed(0)} ms, read ${reading.readMs.toFixed(0)} ms, ${megabytes(reading.besidesBytes)} besides the tensors`,
  );
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { read: { type: 'string' }, megabytes: { type: 'string', default: '1000' } },
  });
  if (values.read !== undefined) {
    console.log(JSON.stringify(readKeeping(values.read)));
    return;
  }
  for (const path of positionals) measure(path.replace(/^.*\//, ''), path);
  if (positionals.length > 0) return;

  const scratch = new ScratchCheckpoints();
  try {
    const random = new RandomWeights(1);
    const make = (dtype: 'F16' | 'F32'): Map<string, TorchTensor> => {
      // Matrices of 2 million elements, as in a transformer, and one that is half of the file.
      const total = (Number(values.megabytes) * 1e6) / (dtype === 'F16' ? 2 : 4);
      const half = Math.floor(total / 2 / 2048);
      const tensors = new Map([['large', random.normal('large', [half, 2048], 0.02, dtype)]]);
      for (let i = 0; i < half / 1024; i++) {
        tensors.set(`layer.${i}`, random.normal(`layer.${i}`, [1024, 2048], 0.02, dtype));
      }
      return tensors;
    };
    for (const dtype of ['F32', 'F16'] as const) {
      const zip = scratch.path('model.pth');
      writeTorchZip(zip, make(dtype));
      measure(`torch zip ${dtype}`, zip);
      const safetensors = scratch.path('model.safetensors');
      const entries = [...make(dtype)].map(([name, tensor]) => ({
        name,
        dtype,
        shape: tensor.shape,
        load: () => tensor.load(),
      }));
      await writeSafetensors(safetensors, entries);
      measure(`safetensors ${dtype}`, safetensors);
    }
  } finally {
    scratch.close();
  }
}

await main();
