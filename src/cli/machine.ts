import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../engine/engine-types.js';
import { formatBytes } from './context.js';

/** Facts of the machine that the checks judge; read by {@link readMachine}, made up by tests. */
export interface Machine {
  readonly nodeVersion: string;
  readonly platform: string;
  readonly architecture: string;
  readonly cpuModel: string;
  readonly cores: number;
  /** Flags of /proc/cpuinfo; null where there is none. */
  readonly cpuFlags: ReadonlySet<string> | null;
  /** What this process may use: the container's limit where there is one. */
  readonly memoryBytes: number;
}

const MIN_NODE = [20, 11] as const;
const MIN_MEMORY_BYTES = 1_000_000_000;
const GOOD_MEMORY_BYTES = 4_000_000_000;
const MIN_DISK_BYTES = 200_000_000;
const GOOD_DISK_BYTES = 3_000_000_000;
/** Where onnxruntime-node ships a library. */
const PLATFORMS: ReadonlySet<string> = new Set([
  'linux-x64',
  'linux-arm64',
  'darwin-arm64',
  'win32-x64',
  'win32-arm64',
]);

export function readMachine(): Machine {
  return {
    nodeVersion: process.versions.node,
    platform: process.platform,
    architecture: process.arch,
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    cpuFlags: readCpuFlags(),
    memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
  };
}

/** Judges Node, platform, processor and memory. */
export function checkMachine(machine: Machine): Finding[] {
  return [checkNode(machine), checkPlatform(machine), checkProcessor(machine), checkMemory(machine)];
}

/** Judges whether the data folder can be written, and what room its disk has. */
export function checkDataFolder(folder: string): Finding[] {
  const subject = 'data folder';
  const probe = join(folder, `.probe-${randomBytes(4).toString('hex')}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(probe, 'probe');
    rmSync(probe);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const advice = 'make it writable for this user, or choose another folder with --data or TIMBRE_DATA';
    return [{ level: 'error', subject, message: `${folder} cannot be written: ${reason}`, advice }];
  }
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  const message = `${folder}, ${formatBytes(freeBytes)} free`;
  if (freeBytes < MIN_DISK_BYTES) {
    return [
      { level: 'error', subject, message, advice: 'free some space: importing even the demo model needs 200 MB' },
    ];
  }
  if (freeBytes < GOOD_DISK_BYTES) {
    return [{ level: 'warning', subject, message, advice: 'a full-size model takes up to 3 GB while it is imported' }];
  }
  return [{ level: 'ok', subject, message, advice: null }];
}

/** Judges whether the server could listen there now. */
export async function checkPort(host: string, port: number): Promise<Finding> {
  const subject = 'port';
  const problem = await new Promise<string | null>((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen({ host, port }, () => probe.close(() => resolve(null)));
  });
  const address = `${host}:${port}`;
  if (problem === null) return { level: 'ok', subject, message: `${address} is free`, advice: null };
  if (problem === 'EADDRINUSE') {
    const advice = 'if that is Timbre, all is well; else choose another port with --port or TIMBRE_PORT';
    return { level: 'warning', subject, message: `something listens on ${address} already`, advice };
  }
  const advice = 'choose another address with --host and --port';
  return { level: 'error', subject, message: `${address} cannot be listened on (${problem})`, advice };
}

function checkNode({ nodeVersion }: Machine): Finding {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const good = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  return {
    level: good ? 'ok' : 'error',
    subject: 'node',
    message: nodeVersion,
    advice: good ? null : `install Node.js ${MIN_NODE.join('.')} or newer`,
  };
}

function checkPlatform({ platform, architecture }: Machine): Finding {
  const name = `${platform}-${architecture}`;
  const good = PLATFORMS.has(name);
  const advice = `ONNX Runtime ships no library for it; use one of ${[...PLATFORMS].join(', ')}`;
  return { level: good ? 'ok' : 'error', subject: 'platform', message: name, advice: good ? null : advice };
}

function checkProcessor({ cpuModel, cores, cpuFlags, architecture }: Machine): Finding {
  const known = architecture === 'x64' ? X64_FEATURES : ARM64_FEATURES;
  const features = Object.entries(known).flatMap(([flag, name]) => (cpuFlags?.has(flag) ? [name] : []));
  const message = `${cpuModel}, ${cores} ${cores === 1 ? 'core' : 'cores'}${features.length > 0 ? `, ${features.join(' ')}` : ''}`;
  if (architecture === 'x64' && cpuFlags !== null && !cpuFlags.has('avx2')) {
    return { level: 'warning', subject: 'processor', message, advice: 'without AVX2 expect a third of the speed' };
  }
  if (cores === 1) {
    const advice = 'with one core, answers to other requests wait for the synthesis; two or more are better';
    return { level: 'warning', subject: 'processor', message, advice };
  }
  return { level: 'ok', subject: 'processor', message, advice: null };
}

const X64_FEATURES = {
  avx2: 'AVX2',
  avx512f: 'AVX-512',
  avx512_vnni: 'AVX512-VNNI',
  avx_vnni: 'AVX-VNNI',
  avx512_bf16: 'AVX512-BF16',
  amx_tile: 'AMX',
} as const;
const ARM64_FEATURES = { asimddp: 'DOTPROD', i8mm: 'I8MM', bf16: 'BF16', sve: 'SVE' } as const;

function checkMemory({ memoryBytes }: Machine): Finding {
  const message = formatBytes(memoryBytes);
  if (memoryBytes < MIN_MEMORY_BYTES) {
    return { level: 'error', subject: 'memory', message, advice: 'even the demo model needs 1 GB: allow more' };
  }
  if (memoryBytes < GOOD_MEMORY_BYTES) {
    return {
      level: 'warning',
      subject: 'memory',
      message,
      advice: 'enough for the demo model; full-size ones need 4 GB',
    };
  }
  return { level: 'ok', subject: 'memory', message, advice: null };
}

function readCpuFlags(): ReadonlySet<string> | null {
  try {
    const line = /^(?:flags|Features)\t{0,9}: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'));
    return new Set((line?.[1] ?? '').split(' '));
  } catch {
    return null;
  }
}
