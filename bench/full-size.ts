/**
 * Measures a full-size model (official sizes and formats, random weights) the way a server uses it:
 *
 *     npx tsx bench/full-size.ts [--version v1|v2|v2Pro|v2ProPlus] [--dir DIR] [--starts N] [--repeats N] [--json]
 *
 * One engine process imports the checkpoints and enrols a voice; further ones start over the same data folder, and the
 * last of them speaks. The processes are those of the server, forked from a build of the sources, so that a start is
 * counted from the fork to the message that the engine is ready. Memory is what the kernel says of the process, against
 * the weights that speaking needs in the precision they are served in.
 *
 * DIR (1.3 GB of checkpoints and 2.3 GB of store a version, kept between runs) is a temporary folder, removed at the end, where
 * not given. Prints the machine and the commit with the figures. Linux only: memory is read from /proc.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import type { ComponentManifest } from '../src/engine/component-store.js';
import type { EngineChild } from '../src/engine/engine-child.js';
import type { SynthesisRequest } from '../src/engine/engine-types.js';
import { readModelSpec } from '../src/models/model-spec.js';
import { buildSovits, SPEAKING_GRAPHS } from '../src/models/sovits/sovits.js';
import { elementCount } from '../src/onnx/tensor.js';
import { environment, median, REPOSITORY, round } from './figures.js';
import { type FullSizeFiles, writeFullSizeCheckpoints } from './full-size-checkpoints.js';
import type { FullSizeVersion } from './full-size-models.js';

const VERSIONS: readonly FullSizeVersion[] = ['v1', 'v2', 'v2Pro', 'v2ProPlus'];

/** 30 Chinese characters: the longest sentence that our own splitting makes. */
const CHINESE = '今天天气很好我们一起去公园散步吧顺便看看湖边新开的那家小书店';
const ENGLISH = 'The morning light came slowly over the hills.';
/** Random weights hardly ever end a sentence before its limit of 0.4 s a phoneme, so the many are short ones. */
const SHORT_CHINESE = '今天天气很好。';
const SHORT_ENGLISH = 'Good morning.';
/** The bars of docs/performance.md. */
const MAX_IMPORT_SECONDS = 60;
const MAX_START_SECONDS = 2;
const MAX_RESIDENT_RATIO = 1.6;

interface Memory {
  readonly anonymousMegabytes: number;
  /** Mapped files: the weights, shared with other processes over the same store and dropped when memory is short. */
  readonly fileMegabytes: number;
  readonly totalMegabytes: number;
  readonly peakMegabytes: number;
}

interface Speech {
  readonly firstAudioMs: number;
  readonly audioSeconds: number;
  readonly realTimeFactor: number;
}

