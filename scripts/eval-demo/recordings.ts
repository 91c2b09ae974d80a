import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { decodeAudio } from '../../src/audio/decode.js';
import { mixToMono } from '../../src/audio/level.js';
import { resampleHighQuality } from '../../src/audio/resample.js';
import { HOP_SAMPLES, SAMPLE_RATE_HZ, setActiveLevel } from './cepstra.js';

/** A human recording of the corpora that the demo voice learnt from. */
export interface Recording {
  readonly language: 'zh' | 'en';
  readonly text: string;
  /** CMU Arctic prompt (`b0010`) or the Mandarin word itself. */
  readonly key: string;
  /** Mono speech at 16 kHz, of one level, with little silence at its ends. */
  load(): Promise<Float32Array>;
}

/** Single syllables by a speaker whose voice the demo model never learnt to speak with (audio-cmn, Chen Wang). */
export function findSyllables(folder: string): (() => Promise<Float32Array>)[] {
  const items = join(folder, 'items.jsonl');
  if (existsSync(items)) {
    const audio = join(folder, 'audio.npy');
    const offset = int16Offset(audio);
    return readItems(items)
      .filter((item) => item.id.startsWith('syllable/'))
      .map((item) => async () => readInt16(audio, offset + 2 * item.start, item.length));
  }
  return placesIn(folder).flatMap((place) => {
    const syllables = join(place, '64k/syllabs');
    return filesOf(syllables, /^cmn-[a-zü]+[1-5]\.mp3$/).map((name) => () => loadRaw(join(syllables, name)));
  });
}

/** What the recipe holds out (training/timbre_training/held_out.json). */
export interface HeldOut {
  readonly arcticPrompts: ReadonlySet<string>;
  readonly mandarinWords: readonly string[];
}

export function readHeldOut(): HeldOut {
  const path = join(import.meta.dirname, '../../training/timbre_training/held_out.json');
  const lists = JSON.parse(readFileSync(path, 'utf8')) as { arctic_prompts: string[]; mandarin_words: string[] };
  return { arcticPrompts: new Set(lists.arctic_prompts), mandarinWords: lists.mandarin_words };
}

/**
 * The English sentences (every take) and Mandarin words of a data folder: one that `timbre_training.prepare audio` made,
 * or one that holds checkouts of the two corpora, whatever their names. Throws where it is neither.
 */
export function findRecordings(folder: string): Recording[] {
  if (existsSync(join(folder, 'items.jsonl'))) return preparedRecordings(folder);
  const found = placesIn(folder).flatMap((place) => [
    ...kathleenRecordings(join(place, 'data')),
    ...wordRecordings(join(place, '64k/hsk')),
  ]);
  if (found.length > 0) return found;
  throw new Error(
    `no recordings in "${folder}"; expected a folder prepared for training (items.jsonl, audio.npy), or checkouts of rhasspy/dataset-voice-kathleen and hugolpz/audio-cmn side by side`,
  );
}

/** A folder and those in it. */
function placesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const inside = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...inside.map((entry) => join(folder, entry.name))];
}

interface PreparedItem {
  readonly id: string;
  readonly language: 'zh' | 'en';
  readonly speaker: string;
  readonly text: string;
  readonly start: number;
  readonly length: number;
}

function preparedRecordings(folder: string): Recording[] {
  const audio = join(folder, 'audio.npy');
  const offset = int16Offset(audio);
  return readItems(join(folder, 'items.jsonl'))
    .filter((item) => item.id.startsWith('kathleen/') || item.id.startsWith('hsk/'))
    .map((item) => ({
      language: item.language,
      text: item.text,
      key: item.language === 'en' ? arcticPrompt(item.id) : item.id.slice('hsk/'.length),
      load: async () => readInt16(audio, offset + 2 * item.start, item.length),
    }));
}

function readItems(path: string): PreparedItem[] {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as PreparedItem);
}

/** Where the samples of a one-dimensional int16 .npy file begin. */
function int16Offset(path: string): number {
  const head = readBytes(path, 0, 1024);
  const length = head.readUInt16LE(8);
  const header = head.toString('latin1', 10, 10 + length);
  if (head.toString('latin1', 1, 6) !== 'NUMPY' || head[6] !== 1 || !header.includes("'descr': '<i2'")) {
    throw new Error(`"${path}" is not an array of 16-bit samples; prepare the data anew`);
  }
  return 10 + length;
}

function readInt16(path: string, offset: number, count: number): Float32Array {
  const bytes = readBytes(path, offset, 2 * count);
  return Float32Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i) / 32767);
}

function readBytes(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
  } finally {
    closeSync(file);
  }
}

function kathleenRecordings(folder: string): Recording[] {
  return filesOf(folder, /^arctic_[ab]\d+_\d+\.txt$/).map((name) => ({
    language: 'en',
    text: readFileSync(join(folder, name), 'utf8').trim(),
    key: arcticPrompt(name),
    load: () => loadRaw(join(folder, name.replace(/\.txt$/, '.wav'))),
  }));
}

function wordRecordings(folder: string): Recording[] {
  return filesOf(folder, /^cmn-[\u4e00-\u9fa5]{1,5}\.mp3$/).map((name) => {
    const word = name.slice('cmn-'.length, -'.mp3'.length);
    return { language: 'zh', text: word, key: word, load: () => loadRaw(join(folder, name)) };
  });
}

function filesOf(folder: string, pattern: RegExp): string[] {
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => pattern.test(name))
        .sort()
    : [];
}

function arcticPrompt(id: string): string {
  return /arctic_([ab]\d+)/.exec(id)?.[1] ?? id;
}

async function loadRaw(path: string): Promise<Float32Array> {
  const { channels, sampleRateHz } = await decodeAudio(readFileSync(path));
  return setActiveLevel(trim(resampleHighQuality(mixToMono(channels), sampleRateHz, SAMPLE_RATE_HZ)));
}

/** What lies within 42 dB of the loudest 10 ms, with 50 ms before and 100 ms after. */
function trim(samples: Float32Array): Float32Array {
  const levels: number[] = [];
  for (let start = 0; start + HOP_SAMPLES <= samples.length; start += HOP_SAMPLES) {
    levels.push(samples.subarray(start, start + HOP_SAMPLES).reduce((sum, value) => sum + value * value, 0));
  }
  const threshold = levels.reduce((most, level) => Math.max(most, level), 0) * 10 ** -4.2;
  const first = levels.findIndex((level) => level > threshold);
  const last = levels.findLastIndex((level) => level > threshold);
  return samples.slice(Math.max(0, (first - 5) * HOP_SAMPLES), Math.min(samples.length, (last + 11) * HOP_SAMPLES));
}