type Figures = Record<string, number | string>;

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      version: { type: 'string', default: 'v2' },
      dir: { type: 'string' },
      starts: { type: 'string', default: '3' },
      // Sentences spoken between the first synthesis and the last reading of the memory.
      repeats: { type: 'string', default: '20' },
      threads: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const version = VERSIONS.find((known) => known === flags.version);
  const [starts, repeats] = [Number(flags.starts), Number(flags.repeats)];
  if (version === undefined || !(starts >= 1) || !(repeats >= 1)) {
    console.error(
      `usage: full-size.ts [--version ${VERSIONS.join('|')}] [--dir DIR] [--starts N] [--repeats N] [--json]`,
    );
    process.exitCode = 2;
    return;
  }
  const folder = flags.dir ?? mkdtempSync(join(tmpdir(), 'timbre-bench-full-size-'));
  // Inside the repository, so that packages resolve; apart from dist/, which may be running.
  mkdirSync(join(REPOSITORY, '.timbre'), { recursive: true });
  const build = mkdtempSync(join(REPOSITORY, '.timbre/bench-build-'));
  try {
    const threads = flags.threads === undefined ? null : Number(flags.threads);
    const figures = await measure({ folder, build, version, starts, repeats, threads, json: flags.json });
    if (flags.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  } finally {
    rmSync(build, { recursive: true, force: true });
    if (flags.dir === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

interface Settings {
  readonly folder: string;
  readonly build: string;
  readonly version: FullSizeVersion;
  readonly starts: number;
  readonly repeats: number;
  readonly threads: number | null;
  readonly json: boolean;
}

async function measure({ folder, build, version, starts, repeats, threads, json }: Settings): Promise<Figures> {
  const figures = asTheyCome(json, { version, ...environment() });
  const files = checkpoints(join(folder, `checkpoints-${version}`), version);
  const dataDir = join(folder, `data-${version}`);
  rmSync(dataDir, { recursive: true, force: true });
  const launcher = await buildLauncher(build, dataDir, threads);

  progress('importing');
  const importer = await launcher();
  const recording = join(folder, 'reference.wav');
  writeFileSync(recording, referenceWav());
  const importing = stopwatch(importer.child);
  await importer.child.call({
    method: 'importModel',
    request: { name: 'full-size', paths: Object.values(files) as string[] },
  });
  Object.assign(figures, importing('import'));
  const weights = servedBytes(dataDir, files);
  figures['import peak resident MB'] = memoryOf(importer.child).peakMegabytes;
  for (const [name, bytes] of Object.entries(weights)) figures[`weights MB, ${name}`] = round(bytes / 1e6);
  const enrolling = stopwatch(importer.child);
  await importer.child.call({
    method: 'enrolVoice',
    request: {
      name: 'voice',
      recordings: [{ path: recording }],
      transcript: '我们一起去公园散步吧。',
      language: 'zh',
      replace: true,
    },
  });
  Object.assign(figures, enrolling('first enrolment'));
  await importer.child.close(5000);

  progress('starting');
  const startSeconds: number[] = [];
  const startCpuSeconds: number[] = [];
  let speaker: EngineChild | null = null;
  for (let start = 0; start < starts; start++) {
    await speaker?.close(5000);
    const { child, seconds } = await launcher();
    startSeconds.push(seconds);
    startCpuSeconds.push(cpuSeconds(child));
    speaker = child;
  }
  if (!speaker) throw new Error('no engine was started');
  figures['start to ready s, median of starts'] = round(median(startSeconds), 2);
  figures['start to ready s, best'] = round(Math.min(...startSeconds), 2);
  figures['start processor s, median'] = round(median(startCpuSeconds), 2);
  const report = (when: string): void => {
    const memory = memoryOf(speaker);
    const { anonymousMegabytes, fileMegabytes, totalMegabytes } = memory;
    figures[`resident MB ${when}`] = `${totalMegabytes} (${anonymousMegabytes} anonymous, ${fileMegabytes} mapped)`;
    figures[`resident / weights ${when}`] = round((totalMegabytes * 1e6) / weights.speaking, 2);
  };
  report('when ready');

  progress('speaking');
  const request = { voice: 'voice', speed: 1, seed: 1 } as const;
  const say = async (name: string, text: string, language: 'zh' | 'en', seed: number): Promise<void> => {
    const spoken = await speak(speaker, { ...request, text, language, seed });
    figures[`${name}: first audio ms`] = round(spoken.firstAudioMs);
    figures[`${name}: audio s`] = round(spoken.audioSeconds, 2);
    figures[`${name}: real-time factor`] = round(spoken.realTimeFactor, 3);
  };
  await say('first zh sentence', CHINESE, 'zh', 1);
  await say('first en sentence', ENGLISH, 'en', 1);
  report('after first sentences');
  const factors: number[] = [];
  const processorFactors: number[] = [];
  for (let index = 0; index < repeats; index++) {
    const chinese = index % 2 === 0;
    const text = chinese ? SHORT_CHINESE : SHORT_ENGLISH;
    const used = cpuSeconds(speaker);
    const spoken = await speak(speaker, { ...request, text, language: chinese ? 'zh' : 'en', seed: 10 + index });
    factors.push(spoken.realTimeFactor);
    processorFactors.push((cpuSeconds(speaker) - used) / spoken.audioSeconds);
  }
  figures[`real-time factor, median of ${repeats}`] = round(median(factors), 3);
  figures['processor s a second of audio, median'] = round(median(processorFactors), 3);
  report(`after ${repeats} more`);
  figures['peak resident MB'] = memoryOf(speaker).peakMegabytes;
  await speaker.close(5000);

  const importSeconds = Number(figures['import s']);
  const ratio = Number(figures[`resident / weights after ${repeats} more`]);
  figures[`import within ${MAX_IMPORT_SECONDS} s`] = String(importSeconds <= MAX_IMPORT_SECONDS);
  figures[`start within ${MAX_START_SECONDS} s`] = String(median(startSeconds) <= MAX_START_SECONDS);
  figures[`resident within ${MAX_RESIDENT_RATIO} × weights`] = String(ratio <= MAX_RESIDENT_RATIO);
  figures['load average at the end'] = loadavg()
    .map((load) => load.toFixed(1))
    .join(' ');
  return figures;
}

/** An object whose figures are printed as they are set, unless they are to be JSON in the end. */
function asTheyCome(json: boolean, first: Figures): Figures {
  const print = (name: string, value: number | string): void => {
    if (!json) process.stdout.write(`${name.padEnd(44)} ${value}\n`);
  };
  for (const [name, value] of Object.entries(first)) print(name, value);
  return new Proxy(first, {
    set(figures, name: string, value: number | string) {
      figures[name] = value;
      print(name, value);
      return true;
    },
  });
}

/** The checkpoint files, written unless an earlier run did. */
function checkpoints(folder: string, version: FullSizeVersion): FullSizeFiles {
  const record = join(folder, 'files.json');
  if (existsSync(record)) return JSON.parse(readFileSync(record, 'utf8')) as FullSizeFiles;
  progress(`writing checkpoints of ${version}`);
  mkdirSync(folder, { recursive: true });
  const files = writeFullSizeCheckpoints(folder, version, 1234);
  writeFileSync(record, JSON.stringify(files));
  return files;
}

interface Launched {
  readonly child: EngineChild;
  /** From the fork to the message that the engine is ready. */
  readonly seconds: number;
}

/** Builds the sources into `output` and returns what starts an engine process of that build over `dataDir`. */
async function buildLauncher(
  output: string,
  dataDir: string,
  threads: number | null,
): Promise<() => Promise<Launched>> {
  progress('building');
  execFileSync(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json', '--outDir', output], {
    cwd: REPOSITORY,
    stdio: 'inherit',
  });
  cpSync(join(REPOSITORY, 'src'), output, {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || path.includes('/data/'),
  });
  const module = await import(pathToFileURL(join(output, 'engine/engine-child.js')).href);
  const { EngineChild: Child } = module as typeof import('../src/engine/engine-child.js');
  return async () => {
    const start = performance.now();
    const { child } = await Child.start({
      engineModule: pathToFileURL(join(output, 'engine/engine.js')).href,
      engine: { dataDir, importDemo: false, ...(threads === null ? {} : { threads }) },
      pingIntervalMs: 60_000,
      pingTimeoutMs: 600_000,
      startTimeoutMs: 120_000,
      creditWindow: 8,
    });
    return { child, seconds: (performance.now() - start) / 1000 };
  };
}

async function speak(child: EngineChild, request: SynthesisRequest): Promise<Speech> {
  const start = performance.now();
  let firstAudioMs = 0;
  let audioSeconds = 0;
  for await (const { samples, sampleRateHz } of child.synthesize(request, {}).chunks) {
    if (audioSeconds === 0) firstAudioMs = performance.now() - start;
    audioSeconds += samples.length / sampleRateHz;
  }
  return { firstAudioMs, audioSeconds, realTimeFactor: (performance.now() - start) / 1000 / audioSeconds };
}

/** Bytes of the networks that speaking runs, in the precision they are stored in, and their sum as `speaking`. */
function servedBytes(
  dataDir: string,
  files: FullSizeFiles,
): Record<'speaking' | 'text2semantic' | 'sovits' | 'bert', number> {
  const record = JSON.parse(readFileSync(join(dataDir, 'models/full-size.json'), 'utf8')) as {
    readonly components: Readonly<Record<string, string>>;
  };
  const parameters = (kind: string): number => {
    const path = join(dataDir, 'components', record.components[kind] ?? '', 'component.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as ComponentManifest).parameterCount;
  };
  const checkpoint = openCheckpoint(files.sovits);
  const graphs = buildSovits(checkpoint, readModelSpec(checkpoint));
  // The component holds the graphs of enrolment too, which a speaking process does not load.
  const weights = new Map(
    SPEAKING_GRAPHS.flatMap((name) => graphs[name].weights).map((weight) => [weight.name, weight.shape]),
  );
  const sovits = [...weights.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
  checkpoint.close();
  const FLOAT32_BYTES = 4;
  const bytes = {
    text2semantic: parameters('text2semantic') * FLOAT32_BYTES,
    sovits: sovits * FLOAT32_BYTES,
    bert: parameters('bert') * FLOAT32_BYTES,
  };
  return { speaking: bytes.text2semantic + bytes.sovits + bytes.bert, ...bytes };
}

/** Wall and processor time of a process from here to the call of what is returned. */
function stopwatch(child: EngineChild): (name: string) => Figures {
  const start = performance.now();
  const used = cpuSeconds(child);
  return (name) => ({
    [`${name} s`]: round((performance.now() - start) / 1000, 2),
    [`${name} processor s`]: round(cpuSeconds(child) - used, 2),
  });
}

/** User and system time of a process since its start. */
function cpuSeconds({ pid }: EngineChild): number {
  const TICKS_PER_SECOND = 100; // fixed in Linux's interface to user space
  // Fields are counted from behind the name, which may hold spaces: utime and stime are the 12th and 13th.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function memoryOf({ pid }: EngineChild): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (key: string): number =>
    round((Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024) / 1e6);
  return {
    anonymousMegabytes: megabytes('RssAnon'),
    fileMegabytes: megabytes('RssFile'),
    totalMegabytes: megabytes('VmRSS'),
    peakMegabytes: megabytes('VmHWM'),
  };
}

/** 5 s of a buzz that rises and falls, mono at 32 kHz: enough for every network of enrolment to run. */
function referenceWav(): Uint8Array {
  const rateHz = 32_000;
  const samples = 5 * rateHz;
  const wav = Buffer.alloc(44 + 2 * samples);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + 2 * samples, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rateHz, 24);
  wav.writeUInt32LE(2 * rateHz, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(2 * samples, 40);
  let phase = 0;
  for (let index = 0; index < samples; index++) {
    const seconds = index / rateHz;
    phase += (120 + 40 * Math.sin(2 * seconds)) / rateHz;
    const loudness = 0.15 * (1.2 + Math.sin(2 * Math.PI * 3 * seconds));
    wav.writeInt16LE(Math.round(32_767 * loudness * (2 * (phase % 1) - 1)), 44 + 2 * index);
  }
  return wav;
}

function progress(step: string): void {
  process.stderr.write(`${step}\n`);
}

await main();
